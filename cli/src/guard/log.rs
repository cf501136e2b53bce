//! The log that is simulated: messages that were sent and challenges that were verified, one JSON
//! object per line.

use crate::lines::{self, Fault};
use passcode_domain::{
    Address, EmailAddress, PhoneNumber, Timestamp,
    app::guard::Guard,
    value::country::{Country, origin},
};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;
use std::{collections::HashSet, error::Error, net::IpAddr, path::Path};

/// What the value of each field must be. A fault says this instead of what the parser says, because
/// the parser repeats the value, which may be somebody's address.
const FIELDS: [(&str, &str); 5] = [
    ("at", "must be RFC 3339, as in 2026-11-20T09:00:00Z, or milliseconds since 1970"),
    ("event", "must be send or verify"),
    ("id", "must be a text that is not empty"),
    ("to", "must be a phone number with + and country code, or an e-mail address"),
    ("ip", "must be an IP address"),
];

/// A smaller number is not a time in milliseconds after 1973; most likely it is in seconds.
const MIN_MILLIS: u64 = 100_000_000_000;

/// An event of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: EventKind,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A message was sent.
    Send(Message),
    /// The challenge with this id was verified.
    Verify(String),
}

/// A message that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The id of its challenge. A resend has the id of the first message.
    pub id: String,
    /// The recipient.
    pub to: Address,
    /// The IP address of the client that asked for it, where it is known.
    pub ip: Option<IpAddr>,
    /// The country that a text message goes to.
    pub country: Option<Country>,
}

impl Message {
    /// A message of a challenge to an address, for a client with this IP address.
    #[must_use]
    pub fn new(id: String, to: Address, ip: Option<IpAddr>) -> Self {
        let country = match &to {
            Address::Phone(phone) => Some(origin(phone).0),
            Address::Email(_) | Address::User(_) => None,
        };
        Self { id, to, ip, country }
    }

    /// What it cost, in millionths of the guard's currency. An e-mail costs nothing.
    #[must_use]
    pub fn price(&self, guard: &Guard) -> u64 {
        self.country.map_or(0, |country| guard.spend_cap.price(country))
    }
}

/// The events in the order of time.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// The events, oldest first.
    pub events: Vec<Event>,
    /// The ids of the challenges that were verified after one of their messages.
    pub verified: HashSet<String>,
    /// The number of verifies without an earlier message of their challenge. They are ignored.
    pub unmatched: usize,
}

impl Log {
    /// The log of events in any order. Those of the same moment keep their order.
    #[must_use]
    pub fn new(mut events: Vec<Event>) -> Self {
        events.sort_by_key(|event| event.at);
        let (mut sent, mut verified, mut unmatched) = (HashSet::new(), HashSet::new(), 0);
        for event in &events {
            match &event.kind {
                EventKind::Send(message) => drop(sent.insert(message.id.as_str())),
                EventKind::Verify(id) if sent.contains(id.as_str()) => {
                    verified.insert(id.clone());
                }
                EventKind::Verify(_) => unmatched += 1,
            }
        }
        Self { events, verified, unmatched }
    }

    /// The messages, with the times when they were sent.
    pub fn messages(&self) -> impl Iterator<Item = (Timestamp, &Message)> {
        self.events.iter().filter_map(|event| match &event.kind {
            EventKind::Send(message) => Some((event.at, message)),
            EventKind::Verify(_) => None,
        })
    }

    /// The times of the first and the last message; 1970 where there is no message.
    #[must_use]
    pub fn period(&self) -> (Timestamp, Timestamp) {
        let mut times = self.messages().map(|(at, _)| at);
        let first = times.next().unwrap_or(Timestamp::from_millis(0));
        (first, times.last().unwrap_or(first))
    }

    /// Whether the challenge of a message was verified.
    #[must_use]
    pub fn is_verified(&self, message: &Message) -> bool {
        self.verified.contains(&message.id)
    }

    /// What all messages cost, in millionths of the guard's currency.
    #[must_use]
    pub fn cost(&self, guard: &Guard) -> u64 {
        self.messages().map(|(_, message)| message.price(guard)).sum()
    }
}

/// The events of a file, or what is wrong with its lines.
type Events = Result<Vec<Event>, Vec<Fault>>;

/// Reads a file, or standard input for `-`. An error concerns the file as a whole.
pub(super) fn read(path: &Path) -> Result<Events, Box<dyn Error>> {
    let text = lines::read(path)?;
    Ok(events(&text).map_err(|error| format!("{}: {error}", path.display()))?)
}

fn events(text: &[u8]) -> Result<Events, &'static str> {
    let (mut events, mut faults) = (Vec::new(), Vec::new());
    for (number, line) in lines::numbered(text)? {
        match event(number, line) {
            Ok(event) => events.push(event),
            Err(fault) => faults.push(fault),
        }
    }
    Ok(if faults.is_empty() { Ok(events) } else { Err(faults) })
}

/// A line as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(deserialize_with = "timestamp")]
    at: Timestamp,
    event: Kind,
    #[serde(deserialize_with = "filled")]
    id: String,
    #[serde(default, deserialize_with = "address")]
    to: Option<Address>,
    ip: Option<IpAddr>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Send,
    Verify,
}

