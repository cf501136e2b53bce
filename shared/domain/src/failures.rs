//! Consecutive failures: what a subject got wrong since its last success, and for how long that
//! counts. Wrong codes age; wrong PINs and passwords do not.

use crate::{Policy, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The failures of one kind, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Failures {
    at: Vec<Timestamp>,
    /// The time span of the policy under which the last failure was counted.
    window: Duration,
}

impl Failures {
    /// When the first of the failures that have used up what the policy allows no longer counts.
    #[must_use]
    pub fn locked_until(&self, policy: &Policy, now: Timestamp) -> Option<Timestamp> {
        let surplus = self.living(now).count().checked_sub(usize::from(policy.max_failures))?;
        self.living(now).nth(surplus).map(|at| at + self.window)
    }

    /// When the pause after the last failure ends, where there is one.
    #[must_use]
    pub fn paused_until(&self, policy: &Policy, now: Timestamp) -> Option<Timestamp> {
        let pause = policy.failure_wait(self.living(now).count());
        self.at.last().map(|at| *at + pause).filter(|until| *until > now)
    }

    /// When the subject may try again, if it may not now.
    #[must_use]
    pub fn refused_until(&self, policy: &Policy, now: Timestamp) -> Option<Timestamp> {
        self.locked_until(policy, now).or_else(|| self.paused_until(policy, now))
    }

    fn living(&self, now: Timestamp) -> impl Iterator<Item = Timestamp> {
        self.at.iter().copied().filter(move |at| *at + self.window > now)
    }

    /// Counts one more.
    pub(crate) fn count(&mut self, policy: &Policy, now: Timestamp) {
        let window = policy.failure_window();
        self.window = window;
        self.at.retain(|at| *at + window > now);
        self.at.push(now);
    }

    /// Forgets all: the subject has succeeded.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Forgets those that no longer count.
    pub(crate) fn prune(&mut self, now: Timestamp) {
        let window = self.window;
        self.at.retain(|at| *at + window > now);
        if self.at.is_empty() {
            self.clear();
        }
    }

    /// When none of them counts any more.
    pub(crate) fn ends_at(&self) -> Option<Timestamp> {
        self.at.last().map(|at| *at + self.window)
    }

    /// Whether there are none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.at.is_empty()
    }
}

/// When the table may drop what never ages: not before the year 10000.
pub(crate) const NEVER: Timestamp = Timestamp::from_millis(253_402_300_800_000);

/// Wrong PINs, or wrong passwords, since the last right one. A PIN stays the same for years, so that
/// failures that aged would let somebody guess for years: these count until they are cleared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecretFailures {
    count: u8,
    last: Option<Timestamp>,
}

impl SecretFailures {
    /// Whether they have used up what the policy allows. Time does not change that.
    #[must_use]
    pub const fn are_locked(&self, policy: &Policy) -> bool {
        self.count >= policy.max_failures
    }

    /// When the pause after the last one ends, where there is one.
    #[must_use]
    pub fn paused_until(&self, policy: &Policy, now: Timestamp) -> Option<Timestamp> {
        let pause = policy.failure_wait(self.count.into());
        self.last.map(|at| at + pause).filter(|until| *until > now)
    }

    /// Counts one more.
    pub(crate) const fn count(&mut self, now: Timestamp) {
        self.count = self.count.saturating_add(1);
        self.last = Some(now);
    }

    /// Forgets all of them.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether there are none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }
}
