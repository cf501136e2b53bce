//! Cancel: the caller gives a challenge up. Its codes stop working; its attempts stay spent.

use crate::{
    AppId, ChallengeId, Ledger, Timestamp,
    challenge::State,
    ports::{Clock, Entropy, LoadLedgers, StoreLedgers},
    transact::{Failure, Ports, transact},
};

/// What came of a cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It is given up, now or already before.
    Cancelled,
    /// Too late: the right code came first.
    AlreadyUsed,
    /// No such challenge, it has expired, or it is another app's.
    NotFound,
}

/// Decides a cancellation.
#[must_use]
pub fn decide(
    mut ledger: Ledger,
    app: &AppId,
    id: ChallengeId,
    now: Timestamp,
) -> (Ledger, Cancelled) {
    let is_own = ledger.app == *app;
    let challenge = ledger.find_mut(id).filter(|challenge| is_own && !challenge.has_expired(now));
    let outcome = match challenge {
        None => Cancelled::NotFound,
        Some(challenge) => match challenge.state {
            State::Verified(..) => Cancelled::AlreadyUsed,
            State::Open | State::Cancelled => {
                challenge.state = State::Cancelled;
                Cancelled::Cancelled
            }
        },
    };
    (ledger, outcome)
}

/// Cancels a challenge: one read and one write.
pub async fn cancel<L, C, E>(
    ports: Ports<'_, L, C, E>,
    app: &AppId,
    id: ChallengeId,
) -> Result<Cancelled, Failure>
where
    L: LoadLedgers + StoreLedgers,
    C: Clock,
    E: Entropy,
{
    let decide = |ledger: Option<Ledger>, now| match ledger {
        None => (None, Cancelled::NotFound),
        Some(ledger) => {
            let (ledger, outcome) = decide(ledger, app, id, now);
            (Some(ledger), outcome)
        }
    };
    Ok(transact(ports, &id.subject, decide).await?.outcome)
}
