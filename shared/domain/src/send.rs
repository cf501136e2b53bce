//! Send: the next code of a challenge goes out. A send is *claimed* in the ledger, then *made* by
//! a courier, then *marked*: at most one message per generation, also when the courier times out.
//! On a challenge that has been sent before this is a resend, held back by cool-down and count.

mod deliver;
mod guarded;

pub use deliver::{Couriers, Delivery, Sent, Unreached, send};

use crate::{
    Address, App, ChallengeId, Channel, Code, Keyring, Ledger, SubjectKey, Timestamp,
    challenge::{Challenge, Lookup, Mark, Send, Silence, State},
    guard::{Counted, Rule, Steps, Throttled},
    open::{self, Open, Opened},
};
use std::{net::IpAddr, sync::Arc, time::Duration};

/// Messages that every courier refused are not counted as sends; this many times the policy's
/// sends is the end of it all the same.
const MAX_TRIES_PER_SEND: u32 = 4;

/// What a caller asks of a send; a plain one leaves everything to the challenge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// The channels to try, in order; the first is the one of the address the challenge is about.
    pub channels: Vec<Channel>,
    /// Digits of the code; as the code before, or the challenge's policy, where absent.
    pub length: Option<u8>,
    /// Seconds the code shall live; never longer than policy and challenge allow.
    pub code_seconds: Option<u32>,
    /// The language of the message (BCP 47); the app's where absent.
    pub locale: Option<String>,
    /// What an Android app is recognised by at the end of the text message; the challenge's where
    /// absent.
    pub app_hash: Option<String>,
    /// The IP address that asks for it, where it is one that the rules can go by: the browser's or
    /// the phone's, and never that of a server.
    pub ip: Option<IpAddr>,
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
    /// The last message is too recent, or the subject's last failure; a send is possible then.
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
    /// A limit is used up.
    Throttled(Throttled),
    /// A rule of the guard speaks against it.
    Blocked(Rule),
}

impl Refusal {
    /// When another send is possible, where time alone makes it so.
    #[must_use]
    pub const fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Exhausted(until) => *until,
            Self::CoolingDown(until) | Self::TooMany(until) => Some(*until),
            Self::Throttled(throttled) => Some(throttled.until),
            Self::NotFound
            | Self::Expired
            | Self::AlreadyUsed
            | Self::SendsExhausted
            | Self::AlreadySent
            | Self::NeverSent
            | Self::NoAddress(_)
            | Self::Blocked(_) => None,
        }
    }
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
    /// Why it is claimed and marked but not made, where it is not.
    pub silence: Option<Silence>,
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
            // Nothing limits the messages of a test, and only the last one's code counts.
            if challenge.is_test() {
                challenge.sends.clear();
            }
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
    if challenge.state != State::Open {
        return Err(Refusal::AlreadyUsed);
    }
    if challenge.has_expired(now) {
        return Err(Refusal::Expired);
    }
    let locked_until = ledger.locked_until(challenge, now);
    if challenge.is_exhausted() || locked_until.is_some() {
        return Err(Refusal::Exhausted(locked_until));
    }
    if let Some(until) = ledger.paused_until(challenge, now) {
        return Err(Refusal::CoolingDown(until));
    }
    if !challenge.is_test() {
        check_pace(challenge, now)?;
    }
    let reachable = |channel: &Channel| challenge.addresses.on(*channel);
    if let Some(missing) = wish.channels.iter().find(|channel| reachable(channel).is_none()) {
        return Err(Refusal::NoAddress(*missing));
    }
    let to = wish.channels.first().and_then(reachable);
    Ok((challenge, to.unwrap_or(challenge.addresses.primary())))
}

