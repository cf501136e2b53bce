//! What a send comes to, as the contract says it.

use crate::Refusal;
use passcode_domain::{
    App, Timestamp,
    ports::Clock,
    send::{self, Delivery, Sent},
};
use passcode_http::{Answer, Caller, RETRY, Record};

/// How an answer names a challenge that is not there, and one that has expired.
#[derive(Clone, Debug)]
pub struct Lost {
    /// Not there.
    pub missing: Refusal,
    /// Expired.
    pub expired: Refusal,
}

fn refusal(refused: send::Refusal, lost: Lost, now: Timestamp) -> Refusal {
    use send::Refusal as Refused;
    match refused {
        Refused::NotFound | Refused::AlreadyUsed | Refused::NeverSent => lost.missing,
        Refused::Expired => lost.expired,
        Refused::NoAddress(_) => Refusal::BadRequest("the channel does not reach it".into()),
        // The subject has guessed wrong too often, or the guard has found something.
        Refused::Exhausted(Some(_)) | Refused::Blocked(_) => Refusal::AuthBlocked,
        Refused::Exhausted(None) | Refused::SendsExhausted | Refused::AlreadySent => {
            Refusal::RateLimited(None)
        }
        Refused::CoolingDown(until) | Refused::TooMany(until) => {
            Refusal::RateLimited(Some(now.until(until)))
        }
        Refused::Throttled(full) => Refusal::RateLimited(Some(now.until(full.until))),
    }
}

/// The answer to a send; `sent` makes it where a message is on its way, or shall seem so. A message
/// whose fate is unknown is one of them: if it has arrived, its code works, and if not, the browser
/// has what it needs for the next.
pub fn deliver(
    delivery: Delivery,
    record: Record,
    now: Timestamp,
    lost: Lost,
    sent: impl FnOnce(Record) -> Answer,
) -> Answer {
    let record = record.delivery(&delivery);
    let (id, channel, outcome) = match delivery.sent {
        Sent::Sent(id, channel) => (id, channel, "sent"),
        Sent::Tested(id, channel) => (id, channel, "tested"),
        Sent::Concealed(id, channel) => (id, channel, "concealed"),
        Sent::Unknown(channel, _, cause) => {
            let record = Record { outcome: "unknown", ..record };
            return sent(record.channel(channel).cause(&cause));
        }
        Sent::Refused(refused) => {
            let answer = refusal(refused, lost, now).answer(record);
            return answer.rate_limit(Caller::WithoutCredentials, &refused, now);
        }
        Sent::AppBlocked => return Refusal::AuthBlocked.answer(record),
        Sent::Undeliverable(cause) => {
            return Refusal::Internal(RETRY).answer(record.cause(&cause));
        }
    };
    sent(Record { outcome, ..record.challenge(id).channel(channel) })
}

/// Waits until the time that a send takes tells nothing, for an app that conceals its blocks. What is
/// refused before anything is decided is answered at once: nothing is to be concealed there, and a
/// request that is held costs an execution.
pub async fn even_out(app: &App, clock: &impl Clock, began: Timestamp) {
    if app.conceal_blocks {
        clock.sleep(send::pause_after(began, clock.now())).await;
    }
}
