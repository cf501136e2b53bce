//! An app's settings, to be read.

use super::{settings::below, test_address};
use crate::told::Told;
use passcode_domain::{App, Timestamp, guard::Rule};
use serde_json::{Map, Value};

/// An app, of whose secrets only the number is shown.
pub(super) fn shown(app: &App, now: Timestamp) -> Told {
    let mut settings = serde_json::to_value(app).unwrap_or_default();
    for hashes in ["secrets", "admin_keys"] {
        settings[hashes] = settings[hashes].as_array().map_or(0, Vec::len).into();
    }
    let mut readable = settings.clone();
    let tests = app.test_addresses.iter().map(|test| test_address::line(test, now));
    readable["test_addresses"] = tests.collect();
    Told::new(lines("", &readable).join("\n"), settings)
}

/// One line a setting that is there, with the path that `set` takes; of a list one line an item.
fn lines(path: &str, value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) if path == "guard" => guard(fields),
        Value::Object(fields) => {
            fields.iter().flat_map(|(name, value)| lines(&below(path, name), value)).collect()
        }
        Value::Array(items) => items.iter().flat_map(|item| lines(path, item)).collect(),
        Value::Null => Vec::new(),
        other => vec![format!("{path:<33} {}", plain(other))],
    }
}

/// One line a rule of the guard, in the order in which they are asked; then what all of them share.
fn guard(fields: &Map<String, Value>) -> Vec<String> {
    let rules = Rule::ALL.into_iter().map(Rule::as_str);
    let is_rule = |name: &str| Rule::ALL.into_iter().any(|rule| rule.as_str() == name);
    let others = fields.iter().filter(|(name, _)| !is_rule(name));
    rules
        .flat_map(|name| rule(&below("guard", name), &fields[name]))
        .chain(others.flat_map(|(name, value)| lines(&below("guard", name), value)))
        .collect()
}

/// A rule's mode and its numbers, as `set` takes them below its path. Prices are many, and have
/// lines of their own.
fn rule(path: &str, settings: &Value) -> Vec<String> {
    let fields = settings.as_object().into_iter().flatten().filter(|(name, _)| *name != "mode");
    let (tables, values): (Vec<_>, Vec<_>) = fields.partition(|(_, value)| value.is_object());
    let values = values.into_iter().filter_map(|(name, value)| {
        let value = match value {
            Value::Null => return None,
            Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
            other => plain(other),
        };
        Some(format!("{name}={value}"))
    });
    let (mode, values) = (plain(&settings["mode"]), values.collect::<Vec<_>>().join(" "));
    let prices = tables.into_iter().flat_map(|(name, table)| lines(&below(path, name), table));
    [format!("{path:<33} {mode:<7} {values}")].into_iter().chain(prices).collect()
}

/// A text without its quotation marks.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use passcode_domain::app::{SecretHash, TestAddress};

    fn app() -> App {
        let until = Timestamp::from_millis(1_798_761_600_000);
        let (address, code) = ("+14155550199".to_owned(), "123456".to_owned());
        let mut app = App::new("shop".parse().expect("an id"), "Shop");
        app.secrets = vec![SecretHash::of("secret")];
        app.admin_keys = vec![SecretHash::of("key"), SecretHash::of("older")];
        app.browser.origins = vec!["https://a.example".into(), "https://b.example".into()];
        let code = code.try_into().expect("a code");
        app.test_addresses = vec![TestAddress { address, code, until }];
        app
    }

    #[test]
    fn no_hash_is_shown() {
        let told = shown(&app(), Timestamp::from_millis(0));
        assert!(told.text.contains("secrets                           1"), "{}", told.text);
        assert_eq!((&told.json["secrets"], &told.json["admin_keys"]), (&1.into(), &2.into()));
    }

    #[test]
    fn lists_have_a_line_an_item_and_test_addresses_their_last_day() {
        let told = shown(&app(), Timestamp::from_millis(0));
        for line in [
            "browser.origins                   https://a.example",
            "browser.origins                   https://b.example",
            "test_addresses                    +14155550199             123456     until 2026-12-31",
        ] {
            assert!(told.text.lines().any(|found| found == line), "{line}: {}", told.text);
        }
        assert!(!told.text.contains("[]") && !told.text.contains("null"), "{}", told.text);
        assert_eq!(told.json["test_addresses"][0]["until"], 1_798_761_600_000_u64);
    }

    #[test]
    fn a_rule_of_the_guard_is_one_line_and_a_price_another() {
        let mut app = app();
        app.guard.spend_cap.per_day = "25".parse().ok();
        let countries = ["US", "CA"].map(|name| name.parse().expect("a country"));
        app.guard = app.guard.with_countries(countries);
        app.guard
            .spend_cap
            .prices
            .insert("IN".parse().expect("one"), "0.002".parse().expect("one"));
        let told = shown(&app, Timestamp::from_millis(0));
        let guard: Vec<_> = told.text.lines().filter(|line| line.starts_with("guard")).collect();
        assert_eq!(guard.len(), 16, "13 rules, a price, and what they share: {}", told.text);
        for line in [
            "guard.allowed_countries           enforce countries=CA,US",
            "guard.sends_per_ip                enforce per_day=300 per_hour=60",
            "guard.spend_cap                   enforce currency=USD default_price=0.05 per_day=25.00",
            "guard.spend_cap.prices.IN         0.002",
            "guard.unverified_per_country_hour shadow  floor=50 percent=100",
            "guard.burst                       5",
        ] {
            assert!(guard.contains(&line), "{line}: {}", told.text);
        }
        let first = guard[0].split(' ').next();
        assert_eq!(first, Some("guard.allowed_countries"), "in the order of the rules");
    }
}
