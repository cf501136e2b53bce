//! Wrong codes of a whole app: whoever tries a few at each of many subjects stays under every limit of a
//! subject's. The alarm for it rings by metrics; while it does, new codes have more digits. For that the app's
//! counter holds the wrong codes of an hour, by a sample, so that a verify stays one write.

use super::{
    counter::{Counter, Field, Slot},
    reservation::VerifyCount,
    sending::Sending,
};
use crate::{
    app::{
        guard::Mode,
        policy::{FailedVerifies, Policy},
    },
    secret::keyring::Keyring,
    value::{
        caller::CallerClass,
        id::{AppId, CounterKey, SubjectKey},
        time::{Timestamp, Window},
    },
};

/// One verify of so many is counted, as so many.
pub const SAMPLE: u8 = 8;

/// So many digits more a code has while an app is guessed at, up to [`MAX_LENGTH`].
pub const MORE_DIGITS: u8 = 2;

/// The most digits that are added up to, where a contract does not say.
pub const MAX_LENGTH: u8 = 8;

/// What the alarm is raised at, in per cent of what the app allows; and what a per cent is in a counter.
const ALARM: f64 = 100.0;
const PER_CENT: f64 = 1000.0;

impl VerifyCount {
    /// A verify that has failed, in the counter of its app and class of callers. What cost no attempt counts
    /// nothing, in the same time.
    #[must_use]
    pub fn failed(
        keyring: &Keyring,
        (app, by): (&AppId, CallerClass),
        wrong: Option<(FailedVerifies, u8)>,
        now: Timestamp,
    ) -> Self {
        let counted = wrong.filter(|(policy, _)| policy.mode == Mode::Enforce);
        let gain = counted.map_or(0.0, |(policy, digits)| policy.weight(digits, false));
        Self::of_failed(Sending::app_counter(keyring, app, by), gain, now)
    }

    /// The same of a verify that led to no challenge.
    #[must_use]
    pub fn of_nothing(keyring: &Keyring, subject: SubjectKey, now: Timestamp) -> Self {
        // A few items for all of them.
        let parts: [&[u8]; 2] = [b"no counter", &[subject.0[0] % 16]];
        Self::of_failed(CounterKey::from_bytes(keyring.index_mac_of(&parts)), 0.0, now)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of an alarm"
    )]
    fn of_failed(key: CounterKey, gain: f64, now: Timestamp) -> Self {
        let units = (gain * PER_CENT * f64::from(SAMPLE)).round() as u64;
        let slot = Slot::of(now);
        Self { key, slot, add: (Field::Failed(slot), units), set: None }
    }
}

impl Counter {
    /// Whether the codes of the app that it counts for are being guessed at: more wrong ones within an hour
    /// than the policy allows, beyond one for every twenty messages.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share of an alarm")]
    pub fn is_guessed_at(&self, policy: &Policy, now: Timestamp) -> bool {
        let FailedVerifies { mode, .. } = policy.failed_verifies;
        let present = self.present(now).max(Slot::of(now));
        let wrong = self.sum(Field::Failed, Window::Hour, present) as f64 / PER_CENT;
        let messages = self.sum(Field::Sent, Window::Hour, present) as f64;
        let right = messages * policy.failed_verifies.weight(policy.code_length, true);
        mode == Mode::Enforce && wrong + right >= ALARM
    }
}

/// The length of a code that would have had so many digits, while its app is guessed at.
#[must_use]
pub fn lengthened(usual: u8, longest: Option<u8>) -> u8 {
    usual.max((usual + MORE_DIGITS).min(longest.unwrap_or(MAX_LENGTH)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn app() -> (Keyring, AppId) {
        let keyring = Keyring::from_secret(r#"{"root":"a-secret-of-at-least-32-characters"}"#);
        (keyring.unwrap(), "shop".parse().unwrap())
    }

    /// What a counter holds after so many wrong codes, of which one in [`SAMPLE`] is counted.
    fn counter(policy: &Policy, wrong: u32, messages: u64) -> Counter {
        let (keyring, app) = app();
        let by = (&app, CallerClass::Anonymous);
        let wrong_code = Some((policy.failed_verifies, policy.code_length));
        let count = VerifyCount::failed(&keyring, by, wrong_code, NOW);
        let mut counter: Counter = [(Field::Sent(Slot::of(NOW)), messages)].into_iter().collect();
        (0..wrong / u32::from(SAMPLE)).for_each(|_| counter.count_verified(&count));
        counter
    }

    #[test]
    fn codes_are_lengthened_when_the_alarm_rings_and_not_before() {
        for (code_length, wrong) in [(4, 40), (5, 400), (6, 4000)] {
            let policy = Policy { code_length, ..Policy::default() };
            let rings =
                |wrong, messages| counter(&policy, wrong, messages).is_guessed_at(&policy, NOW);
            assert!(rings(wrong, 0) && !rings(wrong - 8, 0), "{code_length}");
            // Two mistyped codes in a hundred ring for nobody, however busy the app is.
            assert!(!rings(wrong, 2000 + u64::from(wrong) * 50), "{code_length}");
            let later = NOW + Window::Hour.span() + Window::Hour.span();
            assert!(!counter(&policy, wrong, 0).is_guessed_at(&policy, later), "{code_length}");
        }
        let mut shadow = Policy { code_length: 4, ..Policy::default() };
        shadow.failed_verifies.mode = Mode::Shadow;
        assert!(!counter(&shadow, 4000, 0).is_guessed_at(&shadow, NOW));
    }

    #[test]
    fn what_cost_no_attempt_counts_nothing_with_the_same_call() {
        let (keyring, app) = app();
        let none = VerifyCount::failed(&keyring, (&app, CallerClass::Anonymous), None, NOW);
        let nowhere = VerifyCount::of_nothing(&keyring, SubjectKey::from_bytes([7; 16]), NOW);
        assert_eq!((none.add.1, nowhere.add, nowhere.slot), (0, none.add, none.slot));
    }

    #[test]
    fn codes_grow_up_to_what_the_contract_has() {
        for (usual, longest, expected) in [
            (4, None, 6),
            (6, None, 8),
            (7, None, 8),
            (8, None, 8),
            (10, None, 10),
            (4, Some(6), 6),
            (6, Some(6), 6),
        ] {
            assert_eq!(lengthened(usual, longest), expected, "{usual} {longest:?}");
        }
    }
}
