//! States and steps. A step lets one port call take effect and runs its caller on to the next ones; or
//! something goes wrong.

use crate::{
    replay::{Answer, Answered, Call, Name, Pending, Replay, Settings, name},
    tables::{Mutation, Tables},
};
use passcode_domain::{
    Address, ChallengeId, Channel, Ledger, PresentedCode, Session, SessionKey,
    action::{
        Failure,
        open::{self, Open},
        send::{self, Refusal, SendOptions, SendTarget, Sent},
        session,
        verify::{self, Outcome, VerifyTarget},
    },
    guard::Field,
    ledger::challenge::{Challenge, State as ChallengeState},
    ports::LoadKeyring as _,
    session::{Opening, Refresh, RefreshRefusal},
    value::id::CounterKey,
};
use stateright::{Checker as _, HasDiscoveries, Model, Property};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    net::IpAddr,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// What a caller was told.
pub(crate) type OutcomeName = &'static str;

/// What a caller wants.
#[derive(Clone, Debug)]
pub(crate) enum Plan {
    /// Presents this code.
    Verify(ChallengeId, String),
    /// Presents the last code that has arrived at an address.
    VerifyLast(ChallengeId, Address),
    /// Opens a challenge without sending.
    Open(Open),
    /// Sends the next code of a challenge, on these channels.
    Send(ChallengeId, Vec<Channel>),
    /// Opens a challenge and sends its first code, for whoever has this IP address.
    SendFirst(Open, Option<IpAddr>),
    /// The same, where naming the subject finds the challenge.
    SendNamed(Open),
    Begin(Opening),
    Refresh(Refresh),
    Revoke(Refresh),
}

/// A caller: what it wants, its randomness, and how far its clock is ahead.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) plan: Plan,
    pub(crate) seed: u64,
    pub(crate) ahead: Duration,
}

/// How far a caller has come: all of it follows from the answers that it has had.
#[derive(Debug)]
pub(crate) struct Progress {
    hash: u64,
    pub(crate) answered: Vec<Answered>,
    pub(crate) pending: Vec<Pending>,
    pub(crate) told: Option<OutcomeName>,
}

impl PartialEq for Progress {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.answered == other.answered
    }
}

impl Eq for Progress {}

impl Hash for Progress {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash.hash(state);
    }
}

/// What was true at some moment of a caller's run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "five facts, each by itself")]
pub(crate) struct Seen {
    /// A limit was used up.
    pub(crate) is_full: bool,
    /// A message was claimed that was not before the run of all.
    pub(crate) is_claimed: bool,
    /// The challenge was verified.
    pub(crate) is_verified: bool,
    /// It had no attempts left.
    pub(crate) is_spent: bool,
    /// The session was ended.
    pub(crate) is_ended: bool,
}

impl Seen {
    const fn or(self, other: Self) -> Self {
        Self {
            is_full: self.is_full || other.is_full,
            is_claimed: self.is_claimed || other.is_claimed,
            is_verified: self.is_verified || other.is_verified,
            is_spent: self.is_spent || other.is_spent,
            is_ended: self.is_ended || other.is_ended,
        }
    }
}

/// One caller in a state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Running {
    pub(crate) progress: Arc<Progress>,
    pub(crate) is_crashed: bool,
    /// What was true since its first step.
    pub(crate) seen: Seen,
    /// Whether the session was over when it began.
    pub(crate) began_after_end: bool,
}

impl Running {
    fn has_begun(&self) -> bool {
        !self.progress.answered.is_empty()
    }

    fn runs(&self) -> bool {
        !self.is_crashed && self.progress.told.is_none()
    }
}

/// What may still go wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    /// Calls that are not answered as they should be.
    pub(crate) faults: u8,
    /// Callers that stop.
    pub(crate) crashes: u8,
    /// Times that the clock jumps.
    pub(crate) jumps: u8,
    /// Whether the keyring is rotated.
    pub(crate) rotations: u8,
    /// Whether the app is edited.
    pub(crate) edits: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) tables: Tables,
    pub(crate) now: u64,
    pub(crate) left: Budget,
    pub(crate) callers: Vec<Running>,
    /// Calls whose callers wait no longer, and which may take effect still.
    pub(crate) late: Vec<Call>,
    /// Whether a session that was over is not any more.
    pub(crate) has_risen: bool,
}

