//! Runs a schedule: begins calls, lets them run on one port call at a time, and looks at every answer and
//! message. In the end everything that runs is run to its end; and after a quiet day everybody is served.

use crate::{
    book::Broken,
    ports::{Ports, Shared},
    requests::{self, Wanted},
    schedule::{Begin, Code, Schedule, Step, Want},
};
use passcode_domain::{
    App, Keyring, Policy,
    app::guard::{Guard, Mode},
    ports::{Clock as _, StoreApps as _},
};
use passcode_testkit::{
    FakeEntropy, TestWorld, demo_app, schedule::Task, schedule::block_on, unguarded,
};
use passcode_tests::{event::Served, functions::serve};
use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Messages of the app in a day.
pub(crate) const PER_DAY: u32 = 14;

/// Messages that one IP address may ask for in a day.
pub(crate) const PER_IP: u32 = 6;

/// What challenges live by, before the app is edited and after.
pub(crate) fn policies() -> [Policy; 2] {
    let policy = Policy { max_attempts: 3, max_sends: 3, ..Policy::default() };
    [policy.clone(), Policy { max_attempts: 2, max_sends: 2, ..policy }]
}

fn app(policy: Policy) -> App {
    let mut guard = Guard { anonymous_percent: 50, ..unguarded() };
    for (limit, most) in [(&mut guard.sends_per_app, PER_DAY), (&mut guard.sends_per_ip, PER_IP)] {
        (limit.mode, limit.per_hour, limit.per_day) = (Mode::Enforce, most, most);
    }
    App { policy, guard, ..demo_app() }
}

/// The keyring, and the one that follows it.
fn keyrings() -> [Arc<Keyring>; 2] {
    static KEYRINGS: LazyLock<[Arc<Keyring>; 2]> = LazyLock::new(|| {
        let old = r#"{"root":"a-secret-of-at-least-32-characters"}"#;
        let new = Keyring::rotated(old, "another-secret-of-32-characters-or-more").unwrap();
        [old, &new].map(|secret| Arc::new(Keyring::from_secret(secret).unwrap()))
    });
    KEYRINGS.clone()
}

struct Running<'s> {
    call: usize,
    task: Task<'s, Served>,
}

struct Stage<'s> {
    shared: &'s Shared,
    running: Vec<Running<'s>>,
}

/// Runs a schedule: how often each outcome was told, or the promise that is broken.
pub(crate) fn run(schedule: &Schedule) -> Result<BTreeMap<String, u64>, Broken> {
    let [before, _] = keyrings();
    let mut world = TestWorld::of(app(policies()[0].clone()));
    world.entropy = FakeEntropy::seeded(schedule.randomness << 20);
    let shared = Shared {
        world,
        keyrings: Mutex::new([before.clone(), before]),
        fault: Mutex::default(),
        late: Mutex::default(),
        old: Mutex::default(),
        book: Mutex::default(),
        mutation: schedule.mutation,
        stores: Mutex::default(),
    };
    let mut stage = Stage { shared: &shared, running: Vec::new() };
    for step in &schedule.steps {
        stage.step(*step);
        stage.check()?;
    }
    stage.run_out()?;
    stage.serve_everybody()?;
    stage.look_for_secrets()?;
    let told = std::mem::take(&mut lock(&shared.book).told);
    Ok(told)
}

