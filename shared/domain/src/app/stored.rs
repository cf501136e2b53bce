//! Reading a stored app. A document that keeps every rule is read as it is. Of any other one, each
//! part that keeps the rules is kept, and the others are dropped: one part that an edit by hand or
//! another release has broken never takes the whole app down.
//!
//! What a dropped part counts as errs on the safe side:
//!
//! | part | counts as |
//! |---|---|
//! | the whole document | a blocked app without secrets, keys, issuer and origins |
//! | `id` | the key of the item |
//! | `name` | the app's id |
//! | `secrets`, `admin_keys`, `browser.origins`, an entry of them | absent: fewer callers are let in |
//! | `blocked` | true: whoever wrote something there may have meant to block |
//! | `issuer` | absent: no access token is believed |
//! | `step_up`, `test_addresses`, `templates`, an entry of them | absent: no such scope, no fixed code, no such template |
//! | a field of `policy`, a rule of `guard` | its default, which keeps what NIST and the README promise |
//! | `guard.allowed_countries.countries`, an entry of it | absent: no text message goes there |
//! | `guard.spend_cap.per_day`, or `spend_cap` or `guard` as a whole | zero: no text message until it is mended |
//! | a price | more than any cap allows: no text message there while there is a cap |
//! | everything else, and fields that this release does not know | its default, or absent |

use super::app::App;
use crate::value::id::AppId;
use serde::Deserialize as _;
use serde_json::{Value, json};

/// The settings that are read part by part; every other one is kept or dropped as a whole.
const CONTAINERS: [&str; 17] = [
    "secrets",
    "admin_keys",
    "browser",
    "browser.origins",
    "session",
    "step_up",
    "test_addresses",
    "policy",
    "policy.failed_verifies",
    "guard",
    "guard.allowed_countries",
    "guard.allowed_countries.countries",
    "guard.spend_cap",
    "guard.spend_cap.prices",
    "sms",
    "email",
    "templates",
];

/// More than any spend cap, in an app's currency.
const UNAFFORDABLE: &str = "1000000.00";

/// One step of the way to a part.
#[derive(Clone, Copy)]
enum Step<'a> {
    /// The field of an object.
    Name(&'a str),
    /// The entry of a list: its place in the stored document.
    Entry(usize),
}

/// A part of a stored document: the way to it, and what is stored there.
type Part<'a> = (Vec<Step<'a>>, &'a Value);

impl App {
    /// Reads the document that is stored under an app's id. What had to be dropped is listed in
    /// [`App::dropped_parts`]. It never fails, and what it returns keeps every rule.
    #[must_use]
    pub fn from_stored(id: &AppId, document: &str) -> Self {
        let document = serde_json::from_str(document).unwrap_or_default();
        let whole = parse(id, &document);
        whole.unwrap_or_else(|| Reader::new(id).read(&document))
    }
}

/// The app that a document describes, if it keeps every rule.
fn parse(id: &AppId, document: &Value) -> Option<App> {
    let app = App::deserialize(document).ok()?;
    (app.id == *id && app.validate().is_ok()).then_some(app)
}

