//! The rules. Each says how many more messages it allows here and now, and what it answers otherwise.

use super::{
    counter::{Counter, Counters, Field, Slot, Unverified, slots_back},
    reservation::{CountedIn, Reservation},
};
use crate::{
    app::{
        App,
        guard::{Guard, Limit, Mode, Rule, Unverified as Allowed},
    },
    secret::keyring::Keyring,
    value::{
        address::{Address, PhoneNumber},
        caller::CallerClass,
        country::{self, Country, NumberType},
        id::{AppId, CounterKey},
        time::{Timestamp, Window},
    },
};
use std::{net::IpAddr, time::Duration};

/// A prefix of no more characters than this, with its `+`, is most of a country.
const MIN_PREFIX: usize = 5;

/// Ten thousand neighbours rarely ask for their codes within minutes.
const PREFIX_BURST: u64 = 1;

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

    const fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Throttled(throttled) => Some(throttled.until),
            Self::Blocked(_) => None,
        }
    }

    const fn is_block(&self) -> bool {
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
struct Room {
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
    fn bound(&self) -> Option<(Field, u64)> {
        let is_held = matches!(self.mode, Mode::Enforce) && self.is_there();
        let (field, read) = self.bounded.filter(|_| is_held)?;
        Some((field, read.saturating_add(self.left - self.needed)))
    }

    fn finding(&self) -> Option<Finding> {
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

/// What the rules have decided on a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What speaks against it, in the order of the rules.
    pub findings: Vec<Finding>,
    /// What is reserved before it goes out.
    pub reservations: Vec<Reservation>,
    /// Where a success of its challenge is counted.
    pub counted_in: CountedIn,
}

impl Verdict {
    /// Why the message is not sent. One that is to be concealed is held back by limits alone.
    #[must_use]
    pub fn refusal(&self, is_concealed: bool) -> Option<GuardRefusal> {
        first_refusal(&self.findings, is_concealed)
    }
}

fn first_refusal(findings: &[Finding], is_concealed: bool) -> Option<GuardRefusal> {
    let enforced = findings.iter().filter(|finding| finding.is_enforced);
    let mut refusals = enforced.map(|finding| finding.refusal);
    refusals.find(|refusal| !is_concealed || !refusal.is_block())
}

/// What the rules need to know of a message's subject.
#[derive(Clone, Copy, Debug, Default)]
pub struct SubjectHistory<'a> {
    /// What was sent to it, oldest first.
    pub sent: &'a [Timestamp],
    /// Whether it has answered its last message, and a success of today is counted already. No second one
    /// will be, so the detectors of IP addresses leave its next message out.
    pub has_verified_today: bool,
}

/// Where a message is asked from, as far as the rules can go by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The IP address of the browser or the phone; never that of a server. `None` where it is not known.
    pub ip: Option<IpAddr>,
}

/// A text message's part of a [`Sending`].
#[derive(Clone, Debug)]
struct Text {
    to: Country,
    kind: NumberType,
    price: u64,
    country: Option<CounterKey>,
    prefix: Option<CounterKey>,
}

/// A message that is to be judged: what the rules need to know of it.
#[derive(Clone, Debug)]
pub struct Sending {
    by: CallerClass,
    text: Option<Text>,
    ip: Option<CounterKey>,
    app: Option<CounterKey>,
}

impl Sending {
    /// A message of an app to an address.
    #[must_use]
    pub fn new(
        app: &App,
        keyring: &Keyring,
        to: &Address,
        origin: Origin,
        by: CallerClass,
    ) -> Self {
        let to = match to {
            Address::Phone(phone) => Some((phone, country::origin(phone))),
            Address::Email(_) | Address::User(_) => None,
        };
        Self::to_number(app, keyring, to, origin, by)
    }

    /// The same, where it is known what a phone number tells.
    #[must_use]
    pub fn to_number(
        app: &App,
        keyring: &Keyring,
        to: Option<(&PhoneNumber, (Country, NumberType))>,
        origin: Origin,
        by: CallerClass,
    ) -> Self {
        let guard = &app.guard;
        let key = |dimension, value: &str| counter_key(keyring, &app.id, dimension, value, by);
        let text = to.map(|(phone, (to, kind))| {
            let prefix = prefix(phone.as_str()).filter(|_| guard.counts_prefixes());
            Text {
                to,
                kind,
                price: if guard.has_cap() { guard.spend_cap.price(to) } else { 0 },
                country: guard.counts_countries().then(|| key("country", to.as_str())),
                prefix: prefix.map(|prefix| key("prefix", prefix)),
            }
        });
        let counts_app = guard.sends_per_app.mode != Mode::Off || guard.has_cap();
        Self {
            by,
            text,
            ip: origin.ip.filter(|_| guard.counts_ips()).map(|ip| key("ip", &network(ip))),
            app: counts_app.then(|| key("app", "")),
        }
    }

