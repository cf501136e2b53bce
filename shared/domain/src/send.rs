//! Send: the next code of a challenge goes out. A send is *claimed* in the ledger, then *made* by
//! a courier, then *marked*: at most one message per generation, also when the courier times out.
//! On a challenge that has been sent before this is a resend, held back by cool-down and count.

mod deliver;
mod guarded;

pub use deliver::{Couriers, Delivery, Sent, Unreached, send};

use crate::{
    Address, App, ChallengeId, Channel, Code, Keyring, Ledger, SubjectKey, Timestamp,
    challenge::{Challenge, Mark, Send, Silence, State},
    guard::{Counted, Rule, Steps, Throttled},
    message_times::Fate,
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

    /// Whether it is a lock of the subject or a block of the guard: what an app can conceal from whoever
    /// may have tripped it. Limits are told, so that clients know when to come back.
    #[must_use]
    pub const fn is_block(&self) -> bool {
        match self {
            Self::Exhausted(until) => until.is_some(),
            Self::Blocked(_) => true,
            Self::NotFound
            | Self::Expired
            | Self::AlreadyUsed
            | Self::CoolingDown(_)
            | Self::SendsExhausted
            | Self::AlreadySent
            | Self::NeverSent
            | Self::NoAddress(_)
            | Self::TooMany(_)
            | Self::Throttled(_) => false,
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
    /// The scope that its code is asked for, in a step-up.
    pub scope: Option<String>,
    /// How long no other can be claimed.
    pub cool_down: Duration,
    /// Why it is claimed and marked but not made, where it is not.
    pub silence: Option<Silence>,
}

impl Claim {
    /// Whether the message is handed to a courier.
    pub(crate) fn fate(&self) -> Fate {
        fate(self.silence.as_ref())
    }
}

fn fate(silence: Option<&Silence>) -> Fate {
    match silence {
        Some(Silence::Concealed) => Fate::Suppressed,
        Some(Silence::Test(_)) | None => Fate::Delivered,
    }
}

/// Decides a send of a challenge that exists, and claims it.
pub fn claim(
    ledger: Ledger,
    keyring: &Keyring,
    id: ChallengeId,
    wish: &Wish,
    now: Timestamp,
) -> (Ledger, Result<Claim, Refusal>) {
    claim_as(ledger, keyring, id, wish, Concealment::Off, now)
}

fn claim_as(
    mut ledger: Ledger,
    keyring: &Keyring,
    id: ChallengeId,
    wish: &Wish,
    concealment: Concealment,
    now: Timestamp,
) -> (Ledger, Result<Claim, Refusal>) {
    let claimed = admit(&ledger, id, wish, concealment, now)
        .and_then(|admitted| prepare(keyring, id, wish, admitted, now));
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
    concealment: Concealment,
    now: Timestamp,
) -> Result<Admitted<'a>, Refusal> {
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
    let reachable = |channel: &Channel| challenge.addresses.on(*channel);
    if let Some(missing) = wish.channels.iter().find(|channel| reachable(channel).is_none()) {
        return Err(Refusal::NoAddress(*missing));
    }
    let to = wish.channels.first().and_then(reachable).unwrap_or(challenge.addresses.primary());
    let is_suppressed = concealment == Concealment::On;
    let fate = if is_suppressed { Fate::Suppressed } else { fate(challenge.silence.as_ref()) };
    let before = match to.channel() {
        Channel::Sms | Channel::Email => ledger.unanswered(challenge.lookup.into(), fate, now),
        // A code that is handed to its caller is no message.
        Channel::Caller => Vec::new(),
    };
    check_pace(challenge, &before, now)?;
    Ok(Admitted { challenge, to, sends: challenge.sends.len().max(before.len()) })
}

/// A send that is allowed.
struct Admitted<'a> {
    challenge: &'a Challenge,
    /// Where it goes.
    to: &'a Address,
    /// How many messages its cool-down grows with.
    sends: usize,
}

/// Whether the challenge may have another message, and already now. The cool-down is the subject's,
/// for each class of callers: `before` is what that class had sent to it, whatever the challenges.
fn check_pace(challenge: &Challenge, before: &[Timestamp], now: Timestamp) -> Result<(), Refusal> {
    let policy = &challenge.policy;
    let has_had_all = challenge.sends.len() >= policy.max_sends.into();
    if has_had_all || challenge.generation >= u32::from(policy.max_sends) * MAX_TRIES_PER_SEND {
        return Err(Refusal::SendsExhausted);
    }
    let own = challenge.last_send().map(|send| send.at + policy.cool_down(challenge.sends.len()));
    let of_class = before.last().map(|at| *at + policy.cool_down(before.len()));
    match own.max(of_class).filter(|at| *at > now) {
        Some(resend_at) => Err(Refusal::CoolingDown(resend_at)),
        None => Ok(()),
    }
}

fn prepare(
    keyring: &Keyring,
    id: ChallengeId,
    wish: &Wish,
    Admitted { challenge, to, sends }: Admitted<'_>,
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
        scope: challenge.scope.clone(),
        cool_down: policy.cool_down(sends + 1),
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
    /// One that is found by naming its subject: it is opened in the same step; or, as a resend, it is
    /// the one that was opened so for the same addresses before and still waits for its code.
    Identity(&'a Open, &'a Arc<App>),
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
            Self::Identity(open, _) | Self::Ordered(open, _) => open.id.subject,
            Self::Named(subject, _) => *subject,
        }
    }

    /// The app, where the caller is known.
    const fn app(&self) -> Option<&'a Arc<App>> {
        match self {
            Self::Existing(_, app) => *app,
            Self::Identity(_, app)
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
            Self::Identity(open, _) | Self::Ordered(open, _) => ledger.find(open.id),
            Self::Named(..) => ledger.named(now),
        }
    }
}

