//! Send: the next code of a challenge goes out. A send is *claimed* in the ledger, then *made* by
//! a courier, then *marked*: at most one message per generation, also when the courier times out.
//! On a challenge that has been sent before this is a resend, held back by cool-down and count.

use crate::{
    Address, App, AppId, ChallengeId, Channel, Code, Keyring, Ledger, Timestamp,
    challenge::{Challenge, Mark, Send, State},
    message::{self, Text},
    open::{self, Open, Opened},
    ports::{
        Cause, Clock, CourierError, EmailCourier, Entropy, LoadApps, LoadLedgers, SmsCourier,
        StoreError, StoreLedgers,
    },
    transact::{Failure, Ports, Settled, transact},
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

/// The couriers, by channel.
pub struct Couriers<'a, S, M> {
    /// Sends text messages.
    pub sms: &'a S,
    /// Sends e-mails.
    pub email: &'a M,
}

/// What came of a send.
#[derive(Debug)]
pub enum Sent {
    /// A courier took the message.
    Sent(ChallengeId, Channel),
    /// Nothing was sent, by the rules.
    Refused(Refusal),
    /// The challenge's app is blocked or gone. Nothing was sent, the claim is released.
    AppBlocked,
    /// Every courier refused. Nothing was sent, the claim is released.
    Undeliverable(Cause),
    /// The message may have gone out on this channel; a resend is possible after the cool-down.
    Unknown(Channel, Duration, Cause),
}

/// A send's outcome, and whom it was for.
#[derive(Debug)]
pub struct Delivery {
    /// What came of it.
    pub sent: Sent,
    /// The app of the challenge, where the challenge was found.
    pub app: Option<AppId>,
    /// Why the outcome could not be marked, if it could not. The message's fate is unchanged.
    pub unmarked: Option<Cause>,
}

/// Claims, makes and marks a send: one read, one write, one message, one write. A channel whose
/// courier refuses costs one more write: the next channel is a claim of its own, with a code of its
/// own, so the ledger always knows which address a code has gone to.
pub async fn send<L, C, E, A, S, M>(
    ports: Ports<'_, L, C, E>,
    keyring: &Keyring,
    apps: &A,
    couriers: Couriers<'_, S, M>,
    target: Target<'_>,
    wish: &Wish,
) -> Result<Delivery, Failure>
where
    L: LoadLedgers + StoreLedgers,
    C: Clock,
    E: Entropy,
    A: LoadApps,
    S: SmsCourier,
    M: EmailCourier,
{
    let (subject, known_app) = match target {
        Target::Existing(id, app) => (id.subject, app),
        Target::New(open, app) | Target::Ordered(open, app) => (open.id.subject, Some(app)),
        Target::Again(id, app) => (id.subject, Some(app)),
    };
    let decide = |ledger, now| decide(ledger, keyring, target, wish, now);
    let mut settled = transact(ports, &subject, decide).await?;
    let app_id = settled.ledger.as_ref().map(|ledger| ledger.app.clone());
    let mut channels = &wish.channels[..];
    loop {
        let delivery = |sent, unmarked| Delivery { sent, app: app_id.clone(), unmarked };
        let claim = match &settled.outcome {
            Ok(claim) => claim.clone(),
            Err(refusal) => return Ok(delivery(Sent::Refused(*refusal), None)),
        };
        let (sent, report) = match sender(known_app, app_id.as_ref(), apps).await {
            Ok(Some(app)) => make(&couriers, &app, &claim, wish).await,
            Ok(None) => (Sent::AppBlocked, Report::Refused),
            Err(error) => {
                let _ = conclude(ports, &claim, Report::Refused, settled).await;
                return Err(error.into());
            }
        };
        channels = channels.get(1..).unwrap_or_default();
        if let (Sent::Undeliverable(_), false) = (&sent, channels.is_empty()) {
            let next = Wish { channels: channels.to_vec(), ..wish.clone() };
            settled = reclaim(ports, keyring, &claim, &next, settled).await?;
        } else {
            let unmarked = conclude(ports, &claim, report, settled).await.err();
            return Ok(delivery(sent, unmarked));
        }
    }
}

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

