//! The findings as a table and as JSON.

use super::checks::{Finding, Findings, Level};
use crate::output::count;
use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

const DIM: Style = Style::new().dimmed();

/// The columns of the level and of the name of the check, with the space behind them.
const LEVEL: usize = 9;
const CHECK: usize = 17;

/// The table, a line of text being no wider than this where words allow it.
#[must_use]
pub fn text(findings: &Findings, width: usize) -> String {
    let mut lines: Vec<String> = findings.rows.iter().flat_map(|row| lines(row, width)).collect();
    let number = |level| {
        let rows = findings.rows.iter().filter(|row| row.level == level).count();
        u32::try_from(rows).unwrap_or(u32::MAX)
    };
    let (failures, warnings) = (number(Level::Failure), number(Level::Warning));
    let counts = [count(failures, "failure"), count(warnings, "warning")].join(", ");
    lines.extend([String::new(), format!("{counts}, {} ok", number(Level::Ok))]);
    if !findings.unchecked.is_empty() {
        let names = findings.unchecked.join(", ");
        lines.extend(wrapped(&format!("Not looked at: {names}."), width));
    }
    lines.join("\n")
}

fn lines(row: &Finding, width: usize) -> Vec<String> {
    let style = Style::new().bold().fg_color(Some(
        match row.level {
            Level::Ok => AnsiColor::Green,
            Level::Warning => AnsiColor::Yellow,
            Level::Failure => AnsiColor::Red,
        }
        .into(),
    ));
    let indent = LEVEL + CHECK;
    let mut found = wrapped(&row.found, width.saturating_sub(indent)).into_iter();
    let (level, check) = (row.level.as_str(), row.check);
    let first = found.next().unwrap_or_default();
    let mut lines = vec![format!("{style}{level:<LEVEL$}{style:#}{check:<CHECK$}{first}")];
    lines.extend(found.map(|line| format!("{:indent$}{line}", "")));
    // A command is one line, to be copied.
    lines.extend(row.next.iter().map(|next| format!("{:LEVEL$}{DIM}{next}{DIM:#}", "")));
    lines
}

/// The text in lines, broken between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last().map_or(0, |line| line.chars().count());
        match lines.last_mut() {
            Some(line) if last == 0 => line.push_str(word),
            Some(line) if last + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The same in the JSON output.
#[must_use]
pub fn json(findings: &Findings, stack: Option<&str>) -> Value {
    json!({
        "stack": stack,
        "level": findings.worst().as_str(),
        "findings": findings.rows.iter().map(Finding::json).collect::<Vec<_>>(),
        "unchecked": findings.unchecked,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_commands_do_not() {
        let row = Finding {
            check: "keyring",
            level: Level::Warning,
            found: "The keys of codes and signatures are 400 days old.".to_owned(),
            next: Some("passcode keys rotate --stack a-stack-with-a-long-name".to_owned()),
            fix: None,
        };
        let findings = Findings { rows: vec![row], unchecked: vec!["recovery"] };
        let text = anstream::adapter::strip_str(&text(&findings, 60)).to_string();
        assert_eq!(
            text,
            "warning  keyring          The keys of codes and signatures\n                          \
             are 400 days old.\n         passcode keys rotate --stack a-stack-with-a-long-name\n\n\
             0 failures, 1 warning, 0 ok\nNot looked at: recovery."
        );
    }
}
