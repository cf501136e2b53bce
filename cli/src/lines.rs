//! Files that are read line by line, and the faults of their lines.

use serde_json::{Map, Value, json};
use std::{
    fmt::Display,
    fs,
    io::{self, Read as _},
    path::Path,
};

/// A fault of a line. It does not repeat the value, which may be a secret or somebody's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) line: u64,
    /// The name of the field; empty if the fault concerns the whole line.
    pub(crate) field: &'static str,
    pub(crate) reason: String,
}

impl Fault {
    pub(crate) fn new(line: u64, field: &'static str, reason: &(impl Display + ?Sized)) -> Self {
        Self { line, field, reason: reason.to_string() }
    }

    /// The fault as a line of text, such as `users.csv:3: phone: missing`.
    pub(crate) fn text(&self, file: &Path) -> String {
        let field = if self.field.is_empty() { String::new() } else { format!("{}: ", self.field) };
        format!("{}:{}: {field}{}", file.display(), self.line, self.reason)
    }

    /// The fault in the JSON output.
    pub(crate) fn json(&self) -> Value {
        let field = Some(self.field).filter(|field| !field.is_empty());
        json!({ "line": self.line, "field": field, "reason": self.reason })
    }
}

/// Reads a file, or standard input for `-`.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().read_to_end(&mut text)
    } else {
        fs::File::open(path).and_then(|mut file| file.read_to_end(&mut text))
    };
    read.map(|_| text).map_err(|error| format!("{}: {error}", path.display()))
}

/// The lines of a text that are not empty, with their numbers from 1.
pub(crate) fn numbered(text: &[u8]) -> Result<impl Iterator<Item = (u64, &str)>, &'static str> {
    let text = std::str::from_utf8(text).map_err(|_| "not UTF-8")?.trim_start_matches('\u{feff}');
    Ok((1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()))
}

/// The JSON object on a line.
pub(crate) fn object(number: u64, line: &str) -> Result<Map<String, Value>, Fault> {
    // The message of the parser would repeat a value.
    serde_json::from_str(line).map_err(|_| Fault::new(number, "", "not a JSON object"))
}