/// The app whose message it is, unless it is blocked or gone.
async fn sender<A: LoadApps>(
    known: Option<&Arc<App>>,
    id: Option<&AppId>,
    apps: &A,
) -> Result<Option<Arc<App>>, StoreError> {
    let app = match (known, id) {
        (Some(app), _) => Some(app.clone()),
        (None, Some(id)) => apps.load_app(id).await?,
        (None, None) => None,
    };
    Ok(app.filter(|app| !app.blocked))
}

/// Hands the message to the courier of its channel.
async fn make<S: SmsCourier, M: EmailCourier>(
    couriers: &Couriers<'_, S, M>,
    app: &App,
    claim: &Claim,
    wish: &Wish,
) -> (Sent, Report) {
    let text = Text {
        app,
        template: claim.template.as_deref(),
        app_hash: claim.app_hash.as_deref(),
        locale: wish.locale.as_deref(),
        code: &claim.code,
        life: claim.life,
    };
    let channel = claim.to.channel();
    let result = match &claim.to {
        Address::Phone(to) => couriers.sms.send(to, &message::sms(&text)).await,
        Address::Email(to) => couriers.email.send(to, &message::email(&text)).await,
    };
    match result {
        Ok(()) => (Sent::Sent(claim.id, channel), Report::Accepted),
        Err(CourierError::Refused(cause)) => (Sent::Undeliverable(cause), Report::Refused),
        Err(CourierError::Unknown(cause)) => {
            (Sent::Unknown(channel, claim.cool_down, cause), Report::Unknown)
        }
    }
}

/// Releases a claim that was refused, and claims the next channel, in one step.
async fn reclaim<L, C, E, T>(
    ports: Ports<'_, L, C, E>,
    keyring: &Keyring,
    refused: &Claim,
    next: &Wish,
    settled: Settled<T>,
) -> Result<Settled<Result<Claim, Refusal>>, Failure>
where
    L: LoadLedgers + StoreLedgers,
    C: Clock,
    E: Entropy,
    T: std::marker::Send,
{
    let decide = |ledger: Option<Ledger>, now| match ledger {
        None => (None, Err(Refusal::NotFound)),
        Some(ledger) => {
            let ledger = mark(ledger, refused.id, refused.generation, Report::Refused);
            let (ledger, claim) = claim(ledger, keyring, refused.id, next, now);
            (Some(ledger), claim)
        }
    };
    follow_up(ports, &refused.id, settled, decide).await
}

/// Stores a send's mark.
async fn conclude<L, C, E, T>(
    ports: Ports<'_, L, C, E>,
    claim: &Claim,
    report: Report,
    settled: Settled<T>,
) -> Result<(), Cause>
where
    L: LoadLedgers + StoreLedgers,
    C: Clock,
    E: Entropy,
    T: std::marker::Send,
{
    let decide = |ledger: Option<Ledger>, _| {
        (ledger.map(|ledger| mark(ledger, claim.id, claim.generation, report)), ())
    };
    follow_up(ports, &claim.id, settled, decide).await.map(drop).map_err(Into::into)
}

/// Decides on the ledger that the step before left, without another read unless somebody came
/// between.
async fn follow_up<L, C, E, T, U>(
    ports: Ports<'_, L, C, E>,
    id: &ChallengeId,
    settled: Settled<T>,
    mut decide: impl FnMut(Option<Ledger>, Timestamp) -> (Option<Ledger>, U) + std::marker::Send,
) -> Result<Settled<U>, Failure>
where
    L: LoadLedgers + StoreLedgers,
    C: Clock,
    E: Entropy,
    T: std::marker::Send,
    U: std::marker::Send,
{
    let (ledger, outcome) = decide(settled.ledger, ports.clock.now());
    let Some(ledger) = ledger else {
        return Ok(Settled { outcome, ledger: None, version: settled.version });
    };
    match ports.ledgers.store(&id.subject, &ledger, settled.version).await {
        Ok(version) => Ok(Settled { outcome, ledger: Some(ledger), version }),
        Err(StoreError::Conflict) => transact(ports, &id.subject, decide).await,
        Err(StoreError::Unavailable(cause)) => Err(Failure::Unavailable(cause)),
    }
}
