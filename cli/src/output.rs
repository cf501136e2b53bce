//! The output of a command, as text and as JSON.

use anstream::{eprintln, println};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use std::{error::Error, fmt::Display, path::PathBuf, process::ExitCode};

/// The result of a command.
#[derive(Debug)]
pub struct Output {
    /// The result as text, for standard output.
    pub text: String,
    /// The result as JSON, for standard output with `--json`.
    pub json: Value,
    /// What went wrong, one line each, for standard error. If there is any, the exit status is 1.
    pub faults: Vec<String>,
}

impl Output {
    /// The output of a command that succeeded.
    pub(crate) fn new(text: impl Into<String>, json: Value) -> Self {
        Self { text: text.into(), json, faults: Vec::new() }
    }

    fn print(&self, as_json: bool) -> ExitCode {
        if as_json {
            println!("{:#}", self.json);
        } else {
            self.faults.iter().for_each(|fault| eprintln!("{fault}"));
            println!("{}", self.text);
        }
        if self.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Runs a command and prints its output.
pub(crate) fn run(
    act: impl Future<Output = Result<Output, Box<dyn Error>>>,
    as_json: bool,
) -> Result<ExitCode, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(act)?.print(as_json))
}

/// A progress bar on standard error. Nothing is drawn where that is no terminal.
pub(crate) fn progress(length: usize) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(length).unwrap_or(u64::MAX));
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len}, {eta} left");
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// The number of columns of the terminal; 80 where the output is no terminal.
pub(crate) fn width() -> usize {
    let known = terminal_size::terminal_size_of(std::io::stdout());
    known.map_or(80, |(width, _)| usize::from(width.0))
}

/// A number and a noun in the right form: `1 message`, `2 messages`.
pub(crate) fn count<N: Copy + Display + PartialEq + From<u8>>(number: N, noun: &str) -> String {
    let ending = if number == N::from(1) { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

/// A share in percent, with one decimal place.
pub(crate) fn percent(part: usize, whole: usize) -> String {
    let tenths = (part * 1000 + whole / 2) / whole.max(1);
    match tenths {
        1000 => "100%".to_owned(),
        0 if part > 0 => "<0.1%".to_owned(),
        _ => format!("{}.{}%", tenths / 10, tenths % 10),
    }
}

/// A file name with the extension `.svg`.
pub(crate) fn svg(name: &str) -> Result<PathBuf, &'static str> {
    let path = PathBuf::from(name);
    let is_svg = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg"));
    is_svg.then_some(path).ok_or("the picture must be named .svg")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_and_never_to_nothing() {
        let shares =
            [(0, 9), (1, 100_000), (1, 1000), (1, 3), (3, 3)].map(|(n, of)| percent(n, of));
        assert_eq!(shares, ["0.0%", "<0.1%", "0.1%", "33.3%", "100%"]);
    }
}
