//! Counters: what is counted across subjects. One item per app, dimension (IP address, country, number
//! prefix, mailbox, app) and caller class, with a number for each half hour, so that an hour and a day can roll.
//! A half hour that is over does not change any more, and only the present one has to be held to a bound.
//!
//! A window of an hour (or a day) is the present half hour and the two (or 48) before it: it looks back
//! over 60 to 90 minutes (or 24 to 24.5 hours), so that no limit is ever exceeded.

use crate::value::{
    country::Country,
    id::CounterKey,
    time::{Timestamp, Window},
};
use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};
use thiserror::Error;

const SLOT_MILLIS: u64 = 30 * 60 * 1000;

/// One half hour, counted from 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(u64);

impl Slot {
    /// The half hour that a moment is in.
    #[must_use]
    pub const fn of(moment: Timestamp) -> Self {
        Self(moment.as_millis() / SLOT_MILLIS)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The half hour that many before; the first of all has none before it.
    #[must_use]
    pub const fn before(self, slots: u64) -> Self {
        Self(self.0.saturating_sub(slots))
    }

    /// The half hour that many after.
    #[must_use]
    pub const fn after(self, slots: u64) -> Self {
        Self(self.0 + slots)
    }

    /// When it begins.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp::from_millis(self.0 * SLOT_MILLIS)
    }

    /// When no window looks back at it any more, and the table may delete a counter whose newest it is.
    #[must_use]
    pub const fn expires_at(self) -> Timestamp {
        self.after(slots_back(Window::Day) + 2).start()
    }
}

/// How many half hours before the present one belong to a window.
pub(super) const fn slots_back(window: Window) -> u64 {
    match window {
        Window::Hour => 2,
        Window::Day => 48,
    }
}

/// An attribute of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// Messages of a half hour.
    Sent(Slot),
    /// Those of them that detectors leave out: concealed messages, and those to subjects of which a success
    /// of today is counted already.
    Exempt(Slot),
    /// Messages of a half hour whose challenges were verified.
    Verified(Slot),
    /// Those whose addresses bounced, or whose receivers have complained.
    Bounced(Slot),
    /// Wrong codes of a half hour, each by what it gains, in thousandths of a per cent of what the app allows in
    /// an hour.
    Failed(Slot),
    /// What the text messages of a half hour cost, in millionths of the app's currency.
    Spent(Slot),
    /// The number of the newest half hour in which a text message went to a country.
    SentTo(Country),
    /// The number of the newest half hour in which one was sent there whose challenge was verified.
    VerifiedIn(Country),
    /// The number of the newest half hour in which a server asked for a text message without saying for whom.
    WithoutOrigin,
    /// The number of the newest half hour in which messages are counted. Nobody adds to one before it.
    Newest,
}

/// The attribute's name: short, since every byte of an item is paid for. A slot is written in base 36.
impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent(slot) => write!(f, "s{}", Base36(slot.0)),
            Self::Exempt(slot) => write!(f, "e{}", Base36(slot.0)),
            Self::Verified(slot) => write!(f, "v{}", Base36(slot.0)),
            Self::Bounced(slot) => write!(f, "b{}", Base36(slot.0)),
            Self::Failed(slot) => write!(f, "w{}", Base36(slot.0)),
            Self::Spent(slot) => write!(f, "c{}", Base36(slot.0)),
            Self::SentTo(country) => write!(f, "t{country}"),
            Self::VerifiedIn(country) => write!(f, "p{country}"),
            Self::WithoutOrigin => f.write_str("o"),
            Self::Newest => f.write_str("n"),
        }
    }
}

/// A text that names no attribute of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not an attribute of a counter")]
pub struct MalformedField;

impl FromStr for Field {
    type Err = MalformedField;

    fn from_str(text: &str) -> Result<Self, MalformedField> {
        let (kind, rest) = text.split_at_checked(1).ok_or(MalformedField)?;
        let country = || rest.parse().map_err(|_| MalformedField);
        let slot = || {
            let number = u64::from_str_radix(rest, 36).map_err(|_| MalformedField)?;
            // Only the text that is written is read: no sign, no leading zeros, no capitals.
            let is_own = Base36(number).to_string() == rest;
            is_own.then_some(Slot(number)).ok_or(MalformedField)
        };
        match kind {
            "s" => slot().map(Self::Sent),
            "e" => slot().map(Self::Exempt),
            "v" => slot().map(Self::Verified),
            "b" => slot().map(Self::Bounced),
            "w" => slot().map(Self::Failed),
            "c" => slot().map(Self::Spent),
            "t" => country().map(Self::SentTo),
            "p" => country().map(Self::VerifiedIn),
            "o" if rest.is_empty() => Ok(Self::WithoutOrigin),
            "n" if rest.is_empty() => Ok(Self::Newest),
            _ => Err(MalformedField),
        }
    }
}

