//! What each rule refuses, as a table and as JSON.

use super::{replay::Tally, simulation::Simulation};
use crate::{
    output::{count, percent},
    time::{RFC3339, utc},
};
use anstyle::Style;
use passcode_domain::{AppId, app::guard::Rule, value::money::Amount};
use serde_json::{Value, json};

const BOLD: Style = Style::new().bold();

/// The name of the row and of the lane of all rules together.
pub(super) const ALL_RULES: &str = "all rules, as they are set";

/// The table, between a heading and a summary.
pub(super) fn text(simulation: &Simulation, app: Option<&AppId>) -> String {
    let guard = &simulation.app.guard;
    let header = format!(
        "{BOLD}{:<27} {:<7} {:>7} {:>5} {:>8}  {:<11} {:>8}{BOLD:#}",
        "rule", "mode", "refused", "share", "verified", "first", "saved"
    );
    let mut lines = vec![heading(simulation, app), String::new(), header];
    for (rule, tally) in &simulation.alone {
        let mode = guard.mode(*rule).as_str();
        lines.push(match rule {
            Rule::SpendCap if guard.spend_cap.per_day.is_none() => {
                format!("{:<27} {mode:<7}  no cap", rule.as_str())
            }
            _ => row(rule.as_str(), mode, tally, simulation.messages()),
        });
    }
    lines.push(row(ALL_RULES, "", &simulation.together, simulation.messages()));
    lines.extend([String::new(), summary(simulation)]);
    if simulation.log.unmatched > 0 {
        let unmatched = simulation.log.unmatched;
        lines.push(format!("Verifies without an earlier message, which are ignored: {unmatched}."));
    }
    lines.join("\n")
}

fn heading(simulation: &Simulation, app: Option<&AppId>) -> String {
    let (from, to) = simulation.log.period();
    let [from, to] = [from, to].map(|at| utc(at, "%Y-%m-%d %H:%M"));
    let whose = app.map_or("a new app".to_owned(), |app| format!("the app {}", app.as_str()));
    let (messages, verified) = (simulation.messages(), simulation.log.verified.len());
    format!(
        "{} from {from} to {to} (UTC)\n\
         {} verified\n\n\
         Each rule enforced alone, by the guard of {whose}:",
        count(messages, "message"),
        count(verified, "challenge"),
    )
}

fn row(name: &str, mode: &str, tally: &Tally, messages: usize) -> String {
    let (refused, verified) = (tally.refused.len(), tally.verified());
    let Some(first) = tally.refused.first() else {
        return format!("{name:<27} {mode:<7} {refused:>7}");
    };
    let (share, first) = (percent(refused, messages), utc(first.at, "%m-%d %H:%M"));
    let saved = rounded(tally.saved);
    format!("{name:<27} {mode:<7} {refused:>7} {share:>5} {verified:>8}  {first:<11} {saved:>8}")
}

/// What all rules refuse and save together.
fn summary(simulation: &Simulation) -> String {
    let Simulation { app, log, together, .. } = simulation;
    let (saved, cost) = (rounded(together.saved), rounded(log.cost(&app.guard)));
    let line =
        |does: &str, part: String, whole: String| format!("  {does:<7} {part:>9} of {whole}");
    let refused = together.refused.len().to_string();
    let (messages, verified) = (simulation.messages(), log.verified.len());
    [
        "As they are set, the rules".to_owned(),
        line("refuse", refused, count(messages, "message")),
        line("save", saved, format!("{cost} {}", app.guard.spend_cap.currency)),
        line(
            "leave",
            together.lost.to_string(),
            format!("{verified} verified challenges without a message"),
        ),
    ]
    .join("\n")
}

/// An amount of millionths, rounded to hundredths.
fn rounded(millionths: u64) -> String {
    let hundredths = (millionths + 5_000) / 10_000;
    Amount::from_millionths(hundredths * 10_000).to_string()
}

/// The same in the JSON output.
pub(super) fn json(simulation: &Simulation, app: Option<&AppId>) -> Value {
    let Simulation { app: with, log, alone, together } = simulation;
    let (from, to) = log.period();
    let rule = |(rule, tally): &(Rule, Tally)| {
        let mut row = tallied(tally);
        row["rule"] = rule.as_str().into();
        row["mode"] = with.guard.mode(*rule).as_str().into();
        row
    };
    json!({
        "app": app,
        "guard": with.guard,
        "from": utc(from, RFC3339),
        "to": utc(to, RFC3339),
        "messages": simulation.messages(),
        "verified": log.verified.len(),
        "unmatched": log.unmatched,
        "cost": Amount::from_millionths(log.cost(&with.guard)),
        "rules": alone.iter().map(rule).collect::<Vec<_>>(),
        "together": tallied(together),
    })
}

fn tallied(tally: &Tally) -> Value {
    json!({
        "refused": tally.refused.len(),
        "verified": tally.verified(),
        "lost": tally.lost,
        "first": tally.refused.first().map(|refused| utc(refused.at, RFC3339)),
        "saved": Amount::from_millionths(tally.saved),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded() {
        assert_eq!([0, 4_999, 5_000, 1_234_567].map(rounded), ["0.00", "0.00", "0.01", "1.23"]);
    }
}
