//! Gauges: what is counted across subjects. One item for each key and UTC day, with a counter for
//! each half hour, so that an hour and a day can roll: what was counted in a half hour that is over
//! does not change any more, and only the present one has to be held to a bound.
//!
//! A window of an hour (or a day) is the present half hour, the whole ones before it, and of the
//! oldest as much as still lies in the window, for detectors, or all of it, for limits.

use super::{Country, Rule};
use crate::{Timestamp, bytes};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

/// Half hours of a day.
pub const SLOTS_PER_DAY: u64 = 48;

/// Days for which the verified messages of a country are looked at.
pub const HISTORY_DAYS: u64 = 14;

const SLOT_MILLIS: u64 = 30 * 60 * 1000;

/// What a gauge is about, as nobody without the keyring can tell: an HMAC of app, kind and value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GaugeKey(#[serde(with = "bytes")] pub(super) [u8; 16]);

impl GaugeKey {
    /// A key from its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for GaugeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bytes::encode(&self.0))
    }
}

impl fmt::Debug for GaugeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GaugeKey({self})")
    }
}

/// One half hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(u64);

impl Slot {
    /// The half hour that a moment is in.
    #[must_use]
    pub const fn of(moment: Timestamp) -> Self {
        Self(moment.as_millis() / SLOT_MILLIS)
    }

    /// The half hour that many before; the first of all has none before it.
    #[must_use]
    pub const fn before(self, slots: u64) -> Self {
        Self(self.0.saturating_sub(slots))
    }

    /// The half hour of a day, the first being 0.
    pub(super) const fn at(day: u64, index: u8) -> Self {
        Self(day * SLOTS_PER_DAY + index as u64)
    }

    pub(super) const fn after(self, slots: u64) -> Self {
        Self(self.0 + slots)
    }

    /// When it begins.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp::from_millis(self.0 * SLOT_MILLIS)
    }

    /// When the next begins.
    #[must_use]
    pub const fn end(self) -> Timestamp {
        Timestamp::from_millis((self.0 + 1) * SLOT_MILLIS)
    }

    /// The UTC day it is in, counted from 1970.
    #[must_use]
    pub const fn day(self) -> u64 {
        self.0 / SLOTS_PER_DAY
    }

    const fn index(self) -> u8 {
        (self.0 % SLOTS_PER_DAY) as u8
    }
}

/// One stored gauge: a key on a UTC day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GaugeId {
    /// What it is about.
    pub key: GaugeKey,
    /// The day, counted from 1970.
    pub day: u64,
}

impl GaugeId {
    /// When nothing asks for it any more, and the table may drop it.
    #[must_use]
    pub fn ends_at(self) -> Timestamp {
        let days = Duration::from_hours(24) * u32::try_from(HISTORY_DAYS + 1).unwrap_or(u32::MAX);
        Slot((self.day + 1) * SLOTS_PER_DAY).start() + days
    }
}

/// `<key>/<day>`: the partition key of its item.
impl fmt::Display for GaugeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.key, self.day)
    }
}

/// A text that names no gauge, or nothing that a gauge counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl FromStr for GaugeId {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let (key, day) = text.split_once('/').ok_or(Unreadable)?;
        let key = GaugeKey(bytes::decode(key).ok_or(Unreadable)?);
        Ok(Self { key, day: day.parse().map_err(|_| Unreadable)? })
    }
}

/// What is counted in a half hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Count {
    /// Messages.
    Sent,
    /// Those of them that detectors leave out: e-mails, and messages that were suppressed.
    Exempt,
    /// Text messages of challenges that were verified.
    Verified,
    /// What messages cost, in millionths of the app's currency.
    Spent,
    /// Messages to one country.
    SentTo(Country),
}

/// An attribute of a gauge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// A counter of one half hour, the first of the day being 0.
    Counter(Count, u8),
    /// Text messages to a country whose challenges were verified.
    Proven(Country),
    /// Until when a rule refuses what the gauge is about, in milliseconds since 1970.
    Block(Rule),
}

impl Field {
    /// The counter of a half hour.
    #[must_use]
    pub const fn counter(count: Count, slot: Slot) -> Self {
        Self::Counter(count, slot.index())
    }
}

