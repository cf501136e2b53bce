//! What an app sets: each rule's mode and numbers. The defaults let ordinary traffic pass, and are
//! what the simulations in the tests run with.

use crate::value::{
    caller::CallerClass,
    country::{Country, NumberType},
    money::Amount,
    time::Window,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// The messages of a subject that its ledger remembers; no limit per address may be higher.
pub const MAX_PER_ADDRESS: u32 = 100;

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

    /// What it looks at.
    #[must_use]
    pub const fn scope(self) -> Scope {
        match self {
            Self::AllowedCountries => Scope::Country,
            Self::NumberType => Scope::NumberType,
            Self::SendsPerAddress => Scope::Address,
            Self::SendsPerIp
            | Self::CountriesPerIp
            | Self::UnverifiedPerIpHour
            | Self::UnverifiedPerIpDay => Scope::Origin,
            Self::SendsPerCountry | Self::SendsPerApp | Self::SpendCap => Scope::App,
            Self::UnverifiedPerCountryHour
            | Self::UnverifiedPerCountryDay
            | Self::PrefixConcentration => Scope::Neighbours,
        }
    }
}

/// What a rule looks at, and so whose messages it holds back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The country that a number belongs to.
    Country,
    /// The type of a number.
    NumberType,
    /// What was sent to one address.
    Address,
    /// What was asked for from one origin.
    Origin,
    /// What the app has sent, altogether or to one country.
    App,
    /// What was sent to others in the same country, or with neighbouring numbers.
    Neighbours,
}

/// What a rule's decision does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// What it refuses is not sent.
    #[default]
    Enforce,
    /// What it would refuse is recorded, and sent.
    Shadow,
    /// It is not looked at.
    Off,
}

impl Mode {
    /// Its name, as a setting.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
            Self::Off => "off",
        }
    }
}

/// Messages per rolling hour and per rolling day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// What the rule's decision does.
    #[serde(default)]
    pub mode: Mode,
    /// Messages in 60 minutes.
    pub per_hour: u32,
    /// Messages in 24 hours.
    pub per_day: u32,
}

impl Limit {
    const fn of(per_hour: u32, per_day: u32) -> Self {
        Self { mode: Mode::Enforce, per_hour, per_day }
    }

    pub(crate) const fn in_window(&self, window: Window) -> u64 {
        match window {
            Window::Hour => self.per_hour as u64,
            Window::Day => self.per_day as u64,
        }
    }

    const fn is_valid(&self) -> bool {
        self.per_hour >= 1 && self.per_hour <= self.per_day
    }
}

/// Messages whose challenges were not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unverified {
    /// What the rule's decision does.
    #[serde(default)]
    pub mode: Mode,
    /// As many are always allowed.
    pub floor: u32,
    /// Beyond that, as many as this share of the verified ones, in per cent. A subject's success counts once
    /// a day.
    pub percent: u32,
}

impl Unverified {
    const fn of(floor: u32) -> Self {
        Self { mode: Mode::Enforce, floor, percent: 100 }
    }

    const fn is_valid(&self) -> bool {
        self.floor >= 1 && self.percent <= 1000
    }
}

/// Countries that one IP address sends to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountriesPerIp {
    /// What the rule's decision does.
    #[serde(default)]
    pub mode: Mode,
    /// As many in 24 hours, not counting those where a challenge from there was verified.
    pub most: u32,
}

/// Countries that text messages go to: none until the app has named them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowedCountries {
    /// What the rule's decision does.
    #[serde(default)]
    pub mode: Mode,
    /// The countries, as two capital letters each.
    pub countries: BTreeSet<Country>,
}

/// Types of numbers that no text message goes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefusedTypes {
    /// What the rule's decision does.
    #[serde(default)]
    pub mode: Mode,
    /// The types.
    pub refused: BTreeSet<NumberType>,
}

