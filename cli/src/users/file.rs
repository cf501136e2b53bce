//! Reads the lines of a file with users: CSV with a header row, or one JSON object per line. All
//! values are texts here; [`entry`](super::entry) parses them.

use crate::lines::{self, Fault};
use csv::StringRecord;
use serde_json::Value;
use std::{error::Error, fmt::Display, fs, path::Path};

/// The names of the fields in a file.
pub(super) const FIELDS: [&str; 8] =
    ["id", "email", "phone", "username", "pin", "password", "pin_hash", "password_hash"];

/// A line: the names from [`FIELDS`] with their values, without those that are empty.
#[cfg_attr(test, derive(Debug))]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) values: Vec<(&'static str, String)>,
}

/// The lines, or their faults.
type Lines = Vec<Result<Line, Fault>>;

/// Reads a file. An error concerns the file as a whole.
pub(super) fn read(path: &Path) -> Result<Lines, Box<dyn Error>> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let parse = match extension.to_ascii_lowercase().as_str() {
        "csv" => from_csv,
        "jsonl" | "ndjson" => from_json_lines,
        _ => return Err("the file must be named .csv, .jsonl or .ndjson".into()),
    };
    let named = |error: &dyn Display| format!("{}: {error}", path.display());
    let text = fs::read(path).map_err(|error| named(&error))?;
    Ok(parse(&text).map_err(|error| named(&error))?)
}

fn from_csv(text: &[u8]) -> Result<Lines, String> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text);
    let header = reader.headers().map_err(|_| "the header row is not UTF-8")?;
    let columns = columns(header)?;
    let mut numbers = Numbers { text, byte: 0, line: 1 };
    let mut lines = Vec::new();
    let mut record = StringRecord::new();
    loop {
        let number = numbers.at(reader.position().byte());
        match reader.read_record(&mut record) {
            Ok(false) => return Ok(lines),
            Ok(true) => lines.push(from_record(number, &columns, &record)),
            Err(_) => lines.push(Err(Fault::new(number, "", "not UTF-8"))),
        }
    }
}

/// Counts lines as an editor does. The count of the reader is the line where it stopped reading,
/// which may be before the end of that line and before empty lines.
struct Numbers<'a> {
    text: &'a [u8],
    byte: usize,
    line: u64,
}

impl Numbers<'_> {
    /// The number of the line with the next record, given the byte where the reader is.
    fn at(&mut self, byte: u64) -> u64 {
        let byte = usize::try_from(byte).unwrap_or(usize::MAX).min(self.text.len());
        let rest = &self.text[byte..];
        let ends = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let passed = &self.text[self.byte..byte + ends];
        self.line += passed.iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
        self.byte = byte + ends;
        self.line
    }
}

/// The fields of the columns.
fn columns(header: &StringRecord) -> Result<Vec<&'static str>, String> {
    let mut columns = Vec::new();
    for name in header.iter().map(str::trim) {
        let field = FIELDS.into_iter().find(|field| *field == name);
        let field = field.ok_or_else(|| {
            format!("`{name}` is no column; there are {}, with commas between", FIELDS.join(", "))
        })?;
        if columns.contains(&field) {
            return Err(format!("the column `{field}` is there twice"));
        }
        columns.push(field);
    }
    columns.contains(&"id").then_some(columns).ok_or("the column `id` is missing".to_owned())
}

fn from_record(
    number: u64,
    columns: &[&'static str],
    record: &StringRecord,
) -> Result<Line, Fault> {
    if record.len() != columns.len() {
        let (values, columns) = (record.len(), columns.len());
        let reason = format!(
            "{values} values in {columns} columns (commas inside a value need \"\" around it)"
        );
        return Err(Fault::new(number, "", &reason));
    }
    let values = columns.iter().copied().zip(record.iter().map(str::to_owned));
    Ok(Line { number, values: values.filter(|(_, value)| !value.is_empty()).collect() })
}

fn from_json_lines(text: &[u8]) -> Result<Lines, String> {
    Ok(lines::numbered(text)?.map(|(number, line)| from_object(number, line)).collect())
}

fn from_object(number: u64, line: &str) -> Result<Line, Fault> {
    let mut values = Vec::new();
    for (name, value) in lines::object(number, line)? {
        let field = FIELDS.into_iter().find(|field| *field == name);
        let unknown = || Fault::new(number, "", &format!("`{name}` is no field of a user"));
        let field = field.ok_or_else(unknown)?;
        match value {
            Value::String(text) if !text.is_empty() => values.push((field, text)),
            Value::String(_) | Value::Null => {}
            _ => return Err(Fault::new(number, field, "not a text (in quotation marks)")),
        }
    }
    Ok(Line { number, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_another_kind_is_refused() {
        for (header, reason) in [
            ("", "`id` is missing"),
            ("email,phone\n", "`id` is missing"),
            ("id,mail\n", "`mail` is no column"),
            ("id;email\n", "with commas between"),
            ("id,email,id\n", "twice"),
        ] {
            let error = from_csv(header.as_bytes()).expect_err(header);
            assert!(error.contains(reason), "{header:?}: {error}");
        }
        assert!(from_json_lines(&[0xff]).is_err());
        assert!(read(Path::new("users.txt")).is_err());
        let missing = read(Path::new("no-such.csv")).expect_err("it is not there").to_string();
        assert!(missing.starts_with("no-such.csv: "), "{missing}");
    }

    #[test]
    fn bad_lines_are_told_by_number_and_good_ones_are_read() {
        let text =
            b"\xef\xbb\xbfid, pin ,email\n1,1793,\n\n2,1793\n3,\xff,\n\"4\",\"17\n93\",a\n5,,b\n";
        let lines = from_csv(text).expect("it is CSV");
        let numbers: Vec<_> = lines
            .iter()
            .map(|line| match line {
                Ok(line) => (line.number, true),
                Err(fault) => (fault.line, false),
            })
            .collect();
        assert_eq!(numbers, [(2, true), (4, false), (5, false), (6, true), (8, true)]);
        let Ok(first) = &lines[0] else { panic!("{lines:?}") };
        assert_eq!(first.values, [("id", "1".to_owned()), ("pin", "1793".to_owned())]);
    }

    #[test]
    fn json_lines_are_objects_of_texts_and_nothing_is_repeated() {
        let text = "{\"id\":\"1\",\"email\":null,\"phone\":\"\"}\r\n\n[\"1793\"]\n{\"id\":\n\
                    {\"id\":\"4\",\"pin\":1793}\n{\"id\":\"5\",\"pim\":\"1793\"}\n";
        let mut lines = from_json_lines(text.as_bytes()).expect("it is text").into_iter();
        let first = lines.next().expect("a line").expect("a good one");
        assert_eq!((first.number, first.values.len()), (1, 1));
        let faults: Vec<_> = lines.map(|line| line.expect_err("a bad one")).collect();
        let found: Vec<_> = faults.iter().map(|fault| (fault.line, fault.field)).collect();
        assert_eq!(found, [(3, ""), (4, ""), (5, "pin"), (6, "")]);
        assert!(!format!("{faults:?}").contains("1793"), "{faults:?}");
    }
}
