//! Replays a log once for each rule alone and once for all rules.

use super::{log::Log, replay::Tally};
use crate::output;
use passcode_domain::{App, Keyring, app::guard::Rule, secret::keyring::KeyringError};
use std::{
    panic::resume_unwind,
    thread::{self, ScopedJoinHandle},
};

/// The keys of every simulation, so that the same log always has the same result. Nothing that is
/// derived from them leaves the simulation.
const KEYRING: &str = r#"{"root":"the keyring of every simulation there is"}"#;

/// What the guard of an app refuses of a log.
pub(super) struct Simulation {
    /// The app whose guard it is.
    pub(super) app: App,
    pub(super) log: Log,
    /// With each rule enforced alone, in the order of [`Rule::ALL`].
    pub(super) alone: Vec<(Rule, Tally)>,
    /// With all rules in the modes they have.
    pub(super) together: Tally,
}

impl Simulation {
    /// Replays a log. Each replay has a thread of its own.
    pub(super) fn run(app: App, log: Log) -> Result<Self, KeyringError> {
        let keyring = Keyring::from_secret(KEYRING)?;
        let alone = Rule::ALL.map(|rule| App { guard: app.guard.alone(rule), ..app.clone() });
        let bar = output::progress((alone.len() + 1) * log.events.len());
        let replay = |app| Tally::of(&log, app, &keyring, || bar.inc(1));
        let (together, alone) = thread::scope(|scope| {
            let start = |app| scope.spawn(move || replay(app));
            let threads: Vec<_> = alone.iter().map(start).collect();
            let together = replay(&app);
            let join = |thread: ScopedJoinHandle<'_, Tally>| thread.join();
            let alone: thread::Result<Vec<_>> = threads.into_iter().map(join).collect();
            (together, alone.unwrap_or_else(|panic| resume_unwind(panic)))
        });
        bar.finish_and_clear();
        let alone = Rule::ALL.into_iter().zip(alone).collect();
        Ok(Self { app, log, alone, together })
    }

    /// How many messages the log has.
    pub(super) fn messages(&self) -> usize {
        self.log.messages().count()
    }
}
