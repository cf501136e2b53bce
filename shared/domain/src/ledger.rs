//! The ledger: all open challenges and the counters of one subject. One stored item, one version.

use crate::{
    AppId, Challenge, ChallengeId, Timestamp,
    challenge::{State, Trace},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A subject has at most this many challenges at a time.
pub const MAX_CHALLENGES: usize = 8;

/// An ended challenge stays this long, so that its id is answered "expired" and not "not found".
pub const AFTERLIFE: Duration = Duration::from_hours(1);

/// Everything that is kept of one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// The app the subject belongs to.
    pub app: AppId,
    /// Its challenges, oldest first.
    #[serde(default)]
    pub challenges: Vec<Challenge>,
    /// When its consecutive failures happened, oldest first; a success clears them.
    #[serde(default)]
    pub failures: Vec<Timestamp>,
    /// The time span of the policy under which the last failure was counted.
    #[serde(default)]
    pub failure_window: Duration,
}

impl Ledger {
    /// The ledger of a subject that was never heard of.
    #[must_use]
    pub const fn new(app: AppId) -> Self {
        Self { app, challenges: Vec::new(), failures: Vec::new(), failure_window: Duration::ZERO }
    }

    /// The challenge with an id.
    #[must_use]
    pub fn find(&self, id: ChallengeId) -> Option<&Challenge> {
        self.challenges.iter().find(|challenge| challenge.random == id.random)
    }

    pub(crate) fn find_mut(&mut self, id: ChallengeId) -> Option<&mut Challenge> {
        self.challenges.iter_mut().find(|challenge| challenge.random == id.random)
    }

    /// What logs and metrics may know of a challenge.
    #[must_use]
    pub fn trace(&self, id: ChallengeId) -> Trace {
        let last = self.find(id).and_then(Challenge::last_send);
        Trace { app: self.app.clone(), channel: last.map(|send| send.channel) }
    }

    /// When nothing in the ledger matters any more, and the table may drop it.
    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        let challenges = self.challenges.iter().map(|challenge| challenge.expires_at + AFTERLIFE);
        let failures = self.failures.iter().map(|failed_at| *failed_at + self.failure_window);
        challenges.chain(failures).max().unwrap_or(Timestamp::from_millis(0))
    }

    /// When the subject may try again, if its consecutive failures have used up `max`.
    #[must_use]
    pub fn locked_until(&self, max: u8, now: Timestamp) -> Option<Timestamp> {
        let living = || self.failures.iter().filter(|at| **at + self.failure_window > now);
        let surplus = living().count().checked_sub(usize::from(max))?;
        living().nth(surplus).map(|at| *at + self.failure_window)
    }

    pub(crate) fn count_failure(&mut self, window: Duration, now: Timestamp) {
        self.failure_window = window;
        self.failures.retain(|at| *at + window > now);
        self.failures.push(now);
    }

    /// Drops what has ended. What is still open is never touched.
    pub(crate) fn prune(&mut self, now: Timestamp) {
        self.challenges.retain(|challenge| now < challenge.expires_at + AFTERLIFE);
        self.failures.retain(|at| *at + self.failure_window > now);
    }

    /// Makes room for one more challenge: ended ones go first, then the oldest that nothing was
    /// sent for. Refuses, with the moment room appears, when all that is left has been sent.
    pub(crate) fn make_room(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        self.prune(now);
        if self.challenges.len() < MAX_CHALLENGES {
            return Ok(());
        }
        let ended =
            |c: &Challenge| c.has_expired(now) || c.state != State::Open || c.is_exhausted();
        let unsent = |c: &Challenge| c.sends.is_empty();
        let position = |test: &dyn Fn(&Challenge) -> bool| self.challenges.iter().position(test);
        match position(&ended).or_else(|| position(&unsent)) {
            Some(oldest) => {
                self.challenges.remove(oldest);
                Ok(())
            }
            None => Err(self.challenges.iter().map(|c| c.expires_at).min().unwrap_or(now)),
        }
    }
}