    /// The counters that its judgement needs.
    #[must_use]
    pub fn counters(&self) -> Vec<CounterKey> {
        let text = self.text.as_ref();
        let of_text = text.into_iter().flat_map(|text| [text.country, text.prefix]);
        [self.ip, self.app].into_iter().chain(of_text).flatten().collect()
    }

    /// Judges it: by what is known of its subject, and by the counters. A concealed message
    /// is counted for the IP address that has asked for it, and uses up nothing that others share.
    #[must_use]
    pub fn judge(
        &self,
        guard: &Guard,
        subject: SubjectHistory<'_>,
        counters: &Counters,
        is_concealed: bool,
        now: Timestamp,
    ) -> Verdict {
        let mut rooms = self.fixed_rooms(guard, subject.sent, now);
        let is_exempt = self.text.is_none() || is_concealed || subject.has_verified_today;
        let mut reservations = Vec::new();
        for key in self.counters() {
            let counter = counters.get(&key).cloned().unwrap_or_default();
            let of_counter = self.rooms(guard, key, &counter, now);
            if !is_concealed || self.ip == Some(key) {
                let marked = Marked { is_exempt, is_concealed };
                reservations.push(self.reservation(key, &counter, &of_counter, marked, now));
            }
            rooms.extend(of_counter);
        }
        let counted_in = if is_concealed { CountedIn::default() } else { self.counted_in() };
        Verdict { findings: findings(&rooms), reservations, counted_in }
    }

    /// Judges it once more by a counter that has refused its reservation: the next reservation, or why
    /// there is none.
    pub fn judge_again(
        &self,
        guard: &Guard,
        refused: &Reservation,
        counter: &Counter,
        is_concealed: bool,
        now: Timestamp,
    ) -> Result<Reservation, GuardRefusal> {
        let key = refused.key;
        let rooms = self.rooms(guard, key, counter, now);
        let marked = Marked { is_exempt: refused.is_exempt(), is_concealed };
        match first_refusal(&findings(&rooms), is_concealed) {
            Some(refusal) => Err(refusal),
            None => Ok(self.reservation(key, counter, &rooms, marked, now)),
        }
    }

    fn counted_in(&self) -> CountedIn {
        let Some(text) = &self.text else { return CountedIn::default() };
        CountedIn { ip: self.ip, country: text.country, prefix: text.prefix, to: Some(text.to) }
    }

    /// The rules that look at no counter.
    fn fixed_rooms(&self, guard: &Guard, sent: &[Timestamp], now: Timestamp) -> Vec<Room> {
        let mut rooms = address_rooms(guard.sends_per_address, sent, now);
        let Some(text) = &self.text else { return rooms };
        let (allowed, types) = (&guard.allowed_countries, &guard.number_type);
        let blocked = GuardRefusal::Blocked;
        let is_allowed = allowed.countries.contains(&text.to);
        let rule = Rule::AllowedCountries;
        rooms.push(Room::fixed(rule, allowed.mode, is_allowed, blocked(rule)));
        let (rule, is_taken) = (Rule::NumberType, !types.refused.contains(&text.kind));
        rooms.push(Room::fixed(rule, types.mode, is_taken, blocked(rule)));
        rooms
    }

    /// The rules that look at one of the counters.
    fn rooms(
        &self,
        guard: &Guard,
        key: CounterKey,
        counter: &Counter,
        now: Timestamp,
    ) -> Vec<Room> {
        let reading = &Reading { counter, present: counter.present(now), now };
        let text = self.text.as_ref();
        if self.ip == Some(key) {
            let mut rooms = reading.limit(Rule::SendsPerIp, guard.sends_per_ip);
            if let Some(text) = text {
                rooms.push(reading.countries(guard, text.to));
                rooms.extend(reading.unverified_of_ip(guard));
            }
            return rooms;
        }
        if self.app == Some(key) {
            let mut rooms = reading.limit(Rule::SendsPerApp, guard.sends_per_app);
            rooms.extend(text.and_then(|text| reading.spend(guard, self.by, text.price)));
            return rooms;
        }
        if text.is_some_and(|text| text.country == Some(key)) {
            let mut rooms = reading.limit(Rule::SendsPerCountry, guard.sends_per_country);
            rooms.extend(reading.unverified_of_country(guard));
            return rooms;
        }
        vec![reading.unverified_of_prefix(guard)]
    }

