//! Consecutive failures: what a subject got wrong since its last success, and for how long that
//! counts. Wrong codes age; wrong PINs and passwords do not.

use super::challenge::{Challenge, Lookup};
use crate::{app::policy::Policy, value::time::Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Whose challenges wrong codes were tried at. Each class counts against its own challenges alone, so that
/// nobody locks out those who know a challenge in another way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureClass {
    /// Challenges that callers know by their ids.
    Id,
    /// Challenges that callers find by naming the subject. Anybody can name anybody.
    Identity,
    /// Challenges of anonymous callers.
    Anonymous,
    /// Challenges of users who have shown a token.
    User,
    /// Challenges of devices on which the subject was verified before.
    Device,
    /// Challenges that are concealed: their callers wait as others do, and what they try counts against
    /// nothing that is delivered.
    Concealed,
}

impl FailureClass {
    /// The class of a challenge's failures.
    #[must_use]
    pub fn of(challenge: &Challenge) -> Self {
        match challenge.lookup {
            _ if challenge.is_concealed() => Self::Concealed,
            lookup => lookup.into(),
        }
    }
}

impl From<Lookup> for FailureClass {
    fn from(lookup: Lookup) -> Self {
        match lookup {
            Lookup::Id => Self::Id,
            Lookup::Identity => Self::Identity,
            Lookup::Anonymous => Self::Anonymous,
            Lookup::User => Self::User,
            Lookup::Device => Self::Device,
        }
    }
}

/// A kind of secret that a user can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretKind {
    /// Four digits.
    Pin,
    /// A password.
    Password,
}

/// The failures of one class, oldest first.
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
        pause_after(self.at.last().copied(), policy.failure_wait(self.living(now).count()), now)
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

    /// Forgets those that no longer count.
    pub(crate) fn prune(&mut self, now: Timestamp) -> &Self {
        let window = self.window;
        self.at.retain(|at| *at + window > now);
        self
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

/// When a pause after the last failure ends. Where there is none, nobody waits: nor whoever is asked by a
/// clock that shows a moment before the failure.
fn pause_after(last: Option<Timestamp>, pause: Duration, now: Timestamp) -> Option<Timestamp> {
    last.map(|at| at + pause).filter(|until| !pause.is_zero() && *until > now)
}

/// When the table may delete what never ages: not before the year 10000.
pub(crate) const NO_EXPIRY: Timestamp = Timestamp::from_millis(253_402_300_800_000);

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
        pause_after(self.last, policy.failure_wait(self.count.into()), now)
    }

    /// Counts one more.
    pub(crate) const fn count(&mut self, now: Timestamp) {
        self.count = self.count.saturating_add(1);
        self.last = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_a_clock_that_is_ahead_where_there_is_no_pause() {
        let (policy, now) = (Policy::default(), Timestamp::from_millis(1_800_000_000_000));
        let ahead = now + Duration::from_millis(700);
        let (mut codes, mut secrets) = (Failures::default(), SecretFailures::default());
        for n in 1..=policy.max_attempts {
            let is_last = n == policy.max_attempts;
            codes.count(&policy, ahead);
            secrets.count(ahead);
            assert_eq!(codes.paused_until(&policy, now).is_some(), is_last, "{n}");
            assert_eq!(secrets.paused_until(&policy, now).is_some(), is_last, "{n}");
        }
    }
}