/// What an app's text messages may cost in a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpendCap {
    /// What the rule's decision does.
    pub mode: Mode,
    /// The most that 24 hours may cost; without it there is no cap.
    pub per_day: Option<Amount>,
    /// The currency of all amounts (ISO 4217).
    pub currency: String,
    /// The price of a message to a country that has none of its own.
    pub default_price: Amount,
    /// Prices by country.
    pub prices: BTreeMap<Country, Amount>,
}

impl Default for SpendCap {
    fn default() -> Self {
        Self {
            mode: Mode::Enforce,
            per_day: None,
            currency: "USD".to_owned(),
            default_price: Amount::from_millionths(50_000),
            prices: BTreeMap::new(),
        }
    }
}

impl SpendCap {
    /// The price of a message to a country, in millionths of the currency.
    #[must_use]
    pub fn price(&self, country: Country) -> u64 {
        self.prices.get(&country).unwrap_or(&self.default_price).as_millionths()
    }
}

/// An app's guard: what keeps its messages few enough, and out of the wrong hands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Guard {
    /// The countries that its text messages go to.
    pub allowed_countries: AllowedCountries,
    /// The types of numbers that they do not go to.
    pub number_type: RefusedTypes,
    /// Messages to one subject.
    pub sends_per_address: Limit,
    /// Messages that one IP address has asked for.
    pub sends_per_ip: Limit,
    /// Messages to one country.
    pub sends_per_country: Limit,
    /// Messages of the app.
    pub sends_per_app: Limit,
    /// The share of the spend cap and of the limits per app and per country that anonymous callers and known
    /// devices have, in per cent; authenticated callers have the rest.
    pub anonymous_percent: u32,
    /// What text messages may cost.
    pub spend_cap: SpendCap,
    /// Countries that one IP address sends to in a day.
    pub countries_per_ip: CountriesPerIp,
    /// Unverified messages from one IP address in an hour.
    pub unverified_per_ip_hour: Unverified,
    /// Unverified messages from one IP address in a day.
    pub unverified_per_ip_day: Unverified,
    /// Unverified messages to one country in an hour.
    pub unverified_per_country_hour: Unverified,
    /// Unverified messages to one country in a day.
    pub unverified_per_country_day: Unverified,
    /// Unverified messages in a day to numbers that differ in nothing but their last four digits.
    pub prefix_concentration: Unverified,
    /// Where unverified messages to a country or to a prefix are more than these allow, each IP address may have so many unverified in a day, or as many as it has verified.
    pub unverified_under_attack: u32,
    /// This many times more than allowed refuse newcomers to a country (to a prefix, twice as many), and an IP
    /// address whose messages can still be verified.
    pub burst: u32,
}

/// Where half of the messages are verified nothing is blocked, however many there are: in ordinary
/// weeks a quarter of all codes is never typed, and a block would keep out the very verifies that
/// speak for their country.
impl Default for Guard {
    fn default() -> Self {
        use NumberType::{Pager, Personal, PremiumRate, SharedCost, TollFree, Uan, Voicemail};
        Self {
            allowed_countries: AllowedCountries::default(),
            number_type: RefusedTypes {
                mode: Mode::Enforce,
                refused: [Pager, Personal, PremiumRate, SharedCost, TollFree, Uan, Voicemail]
                    .into(),
            },
            sends_per_address: Limit::of(10, 20),
            sends_per_ip: Limit::of(60, 300),
            sends_per_country: Limit::of(10_000, 50_000),
            sends_per_app: Limit::of(20_000, 100_000),
            anonymous_percent: 50,
            spend_cap: SpendCap::default(),
            countries_per_ip: CountriesPerIp { mode: Mode::Enforce, most: 3 },
            unverified_per_ip_hour: Unverified::of(5),
            unverified_per_ip_day: Unverified::of(10),
            // A few codes that nobody typed are no attack, and all of a country would be blocked.
            unverified_per_country_hour: Unverified { mode: Mode::Shadow, ..Unverified::of(50) },
            unverified_per_country_day: Unverified::of(100),
            prefix_concentration: Unverified::of(10),
            unverified_under_attack: 3,
            burst: 5,
        }
    }
}

