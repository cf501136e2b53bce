//! What a send comes to, as the contract says it.

use crate::Error;
use passcode_domain::{
    App, Keyring, Timestamp, World,
    action::send::{self, Delivery, Refusal, Sent},
    ports::Clock as _,
};
use passcode_http::{Caller, RETRY, Record, RefusedSend};

/// How an answer names a challenge that is not there, and one that has expired.
#[derive(Debug)]
pub struct ChallengeLost {
    /// Not there.
    pub missing: Error,
    /// Expired.
    pub expired: Error,
}

/// The error for a send that the rules have refused.
pub(crate) fn error(refused: &RefusedSend) -> Error {
    match refused.refusal {
        Refusal::NotFound | Refusal::AlreadyUsed | Refusal::NeverSent | Refusal::Expired => {
            Error::InvalidChallengeToken
        }
        Refusal::NoAddress(_) => Error::BadRequest("the channel does not reach it".into()),
        // The subject has guessed wrong too often, or the guard has found something.
        Refusal::Exhausted(Some(_)) | Refusal::Blocked(_) => Error::AuthBlocked,
        Refusal::Exhausted(None) | Refusal::SendsExhausted | Refusal::AlreadySent => {
            Error::RateLimited(None)
        }
        Refusal::CoolingDown(until) | Refusal::TooMany(until) => {
            Error::RateLimited(Some(refused.wait(until)))
        }
        Refusal::Throttled(full) => Error::RateLimited(Some(refused.wait(full.until))),
    }
}

/// Whether a message is on its way, or shall seem so. A message whose fate is unknown is one of them: if
/// it has arrived, its code works, and if not, the browser has what it needs for the next.
pub fn sent(
    delivery: Delivery,
    lost: ChallengeLost,
    now: Timestamp,
    keyring: &Keyring,
    record: &mut Record,
) -> Result<(), Error> {
    record.delivery(&delivery, keyring);
    match delivery.sent {
        Sent::Sent(..) | Sent::ToTestAddress(..) | Sent::Concealed(..) => Ok(()),
        Sent::Unknown(_, _, cause) => {
            record.outcome = "unknown";
            record.error(cause.as_ref());
            Ok(())
        }
        Sent::Refused(Refusal::NotFound | Refusal::AlreadyUsed | Refusal::NeverSent) => {
            Err(lost.missing)
        }
        Sent::Refused(Refusal::Expired) => Err(lost.expired),
        Sent::Refused(refusal) => {
            let caller = Caller::WithoutCredentials;
            Err(Error::Send(RefusedSend { refusal, at: now, caller }))
        }
        Sent::AppBlocked => Err(Error::AuthBlocked),
        Sent::Undeliverable(cause) => Err(Error::Internal(RETRY, cause)),
    }
}

/// Waits until the time that a send takes tells nothing, for an app that conceals its blocks. What is
/// refused before anything is decided is answered at once: nothing is to be concealed there, and a
/// request that is held costs an execution.
pub async fn even_out<W: World>(world: &W, app: &App, began: Timestamp) {
    if app.conceal_blocks {
        let clock = world.clock();
        clock.sleep(send::pause_after(began, clock.now())).await;
    }
}
