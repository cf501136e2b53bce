//! The rules. Each says how many more messages it allows here and now, and what it answers otherwise.

use super::{
    counter::{Counter, Field, Slot, Unverified, slots_back},
    sending::{Dimension, Sending, Standing, Text},
};
use crate::{
    app::guard::{Guard, Limit, Mode, Rule, Unverified as Allowed},
    value::{
        country::Country,
        time::{Timestamp, Window},
    },
};
use std::time::Duration;

/// So many times more than a prefix may have unverified refuse newcomers there: ten thousand neighbours rarely
/// ask for their codes within minutes.
const PREFIX_BURST: u64 = 2;

/// A limit that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttled {
    /// Which.
    pub rule: Rule,
    /// What it allows: messages, or millionths of the app's currency.
    pub quota: u64,
    /// In which time.
    pub window: Duration,
    /// When there is room again, if nothing else is sent.
    pub until: Timestamp,
}

/// What a rule answers where it allows nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardRefusal {
    /// A limit is used up.
    Throttled(Throttled),
    /// A detector, or a list of what is allowed, speaks against it.
    Blocked(Rule),
}

impl GuardRefusal {
    /// The rule.
    #[must_use]
    pub const fn rule(&self) -> Rule {
        match self {
            Self::Throttled(throttled) => throttled.rule,
            Self::Blocked(rule) => *rule,
        }
    }

    pub(super) const fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Throttled(throttled) => Some(throttled.until),
            Self::Blocked(_) => None,
        }
    }

    pub(super) const fn is_block(&self) -> bool {
        matches!(self, Self::Blocked(_))
    }
}

/// What one rule has decided against a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// Whether the message is refused for it.
    pub is_enforced: bool,
    /// What the caller is told, or would be.
    pub refusal: GuardRefusal,
}

/// How much more one rule allows, here and now.
pub(super) struct Room {
    rule: Rule,
    mode: Mode,
    /// Messages, or millionths, beyond what was read.
    left: u64,
    /// What this message takes.
    needed: u64,
    /// The attribute that is held to a bound, as it was read.
    bounded: Option<(Field, u64)>,
    /// What it answers where less is left than is needed.
    otherwise: GuardRefusal,
}

impl Room {
    /// A rule that looks at nothing that others change: it allows a message or not.
    const fn fixed(rule: Rule, mode: Mode, is_allowed: bool, otherwise: GuardRefusal) -> Self {
        Self { rule, mode, left: is_allowed as u64, needed: 1, bounded: None, otherwise }
    }

    const fn is_there(&self) -> bool {
        self.left >= self.needed
    }

    /// The most that the bounded attribute may hold before the message is added. It does not depend on
    /// what was read of the present half hour: what was read there is taken off what is left.
    pub(super) fn bound(&self) -> Option<(Field, u64)> {
        let is_held = matches!(self.mode, Mode::Enforce) && self.is_there();
        let (field, read) = self.bounded.filter(|_| is_held)?;
        Some((field, read.saturating_add(self.left - self.needed)))
    }

    pub(super) fn finding(&self) -> Option<Finding> {
        let is_enforced = match self.mode {
            Mode::Off => return None,
            Mode::Shadow => false,
            Mode::Enforce => true,
        };
        (!self.is_there()).then_some(Finding {
            rule: self.rule,
            is_enforced,
            refusal: self.otherwise,
        })
    }
}

/// What is decided of a message before the counters are looked at one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Whether it is decided as if no block stood in the way, and not delivered. It is counted for the IP
    /// address that has asked for it, and uses up nothing that others share.
    pub(super) is_concealed: bool,
    /// What its subject's past says for it.
    pub(super) standing: Standing,
    /// Whether it goes where many messages were not verified, so that an IP address gets fewer.
    pub(super) is_tightened: bool,
}

/// The rules that look at no counter.
pub(super) fn fixed_rooms(
    guard: &Guard,
    text: Option<&Text>,
    sent: &[Timestamp],
    now: Timestamp,
) -> Vec<Room> {
    let mut rooms = address_rooms(guard.sends_per_address, sent, now);
    let Some(text) = text else { return rooms };
    let (allowed, types) = (&guard.allowed_countries, &guard.number_type);
    let blocked = GuardRefusal::Blocked;
    let is_allowed = allowed.countries.contains(&text.to);
    let rule = Rule::AllowedCountries;
    rooms.push(Room::fixed(rule, allowed.mode, is_allowed, blocked(rule)));
    let (rule, is_taken) = (Rule::NumberType, !types.refused.contains(&text.kind));
    rooms.push(Room::fixed(rule, types.mode, is_taken, blocked(rule)));
    rooms
}