/// How a call takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    AsAsked,
    /// What is read is as old as the beginning.
    Stale,
    /// It does nothing, and is not answered.
    LostBefore,
    /// It is done, and not answered.
    LostAfter,
    /// It is not answered, and may be done later.
    Late,
    /// Its first answer is lost, and the adapter asks again.
    Twice,
    /// The courier refuses.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Call(usize, usize, Effect),
    Crash(usize),
    LateCall(usize),
    Jump,
    Rotate,
    Edit,
}

/// What a property looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject {
    pub(crate) id: ChallengeId,
    pub(crate) ledger: Name,
}

/// A counter, what it may count, and the addresses whose messages it counts.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    pub(crate) key: CounterKey,
    pub(crate) most: u64,
    pub(crate) addresses: BTreeSet<String>,
}

impl Limit {
    fn sent(&self, tables: &Tables) -> u64 {
        let counted = |(to, _): &(&String, &Vec<String>)| self.addresses.contains(*to);
        tables.messages.iter().filter(counted).map(|(_, codes)| codes.len() as u64).sum()
    }

    fn is_full(&self, tables: &Tables) -> bool {
        units(tables, self.key) >= self.most
    }
}

/// The world to be explored.
pub(crate) struct Explored {
    pub(crate) settings: Settings,
    pub(crate) callers: Vec<Caller>,
    pub(crate) tables: Tables,
    pub(crate) budget: Budget,
    pub(crate) now: u64,
    /// How far a clock jumps.
    pub(crate) jump: Duration,
    pub(crate) is_stale: bool,
    pub(crate) mutation: Option<Mutation>,
    /// The challenge that the callers share, if they do.
    pub(crate) subject: Option<Subject>,
    /// The limits that are held.
    pub(crate) limits: Vec<Limit>,
    pub(crate) session: Option<SessionKey>,
    memo: Mutex<HashMap<u64, Arc<Progress>>>,
    outcomes: Mutex<BTreeSet<OutcomeName>>,
    ledgers: Mutex<HashMap<Arc<str>, Arc<Ledger>>>,
}

