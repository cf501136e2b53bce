//! `POST /auth/otp/v1/send`.

use crate::shared::{
    check_shape, minds_keys, refuses_bodies, refuses_client_ips, refuses_strangers, row, with,
};
use otpless_order_send::handle;
use passcode_domain::App;
use passcode_testkit::{Fault, TestWorld, Verdict, demo_app, schedule::block_on};
use passcode_tests::event::{Event, Reply, reply};
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) fn call(world: &TestWorld, event: &Event) -> Reply {
    reply(event, async |request, record| handle(world, request, record).await)
}

pub(crate) fn recorded() -> Event {
    Event::recorded("otpless-order-send", "order")
}

#[test]
fn strangers_and_bodies_that_are_no_json_object_are_refused() {
    let world = TestWorld::default();
    refuses_strangers(&recorded(), |event| call(&world, event));
    refuses_bodies(&recorded(), |event| call(&world, event));
    assert_eq!(world.ledgers.take_calls(), (0, 0));
}

#[test]
fn every_field_has_its_own_error() {
    let world = TestWorld::default();
    let phone = json!({ "phoneNumber": "+14155550100" });
    let email = json!({ "email": "ada@example.com" });
    for (body, field, value, code) in [
        (&phone, "phoneNumber", json!("12"), "7102"),
        (&phone, "phoneNumber", Value::Null, "7106"),
        (&email, "email", json!("ada"), "7104"),
        (&phone, "channel", json!("WHATSAPP"), "7103"),
        (&email, "channel", json!("WHATSAPP"), "7105"),
        (&phone, "channel", json!("EMAIL"), "7103"),
        (&phone, "channel", json!("SMS,,EMAIL"), "7103"),
        (&phone, "channel", json!("SMS EMAIL"), "7103"),
        (&phone, "channel", json!("whatsapp, viber"), "7103"),
        (&phone, "otpLength", json!(5), "7116"),
        (&phone, "otpLength", json!("5"), "7116"),
        (&phone, "expiry", json!("1"), "7113"),
        (&phone, "otpHash", json!("short"), "7121"),
        (&phone, "expiry", json!(29), "7113"),
        (&phone, "hash", json!("short"), "7121"),
        (&phone, "hash", json!("FA+9qCX9VS!"), "7121"),
        (&phone, "templateId", json!("unknown"), "7158"),
        (&phone, "orderId", json!("a b"), "7101"),
        (&phone, "orderId", json!("x".repeat(65)), "7101"),
        (&phone, "orderId", json!(7), "7101"),
    ] {
        let body = with(body.clone(), field, &value);
        let reply = call(&world, &recorded().json(&body));
        check_shape(&reply);
        assert_eq!(row(&reply), (400, code), "{body}");
    }
    assert!(world.couriers.sms.taken().is_empty());
}

#[test]
fn an_empty_text_is_an_absent_one() {
    let world = TestWorld::default();
    let body = json!({
        "phoneNumber": "+14155550100",
        "email": "",
        "orderId": "",
        "channel": "",
        "hash": "",
        "templateId": "",
    });
    let reply = call(&world, &recorded().json(&body));
    assert_eq!((reply.status, world.couriers.sms.taken().len()), (200, 1), "{reply:?}");
    assert!(reply.json["orderId"].as_str().unwrap().starts_with("Otp_"));
    let first =
        json!({ "phoneNumber": "", "countryCode": "", "email": "ada@example.com", "tid": "" });
    let event = Event::recorded("otpless-auth-create", "email").json(&first);
    assert_eq!(crate::otpless_auth_create::call(&world, &event).status, 200);
}

#[test]
fn channels_are_a_list_in_any_case_tried_in_its_order() {
    for (channel, refused, expected) in [
        ("sms,email", false, (1, 0)),
        ("SMS, EMAIL", true, (0, 1)),
        ("Email,Sms", false, (0, 1)),
        ("WHATSAPP,SMS", false, (1, 0)),
        ("all", true, (0, 1)),
        ("WhatsApp,all", false, (1, 0)),
    ] {
        let world = TestWorld::default();
        if refused {
            world.couriers.sms.answer([Verdict::Refuse]);
        }
        let body = json!({
            "phoneNumber": "14155550100", "email": "ada@example.com", "channel": channel,
            "otpLength": "6", "expiry": "60",
        });
        let reply = call(&world, &recorded().json(&body));
        assert_eq!(reply.status, 200, "{channel}: {reply:?}");
        assert_eq!(
            (world.couriers.sms.taken().len(), world.couriers.email.taken().len()),
            expected,
            "{channel}"
        );
    }
    let world = TestWorld::of(App { strict_channels: true, ..demo_app() });
    let body = json!({ "phoneNumber": "14155550100", "channel": "WHATSAPP,SMS" });
    assert_eq!(row(&call(&world, &recorded().json(&body))), (400, "7103"));
}

