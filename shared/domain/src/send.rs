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
use std::{borrow::Borrow, sync::Arc, time::Duration};

/// What a caller asks of a send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The channels to try, in order.
    pub channels: Vec<Channel>,
    /// Digits of the code; the challenge's policy where absent.
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
    /// The challenge has no address on this channel.
    NoAddress(Channel),
    /// The subject has too many open challenges; room appears then.
    TooMany(Timestamp),
}

/// A send that is this caller's to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Which code it carries.
    pub generation: u32,
    /// The code.
    pub code: Code,
    /// How long the code lives.
    pub life: Duration,
    /// Where it may go, in order.
    pub route: Vec<Address>,
    /// The app's template for it.
    pub template: Option<String>,
}

/// Decides a send of a challenge that exists, and claims it.
pub fn claim(
    mut ledger: Ledger,
    keyring: &Keyring,
    id: ChallengeId,
    wish: &Wish,
    now: Timestamp,
) -> (Ledger, Result<Claim, Refusal>) {
    let claim = match admit(&ledger, id, wish, now) {
        Err(refusal) => Err(refusal),
        Ok((challenge, route)) => {
            let (send, claim) = prepare(challenge, keyring, id, wish, route, now);
            claim.inspect(|_| record(&mut ledger, id, send)).ok_or(Refusal::Expired)
        }
    };
    (ledger, claim)
}

/// Whether a send is allowed, and where it may go.
fn admit<'a>(
    ledger: &'a Ledger,
    id: ChallengeId,
    wish: &Wish,
    now: Timestamp,
) -> Result<(&'a Challenge, Vec<Address>), Refusal> {
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
    if challenge.sends.len() >= policy.max_sends.into() {
        return Err(Refusal::SendsExhausted);
    }
    let resend_at = challenge.last_send().map(|send| send.at + policy.cool_down());
    if let Some(resend_at) = resend_at.filter(|at| *at > now) {
        return Err(Refusal::CoolingDown(resend_at));
    }
    let address =
        |channel: &Channel| challenge.addresses.on(*channel).ok_or(Refusal::NoAddress(*channel));
    Ok((challenge, wish.channels.iter().map(address).collect::<Result<_, _>>()?))
}

fn prepare(
    challenge: &Challenge,
    keyring: &Keyring,
    id: ChallengeId,
    wish: &Wish,
    route: Vec<Address>,
    now: Timestamp,
) -> (Send, Option<Claim>) {
    let policy = &challenge.policy;
    let wished = wish.code_seconds.map(|seconds| Duration::from_secs(seconds.into()));
    let life = wished.map_or(policy.code_life(), |wished| wished.min(policy.code_life()));
    let send = Send {
        generation: challenge.generation + 1,
        channel: wish.channels.first().copied().unwrap_or(Channel::Sms),
        length: wish.length.unwrap_or(policy.code_length),
        at: now,
        expires_at: challenge.expires_at.min(now + life),
        mark: Mark::Claimed,
    };
    let claim = challenge.code(keyring, id.subject, &send).map(|code| Claim {
        generation: send.generation,
        code,
        life: now.until(send.expires_at),
        route,
        template: challenge.template.clone(),
    });
    (send, claim)
}

fn record(ledger: &mut Ledger, id: ChallengeId, send: Send) {
    if let Some(challenge) = ledger.find_mut(id) {
        challenge.generation = send.generation;
        challenge.sends.push(send);
    }
}

/// What became of a claimed send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// A courier took the message for this channel.
    Accepted(Channel),
    /// A courier did not say; on this channel the message may have gone out.
    Unknown(Channel),
    /// Every courier refused: the message has certainly not gone out.
    Refused,
}

/// Marks a claimed send. A refused one leaves nothing behind but its generation: no cool-down, no
/// count, and the code before it works again. Marking twice is marking once.
#[must_use]
pub fn mark(mut ledger: Ledger, id: ChallengeId, generation: u32, report: Report) -> Ledger {
    let Some(challenge) = ledger.find_mut(id) else { return ledger };
    let own = |send: &Send| send.generation == generation && send.mark == Mark::Claimed;
    let (channel, mark) = match report {
        Report::Accepted(channel) => (channel, Mark::Accepted),
        Report::Unknown(channel) => (channel, Mark::Unknown),
        Report::Refused => {
            challenge.sends.retain(|send| !own(send));
            return ledger;
        }
    };
    if let Some(send) = challenge.sends.iter_mut().find(|send| own(send)) {
        (send.channel, send.mark) = (channel, mark);
    }
    ledger
}