struct Base36(u64);

impl fmt::Display for Base36 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digit = u32::try_from(self.0 % 36).ok().and_then(|digit| char::from_digit(digit, 36));
        if self.0 >= 36 {
            write!(f, "{}", Self(self.0 / 36))?;
        }
        digit.map_or(Ok(()), |digit| write!(f, "{digit}"))
    }
}

/// A counter as it was read; one that is not stored has counted nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counter(BTreeMap<Field, u64>);

impl FromIterator<(Field, u64)> for Counter {
    fn from_iter<I: IntoIterator<Item = (Field, u64)>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}

/// Counters by their keys.
pub type Counters = BTreeMap<CounterKey, Counter>;

impl Counter {
    /// What an attribute holds; zero where it is not there.
    #[must_use]
    pub fn get(&self, field: Field) -> u64 {
        self.0.get(&field).copied().unwrap_or(0)
    }

    /// Every attribute.
    pub fn fields(&self) -> impl Iterator<Item = (Field, u64)> {
        self.0.iter().map(|(field, value)| (*field, *value))
    }

    pub(super) fn entry(&mut self, field: Field) -> &mut u64 {
        self.0.entry(field).or_default()
    }

    pub(super) fn remove(&mut self, field: Field) {
        self.0.remove(&field);
    }

    /// The half hour that a message is counted in: the present one, or a newer one that somebody whose
    /// clock is ahead has counted in already.
    #[must_use]
    pub fn present(&self, now: Timestamp) -> Slot {
        self.newest().map_or(Slot::of(now), |newest| newest.max(Slot::of(now)))
    }

    /// The newest half hour that a message is counted in.
    #[must_use]
    pub fn newest(&self) -> Option<Slot> {
        self.0.get(&Field::Newest).map(|number| Slot(*number))
    }

    /// The sum of one kind of attribute over a window.
    pub(super) fn sum(&self, of: fn(Slot) -> Field, window: Window, present: Slot) -> u64 {
        (0..=slots_back(window)).map(|back| self.get(of(present.before(back)))).sum()
    }

    /// When the sum of a window will have come down to a bound, if nothing more is counted.
    pub(super) fn free_at(
        &self,
        of: fn(Slot) -> Field,
        window: Window,
        present: Slot,
        bound: u64,
    ) -> Timestamp {
        let later = (0..=slots_back(window)).map(|ahead| present.after(ahead));
        let free = later.into_iter().find(|slot| self.sum(of, window, *slot) <= bound);
        free.unwrap_or(present.after(slots_back(window) + 1)).start()
    }

    /// The countries that text messages went to within a day; those where one was verified are left out.
    pub(super) fn unverified_countries(&self, present: Slot) -> impl Iterator<Item = Country> {
        let oldest = present.before(slots_back(Window::Day)).0;
        self.0.iter().filter_map(move |(field, slot)| match field {
            Field::SentTo(country) if *slot >= oldest => {
                let verified_in = self.get(Field::VerifiedIn(*country));
                (verified_in < oldest).then_some(*country)
            }
            _ => None,
        })
    }

    /// Whether a server has asked for a text message within a day without saying for whom.
    #[must_use]
    pub fn lacked_origin(&self, now: Timestamp) -> bool {
        let oldest = self.present(now).before(slots_back(Window::Day)).0;
        self.0.get(&Field::WithoutOrigin).is_some_and(|newest| *newest >= oldest)
    }

    /// The attributes that no window looks back at any more.
    pub(super) fn stale_fields(&self, present: Slot) -> Vec<Field> {
        let oldest = present.before(slots_back(Window::Day));
        let oldest_of_hour = present.before(slots_back(Window::Hour));
        let is_stale = |(field, value): &(Field, u64)| match field {
            Field::Sent(slot)
            | Field::Exempt(slot)
            | Field::Verified(slot)
            | Field::Bounced(slot)
            | Field::Spent(slot) => *slot < oldest,
            Field::Failed(slot) => *slot < oldest_of_hour,
            Field::SentTo(_) | Field::VerifiedIn(_) | Field::WithoutOrigin => *value < oldest.0,
            Field::Newest => false,
        };
        self.fields().filter(is_stale).map(|(field, _)| field).collect()
    }
}

/// How long after the end of a half hour the codes of its messages can still be typed.
const CODE_LIFE: Duration = Duration::from_secs(crate::app::policy::MAX_CODE_SECONDS as u64);

/// A message whose address has bounced counts as so many that were not verified. Somebody who mistypes an
/// address once is not held back by the default rules; whoever does it again and again is, since a share of
/// bounces of 5 % puts an SES account under review.
const BOUNCE_WEIGHT: u64 = 3;

/// What a counter says of messages whose codes did not come back.
pub(super) struct Unverified<'a> {
    pub(super) counter: &'a Counter,
    pub(super) present: Slot,
    pub(super) now: Timestamp,
}