impl Explored {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            callers: Vec::new(),
            tables: Tables::default(),
            budget: Budget::default(),
            now: 1_800_000_000_000,
            jump: Duration::ZERO,
            is_stale: false,
            mutation: None,
            subject: None,
            limits: Vec::new(),
            session: None,
            memo: Mutex::default(),
            outcomes: Mutex::default(),
            ledgers: Mutex::default(),
        }
    }

    /// Runs one caller alone to its end, before the others begin; what it was told.
    pub(crate) fn before(&mut self, plan: Plan) -> OutcomeName {
        let caller = Caller { plan, seed: self.tables_seed(), ahead: Duration::ZERO };
        let mut progress = self.run(&caller, Vec::new(), self.now);
        while progress.told.is_none() {
            let next = progress.pending.first().unwrap();
            let answer = self.tables.effect(&next.call, None);
            let mut answered = progress.answered.clone();
            answered.push(Answered { number: next.number, answer, now: self.now });
            progress = self.run(&caller, answered, self.now);
        }
        progress.told.unwrap()
    }

    /// Randomness for whoever comes before: another for each.
    fn tables_seed(&self) -> u64 {
        name(&self.tables)
    }

    /// Runs a caller from its beginning.
    fn run(&self, caller: &Caller, answered: Vec<Answered>, began: u64) -> Arc<Progress> {
        let world = Replay::new(&self.settings, caller.seed, began);
        let told = {
            let mut future = pin!(self.act(&world, &caller.plan));
            let mut context = Context::from_waker(Waker::noop());
            let mut told = future.as_mut().poll(&mut context);
            for answer in &answered {
                world.answer(answer);
                if told.is_pending() {
                    told = future.as_mut().poll(&mut context);
                }
            }
            told
        };
        let is_answered = |number| answered.iter().any(|answer| answer.number == number);
        let pending = world.pending(is_answered);
        let told = match told {
            Poll::Ready(told) => Some(told),
            Poll::Pending => None,
        };
        let mut hasher = DefaultHasher::new();
        (caller.seed, &answered).hash(&mut hasher);
        Arc::new(Progress { hash: hasher.finish(), answered, pending, told })
    }

    /// The action that a caller is.
    async fn act(&self, world: &Replay<'_>, plan: &Plan) -> OutcomeName {
        match self.try_act(world, plan).await {
            Ok(told) => told,
            Err(Failure::Contended) => "contended",
            Err(Failure::Unavailable(_)) => "unavailable",
        }
    }

    async fn try_act(&self, world: &Replay<'_>, plan: &Plan) -> Result<OutcomeName, Failure> {
        match plan {
            Plan::Verify(id, code) => verify(world, *id, code).await,
            Plan::VerifyLast(id, address) => match world.read_code(address).await {
                Some(code) => verify(world, *id, &code).await,
                None => Ok("no code"),
            },
            Plan::Open(opening) => {
                let keyring = world.keyring().await.map_err(Failure::Unavailable)?;
                open::open(world, &keyring, opening).await.map(|()| "opened")
            }
            Plan::Send(id, channels) => {
                let options = SendOptions { channels: channels.clone(), ..SendOptions::default() };
                send(world, SendTarget::Existing(*id, None), &options).await
            }
            Plan::SendFirst(opening, ip) => {
                let target = SendTarget::Ordered(opening, &self.settings.apps[0]);
                let options = SendOptions { origin: (*ip).into(), ..SendOptions::default() };
                send(world, target, &options).await
            }
            Plan::SendNamed(opening) => {
                let target = SendTarget::Identity(opening, &self.settings.apps[0]);
                send(world, target, &SendOptions::default()).await
            }
            Plan::Begin(opening) => {
                let keyring = world.keyring().await.map_err(Failure::Unavailable)?;
                let given = session::begin(world, &keyring, opening).await?;
                Ok(if given.is_some() { "begun" } else { "not begun" })
            }
            Plan::Refresh(refresh) => {
                let keyring = world.keyring().await.map_err(Failure::Unavailable)?;
                let app = &self.settings.apps[0].id;
                let refreshed = session::refresh(world, &keyring, app, refresh).await?;
                Ok(match refreshed {
                    Ok(given)
                        if given.refreshed.token.generation == 1 + refresh.token.generation =>
                    {
                        "refreshed"
                    }
                    Ok(_) => "refreshed with another token",
                    Err(RefreshRefusal::Reused) => "reused",
                    Err(_) => "no session",
                })
            }
            Plan::Revoke(refresh) => {
                let keyring = world.keyring().await.map_err(Failure::Unavailable)?;
                let app = &self.settings.apps[0].id;
                let ended = session::revoke(world, &keyring, app, &refresh.token).await?;
                Ok(if ended { "revoked" } else { "not revoked" })
            }
        }
    }

    /// The same, run once for each caller and its answers.
    fn progress(&self, index: usize, before: &Progress, answered: Answered) -> Arc<Progress> {
        let mut hasher = DefaultHasher::new();
        (index, before, &answered).hash(&mut hasher);
        let key = hasher.finish();
        let memo = || self.memo.lock().unwrap_or_else(PoisonError::into_inner);
        let known = memo().get(&key).cloned();
        known.unwrap_or_else(|| {
            let mut all = before.answered.clone();
            all.push(answered);
            let caller = &self.callers[index];
            let progress = self.run(caller, all, self.now + millis(caller.ahead));
            if let Some(told) = progress.told {
                self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).insert(told);
            }
            memo().insert(key, progress.clone());
            progress
        })
    }

    /// How a call may take effect.
    fn effects(&self, call: &Call, left: Budget) -> Vec<Effect> {
        let mut effects = vec![Effect::AsAsked];
        if self.is_stale && matches!(call, Call::LoadCounters(_)) {
            effects.push(Effect::Stale);
        }
        if left.faults > 0 {
            effects.extend(match call {
                Call::Load(_) | Call::LoadCounters(_) | Call::LoadApp | Call::Keyring => {
                    &[Effect::LostBefore][..]
                }
                Call::Store(..) | Call::GiveBack(_) | Call::CountVerified(_) => {
                    &[Effect::LostBefore, Effect::LostAfter, Effect::Late]
                }
                Call::Reserve(_) => {
                    &[Effect::LostBefore, Effect::LostAfter, Effect::Late, Effect::Twice]
                }
                Call::Send(..) => {
                    &[Effect::Refused, Effect::LostBefore, Effect::LostAfter, Effect::Late]
                }
                Call::ReadCode(_) => &[],
            });
        }
        effects
    }

    fn answer(&self, state: &mut State, call: &Call, effect: Effect) -> Answer {
        let mutation = self.mutation;
        match effect {
            Effect::AsAsked => state.tables.effect(call, mutation),
            Effect::Stale => match call {
                Call::LoadCounters(keys) => Answer::Counters(self.tables.read(keys)),
                _ => Answer::Lost,
            },
            Effect::LostBefore => Answer::Lost,
            Effect::LostAfter => {
                state.tables.effect(call, mutation);
                Answer::Lost
            }
            Effect::Late => {
                state.late.push(call.clone());
                Answer::Lost
            }
            Effect::Twice => {
                state.tables.effect(call, mutation);
                state.tables.effect(call, mutation)
            }
            Effect::Refused => Answer::CourierRefused,
        }
    }

    /// What is true in a state.
    pub(crate) fn seen(&self, state: &State) -> Seen {
        let challenge = self.challenge(&state.tables);
        Seen {
            is_full: self.limits.iter().any(|limit| limit.is_full(&state.tables)),
            is_claimed: self.claims(&state.tables) > self.claims(&self.tables),
            is_verified: challenge.as_ref().is_some_and(Challenge::is_verified),
            is_spent: challenge.as_ref().is_some_and(Challenge::is_exhausted),
            is_ended: self.session_of(state).is_some_and(|session| session.ended_at.is_some()),
        }
    }

    /// The ledger of the callers' challenge. Each document is read once.
    fn ledger(&self, tables: &Tables) -> Option<Arc<Ledger>> {
        let (document, _) = tables.items.get(&self.subject?.ledger)?;
        let mut read = self.ledgers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ledger) = read.get(document) {
            return Some(ledger.clone());
        }
        let ledger: Arc<Ledger> = Arc::new(serde_json::from_str(document).unwrap());
        read.insert(document.clone(), ledger.clone());
        Some(ledger)
    }

    fn challenge(&self, tables: &Tables) -> Option<Challenge> {
        self.ledger(tables)?.find(self.subject?.id).cloned()
    }

    /// How many messages the ledger knows of.
    fn claims(&self, tables: &Tables) -> usize {
        let sends = |ledger: Arc<Ledger>| ledger.challenges.iter().map(|c| c.sends.len()).sum();
        self.ledger(tables).map_or(0, sends)
    }

    pub(crate) fn session_of(&self, state: &State) -> Option<Session> {
        let stored = state.tables.items.get(&name(&self.session?));
        stored.map(|(document, _)| serde_json::from_str(document).unwrap())
    }

    /// Explores everything, and prints how much that was. What was found, with the way there.
    pub(crate) fn explore(
        self,
        title: &str,
    ) -> (BTreeMap<&'static str, Vec<Step>>, BTreeSet<OutcomeName>) {
        let began = Instant::now();
        let checker = self.checker().threads(2).finish_when(HasDiscoveries::AnyFailures);
        let checker = checker.spawn_bfs().join();
        println!(
            "{title}: {} states, {} of them different, depth {}, {:.1} s",
            checker.state_count(),
            checker.unique_state_count(),
            checker.max_depth(),
            began.elapsed().as_secs_f64()
        );
        let found = checker.discoveries();
        let found = found.into_iter().map(|(name, path)| (name, path.into_actions())).collect();
        let outcomes = &checker.model().outcomes;
        let outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (found, outcomes)
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap()
}

