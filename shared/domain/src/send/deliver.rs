//! The way of a send through the world: claim, courier, mark.

use super::{Claim, Refusal, Report, Target, Wish, claim, decide, mark};
use crate::{
    Address, App, AppId, ChallengeId, Channel, Keyring, Ledger, PhoneNumber, Timestamp,
    challenge::Silence,
    message::{self, Sms, Text},
    ports::{
        Cause, Clock, CourierError, EmailCourier, Entropy, LoadApps, LoadLedgers, SmsCourier,
        StoreError, StoreLedgers,
    },
    transact::{Failure, Ports, Settled, transact},
};
use std::{sync::Arc, time::Duration};

/// The couriers, by channel.
pub struct Couriers<'a, S, M> {
    /// Sends text messages.
    pub sms: &'a S,
    /// Sends e-mails.
    pub email: &'a M,
}

/// The courier of a channel that a function never sends on, so that it links no other. It refuses.
#[derive(Clone, Copy, Debug)]
pub struct Unreached;

impl SmsCourier for Unreached {
    async fn send(&self, _: &PhoneNumber, _: &Sms) -> Result<(), CourierError> {
        Err(CourierError::Refused("no text messages are sent here".into()))
    }
}

/// What came of a send.
#[derive(Debug)]
pub enum Sent {
    /// A courier took the message.
    Sent(ChallengeId, Channel),
    /// Nothing went out, and nobody shall see it: the address is listed for tests.
    Tested(ChallengeId, Channel),
    /// Nothing went out, and nobody shall see it: the caller is blocked.
    Concealed(ChallengeId, Channel),
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
        Target::Named(subject, app) => (subject, Some(app)),
    };
    let decide = |ledger, now| decide(ledger, keyring, target, wish, now);
    let mut settled = transact(ports, &subject, decide).await?;
    let app_id = settled.ledger.as_ref().map(|ledger| ledger.app.clone());
    let delivery = |sent, unmarked| Delivery { sent, app: app_id.clone(), unmarked };
    let mut app = None;
    let mut channels = &wish.channels[..];
    loop {
        let claim = match &settled.outcome {
            Ok(claim) => claim.clone(),
            Err(refusal) => return Ok(delivery(Sent::Refused(*refusal), None)),
        };
        // Loaded for the first claim, and kept for the next channel's.
        if app.is_none() {
            app = match sender(known_app, app_id.as_ref(), apps).await {
                Ok(app) => app,
                Err(error) => {
                    let _ = conclude(ports, &claim, Report::Refused, settled).await;
                    return Err(error.into());
                }
            };
        }
        let (sent, report) = match &app {
            Some(app) => make(&couriers, app, &claim, wish).await,
            None => (Sent::AppBlocked, Report::Refused),
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
    match claim.silence {
        Some(Silence::Test(_)) => return (Sent::Tested(claim.id, channel), Report::Accepted),
        Some(Silence::Concealed) => return (Sent::Concealed(claim.id, channel), Report::Accepted),
        None => {}
    }
    let result = match &claim.to {
        Address::Phone(to) => couriers.sms.send(to, &message::sms(&text)).await,
        Address::Email(to) => couriers.email.send(to, &message::email(&text)).await,
        Address::User(_) => Err(CourierError::Refused("no courier reaches a user".into())),
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
    T: Send,
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
    T: Send,
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
    mut decide: impl FnMut(Option<Ledger>, Timestamp) -> (Option<Ledger>, U) + Send,
) -> Result<Settled<U>, Failure>
where
    L: LoadLedgers + StoreLedgers,
    C: Clock,
    E: Entropy,
    T: Send,
    U: Send + Sync,
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
