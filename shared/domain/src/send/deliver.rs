//! The way of a send through the world: claim, courier, mark.

use super::{
    Claim, Refusal, Report, Target, Wish, given_back,
    guarded::{Decided, NotClaimed, Scene},
    mark,
};
use crate::{
    Address, App, AppId, ChallengeId, Channel, Keyring, Ledger, PhoneNumber,
    challenge::Silence,
    guard::{Finding, Gauges, Steps},
    message::{self, Sms, Text},
    ports::{
        Cause, Clock, CountGauges, CourierError, EmailCourier, Entropy, LoadApps, LoadGauges,
        LoadLedgers, Loaded, SmsCourier, StoreLedgers,
    },
    transact::{Decision, Failure, Ports, Settled, transact_counted},
};
use std::time::Duration;

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
    /// What rules across subjects have said against it, enforced or not.
    pub findings: Vec<Finding>,
    /// Why the outcome could not be marked, if it could not. The message's fate is unchanged.
    pub unmarked: Option<Cause>,
}

/// Claims, makes and marks a send: one read of the ledger and one of the gauges, one write of both,
/// one message, one more write of the ledger. A channel whose courier refuses costs one more write:
/// the next channel is a claim of its own, with a code of its own, so the ledger always knows which
/// address a code has gone to.
pub async fn send<L, C, E, A, S, M>(
    ports: Ports<'_, L, C, E>,
    keyring: &Keyring,
    apps: &A,
    couriers: Couriers<'_, S, M>,
    target: Target<'_>,
    wish: &Wish,
) -> Result<Delivery, Failure>
where
    L: LoadLedgers + StoreLedgers + LoadGauges + CountGauges,
    C: Clock,
    E: Entropy,
    A: LoadApps,
    S: SmsCourier,
    M: EmailCourier,
{
    let subject = target.subject();
    let (loaded, mut scene) = Scene::look(ports, keyring, apps, target, wish).await?;
    let app_id = scene.app_id(target, &loaded);
    let mut gauges = scene.take_gauges();
    let ids = |now| scene.gauges(now);
    let decide = |ledger: Option<&Ledger>, gauges: &Gauges, now| {
        scene.decide(ledger, gauges, keyring, target, wish, now)
    };
    let mut settled = transact_counted(ports, &subject, loaded, &mut gauges, ids, decide).await?;
    let mut findings = Vec::new();
    let mut channels = &wish.channels[..];
    loop {
        let Settled { outcome: Decided { claim, findings: found }, ledger, version, .. } = settled;
        findings.extend(found);
        let loaded = Loaded { ledger, version };
        let delivery =
            |sent, findings, unmarked| Delivery { sent, app: app_id.clone(), findings, unmarked };
        let (claim, app) = match (claim, &scene.app) {
            (Ok(claim), Some(app)) => (claim, app),
            (Ok(_) | Err(NotClaimed::AppBlocked), _) => {
                return Ok(delivery(Sent::AppBlocked, findings, None));
            }
            (Err(NotClaimed::Refused(refusal)), _) => {
                return Ok(delivery(Sent::Refused(refusal), findings, None));
            }
        };
        let (sent, report) = make(&couriers, app, &claim, wish).await;
        channels = channels.get(1..).unwrap_or_default();
        if let (Sent::Undeliverable(_), false) = (&sent, channels.is_empty()) {
            let next = Wish { channels: channels.to_vec(), ..wish.clone() };
            let decide = |ledger: Option<&Ledger>, gauges: &Gauges, now| {
                scene.reclaim(ledger, gauges, keyring, &claim, &next, now)
            };
            settled = transact_counted(ports, &subject, loaded, &mut gauges, ids, decide).await?;
        } else {
            let marked = conclude(ports, &claim, report, loaded).await;
            return Ok(delivery(sent, findings, marked.err()));
        }
    }
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
        scope: claim.scope.as_deref(),
        app_hash: wish.app_hash.as_ref().or(claim.app_hash.as_ref()).map(String::as_str),
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

/// Stores a send's mark; a refused one is given back to the gauges in the same write.
async fn conclude<L, C, E>(
    ports: Ports<'_, L, C, E>,
    claim: &Claim,
    report: Report,
    loaded: Loaded,
) -> Result<(), Cause>
where
    L: LoadLedgers + StoreLedgers + LoadGauges + CountGauges,
    C: Clock,
    E: Entropy,
{
    let decide = |ledger: Option<&Ledger>, _: &Gauges, _| {
        let steps = match (ledger, report) {
            (Some(ledger), Report::Refused) => given_back(ledger, claim.id, claim.generation),
            _ => Steps::default(),
        };
        let marked = ledger.map(|l| mark(l.clone(), claim.id, claim.generation, report));
        Decision { ledger: marked, steps, outcome: () }
    };
    let (subject, mut gauges) = (claim.id.subject, Gauges::default());
    let none = |_| Vec::new();
    let settled = transact_counted(ports, &subject, loaded, &mut gauges, none, decide).await;
    settled.map(drop).map_err(Into::into)
}
