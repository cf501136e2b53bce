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

/// In dollars.
const EMAIL: f64 = 0.10 / 1_000.0;
const API_REQUEST: f64 = 1.00 / 1_000_000.0;
const LAMBDA_REQUEST: f64 = 0.20 / 1_000_000.0;
const GIGABYTE_SECOND: f64 = 0.000_013_333_4;
const MEMORY_GIGABYTES: f64 = 0.5;
const LOG_GIGABYTE: f64 = 0.50;

/// What an operation costs at the tables, in dollars for a million.
const CREATE: f64 = 0.625;
const SEND_TEXT: f64 = 3.625;
const SEND_EMAIL: f64 = 2.25;
const VERIFY: f64 = 0.75;
const WRONG: f64 = 0.83;
const RIGHT_TEXT: f64 = 2.625;
const RIGHT_EMAIL: f64 = 1.375;

/// The cost of what a log tells, in dollars.
#[derive(Debug)]
pub(super) struct Cost {
    pub(super) texts: f64,
    pub(super) emails: f64,
    pub(super) functions: f64,
    pub(super) logs: f64,
    pub(super) tables: f64,
    /// Text messages whose price is assumed.
    pub(super) assumed: usize,
}

impl Cost {
    /// All of it, with names.
    pub(super) fn parts(&self) -> [(&'static str, f64); 5] {
        [
            ("text messages", self.texts),
            ("e-mails", self.emails),
            ("API and functions", self.functions),
            ("logs", self.logs),
            ("tables", self.tables),
        ]
    }

    pub(super) fn together(&self) -> f64 {
        self.parts().iter().map(|(_, dollars)| dollars).sum()
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
    let (mut texts, mut emails, mut assumed) = (0.0, 0.0, 0);
    for (lane, funnel) in &tally.messages {
        let price = lane.country.and_then(|country| prices.get(&country).copied());
        if lane.is_email {
            emails += number(funnel.sent) * EMAIL;
        } else {
            let price = price.unwrap_or_else(|| {
                assumed += funnel.sent;
                assumed_price().as_millionths()
            });
            texts += number(funnel.sent) * price as f64 / 1e6;
        }
    }
    let micros: u64 = tally.micros.values().flatten().sum();
    let seconds = micros as f64 / 1e6;
    Cost {
        texts,
        emails,
        functions: number(tally.requests) * (API_REQUEST + LAMBDA_REQUEST)
            + seconds * MEMORY_GIGABYTES * GIGABYTE_SECOND,
        logs: number(tally.bytes) / 1e9 * LOG_GIGABYTE,
        tables: tally
            .outcomes
            .iter()
            .map(|((outcome, channel), times)| {
                number(*times) * at_tables(outcome, channel.as_deref()) / 1e6
            })
            .sum(),
        assumed,
    }
}

/// What a request costs at the tables, in dollars for a million.
fn at_tables(outcome: &str, channel: Option<&str>) -> f64 {
    let is_text = channel == Some("sms");
    match outcome {
        "created" => CREATE,
        "sent" | "concealed" | "throttled" | "blocked" if is_text => SEND_TEXT,
        "sent" | "concealed" | "throttled" | "blocked" => SEND_EMAIL,
        "verified" if is_text => RIGHT_TEXT,
        "verified" => RIGHT_EMAIL,
        "incorrect" => WRONG,
        "preflight" | "keys" => 0.0,
        _ => VERIFY,
    }
}

fn number(number: usize) -> f64 {
    number as f64
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
        for (row, dollars) in [
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
            assert!(line.ends_with(&format!("= {dollars} |")), "{line}");
        }
    }
}
