//! `POST /auth/v1/create`.

use crate::shared::{check_shape, minds_keys, refuses_bodies, refuses_strangers, row, with};
use otpless_auth_create::handle;
use passcode_domain::{App, Channel, action::status::Status, ports::StoreApps as _};
use passcode_testkit::{FakeKeyring, Fault, TestWorld, demo_app, schedule::block_on};
use passcode_tests::{
    document::admits,
    event::{Event, Reply, reply},
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

pub(crate) fn call(world: &TestWorld, event: &Event) -> Reply {
    reply(event, async |request, record| handle(world, request, record).await)
}

pub(crate) fn phone() -> Event {
    Event::recorded("otpless-auth-create", "phone")
}

fn with_body(body: &Value) -> Event {
    phone().json(body)
}

#[test]
fn strangers_and_blocked_apps_are_refused() {
    let world = TestWorld::default();
    refuses_strangers(&phone(), |event| call(&world, event));
    let blocked = App { blocked: true, ..demo_app() };
    block_on(world.apps.store_app(&blocked.validated().unwrap())).unwrap();
    let reply = call(&world, &phone());
    assert_eq!(row(&reply), (401, "7019"));
    assert_eq!(reply.json["message"], "Merchant Blocked");
    assert_eq!(world.ledgers.take_calls(), (0, 0), "nothing is read or written for strangers");
}

#[test]
fn what_is_no_json_object_is_refused() {
    let world = TestWorld::default();
    refuses_bodies(&phone(), |event| call(&world, event));
    assert_eq!(world.ledgers.take_calls(), (0, 0));
}

#[test]
fn every_field_has_its_own_error() {
    let long_email = format!("{}@example.com", "a".repeat(320));
    let body = json!({ "phoneNumber": "4155550100", "countryCode": "1" });
    let email = json!({ "email": "ada@example.com" });
    let world = TestWorld::default();
    for (body, field, value, code) in [
        (&body, "phoneNumber", json!("12"), "7102"),
        (&body, "phoneNumber", json!(""), "7106"),
        (&body, "phoneNumber", json!("9".repeat(300)), "7102"),
        (&body, "phoneNumber", json!(4_155_550_100u64), "7102"),
        (&body, "phoneNumber", json!(["4155550100"]), "7102"),
        (&body, "countryCode", Value::Null, "7102"),
        (&body, "countryCode", json!("999"), "7102"),
        (&body, "countryCode", json!(1), "7102"),
        (&email, "email", json!("ada"), "7104"),
        (&email, "email", json!(""), "7106"),
        (&email, "email", json!(long_email), "7104"),
        (&email, "email", json!({}), "7104"),
        (&email, "email", Value::Null, "7106"),
        (&body, "phoneNumber", Value::Null, "7106"),
        (&body, "expiry", json!(59), "7113"),
        (&body, "expiry", json!(86_401), "7113"),
        (&body, "expiry", json!(-60), "7113"),
        (&body, "expiry", json!(60.5), "7113"),
        (&body, "expiry", json!("59"), "7113"),
        (&body, "expiry", json!("86401"), "7113"),
        (&body, "expiry", json!("6e1"), "7113"),
        (&body, "expiry", json!(1e300), "7113"),
        (&body, "tid", json!("unknown"), "7158"),
        (&body, "tid", json!(7), "7158"),
    ] {
        let body = with(body.clone(), field, &value);
        let reply = call(&world, &with_body(&body));
        check_shape(&reply);
        assert_eq!(row(&reply), (400, code), "{body}");
    }
    let twice = r#"{"email":"ada@example.com","email":"eve@example.com"}"#;
    assert_eq!(row(&call(&world, &phone().body(twice))), (400, "7101"));
    assert_eq!(world.ledgers.take_calls(), (0, 0), "nothing is read or written for bad input");
}

#[test]
fn failures_outside_are_a_503_that_says_when_to_come_back() {
    let world = TestWorld::default();
    world.ledgers.fail_stores([Fault::Unavailable]);
    let lost = call(&world, &phone());
    world.ledgers.fail_stores([Fault::Conflict; 12]);
    let contended = call(&world, &phone());
    world.apps.set_down(true);
    let no_app = call(&world, &phone());
    world.apps.set_down(false);
    let no_keys = TestWorld { keyring: FakeKeyring::none(), ..TestWorld::default() };
    for reply in [lost, contended, no_app, call(&no_keys, &phone())] {
        check_shape(&reply);
        assert_eq!((reply.status, reply.retry_after.as_deref()), (503, Some("1")));
        assert_eq!(reply.json["message"], "Something went wrong. Please try again!");
    }
    assert_eq!(call(&world, &phone()).status, 200, "and the caller can go on");
}

#[test]
fn open_requests_keep_nobody_from_creating_another() {
    let world = TestWorld::without_waits();
    for _ in 0..8 {
        world.open_and_send();
    }
    assert_eq!(call(&world, &phone()).status, 200, "the limit is told with the first message");
}

#[test]
fn the_document_asks_for_an_address() {
    let route = "POST /auth/v1/create";
    for body in [
        json!({}),
        json!({ "email": null, "phoneNumber": null }),
        json!({ "email": "", "phoneNumber": "" }),
        json!({ "email": null, "phoneNumber": "", "countryCode": "1" }),
    ] {
        assert!(!admits(route, &body), "{body}");
        assert_eq!(row(&call(&TestWorld::default(), &with_body(&body))), (400, "7106"), "{body}");
    }
    for body in [
        json!({ "email": "ada@example.com", "phoneNumber": null }),
        json!({ "email": null, "phoneNumber": "4155550100", "countryCode": "1" }),
        json!({ "email": "ada@example.com", "phoneNumber": "4155550100", "countryCode": "1" }),
    ] {
        assert!(admits(route, &body), "{body}");
        assert_eq!(call(&TestWorld::default(), &with_body(&body)).status, 200, "{body}");
    }
}

#[test]
fn a_request_lives_as_long_as_was_asked() {
    for (expiry, seconds) in [
        (json!(60), 60),
        (json!(60.0), 60),
        (json!(86_400), 86_400),
        (Value::Null, 900),
        (json!("60"), 60),
        (json!("86400"), 86_400),
        (json!(""), 900),
    ] {
        let world = TestWorld::default();
        let body = json!({ "phoneNumber": "4155550100", "countryCode": "1" });
        let reply = call(&world, &with_body(&with(body, "expiry", &expiry)));
        let id = id_of(&reply);
        world.clock.advance(Duration::from_secs(seconds - 1));
        assert_eq!(status(&world, id), Status::NotSent, "{expiry}");
        world.clock.advance(Duration::from_secs(1));
        assert_eq!(status(&world, id), Status::Expired, "{expiry}");
    }
}

#[test]
fn a_request_id_is_new_every_time_and_nothing_is_sent() {
    let world = TestWorld::default();
    let mut seen = std::collections::BTreeSet::new();
    for case in ["phone", "email"] {
        for _ in 0..3 {
            let reply = call(&world, &Event::recorded("otpless-auth-create", case));
            assert_eq!((reply.status, reply.outcome), (200, "created"), "{reply:?}");
            assert_eq!(reply.json.as_object().unwrap().len(), 1);
            let id = reply.json["requestId"].as_str().unwrap().to_owned();
            assert!(id.starts_with("ARID_") && id.len() == 57, "{id}");
            assert!(seen.insert(id));
        }
    }
    assert!(world.couriers.sms.taken().is_empty() && world.couriers.email.taken().is_empty());
}

#[test]
fn unknown_fields_a_plus_and_no_media_type_are_tolerated() {
    let world = TestWorld::default();
    let body = json!({ "phoneNumber": "98765 43210", "countryCode": "+91", "extra": [1] });
    let reply = call(&world, &with_body(&body).header("content-type", None));
    assert_eq!(reply.status, 200, "{reply:?}");
}

#[test]
fn a_template_is_pinned_for_the_messages() {
    let mut app = demo_app();
    app.templates.insert("short".into(), "sms = { $code }!".into());
    let world = TestWorld { app: Arc::new(app.clone()), ..TestWorld::of(app) };
    let body = json!({ "phoneNumber": "4155550100", "countryCode": "1", "tid": "short" });
    let id = id_of(&call(&world, &with_body(&body)));
    block_on(world.send(id, &TestWorld::options(Channel::Sms))).unwrap();
    let text = &world.couriers.sms.taken()[0].1.text;
    assert!(text.starts_with(&format!("{}!\n", world.last_code())), "{text}");
}

fn id_of(reply: &Reply) -> passcode_domain::ChallengeId {
    crate::shared::parse_request_id(reply.json["requestId"].as_str().unwrap()).unwrap()
}

fn status(world: &TestWorld, id: passcode_domain::ChallengeId) -> Status {
    use passcode_domain::action::status::status;
    block_on(status(world, world.keys(), &world.app.id, id)).unwrap()
}

#[test]
fn the_same_request_under_a_key_is_done_once() {
    minds_keys(|| (TestWorld::default(), phone()), call);
}

#[test]
fn a_broken_setting_takes_down_no_call_that_does_not_need_it() {
    let whole = serde_json::to_value(demo_app()).unwrap();
    for setting in whole.as_object().unwrap().keys() {
        let mut broken = whole.clone();
        broken[setting] = json!({ "broken": true });
        let world = TestWorld::default();
        world.apps.put_document(&demo_app().id, &broken.to_string());
        let reply = call(&world, &phone());
        let expected = match setting.as_str() {
            "secrets" => (401, "7002"),
            "blocked" => (401, "7019"),
            _ => (200, "none"),
        };
        assert_eq!(row(&reply), expected, "{setting}: {reply:?}");
    }
}
