//! `GET /auth/v2/status` and `POST /auth/v1/status`.

use crate::shared::request_id;
use crate::shared::{check_shape, refuses_bodies, refuses_strangers, row};
use otpless_auth_status::handle;
use passcode_domain::{
    App, ChallengeId, Channel,
    action::open,
    ports::{Clock as _, StoreApps as _},
};

use passcode_testkit::{TestWorld, demo_app, schedule::block_on};
use passcode_tests::event::{Event, Reply, reply};
use serde_json::json;
use std::time::Duration;

fn call(world: &TestWorld, event: &Event) -> Reply {
    reply(event, async |request, record| handle(world, request, record).await)
}

fn recorded(case: &str) -> Event {
    Event::recorded("otpless-auth-status", case)
}

pub(crate) fn both(world: &TestWorld, id: ChallengeId) -> [Reply; 2] {
    ["current", "older"].map(|case| call(world, &recorded(case).challenge(&request_id(id))))
}

#[test]
fn strangers_are_refused() {
    let world = TestWorld::default();
    for case in ["current", "older"] {
        refuses_strangers(&recorded(case), |event| call(&world, event));
    }
    assert_eq!(world.ledgers.take_calls(), (0, 0));
}

#[test]
fn ids_that_lead_nowhere_are_refused() {
    let world = TestWorld::default();
    let (id, _) = world.open_and_send();
    let text = request_id(id);
    let changed = format!("{}{}", &text[..56], if text.ends_with('A') { 'Q' } else { 'A' });
    for case in ["current", "older"] {
        for (id, expected) in
            [("", (400, "7119")), ("ARID_A1B2C3D4E5F6", (400, "7119")), (&changed, (404, "7168"))]
        {
            let reply = call(&world, &recorded(case).challenge(id));
            check_shape(&reply);
            assert_eq!(row(&reply), expected, "{case} {id}");
        }
    }
    let eve = App { id: "eve".parse().unwrap(), ..demo_app() };
    block_on(world.apps.store_app(&eve.validated().unwrap())).unwrap();
    let foreign = recorded("current").challenge(&text).header("clientid", "eve");
    assert_eq!(row(&call(&world, &foreign)), (404, "7168"), "another app's request");
}

#[test]
fn a_missing_or_mistyped_id_is_refused() {
    let world = TestWorld::default();
    refuses_bodies(&recorded("older"), |event| call(&world, event));
    let number = recorded("older").json(&json!({ "requestId": 5 }));
    assert_eq!(row(&call(&world, &number)), (400, "7119"));
    assert_eq!(row(&call(&world, &recorded("older").json(&json!({})))), (400, "7119"));
    let mut no_query = recorded("current");
    no_query.0["queryStringParameters"] = json!({});
    no_query.0["rawQueryString"] = json!("");
    assert_eq!(row(&call(&world, &no_query)), (400, "7119"));
}

#[test]
fn before_the_first_send_it_has_not_started_and_after_its_life_it_has_expired() {
    let world = TestWorld::default();
    let unsent = world.open();
    let (sent, _) = world.open_and_send();
    for reply in both(&world, unsent) {
        assert_eq!(row(&reply), (400, "7170"));
    }
    world.clock.advance(Duration::from_mins(15));
    for reply in both(&world, unsent).into_iter().chain(both(&world, sent)) {
        assert_eq!(row(&reply), (400, "7172"));
    }
}

#[test]
fn a_sent_code_is_pending() {
    let world = TestWorld::default();
    let (id, _) = world.open_and_send();
    let [current, older] = both(&world, id);
    let auth = json!({
        "identityType": "MOBILE", "identityValue": "14155550100", "channel": "OTP",
        "methods": ["SMS"], "status": "PENDING", "type": "PRIMARY",
        "deliveries": [{
            "method": "SMS", "status": "SENT", "timestamp": world.clock.now().as_millis(),
        }],
    });
    assert_eq!((current.status, &current.json), (200, &json!({ "auths": [auth] })));
    assert_eq!((older.status, &older.json["status"]), (200, &json!("PENDING")));
    assert!(older.json["message"].is_string());
}

#[test]
fn too_many_wrong_codes_are_a_failure() {
    let world = TestWorld::default();
    let (id, code) = world.open_and_send();
    for _ in 0..5 {
        block_on(world.verify(id, &TestWorld::wrong(&code))).unwrap();
    }
    let [current, older] = both(&world, id);
    let auth = &current.json["auths"][0];
    assert_eq!(auth["status"], "FAILED");
    assert_eq!(auth["error"]["errorCode"], "7021");
    assert!(auth["error"]["message"].is_string() && auth["error"]["description"].is_string());
    assert_eq!(older.json["status"], "DECLINE");
}

#[test]
fn the_right_code_is_a_success_until_the_end() {
    let world = TestWorld::default();
    let email = world.opening(TestWorld::email().into(), Duration::from_mins(15));
    block_on(open::open(&world, world.keys(), &email)).unwrap();
    block_on(world.send(email.id, &TestWorld::options(Channel::Email))).unwrap();
    let text = &world.couriers.email.taken()[0].1.text;
    let code = text.split_whitespace().find(|word| word.parse::<u32>().is_ok()).unwrap();
    block_on(world.verify(email.id, code)).unwrap();
    world.clock.advance(Duration::from_mins(14));
    let [current, older] = both(&world, email.id);
    let auth = json!({
        "identityType": "EMAIL", "identityValue": "ada@example.com", "channel": "OTP",
        "methods": ["EMAIL"], "status": "SUCCESS", "type": "PRIMARY",
        "verifiedTimestamp": 1_800_000_000_000u64,
        "deliveries": [{
            "method": "EMAIL", "status": "SENT", "timestamp": 1_800_000_000_000u64,
        }],
    });
    assert_eq!((current.status, current.json), (200, json!({ "auths": [auth] })));
    assert_eq!(
        (older.status, older.json),
        (
            200,
            json!({
                "status": "SUCCESS", "completedAt": 1_800_000_000_000u64,
                "identities": [{
                    "identityType": "EMAIL", "identityValue": "ada@example.com", "channel": "OTP",
                    "methods": ["EMAIL"], "verified": true, "verifiedTimestamp": 1_800_000_000_000u64,
                }],
            })
        )
    );
}

#[test]
fn a_status_changes_nothing() {
    let world = TestWorld::default();
    let (id, code) = world.open_and_send();
    let before = world.ledgers.dump();
    world.ledgers.take_calls();
    for _ in 0..20 {
        both(&world, id);
    }
    assert_eq!(world.ledgers.take_calls(), (40, 0));
    assert_eq!(world.ledgers.dump(), before);
    assert!(!before.contains(&code));
}

#[test]
fn failures_outside_are_a_503_and_the_caller_can_go_on() {
    let world = TestWorld::default();
    let (id, _) = world.open_and_send();
    world.apps.set_down(true);
    for reply in both(&world, id) {
        check_shape(&reply);
        assert_eq!((reply.status, reply.retry_after.as_deref()), (503, Some("1")));
    }
    world.apps.set_down(false);
    assert_eq!(both(&world, id).map(|reply| reply.status), [200, 200]);
}
