//! A log, replayed once for every rule and once for all of them.

use crate::output;
use passcode_domain::{
    App, Keyring,
    guard::{
        Rule,
        replay::{Log, Tally},
    },
};
use std::{
    num::NonZero,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Nothing that is made with these keys leaves the simulation. They are always the same, so that
/// the same log always says the same.
const KEYRING: &str = r#"{"root":"the keyring of every simulation there is"}"#;

/// Events between two movements of the bar.
const STRIDE: usize = 500;

/// What each rule would have refused.
pub(super) struct Simulation {
    /// The app whose guard it is.
    pub(super) app: App,
    pub(super) log: Log,
    /// Each rule enforced alone, in order.
    pub(super) alone: Vec<(Rule, Tally)>,
    /// All rules in the modes they have.
    pub(super) together: Tally,
}

impl Simulation {
    /// Replays a log, on as many processors as there are.
    pub(super) fn run(app: App, log: Log) -> Self {
        // The last rules look at most, and what takes longest begins first.
        let alone = Rule::ALL.into_iter().rev().map(|rule| app.guard.alone(rule));
        let guards = [app.guard.clone()].into_iter().chain(alone);
        let apps: Vec<App> = guards.map(|guard| App { guard, ..app.clone() }).collect();
        let mut tallies = replay_all(&apps, &log).into_iter();
        let together = tallies.next().unwrap_or_default();
        let mut alone: Vec<_> = Rule::ALL.into_iter().rev().zip(tallies).collect();
        alone.reverse();
        Self { app, log, alone, together }
    }

    /// How many messages the log has.
    pub(super) fn messages(&self) -> usize {
        self.log.messages().count()
    }
}

/// The tallies of apps that differ in their guards, in the same order.
fn replay_all(apps: &[App], log: &Log) -> Vec<Tally> {
    let Ok(keyring) = Keyring::from_secret(KEYRING) else { return Vec::new() };
    let bar = output::progress(apps.len() * log.events().len());
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some((n, app)) = nth(apps, next.fetch_add(1, Ordering::Relaxed)) {
            let mut events = 0;
            let tally = log.replay(app, &keyring, || {
                events += 1;
                if events % STRIDE == 0 {
                    bar.inc(STRIDE as u64);
                }
            });
            done.lock().unwrap_or_else(PoisonError::into_inner).push((n, tally));
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get).min(apps.len()) {
            scope.spawn(work);
        }
    });
    bar.finish_and_clear();
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(n, _)| *n);
    done.into_iter().map(|(_, tally)| tally).collect()
}

fn nth<T>(all: &[T], n: usize) -> Option<(usize, &T)> {
    all.get(n).map(|one| (n, one))
}
