//! `POST /user/otp`.

use crate::pace::{
    bearer, check_nothing_leaks, check_unavailable, code, create, create_with_pin, error,
    negotiates, pointer, presenting, refuses_bodies, refuses_strangers, verify,
};
use pace_user_otp_create::{Deps, handle};
use passcode_domain::{
    AppId, PresentedCode, User, UserId, Username,
    ports::{Clock as _, LoadUsers, StoreError, StoreUsers as _},
    verify::{Outcome, Target},
};
use passcode_http::contract::{otpless::parse_request_id, pace::date_time};
use passcode_testkit::{
    FakeKeyring, FakeUsers, Fault, PASSWORD, PIN, USER_ID, World, ada, schedule::block_on,
};
use passcode_tests::event::{Event, Reply, reply};
use serde_json::json;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

const SCOPE: &str = "user:otp:create";

fn recorded() -> Event {
    Event::recorded("pace-user-otp-create", "pin")
}

fn call(world: &World, event: &Event) -> Reply {
    reply(event, async { create(world, event) })
}

/// Users, counted as they are loaded.
struct Counted(FakeUsers, AtomicU64);

impl LoadUsers for Counted {
    async fn load_user(&self, app: &AppId, id: &UserId) -> Result<Option<User>, StoreError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.load_user(app, id).await
    }

    async fn load_user_by_name(&self, _: &AppId, _: &Username) -> Result<Option<User>, StoreError> {
        panic!("nobody asks for a name");
    }
}

/// The reply, and how often users and ledgers were read and ledgers written for it.
fn counted(world: &World, event: &Event) -> (Reply, (u64, u64, u64)) {
    let deps = Deps {
        apps: world.apps.clone(),
        users: Counted(world.users.clone(), AtomicU64::new(0)),
        tokens: world.tokens.clone(),
        ledgers: world.ledgers.clone(),
        keyring: world.keyring.clone(),
        clock: world.clock.clone(),
        entropy: world.entropy.clone(),
        default_app: Some(world.app.id.clone()),
    };
    world.ledgers.take_calls();
    let reply = reply(event, handle(&deps, event.request()));
    let (loads, stores) = world.ledgers.take_calls();
    (reply, (deps.users.1.load(Ordering::SeqCst), loads, stores))
}

#[test]
fn strangers_are_refused() {
    refuses_strangers(&recorded(), SCOPE, call);
}

#[test]
fn media_types_are_agreed_on_before_a_secret_is_looked_at() {
    let world = World::default();
    negotiates(&recorded().body("{"), true, |event| call(&world, event));
    refuses_bodies(&recorded(), "application/json", |event| call(&world, event));
    assert_eq!(world.ledgers.take_calls(), (0, 0));
}