/// What a counter has counted.
pub(crate) fn units(tables: &Tables, key: CounterKey) -> u64 {
    let sent = |(field, value): (&Field, &u64)| matches!(field, Field::Sent(_)).then_some(*value);
    tables.counters.get(&key).map_or(0, |counter| counter.iter().filter_map(sent).sum())
}

async fn verify(world: &Replay<'_>, id: ChallengeId, code: &str) -> Result<OutcomeName, Failure> {
    let presented = PresentedCode::parse(code).unwrap();
    let verified = verify::verify(world, VerifyTarget::Held(id), &presented).await?;
    Ok(match verified.outcome {
        Outcome::Verified(_) => "verified",
        outcome => outcome.as_str(),
    })
}

async fn send(
    world: &Replay<'_>,
    target: SendTarget<'_>,
    options: &SendOptions,
) -> Result<OutcomeName, Failure> {
    let keyring = world.keyring().await.map_err(Failure::Unavailable)?;
    let delivery = send::send(world, &keyring, target, options).await?;
    Ok(match delivery.sent {
        Sent::Sent(..) => "sent",
        Sent::ToTestAddress(..) | Sent::Concealed(..) => "suppressed",
        Sent::AppBlocked => "app blocked",
        Sent::Undeliverable(_) => "undeliverable",
        Sent::Unknown(..) => "not known",
        Sent::Refused(Refusal::CoolingDown(_)) => "cooling down",
        Sent::Refused(Refusal::Throttled(_)) => "throttled",
        Sent::Refused(Refusal::AlreadyUsed) => "already used",
        Sent::Refused(Refusal::Exhausted(_)) => "exhausted",
        Sent::Refused(Refusal::SendsExhausted) => "no more messages",
        Sent::Refused(_) => "refused",
    })
}