    fn reservation(
        &self,
        key: CounterKey,
        counter: &Counter,
        rooms: &[Room],
        Marked { is_exempt, is_concealed }: Marked,
        now: Timestamp,
    ) -> Reservation {
        let slot = counter.present(now);
        let text = self.text.as_ref().filter(|_| !is_concealed);
        let is_exempt = is_exempt && self.ip == Some(key);
        let price = text.filter(|_| self.app == Some(key)).map_or(0, |text| text.price);
        let mut add = vec![(Field::Sent(slot), 1)];
        add.extend(is_exempt.then_some((Field::Exempt(slot), 1)));
        add.extend((price > 0).then_some((Field::Spent(slot), price)));
        let to = text.filter(|_| self.ip == Some(key)).map(|text| text.to);
        let mut set = vec![(Field::Newest, slot.number())];
        set.extend(to.map(|to| (Field::SentTo(to), slot.number())));
        let is_kept = |field: &Field| set.iter().all(|(kept, _)| kept != field);
        let stale: Vec<Field> = counter.stale_fields(slot).into_iter().filter(is_kept).collect();
        let at_most = bounds(rooms, slot, counter, &stale);
        Reservation { key, slot, add, set, at_most, stale }
    }
}

/// How a message is counted.
#[derive(Clone, Copy)]
struct Marked {
    /// Whether the detectors of IP addresses leave it out.
    is_exempt: bool,
    is_concealed: bool,
}

/// The bounds of a reservation: the strictest of each attribute; that nothing was added to the half hour
/// before, or to the newest that was read, nor set in what is removed, since the counter was read; and that
/// nobody has begun a later half hour.
fn bounds(rooms: &[Room], slot: Slot, counter: &Counter, stale: &[Field]) -> Vec<(Field, u64)> {
    let mut bounds: Vec<(Field, u64)> = Vec::new();
    for (field, most) in rooms.iter().filter_map(Room::bound) {
        match bounds.iter_mut().find(|(known, _)| *known == field) {
            Some((_, strictest)) => *strictest = most.min(*strictest),
            None => bounds.push((field, most)),
        }
    }
    let of_slot: [fn(Slot) -> Field; 2] = [Field::Sent, Field::Spent];
    let is_bounded = |of: &fn(Slot) -> Field| bounds.iter().any(|(field, _)| *field == of(slot));
    let kinds: Vec<_> = of_slot.into_iter().filter(is_bounded).collect();
    let newest = counter.newest().filter(|newest| *newest < slot.before(1));
    let before: Vec<Slot> = [slot.before(1)].into_iter().chain(newest).collect();
    let previous = kinds.iter().flat_map(|of| before.iter().map(|slot| of(*slot)));
    let is_set = |field: &Field| matches!(field, Field::SentTo(_) | Field::VerifiedIn(_));
    let as_read = previous.chain(stale.iter().copied().filter(is_set));
    bounds.extend(as_read.map(|field| (field, counter.get(field))));
    bounds.push((Field::Newest, slot.number()));
    bounds
}

/// The findings, one for each rule, in the order of the rules. Of two windows that are both used up, the
/// one that is for longer is told.
fn findings(rooms: &[Room]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for finding in rooms.iter().filter_map(Room::finding) {
        match findings.iter_mut().find(|known| known.rule == finding.rule) {
            Some(known) if known.refusal.until() < finding.refusal.until() => *known = finding,
            Some(_) => {}
            None => findings.push(finding),
        }
    }
    findings.sort_by_key(|finding| finding.rule);
    findings
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
struct Reading<'a> {
    counter: &'a Counter,
    present: Slot,
    now: Timestamp,
}