/// Which challenge a send is for.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// One that exists, of this app, or of any app where the id alone is the caller's right.
    Existing(ChallengeId, Option<&'a Arc<App>>),
    /// One that is opened in the same step.
    New(&'a Open, &'a Arc<App>),
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
    Sent(Channel),
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

/// Claims, makes and marks a send: one read, one write, one message, one write.
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
    let (id, known_app) = match target {
        Target::Existing(id, app) => (id, app),
        Target::New(open, app) => (open.id, Some(app)),
    };
    let decide = |ledger, now| decide(ledger, keyring, target, wish, now);
    let claimed = transact(ports, &id.subject, decide).await?;
    let app_id = claimed.ledger.as_ref().map(|ledger| ledger.app.clone());
    let claim = match &claimed.outcome {
        Ok(claim) => claim.clone(),
        Err(refusal) => {
            return Ok(Delivery { sent: Sent::Refused(*refusal), app: app_id, unmarked: None });
        }
    };
    let app = match (known_app, &app_id) {
        (Some(app), _) => Ok(Some(app.clone())),
        (None, Some(app_id)) => apps.load_app(app_id).await,
        (None, None) => Ok(None),
    };
    let (sent, report, failure) = match app {
        Ok(Some(app)) if !app.blocked => {
            let (sent, report) = make(&couriers, &app, &claim, wish).await;
            (sent, report, None)
        }
        Ok(_) => (Sent::AppBlocked, Report::Refused, None),
        Err(error) => (Sent::AppBlocked, Report::Refused, Some(Failure::from(error))),
    };
    let unmarked = store_mark(ports, id, claim.generation, report, claimed).await.err();
    match failure {
        Some(failure) => Err(failure),
        None => Ok(Delivery { sent, app: app_id, unmarked }),
    }
}

fn decide(
    ledger: Option<Ledger>,
    keyring: &Keyring,
    target: Target<'_>,
    wish: &Wish,
    now: Timestamp,
) -> (Option<Ledger>, Result<Claim, Refusal>) {
    let (ledger, id) = match target {
        Target::Existing(id, app) => {
            let own = |ledger: &Ledger| app.is_none_or(|app| app.id == ledger.app);
            match ledger {
                Some(ledger) if own(&ledger) => (ledger, id),
                // Another app's ledger is no ledger, and its name is not told.
                _ => return (None, Err(Refusal::NotFound)),
            }
        }
        Target::New(command, app) => {
            let ledger = ledger.unwrap_or_else(|| Ledger::new(app.id.clone()));
            match open::decide(ledger, command, now) {
                (ledger, Opened::Opened) => (ledger, command.id),
                (ledger, Opened::TooMany(room_at)) => {
                    return (Some(ledger), Err(Refusal::TooMany(room_at)));
                }
            }
        }
    };
    let (ledger, claim) = claim(ledger, keyring, id, wish, now);
    (Some(ledger), claim)
}

/// Tries the claim's route in order, until a courier takes the message or may have taken it.
async fn make<S: SmsCourier, M: EmailCourier>(
    couriers: &Couriers<'_, S, M>,
    app: &App,
    claim: &Claim,
    wish: &Wish,
) -> (Sent, Report) {
    let text = Text {
        app,
        template: claim.template.as_deref(),
        locale: wish.locale.as_deref(),
        code: &claim.code,
        life: claim.life,
    };
    let mut last_cause: Cause = "the challenge has no address".into();
    for address in &claim.route {
        let (channel, result) = match address {
            Address::Phone(to) => (Channel::Sms, couriers.sms.send(to, &message::sms(&text)).await),
            Address::Email(to) => {
                (Channel::Email, couriers.email.send(to, &message::email(&text)).await)
            }
        };
        match result {
            Ok(()) => return (Sent::Sent(channel), Report::Accepted(channel)),
            Err(CourierError::Unknown(cause)) => {
                let cool_down = app.policy.cool_down();
                return (Sent::Unknown(channel, cool_down, cause), Report::Unknown(channel));
            }
            Err(CourierError::Refused(cause)) => last_cause = cause,
        }
    }
    (Sent::Undeliverable(last_cause), Report::Refused)
}

/// Stores the mark on the ledger the claim left, without another read unless somebody came between.
async fn store_mark<L, C, E, T>(
    ports: Ports<'_, L, C, E>,
    id: ChallengeId,
    generation: u32,
    report: Report,
    claimed: Settled<T>,
) -> Result<(), Cause>
where
    L: LoadLedgers + StoreLedgers,
    C: Clock,
    E: Entropy,
{
    let Some(ledger) = claimed.ledger else { return Ok(()) };
    let marked = mark(ledger, id, generation, report);
    match ports.ledgers.store(&id.subject, marked.borrow(), claimed.version).await {
        Ok(_) => Ok(()),
        Err(StoreError::Unavailable(cause)) => Err(cause),
        Err(StoreError::Conflict) => {
            let again = |ledger: Option<Ledger>, _| {
                (ledger.map(|ledger| mark(ledger, id, generation, report)), ())
            };
            transact(ports, &id.subject, again).await.map(drop).map_err(Into::into)
        }
    }
}
