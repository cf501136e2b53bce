//! A claim that the guard has its say in: what is known of a send before it is decided, and the
//! decision.

use super::{
    Claim, Concealment, Refusal, Report, Target, Wish, claim, decide, given_back, mark, suppress,
};
use crate::{
    Address, Addresses, App, AppId, Keyring, Ledger, SubjectKey, Timestamp,
    challenge::Silence,
    guard::{CallerClass, Counted, Finding, Gauges, Sending, Steps, gauge::GaugeId},
    message_times::Fate,
    ports::{Clock, CountGauges, Entropy, LoadApps, LoadGauges, LoadLedgers, Loaded},
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
    by: CallerClass,
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
        L: LoadLedgers + LoadGauges + CountGauges,
        C: Clock,
        E: Entropy,
        A: LoadApps,
    {
        let (subject, now) = (target.subject(), ports.clock.now());
        if let Target::Identity(open, app) | Target::Ordered(open, app) = target {
            let (addresses, by) = (Some(open.addresses()), open.lookup().into());
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
        let addresses = found.map(|found| &found.addresses);
        let by = found.map_or(CallerClass::Authenticated, |found| found.lookup.into());
        let mut scene = Self::of(app, keyring, subject, by, addresses, wish);
        scene.gauges = load_gauges(ports.ledgers, scene.gauges(now)).await?;
        Ok((loaded, scene))
    }

    fn of(
        app: Option<Arc<App>>,
        keyring: &Keyring,
        subject: SubjectKey,
        by: CallerClass,
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
    /// found for a while. This is the one place where a lock or a block is concealed: after
    /// everything else was decided, by deciding once more as if there were none.
    pub(super) fn decide(
        &self,
        ledger: Option<&Ledger>,
        gauges: &Gauges,
        keyring: &Keyring,
        target: Target<'_>,
        wish: &Wish,
        now: Timestamp,
    ) -> Decision<Decided> {
        let attempt = |concealment| {
            let (after, claim) = decide(ledger.cloned(), keyring, target, wish, concealment, now);
            self.judge(after, claim, gauges, keyring, wish, concealment, now)
        };
        let decided = attempt(Concealment::Off);
        let is_concealed = self.app.as_ref().is_some_and(|app| app.conceal_blocks);
        match decided.outcome.claim {
            Err(NotClaimed::Refused(refusal)) if is_concealed && refusal.is_block() => {
                suppress_new(attempt(Concealment::On), ledger)
            }
            _ => decided,
        }
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
        let concealment = Concealment::Off;
        let mut decision =
            self.judge(Some(after), claim, &without, keyring, next, concealment, now);
        // Whatever becomes of the next channel, this one is released.
        decision.ledger = decision.ledger.or(Some(released));
        decision.steps.give_back(back);
        decision
    }

    /// Lets the guard judge what the ledger allows. What is suppressed is judged and counted like
    /// any other; only a block stands in its way no more.
    #[expect(clippy::too_many_arguments, reason = "what is decided, and everything it depends on")]
    fn judge(
        &self,
        after: Option<Ledger>,
        claim: Result<Claim, Refusal>,
        gauges: &Gauges,
        keyring: &Keyring,
        wish: &Wish,
        concealment: Concealment,
        now: Timestamp,
    ) -> Decision<Decided> {
        let (mut ledger, mut claim) = match (after, claim) {
            (Some(ledger), Ok(claim)) => (ledger, claim),
            (_, Err(refusal)) => return refuse(refusal, Vec::new(), Steps::default()),
            (None, Ok(_)) => return refuse(Refusal::NotFound, Vec::new(), Steps::default()),
        };
        let Some(app) = &self.app else {
            let outcome = Decided { claim: Err(NotClaimed::AppBlocked), findings: Vec::new() };
            return Decision { ledger: None, steps: Steps::default(), outcome };
        };
        let known = self.sendings.iter().find(|(to, _)| *to == claim.to);
        let sending = known.map_or_else(
            || Sending::new(app, keyring, self.subject, &claim.to, wish.ip, self.by),
            |(_, sending)| sending.clone(),
        );
        let fate = if concealment == Concealment::On { Fate::Suppressed } else { claim.fate() };
        let mut verdict = sending.judge(&app.guard, &ledger.sent(self.by, fate), gauges, now);
        match (verdict.refusal(), concealment) {
            (None, _) => {}
            (Some(refusal), Concealment::Off) => {
                return refuse(refusal, verdict.findings, verdict.blocks);
            }
            (Some(_), Concealment::On) => {
                if let Some(limit) = verdict.limit() {
                    return refuse(limit, verdict.findings, verdict.blocks);
                }
                claim.silence = Some(Silence::Concealed);
            }
        }
        if claim.fate() == Fate::Suppressed {
            verdict = verdict.suppressed();
        }
        ledger.remember_sent(self.by, claim.fate(), now);
        count(&mut ledger, &claim, &verdict.counted);
        let steps = verdict.steps(now);
        let outcome = Decided { claim: Ok(claim), findings: verdict.findings };
        Decision { ledger: Some(ledger), steps, outcome }
    }
}

/// Lets no code verify a challenge that was opened for a suppressed message. One that was there before
/// keeps the codes that it will be sent once nothing stands in the way any more.
fn suppress_new(mut decision: Decision<Decided>, before: Option<&Ledger>) -> Decision<Decided> {
    if let (Some(ledger), Ok(claim)) = (&mut decision.ledger, &decision.outcome.claim)
        && before.is_none_or(|before| before.find(claim.id).is_none())
    {
        suppress(ledger, claim.id);
    }
    decision
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
