//! A message that is to be judged: what the rules need to know of it, and the counters that it counts in.

use super::{counter::Counters, reservation::CountedIn};
use crate::{
    app::{
        App,
        guard::{Guard, Mode},
        policy::Policy,
    },
    secret::keyring::Keyring,
    value::{
        address::{Address, EmailAddress, PhoneNumber},
        caller::CallerClass,
        country::{Country, NumberType, origin},
        id::{AppId, CounterKey},
        time::{Timestamp, Window},
    },
};
use std::net::IpAddr;

/// A prefix of no more characters than this, with its `+`, is most of a country.
const MIN_PREFIX: usize = 5;

/// Where a message is asked from, as far as the rules can go by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The IP address of the browser or the phone; never that of a server. `None` where it is not known.
    pub ip: Option<IpAddr>,
    /// The counter of the IP address, where only that is known: of a message that takes the place of one that
    /// did not arrive.
    pub counter: Option<CounterKey>,
}

impl From<Option<IpAddr>> for Origin {
    fn from(ip: Option<IpAddr>) -> Self {
        Self { ip, counter: None }
    }
}

/// What the rules need to know of a message's subject.
#[derive(Clone, Copy, Debug, Default)]
pub struct SubjectHistory<'a> {
    /// What was sent to it within a day, oldest first.
    pub sent: &'a [Timestamp],
    /// Its last success, where that is kept.
    pub last_success: Option<Timestamp>,
}

/// What a subject's past says for its next message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has not succeeded yet, or has left a message of the past day without an answer.
    #[default]
    Newcomer,
    /// It has succeeded before, and has answered every message of the past day: what others have done does
    /// not refuse the next one. So a detector hurts newcomers alone, and a number that somebody has verified
    /// for the purpose is good for one unverified message a day.
    Known,
    /// The same, and a success of today is counted already, so that one of the next message will not be.
    /// Detectors leave the message out.
    VerifiedToday,
}

impl SubjectHistory<'_> {
    pub(super) fn standing(&self, now: Timestamp) -> Standing {
        let Some(last) = self.last_success else { return Standing::Newcomer };
        if self.sent.iter().any(|at| *at > last && *at + Window::Day.span() > now) {
            return Standing::Newcomer;
        }
        if last.days() == now.days() { Standing::VerifiedToday } else { Standing::Known }
    }
}

/// What a counter counts the messages of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dimension {
    /// An IP address, or a network.
    Ip,
    /// The app.
    App,
    /// A country.
    Country,
    /// Numbers that differ in nothing but their last four digits.
    Prefix,
    /// An address that no ledger of its own counts: a mailbox under another name, or the second address of a
    /// challenge.
    Address,
}

impl Dimension {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::App => "app",
            Self::Country => "country",
            Self::Prefix => "prefix",
            Self::Address => "address",
        }
    }

    /// Whether detectors look at it, so that it counts which messages were verified.
    pub(super) const fn is_detected(self) -> bool {
        match self {
            Self::Ip | Self::Country | Self::Prefix => true,
            Self::App | Self::Address => false,
        }
    }
}

/// A text message's part of a [`Sending`].
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) to: Country,
    pub(super) kind: NumberType,
    /// In millionths of the app's currency.
    pub(super) price: u64,
}

/// A message that is to be judged: what the rules need to know of it.
#[derive(Clone, Debug)]
pub struct Sending {
    pub(super) by: CallerClass,
    pub(super) text: Option<Text>,
    /// Whether a server has asked for it without saying for whom, so that there is nobody whom a detector
    /// could hold back instead of everybody.
    pub(super) lacks_origin: bool,
    /// The counters that it counts in.
    pub(super) counters: Vec<(Dimension, CounterKey)>,
}

impl Sending {
    /// A message of an app to an address, which may be another one than its challenge is about.
    #[must_use]
    pub fn new(
        app: &App,
        keyring: &Keyring,
        (to, is_beside): (&Address, bool),
        origin: Origin,
        by: CallerClass,
    ) -> Self {
        let guard = &app.guard;
        let mut named: Vec<(Dimension, String)> = Vec::new();
        named.extend(origin.ip.map(|ip| (Dimension::Ip, network(ip))));
        named.push((Dimension::App, String::new()));
        let text = match to {
            Address::Phone(phone) => {
                named.extend(is_beside.then(|| (Dimension::Address, phone.as_str().to_owned())));
                Some(text(guard, phone, &mut named))
            }
            Address::Email(email) => {
                let counted = if is_beside { Some(email.mailbox()) } else { alias_of(email) };
                named.extend(counted.map(|mailbox| (Dimension::Address, mailbox)));
                None
            }
            Address::User(_) => None,
        };
        named.retain(|(dimension, _)| guard.counts(*dimension));
        let key = |(dimension, value): (Dimension, String)| {
            (dimension, counter_key(keyring, &app.id, dimension, &value, by))
        };
        let is_of_server = match by {
            CallerClass::Authenticated | CallerClass::User => true,
            CallerClass::Device | CallerClass::Anonymous => false,
        };
        let lacks_origin = origin.ip.is_none() && origin.counter.is_none() && is_of_server;
        let known = origin.counter.filter(|_| guard.counts(Dimension::Ip));
        let known = known.map(|key| (Dimension::Ip, key));
        let counters = known.into_iter().chain(named.into_iter().map(key)).collect();
        Self { by, text, lacks_origin, counters }
    }

