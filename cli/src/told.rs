//! What a command has to tell, for people and for programs.

use anstream::{eprintln, println};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use std::{error::Error, process::ExitCode};

/// What was done, or not.
#[derive(Debug)]
pub struct Told {
    /// For people.
    pub text: String,
    /// For programs.
    pub json: Value,
    /// What went wrong on the way, a line each; the command has failed where there is one.
    pub faults: Vec<String>,
}

impl Told {
    /// A command that did what it was asked.
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

/// Carries a command out, and tells what it has to tell.
pub(crate) fn run(
    act: impl Future<Output = Result<Told, Box<dyn Error>>>,
    as_json: bool,
) -> Result<ExitCode, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(act)?.print(as_json))
}

/// A bar on a terminal; nothing where the output goes elsewhere.
pub(crate) fn progress(length: usize) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(length).unwrap_or(u64::MAX));
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len}, {eta} left");
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// So many of something.
pub(crate) fn count(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}
