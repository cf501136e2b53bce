//! Stored apps: whatever is accepted can be read again, and one broken part takes nothing else down.

use passcode_domain::{
    App, Channel, Code, Timestamp,
    app::{
        StepUp, TestAddress,
        guard::{Mode, Rule},
    },
    secret::proof::GrantMode,
    value::money::Amount,
};
use passcode_testkit::{demo_app, example_countries};
use proptest::prelude::*;
use serde_json::{Value, json};

/// An app in which every setting is set.
fn full_app() -> App {
    let mut app = App {
        locale: Some("de".into()),
        test_addresses: vec![test_address("ada@example.com"), test_address("+14155550199")],
        templates: [("t", "sms = { $code }"), ("u.v", "sms = Code { $code }")]
            .map(|(id, source)| (id.to_owned(), source.to_owned()))
            .into(),
        ..demo_app()
    };
    if let Some(issuer) = &mut app.issuer {
        issuer.linked_identity_claim = Some("bank".into());
    }
    app.policy.max_attempts = 3;
    app.guard.spend_cap.per_day = "25".parse().ok();
    app.guard.spend_cap.prices = example_countries().map(|c| (c, "0.01".parse().unwrap())).into();
    app.guard.sends_per_ip.per_hour = 7;
    *app.guard.mode_mut(Rule::CountriesPerIp) = Mode::Shadow;
    app.sms.sender_id = Some("Demo".into());
    app.email.from = Some("codes@example.com".into());
    app.browser.cross_site_cookie = true;
    app.browser.origins.push("https://a.example".into());
    app
}

fn test_address(address: &str) -> TestAddress {
    let code = Code::try_from("179317".to_owned()).unwrap();
    let until = Timestamp::from_millis(1_900_000_000_000);
    TestAddress { address: address.to_owned(), code, until }
}

fn stored(app: &App) -> Value {
    serde_json::to_value(app).unwrap()
}

fn read(document: &Value) -> App {
    let app = App::from_stored(&demo_app().id, &document.to_string());
    assert_eq!(app.validate(), Ok(()), "what is read keeps every rule");
    app
}

/// Every way to a value in a document, the shortest first.
fn pointers(at: &str, value: &Value) -> Vec<String> {
    let below = |name: &str, value: &Value| pointers(&format!("{at}/{name}"), value);
    let inner: Vec<_> = match value {
        Value::Object(fields) => {
            fields.iter().flat_map(|(name, value)| below(name, value)).collect()
        }
        Value::Array(entries) => (0..)
            .zip(entries)
            .flat_map(|(n, value): (i32, _)| below(&n.to_string(), value))
            .collect(),
        _ => Vec::new(),
    };
    let own = (!at.is_empty()).then(|| at.to_owned());
    own.into_iter().chain(inner).collect()
}

/// The top-level setting that a pointer leads into.
fn setting(pointer: &str) -> &str {
    pointer.split('/').nth(1).unwrap_or_default()
}

#[test]
fn one_broken_part_leaves_every_other_setting_as_it_was() {
    let app = full_app();
    let whole = stored(&app);
    assert_eq!(read(&whole), app);
    let wrong = [json!(null), json!(-1), json!("\u{202e}"), json!([{}]), json!({ "x": [] })];
    for pointer in pointers("", &whole) {
        for wrong in &wrong {
            let mut broken = whole.clone();
            broken.pointer_mut(&pointer).unwrap().clone_from(wrong);
            let read = read(&broken);
            let (found, own) = (stored(&read), setting(&pointer));
            for (name, value) in whole.as_object().unwrap() {
                // The name stands in texts together with the host.
                assert!(name == own || found[name] == *value, "{pointer} {wrong} broke {name}");
            }
            let is_told = read.dropped_parts.iter().any(|part| part.starts_with(own));
            // Fields of a policy that are not known are skipped, as in what keeps a copy of one.
            let is_policy = ["/policy", "/policy/failed_verifies", "/session"].contains(&&*pointer);
            let is_skipped = wrong.is_null() || is_policy && wrong.is_object();
            assert!(is_told || found[own] == broken[own] || is_skipped, "{pointer} {wrong}");
        }
    }
}

#[test]
fn entries_and_rules_beside_a_broken_one_are_kept() {
    let cases: [(&str, Value, &str); 9] = [
        ("/test_addresses/0/code", json!("1234"), "test_addresses[0]"),
        ("/step_up/transfer/channel", json!("pigeon"), "step_up.transfer"),
        ("/templates/t", json!("sms = none"), "templates.t"),
        ("/browser/origins/0", json!("*"), "browser.origins[0]"),
        ("/guard/sends_per_ip/per_hour", json!(0), "guard.sends_per_ip"),
        (
            "/guard/allowed_countries/countries/1",
            json!("USA"),
            "guard.allowed_countries.countries[1]",
        ),
        ("/policy/max_sends", json!(0), "policy.max_sends"),
        ("/policy/failed_verifies/per_hour", json!("x"), "policy.failed_verifies.per_hour"),
        ("/secrets/0", json!("short"), "secrets[0]"),
    ];
    let whole = stored(&full_app());
    for (pointer, wrong, part) in cases {
        let mut broken = whole.clone();
        *broken.pointer_mut(pointer).unwrap() = wrong;
        let app = read(&broken);
        assert_eq!(app.dropped_parts, [part]);
        let entries = |app: &App| {
            let origins = app.browser.origins.len() + app.guard.allowed_countries.countries.len();
            let named = app.step_up.len() + app.templates.len() + app.test_addresses.len();
            origins + named + app.secrets.len()
        };
        let is_entry = !part.starts_with("policy") && part != "guard.sends_per_ip";
        assert_eq!(entries(&app) + usize::from(is_entry), entries(&full_app()), "{part}");
        assert_eq!(app.policy.max_attempts, 3, "{part}");
        assert_eq!(app.guard.countries_per_ip.mode, Mode::Shadow, "{part}");
    }
}

