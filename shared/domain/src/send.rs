//! Send: the next code of a challenge goes out. A send is *claimed* in the ledger, then *made* by
//! a courier, then *marked*: at most one message per generation, also when the courier times out.
//! On a challenge that has been sent before this is a resend, held back by cool-down and count.

mod deliver;

pub use deliver::{Couriers, Delivery, Sent, send};

use crate::{
    Address, App, ChallengeId, Channel, Code, Keyring, Ledger, Timestamp,
    challenge::{Challenge, Mark, Send, State},
    open::{self, Open, Opened},
};
use std::{sync::Arc, time::Duration};

/// Messages that every courier refused are not counted as sends; this many times the policy's
/// sends is the end of it all the same.
const MAX_TRIES_PER_SEND: u32 = 4;

/// What a caller asks of a send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The channels to try, in order; the first is the one of the address the challenge is about.
    pub channels: Vec<Channel>,
    /// Digits of the code; as the code before, or the challenge's policy, where absent.
    pub length: Option<u8>,
    /// Seconds the code shall live; never longer than policy and challenge allow.
    pub code_seconds: Option<u32>,
    /// The language of the message (BCP 47); the app's where absent.
    pub locale: Option<String>,
}

/// Why nothing is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such challenge, or it is another app's.
    NotFound,
    /// Its life is over.
    Expired,
    /// The right code came before, or the challenge was given up.
    AlreadyUsed,
    /// No attempts are left, so no code could be verified; for a locked subject, until then.
    Exhausted(Option<Timestamp>),
    /// The last message is too recent; a resend is possible then.
    CoolingDown(Timestamp),
    /// The challenge has had all of its messages.
    SendsExhausted,
    /// The same order was sent before: the message is out already.
    AlreadySent,
    /// A resend of what was never sent.
    NeverSent,
    /// The challenge has no address on this channel, or is about another one.
    NoAddress(Channel),
    /// The subject has too many open challenges; room appears then.
    TooMany(Timestamp),
}

/// A send that is this caller's to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The challenge it is for.
    pub id: ChallengeId,
    /// Which code it carries.
    pub generation: u32,
    /// The code.
    pub code: Code,
    /// How long the code lives.
    pub life: Duration,
    /// Where it goes.
    pub to: Address,
    /// The app's template for it.
    pub template: Option<String>,
    /// What an Android app is recognised by.
    pub app_hash: Option<String>,
    /// How long no other can be claimed.
    pub cool_down: Duration,
}

/// Decides a send of a challenge that exists, and claims it.
pub fn claim(
    mut ledger: Ledger,
    keyring: &Keyring,
    id: ChallengeId,
    wish: &Wish,
    now: Timestamp,
) -> (Ledger, Result<Claim, Refusal>) {
    let claimed = admit(&ledger, id, wish, now)
        .and_then(|(challenge, to)| prepare(challenge, keyring, id, wish, to, now));
    let claim = claimed.map(|(send, claim)| {
        if let Some(challenge) = ledger.find_mut(id) {
            challenge.generation = send.generation;
            challenge.sends.push(send);
        }
        claim
    });
    (ledger, claim)
}

/// Whether a send is allowed, and where it goes.
fn admit<'a>(
    ledger: &'a Ledger,
    id: ChallengeId,
    wish: &Wish,
    now: Timestamp,
) -> Result<(&'a Challenge, &'a Address), Refusal> {
    let challenge = ledger.find(id).ok_or(Refusal::NotFound)?;
    let policy = &challenge.policy;
    if challenge.state != State::Open {
        return Err(Refusal::AlreadyUsed);
    }
    if challenge.has_expired(now) {
        return Err(Refusal::Expired);
    }
    let locked_until = ledger.locked_until(policy.max_failures, now);
    if challenge.is_exhausted() || locked_until.is_some() {
        return Err(Refusal::Exhausted(locked_until));
    }
    let has_had_all = challenge.sends.len() >= policy.max_sends.into();
    if has_had_all || challenge.generation >= u32::from(policy.max_sends) * MAX_TRIES_PER_SEND {
        return Err(Refusal::SendsExhausted);
    }
    let resend_at = challenge.last_send().map(|send| send.at + policy.cool_down());
    if let Some(resend_at) = resend_at.filter(|at| *at > now) {
        return Err(Refusal::CoolingDown(resend_at));
    }
    let reachable = |channel: &Channel| challenge.addresses.on(*channel);
    if let Some(missing) = wish.channels.iter().find(|channel| reachable(channel).is_none()) {
        return Err(Refusal::NoAddress(*missing));
    }
    let to = wish.channels.first().and_then(reachable);
    Ok((challenge, to.unwrap_or(challenge.addresses.primary())))
}

fn prepare(
    challenge: &Challenge,
    keyring: &Keyring,
    id: ChallengeId,
    wish: &Wish,
    to: &Address,
    now: Timestamp,
) -> Result<(Send, Claim), Refusal> {
    let policy = &challenge.policy;
    let wished = wish.code_seconds.map(|seconds| Duration::from_secs(seconds.into()));
    let life = wished.map_or(policy.code_life(), |wished| wished.min(policy.code_life()));
    let before = challenge.last_send().map(|send| send.length);
    let send = Send {
        generation: challenge.generation + 1,
        key: keyring.current_id().clone(),
        channel: to.channel(),
        length: wish.length.or(before).unwrap_or(policy.code_length),
        at: now,
        expires_at: challenge.expires_at.min(now + life),
        mark: Mark::Claimed,
    };
    // The current key is always in its own keyring.
    let code = challenge.code(keyring, id.subject, &send).ok_or(Refusal::Expired)?;
    let claim = Claim {
        id,
        generation: send.generation,
        code,
        life: now.until(send.expires_at),
        to: to.clone(),
        template: challenge.template.clone(),
        app_hash: challenge.app_hash.clone(),
        cool_down: policy.cool_down(),
    };
    Ok((send, claim))
}

