//! `POST /auth/v1/initiate/otp`.

use crate::shared::{
    cancel, check_shape, lets_pages_read, messages, minds_keys, refuses_bodies, refuses_client_ips,
    refuses_strangers, retry_after, row, with,
};
use crate::shared::{parse_request_id, request_id};
use otpless_otp_initiate::handle;
use passcode_domain::{App, ChallengeId, action::verify::Outcome, ports::StoreApps as _};

use passcode_testkit::{FakeKeyring, Fault, TestWorld, Verdict, demo_app, schedule::block_on};
use passcode_tests::event::{Event, Reply, Served, replied, served};
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) async fn answer(world: &TestWorld, event: &Event) -> Served {
    served(event, async |request, record| handle(world, request, record).await).await
}

pub(crate) fn call(world: &TestWorld, event: &Event) -> Reply {
    replied(event, block_on(answer(world, event)))
}

pub(crate) fn recorded(case: &str) -> Event {
    Event::recorded("otpless-otp-initiate", case)
}

pub(crate) fn for_request(id: ChallengeId) -> Event {
    recorded("request").challenge(&request_id(id))
}

#[test]
fn strangers_need_a_request_id_and_wrong_credentials_are_never_ignored() {
    let world = TestWorld::default();
    refuses_strangers(&recorded("phone"), |event| call(&world, event));
    let id = world.open();
    let wrong = for_request(id).header("clientid", "demo").header("clientsecret", "wrong");
    assert_eq!(row(&call(&world, &wrong)), (401, "7002"));
    assert_eq!(messages(&world), 0);
}

#[test]
fn what_is_no_json_object_is_refused() {
    let world = TestWorld::default();
    refuses_bodies(&recorded("phone"), |event| call(&world, event));
    assert_eq!(messages(&world), 0);
}

#[test]
fn every_field_has_its_own_error() {
    let world = TestWorld::default();
    let phone = json!({ "phoneNumber": "+14155550100", "channels": ["SMS"] });
    let email = json!({ "email": "ada@example.com", "channels": ["EMAIL"] });
    for (body, field, value, code) in [
        (&phone, "phoneNumber", json!("4155550100"), "7102"),
        (&phone, "phoneNumber", json!("+1 not a number"), "7102"),
        (&phone, "phoneNumber", json!(14_155_550_100u64), "7102"),
        (&phone, "channels", json!(["WHATSAPP"]), "7103"),
        (&phone, "channels", json!(["VOICE_CALL"]), "7103"),
        (&phone, "channels", json!(["VIBER"]), "7103"),
        (&phone, "channels", json!(["VIBER", "voice_call"]), "7103"),
        (&phone, "channels", json!(["SMSS", "SMS"]), "7103"),
        (&phone, "channels", json!(["SMS "]), "7103"),
        (&phone, "channels", json!(["EMAIL"]), "7103"),
        (&phone, "channels", json!(["SMS", "EMAIL"]), "7103"),
        (&phone, "channels", json!([]), "7101"),
        (&phone, "channels", json!("SMS"), "7101"),
        (&phone, "channels", json!([1]), "7101"),
        (&phone, "channels", Value::Null, "7101"),
        (&email, "email", json!("ada@localhost"), "7104"),
        (&email, "email", json!(false), "7104"),
        (&email, "channels", json!(["SMS"]), "7105"),
        (&email, "channels", json!(["WHATSAPP"]), "7105"),
        (&email, "email", Value::Null, "7106"),
        (&phone, "expiry", json!(29), "7113"),
        (&phone, "expiry", json!(86_401), "7113"),
        (&phone, "expiry", json!("29"), "7113"),
        (&phone, "expiry", json!("030"), "7113"),
        (&phone, "expiry", json!("60.0"), "7113"),
        (&phone, "expiry", json!(" 60"), "7113"),
        (&phone, "otpHash", json!("short"), "7121"),
        (&phone, "otpHash", json!(7), "7121"),
        (&phone, "otpLength", json!(5), "7116"),
        (&phone, "otpLength", json!(0), "7116"),
        (&phone, "otpLength", json!(1_000_000_000_000u64), "7116"),
        (&phone, "otpLength", json!("5"), "7116"),
        (&phone, "otpLength", json!("06"), "7116"),
        (&phone, "otpLength", json!("six"), "7116"),
        (&phone, "metadata", json!({ "order": 42 }), "7101"),
        (&phone, "metadata", json!("order"), "7101"),
        (&phone, "requestId", json!("ARID_A1B2C3D4E5F6"), "7101"),
    ] {
        let body = with(body.clone(), field, &value);
        let reply = call(&world, &recorded("phone").json(&body));
        check_shape(&reply);
        assert_eq!(row(&reply), (400, code), "{body}");
    }
    assert_eq!(messages(&world), 0);
}

