//! What a log says, line by line: messages that were sent, and challenges that were verified.

use crate::lines::{self, Fault};
use jiff::Timestamp as Moment;
use passcode_domain::{
    Address, EmailAddress, PhoneNumber, Timestamp,
    guard::replay::{Event, Message, What},
};
use serde_json::{Map, Value};
use std::{error::Error, fmt::Display, fs, io::Read as _, net::IpAddr, path::Path};

/// The fields of an event.
const FIELDS: [&str; 5] = ["at", "event", "id", "to", "ip"];

/// Numbers below are no milliseconds of this millennium, but most likely seconds.
const FIRST_MILLIS: u64 = 100_000_000_000;

/// The events of a log, or everything that is wrong with its lines.
type Events = Result<Vec<Event>, Vec<Fault>>;

/// Reads a file, or standard input for `-`. An error is about the file as a whole.
pub(super) fn read(path: &Path) -> Result<Events, Box<dyn Error>> {
    let named = |error: &dyn Display| format!("{}: {error}", path.display());
    let text = if path == Path::new("-") {
        let mut text = Vec::new();
        std::io::stdin().lock().read_to_end(&mut text).map(|_| text)
    } else {
        fs::read(path)
    };
    let text = text.map_err(|error| named(&error))?;
    Ok(events(&text).map_err(|error| named(&error))?)
}

fn events(text: &[u8]) -> Result<Events, &'static str> {
    let (mut events, mut faults) = (Vec::new(), Vec::new());
    for (number, line) in lines::numbered(text)? {
        match event(number, line) {
            Ok(event) => events.push(event),
            Err(found) => faults.extend(found),
        }
    }
    Ok(if faults.is_empty() { Ok(events) } else { Err(faults) })
}

/// Understands a line, or tells everything that is wrong with it.
fn event(number: u64, line: &str) -> Result<Event, Vec<Fault>> {
    let object = lines::object(number, line).map_err(|fault| vec![fault])?;
    let mut reader = Reader { line: number, object: &object, faults: Vec::new() };
    reader.refuse_unknown();
    let at = reader.read("at", moment);
    let event = reader.read("event", kind);
    let id = reader.read("id", text);
    let what = match event {
        Some(Kind::Verify) => id.map(What::Verified),
        Some(Kind::Send) => {
            let (to, ip) = (reader.read("to", address), reader.read_some("ip", ip));
            id.zip(to).map(|(id, to)| What::Sent(Message::new(id, to, ip)))
        }
        None => None,
    };
    match at.zip(what).filter(|_| reader.faults.is_empty()) {
        Some((at, what)) => Ok(Event { at, what }),
        None => Err(reader.faults),
    }
}

struct Reader<'a> {
    line: u64,
    object: &'a Map<String, Value>,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn refuse(&mut self, field: &'static str, reason: &(impl Display + ?Sized)) {
        self.faults.push(Fault::new(self.line, field, reason));
    }

    fn refuse_unknown(&mut self) {
        let object = self.object;
        for name in object.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
            let fields = FIELDS.join(", ");
            self.refuse("", &format!("`{name}` is no field of an event; there are {fields}"));
        }
    }

    /// A value that must be there.
    fn read<T>(&mut self, field: &'static str, parse: Parse<T>) -> Option<T> {
        if self.object.get(field).is_none_or(Value::is_null) {
            self.refuse(field, "missing");
        }
        self.read_some(field, parse)
    }

    /// A value, if it is there and good.
    fn read_some<T>(&mut self, field: &'static str, parse: Parse<T>) -> Option<T> {
        let value = self.object.get(field).filter(|value| !value.is_null())?;
        match parse(value) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.refuse(field, &reason);
                None
            }
        }
    }
}

/// How a value is understood, or why not.
type Parse<T> = fn(&Value) -> Result<T, String>;

enum Kind {
    Send,
    Verify,
}

fn kind(value: &Value) -> Result<Kind, String> {
    match value.as_str() {
        Some("send") => Ok(Kind::Send),
        Some("verify") => Ok(Kind::Verify),
        _ => Err("neither send nor verify".to_owned()),
    }
}

fn text(value: &Value) -> Result<String, String> {
    let text = value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    text.ok_or_else(|| "not a text (in quotation marks)".to_owned())
}

