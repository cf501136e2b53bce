//! The guard: rules across subjects that keep an app's messages few enough, and out of the hands of
//! whoever is paid for them. Every rule has a name, a default, a setting of the app's and a mode: it
//! is enforced, or only recorded, or off.
//!
//! A send is judged on what was read: the subject's ledger and the [`gauges`](gauge). What the rules
//! allow is then written in one step: the ledger, and on every gauge one more message, on the
//! condition that the gauge has not passed the bound that the rules have found for it. So no limit
//! is exceeded by one message, however many callers there are, and a refused send changes nothing.
//!
//! *Limits* ([`limits`]) say when to come back. *Detectors* ([`detectors`]) look at text messages
//! whose codes never came back, and block what they find for a while.

mod detectors;
pub mod gauge;
mod limits;
mod number;
pub mod settings;
mod trial;

pub use gauge::{Gauges, Step, Steps, Window};
pub use number::{Country, MalformedCountry, NumberType, origin};
pub use settings::{Amount, Guard, GuardError, Mode};
use settings::{MAX_SHARDS, share};

use crate::{
    Address, App, Keyring, PhoneNumber, SubjectKey, Timestamp, challenge::Lookup, send::Refusal,
};
use gauge::{Count, Field, GaugeId, GaugeKey, HISTORY_DAYS, Slot};
use serde::{Deserialize, Serialize};
use std::{net::IpAddr, time::Duration};
use trial::Trial;

/// A prefix of no more characters than this, with its `+`, is most of a country.
const MIN_PREFIX: usize = 5;

/// The rules, in the order in which they are asked; the first that refuses is the one that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// Text messages go to the countries that the app has named.
    AllowedCountries,
    /// They do not go to numbers that cost more than others, or that nobody reads.
    NumberType,
    /// Messages to one subject.
    SendsPerAddress,
    /// Messages that one IP address asks for.
    SendsPerIp,
    /// Text messages to one country.
    SendsPerCountry,
    /// Messages of the app.
    SendsPerApp,
    /// The cost of the app's text messages.
    SpendCap,
    /// Countries that one IP address sends to.
    CountriesPerIp,
    /// Unverified messages from one IP address in an hour.
    UnverifiedPerIpHour,
    /// Unverified messages from one IP address in a day.
    UnverifiedPerIpDay,
    /// Unverified messages to one country in an hour.
    UnverifiedPerCountryHour,
    /// Unverified messages to one country in a day.
    UnverifiedPerCountryDay,
    /// Unverified messages to numbers that differ in their last four digits.
    PrefixConcentration,
}

impl Rule {
    /// All of them, in order.
    pub const ALL: [Self; 13] = [
        Self::AllowedCountries,
        Self::NumberType,
        Self::SendsPerAddress,
        Self::SendsPerIp,
        Self::SendsPerCountry,
        Self::SendsPerApp,
        Self::SpendCap,
        Self::CountriesPerIp,
        Self::UnverifiedPerIpHour,
        Self::UnverifiedPerIpDay,
        Self::UnverifiedPerCountryHour,
        Self::UnverifiedPerCountryDay,
        Self::PrefixConcentration,
    ];

    /// Those that look at messages whose codes never came back.
    pub const DETECTORS: [Self; 6] = [
        Self::CountriesPerIp,
        Self::UnverifiedPerIpHour,
        Self::UnverifiedPerIpDay,
        Self::UnverifiedPerCountryHour,
        Self::UnverifiedPerCountryDay,
        Self::PrefixConcentration,
    ];

    /// Its name: in settings, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AllowedCountries => "allowed_countries",
            Self::NumberType => "number_type",
            Self::SendsPerAddress => "sends_per_address",
            Self::SendsPerIp => "sends_per_ip",
            Self::SendsPerCountry => "sends_per_country",
            Self::SendsPerApp => "sends_per_app",
            Self::SpendCap => "spend_cap",
            Self::CountriesPerIp => "countries_per_ip",
            Self::UnverifiedPerIpHour => "unverified_per_ip_hour",
            Self::UnverifiedPerIpDay => "unverified_per_ip_day",
            Self::UnverifiedPerCountryHour => "unverified_per_country_hour",
            Self::UnverifiedPerCountryDay => "unverified_per_country_day",
            Self::PrefixConcentration => "prefix_concentration",
        }
    }
}

