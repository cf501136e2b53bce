//! The output of `passcode app show`.

use super::{settings::below, test_address};
use crate::output::Output;
use passcode_domain::{App, Timestamp, app::guard::Rule};
use serde_json::{Map, Value};

/// The settings of an app, with the numbers of its secrets and keys in place of their hashes.
pub(super) fn shown(app: &App, now: Timestamp) -> Output {
    let mut settings = serde_json::to_value(app).unwrap_or_default();
    for hashes in ["secrets", "admin_keys"] {
        settings[hashes] = settings[hashes].as_array().map_or(0, Vec::len).into();
    }
    let mut readable = settings.clone();
    let tests = app.test_addresses.iter().map(|test| test_address::line(test, now));
    readable["test_addresses"] = tests.collect();
    let mut text = lines("", &readable).join("\n");
    if !app.dropped_parts.is_empty() {
        settings["dropped_parts"] = app.dropped_parts.clone().into();
        text = format!("{text}\n\n{}", dropped(app));
    }
    Output::new(text, settings)
}

/// The parts of a stored app that cannot be read, and what to do about them.
fn dropped(app: &App) -> String {
    let (parts, id) = (app.dropped_parts.join("\n  "), app.id.as_str());
    format!(
        "What is stored here cannot be read, and counts as shown above:\n  {parts}\n\
         Calls that do not need it are served. Set it anew with `passcode app set {id} …`; every\n\
         change of the app stores what is shown above and nothing else. If a later release has\n\
         stored it, go back to that release."
    )
}

/// The output of a change, with the unreadable parts that the change has removed.
pub(super) fn without_dropped(before: &App, output: Output) -> Output {
    let parts = before.dropped_parts.join("\n  ");
    let text =
        format!("{}\n\nNo longer stored, since it could not be read:\n  {parts}", output.text);
    Output { text, ..output }
}

/// One line per setting, with the path that `set` takes. A list has one line per item.
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

/// One line per rule of the guard, in the order of judgement, and then the settings of all rules.
fn guard(fields: &Map<String, Value>) -> Vec<String> {
    let rules = Rule::ALL.into_iter().map(Rule::as_str);
    let is_rule = |name: &str| Rule::ALL.into_iter().any(|rule| rule.as_str() == name);
    let others = fields.iter().filter(|(name, _)| !is_rule(name));
    rules
        .flat_map(|name| rule(&below("guard", name), &fields[name]))
        .chain(others.flat_map(|(name, value)| lines(&below("guard", name), value)))
        .collect()
}

/// The mode and the numbers of a rule, as `set` takes them below its path. Each price has its own
/// line.
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
        let (address, code) = ("+14155550199".to_owned(), "482915".to_owned());
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
        let output = shown(&app(), Timestamp::from_millis(0));
        assert!(output.text.contains("secrets                           1"), "{}", output.text);
        assert_eq!((&output.json["secrets"], &output.json["admin_keys"]), (&1.into(), &2.into()));
    }

    #[test]
    fn lists_have_a_line_an_item_and_test_addresses_their_last_day() {
        let output = shown(&app(), Timestamp::from_millis(0));
        for line in [
            "browser.origins                   https://a.example",
            "browser.origins                   https://b.example",
            "test_addresses                    +14155550199             482915     until 2026-12-31",
        ] {
            assert!(output.text.lines().any(|found| found == line), "{line}: {}", output.text);
        }
        assert!(!output.text.contains("[]") && !output.text.contains("null"), "{}", output.text);
        assert_eq!(output.json["test_addresses"][0]["until"], 1_798_761_600_000_u64);
    }

    #[test]
    fn parts_that_cannot_be_read_are_listed_with_what_to_do() {
        let stored = r#"{"id":"shop","name":"Shop","secrets":[],"policy":{"max_sends":0}}"#;
        let app = App::from_stored(&app().id, stored);
        let output = shown(&app, Timestamp::from_millis(0));
        assert!(output.text.contains("\n  policy.max_sends\n"), "{}", output.text);
        assert!(output.text.contains("`passcode app set shop …`"), "{}", output.text);
        assert_eq!(output.json["dropped_parts"], serde_json::json!(["policy.max_sends"]));
        assert!(
            shown(&super::tests::app(), Timestamp::from_millis(0)).json["dropped_parts"].is_null()
        );
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
        let output = shown(&app, Timestamp::from_millis(0));
        let guard: Vec<_> = output.text.lines().filter(|line| line.starts_with("guard")).collect();
        assert_eq!(guard.len(), 17, "13 rules, a price, and what they share: {}", output.text);
        for line in [
            "guard.allowed_countries           enforce countries=CA,US",
            "guard.sends_per_ip                enforce per_day=300 per_hour=60",
            "guard.spend_cap                   enforce currency=USD default_price=0.05 per_day=25.00",
            "guard.spend_cap.prices.IN         0.002",
            "guard.unverified_per_country_hour shadow  floor=50 percent=100",
            "guard.burst                       5",
            "guard.anonymous_percent           50",
            "guard.unverified_under_attack     3",
        ] {
            assert!(guard.contains(&line), "{line}: {}", output.text);
        }
        let first = guard[0].split(' ').next();
        assert_eq!(first, Some("guard.allowed_countries"), "in the order of the rules");
    }
}