/// Settings that would break a promise of the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("guard: {0}")]
pub struct GuardError(&'static str);

impl Guard {
    /// Checks every number, and that nothing is forgotten before what it counts has ended: the
    /// windows are an hour and a day, blocks must not outlive the gauges they are kept in, and a
    /// ledger must remember as many messages as it may allow.
    pub fn validate(&self) -> Result<(), GuardError> {
        let limits = [
            (self.sends_per_address, "sends_per_address.per_hour must be 1 to per_day"),
            (self.sends_per_ip, "sends_per_ip.per_hour must be 1 to per_day"),
            (self.sends_per_country, "sends_per_country.per_hour must be 1 to per_day"),
            (self.sends_per_app, "sends_per_app.per_hour must be 1 to per_day"),
        ]
        .map(|(limit, broken)| (limit.is_valid(), broken));
        let unverified = [
            (self.unverified_per_ip_hour, "unverified_per_ip_hour: floor from 1, percent to 1000"),
            (self.unverified_per_ip_day, "unverified_per_ip_day: floor from 1, percent to 1000"),
            (
                self.unverified_per_country_hour,
                "unverified_per_country_hour: floor from 1, percent to 1000",
            ),
            (
                self.unverified_per_country_day,
                "unverified_per_country_day: floor from 1, percent to 1000",
            ),
            (self.prefix_concentration, "prefix_concentration: floor from 1, percent to 1000"),
        ]
        .map(|(settings, broken)| (settings.is_valid(), broken));
        let currency = self.spend_cap.currency.as_bytes();
        let rules = [
            (
                self.sends_per_address.per_day <= MAX_PER_ADDRESS,
                "sends_per_address.per_day must be at most 100, which a ledger remembers",
            ),
            (self.countries_per_ip.most >= 1, "countries_per_ip.most must be at least 1"),
            ((1..=100).contains(&self.burst), "burst must be 1 to 100"),
            (self.unverified_under_attack >= 1, "unverified_under_attack must be at least 1"),
            (self.anonymous_percent <= 100, "anonymous_percent must be at most 100"),
            (
                currency.len() == 3 && currency.iter().all(u8::is_ascii_uppercase),
                "spend_cap.currency must be three capital letters (ISO 4217)",
            ),
        ];
        let mut all = limits.iter().chain(&unverified).chain(&rules);
        match all.find(|(holds, _)| !holds) {
            Some((_, broken)) => Err(GuardError(broken)),
            None => Ok(()),
        }
    }

    /// The part of a limit that a class of callers has. The parts add up to the limit, so that neither class
    /// uses up what the other has.
    #[must_use]
    pub fn share(&self, by: CallerClass, whole: u64) -> u64 {
        let anonymous = u128::from(whole) * u128::from(self.anonymous_percent) / 100;
        let anonymous = u64::try_from(anonymous).unwrap_or(whole);
        match by {
            CallerClass::Anonymous | CallerClass::Device => anonymous,
            CallerClass::Authenticated | CallerClass::User => whole - anonymous,
        }
    }

    /// The mode of a rule.
    #[must_use]
    pub fn mode(&self, rule: Rule) -> Mode {
        *self.clone().mode_mut(rule)
    }

    /// The mode of a rule, to be set.
    pub const fn mode_mut(&mut self, rule: Rule) -> &mut Mode {
        match rule {
            Rule::AllowedCountries => &mut self.allowed_countries.mode,
            Rule::NumberType => &mut self.number_type.mode,
            Rule::SendsPerAddress => &mut self.sends_per_address.mode,
            Rule::SendsPerIp => &mut self.sends_per_ip.mode,
            Rule::SendsPerCountry => &mut self.sends_per_country.mode,
            Rule::SendsPerApp => &mut self.sends_per_app.mode,
            Rule::SpendCap => &mut self.spend_cap.mode,
            Rule::CountriesPerIp => &mut self.countries_per_ip.mode,
            Rule::UnverifiedPerIpHour => &mut self.unverified_per_ip_hour.mode,
            Rule::UnverifiedPerIpDay => &mut self.unverified_per_ip_day.mode,
            Rule::UnverifiedPerCountryHour => &mut self.unverified_per_country_hour.mode,
            Rule::UnverifiedPerCountryDay => &mut self.unverified_per_country_day.mode,
            Rule::PrefixConcentration => &mut self.prefix_concentration.mode,
        }
    }

    /// The same settings with one rule enforced and all others off.
    #[must_use]
    pub fn alone(&self, rule: Rule) -> Self {
        let mut guard = self.clone();
        for other in Rule::ALL {
            *guard.mode_mut(other) = if other == rule { Mode::Enforce } else { Mode::Off };
        }
        guard
    }

    /// Sends text messages to these countries and no others.
    #[must_use]
    pub fn with_countries<const N: usize>(mut self, countries: [Country; N]) -> Self {
        self.allowed_countries.countries = countries.into();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_settings() {
        let settings = serde_json::to_value(Guard::default()).unwrap();
        for rule in Rule::ALL {
            assert!(settings[rule.as_str()]["mode"].is_string(), "{rule:?}");
        }
    }

    #[test]
    fn settings_that_break_a_promise_are_refused() {
        let broken: [fn(&mut Guard); 10] = [
            |g| g.sends_per_ip.per_hour = 0,
            |g| g.sends_per_app.per_hour = g.sends_per_app.per_day + 1,
            |g| g.sends_per_address.per_day = 101,
            |g| g.prefix_concentration.floor = 0,
            |g| g.unverified_per_ip_day.percent = 1001,
            |g| g.countries_per_ip.most = 0,
            |g| g.anonymous_percent = 101,
            |g| g.burst = 0,
            |g| g.unverified_under_attack = 0,
            |g| g.spend_cap.currency = "usd".into(),
        ];
        for edit in broken {
            let mut guard = Guard::default();
            edit(&mut guard);
            assert!(guard.validate().is_err(), "{guard:?}");
        }
        assert_eq!(Guard::default().validate(), Ok(()));
    }

    #[test]
    fn a_rule_alone_is_enforced_and_its_numbers_stay() {
        let mut guard = Guard { burst: 3, ..Guard::default() };
        guard.sends_per_ip.per_hour = 7;
        for rule in Rule::ALL {
            let mut alone = guard.alone(rule);
            let modes = Rule::ALL.map(|other| alone.mode(other));
            let expected =
                Rule::ALL.map(|other| if other == rule { Mode::Enforce } else { Mode::Off });
            assert_eq!(modes, expected, "{rule:?}");
            for other in Rule::ALL {
                *alone.mode_mut(other) = guard.mode(other);
            }
            assert_eq!(alone, guard);
        }
    }

    #[test]
    fn the_parts_of_a_limit_are_the_limit() {
        for (whole, percent) in [(1, 50), (7, 33), (25_000_000, 50), (100, 0), (u64::MAX, 100)] {
            let guard = Guard { anonymous_percent: percent, ..Guard::default() };
            let parts = [CallerClass::Anonymous, CallerClass::Authenticated];
            let sum: u64 = parts.map(|by| guard.share(by, whole)).into_iter().sum();
            assert_eq!(sum, whole, "{percent} % of {whole}");
        }
    }

    #[test]
    fn settings_survive_their_texts_and_what_is_left_out_is_the_default() {
        let stored = serde_json::to_string(&Guard::default()).unwrap();
        assert_eq!(serde_json::from_str::<Guard>(&stored).unwrap(), Guard::default());
        let some = r#"{"spend_cap":{"per_day":"25.00","prices":{"IN":"0.002"}},"burst":3}"#;
        let some: Guard = serde_json::from_str(some).unwrap();
        assert_eq!(some.spend_cap.per_day, Some(Amount::from_millionths(25_000_000)));
        assert_eq!((some.burst, some.sends_per_ip), (3, Guard::default().sends_per_ip));
    }
}