#[test]
fn channels_that_do_not_exist_here_are_skipped_and_written_in_any_case() {
    let world = TestWorld::without_waits();
    for (body, channels) in [
        (json!({ "phoneNumber": "+14155550100" }), json!(["WHATSAPP", "SMS"])),
        (json!({ "phoneNumber": "+14155550101" }), json!(["viber", "sms", "Voice_Call"])),
        (json!({ "email": "ada@example.com" }), json!(["Whatsapp", "Email"])),
    ] {
        let sent = messages(&world);
        let reply = call(&world, &recorded("phone").json(&with(body, "channels", &channels)));
        assert_eq!((reply.status, messages(&world)), (200, sent + 1), "{channels}: {reply:?}");
    }
    world.clock.advance(world.cool_down(1));
    let id = world.open();
    let held = json!({ "requestId": request_id(id), "channels": ["WHATSAPP", "SMS"] });
    let held = recorded("request").json(&held);
    assert_eq!(call(&world, &held).status, 200, "{held:?}");
}

#[test]
fn an_app_that_wants_to_know_is_told_of_channels_that_do_not_exist_here() {
    let world = TestWorld::of(App { strict_channels: true, ..demo_app() });
    for (field, address, channels, code) in [
        ("phoneNumber", "+14155550100", json!(["WHATSAPP", "SMS"]), "7103"),
        ("email", "ada@example.com", json!(["EMAIL", "VIBER"]), "7105"),
    ] {
        let body = json!({ field: address, "channels": channels });
        assert_eq!(row(&call(&world, &recorded("phone").json(&body))), (400, code), "{body}");
    }
    let body = json!({ "phoneNumber": "+14155550100", "channels": ["sms"] });
    assert_eq!(call(&world, &recorded("phone").json(&body)).status, 200);
}

#[test]
fn numbers_may_be_texts_and_empty_ones_are_absent() {
    let world = TestWorld::default();
    for (length, digits) in [("4", 4), ("6", 6), ("", 6)] {
        let body = json!({
            "phoneNumber": format!("+1415555010{digits}"), "channels": ["SMS"],
            "otpLength": length, "expiry": "60", "otpHash": "",
        });
        let reply = call(&world, &recorded("phone").json(&body));
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(world.last_code().len(), digits, "{length}");
        world.clock.advance(Duration::from_mins(5));
    }
    let body = json!({ "phoneNumber": "+14155550109", "channels": ["SMS"], "expiry": "60" });
    let reply = call(&world, &recorded("phone").json(&body));
    let id = parse_request_id(reply.json["requestId"].as_str().unwrap()).unwrap();
    world.clock.advance(Duration::from_mins(1));
    let late = block_on(world.verify(id, &world.last_code())).unwrap();
    assert_eq!(late, Outcome::Expired);
}

#[test]
fn the_apps_hash_is_where_androids_retriever_reads_it() {
    let world = TestWorld::without_waits();
    let phone = json!({
        "phoneNumber": "+14155550100", "channels": ["SMS"], "otpHash": "FA+9qCX9VSu",
    });
    assert_eq!(call(&world, &recorded("phone").json(&phone)).status, 200);
    world.clock.advance(world.cool_down(1));
    let id = request_id(world.open());
    let held = json!({ "requestId": id, "channels": ["SMS"], "otpHash": "FA+9qCX9VSv" });
    assert_eq!(call(&world, &recorded("request").json(&held)).status, 200);
    let texts: Vec<_> = world.couriers.sms.taken().into_iter().map(|(_, sms)| sms.text).collect();
    assert!(texts[0].ends_with("FA+9qCX9VSu") && texts[1].ends_with("FA+9qCX9VSv"), "{texts:?}");
}

#[test]
fn an_error_repeats_nothing_that_the_caller_made_up() {
    let world = TestWorld::default();
    let body = json!({
        "phoneNumber": "+14155550100", "channels": ["SMS"], "metadata": { "+14155550100 <b>": 1 },
    });
    let reply = call(&world, &recorded("phone").json(&body));
    assert_eq!(row(&reply), (400, "7101"));
    assert!(!reply.text.contains("+1415"), "{}", reply.text);
}

#[test]
fn a_holder_of_a_request_cannot_ask_for_codes_that_are_easier_to_guess() {
    let world = TestWorld::default();
    let id = world.open();
    let body = json!({ "requestId": request_id(id), "channels": ["SMS"], "otpLength": 4 });
    assert_eq!(call(&world, &for_request(id).json(&body)).status, 200);
    assert_eq!(world.last_code().len(), 6);
}

#[test]
fn a_second_call_for_the_same_address_is_a_request_of_its_own_after_the_cool_down() {
    let world = TestWorld::default();
    let first = call(&world, &recorded("phone"));
    assert_eq!(row(&call(&world, &recorded("phone"))), (429, "7022"));
    world.clock.advance(world.cool_down(1));
    let second = call(&world, &recorded("phone"));
    assert_eq!(second.status, 200);
    assert_ne!(second.json, first.json);
    assert_eq!(messages(&world), 2);
}

