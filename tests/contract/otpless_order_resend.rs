//! `POST /auth/otp/v1/resend`.

use crate::{
    otpless_order_send as order_send,
    shared::{
        check_shape, minds_keys, order_id, refuses_bodies, refuses_client_ips, refuses_strangers,
        retry_after, row,
    },
};
use otpless_order_resend::handle;
use passcode_domain::{App, ports::StoreApps as _};
use passcode_testkit::{TestWorld, Verdict, demo_app, schedule::block_on};
use passcode_tests::event::{Event, Reply, reply};
use serde_json::json;

fn call(world: &TestWorld, event: &Event) -> Reply {
    reply(event, async |request, record| handle(world, request, record).await)
}

fn recorded() -> Event {
    Event::recorded("otpless-order-resend", "order")
}

#[test]
fn strangers_and_bodies_that_are_no_json_object_are_refused() {
    let world = TestWorld::default();
    refuses_strangers(&recorded(), |event| call(&world, event));
    refuses_bodies(&recorded(), |event| call(&world, event));
}

#[test]
fn orders_that_lead_nowhere_are_refused() {
    let world = TestWorld::default();
    order_send::call(&world, &order_send::recorded());
    block_on(
        world
            .apps
            .store_app(&App { id: "eve".parse().unwrap(), ..demo_app() }.validated().unwrap()),
    )
    .unwrap();
    for (event, expected) in [
        (recorded().json(&json!({ "orderId": "another" })), (404, "7168")),
        (recorded().json(&json!({ "orderId": format!("Otp_{}", "A".repeat(52)) })), (404, "7168")),
        (recorded().header("clientid", "eve"), (404, "7168")),
        (recorded().json(&json!({ "orderId": "" })), (400, "7101")),
        (recorded().json(&json!({})), (400, "7101")),
    ] {
        let reply = call(&world, &event);
        check_shape(&reply);
        assert_eq!(row(&reply), expected);
    }
    let unsent = json!({ "orderId": order_id(world.open()) });
    assert_eq!(row(&call(&world, &recorded().json(&unsent))), (400, "7170"));
    assert_eq!(world.couriers.sms.taken().len(), 1);
}

#[test]
fn a_resend_waits_has_a_count_and_keeps_length_and_channel() {
    let world = TestWorld::default();
    let body = json!({ "phoneNumber": "+14155550100", "orderId": "order-42", "otpLength": 4 });
    order_send::call(&world, &order_send::recorded().json(&body));
    let early = call(&world, &recorded());
    assert_eq!(
        (row(&early), early.retry_after.clone()),
        ((429, "7022"), Some(retry_after(&world, 1)))
    );
    world.clock.advance(world.cool_down(1));
    let reply = call(&world, &recorded());
    assert_eq!((reply.status, reply.outcome), (200, "sent"));
    assert_eq!(reply.json, json!({ "orderId": "order-42" }));
    assert_eq!(world.last_code().len(), 4);
    assert_eq!(world.couriers.sms.taken().len(), 2);
}

#[test]
fn a_courier_that_refuses_is_a_503_that_costs_nothing() {
    let world = TestWorld::default();
    order_send::call(&world, &order_send::recorded());
    world.clock.advance(world.cool_down(1));
    world.couriers.sms.answer([Verdict::Refuse]);
    assert_eq!(call(&world, &recorded()).status, 503);
    assert_eq!(call(&world, &recorded()).status, 200);
}

#[test]
fn the_same_request_under_a_key_is_done_once() {
    let sent = || {
        let world = TestWorld::default();
        order_send::call(&world, &order_send::recorded());
        world.clock.advance(world.cool_down(1));
        (world, recorded())
    };
    minds_keys(sent, call);
}

#[test]
fn a_client_ip_that_is_none_is_refused() {
    refuses_client_ips(&recorded(), |event| call(&TestWorld::default(), event));
}