/// Who asks for a message. Each class has limits and counters of its own, so that no class uses up
/// what another has: only what the app may spend is one for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallerClass {
    /// An app's server or administrator, or the holder of an id that one of them was given.
    Authenticated,
    /// A user of the app, by an access token.
    User,
    /// Whoever has shown nothing but the address.
    Anonymous,
}

impl From<Lookup> for CallerClass {
    fn from(lookup: Lookup) -> Self {
        match lookup {
            Lookup::Id | Lookup::Identity => Self::Authenticated,
            Lookup::User => Self::User,
            Lookup::Anonymous => Self::Anonymous,
        }
    }
}

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

/// What one rule has decided against a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// Whether the send is refused for it.
    pub is_enforced: bool,
    /// What the caller is told, or would be.
    pub refusal: Refusal,
}

/// What the rules have decided on a send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What speaks against it, in the order of the rules.
    pub findings: Vec<Finding>,
    /// On which conditions it goes out, and what rules in shadow write along with it.
    pub conditions: Steps,
    /// What is written if it does not.
    pub blocks: Steps,
    /// Where it is counted.
    pub counted: Counted,
}

impl Verdict {
    /// Why nothing is sent.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        self.findings.iter().find(|finding| finding.is_enforced).map(|finding| finding.refusal)
    }

    /// The limit that is used up, whatever else speaks against it.
    #[must_use]
    pub fn limit(&self) -> Option<Refusal> {
        let enforced = self.findings.iter().filter(|finding| finding.is_enforced);
        enforced.map(|finding| finding.refusal).find(|refusal| !refusal.is_block())
    }

    /// What is written if it goes out: what is counted, on the conditions that the rules have found.
    #[must_use]
    pub fn steps(&self, now: Timestamp) -> Steps {
        let mut steps = self.counted.by(1, now);
        steps.extend(self.conditions.clone());
        steps
    }

    /// The same decision about a message that is suppressed. It counts for the IP address that has asked
    /// for it, and uses up nothing that others share with its caller.
    #[must_use]
    pub(crate) fn suppressed(self) -> Self {
        let ip = self.counted.ip;
        let counted = Counted { ip, ..Counted::default() };
        let mut conditions = self.conditions.only(ip);
        conditions.extend(self.blocks.clone());
        Self { conditions, counted, ..self }
    }
}

/// The gauges that a message was counted in, kept with it: a refused message is given back to
/// them, and a verified challenge is told to them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counted {
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<GaugeKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<GaugeKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spend: Option<GaugeKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<GaugeKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<GaugeKey>,
    /// Of a text message.
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    to: Option<Country>,
    #[serde(skip_serializing_if = "is_zero")]
    price: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Counted {
    /// Whether it is counted nowhere.
    #[must_use]
    pub fn is_nowhere(&self) -> bool {
        *self == Self::default()
    }

    /// One message more, or one less.
    fn by(&self, one: i64, at: Timestamp) -> Steps {
        let slot = Slot::of(at);
        let counter = |count, by| (Field::counter(count, slot), by);
        let to_ip = self.to.map_or(Count::Exempt, Count::SentTo);
        let price = i64::try_from(self.price).unwrap_or(i64::MAX) * one;
        let mut steps = Steps::default();
        let mut add = |key: Option<GaugeKey>, add: Vec<(Field, i64)>| {
            if let Some(key) = key {
                steps.push(Step { add, ..Step::on(GaugeId { key, day: slot.day() }) });
            }
        };
        add(self.ip, vec![counter(Count::Sent, one), counter(to_ip, one)]);
        add(self.app, vec![counter(Count::Sent, one)]);
        add(self.spend, vec![counter(Count::Spent, price)]);
        add(self.country, vec![counter(Count::Sent, one)]);
        add(self.prefix, vec![counter(Count::Sent, one)]);
        steps
    }

    /// Gives a message back that has certainly not gone out.
    #[must_use]
    pub fn given_back(&self, at: Timestamp) -> Steps {
        self.by(-1, at)
    }

    /// Tells that the message's challenge was verified. It counts for the half hour in which the
    /// message was sent. Nobody is paid for e-mails, so they are not told.
    #[must_use]
    pub fn verified(&self, at: Timestamp) -> Steps {
        let mut steps = Steps::default();
        let Some(to) = self.to else { return steps };
        let slot = Slot::of(at);
        for key in [self.ip, self.country, self.prefix].into_iter().flatten() {
            let add = vec![(Field::counter(Count::Verified, slot), 1)];
            steps.push(Step { add, ..Step::on(GaugeId { key, day: slot.day() }) });
        }
        if let Some(key) = self.ip {
            let add = vec![(Field::Proven(to), 1)];
            steps.push(Step { add, ..Step::on(GaugeId { key, day: slot.day() }) });
        }
        steps
    }

    /// Tells that the challenge was verified that these messages were sent for.
    pub(crate) fn all_verified<'a>(sends: impl Iterator<Item = (&'a Self, Timestamp)>) -> Steps {
        let mut steps = Steps::default();
        sends.for_each(|(counted, at)| steps.extend(counted.verified(at)));
        steps
    }
}