#[test]
fn several_broken_parts_are_dropped_each() {
    let mut broken = stored(&full_app());
    broken["colour"] = json!("red");
    broken["test_addresses"][0]["code"] = json!("1234");
    broken["test_addresses"][1]["until"] = json!("soon");
    broken["guard"]["burst"] = json!(0);
    broken["host"] = json!("no host");
    let app = read(&broken);
    let mut parts = app.dropped_parts.clone();
    parts.sort_unstable();
    assert_eq!(parts, ["colour", "guard.burst", "host", "test_addresses[0]", "test_addresses[1]"]);
    assert_eq!((app.host, app.guard.burst), (None, 5));
    assert_eq!(app.secrets, demo_app().secrets);
}

#[test]
fn a_dropped_part_errs_on_the_safe_side() {
    let read_with = |pointer: &str, wrong: Value| {
        let mut broken = stored(&full_app());
        *broken.pointer_mut(pointer).unwrap() = wrong;
        read(&broken)
    };
    assert!(read_with("/blocked", json!("until Monday")).blocked);
    assert!(read_with("/issuer/linked_identity_claim", json!(7)).issuer.is_none());
    for cap in ["/guard/spend_cap/per_day", "/guard/spend_cap", "/guard"] {
        let per_day = read_with(cap, json!("much")).guard.spend_cap.per_day;
        assert_eq!(per_day.map(Amount::as_millionths), Some(0), "{cap}");
    }
    for price in ["/guard/spend_cap/default_price", "/guard/spend_cap/prices"] {
        let cap = read_with(price, json!("cheap")).guard.spend_cap;
        assert!(Some(cap.default_price) > cap.per_day, "{price}");
    }
    let us = "US".parse().unwrap();
    let cap = read_with("/guard/spend_cap/prices/US", json!(1)).guard.spend_cap;
    assert!(cap.price(us) > cap.per_day.unwrap().as_millionths());
    let guard = read_with("/guard/number_type/refused", json!(["fax"])).guard;
    assert_eq!(guard.number_type, demo_app().guard.number_type, "the default refuses the most");
}

#[test]
fn a_document_that_is_none_is_a_blocked_app_that_lets_nobody_in() {
    for document in ["", "demo-secret", "[]", "null", "7"] {
        let app = App::from_stored(&demo_app().id, document);
        assert!(app.blocked && app.secrets.is_empty() && app.admin_keys.is_empty(), "{document}");
        assert_eq!(app.dropped_parts, ["document"]);
        assert_eq!((app.validate(), &app.id), (Ok(()), &demo_app().id));
    }
    let other = App { id: "eve".parse().unwrap(), ..demo_app() };
    let app = read(&stored(&other));
    assert_eq!((&app.id, app.dropped_parts.as_slice()), (&demo_app().id, &["id".to_owned()][..]));
}

fn edits() -> impl Strategy<Value = App> {
    let text = prop_oneof![
        Just("Demo".to_owned()),
        Just(String::new()),
        "\\PC{0,40}",
        any::<String>(),
        "[a-z]{1,8}\\.[a-z]{2,3}",
        "https://[a-z]{1,5}\\.example",
        "sms = \\{ \\$code \\}"
    ];
    let texts = proptest::collection::vec(text, 6);
    let numbers = proptest::collection::vec(prop_oneof![0..12u32, any::<u32>()], 6);
    let channel = prop_oneof![Just(Channel::Sms), Just(Channel::Email), Just(Channel::Caller)];
    (texts, numbers, channel, "[0-9]{4,10}").prop_map(|(texts, numbers, channel, code)| {
        let mut app = demo_app();
        let step_up = serde_json::from_value::<StepUp>(
            json!({ "channel": channel, "grant_mode": GrantMode::SingleUse }),
        );
        let [name, host, scope, origin, template, address] = texts.try_into().unwrap();
        let small = |n: u32| u8::try_from(n).unwrap_or(u8::MAX);
        app.name = name;
        app.host = (numbers[0] % 2 == 0).then_some(host);
        app.step_up.insert(scope, step_up.unwrap());
        app.browser.origins.push(origin);
        app.templates.insert("t".into(), template);
        if numbers[1] % 2 == 0 {
            let code = Code::try_from(code).unwrap();
            app.test_addresses.push(TestAddress { code, ..test_address(&address) });
        }
        app.policy.max_attempts = small(numbers[2]);
        app.policy.cool_down_seconds = numbers[3];
        app.guard.sends_per_ip.per_hour = numbers[4];
        app.guard.burst = numbers[5];
        app
    })
}

proptest! {
    #[test]
    fn whatever_is_accepted_is_read_again_whole(app in edits()) {
        let document = stored(&app).to_string();
        let read = App::from_stored(&app.id, &document);
        match app.validated() {
            Ok(_) => prop_assert_eq!(read, app),
            Err(_) => prop_assert!(!read.dropped_parts.is_empty() && read.validate().is_ok()),
        }
    }
}
