//! A claim that the guard has its say in: what is known of a send before it is decided, and the
//! decision.

use super::{Claim, Refusal, Report, Target, Wish, claim, decide, given_back, mark};
use crate::{
    Address, Addresses, App, AppId, Keyring, Ledger, SubjectKey, Timestamp,
    challenge::Silence,
    guard::{Asker, Counted, Finding, Gauges, Sending, Steps, gauge::GaugeId},
    ports::{Clock, Entropy, LoadApps, LoadLedgers, Loaded, Throttle},
    transact::{Decision, Failure, Ports, load_gauges},
};
use futures_util::future;
use std::sync::Arc;

/// Why a send is not this caller's to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotClaimed {
    /// By the rules.
    Refused(Refusal),
    /// The challenge's app is blocked or gone.
    AppBlocked,
}

/// What was decided of a send.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) claim: Result<Claim, NotClaimed>,
    pub(super) findings: Vec<Finding>,
}

/// What is known of a send before it is decided, beside the ledger.
pub(super) struct Scene {
    /// The app whose message it is, unless it is blocked or gone.
    pub(super) app: Option<Arc<App>>,
    subject: SubjectKey,
    by: Asker,
    /// Each address that the message can go to, as the guard sees it.
    sendings: Vec<(Address, Sending)>,
    gauges: Gauges,
}

impl Scene {
    /// Loads the ledger and the gauges: at the same time, where the caller names the address, and
    /// one after the other, where only the ledger knows it.
    pub(super) async fn look<L, C, E, A>(
        ports: Ports<'_, L, C, E>,
        keyring: &Keyring,
        apps: &A,
        target: Target<'_>,
        wish: &Wish,
    ) -> Result<(Loaded, Self), Failure>
    where
        L: LoadLedgers + Throttle,
        C: Clock,
        E: Entropy,
        A: LoadApps,
    {
        let (subject, now) = (target.subject(), ports.clock.now());
        if let Target::New(open, app) | Target::Ordered(open, app) = target {
            let is_silent = open.silence(now).is_some();
            let addresses = Some(open.addresses()).filter(|_| !is_silent);
            let by = open.lookup().into();
            let mut scene = Self::of(Some(app.clone()), keyring, subject, by, addresses, wish);
            let loading = ports.ledgers.load(&subject);
            let (loaded, gauges) =
                future::join(loading, load_gauges(ports.ledgers, scene.gauges(now))).await;
            scene.gauges = gauges?;
            return Ok((loaded?, scene));
        }
        let loaded = ports.ledgers.load(&subject).await?;
        let found = loaded.ledger.as_ref().and_then(|ledger| target.find(ledger, now));
        let app = match (target.app(), &loaded.ledger, found) {
            (Some(app), ..) => Some(app.clone()),
            (None, Some(ledger), Some(_)) => apps.load_app(&ledger.app).await?,
            (None, ..) => None,
        };
        let addresses = found.filter(|found| found.silence.is_none()).map(|found| &found.addresses);
        let by = found.map_or(Asker::Known, |found| found.lookup.into());
        let mut scene = Self::of(app, keyring, subject, by, addresses, wish);
        scene.gauges = load_gauges(ports.ledgers, scene.gauges(now)).await?;
        Ok((loaded, scene))
    }

    fn of(
        app: Option<Arc<App>>,
        keyring: &Keyring,
        subject: SubjectKey,
        by: Asker,
        addresses: Option<&Addresses>,
        wish: &Wish,
    ) -> Self {
        let app = app.filter(|app| !app.blocked);
        let sendings = match (&app, addresses) {
            (Some(app), Some(addresses)) => {
                let wished = wish.channels.iter().filter_map(|channel| addresses.on(*channel));
                let mut reached: Vec<&Address> = wished.collect();
                if reached.is_empty() {
                    reached.push(addresses.primary());
                }
                let sending = |to: &Address| Sending::new(app, keyring, subject, to, wish.ip, by);
                reached.into_iter().map(|to| (to.clone(), sending(to))).collect()
            }
            _ => Vec::new(),
        };
        Self { app, subject, by, sendings, gauges: Gauges::default() }
    }

    /// The gauges that its judgement needs.
    pub(super) fn gauges(&self, now: Timestamp) -> Vec<GaugeId> {
        self.sendings.iter().flat_map(|(_, sending)| sending.gauges(now)).collect()
    }

    /// The gauges that were loaded.
    pub(super) fn take_gauges(&mut self) -> Gauges {
        std::mem::take(&mut self.gauges)
    }

    /// The app of the challenge, where the challenge was found.
    pub(super) fn app_id(&self, target: Target<'_>, loaded: &Loaded) -> Option<AppId> {
        let known = target.app().map(|app| app.id.clone());
        let own = self.app.as_ref().map(|app| app.id.clone());
        known.or(own).or_else(|| loaded.ledger.as_ref().map(|ledger| ledger.app.clone()))
    }