#[test]
fn ids_that_lead_nowhere_are_refused() {
    let world = TestWorld::default();
    let (id, _) = world.open_and_send();
    let text = request_id(id);
    let changed = format!("{}{}", &text[..56], if text.ends_with('A') { 'Q' } else { 'A' });
    for (id, expected) in [
        ("", (400, "7119")),
        ("ARID_", (400, "7119")),
        ("ARID_A1B2C3D4E5F6", (400, "7119")),
        (&text[5..], (400, "7119")),
        (&text.to_lowercase(), (400, "7119")),
        (&"A".repeat(9000), (400, "7119")),
        (&changed, (404, "7168")),
    ] {
        let reply = call(&world, &recorded("request").challenge(id));
        assert_eq!(row(&reply), expected, "{id}");
    }
    let eve = App { id: "eve".parse().unwrap(), ..demo_app() };
    block_on(world.apps.store_app(&eve.validated().unwrap())).unwrap();
    let event = for_request(id).header("clientid", "eve").header("clientsecret", "demo-secret");
    assert_eq!(row(&call(&world, &event)), (404, "7168"), "another app's request");
    assert_eq!(messages(&world), 1);
}

#[test]
fn a_resend_is_held_back_by_cool_down_and_count() {
    let world = TestWorld::default();
    let id = world.open();
    assert_eq!(call(&world, &for_request(id)).status, 200);
    world.clock.advance(Duration::from_millis(10_500));
    let early = call(&world, &for_request(id));
    assert_eq!(row(&early), (429, "7022"));
    let rounded_up = (world.cool_down(1).as_secs() - 10).to_string();
    assert_eq!(early.retry_after.clone(), Some(rounded_up));
    for sends in 1..usize::from(world.app.policy.max_sends) {
        world.clock.advance(world.cool_down(sends));
        assert_eq!(call(&world, &for_request(id)).status, 200);
    }
    world.clock.advance(world.cool_down(1));
    let spent = call(&world, &for_request(id));
    assert_eq!((row(&spent), spent.retry_after.as_deref()), ((429, "7022"), None));
    assert_eq!(messages(&world), 5);
}

#[test]
fn requests_that_are_over_are_sent_nothing() {
    let world = TestWorld::default();
    let (used, code) = world.open_and_send();
    assert!(matches!(block_on(world.verify(used, &code)), Ok(Outcome::Verified(_))));
    let (cancelled, _) = world.open_and_send();
    cancel(&world, cancelled);
    let (spent, code) = world.open_and_send();
    for _ in 0..5 {
        block_on(world.verify(spent, &TestWorld::wrong(&code))).unwrap();
    }
    let (spent_too, code) = world.open_and_send();
    let before = messages(&world);
    for (id, expected) in [(used, "7115"), (cancelled, "7115"), (spent, "7021")] {
        assert_eq!(row(&call(&world, &for_request(id))), (400, expected));
    }
    let expired = world.open();
    world.clock.advance(Duration::from_mins(15));
    assert_eq!(row(&call(&world, &for_request(expired))), (400, "7172"));
    assert_eq!(messages(&world), before);
    let _ = (spent_too, code);
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
    let reply = call(&world, &recorded("phone"));
    assert_eq!((row(&reply), reply.retry_after.as_deref()), ((429, "7022"), Some("86400")));
}

#[test]
fn a_courier_that_refuses_costs_nothing_and_one_that_is_silent_costs_the_cool_down() {
    let world = TestWorld::default();
    let id = world.open();
    world.couriers.sms.answer([Verdict::Refuse]);
    let refused = call(&world, &for_request(id));
    check_shape(&refused);
    assert_eq!((refused.status, refused.retry_after.as_deref()), (503, Some("1")));
    world.couriers.sms.answer([Verdict::Lose]);
    let lost = call(&world, &for_request(id));
    assert_eq!((lost.status, lost.retry_after.clone()), (503, Some(retry_after(&world, 1))));
    assert_eq!(row(&call(&world, &for_request(id))), (429, "7022"));
    world.clock.advance(world.cool_down(1));
    assert_eq!(call(&world, &for_request(id)).status, 200);
}

#[test]
fn an_app_that_is_blocked_or_out_of_reach_sends_nothing_and_releases_the_claim() {
    let world = TestWorld::default();
    let id = world.open();
    block_on(world.apps.store_app(&App { blocked: true, ..demo_app() }.validated().unwrap()))
        .unwrap();
    assert_eq!(row(&call(&world, &for_request(id))), (401, "7019"));
    world.apps.set_down(true);
    assert_eq!(call(&world, &for_request(id)).status, 503);
    world.apps.set_down(false);
    assert_eq!(messages(&world), 0);
    block_on(world.apps.store_app(&demo_app().validated().unwrap())).unwrap();
    assert_eq!(call(&world, &for_request(id)).status, 200, "no cool-down is left behind");
}