impl Model for Explored {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let running = |caller: &Caller| Running {
            progress: self.run(caller, Vec::new(), self.now + millis(caller.ahead)),
            is_crashed: false,
            seen: Seen::default(),
            began_after_end: false,
        };
        vec![State {
            tables: self.tables.clone(),
            now: self.now,
            left: self.budget,
            callers: self.callers.iter().map(running).collect(),
            late: Vec::new(),
            has_risen: false,
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        for (index, caller) in state.callers.iter().enumerate().filter(|(_, caller)| caller.runs())
        {
            for pending in &caller.progress.pending {
                let effects = self.effects(&pending.call, state.left).into_iter();
                steps.extend(effects.map(|effect| Step::Call(index, pending.number, effect)));
            }
            if state.left.crashes > 0 && caller.has_begun() {
                steps.push(Step::Crash(index));
            }
        }
        if state.callers.iter().any(Running::runs) {
            steps.extend((state.left.jumps > 0).then_some(Step::Jump));
            steps.extend((state.left.rotations > 0).then_some(Step::Rotate));
            steps.extend((state.left.edits > 0).then_some(Step::Edit));
        }
        steps.extend((0..state.late.len()).map(Step::LateCall));
    }

    fn next_state(&self, before: &State, step: Step) -> Option<State> {
        let mut state = before.clone();
        match step {
            Step::Call(index, number, effect) => {
                let progress = before.callers[index].progress.clone();
                let pending = progress.pending.iter().find(|pending| pending.number == number)?;
                let answer = self.answer(&mut state, &pending.call, effect);
                state.left.faults -= u8::from(!matches!(effect, Effect::AsAsked | Effect::Stale));
                let now = state.now + millis(self.callers[index].ahead);
                let next = self.progress(index, &progress, Answered { number, answer, now });
                let caller = &mut state.callers[index];
                if !caller.has_begun() {
                    caller.seen = self.seen(before);
                    caller.began_after_end = caller.seen.is_ended;
                }
                caller.progress = next;
            }
            Step::Crash(index) => {
                state.left.crashes -= 1;
                state.callers[index].is_crashed = true;
                let writes = |call: &&Call| {
                    matches!(call, Call::Store(..) | Call::Reserve(_) | Call::Send(..))
                };
                let pending = before.callers[index].progress.pending.iter();
                state.late.extend(pending.map(|pending| &pending.call).filter(writes).cloned());
            }
            Step::LateCall(index) => {
                let call = state.late.remove(index);
                state.tables.effect(&call, self.mutation);
            }
            Step::Jump => {
                state.left.jumps -= 1;
                state.now += millis(self.jump);
            }
            Step::Rotate => {
                state.left.rotations -= 1;
                state.tables.is_rotated = true;
            }
            Step::Edit => {
                state.left.edits -= 1;
                state.tables.is_edited = true;
            }
        }
        let seen = self.seen(&state);
        state.has_risen |= self.seen(before).is_ended && !seen.is_ended;
        for (caller, earlier) in state.callers.iter_mut().zip(&before.callers) {
            if caller.has_begun() && earlier.runs() {
                caller.seen = caller.seen.or(seen);
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = Vec::new();
        if self.subject.is_some() {
            all.push(Property::always("a challenge is used once", |_, state: &State| {
                count(state, "verified") <= 1
            }));
            all.push(Property::always("an outcome is counted before it is told", counted_first));
            all.push(Property::always("no more outcomes than attempts", within_attempts));
            all.push(Property::always("one message per generation", one_per_generation));
            all.push(Property::always("a cool-down holds", cools_down));
            all.push(Property::always("a policy is fixed", |model: &Self, state: &State| {
                let policy = |tables| Some(model.challenge(tables)?.policy);
                let first = policy(&model.tables);
                first.is_none() || policy(&state.tables) == first
            }));
        }
        if !self.limits.is_empty() {
            all.push(Property::always(
                "no limit is exceeded by one message",
                |model: &Self, state: &State| {
                    model.limits.iter().all(|limit| limit.sent(&state.tables) <= limit.most)
                },
            ));
            all.push(Property::always(
                "what has gone out is counted",
                |model: &Self, state: &State| {
                    let counted = |limit: &Limit| units(&state.tables, limit.key);
                    model.limits.iter().all(|limit| limit.sent(&state.tables) <= counted(limit))
                },
            ));
        }
        if self.session.is_some() {
            all.push(Property::always("a session that is over stays over", |_, state: &State| {
                !state.has_risen
            }));
            all.push(Property::always(
                "a session that is over is not refreshed",
                |_, state: &State| {
                    let served = |caller: &Running| {
                        caller.progress.told.is_some_and(|told| told.starts_with("refreshed"))
                    };
                    !state.callers.iter().any(|caller| caller.began_after_end && served(caller))
                },
            ));
            all.push(Property::always("a token leads to one next token", |_, state: &State| {
                count(state, "refreshed with another token") == 0
            }));
            all.push(Property::always("a challenge begins one session", |_, state: &State| {
                count(state, "begun") <= 1
            }));
        }
        all.push(Property::always("no refused caller could have been served", justly_refused));
        if self.budget.faults == 0 {
            all.push(Property::always("nobody is left without an answer", |_, state: &State| {
                count(state, "contended") + count(state, "unavailable") == 0
            }));
        }
        if self.budget.faults + self.budget.crashes == 0 && self.subject.is_some() {
            all.push(Property::always("what was counted was told", all_told));
        }
        all
    }
}

/// How many callers were told so.
fn count(state: &State, told: OutcomeName) -> usize {
    state.callers.iter().filter(|caller| caller.progress.told == Some(told)).count()
}

fn counted_first(model: &Explored, state: &State) -> bool {
    let [first, held] = [&model.tables, &state.tables].map(|tables| model.challenge(tables));
    let Some(held) = held else { return count(state, "verified") + count(state, "incorrect") == 0 };
    let before = first.map_or(0, |first| first.attempts);
    let is_verified = matches!(held.state, ChallengeState::Verified(..));
    (count(state, "verified") == 0 || is_verified)
        && usize::from(held.attempts) >= usize::from(before) + count(state, "incorrect")
}

/// Once everybody has an answer, where every answer arrives.
fn all_told(model: &Explored, state: &State) -> bool {
    let [first, held] = [&model.tables, &state.tables].map(|tables| model.challenge(tables));
    let Some(held) = held.filter(|_| !state.callers.iter().any(Running::runs)) else { return true };
    let before = first.map_or(0, |first| first.attempts);
    // Whoever presents a wrong code after the right one is told that it was used, and spends an attempt.
    let fewest = usize::from(before) + count(state, "incorrect");
    let most = fewest + count(state, "already used");
    count(state, "verified") == usize::from(held.is_verified())
        && (fewest..=most).contains(&held.attempts.into())
}

fn within_attempts(model: &Explored, state: &State) -> bool {
    let spent = model.challenge(&model.tables).map_or(0, |first| first.attempts);
    let most = model.settings.apps[0].policy.max_attempts;
    let told = count(state, "verified") + count(state, "incorrect");
    told + usize::from(spent) <= usize::from(most)
}

/// A generation is a code: two messages with one code are two messages of one generation. And whatever has
/// gone out is among the messages that the ledger knows.
fn one_per_generation(model: &Explored, state: &State) -> bool {
    let sent: usize = state.tables.messages.values().map(Vec::len).sum();
    let mut codes: Vec<_> = state.tables.messages.values().flatten().collect();
    codes.sort_unstable();
    codes.dedup();
    codes.len() == sent && sent <= model.claims(&state.tables)
}

fn cools_down(model: &Explored, state: &State) -> bool {
    let Some(ledger) = model.ledger(&state.tables) else { return true };
    ledger.challenges.iter().all(|challenge| {
        let pairs = challenge.sends.windows(2).zip(1..);
        pairs.into_iter().all(|(pair, n)| pair[1].at >= pair[0].at + challenge.policy.cool_down(n))
    })
}

/// Whoever was refused has met what refuses at some moment of its run.
fn justly_refused(_: &Explored, state: &State) -> bool {
    state.callers.iter().all(|caller| {
        let seen = caller.seen;
        match caller.progress.told {
            Some("throttled") => seen.is_full,
            Some("cooling down") => seen.is_claimed,
            Some("already used") => seen.is_verified,
            Some("exhausted") => seen.is_spent,
            Some("not revoked" | "no session" | "reused") => seen.is_ended,
            _ => true,
        }
    })
}
