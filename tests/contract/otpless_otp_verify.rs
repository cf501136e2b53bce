//! `POST /auth/v1/verify/otp`.

use crate::shared::request_id;
use crate::shared::{check_shape, refuses_bodies, refuses_strangers, row};
use otpless_otp_verify::handle;
use passcode_domain::{App, ChallengeId, ports::StoreApps as _};

use passcode_testkit::{Fault, TestWorld, demo_app, schedule::block_on};
use passcode_tests::event::{Event, Reply, reply};
use serde_json::json;
use std::time::Duration;

fn call(world: &TestWorld, event: &Event) -> Reply {
    reply(event, async |request, record| handle(world, request, record).await)
}

fn recorded() -> Event {
    Event::recorded("otpless-otp-verify", "verify")
}

pub(crate) fn present(world: &TestWorld, id: ChallengeId, code: &str) -> Reply {
    let body = json!({ "requestId": request_id(id), "otp": code });
    call(world, &recorded().json(&body))
}

#[test]
fn strangers_and_bodies_that_are_no_json_object_are_refused() {
    let world = TestWorld::default();
    refuses_strangers(&recorded(), |event| call(&world, event));
    refuses_bodies(&recorded(), |event| call(&world, event));
    assert_eq!(world.ledgers.take_calls(), (0, 0));
}

#[test]
fn what_is_missing_or_mistyped_is_refused_and_spends_nothing() {
    let world = TestWorld::default();
    let (id, code) = world.open_and_send();
    let id_text = request_id(id);
    world.ledgers.take_calls();
    for (body, expected) in [
        (json!({ "requestId": id_text }), "7112"),
        (json!({ "requestId": id_text, "otp": "" }), "7112"),
        (json!({ "requestId": id_text, "otp": "  " }), "7112"),
        (json!({ "requestId": id_text, "otp": code.parse::<u32>().unwrap() }), "7118"),
        (json!({ "requestId": id_text, "otp": "12.34" }), "7118"),
        (json!({ "requestId": id_text, "otp": "1".repeat(200) }), "7118"),
        (json!({ "otp": code }), "7114"),
        (json!({ "requestId": 5, "otp": code }), "7114"),
        (json!({ "requestId": "ARID_A1B2C3D4E5F6", "otp": code }), "7114"),
    ] {
        let reply = call(&world, &recorded().json(&body));
        check_shape(&reply);
        assert_eq!(row(&reply), (400, expected), "{body}");
    }
    assert_eq!(world.ledgers.take_calls(), (0, 0));
}

#[test]
fn every_outcome_has_its_own_error() {
    let world = TestWorld::without_waits();
    let (id, code) = world.open_and_send();
    let wrong = TestWorld::wrong(&code);
    for _ in 0..5 {
        assert_eq!(row(&present(&world, id, &wrong)), (400, "7118"));
    }
    assert_eq!(row(&present(&world, id, &code)), (400, "7021"), "exhausted");
    let (id, code) = world.open_and_send();
    assert_eq!(present(&world, id, &code).status, 200);
    assert_eq!(row(&present(&world, id, &code)), (400, "7115"), "used");
    let (id, code) = world.open_and_send();
    world.clock.advance(Duration::from_secs(601));
    assert_eq!(row(&present(&world, id, &code)), (400, "7303"), "expired");
    assert_eq!(row(&present(&world, world.open(), &code)), (400, "7114"), "nothing was sent");
}

#[test]
fn another_apps_request_leads_nowhere_and_loses_nothing() {
    let world = TestWorld::default();
    let (id, code) = world.open_and_send();
    block_on(
        world
            .apps
            .store_app(&App { id: "eve".parse().unwrap(), ..demo_app() }.validated().unwrap()),
    )
    .unwrap();
    let body = json!({ "requestId": request_id(id), "otp": code });
    let foreign = recorded().json(&body).header("clientid", "eve");
    assert_eq!(row(&call(&world, &foreign)), (400, "7114"));
    assert_eq!(present(&world, id, &code).status, 200);
}

#[test]
fn failures_outside_are_a_503_and_the_caller_can_go_on() {
    let world = TestWorld::default();
    let (id, code) = world.open_and_send();
    world.ledgers.fail_stores([Fault::Unavailable]);
    let reply = present(&world, id, &code);
    check_shape(&reply);
    assert_eq!((reply.status, reply.retry_after.as_deref()), (503, Some("1")));
    assert_eq!(present(&world, id, &code).status, 200);
}

#[test]
fn the_right_code_is_verified_as_the_contract_says_it() {
    let world = TestWorld::default();
    let (id, code) = world.open_and_send();
    let reply = present(&world, id, &code);
    assert_eq!((reply.status, reply.outcome), (200, "verified"));
    assert_eq!(
        reply.json,
        json!({
            "requestId": request_id(id), "isOTPVerified": true,
            "message": "OTP verified successfully",
        })
    );
}
