//! `POST /auth/otp/v1/verify`.

use crate::{
    otpless_order_send as order_send,
    shared::{check_shape, refuses_bodies, refuses_strangers, row, with},
};
use otpless_order_verify::handle;
use passcode_testkit::{Fault, TestWorld};
use passcode_tests::event::{Event, Reply, reply};
use serde_json::{Value, json};
use std::time::Duration;

fn call(world: &TestWorld, event: &Event) -> Reply {
    reply(event, async |request, record| handle(world, request, record).await)
}

fn recorded() -> Event {
    Event::recorded("otpless-order-verify", "order")
}

fn body(code: &str) -> Value {
    json!({ "orderId": "order-42", "otp": code, "phoneNumber": "+14155550100" })
}

fn present(world: &TestWorld, code: &str) -> Reply {
    call(world, &recorded().json(&body(code)))
}

fn sent(world: &TestWorld) -> String {
    assert_eq!(order_send::call(world, &order_send::recorded()).status, 200);
    world.last_code()
}

fn check_refused(reply: &Reply, outcome: &str) {
    assert_eq!((reply.status, reply.outcome), (200, outcome), "{reply:?}");
    assert_eq!(reply.json["isOTPVerified"], false);
    assert!(reply.json["reason"].as_str().is_some_and(|reason| !reason.is_empty()));
    assert_eq!(reply.json.as_object().map(serde_json::Map::len), Some(2));
}

#[test]
fn strangers_and_bodies_that_are_no_json_object_are_refused() {
    let world = TestWorld::default();
    refuses_strangers(&recorded(), |event| call(&world, event));
    refuses_bodies(&recorded(), |event| call(&world, event));
}

#[test]
fn the_identity_must_be_repeated_and_be_the_orders() {
    let world = TestWorld::default();
    let code = sent(&world);
    for (field, value, expected) in [
        ("phoneNumber", Value::Null, "7106"),
        ("phoneNumber", json!("12"), "7102"),
        ("otp", Value::Null, "7112"),
        ("otp", json!(""), "7112"),
        ("orderId", Value::Null, "7101"),
    ] {
        let reply = call(&world, &recorded().json(&with(body(&code), field, &value)));
        check_shape(&reply);
        assert_eq!(row(&reply), (400, expected), "{field}");
    }
    let other = with(body(&code), "phoneNumber", &json!("+919876543210"));
    check_refused(&call(&world, &recorded().json(&other)), "not found");
    let unknown = with(body(&code), "orderId", &json!("another"));
    check_refused(&call(&world, &recorded().json(&unknown)), "not found");
    assert_eq!(present(&world, &code).json, json!({ "isOTPVerified": true }));
}

#[test]
fn a_refused_code_is_a_200_that_says_why() {
    let world = TestWorld::default();
    let code = sent(&world);
    for _ in 0..5 {
        check_refused(&present(&world, &TestWorld::wrong(&code)), "incorrect");
    }
    check_refused(&present(&world, &code), "exhausted");

    let world = TestWorld::default();
    let code = sent(&world);
    assert_eq!(present(&world, &code).json["isOTPVerified"], true);
    check_refused(&present(&world, &code), "already used");

    let world = TestWorld::default();
    let body = json!({ "phoneNumber": "+14155550100", "orderId": "order-42", "expiry": 900 });
    order_send::call(&world, &order_send::recorded().json(&body));
    world.clock.advance(Duration::from_secs(601));
    check_refused(&present(&world, &world.last_code()), "expired");
}

#[test]
fn failures_outside_are_a_503_and_the_caller_can_go_on() {
    let world = TestWorld::default();
    let code = sent(&world);
    world.ledgers.fail_stores([Fault::Unavailable]);
    assert_eq!(present(&world, &code).status, 503);
    assert_eq!(present(&world, &code).json["isOTPVerified"], true);
}