/// Whether the challenge may have another message, and already now.
fn check_pace(challenge: &Challenge, now: Timestamp) -> Result<(), Refusal> {
    let policy = &challenge.policy;
    let has_had_all = challenge.sends.len() >= policy.max_sends.into();
    if has_had_all || challenge.generation >= u32::from(policy.max_sends) * MAX_TRIES_PER_SEND {
        return Err(Refusal::SendsExhausted);
    }
    let cool_down = policy.cool_down(challenge.sends.len());
    let resend_at = challenge.last_send().map(|send| send.at + cool_down);
    match resend_at.filter(|at| *at > now) {
        Some(resend_at) => Err(Refusal::CoolingDown(resend_at)),
        None => Ok(()),
    }
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
        counted: Counted::default(),
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
        cool_down: policy.cool_down(challenge.sends.len() + 1),
        silence: challenge.silence.clone(),
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
    let own = |send: &Send| send.is_claimed_as(generation);
    let mark = match report {
        Report::Accepted => Mark::Accepted,
        Report::Unknown => Mark::Unknown,
        Report::Refused => {
            let at = challenge.sends.iter().find(|send| own(send)).map(|send| send.at);
            challenge.sends.retain(|send| !own(send));
            let by = challenge.lookup.into();
            if let Some(at) = at {
                ledger.forget_sent(by, at);
            }
            return ledger;
        }
    };
    if let Some(send) = challenge.sends.iter_mut().find(|send| own(send)) {
        send.mark = mark;
    }
    ledger
}

/// What a refused send gives back to the gauges that it was counted in.
fn given_back(ledger: &Ledger, id: ChallengeId, generation: u32) -> Steps {
    let sends = ledger.find(id).into_iter().flat_map(|challenge| &challenge.sends);
    let refused = sends.filter(|send| send.is_claimed_as(generation));
    let mut steps = Steps::default();
    refused.for_each(|send| steps.extend(send.counted.given_back(send.at)));
    steps
}

/// How long an answer waits so that its time tells nothing: until the next whole second since the
/// request came. A message takes longer to send than not to send, but rarely a second.
#[must_use]
pub fn pause_after(began: Timestamp, now: Timestamp) -> Duration {
    let taken = began.until(now).as_millis() % 1000;
    Duration::from_millis(1000 - u64::try_from(taken).unwrap_or_default())
}

/// Which challenge a send is for.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// One that exists, of this app, or of any app where the id alone is the caller's right.
    Existing(ChallengeId, Option<&'a Arc<App>>),
    /// One that is opened in the same step; or, as a resend, the one that was opened this way for
    /// the same addresses before and still waits for its code.
    New(&'a Open, &'a Arc<App>),
    /// One that is opened in the same step under an id of its own, and sent once.
    Ordered(&'a Open, &'a Arc<App>),
    /// One that exists, of this app, and was sent before.
    Again(ChallengeId, &'a Arc<App>),
    /// The one that naming this subject leads to, of this app, and was sent before.
    Named(SubjectKey, &'a Arc<App>),
}

impl<'a> Target<'a> {
    /// Whose ledger the challenge is in.
    const fn subject(&self) -> SubjectKey {
        match self {
            Self::Existing(id, _) | Self::Again(id, _) => id.subject,
            Self::New(open, _) | Self::Ordered(open, _) => open.id.subject,
            Self::Named(subject, _) => *subject,
        }
    }

    /// The app, where the caller is known.
    const fn app(&self) -> Option<&'a Arc<App>> {
        match self {
            Self::Existing(_, app) => *app,
            Self::New(_, app)
            | Self::Ordered(_, app)
            | Self::Again(_, app)
            | Self::Named(_, app) => Some(app),
        }
    }

    /// The challenge, if it exists and is this app's.
    fn find<'l>(&self, ledger: &'l Ledger, now: Timestamp) -> Option<&'l Challenge> {
        if self.app().is_some_and(|app| app.id != ledger.app) {
            return None;
        }
        match self {
            Self::Existing(id, _) | Self::Again(id, _) => ledger.find(*id),
            Self::New(open, _) | Self::Ordered(open, _) => ledger.find(open.id),
            Self::Named(..) => ledger.named(now),
        }
    }
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
                    match claim {
                        Err(Refusal::Exhausted(Some(_))) if conceals(app) => {
                            let ledger = concealed(ledger, id);
                            let (ledger, claim) =
                                claim_from_primary(ledger, keyring, id, wish, now);
                            (Some(ledger), claim)
                        }
                        claim => (Some(ledger), claim),
                    }
                }
                // Another app's ledger is no ledger, and its name is not told.
                _ => (None, Err(Refusal::NotFound)),
            }
        }
        Target::New(command, app) => {
            let ledger = ledger.unwrap_or_else(|| Ledger::new(app.id.clone()));
            let id = waiting(&ledger, command, now).unwrap_or(command.id);
            if id == command.id {
                let (ledger, claim) = open_and_claim(ledger, keyring, command, app, wish, now);
                return (Some(ledger), claim);
            }
            let (ledger, claim) = claim_from_primary(ledger, keyring, id, wish, now);
            (Some(ledger), claim)
        }
        Target::Ordered(command, app) => {
            let ledger = ledger.unwrap_or_else(|| Ledger::new(app.id.clone()));
            if was_sent(&ledger, command.id) {
                return (Some(ledger), Err(Refusal::AlreadySent));
            }
            let (ledger, claim) = open_and_claim(ledger, keyring, command, app, wish, now);
            (Some(ledger), claim)
        }
        Target::Again(id, app) => match ledger {
            Some(ledger)
                if ledger.app == app.id && ledger.find(id).is_some() && !was_sent(&ledger, id) =>
            {
                (Some(ledger), Err(Refusal::NeverSent))
            }
            ledger => decide(ledger, keyring, Target::Existing(id, Some(app)), wish, now),
        },
        Target::Named(subject, app) => {
            let named = ledger.as_ref().and_then(|ledger| ledger.named(now));
            match named.map(|challenge| challenge.id(subject)) {
                Some(id) => decide(ledger, keyring, Target::Existing(id, Some(app)), wish, now),
                None => (ledger, Err(Refusal::NotFound)),
            }
        }
    }
}

