//! `POST /user/otp/verify`.

use crate::pace::{
    bearer, check_unavailable, code, create_with_pin, error, negotiates, pointer, presenting,
    refuses_bodies, refuses_strangers, to_second_app, verify, with_second_app,
};
use passcode_testkit::{FakeKeyring, Fault, PIN, TestWorld};
use passcode_tests::event::Event;
use serde_json::json;
use std::time::Duration;

const SCOPE: &str = "user:otp:verify";

fn recorded() -> Event {
    Event::recorded("pace-user-otp-verify", "verify")
}

#[test]
fn strangers_are_refused() {
    refuses_strangers(&recorded(), SCOPE, verify);
}

#[test]
fn media_types_are_agreed_on_before_a_code_is_looked_at() {
    let world = TestWorld::default();
    negotiates(&recorded().body("{"), true, |event| verify(&world, event));
    refuses_bodies(&recorded(), "application/json", |event| verify(&world, event));
    assert_eq!(world.ledgers.take_calls(), (0, 0));
}

#[test]
fn what_is_missing_or_mistyped_is_refused_and_spends_nothing() {
    let world = TestWorld::default();
    let code = code(&world);
    world.ledgers.take_calls();
    for (body, expected) in [
        (json!({}), "/otp"),
        (json!({ "otp": null }), "/otp"),
        (json!({ "otp": "" }), "/otp"),
        (json!({ "otp": "  " }), "/otp"),
        (json!({ "otp": code.parse::<u32>().unwrap() }), "/otp"),
        (json!({ "otp": [code] }), "/otp"),
        (json!({ "otp": code, "types": "account" }), "/types"),
        (json!({ "otp": code, "types": ["sms"] }), "/types"),
        (json!({ "otp": code, "types": ["account", "Login"] }), "/types"),
    ] {
        let reply = verify(&world, &recorded().json(&body));
        assert_eq!(error(&reply), (422, "invalid-request"), "{body}");
        assert_eq!(pointer(&reply), expected, "{body}");
        assert!(!reply.text.contains(&code), "{}", reply.text);
    }
    assert_eq!(world.ledgers.take_calls(), (0, 0));
}

#[test]
fn what_can_be_no_code_of_ours_is_not_found_and_spends_nothing() {
    let world = TestWorld::default();
    let code = code(&world);
    world.ledgers.take_calls();
    for body in [
        json!({ "otp": "12.34" }),
        json!({ "otp": "1".repeat(200) }),
        json!({ "otp": code, "types": ["totp"] }),
        json!({ "otp": code, "types": ["totp", "device-totp"] }),
    ] {
        let reply = verify(&world, &recorded().json(&body));
        assert_eq!(error(&reply), (404, "not-found"), "{body}");
    }
    assert_eq!(world.ledgers.take_calls(), (0, 0));
    assert_eq!(verify(&world, &presenting(&code)).status, 204);
}

#[test]
fn every_outcome_but_success_is_not_found() {
    let world = TestWorld::default();
    let none = verify(&world, &presenting("123456"));
    let spent = code(&world);
    let incorrect = verify(&world, &presenting(&TestWorld::wrong(&spent)));
    for _ in 1..5 {
        verify(&world, &presenting(&TestWorld::wrong(&spent)));
    }
    let exhausted = verify(&world, &presenting(&spent));
    let used = code(&world);
    assert_eq!(verify(&world, &presenting(&used)).status, 204);
    let already_used = verify(&world, &presenting(&used));
    let old = code(&world);
    let unknown = bearer(presenting(&old), &format!("nobody|{SCOPE}"));
    let unknown = verify(&world, &unknown);
    world.clock.advance(Duration::from_mins(10));
    let expired = verify(&world, &presenting(&old));
    for (reply, outcome) in [
        (none, "not found"),
        (incorrect, "incorrect"),
        (exhausted, "exhausted"),
        (already_used, "already used"),
        (unknown, "not found"),
        (expired, "expired"),
    ] {
        assert_eq!((error(&reply), reply.outcome), ((404, "not-found"), outcome));
        assert_eq!(reply.text, verify(&TestWorld::default(), &presenting("123456")).text);
    }
}

#[test]
fn a_new_code_ends_the_one_before() {
    let world = TestWorld::default();
    let (old, new) = (code(&world), code(&world));
    assert_ne!(old, new);
    assert_eq!(verify(&world, &presenting(&old)).status, 404);
    assert_eq!(verify(&world, &presenting(&new)).status, 204);
}

#[test]
fn codes_of_another_user_or_another_app_lead_nowhere() {
    let world = TestWorld::default();
    with_second_app(&world);
    let code = code(&world);
    let foreign = to_second_app(presenting(&code));
    assert_eq!(error(&verify(&world, &foreign)), (404, "not-found"));
    let eve = bearer(presenting(&code), &format!("eve|{SCOPE}"));
    assert_eq!(error(&verify(&world, &eve)), (404, "not-found"));
    assert_eq!(verify(&world, &presenting(&code)).status, 204, "and lose nothing");
}

#[test]
fn wrong_codes_lock_the_user_until_the_secret_is_shown_again() {
    let world = TestWorld::default();
    for _ in 0..2 {
        let wrong = TestWorld::wrong(&code(&world));
        for _ in 0..5 {
            verify(&world, &presenting(&wrong));
        }
    }
    let fresh = code(&world);
    assert_eq!(verify(&world, &presenting(&fresh)).status, 204);
}

#[test]
fn failures_outside_are_a_500_and_the_caller_can_go_on() {
    let world = TestWorld::default();
    let code = code(&world);
    for faults in [vec![Fault::Unavailable], vec![Fault::Conflict; 12]] {
        world.ledgers.fail_stores(faults);
        check_unavailable(&verify(&world, &presenting(&code)));
    }
    let no_keys = TestWorld { keyring: FakeKeyring::none(), ..TestWorld::default() };
    check_unavailable(&verify(&no_keys, &presenting(&code)));
    assert_eq!(verify(&world, &presenting(&code)).status, 204);
}

#[test]
fn the_right_code_is_verified_once_whatever_its_kind_is_called() {
    for types in [
        json!(null),
        json!([]),
        json!(["account"]),
        json!(["login"]),
        json!(["totp", "login"]),
        json!(["login", "account", "totp", "device-totp"]),
    ] {
        let world = TestWorld::default();
        assert_eq!(create_with_pin(&world, PIN).status, 201);
        let event = recorded().json(&json!({ "otp": code(&world), "types": types }));
        world.ledgers.take_calls();
        let reply = verify(&world, &event);
        assert_eq!((reply.status, reply.outcome), (204, "verified"), "{types}");
        assert_eq!((reply.text.as_str(), reply.media.as_str()), ("", ""));
        assert_eq!(world.ledgers.take_calls(), (1, 1));
        assert_eq!(verify(&world, &event).status, 404, "{types}");
    }
}