    /// Decides a send. What is refused changes nothing but, perhaps, that a rule blocks what it has
    /// found for a while.
    pub(super) fn decide(
        &self,
        ledger: Option<&Ledger>,
        gauges: &Gauges,
        keyring: &Keyring,
        target: Target<'_>,
        wish: &Wish,
        now: Timestamp,
    ) -> Decision<Decided> {
        let attempt = |target| decide(ledger.cloned(), keyring, target, wish, now);
        let (after, claim) = attempt(target);
        let judged = self.judge(after, claim, gauges, keyring, wish, now);
        let Err(NotClaimed::Refused(Refusal::Blocked(_))) = judged.outcome.claim else {
            return judged;
        };
        let Some(app) = self.app.as_ref().filter(|app| app.conceal_blocks) else { return judged };
        // As if it had gone out: a challenge that was there already has its next code, which reaches
        // nobody, and a new one is one that no code verifies.
        let (after, claim) = match target {
            Target::New(open, _) => attempt(Target::New(&open.clone().concealed(), app)),
            Target::Ordered(open, _) => attempt(Target::Ordered(&open.clone().concealed(), app)),
            Target::Existing(..) | Target::Again(..) | Target::Named(..) => attempt(target),
        };
        let claim = match claim {
            Ok(claim) => claim,
            Err(refusal) => return refuse(refusal, judged.outcome.findings, judged.steps),
        };
        let claim = Claim { silence: Some(Silence::Concealed), ..claim };
        let outcome = Decided { claim: Ok(claim), findings: judged.outcome.findings };
        Decision { ledger: after, steps: judged.steps, outcome }
    }

    /// Releases a claim that was refused, and claims the next channel, in one step.
    pub(super) fn reclaim(
        &self,
        ledger: Option<&Ledger>,
        gauges: &Gauges,
        keyring: &Keyring,
        refused: &Claim,
        next: &Wish,
        now: Timestamp,
    ) -> Decision<Decided> {
        let Some(ledger) = ledger else {
            return refuse(Refusal::NotFound, Vec::new(), Steps::default());
        };
        let back = given_back(ledger, refused.id, refused.generation);
        let mut without = gauges.clone();
        without.take(&back);
        let released = mark(ledger.clone(), refused.id, refused.generation, Report::Refused);
        let (after, claim) = claim(released.clone(), keyring, refused.id, next, now);
        let mut decision = self.judge(Some(after), claim, &without, keyring, next, now);
        // Whatever becomes of the next channel, this one is released.
        decision.ledger = decision.ledger.or(Some(released));
        decision.steps.give_back(back);
        decision
    }

    /// Lets the guard judge what the ledger allows.
    fn judge(
        &self,
        after: Option<Ledger>,
        claim: Result<Claim, Refusal>,
        gauges: &Gauges,
        keyring: &Keyring,
        wish: &Wish,
        now: Timestamp,
    ) -> Decision<Decided> {
        let (mut ledger, claim) = match (after, claim) {
            (Some(ledger), Ok(claim)) => (ledger, claim),
            (_, Err(refusal)) => return refuse(refusal, Vec::new(), Steps::default()),
            (None, Ok(_)) => return refuse(Refusal::NotFound, Vec::new(), Steps::default()),
        };
        let Some(app) = &self.app else {
            let outcome = Decided { claim: Err(NotClaimed::AppBlocked), findings: Vec::new() };
            return Decision { ledger: None, steps: Steps::default(), outcome };
        };
        if claim.silence.is_some() {
            let outcome = Decided { claim: Ok(claim), findings: Vec::new() };
            return Decision { ledger: Some(ledger), steps: Steps::default(), outcome };
        }
        let known = self.sendings.iter().find(|(to, _)| *to == claim.to);
        let sending = known.map_or_else(
            || Sending::new(app, keyring, self.subject, &claim.to, wish.ip, self.by),
            |(_, sending)| sending.clone(),
        );
        let verdict = sending.judge(&app.guard, ledger.sent(self.by), gauges, now);
        if let Some(refusal) = verdict.refusal() {
            return refuse(refusal, verdict.findings, verdict.blocks);
        }
        app.guard.remember_sent(&mut ledger, self.by, now);
        count(&mut ledger, &claim, &verdict.counted);
        let outcome = Decided { claim: Ok(claim), findings: verdict.findings };
        Decision { ledger: Some(ledger), steps: verdict.steps, outcome }
    }
}

fn refuse(refusal: Refusal, findings: Vec<Finding>, steps: Steps) -> Decision<Decided> {
    let outcome = Decided { claim: Err(NotClaimed::Refused(refusal)), findings };
    Decision { ledger: None, steps, outcome }
}

/// Remembers in the ledger where a message is counted.
fn count(ledger: &mut Ledger, claim: &Claim, counted: &Counted) {
    let sends = ledger.find_mut(claim.id).into_iter().flat_map(|challenge| &mut challenge.sends);
    for send in sends.filter(|send| send.is_claimed_as(claim.generation)) {
        send.counted = counted.clone();
    }
}