    /// The counter of an app, for a class of callers.
    #[must_use]
    pub fn app_counter(keyring: &Keyring, app: &AppId, by: CallerClass) -> CounterKey {
        counter_key(keyring, app, Dimension::App, "", by)
    }

    /// The counters that its judgement needs.
    #[must_use]
    pub fn counters(&self) -> Vec<CounterKey> {
        self.counters.iter().map(|(_, key)| *key).collect()
    }

    /// The country that it goes to, as a text message.
    #[must_use]
    pub fn country(&self) -> Option<Country> {
        self.text.as_ref().map(|text| text.to)
    }

    /// Whether the codes of its app are being guessed at, by what the app's counter says.
    #[must_use]
    pub fn is_guessed_at(&self, policy: &Policy, counters: &Counters, now: Timestamp) -> bool {
        let counter = self.counter(Dimension::App).and_then(|key| counters.get(&key));
        counter.is_some_and(|counter| counter.is_guessed_at(policy, now))
    }

    pub(super) fn counter(&self, dimension: Dimension) -> Option<CounterKey> {
        self.counters.iter().find(|(known, _)| *known == dimension).map(|(_, key)| *key)
    }

    /// Where a success of its challenge is counted.
    pub(super) fn counted_in(&self) -> CountedIn {
        CountedIn {
            ip: self.counter(Dimension::Ip),
            country: self.counter(Dimension::Country),
            prefix: self.counter(Dimension::Prefix),
            to: self.country(),
        }
    }
}

/// What the rules need to know of a text message.
fn text(guard: &Guard, phone: &PhoneNumber, named: &mut Vec<(Dimension, String)>) -> Text {
    let (to, kind) = origin(phone);
    named.push((Dimension::Country, to.as_str().to_owned()));
    named.extend(prefix(phone.as_str()).map(|prefix| (Dimension::Prefix, prefix.to_owned())));
    Text { to, kind, price: if guard.has_cap() { guard.spend_cap.price(to) } else { 0 } }
}

impl Guard {
    fn counts(&self, dimension: Dimension) -> bool {
        let any = |modes: &[Mode]| modes.iter().any(|mode| *mode != Mode::Off);
        match dimension {
            Dimension::Ip => any(&[
                self.sends_per_ip.mode,
                self.countries_per_ip.mode,
                self.unverified_per_ip_hour.mode,
                self.unverified_per_ip_day.mode,
            ]),
            Dimension::App => any(&[self.sends_per_app.mode]) || self.has_cap(),
            Dimension::Country => any(&[
                self.sends_per_country.mode,
                self.unverified_per_country_hour.mode,
                self.unverified_per_country_day.mode,
            ]),
            Dimension::Prefix => any(&[self.prefix_concentration.mode]),
            Dimension::Address => any(&[self.sends_per_address.mode]),
        }
    }

    fn has_cap(&self) -> bool {
        self.spend_cap.mode != Mode::Off && self.spend_cap.per_day.is_some()
    }
}

/// The key of a counter. Callers with a user's token share the app's counter with its server, and known
/// devices share it with anonymous callers, since what the app may send is shared out among the two.
fn counter_key(
    keyring: &Keyring,
    app: &AppId,
    dimension: Dimension,
    value: &str,
    by: CallerClass,
) -> CounterKey {
    let class = match (dimension, by) {
        (Dimension::App, CallerClass::User) | (_, CallerClass::Authenticated) => "authenticated",
        (_, CallerClass::User) => "user",
        (Dimension::App, CallerClass::Device) | (_, CallerClass::Anonymous) => "anonymous",
        (_, CallerClass::Device) => "device",
    };
    let parts = ["counter", app.as_str(), dimension.as_str(), value, class];
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

/// The mailbox that an address is another name of; `None` for an address that is its mailbox's own name,
/// whose ledger counts what goes there.
fn alias_of(email: &EmailAddress) -> Option<String> {
    let mailbox = email.mailbox();
    (mailbox != email.canonical()).then_some(mailbox)
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