/// The attribute's name: short, since every byte of an item is paid for.
impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counter(Count::Sent, slot) => write!(f, "s{slot}"),
            Self::Counter(Count::Exempt, slot) => write!(f, "e{slot}"),
            Self::Counter(Count::Verified, slot) => write!(f, "v{slot}"),
            Self::Counter(Count::Spent, slot) => write!(f, "c{slot}"),
            Self::Counter(Count::SentTo(country), slot) => write!(f, "t{country}{slot}"),
            Self::Proven(country) => write!(f, "p{country}"),
            Self::Block(rule) => write!(f, "b_{}", rule.as_str()),
        }
    }
}

impl FromStr for Field {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        if let Some(rule) = text.strip_prefix("b_") {
            return Rule::ALL
                .into_iter()
                .find(|known| known.as_str() == rule)
                .map(Self::Block)
                .ok_or(Unreadable);
        }
        let (kind, rest) = text.split_at_checked(1).ok_or(Unreadable)?;
        let country = || rest.get(..2).and_then(|text| text.parse().ok()).ok_or(Unreadable);
        let (count, slot) = match kind {
            "p" if rest.len() == 2 => return Ok(Self::Proven(country()?)),
            "s" => (Count::Sent, rest),
            "e" => (Count::Exempt, rest),
            "v" => (Count::Verified, rest),
            "c" => (Count::Spent, rest),
            "t" => (Count::SentTo(country()?), &rest[2..]),
            _ => return Err(Unreadable),
        };
        let slot = slot.parse().ok().filter(|slot| u64::from(*slot) < SLOTS_PER_DAY);
        slot.map(|slot| Self::Counter(count, slot)).ok_or(Unreadable)
    }
}

/// The attributes of one stored gauge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gauge(pub BTreeMap<Field, u64>);

impl Gauge {
    /// What an attribute says; zero where it is not there.
    #[must_use]
    pub fn get(&self, field: Field) -> u64 {
        self.0.get(&field).copied().unwrap_or(0)
    }

    /// The counters of a day that count this, with their half hours.
    fn counters(&self, count: Count) -> impl Iterator<Item = (u8, u64)> {
        let all = Field::Counter(count, 0)..=Field::Counter(count, u8::MAX);
        self.0.range(all).filter_map(|(field, counted)| match field {
            Field::Counter(_, index) => Some((*index, *counted)),
            Field::Proven(_) | Field::Block(_) => None,
        })
    }

    /// Whether a step may be taken.
    #[must_use]
    pub fn allows(&self, step: &Step) -> bool {
        step.at_most.iter().all(|(field, most)| self.get(*field) <= *most)
    }

    /// Takes a step, allowed or not.
    pub fn take(&mut self, step: &Step) {
        for (field, by) in &step.add {
            let value = self.0.entry(*field).or_default();
            *value = value.saturating_add_signed(*by);
        }
        self.0.extend(step.set.iter().copied());
    }
}

/// Gauges as they were read; one that is not there has counted nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gauges(BTreeMap<GaugeId, Gauge>);

impl FromIterator<(GaugeId, Gauge)> for Gauges {
    fn from_iter<I: IntoIterator<Item = (GaugeId, Gauge)>>(gauges: I) -> Self {
        Self(gauges.into_iter().collect())
    }
}

impl Gauges {
    /// Takes steps that the store has taken as well.
    pub fn take(&mut self, steps: &Steps) {
        steps.iter().for_each(|step| self.0.entry(step.id).or_default().take(step));
    }

    /// Puts newer readings in the place of older ones.
    pub fn learn(&mut self, newer: Self) {
        self.0.extend(newer.0);
    }

    /// One of them.
    #[must_use]
    pub fn of(&self, id: GaugeId) -> Option<&Gauge> {
        self.0.get(&id)
    }

    /// What a key has counted in one half hour.
    pub(super) fn at(&self, key: GaugeKey, count: Count, slot: Slot) -> u64 {
        let gauge = self.0.get(&GaugeId { key, day: slot.day() });
        gauge.map_or(0, |gauge| gauge.get(Field::counter(count, slot)))
    }

