//! Consecutive failures: what a subject got wrong since its last success, and for how long that
//! counts.

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
    /// When the subject may try again: after a while that grows with its failures, and when they have
    /// used up what the policy allows, not before the first of them no longer counts.
    #[must_use]
    pub fn locked_until(&self, policy: &Policy, now: Timestamp) -> Option<Timestamp> {
        let living = || self.at.iter().filter(|at| **at + self.window > now);
        let failures = living().count();
        let until = match failures.checked_sub(usize::from(policy.max_failures)) {
            Some(surplus) => living().nth(surplus).map(|at| *at + self.window),
            None => living().next_back().map(|at| *at + policy.failure_wait(failures)),
        };
        until.filter(|until| *until > now)
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