/// Whether a refusal that the caller shall not see is decided as if nothing stood in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Concealment {
    /// Every refusal is told.
    Off,
    /// A lock of the subject or a block of the guard is not: the message is claimed and counted like
    /// any other, and suppressed.
    On,
}

/// Decides a send, opening its challenge first where it has none yet. A refused send opens nothing,
/// and pushes nothing out.
fn decide(
    ledger: Option<Ledger>,
    keyring: &Keyring,
    target: Target<'_>,
    wish: &Wish,
    concealment: Concealment,
    now: Timestamp,
) -> (Option<Ledger>, Result<Claim, Refusal>) {
    match locate(ledger.clone(), target, concealment, now) {
        Ok((found, id)) => match claim_concealed(found, keyring, id, wish, concealment, now) {
            (after, Ok(claim)) => (Some(after), Ok(claim)),
            (_, Err(refusal)) => (ledger, Err(refusal)),
        },
        Err(refusal) => (ledger, Err(refusal)),
    }
}

/// The challenge that a send is for, in a ledger that has it.
fn locate(
    ledger: Option<Ledger>,
    target: Target<'_>,
    concealment: Concealment,
    now: Timestamp,
) -> Result<(Ledger, ChallengeId), Refusal> {
    // Another app's ledger is no ledger, and its name is not told.
    let is_own = |ledger: &Ledger| target.app().is_none_or(|app| app.id == ledger.app);
    match target {
        Target::Existing(id, _) => Ok((ledger.filter(is_own).ok_or(Refusal::NotFound)?, id)),
        Target::Again(id, _) => {
            let ledger = ledger.filter(is_own).ok_or(Refusal::NotFound)?;
            let is_unsent = ledger.find(id).is_some() && !was_sent(&ledger, id);
            if is_unsent { Err(Refusal::NeverSent) } else { Ok((ledger, id)) }
        }
        Target::Named(subject, _) => {
            let ledger = ledger.filter(is_own).ok_or(Refusal::NotFound)?;
            let id = ledger.named(now).map(|challenge| challenge.id(subject));
            Ok((ledger, id.ok_or(Refusal::NotFound)?))
        }
        Target::Identity(command, app) => {
            let ledger = ledger.unwrap_or_else(|| Ledger::new(app.id.clone()));
            match waiting(&ledger, command, concealment, now) {
                Some(id) => Ok((ledger, id)),
                None => opened(ledger, command, now),
            }
        }
        Target::Ordered(command, app) => {
            let ledger = ledger.unwrap_or_else(|| Ledger::new(app.id.clone()));
            if was_sent(&ledger, command.id) {
                return Err(Refusal::AlreadySent);
            }
            opened(ledger, command, now)
        }
    }
}

fn opened(
    ledger: Ledger,
    command: &Open,
    now: Timestamp,
) -> Result<(Ledger, ChallengeId), Refusal> {
    match open::decide(ledger, command, now) {
        (ledger, Opened::Opened) => Ok((ledger, command.id)),
        (_, Opened::TooMany(room_at)) => Err(Refusal::TooMany(room_at)),
    }
}

/// Claims a message; where a lock of the subject is concealed, for a challenge that reaches nobody
/// from now on.
fn claim_concealed(
    mut ledger: Ledger,
    keyring: &Keyring,
    id: ChallengeId,
    wish: &Wish,
    concealment: Concealment,
    now: Timestamp,
) -> (Ledger, Result<Claim, Refusal>) {
    let is_locked = |challenge: &Challenge| ledger.locked_until(challenge, now).is_some();
    if concealment == Concealment::On && ledger.find(id).is_some_and(is_locked) {
        suppress(&mut ledger, id);
    }
    claim_from_primary(ledger, keyring, id, wish, concealment, now)
}

/// Lets a challenge reach nobody from now on.
fn suppress(ledger: &mut Ledger, id: ChallengeId) {
    if let Some(challenge) = ledger.find_mut(id) {
        challenge.silence = Some(Silence::Concealed);
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
    concealment: Concealment,
    now: Timestamp,
) -> (Ledger, Result<Claim, Refusal>) {
    let addresses = ledger.find(id).map(|challenge| &challenge.addresses);
    match (addresses, wish.channels.first()) {
        (Some(addresses), Some(first)) if !addresses.are_proven_on(*first) => {
            (ledger, Err(Refusal::NoAddress(*first)))
        }
        _ => claim_as(ledger, keyring, id, wish, concealment, now),
    }
}

/// The challenge that a send to an identity is a resend of. One that is suppressed waits for those
/// alone whose own would be suppressed.
fn waiting(
    ledger: &Ledger,
    command: &Open,
    concealment: Concealment,
    now: Timestamp,
) -> Option<ChallengeId> {
    let waits = |challenge: &&Challenge| {
        let is_concealed = challenge.silence == Some(Silence::Concealed);
        let suits = concealment == Concealment::On || is_concealed == command.is_concealed();
        suits && challenge.is_live(now) && command.is_like(challenge)
    };
    let waiting = ledger.challenges.iter().rev().find(waits)?;
    Some(waiting.id(command.id.subject))
}