/// A text message's part of a [`Sending`].
#[derive(Clone, Debug)]
struct Text {
    to: Country,
    kind: NumberType,
    price: u64,
    prefix: Option<GaugeKey>,
    country: Option<Sharded>,
}

/// A gauge that would be hot, spread over several: each subject counts in one of them.
#[derive(Clone, Debug)]
struct Sharded {
    /// All there can be, since what was counted before a limit was edited may lie in any of them.
    keys: Vec<GaugeKey>,
    /// Which of them this subject counts in.
    own: usize,
    /// Among how many the limit is shared now.
    shards: u64,
}

impl Sharded {
    fn new(subject: SubjectKey, shards: u64, key: impl Fn(u64) -> GaugeKey) -> Self {
        let own = usize::try_from(u64::from(subject.0[0]) % shards).unwrap_or_default();
        Self { keys: (0..MAX_SHARDS).map(key).collect(), own, shards }
    }

    fn whole(key: GaugeKey) -> Self {
        Self { keys: vec![key], own: 0, shards: 1 }
    }

    fn own(&self) -> Option<GaugeKey> {
        self.keys.get(self.own).copied()
    }

    /// The share that the subject's own one has of a limit.
    fn share(&self, limit: u64) -> u64 {
        share(limit, self.own as u64, self.shards)
    }
}

/// A message that is to be judged: what the rules need to know of it.
#[derive(Clone, Debug)]
pub struct Sending {
    text: Option<Text>,
    ip: Option<GaugeKey>,
    app: Option<Sharded>,
    spend: Option<Sharded>,
}

impl Sending {
    /// A message of an app to an address of a subject, asked for by whoever has this IP address,
    /// where that is known.
    #[must_use]
    pub fn new(
        app: &App,
        keyring: &Keyring,
        subject: SubjectKey,
        to: &Address,
        ip: Option<IpAddr>,
        by: CallerClass,
    ) -> Self {
        let to = match to {
            Address::Phone(phone) => Some((phone, origin(phone))),
            Address::Email(_) | Address::User(_) => None,
        };
        Self::of(app, keyring, subject, to, ip, by)
    }

    /// The same, where it is known what a phone number tells.
    fn of(
        app: &App,
        keyring: &Keyring,
        subject: SubjectKey,
        to: Option<(&PhoneNumber, (Country, NumberType))>,
        ip: Option<IpAddr>,
        by: CallerClass,
    ) -> Self {
        let guard = &app.guard;
        let of_all = |kind: &str, value: &str| {
            GaugeKey(keyring.index_mac(&["gauge", app.id.as_str(), kind, value]))
        };
        let key = |kind: &str, value: &str| match by {
            CallerClass::Authenticated => of_all(kind, value),
            CallerClass::User => of_all(kind, &format!("{value} for users")),
            CallerClass::Anonymous => of_all(kind, &format!("{value} for anonymous callers")),
        };
        let text = to.map(|(phone, (to, kind))| {
            let gauge = |n| key("country", &format!("{to}/{n}"));
            let country = || Sharded::new(subject, guard.country_shards(), gauge);
            let prefix = prefix(phone.as_str()).filter(|_| guard.asks_for_prefix());
            Text {
                to,
                kind,
                price: guard.spend_cap.price(to),
                prefix: prefix.map(|prefix| key("prefix", prefix)),
                country: guard.asks_for_country().then(country),
            }
        });
        let app = || Sharded::new(subject, guard.app_shards(), |n| key("app", &n.to_string()));
        // Money is one for all.
        let spend =
            || Sharded::new(subject, guard.spend_shards(), |n| of_all("spend", &n.to_string()));
        Self {
            ip: ip.filter(|_| guard.asks_for_ip()).map(|ip| key("ip", &network(ip))),
            app: guard.asks_for_app().then(app),
            spend: (guard.has_cap() && text.is_some()).then(spend),
            text,
        }
    }

