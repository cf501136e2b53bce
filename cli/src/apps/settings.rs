//! Changes of an app's settings in the form `FIELD=VALUE`.

use passcode_domain::App;
use serde_json::{Map, Value};

/// The settings that cannot be set, and the commands to use instead.
const FIXED: [(&str, &str); 3] = [
    ("id", "an app's id stays"),
    ("secrets", "`passcode app rotate-secret` makes one"),
    ("admin_keys", "`passcode app rotate-admin-key` makes one"),
];

/// The settings that are maps with keys of the app's own, and the largest number of parts in a path
/// that begins with them.
const NAMED: [(&str, usize); 2] = [("step_up", 3), ("templates", 2)];

/// The app with changed settings, after validation.
pub(crate) fn changed(app: &App, settings: &[String]) -> Result<App, String> {
    let default = document(&App::new(app.id.clone(), ""))?;
    let mut changed = document(app)?;
    for setting in settings {
        let (path, text) =
            setting.split_once('=').ok_or_else(|| format!("`{setting}` is not FIELD=VALUE"))?;
        check(path, &default).map_err(|why| format!("`{path}`: {why}"))?;
        let done = match text {
            "" => take_away(&mut changed, path, find(&default, path)),
            text => put(&mut changed, path, text),
        };
        done.map_err(|why| format!("`{path}`: {why}"))?;
    }
    let app = read(&changed)?;
    app.validate().map_err(|error| error.to_string())?;
    // An unknown name is gone after the round trip.
    match lost("", &changed, Some(&document(&app)?)) {
        Some(unknown) => Err(format!("`{unknown}`: no such setting")),
        None => Ok(app),
    }
}

/// The path of a setting below another.
pub(super) fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn document(app: &App) -> Result<Value, String> {
    serde_json::to_value(app).map_err(|error| error.to_string())
}

fn read(document: &Value) -> Result<App, String> {
    serde_path_to_error::deserialize(document).map_err(|error| match error.path().to_string() {
        path if path == "." => error.inner().to_string(),
        path => format!("`{path}`: {}", error.inner()),
    })
}

/// Checks that a path can be that of a setting.
fn check(path: &str, default: &Value) -> Result<(), String> {
    let first = path.split('.').next().unwrap_or_default();
    if let Some((_, instead)) = FIXED.iter().find(|(name, _)| *name == first) {
        return Err(format!("cannot be set; {instead}"));
    }
    if default.get(first).is_none() {
        return Err("no such setting; see `passcode app set --help`".to_owned());
    }
    // The texts of a scope are one level deeper, by language.
    let depth = path.split('.').count() - usize::from(path.split('.').nth(2) == Some("text"));
    if NAMED.into_iter().any(|(name, most)| name == first && depth > most) {
        return Err(format!("a name with a `.` can only be given in JSON: {first}='{{…}}'"));
    }
    Ok(())
}

fn find<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(document, |at, name| at.get(name))
}

/// The parent and the last name of a path. Missing parents are created.
fn reach<'a>(
    at: &'a mut Value,
    path: &str,
) -> Result<(&'a mut Map<String, Value>, String), String> {
    if at.is_null() {
        *at = Map::new().into();
    }
    match at {
        Value::Object(fields) => match path.split_once('.') {
            Some((parent, rest)) => reach(fields.entry(parent).or_insert(Value::Null), rest),
            None => Ok((fields, path.to_owned())),
        },
        Value::Array(_) => Err("a list is set as a whole".to_owned()),
        _ => Err("no such setting".to_owned()),
    }
}

fn put(document: &mut Value, path: &str, text: &str) -> Result<(), String> {
    let (fields, name) = reach(document, path)?;
    let value = parsed(text, fields.get(&name))?;
    fields.insert(name, value);
    Ok(())
}

/// A removed setting has the value that it has in a new app.
fn take_away(document: &mut Value, path: &str, default: Option<&Value>) -> Result<(), String> {
    find(document, path).ok_or("nothing is set there")?;
    let (fields, name) = reach(document, path)?;
    match default {
        Some(default) => fields.insert(name, default.clone()),
        None => fields.remove(&name),
    };
    Ok(())
}

/// Parses a value as the type of the current value. A text is taken as it is, and the items of a
/// list are separated by commas. Where the current value is no text, JSON is accepted.
fn parsed(text: &str, before: Option<&Value>) -> Result<Value, String> {
    let is_json = text.starts_with(['{', '[']);
    match before {
        Some(Value::Number(_) | Value::Bool(_)) => {
            Ok(serde_json::from_str(text).unwrap_or_else(|_| text.into()))
        }
        Some(Value::String(_)) => Ok(text.into()),
        _ if is_json => serde_json::from_str(text).map_err(|error| format!("no JSON: {error}")),
        Some(Value::Array(_)) => Ok(listed(text)),
        _ => Ok(text.into()),
    }
}