/// Opens a challenge and claims its first message. A refused send opens nothing, and pushes nothing
/// out; where the app conceals that a caller is blocked, a challenge that reaches nobody is opened
/// in its place.
fn open_and_claim(
    before: Ledger,
    keyring: &Keyring,
    command: &Open,
    app: &App,
    wish: &Wish,
    now: Timestamp,
) -> (Ledger, Result<Claim, Refusal>) {
    let attempt = |command: &Open| match open::decide(before.clone(), command, now) {
        (opened, Opened::Opened) => claim_from_primary(opened, keyring, command.id, wish, now),
        (full, Opened::TooMany(room_at)) => (full, Err(Refusal::TooMany(room_at))),
    };
    let (after, claim) = match attempt(command) {
        (_, Err(Refusal::Exhausted(Some(_)))) if app.conceal_blocks => {
            attempt(&command.clone().concealed())
        }
        attempted => attempted,
    };
    (if claim.is_ok() { after } else { before }, claim)
}

fn conceals(app: Option<&Arc<App>>) -> bool {
    app.is_some_and(|app| app.conceal_blocks)
}

/// From now on the challenge reaches nobody: its subject is locked, and its caller shall not see it.
fn concealed(mut ledger: Ledger, id: ChallengeId) -> Ledger {
    if let Some(challenge) = ledger.find_mut(id) {
        challenge.silence = Some(Silence::Concealed);
    }
    ledger
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
    let addresses = ledger.find(id).map(|challenge| &challenge.addresses);
    match (addresses, wish.channels.first()) {
        (Some(addresses), Some(first)) if !addresses.are_proven_on(*first) => {
            (ledger, Err(Refusal::NoAddress(*first)))
        }
        _ => claim(ledger, keyring, id, wish, now),
    }
}

/// The challenge that a direct send is a resend of.
fn waiting(ledger: &Ledger, command: &Open, now: Timestamp) -> Option<ChallengeId> {
    let waits = |challenge: &&Challenge| {
        challenge.lookup != Lookup::Id && challenge.is_live(now) && command.is_like(challenge)
    };
    let waiting = ledger.challenges.iter().rev().find(waits)?;
    Some(waiting.id(command.id.subject))
}