impl Reading<'_> {
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

    fn spend(&self, guard: &Guard, by: CallerClass, price: u64) -> Option<Room> {
        let quota = guard.spend_cap.quota(by)?;
        let (rule, mode) = (Rule::SpendCap, guard.spend_cap.mode);
        Some(self.quota(rule, mode, Field::Spent, Window::Day, quota, price))
    }

    /// Countries that one IP address sends to in a day, but for those where a message was verified. Two
    /// new ones at the same moment: the second is judged again, after the first.
    fn countries(&self, guard: &Guard, to: Country) -> Room {
        let (rule, settings) = (Rule::CountriesPerIp, guard.countries_per_ip);
        let known: Vec<Country> = self.counter.unverified_countries(self.present).collect();
        let day_ago = self.present.before(slots_back(Window::Day)).number();
        let is_verified = self.counter.get(Field::VerifiedIn(to)) >= day_ago;
        let is_new = !known.contains(&to) && !is_verified;
        let is_allowed = !is_new || known.len() < settings.most as usize;
        let mut room = Room::fixed(rule, settings.mode, is_allowed, GuardRefusal::Blocked(rule));
        room.bounded = is_new.then(|| self.read(Field::Sent(self.present)));
        room
    }

    fn unverified_of_ip(&self, guard: &Guard) -> [Room; 2] {
        let verified = self.unverified().verified(Window::Day);
        let (hour, day) = (guard.unverified_per_ip_hour, guard.unverified_per_ip_day);
        let burst = guard.burst.into();
        [
            (Rule::UnverifiedPerIpHour, hour, Window::Hour, at_most(hour, verified / 6)),
            (Rule::UnverifiedPerIpDay, day, Window::Day, at_most(day, verified)),
        ]
        .map(|(rule, settings, window, most)| self.detect(rule, settings.mode, window, most, burst))
    }

    fn unverified_of_country(&self, guard: &Guard) -> [Room; 2] {
        let unverified = self.unverified();
        let (hour, day) = (guard.unverified_per_country_hour, guard.unverified_per_country_day);
        let per_day = at_most(day, unverified.verified(Window::Day));
        let per_hour = at_most(hour, unverified.verified(Window::Hour)).max(per_day / 6);
        let burst = guard.burst.into();
        [
            (Rule::UnverifiedPerCountryHour, hour, Window::Hour, per_hour),
            (Rule::UnverifiedPerCountryDay, day, Window::Day, per_day),
        ]
        .map(|(rule, settings, window, most)| self.detect(rule, settings.mode, window, most, burst))
    }

    fn unverified_of_prefix(&self, guard: &Guard) -> Room {
        let settings = guard.prefix_concentration;
        let most = at_most(settings, self.unverified().verified(Window::Day));
        let rule = Rule::PrefixConcentration;
        self.detect(rule, settings.mode, Window::Day, most, PREFIX_BURST)
    }

    const fn unverified(&self) -> Unverified<'_> {
        Unverified { counter: self.counter, present: self.present, now: self.now }
    }

    /// A detector of messages whose codes never came back. One whose code can still be typed is not held
    /// against anybody, unless there are `burst` times more of them than `most`, the unverified ones
    /// that are allowed: an attack that is over within minutes would go unseen otherwise.
    fn detect(&self, rule: Rule, mode: Mode, window: Window, most: u64, burst: u64) -> Room {
        let unverified = self.unverified();
        let is_found = unverified.settled(window) >= most;
        let left = most.saturating_mul(burst).saturating_sub(unverified.unverified(window));
        Room {
            rule,
            mode,
            left: if is_found { 0 } else { left },
            needed: 1,
            bounded: Some(self.read(Field::Sent(self.present))),
            otherwise: GuardRefusal::Blocked(rule),
        }
    }
}

/// How many unverified messages are allowed beside that many verified ones.
fn at_most(allowed: Allowed, verified: u64) -> u64 {
    u64::from(allowed.floor).max(verified.saturating_mul(allowed.percent.into()) / 100)
}

impl Guard {
    fn counts_ips(&self) -> bool {
        let unverified = [self.unverified_per_ip_hour.mode, self.unverified_per_ip_day.mode];
        let modes = [self.sends_per_ip.mode, self.countries_per_ip.mode];
        unverified.into_iter().chain(modes).any(|mode| mode != Mode::Off)
    }

    fn has_cap(&self) -> bool {
        self.spend_cap.mode != Mode::Off && self.spend_cap.per_day.is_some()
    }

    fn counts_countries(&self) -> bool {
        let hour = self.unverified_per_country_hour.mode;
        let day = self.unverified_per_country_day.mode;
        [self.sends_per_country.mode, hour, day].into_iter().any(|mode| mode != Mode::Off)
    }

    fn counts_prefixes(&self) -> bool {
        self.prefix_concentration.mode != Mode::Off
    }
}

/// The key of a counter. Callers with a user's token share the app's counter with its server, since what
/// the app may spend is shared out among authenticated and anonymous callers.
fn counter_key(
    keyring: &Keyring,
    app: &AppId,
    dimension: &str,
    value: &str,
    by: CallerClass,
) -> CounterKey {
    let class = match (dimension, by) {
        ("app", CallerClass::User) | (_, CallerClass::Authenticated) => "authenticated",
        (_, CallerClass::User) => "user",
        (_, CallerClass::Anonymous) => "anonymous",
    };
    let parts = ["counter", app.as_str(), dimension, value, class];
    CounterKey::from_bytes(keyring.index_mac(&parts))
}

/// A number without its last four digits: ten thousand neighbours. Where a country's numbers are so
/// short that hardly more than its own digits are left, neighbours are all there are, and none.
fn prefix(number: &str) -> Option<&str> {
    number.get(..number.len().saturating_sub(4)).filter(|prefix| prefix.len() > MIN_PREFIX)
}

/// The network that an IP address stands for. Of IPv6, providers give everybody a /64 at least; an
/// IPv4-mapped IPv6 address is the IPv4 address.
fn network(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_shares_a_network_shares_a_counter() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff:1:2:3"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
