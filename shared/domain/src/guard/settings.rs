//! What an app sets: each rule's mode and numbers. The defaults let ordinary traffic pass, and are
//! what the simulations in the tests run with.

use super::{Country, NumberType, Rule, Window, gauge::SLOTS_PER_DAY};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
    time::Duration,
};
use thiserror::Error;

/// The messages of a subject that its ledger remembers; no limit per address may be higher.
pub const MAX_PER_ADDRESS: u32 = 100;

/// The shards of an app's or a country's gauge, where its limit is high enough for all of them.
pub(super) const MAX_SHARDS: u64 = 8;

/// A shard has at least this much of the limit per day, and a fifth of it of the limit per hour, so
/// that few messages are refused before the whole limit is used up.
const MIN_SHARE: u64 = 500;

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

    pub(super) const fn in_window(&self, window: Window) -> u64 {
        match window {
            Window::Hour => self.per_hour as u64,
            Window::Day => self.per_day as u64,
        }
    }

    const fn is_valid(&self) -> bool {
        self.per_hour >= 1 && self.per_hour <= self.per_day
    }

    /// The stricter of the two, as messages per day.
    fn to_share(self) -> Option<u64> {
        let least = u64::from(self.per_day).min(u64::from(self.per_hour) * 5);
        (self.mode != Mode::Off).then_some(least)
    }
}

/// Text messages whose challenges were not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unverified {
    /// What the rule's decision does.
    #[serde(default)]
    pub mode: Mode,
    /// As many are always allowed.
    pub floor: u32,
    /// Beyond that, as many as this share of the verified ones, in per cent.
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

/// An amount of money, in millionths of the app's currency; as text, a decimal number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Amount(u64);

/// A text that is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an amount is a decimal number with at most six digits behind the point, as in 0.05")]
pub struct MalformedAmount;

impl Amount {
    /// So many millionths.
    #[must_use]
    pub const fn from_millionths(millionths: u64) -> Self {
        Self(millionths)
    }

    /// In millionths.
    #[must_use]
    pub const fn as_millionths(self) -> u64 {
        self.0
    }
}

impl FromStr for Amount {
    type Err = MalformedAmount;

    fn from_str(text: &str) -> Result<Self, MalformedAmount> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str, most| {
            (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
        };
        if !digits(whole, 9) || !digits(part, 6) {
            return Err(MalformedAmount);
        }
        let millionths = format!("{whole}{part:0<6}").parse();
        millionths.map(Self).map_err(|_| MalformedAmount)
    }
}

impl TryFrom<String> for Amount {
    type Error = MalformedAmount;

    fn try_from(text: String) -> Result<Self, MalformedAmount> {
        text.parse()
    }
}

impl From<Amount> for String {
    fn from(amount: Amount) -> Self {
        amount.to_string()
    }
}

/// With two digits behind the point, or as many more as it takes.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = format!("{:06}", self.0 % 1_000_000);
        let part = part.trim_end_matches('0');
        write!(f, "{}.{part:0<2}", self.0 / 1_000_000)
    }
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

    /// How many messages the cap allows at least.
    fn messages(&self) -> Option<u64> {
        let cap = self.per_day.filter(|_| self.mode != Mode::Off)?;
        let dearest = self.prices.values().chain([&self.default_price]).max()?;
        Some(cap.as_millionths() / dearest.as_millionths().max(1))
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
    /// How long a rule that looks at unverified messages blocks what it has found, in seconds.
    pub block_seconds: u32,
    /// A message whose code can still be typed is not held against anybody, unless there are this
    /// many times more of them than unverified ones are allowed.
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
            sends_per_country: Limit::of(5_000, 25_000),
            sends_per_app: Limit::of(10_000, 50_000),
            spend_cap: SpendCap::default(),
            countries_per_ip: CountriesPerIp { mode: Mode::Enforce, most: 3 },
            unverified_per_ip_hour: Unverified::of(5),
            unverified_per_ip_day: Unverified::of(10),
            // A few codes that nobody typed are no attack, and all of a country would be blocked.
            unverified_per_country_hour: Unverified { mode: Mode::Shadow, ..Unverified::of(50) },
            unverified_per_country_day: Unverified::of(100),
            prefix_concentration: Unverified::of(20),
            block_seconds: 3600,
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
            (
                (60..=86_400).contains(&self.block_seconds),
                "block_seconds must be 60 to 86400, which a gauge is read for",
            ),
            ((1..=100).contains(&self.burst), "burst must be 1 to 100"),
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

    pub(super) fn block(&self) -> Duration {
        Duration::from_secs(self.block_seconds.into())
    }

    /// Among how many items the app's gauge is spread.
    pub(super) fn app_shards(&self) -> u64 {
        shards(self.sends_per_app.to_share())
    }

    /// Among how many items what the app spends is spread.
    pub(super) fn spend_shards(&self) -> u64 {
        shards(self.spend_cap.messages())
    }

    /// Among how many items a country's gauge is spread.
    pub(super) fn country_shards(&self) -> u64 {
        shards(self.sends_per_country.to_share())
    }
}

/// A power of two, so that few changes of a limit move what was counted to another item.
fn shards(per_day: Option<u64>) -> u64 {
    let fitting = per_day.unwrap_or(u64::MAX) / MIN_SHARE;
    1 << fitting.clamp(1, MAX_SHARDS).ilog2()
}

/// The share of a limit that one of its shards has. The shares are the limit, no more and no less.
pub(super) const fn share(limit: u64, shard: u64, shards: u64) -> u64 {
    limit / shards + (shard < limit % shards) as u64
}

/// Half hours that still change for a while: their codes can be typed for ten minutes.
pub(super) const fn is_settled(slots_back: u64, since_present_began: Duration) -> bool {
    debug_assert!(slots_back <= SLOTS_PER_DAY);
    let code_life = crate::policy::MAX_CODE_SECONDS as u64;
    slots_back >= 2 || (slots_back == 1 && since_present_began.as_secs() >= code_life)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", ".", "1.", ".5", "1.0000001", "-1", "1,5", "1e3", "1234567890", "1.2.3"] {
            assert_eq!(text.parse::<Amount>(), Err(MalformedAmount), "{text:?}");
        }
        for (text, millionths, shown) in [
            ("25", 25_000_000, "25.00"),
            ("0.05", 50_000, "0.05"),
            ("0.007410", 7_410, "0.00741"),
            ("999999999.999999", 999_999_999_999_999, "999999999.999999"),
        ] {
            let amount: Amount = text.parse().unwrap();
            assert_eq!((amount.as_millionths(), amount.to_string().as_str()), (millionths, shown));
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
            |g| g.block_seconds = 86_401,
            |g| g.block_seconds = 59,
            |g| g.burst = 0,
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
    fn the_shares_of_a_limit_are_the_limit() {
        for limit in [0, 1, 7, 8, 9, 499, 500, 50_000] {
            for shards in [1, 2, 4, 8] {
                let shares = (0..shards).map(|shard| share(limit, shard, shards));
                assert_eq!(shares.sum::<u64>(), limit, "{limit} in {shards}");
            }
        }
    }

    #[test]
    fn low_limits_are_kept_whole() {
        let expected = [(1, 1), (999, 1), (1000, 2), (1999, 2), (2000, 4), (4000, 8), (1 << 40, 8)];
        for (per_day, count) in expected {
            assert_eq!(shards(Some(per_day)), count, "{per_day}");
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
