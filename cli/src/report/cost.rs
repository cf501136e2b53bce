//! What it cost, by list prices: those that `cli/README.md` names.

use super::log::Tally;
use passcode_domain::{
    app::guard::SpendCap,
    value::{country::Country, money::Amount},
};
use std::{collections::BTreeMap, str::FromStr};

/// The price of a text message to a country.
#[derive(Clone, Copy, Debug)]
pub(super) struct Price(Country, Amount);

impl FromStr for Price {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (country, amount) =
            text.split_once('=').ok_or("it must be COUNTRY=AMOUNT, as in US=0.01")?;
        let country = country.parse().map_err(|error| format!("{error}"))?;
        Ok(Self(country, amount.parse().map_err(|error| format!("{error}"))?))
    }
}

/// List prices of text messages, in millionths of a dollar.
const LISTED: [(&str, u64); 4] = [("US", 10_000), ("GB", 40_000), ("DE", 90_000), ("JP", 74_500)];

/// A price or a sum, in millionths of a millionth of a dollar.
type Pico = u64;

/// A dollar for a million.
const A_MILLION: Pico = 1_000_000;

const EMAIL: Pico = 100 * A_MILLION;
const API_REQUEST: Pico = A_MILLION;
const LAMBDA_REQUEST: Pico = A_MILLION / 5;
/// Of a function with half a gigabyte, in tenths of thousandths: a GB-second is 0.0000133334.
const TEN_THOUSAND_MICROSECONDS: Pico = 66_667;
/// 0.50 a gigabyte.
const LOG_BYTE: Pico = 500;

/// What an operation costs at the tables.
const CREATE: Pico = 625_000;
const SEND_TEXT: Pico = 3_625_000;
const SEND_EMAIL: Pico = 2_250_000;
const VERIFY: Pico = 750_000;
const WRONG: Pico = 830_000;
const RIGHT_TEXT: Pico = 2_625_000;
const RIGHT_EMAIL: Pico = 1_375_000;

/// The cost of what a log tells.
#[derive(Debug)]
pub(super) struct Cost {
    /// With names.
    pub(super) parts: [(&'static str, Amount); 5],
    /// Text messages whose price is assumed.
    pub(super) assumed: usize,
}

impl Cost {
    pub(super) fn together(&self) -> Amount {
        Amount::from_millionths(self.parts.iter().map(|(_, part)| part.as_millionths()).sum())
    }
}

/// The price of a message to a country that has none, by the default of a guard.
pub(super) fn assumed_price() -> Amount {
    SpendCap::default().default_price
}

/// What a log tells of cost, with prices that go before the listed ones.
pub(super) fn of(tally: &Tally, given: &[Price]) -> Cost {
    let listed = LISTED.iter().filter_map(|(country, price)| Some((country.parse().ok()?, *price)));
    let given = given.iter().map(|Price(country, amount)| (*country, amount.as_millionths()));
    let prices: BTreeMap<Country, u64> = listed.chain(given).collect();
    let (mut texts, mut emails, mut assumed) = (0, 0, 0);
    for (destination, funnel) in &tally.messages {
        let price = destination.country.and_then(|country| prices.get(&country).copied());
        if destination.is_email {
            emails += number(funnel.sent) * EMAIL;
        } else {
            assumed += if price.is_none() { funnel.sent } else { 0 };
            let price = price.unwrap_or(assumed_price().as_millionths());
            texts += number(funnel.sent) * price * 1_000_000;
        }
    }
    let micros: u64 = tally.micros.values().flatten().sum();
    let at_tables = tally
        .outcomes
        .iter()
        .map(|((outcome, channel), times)| number(*times) * at_tables(outcome, channel.as_deref()));
    let functions = number(tally.requests) * (API_REQUEST + LAMBDA_REQUEST)
        + micros * TEN_THOUSAND_MICROSECONDS / 10_000;
    let parts = [
        ("text messages", texts),
        ("e-mails", emails),
        ("API and functions", functions),
        ("logs", number(tally.bytes) * LOG_BYTE),
        ("tables", at_tables.sum()),
    ];
    let amount = |pico: Pico| Amount::from_millionths((pico + 500_000) / 1_000_000);
    Cost { parts: parts.map(|(name, pico)| (name, amount(pico))), assumed }
}

/// What a request costs at the tables.
fn at_tables(outcome: &str, channel: Option<&str>) -> Pico {
    let is_text = channel == Some("sms");
    match outcome {
        "created" => CREATE,
        "sent" | "concealed" | "throttled" | "blocked" if is_text => SEND_TEXT,
        "sent" | "concealed" | "throttled" | "blocked" => SEND_EMAIL,
        "verified" if is_text => RIGHT_TEXT,
        "verified" => RIGHT_EMAIL,
        "incorrect" => WRONG,
        "preflight" | "keys" => 0,
        _ => VERIFY,
    }
}

fn number(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A price that changes there changes here.
    #[test]
    fn the_prices_are_those_of_the_page_for_operators() {
        let page = include_str!("../../README.md");
        let (_, costs) = page.split_once("\n## Costs\n").expect("a section");
        for row in [
            "| HTTP API, a million requests | 1.00 |",
            "| Lambda, a million requests; a GB-second on arm64 | 0.20; 0.0000133334 |",
            "| CloudWatch Logs, a GB | 0.50 |",
            "à la carte; Essentials, the default of accounts since 2026-07-21 | 0.10; 0.16 |",
            "about 0.01 to the US with carrier fees, about 0.04 to the UK, about 0.09 to Germany, 0.0745 to Japan |",
        ] {
            assert!(costs.contains(row), "{row}");
        }
        for (row, price) in [
            ("`create`", CREATE),
            ("send of a text message", SEND_TEXT),
            ("send of an e-mail", SEND_EMAIL),
            ("verify", VERIFY),
            ("verify that fails", WRONG),
            ("verify of a text message's code, the first success of a subject's day", RIGHT_TEXT),
            ("the same of an e-mail's", RIGHT_EMAIL),
        ] {
            let line = costs.lines().find(|line| line.starts_with(&format!("| {row} |")));
            let line = line.unwrap_or_else(|| panic!("{row}"));
            let (_, dollars) = line.trim_end_matches(" |").rsplit_once("= ").expect("dollars");
            assert_eq!(dollars.parse(), Ok(Amount::from_millionths(price)), "{line}");
        }
    }
}