#[test]
fn the_hash_has_a_newer_name() {
    let world = TestWorld::without_waits();
    let body = json!({ "phoneNumber": "+14155550100", "otpHash": "FA+9qCX9VSu" });
    assert_eq!(call(&world, &recorded().json(&body)).status, 200);
    assert!(world.couriers.sms.taken()[0].1.text.ends_with("FA+9qCX9VSu"));
    world.clock.advance(world.cool_down(1));
    let body = with(body, "hash", &json!("FA+9qCX9VSv"));
    assert_eq!(call(&world, &recorded().json(&body)).status, 200);
    assert!(world.couriers.sms.taken()[1].1.text.ends_with("FA+9qCX9VSu"), "the newer name counts");
}

#[test]
fn a_forbidden_character_of_an_order_is_told_which_ones_are_allowed() {
    let world = TestWorld::default();
    for order in ["a b", "caf\u{e9}", "a\tb"] {
        let body = json!({ "phoneNumber": "+14155550100", "orderId": order });
        let reply = call(&world, &recorded().json(&body));
        let told = reply.json["description"].as_str().unwrap();
        assert!(told.contains("ASCII letters, digits and punctuation"), "{told}");
        assert!(!told.contains(order), "{told}");
    }
}

#[test]
fn an_order_of_another_address_is_refused() {
    let world = TestWorld::default();
    assert_eq!(call(&world, &recorded()).status, 200);
    let body = json!({ "email": "ada@example.com", "orderId": "order-42" });
    assert_eq!(row(&call(&world, &recorded().json(&body))), (400, "7101"));
    assert!(world.couriers.email.taken().is_empty());
}

#[test]
fn the_same_order_sent_again_is_the_same_message() {
    let world = TestWorld::default();
    world.couriers.sms.answer([Verdict::Accept]);
    for outcome in ["sent", "already sent", "already sent"] {
        let reply = call(&world, &recorded());
        assert_eq!((reply.status, reply.outcome), (200, outcome));
        assert_eq!(reply.json, json!({ "orderId": "order-42" }));
    }
    assert_eq!(world.couriers.sms.taken().len(), 1);
}

#[test]
fn an_order_that_was_not_sent_can_be_sent_again() {
    let world = TestWorld::default();
    world.couriers.sms.answer([Verdict::Refuse]);
    assert_eq!(call(&world, &recorded()).status, 503);
    world.ledgers.fail_stores([Fault::Unavailable]);
    assert_eq!(call(&world, &recorded()).status, 503);
    assert_eq!(call(&world, &recorded()).status, 200);
    assert_eq!(world.couriers.sms.taken().len(), 1);
}

#[test]
fn without_an_order_every_send_is_its_own() {
    let world = TestWorld::without_waits();
    let body = json!({ "email": "ada@example.com" });
    let ids: std::collections::BTreeSet<String> = (0..3)
        .map(|_| {
            let reply = call(&world, &recorded().json(&body));
            assert_eq!(reply.status, 200, "{reply:?}");
            reply.json["orderId"].as_str().expect("an id").to_owned()
        })
        .collect();
    assert_eq!((ids.len(), world.couriers.email.taken().len()), (3, 3));
    assert!(ids.iter().all(|id| id.starts_with("Otp_") && id.len() == 56));
}

#[test]
fn the_apps_hash_is_where_androids_retriever_reads_it() {
    let world = TestWorld::default();
    let body = json!({
        "phoneNumber": "+14155550100", "hash": "FA+9qCX9VSu", "otpLength": 4.0, "expiry": 3e2,
    });
    assert_eq!(call(&world, &recorded().json(&body)).status, 200);
    let text = world.couriers.sms.taken().remove(0).1.text;
    assert_eq!(text.lines().last(), Some("FA+9qCX9VSu"), "{text}");
    assert_eq!(passcode_domain::message::segments(&text), 1);
}

#[test]
fn an_order_ends_with_its_life() {
    let world = TestWorld::default();
    call(&world, &recorded());
    world.clock.advance(Duration::from_mins(5));
    assert_eq!(call(&world, &recorded()).outcome, "sent", "the name is free again");
}

#[test]
fn a_locked_subject_is_told_when_to_come_back() {
    let world = TestWorld::without_waits();
    for _ in 0..2 {
        let (id, code) = world.open_and_send();
        for _ in 0..5 {
            block_on(world.verify(id, &TestWorld::wrong(&code))).unwrap();
        }
    }
    let reply = call(&world, &recorded());
    assert_eq!((row(&reply), reply.retry_after.as_deref()), ((429, "7022"), Some("86400")));
}

#[test]
fn the_same_request_under_a_key_is_done_once() {
    let nameless = json!({ "phoneNumber": "+14155550100" });
    minds_keys(|| (TestWorld::default(), recorded().json(&nameless)), call);
    minds_keys(|| (TestWorld::default(), recorded()), call);
}

#[test]
fn a_client_ip_that_is_none_is_refused() {
    refuses_client_ips(&recorded(), |event| call(&TestWorld::default(), event));
}