fn event(number: u64, line: &str) -> Result<Event, Fault> {
    let object = Value::Object(lines::object(number, line)?);
    let Line { at, event, id, to, ip } =
        serde_path_to_error::deserialize(object).map_err(|error| {
            let path = error.path().to_string();
            match FIELDS.into_iter().find(|(field, _)| *field == path) {
                Some((field, reason)) => Fault::new(number, field, reason),
                // A field is unknown or missing. The message has its name and no value.
                None => Fault::new(number, "", error.inner()),
            }
        })?;
    let kind = match (event, to) {
        (Kind::Verify, _) => EventKind::Verify(id),
        (Kind::Send, Some(to)) => EventKind::Send(Message::new(id, to, ip)),
        (Kind::Send, None) => return Err(Fault::new(number, "", "missing field `to`")),
    };
    Ok(Event { at, kind })
}

fn timestamp<'de, D: Deserializer<'de>>(value: D) -> Result<Timestamp, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Millis(i64),
        Rfc3339(jiff::Timestamp),
    }
    let time = match Written::deserialize(value)? {
        Written::Millis(millis) => jiff::Timestamp::from_millisecond(millis).ok(),
        Written::Rfc3339(time) => Some(time),
    };
    let millis = time.and_then(|time| u64::try_from(time.as_millisecond()).ok());
    let millis = millis.filter(|millis| *millis >= MIN_MILLIS);
    millis.map(Timestamp::from_millis).ok_or_else(|| D::Error::custom("no time"))
}

fn filled<'de, D: Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    let text = String::deserialize(value)?;
    if text.is_empty() { Err(D::Error::custom("empty")) } else { Ok(text) }
}

fn address<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Address>, D::Error> {
    let Some(text) = Option::<String>::deserialize(value)? else { return Ok(None) };
    let address = if text.contains('@') {
        EmailAddress::parse(&text).map(Address::Email)
    } else {
        PhoneNumber::parse(&text).map(Address::Phone)
    };
    address.map(Some).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(line: &str) -> (&'static str, String) {
        let fault = event(7, line).expect_err(line);
        assert_eq!(fault.line, 7);
        (fault.field, fault.reason)
    }

    #[test]
    fn a_line_that_is_no_event_is_refused_with_field_and_reason() {
        for (line, field, reason) in [
            ("", "", "not a JSON object"),
            ("[]", "", "not a JSON object"),
            (r#"{"at":1,"#, "", "not a JSON object"),
            (r#"{"event":"verify","id":"c1"}"#, "", "missing field `at`"),
            (r#"{"at":null,"event":"verify","id":"c1"}"#, "at", "must be RFC 3339"),
            (r#"{"at":"today","event":"verify","id":"c1"}"#, "at", "must be RFC 3339"),
            (
                r#"{"at":"2026-11-20T09:00:00","event":"verify","id":"c1"}"#,
                "at",
                "must be RFC 3339",
            ),
            (r#"{"at":"1969-12-31T23:59:59Z","event":"verify","id":"c1"}"#, "at", "must be RFC"),
            (r#"{"at":1795165200,"event":"verify","id":"c1"}"#, "at", "or milliseconds"),
            (r#"{"at":-1,"event":"verify","id":"c1"}"#, "at", "or milliseconds"),
            (r#"{"at":1e30,"event":"verify","id":"c1"}"#, "at", "or milliseconds"),
            (r#"{"at":999999999999999999,"event":"verify","id":"c1"}"#, "at", "or milliseconds"),
            (r#"{"at":1795165200000,"id":"c1"}"#, "", "missing field `event`"),
            (r#"{"at":1795165200000,"event":"sent","id":"c1"}"#, "event", "must be send or verify"),
            (r#"{"at":1795165200000,"event":"verify"}"#, "", "missing field `id`"),
            (r#"{"at":1795165200000,"event":"verify","id":1}"#, "id", "must be a text"),
            (r#"{"at":1795165200000,"event":"verify","id":""}"#, "id", "not empty"),
            (r#"{"at":1795165200000,"event":"send","id":"c1"}"#, "", "missing field `to`"),
            (r#"{"at":1795165200000,"event":"send","id":"c1","to":"ada@"}"#, "to", "e-mail"),
            (r#"{"at":1795165200000,"event":"send","id":"c1","to":"4155550100"}"#, "to", "phone"),
            (
                r#"{"at":1795165200000,"event":"send","id":"c1","to":"ada@example.com","ip":"x"}"#,
                "ip",
                "must be an IP address",
            ),
            (
                r#"{"at":1795165200000,"event":"verify","id":"c1","kind":"x"}"#,
                "",
                "unknown field `kind`, expected one of `at`, `event`, `id`, `to`, `ip`",
            ),
        ] {
            let found = fault(line);
            assert_eq!(found.0, field, "{line}");
            assert!(found.1.contains(reason), "{line}: {found:?}");
        }
    }

    #[test]
    fn a_fault_repeats_no_value() {
        for line in [
            r#""+14155550100""#,
            r#"{"at":"+14155550100","event":"send","id":"c1","to":"+14155550100"}"#,
            r#"{"at":1795165200000,"event":"+14155550100","id":"c1"}"#,
            r#"{"at":1795165200000,"event":"send","id":"c1","to":"4155550100"}"#,
            r#"{"at":1795165200000,"event":"send","id":"c1","to":["+14155550100"]}"#,
            r#"{"at":1795165200000,"event":"send","id":"c1","to":"+14155550100","ip":"+14155550100"}"#,
        ] {
            assert!(!fault(line).1.contains("4155550100"), "{line}");
        }
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