/// Builds a document that keeps every rule from the parts of one that does not.
struct Reader<'a> {
    id: &'a AppId,
    /// What is kept so far.
    kept: Value,
    dropped: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(id: &'a AppId) -> Self {
        let name: String = id.as_str().chars().take(30).collect();
        let kept = json!({ "id": id, "name": name, "secrets": [] });
        Self { id, kept, dropped: Vec::new() }
    }

    fn read(mut self, document: &'a Value) -> App {
        match document {
            Value::Object(fields) => {
                // A name and a host may be too long together: of the two the name stays.
                let (name, others): (Vec<_>, Vec<_>) =
                    fields.iter().partition(|(field, _)| *field == "name");
                let fields = name.into_iter().chain(others);
                self.keep_all(fields.map(|(name, part)| (vec![Step::Name(name)], part)).collect());
            }
            _ => self.drop_part("document"),
        }
        let app = parse(self.id, &self.kept);
        // Every step has kept the rules, so there is one.
        let app = app.unwrap_or_else(|| App::new(self.id.clone(), self.id.as_str()));
        App { dropped_parts: self.dropped, ..app }
    }

    /// Keeps what keeps the rules. A part may be allowed by another that comes after it, so those
    /// that were refused are tried again as long as that helps.
    fn keep_all(&mut self, parts: Vec<Part<'a>>) {
        let mut refused = Vec::new();
        for part in parts {
            self.keep_or_divide(part, &mut refused);
        }
        loop {
            let before = refused.len();
            refused.retain(|(path, part)| !self.keep(path, part));
            if refused.len() == before {
                break;
            }
        }
        for (path, _) in refused {
            self.drop_part(&print(&path));
        }
    }

    /// Keeps a part, or those of its own parts that keep the rules.
    fn keep_or_divide(&mut self, (path, part): Part<'a>, refused: &mut Vec<Part<'a>>) {
        if self.keep(&path, part) {
            return;
        }
        let inner = if CONTAINERS.contains(&print(&path).as_str()) {
            divide(&path, part)
        } else {
            Vec::new()
        };
        if inner.is_empty() {
            refused.push((path, part));
            return;
        }
        let before = refused.len();
        for part in inner {
            self.keep_or_divide(part, refused);
        }
        if refused.len() == before {
            // Something that is not there has broken it, and nothing else would say so.
            self.dropped.push(print(&path));
        }
    }

    fn keep(&mut self, path: &[Step<'_>], part: &Value) -> bool {
        let mut candidate = self.kept.clone();
        put(&mut candidate, path, part);
        let is_kept = parse(self.id, &candidate).is_some();
        if is_kept {
            self.kept = candidate;
        }
        is_kept
    }

    fn drop_part(&mut self, path: &str) {
        if let Some((instead, value)) = safe_side(path) {
            let steps: Vec<_> = instead.split('.').map(Step::Name).collect();
            self.keep(&steps, &value);
        }
        self.dropped.push(path.to_owned());
    }
}

/// What stands in for a dropped part whose default, or whose absence, would allow more than the part
/// may have done.
fn safe_side(path: &str) -> Option<(&str, Value)> {
    match path {
        "document" | "blocked" => Some(("blocked", json!(true))),
        "guard" | "guard.spend_cap" | "guard.spend_cap.per_day" => {
            Some(("guard.spend_cap.per_day", json!("0")))
        }
        "guard.spend_cap.prices" | "guard.spend_cap.default_price" => {
            Some(("guard.spend_cap.default_price", json!(UNAFFORDABLE)))
        }
        price if price.starts_with("guard.spend_cap.prices.") => Some((price, json!(UNAFFORDABLE))),
        _ => None,
    }
}

/// The fields of an object, or the entries of a list.
fn divide<'a>(path: &[Step<'a>], part: &'a Value) -> Vec<Part<'a>> {
    let below = |step| path.iter().copied().chain([step]).collect();
    match part {
        Value::Object(fields) => {
            fields.iter().map(|(name, part)| (below(Step::Name(name)), part)).collect()
        }
        Value::Array(entries) => {
            (0..).zip(entries).map(|(place, part)| (below(Step::Entry(place)), part)).collect()
        }
        _ => Vec::new(),
    }
}

/// Puts a part where its path leads; an entry at the end of its list.
fn put(document: &mut Value, path: &[Step<'_>], part: &Value) {
    match path {
        [] => document.clone_from(part),
        [Step::Name(name), rest @ ..] => {
            if !document.is_object() {
                *document = json!({});
            }
            put(&mut document[*name], rest, part);
        }
        [Step::Entry(_), ..] => match document {
            Value::Array(entries) => entries.push(part.clone()),
            other => *other = json!([part]),
        },
    }
}

/// A path as people write it: `test_addresses[0]`.
fn print(path: &[Step<'_>]) -> String {
    path.iter().fold(String::new(), |printed, step| match step {
        Step::Entry(place) => format!("{printed}[{place}]"),
        Step::Name(name) if printed.is_empty() => (*name).to_owned(),
        Step::Name(name) => format!("{printed}.{name}"),
    })
}