impl Stage<'_> {
    fn step(&mut self, step: Step) {
        let world = &self.shared.world;
        match step {
            Step::Begin(begin) => self.begin(begin),
            Step::Run(which, times, fault) => {
                *lock(&self.shared.fault) = fault;
                self.run(which, times);
                *lock(&self.shared.fault) = None;
            }
            Step::Crash(which) => {
                if let Some(which) = self.choice(which) {
                    let Running { call, task } = self.running.remove(which);
                    drop(task);
                    lock(&self.shared.book).crash(call);
                }
            }
            Step::Late(which) => {
                let mut all = lock(&self.shared.late);
                if !all.is_empty() {
                    let which = which % all.len();
                    let late = all.remove(which);
                    drop(all);
                    late(self.shared);
                }
            }
            Step::Pass(seconds) => world.clock.advance(Duration::from_secs(seconds)),
            Step::Remember => *lock(&self.shared.old) = world.counters.all(),
            Step::Rotate => {
                let [old, new] = keyrings();
                *lock(&self.shared.keyrings) = [new, old];
                lock(&self.shared.book).is_rotated = true;
            }
            Step::Edit => {
                let edited = app(policies()[1].clone()).validated().unwrap();
                block_on(world.apps.store_app(&edited)).unwrap();
            }
        }
    }

    fn check(&self) -> Result<(), Broken> {
        lock(&self.shared.book).broken.take().map_or(Ok(()), Err)
    }

    fn choice(&self, which: usize) -> Option<usize> {
        (!self.running.is_empty()).then(|| which % self.running.len())
    }

    fn begin(&mut self, begin: Begin) {
        let wanted = requests::wanted(&lock(&self.shared.book), &begin);
        let Some((begin, wanted)) = wanted else { return };
        for _ in 0..=usize::from(begin.is_delivered_twice) {
            self.call(wanted.clone(), &begin);
        }
    }

    fn call(&mut self, wanted: Wanted, begin: &Begin) {
        let shared = self.shared;
        let ahead = Duration::from_millis(begin.ahead);
        let (function, event) = (wanted.function, wanted.event.clone());
        let call = lock(&shared.book).begin(wanted, begin, shared.world.clock.now() + ahead);
        let ports = Ports { shared, call, ahead, has_old_keyring: begin.has_old_keyring };
        let task = Box::pin(async move { serve(function, &ports, &event).await });
        self.running.push(Running { call, task });
    }

    /// Lets a call run on. A port call waits for its turn first, so the first time is not counted.
    fn run(&mut self, which: usize, times: usize) {
        let Some(which) = self.choice(which) else { return };
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..=times {
            let Running { call, task } = &mut self.running[which];
            if let Poll::Ready(served) = task.as_mut().poll(&mut context) {
                let call = *call;
                drop(self.running.remove(which));
                let now = self.shared.world.clock.now();
                lock(&self.shared.book).answered(call, &served, now);
                return;
            }
        }
    }

    /// Everything comes to its end.
    fn run_out(&mut self) -> Result<(), Broken> {
        for _ in 0..1_000 {
            if self.running.is_empty() {
                break;
            }
            self.step(Step::Run(0, 200, None));
            self.check()?;
        }
        if let Some(Running { call, .. }) = self.running.first() {
            return Err(lock(&self.shared.book).broken("an answer comes", *call));
        }
        while !lock(&self.shared.late).is_empty() {
            self.step(Step::Late(0));
            self.check()?;
        }
        Ok(())
    }

    /// After a day in which nothing has happened nobody is refused: nothing is held for ever.
    fn serve_everybody(&mut self) -> Result<(), Broken> {
        self.shared.world.clock.advance(Duration::from_hours(49));
        lock(&self.shared.book).forget();
        for who in 0..4 {
            for want in [Want::Create, Want::Initiate, Want::VerifyByHolder] {
                let code = Code::Last;
                let begin = Begin {
                    want,
                    who,
                    which: 0,
                    code,
                    ahead: 0,
                    key: None,
                    is_delivered_twice: false,
                    has_old_keyring: false,
                };
                self.begin(begin);
                self.run_out()?;
                let book = lock(&self.shared.book);
                if book.calls.last().is_none_or(|call| !call.is_served() || call.want != want) {
                    return Err(
                        book.broken("everybody is served after a quiet day", book.calls.len() - 1)
                    );
                }
            }
        }
        Ok(())
    }

    fn look_for_secrets(&self) -> Result<(), Broken> {
        let world = &self.shared.world;
        let stored = [world.ledgers.dump(), world.sessions.dump()].concat();
        lock(&self.shared.book).look_for_secrets(&stored).map_or(Ok(()), Err)
    }
}