#[test]
fn failures_outside_are_a_503_that_says_when_to_come_back() {
    let world = TestWorld::default();
    world.ledgers.fail_stores([Fault::Unavailable]);
    let lost = call(&world, &recorded("phone"));
    let no_keys = TestWorld { keyring: FakeKeyring::none(), ..TestWorld::default() };
    for reply in [lost, call(&no_keys, &recorded("phone"))] {
        check_shape(&reply);
        assert_eq!((reply.status, reply.retry_after.as_deref()), (503, Some("1")));
    }
    assert_eq!(messages(&world), 0);
}

#[test]
fn the_code_goes_out_on_the_channel_in_the_length_and_the_language_that_was_asked() {
    let world = TestWorld::default();
    let reply = call(&world, &recorded("phone"));
    assert_eq!((reply.status, reply.outcome), (200, "sent"), "{reply:?}");
    assert_eq!(reply.json.as_object().unwrap().len(), 1);
    let id = parse_request_id(reply.json["requestId"].as_str().unwrap()).unwrap();
    let (to, sms) = world.couriers.sms.taken().remove(0);
    assert_eq!(to, "+14155550100");
    assert!(sms.text.contains("expires in 5 minutes"), "{}", sms.text);
    let code = world.last_code();
    assert!(matches!(block_on(world.verify(id, &code)), Ok(Outcome::Verified(_))));

    call(&world, &recorded("email"));
    let (to, email) = world.couriers.email.taken().remove(0);
    assert_eq!((to.as_str(), email.subject.as_str()), ("ada@example.com", "Dein Code für Demo"));

    for (length, digits) in [(json!(4), 4), (json!(6.0), 6)] {
        world.clock.advance(world.cool_down(1));
        let body =
            json!({ "phoneNumber": "+919876543210", "channels": ["SMS"], "otpLength": length });
        assert_eq!(call(&world, &recorded("phone").json(&body)).status, 200);
        assert_eq!(world.last_code().len(), digits);
    }
}

#[test]
fn with_both_addresses_the_channels_are_tried_in_order() {
    for (channels, refused, expected) in [
        (json!(["SMS", "EMAIL"]), false, (1, 0)),
        (json!(["SMS", "EMAIL"]), true, (0, 1)),
        (json!(["EMAIL", "SMS"]), true, (0, 1)),
    ] {
        let world = TestWorld::default();
        if refused {
            world.couriers.sms.answer([Verdict::Refuse]);
        }
        let body = json!({
            "phoneNumber": "+14155550100", "email": "ada@example.com", "channels": channels,
        });
        assert_eq!(call(&world, &recorded("phone").json(&body)).status, 200);
        assert_eq!(
            (world.couriers.sms.taken().len(), world.couriers.email.taken().len()),
            expected,
            "{channels}"
        );
    }
}

#[test]
fn the_same_request_under_a_key_is_done_once() {
    minds_keys(|| (TestWorld::default(), recorded("phone")), call);
    let held = || {
        let world = TestWorld::default();
        let id = world.open();
        (world, for_request(id))
    };
    minds_keys(held, call);
}

#[test]
fn a_client_ip_that_is_none_is_refused() {
    for event in [recorded("phone"), for_request(TestWorld::default().open())] {
        let call = |event: &Event| {
            let reply = call(&TestWorld::default(), event);
            if reply.status == 400 {
                check_shape(&reply);
            }
            reply
        };
        refuses_client_ips(&event, call);
    }
}

#[test]
fn who_holds_no_more_than_an_id_learns_when_and_not_how_much() {
    let world = TestWorld::default();
    let event = for_request(world.open());
    assert_eq!(call(&world, &event).status, 200);
    let reply = call(&world, &event);
    assert_eq!((reply.status, reply.retry_after.clone()), (429, Some(retry_after(&world, 1))));
    assert_eq!((reply.header("ratelimit"), reply.header("ratelimit-policy")), (None, None));
    let event = event.header("clientid", "demo").header("clientsecret", "demo-secret");
    let reply = call(&world, &event);
    let seconds = world.cool_down(1).as_secs();
    assert_eq!(reply.header("ratelimit"), Some(&*format!("\"cool_down\";r=0;t={seconds}")));
    assert_eq!(reply.header("ratelimit-policy"), Some("\"cool_down\";q=1"));
}

#[test]
fn pages_of_listed_origins_read_the_answers() {
    let page = |world: &TestWorld| recorded("page").challenge(&request_id(world.open()));
    lets_pages_read(page, &recorded("preflight"), call);
}