impl Unverified<'_> {
    fn at(&self, slot: Slot) -> u64 {
        let counter = self.counter;
        let others = counter.get(Field::Exempt(slot)) + counter.get(Field::Verified(slot));
        let bounced = counter.get(Field::Bounced(slot)).saturating_mul(BOUNCE_WEIGHT - 1);
        counter.get(Field::Sent(slot)).saturating_sub(others).saturating_add(bounced)
    }

    /// Messages of a window whose challenges were verified.
    pub(super) fn verified(&self, window: Window) -> u64 {
        self.counter.sum(Field::Verified, window, self.present)
    }

    /// Those whose challenges were not, or not yet.
    pub(super) fn unverified(&self, window: Window) -> u64 {
        (0..=slots_back(window)).map(|back| self.at(self.present.before(back))).sum()
    }

    /// Those of them whose codes can no longer be typed.
    pub(super) fn settled(&self, window: Window) -> u64 {
        let since = self.present.start().until(self.now);
        let first = if since >= CODE_LIFE { 1 } else { 2 };
        (first..=slots_back(window)).map(|back| self.at(self.present.before(back))).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PRESENT: Slot = Slot(1_000_000);

    fn counter(counts: &[u64]) -> Counter {
        let fields = counts.iter().zip(0..).filter(|(count, _)| **count > 0);
        fields.map(|(count, back)| (Field::Sent(PRESENT.before(back)), *count)).collect()
    }

    #[test]
    fn what_names_no_field_is_refused() {
        for text in [
            "", "n1", "o1", "s", "s-1", "s+1", "s01", "sLFLS", "x1", "t", "tus", "tUSA", "pU", "é1",
        ] {
            assert_eq!(text.parse::<Field>(), Err(MalformedField), "{text:?}");
        }
    }

    #[test]
    fn fields_survive_their_texts_and_are_short() {
        let greece: Country = "GR".parse().unwrap();
        let of_slot = [
            Field::Sent,
            Field::Exempt,
            Field::Verified,
            Field::Bounced,
            Field::Failed,
            Field::Spent,
        ];
        let slots = [0, 35, 36, 999_999, 1_000_000].map(Slot);
        let all = of_slot.iter().flat_map(|of| slots.map(of));
        for field in all.chain([
            Field::SentTo(greece),
            Field::VerifiedIn(greece),
            Field::WithoutOrigin,
            Field::Newest,
        ]) {
            assert_eq!(field.to_string().parse(), Ok(field));
            assert!(field.to_string().len() <= 5, "{field}");
        }
    }

    #[test]
    fn a_counter_outlives_whatever_looks_back_at_it() {
        let last = PRESENT.after(slots_back(Window::Day));
        assert!(PRESENT.expires_at() >= last.after(1).start());
    }

    proptest! {
        #[test]
        fn whoever_comes_back_then_finds_room_and_not_a_moment_before(
            counts in proptest::collection::vec(0..6u64, 50),
            bound in 0..12u64,
            is_day: bool,
        ) {
            let window = if is_day { Window::Day } else { Window::Hour };
            let counter = counter(&counts);
            let free_at = counter.free_at(Field::Sent, window, PRESENT, bound);
            prop_assert!(counter.sum(Field::Sent, window, Slot::of(free_at)) <= bound);
            if Slot::of(free_at) > PRESENT {
                let sooner = Slot::of(free_at).before(1);
                prop_assert!(counter.sum(Field::Sent, window, sooner) > bound);
            }
        }

        #[test]
        fn a_window_counts_no_less_than_what_lies_in_it(
            minutes in proptest::collection::vec(0..1_600u64, 0..40),
            offset in 0..30u64,
        ) {
            let now = PRESENT.start() + Duration::from_mins(offset);
            let at = |back: u64| Timestamp::from_millis(now.as_millis() - back * 60_000);
            let mut counter = Counter::default();
            for back in &minutes {
                *counter.entry(Field::Sent(Slot::of(at(*back)))) += 1;
            }
            for window in [Window::Hour, Window::Day] {
                let inside = minutes.iter().filter(|back| at(**back) + window.span() > now).count();
                let sum = counter.sum(Field::Sent, window, counter.present(now));
                prop_assert!(sum >= u64::try_from(inside).unwrap());
            }
        }

        #[test]
        fn what_is_stale_is_in_no_window(counts in proptest::collection::vec(0..3u64, 120)) {
            let full = counter(&counts);
            let mut pruned = full.clone();
            full.stale_fields(PRESENT).into_iter().for_each(|field| pruned.remove(field));
            for window in [Window::Hour, Window::Day] {
                let sums = [&full, &pruned].map(|c| c.sum(Field::Sent, window, PRESENT));
                prop_assert_eq!(sums[0], sums[1]);
            }
            prop_assert!(pruned.fields().count() <= 49);
        }
    }
}
