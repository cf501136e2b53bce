//! The numbers a challenge lives by. They are copied into a challenge when it is opened, so that
//! editing an app never changes a live challenge.

use super::guard::Mode;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use thiserror::Error;

/// A code lives at most this long (NIST SP 800-63B-4 §3.1.3.2, OWASP ASVS 5 §6.5.5).
pub const MAX_CODE_SECONDS: u32 = 600;

/// A challenge lives at most this long (OTPless `expiry`).
pub const MAX_CHALLENGE_SECONDS: u32 = 86_400;

/// The longest pause between two messages of a challenge, and between two failures of a subject.
const MAX_PAUSE_SECONDS: u32 = 3600;

/// A subject may fail at most this often in a row (NIST SP 800-63B-4 §3.2.2).
pub const MAX_FAILURES: u8 = 100;

/// The limits of one challenge, and of its subject's failures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// Digits of a code, where the request does not say.
    pub code_length: u8,
    /// Seconds that a code lives after it was sent; never more than its challenge.
    pub code_seconds: u32,
    /// Wrong codes that end a challenge, across all of its codes.
    pub max_attempts: u8,
    /// Messages per challenge.
    pub max_sends: u8,
    /// Seconds between the first message to a subject and the second, whatever challenges they are for, as
    /// long as they come from one class of callers and none of them succeeds. Each pause after that is
    /// twice as long as the one before, up to an hour.
    pub cool_down_seconds: u32,
    /// Consecutive failures of a subject, across its challenges, that refuse every further verify.
    pub max_failures: u8,
    /// Seconds after which a failure no longer counts.
    pub failure_seconds: u32,
    /// Seconds that a subject waits, with verifies and sends, once it has failed as often in a row as
    /// a challenge has attempts. Each failure after that makes it wait twice as long as the one
    /// before, up to an hour (NIST SP 800-63B-4 §3.2.2).
    pub failure_wait_seconds: u32,
    /// Wrong codes of the whole app.
    pub failed_verifies: FailedVerifies,
}

/// Wrong codes, PINs and passwords of all of an app's subjects together. Whoever tries a few at each
/// of many subjects stays under every limit of a subject's; this rule refuses nobody, it raises an
/// alarm. It follows what guesses gain: each further digit takes ten times as many to find a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FailedVerifies {
    /// Whether the alarm is raised, only recorded, or not looked at.
    pub mode: Mode,
    /// So many wrong codes of four digits in an hour raise it, beyond one for every twenty right ones: people
    /// mistype one or two in a hundred.
    pub per_hour: u32,
}

impl Default for FailedVerifies {
    /// So many guesses at codes of four digits find one in ten days.
    fn default() -> Self {
        Self { mode: Mode::Enforce, per_hour: 40 }
    }
}

/// What a right code takes off the alarm, as a share of a wrong one.
const RIGHT_FOR_WRONG: f64 = -0.05;

impl FailedVerifies {
    /// What a try of a code with so many digits adds to the alarm, which is raised at 100 in an hour.
    #[must_use]
    pub fn weight(&self, digits: u8, is_right: bool) -> f64 {
        let of_code = 100.0 / f64::from(self.per_hour) * 10f64.powi(4 - i32::from(digits));
        if is_right { of_code * RIGHT_FOR_WRONG } else { of_code }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            code_length: 6,
            code_seconds: MAX_CODE_SECONDS,
            max_attempts: 5,
            max_sends: 5,
            cool_down_seconds: 30,
            max_failures: 10,
            failure_seconds: 86_400,
            failure_wait_seconds: 30,
            failed_verifies: FailedVerifies::default(),
        }
    }
}

