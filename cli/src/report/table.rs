//! The report as tables and as JSON.

use super::{
    cost::{self, Cost},
    log::{Funnel, Tally},
};
use crate::{
    output::{count, percent},
    time::{RFC3339, utc},
};
use anstyle::Style;
use passcode_domain::{AppId, Timestamp, value::money::Amount};
use serde_json::{Value, json};

const BOLD: Style = Style::new().bold();

/// So many countries are shown by name.
const COUNTRIES: usize = 30;

/// The sections, with empty lines between.
pub(super) fn text(tally: &Tally, cost: &Cost, app: Option<&AppId>) -> String {
    let sections =
        [heading(tally, app), funnel(tally), refusals(tally), latency(tally), costs(cost)];
    sections.join("\n\n")
}

/// What the report is about, in one line.
pub(super) fn title(tally: &Tally, app: Option<&AppId>) -> String {
    let [from, to] = period(tally).map(|at| utc(at, "%Y-%m-%d %H:%M"));
    let whose = app.map_or(String::new(), |app| format!(" of {}", app.as_str()));
    format!("{}{whose} from {from} to {to} (UTC)", count(tally.requests, "request"))
}

fn period(tally: &Tally) -> [Timestamp; 2] {
    let none = Timestamp::from_millis(0);
    tally.period.as_ref().map_or([none; 2], |period| [*period.start(), *period.end()])
}

fn heading(tally: &Tally, app: Option<&AppId>) -> String {
    let mut lines = vec![title(tally, app)];
    if tally.skipped > 0 {
        lines.push(format!("{} of no function skipped", count(tally.skipped, "line")));
    }
    lines.join("\n")
}

fn funnel(tally: &Tally) -> String {
    let mut lines = vec![format!(
        "{BOLD}{:<20} {:>8} {:>15} {:>13} {:>15}{BOLD:#}",
        "messages", "sent", "delivered", "lost", "verified"
    )];
    for (name, funnel) in tally.rows(COUNTRIES) {
        let Funnel { sent, delivered, lost, verified } = funnel;
        let reported =
            |part: usize| if funnel.has_receipts() { share(part, sent) } else { "-".into() };
        lines.push(format!(
            "{name:<20} {sent:>8} {:>15} {:>13} {:>15}",
            reported(delivered),
            reported(lost),
            share(verified, sent)
        ));
    }
    for (reason, times) in &tally.reasons {
        lines.push(format!("  lost: {reason:<26} {times:>11}"));
    }
    if tally.refused_by_couriers > 0 {
        lines.push(format!("{} refused by couriers", count(tally.refused_by_couriers, "message")));
    }
    lines.join("\n")
}

/// A number with its share in percent, where there is something to be a share of.
fn share(part: usize, whole: usize) -> String {
    if whole == 0 {
        format!("{part}       ")
    } else {
        format!("{part} {:>6}", percent(part, whole))
    }
}

fn refusals(tally: &Tally) -> String {
    let mut lines = vec![format!(
        "{BOLD}{:<32} {:>11} {:>11} {:>11}{BOLD:#}",
        "refusals by", "refused", "concealed", "in shadow"
    )];
    for (rule, refusals) in tally.refusals() {
        lines.push(format!(
            "{rule:<32} {:>11} {:>11} {:>11}",
            refusals.refused, refusals.concealed, refusals.in_shadow
        ));
    }
    let codes = CODES.map(|(outcome, name)| format!("{} {name}", tally.outcome(outcome)));
    lines.push(format!("codes: {}", codes.join(", ")));
    lines.join("\n")
}

/// The outcomes of codes, with the words of the report.
const CODES: [(&str, &str); 4] = [
    ("verified", "right"),
    ("incorrect", "wrong"),
    ("expired", "expired"),
    ("exhausted", "without an attempt left"),
];

/// The quantiles, in hundredths.
const QUANTILES: [usize; 3] = [50, 95, 99];

fn latency(tally: &Tally) -> String {
    let mut lines = vec![format!(
        "{BOLD}{:<32} {:>11} {:>9} {:>9} {:>9}{BOLD:#}",
        "milliseconds in a function", "requests", "p50", "p95", "p99"
    )];
    for (function, micros) in &tally.micros {
        let [p50, p95, p99] = QUANTILES.map(|q| millis(quantile(micros, q)));
        lines.push(format!("{function:<32} {:>11} {p50:>9} {p95:>9} {p99:>9}", micros.len()));
    }
    lines.join("\n")
}

