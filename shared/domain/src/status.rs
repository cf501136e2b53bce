//! Status: how a challenge stands. It spends nothing and changes nothing.

use crate::{
    Addresses, AppId, Challenge, ChallengeId, Channel, Ledger, Timestamp,
    challenge::{Lookup, State},
    ports::{LoadLedgers, StoreError},
};

/// How a challenge stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// No such challenge, or it is another app's.
    NotFound,
    /// Its life is over and it was not verified.
    Expired,
    /// Nothing was sent yet.
    NotSent,
    /// Sent; waiting for the code, or for a resend.
    Pending(Details),
    /// Verified, at this moment.
    Verified(Details, Timestamp),
    /// No attempts are left, of the challenge or of its subject.
    Exhausted(Details),
    /// The caller gave it up.
    Cancelled(Details),
}

/// What a status tells beside the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details {
    /// Where codes can be sent.
    pub addresses: Addresses,
    /// The channel of the message that counts.
    pub channel: Channel,
}

/// Reads a challenge's status from its ledger, for one app. Only the holders of an id that leads to
/// one caller's challenge can ask: one that is found by naming its subject is everybody's who names
/// it, and none of them learns of another's success.
#[must_use]
pub fn decide(ledger: Option<&Ledger>, app: &AppId, id: ChallengeId, now: Timestamp) -> Status {
    let own = ledger.filter(|ledger| ledger.app == *app);
    match own.and_then(|ledger| Some((ledger, ledger.find(id)?))) {
        Some((ledger, challenge)) if challenge.lookup != Lookup::Identity => {
            of(ledger, challenge, now)
        }
        Some(_) | None => Status::NotFound,
    }
}

fn of(ledger: &Ledger, challenge: &Challenge, now: Timestamp) -> Status {
    let details = |channel| Details { addresses: challenge.addresses.clone(), channel };
    if let State::Verified(at, channel) = challenge.state {
        return Status::Verified(details(channel), at);
    }
    if challenge.has_expired(now) {
        return Status::Expired;
    }
    let Some(send) = challenge.last_send() else {
        return Status::NotSent;
    };
    let is_locked = ledger.locked_until(challenge, now).is_some();
    if challenge.state == State::Cancelled {
        Status::Cancelled(details(send.channel))
    } else if challenge.is_exhausted() || is_locked {
        Status::Exhausted(details(send.channel))
    } else {
        Status::Pending(details(send.channel))
    }
}

/// Reads a challenge's status: one read, no write.
pub async fn status(
    ledgers: &impl LoadLedgers,
    app: &AppId,
    id: ChallengeId,
    now: Timestamp,
) -> Result<Status, StoreError> {
    let loaded = ledgers.load(&id.subject).await?;
    Ok(decide(loaded.ledger.as_ref(), app, id, now))
}