    /// What keys have counted together in the present half hour and in each of the day before it.
    pub(super) fn series(&self, keys: &[GaugeKey], count: Count, now: Timestamp) -> Series {
        let present = Slot::of(now);
        let mut series = Series { present, counted: [0; SERIES] };
        let days = [present.day(), present.before(SLOTS_PER_DAY).day()];
        let days = days.into_iter().take(if present.day() == 0 { 1 } else { 2 });
        for id in days.flat_map(|day| keys.iter().map(move |key| GaugeId { key: *key, day })) {
            let Some(gauge) = self.0.get(&id) else { continue };
            for (index, counted) in gauge.counters(count) {
                if let Some(slot) = series.entry(Slot::at(id.day, index)) {
                    *slot += counted;
                }
            }
        }
        series
    }

    /// What a key has counted on a day.
    pub(super) fn on(&self, key: GaugeKey, count: Count, day: u64) -> u64 {
        let gauge = self.0.get(&GaugeId { key, day });
        gauge.map_or(0, |gauge| gauge.counters(count).map(|(_, counted)| counted).sum())
    }
}

/// The half hours that a window of a day touches.
const SERIES: usize = 49;
const _: () = assert!(SERIES as u64 == SLOTS_PER_DAY + 1);

/// What was counted in the last half hours: what windows are summed up from, read once.
pub(super) struct Series {
    present: Slot,
    /// The present half hour first, and then back.
    counted: [u64; SERIES],
}

impl Series {
    fn entry(&mut self, slot: Slot) -> Option<&mut u64> {
        let back = usize::try_from(self.present.0.checked_sub(slot.0)?).ok()?;
        self.counted.get_mut(back)
    }

    /// What was counted in a half hour; zero where it is longer ago, or has not begun.
    pub(super) fn at(&self, slot: Slot) -> u64 {
        let back = self.present.0.checked_sub(slot.0).and_then(|back| usize::try_from(back).ok());
        back.and_then(|back| self.counted.get(back)).copied().unwrap_or(0)
    }
}

/// A change of one gauge: all of it, or nothing where a counter has passed its bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which gauge.
    pub id: GaugeId,
    /// What is added to its counters; what is given back is negative.
    pub add: Vec<(Field, i64)>,
    /// What is put in its attributes.
    pub set: Vec<(Field, u64)>,
    /// What its counters may be before the step; one that is not there is zero.
    pub at_most: Vec<(Field, u64)>,
}

impl Step {
    /// A step that changes nothing yet.
    #[must_use]
    pub const fn on(id: GaugeId) -> Self {
        Self { id, add: Vec::new(), set: Vec::new(), at_most: Vec::new() }
    }

    fn absorb(&mut self, other: Self) {
        for (field, by) in other.add {
            match self.add.iter_mut().find(|(known, _)| *known == field) {
                Some((_, sum)) => *sum += by,
                None => self.add.push((field, by)),
            }
        }
        self.set.extend(other.set);
        for (field, most) in other.at_most {
            match self.at_most.iter_mut().find(|(known, _)| *known == field) {
                Some((_, least)) => *least = most.min(*least),
                None => self.at_most.push((field, most)),
            }
        }
    }
}

/// Several steps in one write, at most one for each gauge: a transaction takes no more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps(BTreeMap<GaugeId, Step>);

impl Steps {
    /// Adds a step.
    pub fn push(&mut self, step: Step) {
        match self.0.get_mut(&step.id) {
            Some(known) => known.absorb(step),
            None => drop(self.0.insert(step.id, step)),
        }
    }

    /// Adds what others add.
    pub fn extend(&mut self, others: Self) {
        others.0.into_values().for_each(|step| self.push(step));
    }

    /// Those of them that are about one key.
    #[must_use]
    pub(super) fn only(self, key: Option<GaugeKey>) -> Self {
        Self(self.0.into_iter().filter(|(id, _)| Some(id.key) == key).collect())
    }

    /// Adds what is given back in the same write. Bounds were found as if it had been given back
    /// already, and the store compares them with what is there before: they are so much higher.
    pub fn give_back(&mut self, back: Self) {
        for (id, step) in back.0 {
            for (field, most) in
                self.0.get_mut(&id).into_iter().flat_map(|known| &mut known.at_most)
            {
                let given = step.add.iter().find(|(given, _)| given == field);
                *most = most.saturating_add_signed(given.map_or(0, |(_, by)| -by));
            }
            self.push(step);
        }
    }

