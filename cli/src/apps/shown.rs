//! An app's settings, to be read.

use super::{settings::below, test_address};
use crate::told::Told;
use passcode_domain::{App, Timestamp};
use serde_json::Value;

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
        Value::Object(fields) => {
            fields.iter().flat_map(|(name, value)| lines(&below(path, name), value)).collect()
        }
        Value::Array(items) => items.iter().flat_map(|item| lines(path, item)).collect(),
        Value::Null => Vec::new(),
        Value::String(text) => vec![format!("{path:<26} {text}")],
        other => vec![format!("{path:<26} {other}")],
    }
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
        assert!(told.text.contains("secrets                    1"), "{}", told.text);
        assert_eq!((&told.json["secrets"], &told.json["admin_keys"]), (&1.into(), &2.into()));
    }

    #[test]
    fn lists_have_a_line_an_item_and_test_addresses_their_last_day() {
        let told = shown(&app(), Timestamp::from_millis(0));
        for line in [
            "browser.origins            https://a.example",
            "browser.origins            https://b.example",
            "test_addresses             +14155550199             123456     until 2026-12-31",
        ] {
            assert!(told.text.lines().any(|found| found == line), "{line}: {}", told.text);
        }
        assert!(!told.text.contains("[]") && !told.text.contains("null"), "{}", told.text);
        assert_eq!(told.json["test_addresses"][0]["until"], 1_798_761_600_000_u64);
    }
}