fn listed(text: &str) -> Value {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect()
}

/// The path of the first setting of a document that the other document does not have.
fn lost(path: &str, given: &Value, kept: Option<&Value>) -> Option<String> {
    match (given, kept) {
        (Value::Null, _) => None,
        // What is empty need not be stored.
        (Value::Object(fields), None) if fields.is_empty() => None,
        (_, None) => Some(path.to_owned()),
        (Value::Object(fields), Some(kept)) => {
            fields.iter().find_map(|(name, value)| lost(&below(path, name), value, kept.get(name)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use passcode_domain::{
        Channel, app::Issuer, app::guard::Mode, secret::proof::GrantMode, value::country::Country,
    };

    fn app() -> App {
        App::new("shop".parse().expect("an id"), "Shop")
    }

    fn set(app: &App, settings: &[&str]) -> Result<App, String> {
        let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
        changed(app, &settings)
    }

    #[test]
    fn settings_that_are_none_or_break_a_rule_are_refused_with_path_and_reason() {
        for (settings, reason) in [
            (&["host"][..], "`host` is not FIELD=VALUE"),
            (&["id=eve"], "`id`: cannot be set; an app's id stays"),
            (&["secrets.0=x"], "`secrets.0`: cannot be set; `passcode app rotate-secret`"),
            (&["admin_keys=[]"], "`admin_keys`: cannot be set; `passcode app rotate-admin-key`"),
            (&["colour=red"], "`colour`: no such setting; see `passcode app set --help`"),
            (&["no.such=1"], "`no.such`: no such setting"),
            (&["=x"], "``: no such setting"),
            (&["colour="], "`colour`: no such setting"),
            (&["policy.max_atempts=9"], "`policy.max_atempts`: no such setting"),
            (&[r#"policy={"max_atempts":9}"#], "`policy.max_atempts`: no such setting"),
            (&["policy.max_attempts.most=9"], "`policy.max_attempts.most`: no such setting"),
            (&["policy.max_attempts=many"], "`policy.max_attempts`: invalid type"),
            (&["policy.max_attempts=0"], "max_attempts must be 1 to 10"),
            (&["policy.max_atempts="], "`policy.max_atempts`: nothing is set there"),
            (&["blocked=yes"], "`blocked`: invalid type"),
            (&["templates.t=sms = hello"], "must hold"),
            (&["templates.a.b=sms = { $code }"], "`templates.a.b`: a name with a `.` can only"),
            (&["name="], "name must be 1 to 30 characters"),
            (&["name=De\u{202e}mo"], "name must not hold control, bidirectional"),
            (
                &[r#"test_addresses=[{"address":"a@b.example","code":"111111","until":1}]"#],
                "neither one digit repeated nor a series",
            ),
            (&["sms={"], "`sms`: no JSON: EOF"),
            (&["sms=[]x"], "`sms`: no JSON: trailing characters"),
            (&["sms=loud"], "`sms`: invalid type: string \"loud\""),
            (&["sms.colour=red"], "`sms.colour`: unknown field `colour`"),
        ] {
            let error = set(&app(), settings).expect_err(reason);
            assert!(error.contains(reason), "{settings:?}: {error}");
            assert!(!error.contains('\n'), "{settings:?}: {error}");
        }
    }

    #[test]
    fn settings_of_callers_that_break_a_rule_are_refused_with_path_and_reason() {
        let url = "issuer.url=https://id.example";
        for (settings, reason) in [
            (&[url][..], "`issuer`: missing field `audience`"),
            (&["issuer.audience=api"], "`issuer`: missing field `url`"),
            (&["issuer.audience=api", "issuer.url=http://id.example"], "issuer.url and"),
            (&[url, "issuer.audience=api", "issuer.jwks=https://x"], "`issuer.jwks`: unknown"),
            (&[r#"issuer={"url":"https://id.example","audience":""}"#], "issuer.audience must"),
            (&[r#"issuer={"url":"https://id.example","audience":1}"#], "`issuer.audience`: inv"),
            (&["issuer=https://id.example"], "`issuer`: invalid type: string"),
            (&["issuer.jwks_url="], "`issuer.jwks_url`: nothing is set there"),
            (&["browser.origins=shop.example"], "browser.origins must each be a scheme"),
            (&["browser.origins=https://a.example,*"], "browser.origins must each be"),
            (&["browser.origins.0=https://a.example"], "`browser.origins.0`: a list is set as"),
            (&[r#"browser={"origin":["https://a.example"]}"#], "`browser.origin`: unknown field"),
            (&[r#"browser={"origins":[1]}"#], "`browser.origins[0]`: invalid type"),
            (&["step_up.pay=sms"], "`step_up.pay`: invalid type"),
            (&["step_up.pay.channel=sms"], "`step_up.pay`: missing field `grant_mode`"),
            (&["step_up.pay.channel=pigeon"], "`step_up.pay.channel`: unknown variant `pigeon`"),
            (&[r#"step_up.pay={"channel":"caller","grant_mode":"single-use"}"#], "step_up: a ch"),
            (&[r#"step_up={"a b":{"channel":"sms","grant_mode":"single-use"}}"#], "a scope is"),
            (&["step_up.pay.out.channel=sms"], "`step_up.pay.out.channel`: a name with a `.`"),
            (&["step_up.pay.text.en.x=y"], "`step_up.pay.text.en.x`: a name with a `.`"),
            (&["step_up.pay="], "`step_up.pay`: nothing is set there"),
            (&["test_addresses=ada@example.com"], "`test_addresses[0]`: invalid type"),
            (&[r#"test_addresses=[{"address":"1","code":"482915","until":1}]"#], "must each be"),
            (&[r#"test_addresses=[{"address":"1","code":"12","until":1}]"#], "4 to 10 digits"),
            (&["conceal_blocks=maybe"], "`conceal_blocks`: invalid type"),
        ] {
            let error = set(&app(), settings).expect_err(reason);
            assert!(error.contains(reason), "{settings:?}: {error}");
            assert!(!error.contains('\n'), "{settings:?}: {error}");
        }
    }

    #[test]
    fn settings_of_the_guard_that_break_a_rule_are_refused_with_path_and_reason() {
        for (settings, reason) in [
            (&["guard.sends_per_ip.mode=maybe"][..], "`guard.sends_per_ip.mode`: unknown variant"),
            (&["guard.sends_per_sea.mode=off"], "`guard.sends_per_sea`: unknown field"),
            (&["guard.sends_per_ip.per_week=1"], "`guard.sends_per_ip.per_week`: unknown field"),
            (
                &["guard.sends_per_ip.per_hour=0"],
                "guard: sends_per_ip.per_hour must be 1 to per_day",
            ),
            (
                &["guard.sends_per_ip.per_hour=301"],
                "guard: sends_per_ip.per_hour must be 1 to per_day",
            ),
            (&["guard.sends_per_ip.per_hour=many"], "`guard.sends_per_ip.per_hour`: invalid type"),
            (&["guard.spend_cap.per_day=25,00"], "an amount is a decimal number"),
            (&["guard.spend_cap.prices.US=cheap"], "an amount is a decimal number"),
            (&["guard.spend_cap.currency=usd"], "spend_cap.currency must be three capital"),
            (&["guard.allowed_countries.countries=USA"], "a country is two capital letters"),
            (&["guard.number_type.refused=fax"], "`guard.number_type.refused[0]`: unknown variant"),
            (&["guard.prefix_concentration.floor=0"], "prefix_concentration: floor from 1"),
            (&["guard.anonymous_percent=101"], "anonymous_percent must be at most 100"),
            (&["guard.burst.most=5"], "`guard.burst.most`: no such setting"),
        ] {
            let error = set(&app(), settings).expect_err(reason);
            assert!(error.contains(reason), "{settings:?}: {error}");
            assert!(!error.contains('\n'), "{settings:?}: {error}");
        }
    }

    #[test]
    fn settings_of_the_guard_are_changed_and_taken_away() {
        let changes = [
            "guard.sends_per_ip.mode=shadow",
            "guard.sends_per_ip.per_hour=10",
            "guard.allowed_countries.countries=US, GR",
            "guard.number_type.refused=[]",
            "guard.spend_cap.per_day=25.00",
            "guard.spend_cap.prices.US=0.007",
            "guard.burst=3",
        ];
        let new = app();
        let app = set(&new, &changes).expect("it is valid");
        let guard = &app.guard;
        assert_eq!((guard.sends_per_ip.mode, guard.sends_per_ip.per_hour), (Mode::Shadow, 10));
        let countries: Vec<_> =
            guard.allowed_countries.countries.iter().map(Country::as_str).collect();
        assert_eq!(countries, ["GR", "US"]);
        assert!(guard.number_type.refused.is_empty());
        assert_eq!(guard.spend_cap.per_day.map(|cap| cap.to_string()).as_deref(), Some("25.00"));
        assert_eq!((guard.spend_cap.prices.len(), guard.burst), (1, 3));
        let json = set(&app, &[r#"guard.spend_cap={"per_day":"9.50"}"#]).expect("it is valid");
        assert!(json.guard.spend_cap.prices.is_empty(), "in the place of all that was there");
        let again =
            changes.map(|change| format!("{}=", change.split('=').next().unwrap_or_default()));
        let again: Vec<_> = again.iter().map(String::as_str).collect();
        assert_eq!(set(&app, &again).expect("it is valid"), new);
        assert_eq!(set(&app, &["guard="]).expect("it is valid"), new);
    }

    #[test]
    fn settings_are_changed_and_taken_away() {
        let changes =
            ["host=shop.example", "policy.max_attempts=3", "blocked=true", "sms.sender_id=123"];
        let app = set(&app(), &changes).expect("it is valid");
        assert_eq!(app.host.as_deref(), Some("shop.example"));
        assert_eq!((app.policy.max_attempts, app.blocked), (3, true));
        assert_eq!(app.sms.sender_id.as_deref(), Some("123"), "a text stays a text");
        let app = set(&app, &["host=", "policy.max_attempts=", "sms="]).expect("it is valid");
        assert_eq!((app.host, app.policy.max_attempts, app.sms.sender_id), (None, 5, None));
    }

    #[test]
    fn an_issuer_is_set_in_json_or_field_by_field() {
        let json = r#"issuer={"url":"https://id.example","audience":"api","jwks_url":null}"#;
        let fields = ["issuer.url=https://id.example", "issuer.audience=api"];
        let in_json = set(&app(), &[json]).expect("it is valid");
        assert_eq!(set(&app(), &fields).expect("it is valid"), in_json);
        let claim = set(&in_json, &["issuer.linked_identity_claim=bank"]).expect("it is valid");
        let expected = Issuer {
            url: "https://id.example".to_owned(),
            audience: "api".to_owned(),
            jwks_url: None,
            linked_identity_claim: Some("bank".to_owned()),
        };
        assert_eq!(claim.issuer, Some(expected));
        let without = set(&claim, &["issuer.linked_identity_claim="]).expect("it is valid");
        assert_eq!(without, in_json);
        assert_eq!(set(&without, &["issuer="]).expect("it is valid"), app());
    }

    #[test]
    fn origins_are_listed_with_commas_or_in_json() {
        let expected = ["https://a.example", "https://b.example"];
        for (before, setting) in [
            ("conceal_blocks=true", "browser.origins=https://a.example, https://b.example,"),
            ("browser=", r#"browser.origins=["https://a.example","https://b.example"]"#),
            (
                "browser.cross_site_cookie=true",
                "browser.origins=https://a.example,https://b.example",
            ),
        ] {
            let app = set(&app(), &[before, setting]).expect("it is valid");
            assert_eq!(app.browser.origins, expected, "{setting}");
            let app = set(&app, &["browser.origins="]).expect("it is valid");
            assert!(app.browser.origins.is_empty());
        }
    }

    #[test]
    fn scopes_are_set_whole_or_in_parts_and_with_dots_in_json() {
        let whole = r#"step_up.pay={"channel":"sms","grant_mode":"single-use"}"#;
        let parts = ["step_up.pay.channel=sms", "step_up.pay.grant_mode=single-use"];
        let app = set(&app(), &[whole]).expect("it is valid");
        assert_eq!(set(&super::tests::app(), &parts).expect("it is valid"), app);
        let app = set(&app, &["step_up.pay.channel=email"]).expect("it is valid");
        assert_eq!(app.step_up["pay"].channel, Channel::Email);
        assert_eq!(app.step_up["pay"].grant_mode, GrantMode::SingleUse);
        let app = set(&app, &["step_up.pay.text.en=to pay"]).expect("it is valid");
        assert_eq!(app.step_up["pay"].text["en"], "to pay");
        let app = set(&app, &["step_up.pay.text.en="]).expect("it is valid");
        assert!(app.step_up["pay"].text.is_empty());
        let dotted = r#"step_up={"pay.out":{"channel":"sms","grant_mode":"session-bound"}}"#;
        let app = set(&app, &[dotted]).expect("it is valid");
        assert_eq!(app.step_up.keys().collect::<Vec<_>>(), ["pay.out"], "in place of all others");
        let app = set(&app, &["step_up="]).expect("it is valid");
        assert!(app.step_up.is_empty());
    }

    #[test]
    fn a_template_that_is_there_may_begin_like_json() {
        let app = set(&app(), &["templates.t=sms = { $code }"]).expect("it is valid");
        let error = set(&app, &["templates.t={ $code }"]).expect_err("no message");
        assert!(error.starts_with("template t:"), "{error}");
    }
}