    /// The steps that ask or change something.
    pub fn iter(&self) -> impl Iterator<Item = &Step> {
        self.0.values().filter(|step| {
            let changes = step.add.iter().any(|(_, by)| *by != 0);
            changes || !step.set.is_empty() || !step.at_most.is_empty()
        })
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

/// A span that rolls: an hour or a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// 60 minutes.
    Hour,
    /// 24 hours.
    Day,
}

impl Window {
    /// How long it is.
    #[must_use]
    pub const fn span(self) -> Duration {
        match self {
            Self::Hour => Duration::from_hours(1),
            Self::Day => Duration::from_hours(24),
        }
    }

    const fn slots(self) -> u64 {
        match self {
            Self::Hour => 2,
            Self::Day => SLOTS_PER_DAY,
        }
    }

    /// The sum over the window that ends now, of what `counted` says of each half hour. Of the
    /// oldest it is the share that still lies in the window, rounded up.
    pub(super) fn sum(self, now: Timestamp, counted: impl Fn(Slot) -> u64) -> u64 {
        let present = Slot::of(now);
        let whole: u64 = (0..self.slots()).map(|back| counted(present.before(back))).sum();
        whole + share(counted(present.before(self.slots())), now.until(present.end()))
    }

    /// The sum over every half hour that the window ending now touches: no less than what lies in it,
    /// whenever in the oldest of them it was counted.
    pub(super) fn most(self, now: Timestamp, counted: impl Fn(Slot) -> u64) -> u64 {
        let present = Slot::of(now);
        (0..=self.slots()).map(|back| counted(present.before(back))).sum()
    }