    /// The gauges that its judgement needs.
    #[must_use]
    pub fn gauges(&self, now: Timestamp) -> Vec<GaugeId> {
        let today = Slot::of(now).day();
        let on = |key, days: std::ops::Range<u64>| {
            days.map(move |back| GaugeId { key, day: today.saturating_sub(back) })
        };
        let country = self.text.iter().filter_map(|text| text.country.as_ref());
        let prefix = self.text.iter().filter_map(|text| text.prefix);
        let sharded = country.clone().chain(&self.app).chain(&self.spend);
        let shards = sharded.flat_map(|sharded| sharded.keys.iter().copied());
        let recent = shards.chain(self.ip).chain(prefix).flat_map(|key| on(key, 0..2));
        let own = country.filter_map(Sharded::own);
        recent.chain(own.flat_map(|key| on(key, 2..HISTORY_DAYS))).collect()
    }

    /// Judges it: by what was sent to its subject, oldest first, and by the gauges.
    #[must_use]
    pub fn judge(
        &self,
        guard: &Guard,
        sent: &[Timestamp],
        gauges: &Gauges,
        now: Timestamp,
    ) -> Verdict {
        let mut trial = Trial::new(self, guard, gauges, now);
        trial.check_number();
        trial.check_limits(sent);
        trial.check_unverified();
        trial.end()
    }

    fn counted(&self) -> Counted {
        let text = self.text.as_ref();
        Counted {
            ip: self.ip,
            app: self.app.as_ref().and_then(Sharded::own),
            spend: self.spend.as_ref().and_then(Sharded::own),
            country: text.and_then(|text| text.country.as_ref()?.own()),
            prefix: text.and_then(|text| text.prefix),
            to: text.map(|text| text.to),
            price: text.filter(|_| self.spend.is_some()).map_or(0, |text| text.price),
        }
    }
}

impl Guard {
    fn asks_for_ip(&self) -> bool {
        let unverified = [self.unverified_per_ip_hour.mode, self.unverified_per_ip_day.mode];
        let modes = [self.sends_per_ip.mode, self.countries_per_ip.mode];
        unverified.into_iter().chain(modes).any(|mode| mode != Mode::Off)
    }

    fn asks_for_app(&self) -> bool {
        self.sends_per_app.mode != Mode::Off
    }

    fn has_cap(&self) -> bool {
        self.spend_cap.mode != Mode::Off && self.spend_cap.per_day.is_some()
    }

    fn asks_for_country(&self) -> bool {
        let hour = self.unverified_per_country_hour.mode;
        let day = self.unverified_per_country_day.mode;
        [self.sends_per_country.mode, hour, day].into_iter().any(|mode| mode != Mode::Off)
    }

    fn asks_for_prefix(&self) -> bool {
        self.prefix_concentration.mode != Mode::Off
    }
}

/// A number without its last four digits: ten thousand neighbours. Where a country's numbers are so
/// short that hardly more than its own digits are left, neighbours are all there are, and none.
fn prefix(number: &str) -> Option<&str> {
    number.get(..number.len().saturating_sub(4)).filter(|prefix| prefix.len() > MIN_PREFIX)
}

/// Whom an IP address stands for. Of IPv6, providers give everybody a /64 at least; an IPv4 address
/// in IPv6's clothes is the IPv4 address.
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
    fn whoever_shares_a_network_shares_a_gauge() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff:1:2:3"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }

    #[test]
    fn names_are_settings() {
        let settings = serde_json::to_value(Guard::default()).unwrap();
        for rule in Rule::ALL {
            assert!(settings[rule.as_str()]["mode"].is_string(), "{rule:?}");
        }
    }
}