/// What became of a claimed send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// A courier took the message.
    Accepted,
    /// The courier did not say: the message may have gone out.
    Unknown,
    /// The courier refused: the message has certainly not gone out.
    Refused,
}

/// Marks a claimed send. A refused one leaves nothing behind but its generation: no cool-down, no
/// count, and the code before it works again. Marking twice is marking once.
#[must_use]
pub fn mark(mut ledger: Ledger, id: ChallengeId, generation: u32, report: Report) -> Ledger {
    let Some(challenge) = ledger.find_mut(id) else { return ledger };
    let own = |send: &Send| send.generation == generation && send.mark == Mark::Claimed;
    let mark = match report {
        Report::Accepted => Mark::Accepted,
        Report::Unknown => Mark::Unknown,
        Report::Refused => {
            challenge.sends.retain(|send| !own(send));
            return ledger;
        }
    };
    if let Some(send) = challenge.sends.iter_mut().find(|send| own(send)) {
        send.mark = mark;
    }
    ledger
}

/// Which challenge a send is for.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// One that exists, of this app, or of any app where the id alone is the caller's right.
    Existing(ChallengeId, Option<&'a Arc<App>>),
    /// One that is opened in the same step; or, as a resend, the one that was opened this way for
    /// the same addresses before and still waits for its code.
    New(&'a Open, &'a Arc<App>),
    /// One that is opened in the same step under an order's id, and sent once.
    Ordered(&'a Open, &'a Arc<App>),
    /// One that exists, of this app, and was sent before.
    Again(ChallengeId, &'a Arc<App>),
}

/// Decides a send, opening its challenge first where it has none yet.
fn decide(
    ledger: Option<Ledger>,
    keyring: &Keyring,
    target: Target<'_>,
    wish: &Wish,
    now: Timestamp,
) -> (Option<Ledger>, Result<Claim, Refusal>) {
    match target {
        Target::Existing(id, app) => {
            let is_own = |ledger: &Ledger| app.is_none_or(|app| app.id == ledger.app);
            match ledger {
                Some(ledger) if is_own(&ledger) => {
                    let (ledger, claim) = claim_from_primary(ledger, keyring, id, wish, now);
                    (Some(ledger), claim)
                }
                // Another app's ledger is no ledger, and its name is not told.
                _ => (None, Err(Refusal::NotFound)),
            }
        }
        Target::New(command, app) => {
            let before = ledger.unwrap_or_else(|| Ledger::new(app.id.clone()));
            let (id, opened) = reuse_or_open(before.clone(), command, now);
            let (after, claim) = match opened {
                (opened, Opened::Opened) => claim_from_primary(opened, keyring, id, wish, now),
                (full, Opened::TooMany(room_at)) => (full, Err(Refusal::TooMany(room_at))),
            };
            // A refused send opens nothing, and pushes nothing out.
            (Some(if claim.is_ok() { after } else { before }), claim)
        }
        Target::Ordered(command, app) => {
            let before = ledger.unwrap_or_else(|| Ledger::new(app.id.clone()));
            if was_sent(&before, command.id) {
                return (Some(before), Err(Refusal::AlreadySent));
            }
            let (after, claim) = match open::add(before.clone(), command, false, now) {
                (opened, Opened::Opened) => {
                    claim_from_primary(opened, keyring, command.id, wish, now)
                }
                (full, Opened::TooMany(room_at)) => (full, Err(Refusal::TooMany(room_at))),
            };
            (Some(if claim.is_ok() { after } else { before }), claim)
        }
        Target::Again(id, app) => match ledger {
            Some(ledger) if ledger.find(id).is_some() && !was_sent(&ledger, id) => {
                (Some(ledger), Err(Refusal::NeverSent))
            }
            ledger => decide(ledger, keyring, Target::Existing(id, Some(app)), wish, now),
        },
    }
}

fn was_sent(ledger: &Ledger, id: ChallengeId) -> bool {
    ledger.find(id).is_some_and(|challenge| !challenge.sends.is_empty())
}

/// Guesses are counted in the ledger of the address a challenge is about, so its codes go there
/// first, and elsewhere only when they cannot.
fn claim_from_primary(
    ledger: Ledger,
    keyring: &Keyring,
    id: ChallengeId,
    wish: &Wish,
    now: Timestamp,
) -> (Ledger, Result<Claim, Refusal>) {
    let primary = ledger.find(id).map(|challenge| challenge.addresses.primary().channel());
    match (primary, wish.channels.first()) {
        (Some(primary), Some(first)) if primary != *first => {
            (ledger, Err(Refusal::NoAddress(*first)))
        }
        _ => claim(ledger, keyring, id, wish, now),
    }
}

fn reuse_or_open(
    ledger: Ledger,
    command: &Open,
    now: Timestamp,
) -> (ChallengeId, (Ledger, Opened)) {
    let waiting = ledger.challenges.iter().rev().find(|challenge| {
        challenge.is_direct && challenge.is_live(now) && command.is_like(challenge)
    });
    match waiting.map(|challenge| challenge.id(command.id.subject)) {
        Some(id) => (id, (ledger, Opened::Opened)),
        None => (command.id, open::add(ledger, command, true, now)),
    }
}