fn moment(value: &Value) -> Result<Timestamp, String> {
    let millis = match value {
        Value::Number(number) => number.as_u64().filter(|n| *n >= FIRST_MILLIS),
        Value::String(text) => {
            let moment = text.parse::<Moment>().ok();
            moment.and_then(|moment| u64::try_from(moment.as_millisecond()).ok())
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let is_known =
        |millis: &u64| i64::try_from(*millis).is_ok_and(|n| Moment::from_millisecond(n).is_ok());
    millis.filter(is_known).map(Timestamp::from_millis).ok_or_else(|| {
        "neither RFC 3339, as in 2026-11-20T09:00:00Z, nor milliseconds since 1970".to_owned()
    })
}

fn address(value: &Value) -> Result<Address, String> {
    let text = text(value)?;
    let address = if text.contains('@') {
        EmailAddress::parse(&text).map(Address::Email)
    } else {
        PhoneNumber::parse(&text).map(Address::Phone)
    };
    address.map_err(|error| error.to_string())
}

fn ip(value: &Value) -> Result<IpAddr, String> {
    text(value)?.parse().map_err(|_| "not an IP address".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(line: &str) -> Vec<(&'static str, String)> {
        let faults = event(7, line).expect_err(line);
        assert!(faults.iter().all(|fault| fault.line == 7));
        faults.into_iter().map(|fault| (fault.field, fault.reason)).collect()
    }

    #[test]
    fn a_line_that_is_no_event_is_refused_with_field_and_reason() {
        for (line, field, reason) in [
            ("", "", "not a JSON object"),
            ("[]", "", "not a JSON object"),
            (r#"{"at":1,"#, "", "not a JSON object"),
            (r#"{"event":"verify","id":"c1"}"#, "at", "missing"),
            (r#"{"at":null,"event":"verify","id":"c1"}"#, "at", "missing"),
            (r#"{"at":"today","event":"verify","id":"c1"}"#, "at", "neither RFC 3339"),
            (
                r#"{"at":"2026-11-20T09:00:00","event":"verify","id":"c1"}"#,
                "at",
                "neither RFC 3339",
            ),
            (r#"{"at":"1969-12-31T23:59:59Z","event":"verify","id":"c1"}"#, "at", "neither RFC"),
            (r#"{"at":1795165200,"event":"verify","id":"c1"}"#, "at", "nor milliseconds"),
            (r#"{"at":-1,"event":"verify","id":"c1"}"#, "at", "nor milliseconds"),
            (r#"{"at":1e30,"event":"verify","id":"c1"}"#, "at", "nor milliseconds"),
            (r#"{"at":999999999999999999,"event":"verify","id":"c1"}"#, "at", "nor milliseconds"),
            (r#"{"at":1795165200000,"id":"c1"}"#, "event", "missing"),
            (
                r#"{"at":1795165200000,"event":"sent","id":"c1"}"#,
                "event",
                "neither send nor verify",
            ),
            (r#"{"at":1795165200000,"event":"verify"}"#, "id", "missing"),
            (r#"{"at":1795165200000,"event":"verify","id":1}"#, "id", "quotation marks"),
            (r#"{"at":1795165200000,"event":"verify","id":""}"#, "id", "not a text"),
            (r#"{"at":1795165200000,"event":"send","id":"c1"}"#, "to", "missing"),
            (r#"{"at":1795165200000,"event":"send","id":"c1","to":"ada@"}"#, "to", "e-mail"),
            (r#"{"at":1795165200000,"event":"send","id":"c1","to":"4155550100"}"#, "to", "phone"),
            (
                r#"{"at":1795165200000,"event":"send","id":"c1","to":"ada@example.com","ip":"x"}"#,
                "ip",
                "not an IP address",
            ),
            (
                r#"{"at":1795165200000,"event":"verify","id":"c1","kind":"x"}"#,
                "",
                "`kind` is no field of an event; there are at, event, id, to, ip",
            ),
        ] {
            let found = faults(line);
            assert_eq!(found.len(), 1, "{line}: {found:?}");
            assert_eq!(found[0].0, field, "{line}");
            assert!(found[0].1.contains(reason), "{line}: {found:?}");
        }
    }

    #[test]
    fn everything_that_is_wrong_with_a_line_is_told_and_no_address_is_repeated() {
        let found = faults(r#"{"at":"soon","event":"send","to":"4155550100","ip":"home","x":1}"#);
        let fields: Vec<_> = found.iter().map(|(field, _)| *field).collect();
        assert_eq!(fields, ["", "at", "id", "to", "ip"]);
        assert!(!format!("{found:?}").contains("4155550100"), "{found:?}");
    }

    #[test]
    fn one_bad_line_is_enough_and_empty_ones_are_none() {
        let good = r#"{"at":1795165200000,"event":"verify","id":"c1"}"#;
        let text = format!("\u{feff}{good}\r\n\n{good}\n[]\n");
        let found = events(text.as_bytes()).expect("it is text").expect_err("a bad line");
        assert_eq!(found, [Fault::new(4, "", "not a JSON object")]);
        assert_eq!(events(b"\xff").err(), Some("not UTF-8"));
        assert_eq!(events(b"\n").expect("it is text"), Ok(Vec::new()));
    }

    #[test]
    fn moments_are_the_same_in_every_spelling_and_what_is_absent_may_be_null() {
        let lines = [
            r#"{"at":"2026-11-20T09:00:00Z","event":"send","id":"c1","to":"+14155550100"}"#,
            r#"{"at":"2026-11-20T10:00:00.000+01:00","event":"send","id":"c1","to":"+1 415 555 0100","ip":null}"#,
            r#"{"at":1795165200000,"event":"send","id":"c1","to":"+14155550100"}"#,
        ];
        let found: Vec<_> = lines.map(|line| event(1, line).expect(line)).into();
        assert_eq!(found[0].at, Timestamp::from_millis(1_795_165_200_000));
        assert!(found[0] == found[1] && found[1] == found[2], "{found:?}");
        let mail = r#"{"at":1795165200000,"event":"send","id":"c2","to":"ada@example.com","ip":"2001:db8::1"}"#;
        assert!(event(1, mail).is_ok());
    }
}
