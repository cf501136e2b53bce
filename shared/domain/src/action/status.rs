//! Status: how a challenge stands. It spends nothing and changes nothing.

use super::open::unsent_key;
use crate::{
    ledger::{
        Challenge, Ledger, Lookup, UnsentChallenge,
        challenge::{SendRecord, State},
        receipt::Receipt,
    },
    ports::{Clock as _, LoadLedgers, StoreError, World},
    secret::keyring::Keyring,
    value::{
        address::{Addresses, Channel},
        id::{AppId, ChallengeId},
        time::Timestamp,
    },
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
    /// Every message that went out, or may have, oldest first.
    pub messages: Vec<Message>,
}

/// What is known of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// How it travelled.
    pub channel: Channel,
    /// When it was handed over.
    pub at: Timestamp,
    /// What its provider has reported of it, if anything.
    pub receipt: Option<Receipt>,
}

impl From<&SendRecord> for Message {
    fn from(send: &SendRecord) -> Self {
        Self { channel: send.channel, at: send.at, receipt: send.receipt }
    }
}

/// Reads a challenge's status from its ledger, for one app. Only the holders of an id that leads to
/// one caller's challenge can ask: one that is found by naming its subject is everybody's who names
/// it, and none of them learns of another's success.
#[must_use]
pub fn decide(ledger: Option<&Ledger>, app: &AppId, id: ChallengeId, now: Timestamp) -> Status {
    let own = ledger.filter(|ledger| ledger.app == *app);
    match own.and_then(|ledger| Some((ledger, ledger.find(id)?))) {
        Some((ledger, challenge)) if challenge.lookup != Lookup::Identity => {
            of_challenge(ledger, challenge, now)
        }
        Some(_) | None => Status::NotFound,
    }
}

/// How a challenge stands that is in a ledger, whoever asks.
#[must_use]
pub fn of_challenge(ledger: &Ledger, challenge: &Challenge, now: Timestamp) -> Status {
    let details = |channel| Details {
        addresses: challenge.addresses.clone(),
        channel,
        messages: challenge.sends.iter().map(Message::from).collect(),
    };
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

/// Reads a challenge's status: one read, and one more where nothing was sent yet. It writes nothing.
pub async fn status<W>(
    world: &W,
    keyring: &Keyring,
    app: &AppId,
    id: ChallengeId,
) -> Result<Status, StoreError>
where
    W: World<Ledgers: LoadLedgers>,
{
    let loaded = world.ledgers().load::<Ledger>(&id.subject.into()).await?;
    let now = world.clock().now();
    let ledger = loaded.item.as_ref();
    if ledger.is_some_and(|ledger| ledger.find(id).is_some() || ledger.has_evicted(id)) {
        return Ok(decide(ledger, app, id, now));
    }
    let unsent = world.ledgers().load::<UnsentChallenge>(&unsent_key(keyring, id)).await?;
    Ok(match unsent.item.filter(|unsent| unsent.app == *app) {
        None => Status::NotFound,
        Some(unsent) if unsent.challenge.has_expired(now) => Status::Expired,
        Some(_) => Status::NotSent,
    })
}