/// The limit per address, by what its ledger has counted to the millisecond.
fn address_rooms(limit: Limit, sent: &[Timestamp], now: Timestamp) -> Vec<Room> {
    let room = |window: Window| {
        let quota = limit.in_window(window);
        let recent: Vec<_> = sent.iter().filter(|at| **at + window.span() > now).collect();
        let left = quota.saturating_sub(recent.len() as u64);
        let most = usize::try_from(quota).unwrap_or(usize::MAX);
        let first_over = recent.len().checked_sub(most).and_then(|surplus| recent.get(surplus));
        let until = first_over.map_or(now, |at| **at + window.span());
        let rule = Rule::SendsPerAddress;
        let otherwise = Throttled { rule, quota, window: window.span(), until };
        Room::fixed(rule, limit.mode, left > 0, GuardRefusal::Throttled(otherwise))
    };
    [Window::Hour, Window::Day].map(room).into()
}

/// A counter as a rule sees it.
pub(super) struct Reading<'a> {
    pub(super) guard: &'a Guard,
    pub(super) sending: &'a Sending,
    pub(super) counter: &'a Counter,
    pub(super) present: Slot,
    pub(super) now: Timestamp,
}

impl Reading<'_> {
    /// The rules that look at it.
    pub(super) fn rooms(&self, dimension: Dimension, terms: Terms) -> Vec<Room> {
        let guard = self.guard;
        match dimension {
            Dimension::Ip => {
                let mut rooms = self.limit(Rule::SendsPerIp, guard.sends_per_ip);
                rooms.extend(self.sending.text.as_ref().map(|text| self.countries(text.to)));
                rooms.extend(self.unverified_of_ip());
                rooms.extend(terms.is_tightened.then(|| self.unverified_under_attack()));
                rooms
            }
            Dimension::App => {
                let mut rooms = self.limit(Rule::SendsPerApp, self.share(guard.sends_per_app));
                rooms.extend(self.sending.text.as_ref().and_then(|text| self.spend(text.price)));
                rooms
            }
            Dimension::Country => {
                let limit = self.share(guard.sends_per_country);
                let mut rooms = self.limit(Rule::SendsPerCountry, limit);
                rooms.extend(self.unverified_of_others(dimension, terms));
                rooms
            }
            Dimension::Prefix => self.unverified_of_others(dimension, terms),
            Dimension::Address => self.limit(Rule::SendsPerAddress, guard.sends_per_address),
        }
    }

    /// Whether so many messages were not verified here that an IP address gets fewer.
    pub(super) fn is_under_attack(&self, dimension: Dimension) -> bool {
        self.detectors(dimension).into_iter().any(|Detector { mode, window, most, .. }| {
            mode == Mode::Enforce && self.unverified().unverified(window) >= most
        })
    }

    /// The part of a limit that callers of this class have.
    fn share(&self, limit: Limit) -> Limit {
        let share = |whole: u32| {
            let share = self.guard.share(self.sending.by, whole.into());
            u32::try_from(share).unwrap_or(whole)
        };
        Limit { per_hour: share(limit.per_hour), per_day: share(limit.per_day), ..limit }
    }

    /// A limit of messages per hour and per day.
    fn limit(&self, rule: Rule, limit: Limit) -> Vec<Room> {
        if limit.mode == Mode::Off {
            return Vec::new();
        }
        let room =
            |window| self.quota(rule, limit.mode, Field::Sent, window, limit.in_window(window), 1);
        [Window::Hour, Window::Day].map(room).into()
    }

    /// What is left of a quota in a window.
    fn quota(
        &self,
        rule: Rule,
        mode: Mode,
        of: fn(Slot) -> Field,
        window: Window,
        quota: u64,
        needed: u64,
    ) -> Room {
        let (counter, present) = (self.counter, self.present);
        let left = quota.saturating_sub(counter.sum(of, window, present));
        let free_at = || counter.free_at(of, window, present, quota.saturating_sub(needed));
        let until = if left >= needed { self.now } else { free_at() };
        let throttled = Throttled { rule, quota, window: window.span(), until };
        Room {
            rule,
            mode,
            left,
            needed,
            bounded: Some(self.read(of(present))),
            otherwise: GuardRefusal::Throttled(throttled),
        }
    }

    fn read(&self, field: Field) -> (Field, u64) {
        (field, self.counter.get(field))
    }

    fn spend(&self, price: u64) -> Option<Room> {
        let cap = &self.guard.spend_cap;
        let quota = self.guard.share(self.sending.by, cap.per_day?.as_millionths());
        let room = || self.quota(Rule::SpendCap, cap.mode, Field::Spent, Window::Day, quota, price);
        (cap.mode != Mode::Off).then(room)
    }

    /// Countries that one IP address sends to in a day, but for those where a message was verified. Two
    /// new ones at the same moment: the second is judged again, after the first.
    fn countries(&self, to: Country) -> Room {
        let (rule, settings) = (Rule::CountriesPerIp, self.guard.countries_per_ip);
        let known: Vec<Country> = self.counter.unverified_countries(self.present).collect();
        let day_ago = self.present.before(slots_back(Window::Day)).number();
        let is_verified = self.counter.get(Field::VerifiedIn(to)) >= day_ago;
        let is_new = !known.contains(&to) && !is_verified;
        let is_allowed = !is_new || known.len() < settings.most as usize;
        let mut room = Room::fixed(rule, settings.mode, is_allowed, GuardRefusal::Blocked(rule));
        room.bounded = is_new.then(|| self.read(Field::Sent(self.present)));
        room
    }

    /// What one IP address may have unverified. A message whose code can still be typed is not held
    /// against it, unless there are `burst` times more of them than are allowed: an attack that is over
    /// within minutes would go unseen otherwise.
    fn unverified_of_ip(&self) -> Vec<Room> {
        let unverified = self.unverified();
        let room = |detector: Detector| {
            let is_found = unverified.settled(detector.window) >= detector.most;
            let most = if is_found { 0 } else { detector.most.saturating_mul(self.burst()) };
            self.detect(&detector, most)
        };
        self.detectors(Dimension::Ip).into_iter().map(room).collect()
    }

    /// What one IP address may have unverified where messages go to that look attacked: an honest
    /// newcomer needs one or two, and whoever shares the address and verifies speaks for others.
    fn unverified_under_attack(&self) -> Room {
        let floor = self.guard.unverified_under_attack;
        let (rule, mode) = (Rule::UnverifiedPerIpDay, self.guard.unverified_per_ip_day.mode);
        let most = self.unverified().verified(Window::Day).max(floor.into());
        self.detect(&Detector { rule, mode, window: Window::Day, most }, most)
    }

    /// What others may have unverified before newcomers are refused. Where nobody is known who could be
    /// held back instead of everybody, it is only recorded.
    fn unverified_of_others(&self, dimension: Dimension, terms: Terms) -> Vec<Room> {
        if terms.standing != Standing::Newcomer {
            return Vec::new();
        }
        let room = |mut detector: Detector| {
            if self.sending.lacks_origin && detector.mode == Mode::Enforce {
                detector.mode = Mode::Shadow;
            }
            let burst = if dimension == Dimension::Prefix { PREFIX_BURST } else { self.burst() };
            self.detect(&detector, detector.most.saturating_mul(burst))
        };
        self.detectors(dimension).into_iter().map(room).collect()
    }

    /// The detectors that look at it.
    fn detectors(&self, dimension: Dimension) -> Vec<Detector> {
        let guard = self.guard;
        let all: &[(Rule, Allowed, Window)] = match dimension {
            Dimension::Ip => &[
                (Rule::UnverifiedPerIpHour, guard.unverified_per_ip_hour, Window::Hour),
                (Rule::UnverifiedPerIpDay, guard.unverified_per_ip_day, Window::Day),
            ],
            Dimension::Country => &[
                (Rule::UnverifiedPerCountryHour, guard.unverified_per_country_hour, Window::Hour),
                (Rule::UnverifiedPerCountryDay, guard.unverified_per_country_day, Window::Day),
            ],
            Dimension::Prefix => {
                &[(Rule::PrefixConcentration, guard.prefix_concentration, Window::Day)]
            }
            Dimension::App | Dimension::Address => &[],
        };
        let verified = |window| self.unverified().verified(window);
        // An hour has at least a sixth of what a day has.
        let of_window = |window| match window {
            Window::Hour => verified(Window::Hour).max(verified(Window::Day) / 6),
            Window::Day => verified(Window::Day),
        };
        let detector = |(rule, allowed, window): &(Rule, Allowed, Window)| {
            let share = of_window(*window).saturating_mul(allowed.percent.into()) / 100;
            let most = share.max(allowed.floor.into());
            Detector { rule: *rule, mode: allowed.mode, window: *window, most }
        };
        all.iter().map(detector).collect()
    }

    const fn unverified(&self) -> Unverified<'_> {
        Unverified { counter: self.counter, present: self.present, now: self.now }
    }

    fn burst(&self) -> u64 {
        self.guard.burst.into()
    }

    fn detect(&self, detector: &Detector, most: u64) -> Room {
        Room {
            rule: detector.rule,
            mode: detector.mode,
            left: most.saturating_sub(self.unverified().unverified(detector.window)),
            needed: 1,
            bounded: Some(self.read(Field::Sent(self.present))),
            otherwise: GuardRefusal::Blocked(detector.rule),
        }
    }
}

/// A rule that looks at messages whose codes never came back.
struct Detector {
    rule: Rule,
    mode: Mode,
    window: Window,
    /// As many are allowed: a floor, or a share of those that were verified.
    most: u64,
}