#[test]
fn what_is_missing_mistyped_or_too_long_is_refused_and_spends_nothing() {
    let world = World::default();
    let long = "1".repeat(1025);
    for (body, expected) in [
        (json!({}), "none"),
        (json!({ "pin": null, "password": null }), "none"),
        (json!({ "pin": "", "password": "" }), "none"),
        (json!({ "Pin": PIN }), "none"),
        (json!({ "pin": 1793 }), "/pin"),
        (json!({ "pin": PIN, "password": ["correct horse"] }), "/password"),
        (json!({ "password": { "text": PASSWORD } }), "/password"),
        (json!({ "pin": long }), "/pin"),
        (json!({ "pin": PIN, "password": long }), "/password"),
    ] {
        let reply = call(&world, &recorded().json(&body));
        assert_eq!(error(&reply), (422, "invalid-request"), "{body}");
        assert_eq!(pointer(&reply), expected, "{body}");
    }
    let characters = json!({ "pin": "é".repeat(1024), "password": "é".repeat(1024) });
    let reply = call(&World::default(), &recorded().json(&characters));
    assert_eq!(error(&reply), (422, "invalid-secret"), "characters count, not bytes");
    let twice = recorded().body(format!(r#"{{"pin":"{PIN}","pin":"{PIN}"}}"#));
    assert_eq!(error(&call(&world, &twice)), (422, "invalid-request"));
    assert_eq!(world.ledgers.take_calls(), (0, 0));
}

#[test]
fn a_wrong_secret_an_unknown_user_and_one_without_that_secret_are_told_alike() {
    for (body, without) in [
        (json!({ "pin": "1794" }), User { pin: None, ..ada() }),
        (json!({ "password": "correct horse" }), User { password: None, ..ada() }),
        (json!({ "password": PIN, "pin": PASSWORD }), User { pin: None, password: None, ..ada() }),
    ] {
        let wrong = World::default();
        let lacking = World::default();
        block_on(lacking.users.store_user(&without)).unwrap();
        let event = recorded().json(&body);
        let unknown = bearer(event.clone(), &format!("nobody|{SCOPE}"));
        let replies = [
            counted(&wrong, &event),
            counted(&lacking, &event),
            counted(&World::default(), &unknown),
        ];
        for (reply, calls) in &replies {
            assert_eq!(error(reply), (422, "invalid-secret"), "{body}");
            assert_eq!((pointer(reply), reply.outcome), ("none", "incorrect"));
            assert_eq!(reply, &replies[0].0);
            assert_eq!(*calls, (1, 1, 1), "one user read, one ledger read and written");
        }
    }
}

#[test]
fn one_of_two_secrets_has_to_be_right() {
    for (password, pin, expected) in [
        (PASSWORD, "0000", 201),
        ("wrong", PIN, 201),
        (PASSWORD, PIN, 201),
        ("", PIN, 201),
        ("wrong", "0000", 422),
        (PIN, PASSWORD, 422),
    ] {
        let event = recorded().json(&json!({ "password": password, "pin": pin }));
        assert_eq!(call(&World::default(), &event).status, expected, "{password} {pin}");
    }
}

#[test]
fn wrong_secrets_lock_the_user_known_or_not_and_then_the_right_one_is_refused_too() {
    for user in [USER_ID, "nobody"] {
        let world = World::without_waits();
        let present = |pin: &str| {
            let event = recorded().json(&json!({ "pin": pin }));
            counted(&world, &bearer(event, &format!("{user}|{SCOPE}")))
        };
        for _ in 0..10 {
            assert_eq!(error(&present("1794").0), (422, "invalid-secret"));
        }
        for pin in ["1794", PIN] {
            let (locked, calls) = present(pin);
            assert_eq!((error(&locked), locked.outcome), ((429, "too-many-requests"), "exhausted"));
            assert_eq!(locked.retry_after.as_deref(), Some("86400"));
            assert_eq!(calls, (1, 1, 0));
        }
        world.clock.advance(Duration::from_hours(24));
        assert_eq!(present(PIN).0.status, if user == USER_ID { 201 } else { 422 });
    }
}

#[test]
fn a_right_secret_forgives_the_wrong_ones() {
    let world = World::without_waits();
    for _ in 0..2 {
        for _ in 0..9 {
            assert_eq!(create_with_pin(&world, "1794").status, 422);
        }
        assert_eq!(create_with_pin(&world, PIN).status, 201);
    }
}

#[test]
fn a_wrong_secret_leaves_the_code_that_is_out() {
    let world = World::default();
    let code = code(&world);
    create_with_pin(&world, "1794");
    assert_eq!(verify(&world, &presenting(&code)).status, 204);
}

#[test]
fn failures_outside_are_a_500_that_reveals_nothing() {
    let world = World::default();
    for faults in [vec![Fault::Unavailable], vec![Fault::Conflict; 12]] {
        world.ledgers.fail_stores(faults);
        check_unavailable(&create_with_pin(&world, PIN));
    }
    world.ledgers.fail_stores([Fault::Unavailable]);
    check_unavailable(&create_with_pin(&world, "1794"));
    world.users.set_down(true);
    check_unavailable(&create_with_pin(&world, PIN));
    world.users.set_down(false);
    assert_eq!(create_with_pin(&world, PIN).status, 201);
    let no_keys = World { keyring: FakeKeyring::none(), ..World::default() };
    check_unavailable(&create_with_pin(&no_keys, PIN));
}

#[test]
fn the_code_is_handed_over_with_its_end_and_its_challenge() {
    let world = World::default();
    let created = call(&world, &recorded());
    assert_eq!((created.status, created.outcome), (201, "issued"), "{created:?}");
    assert_eq!(created.media, "application/json");
    let otp = created.json["otp"].as_str().unwrap();
    assert!(otp.len() == 6 && otp.bytes().all(|digit| digit.is_ascii_digit()), "{otp}");
    let expires_at = date_time(world.clock.now() + Duration::from_mins(10));
    assert_eq!(created.json, json!({ "otp": otp, "expiresAt": expires_at }));
    assert_eq!(expires_at, "2027-01-15T08:10:00.000Z");

    let presented = PresentedCode::parse(otp).unwrap();
    let id = parse_request_id(created.header("passcode-challenge-id").unwrap()).unwrap();
    let target = Target::Held(id);
    let keys = &world.keyring;
    let verified = passcode_domain::verify::verify(world.ports(), keys, target, &presented);
    assert!(matches!(block_on(verified).unwrap().outcome, Outcome::Verified(_)));
}

#[test]
fn the_recorded_requests_are_each_worth_a_code() {
    for case in ["pin", "password"] {
        let event = Event::recorded("pace-user-otp-create", case);
        assert_eq!(call(&World::default(), &event).status, 201, "{case}");
    }
}

#[test]
fn a_401_says_what_the_token_lacks() {
    let world = World::default();
    for (token, expected) in [
        (None, "Bearer"),
        (Some("Bearer made-up"), "Bearer error=\"invalid_token\""),
        (
            Some("Bearer ada|other"),
            "Bearer error=\"insufficient_scope\", scope=\"user:otp:create\"",
        ),
    ] {
        let reply = call(&world, &recorded().header("authorization", token));
        assert_eq!(reply.header("www-authenticate"), Some(expected));
    }
}

#[test]
fn no_code_and_no_secret_is_logged_or_kept() {
    let world = World::default();
    for body in [json!({ "pin": PIN, "password": PASSWORD }), json!({ "pin": "9137" })] {
        let answer = create(&world, &recorded().json(&body));
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let otp = body["otp"].as_str().unwrap_or("9137");
        check_nothing_leaks(&world, &answer, &[otp, PIN, PASSWORD, "9137", "ada@example.com"]);
        assert!(!answer.body.contains(PASSWORD) && !answer.body.contains("9137"));
    }
}