/// A policy that would break a promise of the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("policy: {0}")]
pub struct PolicyError(&'static str);

impl Policy {
    /// Checks every number against the standards, and that no counter is forgotten before the
    /// thing it counts has ended.
    pub fn validate(&self) -> Result<(), PolicyError> {
        let rules = [
            (
                crate::secret::code::LENGTHS.contains(&self.code_length),
                "code_length must be 4 to 10",
            ),
            (
                (30..=MAX_CODE_SECONDS).contains(&self.code_seconds),
                "code_seconds must be 30 to 600",
            ),
            ((1..=10).contains(&self.max_attempts), "max_attempts must be 1 to 10"),
            ((1..=20).contains(&self.max_sends), "max_sends must be 1 to 20"),
            (self.cool_down_seconds <= MAX_PAUSE_SECONDS, "cool_down_seconds must be at most 3600"),
            ((1..=MAX_FAILURES).contains(&self.max_failures), "max_failures must be 1 to 100"),
            (
                (MAX_CHALLENGE_SECONDS..=30 * 86_400).contains(&self.failure_seconds),
                "failure_seconds must be 86400 (the longest challenge) to 2592000",
            ),
            (
                self.failure_wait_seconds <= MAX_PAUSE_SECONDS,
                "failure_wait_seconds must be at most 3600",
            ),
            (self.failed_verifies.per_hour >= 1, "failed_verifies.per_hour must be at least 1"),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            Some((_, broken)) => Err(PolicyError(broken)),
            None => Ok(()),
        }
    }

    pub(crate) fn code_life(&self) -> Duration {
        Duration::from_secs(self.code_seconds.min(MAX_CODE_SECONDS).into())
    }

    /// The pause after the n-th message to a subject that was not answered.
    #[must_use]
    pub fn cool_down(&self, sends: usize) -> Duration {
        growing(self.cool_down_seconds, sends.saturating_sub(1))
    }

    /// The pause after a subject's n-th consecutive failure.
    pub(crate) fn failure_wait(&self, failures: usize) -> Duration {
        let waits = failures.checked_sub(self.max_attempts.into());
        waits.map_or(Duration::ZERO, |before| growing(self.failure_wait_seconds, before))
    }

    pub(crate) fn failure_window(&self) -> Duration {
        Duration::from_secs(self.failure_seconds.into())
    }
}

/// A pause that doubles every time, up to an hour.
fn growing(first_seconds: u32, doublings: usize) -> Duration {
    let doublings = u32::try_from(doublings).unwrap_or(u32::MAX).min(12);
    let seconds = first_seconds.saturating_mul(1 << doublings);
    Duration::from_secs(seconds.min(MAX_PAUSE_SECONDS).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_breaks_a_promise_is_refused() {
        let broken: [fn(&mut Policy); 11] = [
            |p| p.code_length = 3,
            |p| p.code_seconds = 601,
            |p| p.max_attempts = 0,
            |p| p.max_attempts = 11,
            |p| p.max_sends = 0,
            |p| p.cool_down_seconds = 3601,
            |p| p.max_failures = 101,
            |p| p.failure_seconds = 86_399,
            |p| p.failure_seconds = u32::MAX,
            |p| p.failure_wait_seconds = 3601,
            |p| p.failed_verifies.per_hour = 0,
        ];
        for edit in broken {
            let mut policy = Policy::default();
            edit(&mut policy);
            assert!(policy.validate().is_err(), "{policy:?}");
        }
    }

    #[test]
    fn pauses_grow_up_to_an_hour() {
        let pauses = |first| {
            let policy = Policy { cool_down_seconds: first, ..Policy::default() };
            [1, 2, 3, 4, 8, 9, 100].map(|sends| policy.cool_down(sends).as_secs())
        };
        assert_eq!(pauses(30), [30, 60, 120, 240, 3600, 3600, 3600]);
        assert_eq!(pauses(3600), [3600; 7]);
        assert_eq!(pauses(0), [0; 7]);
    }

    #[test]
    fn a_subject_waits_longer_after_every_failure_beyond_one_challenge() {
        let waits = |policy: Policy| {
            [0, 4, 5, 6, 7, 8, 9, 99].map(|failures| policy.failure_wait(failures).as_secs())
        };
        assert_eq!(waits(Policy::default()), [0, 0, 30, 60, 120, 240, 480, 3600]);
        assert_eq!(waits(Policy { failure_wait_seconds: 0, ..Policy::default() }), [0; 8]);
    }

    #[test]
    fn the_default_policy_is_valid() {
        assert_eq!(Policy::default().validate(), Ok(()));
    }
}