    /// When [`most`](Self::most) will have come down to a bound, if nothing more is counted.
    pub(super) fn free_at(
        self,
        now: Timestamp,
        bound: u64,
        counted: impl Fn(Slot) -> u64,
    ) -> Timestamp {
        let present = Slot::of(now);
        let until_present = |slot| if slot > present { 0 } else { counted(slot) };
        let free = (0..=self.slots())
            .map(|ahead| present.after(ahead).start().max(now))
            .find(|moment| self.most(*moment, until_present) <= bound);
        free.unwrap_or(present.after(self.slots() + 1).start())
    }
}

fn share(counted: u64, left: Duration) -> u64 {
    let part = u128::from(counted) * left.as_millis();
    u64::try_from(part.div_ceil(SLOT_MILLIS.into())).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: GaugeKey = GaugeKey([7; 16]);

    #[test]
    fn what_is_no_field_and_no_gauge_is_unreadable() {
        for text in ["", "s", "s48", "s-1", "x1", "t1", "tus1", "pU", "b_", "b_nothing", "é1"] {
            assert_eq!(text.parse::<Field>(), Err(Unreadable), "{text:?}");
        }
        for text in ["", "/", "A/1", "20777"] {
            assert_eq!(text.parse::<GaugeId>(), Err(Unreadable), "{text:?}");
        }
    }

    #[test]
    fn fields_and_gauges_survive_their_texts() {
        let greece: Country = "GR".parse().unwrap();
        let counts =
            [Count::Sent, Count::Exempt, Count::Verified, Count::Spent, Count::SentTo(greece)];
        let counters =
            counts.iter().flat_map(|count| [0, 9, 47].map(|n| Field::Counter(*count, n)));
        let others = Rule::ALL.map(Field::Block).into_iter().chain([Field::Proven(greece)]);
        for field in counters.chain(others) {
            assert_eq!(field.to_string().parse(), Ok(field));
        }
        let id = GaugeId { key: KEY, day: 20_777 };
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn a_gauge_outlives_whatever_is_asked_of_it() {
        let last_asked = Slot((20_777 + HISTORY_DAYS) * SLOTS_PER_DAY).end();
        assert!(GaugeId { key: KEY, day: 20_777 }.ends_at() > last_asked);
    }

    #[test]
    fn steps_on_one_gauge_are_one_and_its_strictest_bound_counts() {
        let id = GaugeId { key: KEY, day: 1 };
        let field = Field::Counter(Count::Sent, 3);
        let mut steps = Steps::default();
        for (by, most) in [(1, 9), (-1, 4), (2, 7)] {
            steps.push(Step {
                add: vec![(field, by)],
                at_most: vec![(field, most)],
                ..Step::on(id)
            });
        }
        let only: Vec<_> = steps.iter().collect();
        assert_eq!(
            (only.len(), &only[0].add, &only[0].at_most),
            (1, &vec![(field, 2)], &vec![(field, 4)])
        );
        let mut nothing = Steps::default();
        nothing.push(Step { add: vec![(field, 1)], ..Step::on(id) });
        nothing.push(Step { add: vec![(field, -1)], ..Step::on(id) });
        assert!(nothing.is_empty(), "what is given back and taken again is left alone");
    }

    #[test]
    fn a_series_says_of_each_half_hour_what_its_gauges_say() {
        let other = GaugeKey([8; 16]);
        for present in [20_777 * SLOTS_PER_DAY + 5, 20_777 * SLOTS_PER_DAY, 3].map(Slot) {
            let mut gauges = Gauges::default();
            for (n, key) in [(1, KEY), (100, other)] {
                for slot in (0..60).map(|back| present.before(back)) {
                    let set = vec![(Field::counter(Count::Sent, slot), n + slot.0 % 60)];
                    let id = GaugeId { key, day: slot.day() };
                    gauges.0.entry(id).or_default().take(&Step { set, ..Step::on(id) });
                }
            }
            let series = gauges.series(&[KEY, other], Count::Sent, present.start());
            for slot in (0..=SLOTS_PER_DAY).map(|back| present.before(back)) {
                let both = [KEY, other].map(|key| gauges.at(key, Count::Sent, slot));
                assert_eq!(series.at(slot), both.iter().sum::<u64>(), "{slot:?}");
            }
            assert_eq!(
                (series.at(present.after(1)), series.at(Slot(0))),
                (0, if present.0 == 3 { 101 } else { 0 })
            );
        }
    }

    proptest! {
        #[test]
        fn whoever_comes_back_then_finds_room_and_not_a_moment_before(
            counts in proptest::collection::vec(0..6u64, 50),
            most in 0..12u64,
            offset in 0..SLOT_MILLIS,
            is_day: bool,
        ) {
            let window = if is_day { Window::Day } else { Window::Hour };
            let present = Slot(1_000_000);
            let now = Timestamp::from_millis(present.start().as_millis() + offset);
            let counted = |slot: Slot| match present.0.checked_sub(slot.0) {
                Some(back) => counts.get(usize::try_from(back).unwrap()).copied().unwrap_or(0),
                None => 0,
            };
            let free_at = window.free_at(now, most, counted);
            prop_assert!(window.most(free_at, counted) <= most);
            if free_at > now {
                let sooner = Timestamp::from_millis(free_at.as_millis() - 1);
                prop_assert!(window.most(sooner, counted) > most);
            }
        }

        #[test]
        fn no_amount_is_too_large_for_a_window(counted in 0..1_000_000_000_000_000u64, offset in 0..SLOT_MILLIS) {
            let present = Slot(1_000_000);
            let now = Timestamp::from_millis(present.start().as_millis() + offset);
            let oldest = |slot: Slot| if slot == present.before(2) { counted } else { 0 };
            let sum = Window::Hour.sum(now, oldest);
            let left = u64::try_from(now.until(present.end()).as_millis()).unwrap();
            let part = (u128::from(counted) * u128::from(left)).div_ceil(1_800_000);
            prop_assert_eq!(u128::from(sum), part);
            prop_assert!(Window::Hour.free_at(now, 0, oldest) > now);
        }

        #[test]
        fn a_window_never_counts_less_than_what_lies_in_it_for_sure(
            counts in proptest::collection::vec(0..9u64, 50),
            offset in 0..SLOT_MILLIS,
        ) {
            let present = Slot(1_000_000);
            let now = Timestamp::from_millis(present.start().as_millis() + offset);
            let back = |slot: Slot| usize::try_from(present.0 - slot.0).unwrap();
            let sum = Window::Hour.sum(now, |slot| counts[back(slot)]);
            prop_assert!(sum >= counts[0] + counts[1] && sum <= counts[0] + counts[1] + counts[2]);
        }
    }
}