/// The smallest value that so many hundredths of the values do not exceed.
fn quantile(ascending: &[u64], hundredths: usize) -> u64 {
    let rank = (ascending.len() * hundredths).div_ceil(100).max(1);
    ascending.get(rank - 1).copied().unwrap_or_default()
}

fn millis(micros: u64) -> String {
    format!("{}.{}", micros / 1000, micros % 1000 / 100)
}

fn costs(cost: &Cost) -> String {
    let mut lines = vec![format!("{BOLD}{:<32} {:>11}{BOLD:#}", "cost by list prices", "dollars")];
    for (name, amount) in cost.parts.into_iter().chain([("together", cost.together())]) {
        lines.push(format!("{name:<32} {:>11}", rounded(amount)));
    }
    if cost.assumed > 0 {
        let (texts, price) = (count(cost.assumed, "text message"), cost::assumed_price());
        lines.push(format!("{texts} without a list price, at {price} each: see --price"));
    }
    lines.join("\n")
}

/// An amount with four decimal places.
fn rounded(amount: Amount) -> String {
    let parts = (amount.as_millionths() + 50) / 100;
    format!("{}.{:04}", parts / 10_000, parts % 10_000)
}

/// The same in the JSON output.
pub(super) fn json(tally: &Tally, cost: &Cost, app: Option<&AppId>) -> Value {
    let [from, to] = period(tally).map(|at| utc(at, RFC3339));
    let steps = |funnel: &Funnel| {
        let reported = |part: usize| funnel.has_receipts().then_some(part);
        json!({
            "sent": funnel.sent,
            "delivered": reported(funnel.delivered),
            "lost": reported(funnel.lost),
            "verified": funnel.verified,
        })
    };
    let messages = tally.messages.iter().map(|(destination, funnel)| {
        let mut row = steps(funnel);
        row["channel"] = if destination.is_email { "email" } else { "sms" }.into();
        row["country"] = json!(destination.country);
        row
    });
    let refusals = tally.refusals().into_iter().map(|(rule, refusals)| {
        json!({
            "rule": rule,
            "refused": refusals.refused,
            "concealed": refusals.concealed,
            "in_shadow": refusals.in_shadow,
        })
    });
    let latency = tally.micros.iter().map(|(function, micros)| {
        let [p50, p95, p99] = QUANTILES.map(|q| quantile(micros, q));
        json!({ "function": function, "requests": micros.len(), "p50": p50, "p95": p95, "p99": p99 })
    });
    json!({
        "app": app,
        "from": from,
        "to": to,
        "requests": tally.requests,
        "skipped": tally.skipped,
        "messages": messages.collect::<Vec<_>>(),
        "reasons": tally.reasons,
        "refused_by_couriers": tally.refused_by_couriers,
        "refusals": refusals.collect::<Vec<_>>(),
        "codes": CODES.into_iter().map(|(outcome, _)| (outcome.to_owned(), tally.outcome(outcome).into()))
            .collect::<serde_json::Map<_, _>>(),
        "micros": latency.collect::<Vec<_>>(),
        "cost": cost.parts.iter().map(|(name, amount)| ((*name).to_owned(), json!(amount)))
            .collect::<serde_json::Map<_, _>>(),
        "assumed_prices": cost.assumed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_value_that_was_measured_and_what_is_shown_is_rounded() {
        assert_eq!([50, 95, 99].map(|q| quantile(&[7], q)), [7, 7, 7]);
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!([50, 95, 99].map(|q| quantile(&hundred, q)), [50, 95, 99]);
        assert_eq!(quantile(&[], 50), 0);
        let amounts = [0, 49, 50, 1_234_567].map(|m| rounded(Amount::from_millionths(m)));
        assert_eq!(amounts, ["0.0000", "0.0000", "0.0001", "1.2346"]);
        assert_eq!([0, 99, 100, 1250].map(millis), ["0.0", "0.0", "0.1", "1.2"]);
    }
}
