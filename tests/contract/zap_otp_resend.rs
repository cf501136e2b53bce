//! `POST /v1/otp/resend`.

use crate::{
    shared::{minds_keys, retry_after},
    zap_otp_generate::{generated, mailed_code, messages},
    zap_otp_verify::present,
    zap_shared::{
        at_eve, check_names, check_shape, refuses_bodies, refuses_client_ips, refuses_strangers,
        said, world_with_eve,
    },
};
use passcode_domain::{User, ports::StoreUsers as _};
use passcode_testkit::{FakeKeyring, Fault, TestWorld, Verdict, ada, schedule::block_on};
use passcode_tests::{
    document::admits,
    event::{Event, Reply, reply},
};
use serde_json::json;
use std::time::Duration;
use zap_otp_resend::handle;

const PHONE: &str = "+14155550100";
const EMAIL: &str = "ada@example.com";

fn call(world: &TestWorld, event: &Event) -> Reply {
    reply(event, async |request, record| handle(world, request, record).await)
}

fn recorded(case: &str) -> Event {
    Event::recorded("zap-otp-resend", case)
}

fn phone() -> Event {
    recorded("email").json(&json!({ "phoneNumber": PHONE }))
}

fn pass_cool_down(world: &TestWorld) {
    world.clock.advance(world.cool_down(1));
}

#[test]
fn strangers_and_bodies_that_are_no_json_object_get_nothing_sent() {
    refuses_strangers(&recorded("email"), call);
    let world = TestWorld::default();
    refuses_bodies(&recorded("email"), |event| call(&world, event));
    assert_eq!((messages(&world), world.ledgers.take_calls()), ((0, 0), (0, 0)));
}

#[test]
fn what_is_missing_or_malformed_is_named_and_never_repeated() {
    let world = TestWorld::default();
    generated(&world, "email");
    pass_cool_down(&world);
    for (field, body) in [
        ("email", json!({})),
        ("phoneNumber", json!({})),
        ("username", json!({ "userId": "63fcedad5ab92b52bfbf5125", "email": null })),
        ("email", json!({ "email": "" })),
        ("email", json!({ "email": "eve@localhost" })),
        ("email", json!({ "email": "eve@localhost", "phoneNumber": PHONE })),
        ("email", json!({ "email": 5 })),
        ("phoneNumber", json!({ "email": EMAIL, "phoneNumber": "4155550100" })),
        ("phoneNumber", json!({ "phoneNumber": "+1415" })),
        ("username", json!({ "username": "" })),
        ("username", json!({ "username": "eve mallory" })),
        ("username", json!({ "username": EMAIL })),
        ("username", json!({ "username": "ada", "email": EMAIL })),
        ("username", json!({ "username": "ada", "phoneNumber": PHONE })),
    ] {
        let reply = call(&world, &recorded("email").json(&body));
        check_names(&reply, field);
        for part in ["eve", "1415", "5550100", "ada"] {
            assert!(!reply.text.contains(part), "{}", reply.text);
        }
    }
    assert_eq!(messages(&world), (1, 0));
}

#[test]
fn where_no_otp_is_open_nothing_is_sent() {
    let refused = |world: &TestWorld, event: &Event, field: &str| {
        let before = messages(world);
        let reply = call(world, event);
        check_shape(&reply);
        let expected = format!("no OTP is open for `{field}`; generate one first");
        assert_eq!(said(&reply), (400, expected.as_str()));
        assert_eq!(messages(world), before);
    };
    let world = TestWorld::default();
    refused(&world, &recorded("email"), "email");
    refused(&world, &recorded("username"), "username");
    refused(&world, &recorded("username").json(&json!({ "username": "nobody" })), "username");
    world.open_and_send();
    pass_cool_down(&world);
    refused(&world, &phone(), "phoneNumber");

    let code = generated(&world, "phone");
    assert_eq!(present(&world, PHONE, &code).status, 200);
    pass_cool_down(&world);
    refused(&world, &phone(), "phoneNumber");

    let code = generated(&world, "phone");
    for _ in 0..5 {
        present(&world, PHONE, &TestWorld::wrong(&code));
    }
    pass_cool_down(&world);
    refused(&world, &phone(), "phoneNumber");

    generated(&world, "email");
    world.clock.advance(Duration::from_hours(1));
    refused(&world, &recorded("email"), "email");
}

#[test]
fn another_apps_otp_is_not_sent_again() {
    let world = world_with_eve();
    generated(&world, "phone");
    pass_cool_down(&world);
    for event in [phone(), recorded("username")] {
        assert_eq!(call(&world, &at_eve(&event)).status, 400);
    }
    assert_eq!(messages(&world), (0, 1));
}

#[test]
fn cool_down_and_count_and_locks_hold_it_back() {
    let world = TestWorld::default();
    generated(&world, "phone");
    world.clock.advance(Duration::from_millis(10_500));
    let early = call(&world, &phone());
    check_shape(&early);
    let rounded_up = (world.cool_down(1).as_secs() - 10).to_string();
    assert_eq!((early.status, early.retry_after.clone()), (429, Some(rounded_up)));
    for sends in 1..usize::from(world.app.policy.max_sends) {
        world.clock.advance(world.cool_down(sends));
        assert_eq!(call(&world, &phone()).status, 200);
    }
    pass_cool_down(&world);
    let spent = call(&world, &phone());
    check_shape(&spent);
    assert_eq!((spent.status, spent.retry_after.as_deref()), (429, Some("3600")));
    assert_eq!(messages(&world), (0, 5));
    assert!(said(&spent).1.contains("`phoneNumber`"));

    let world = TestWorld::without_waits();
    for _ in 0..2 {
        let code = generated(&world, "phone");
        for _ in 0..5 {
            present(&world, PHONE, &TestWorld::wrong(&code));
        }
    }
    let locked = call(&world, &phone());
    assert_eq!((locked.status, locked.retry_after.as_deref()), (429, Some("86400")));
}

#[test]
fn the_code_before_stops_working_and_spent_attempts_stay_spent() {
    let world = TestWorld::default();
    let old = generated(&world, "email");
    for _ in 0..3 {
        present(&world, EMAIL, &TestWorld::wrong(&old));
    }
    pass_cool_down(&world);
    assert_eq!(call(&world, &recorded("email")).status, 200);
    let new = mailed_code(&world);
    assert_eq!(present(&world, EMAIL, &old).outcome, "incorrect", "the fourth attempt");
    assert_eq!(present(&world, EMAIL, &TestWorld::wrong(&new)).outcome, "incorrect", "the fifth");
    assert_eq!(present(&world, EMAIL, &new).outcome, "exhausted");
}

#[test]
fn of_two_messages_none_is_told_for_both() {
    let world = TestWorld::default();
    generated(&world, "email");
    pass_cool_down(&world);
    let reply = call(&world, &recorded("both"));
    check_shape(&reply);
    assert_eq!(
        said(&reply),
        (
            400,
            "the message for `email` was sent; no OTP is open for `phoneNumber`; generate one \
             first"
        )
    );
    assert_eq!(messages(&world), (2, 0));

    generated(&world, "phone");
    let waited = world.cool_down(1).as_secs() * 2 / 3;
    world.clock.advance(Duration::from_secs(waited));
    let reply = call(&world, &recorded("both"));
    let seconds = world.cool_down(2).as_secs() - waited;
    assert_eq!((reply.status, reply.retry_after.clone()), (429, Some(seconds.to_string())));
    assert_eq!(messages(&world), (2, 1), "both are cooling down, and the mail for longer");
    assert_eq!(reply.header("ratelimit"), Some(&*format!("\"cool_down\";r=0;t={seconds}")));

    world.clock.advance(Duration::from_secs(seconds));
    world.couriers.email.answer([Verdict::Lose]);
    let reply = call(&world, &recorded("both"));
    check_shape(&reply);
    assert_eq!((reply.status, reply.retry_after.clone()), (500, Some(retry_after(&world, 3))));
    assert!(said(&reply).1.contains("confirmed the message for `email`"));
    assert!(said(&reply).1.ends_with("the message for `phoneNumber` was sent"));
    assert_eq!(messages(&world), (3, 2));

    world.clock.advance(Duration::from_mins(2));
    let reply = call(&world, &recorded("both"));
    assert_eq!(reply.text, r#"{"success":true,"data":"OTP ReSent"}"#);
    assert_eq!(messages(&world), (4, 3));
    assert_eq!(present(&world, PHONE, &world.last_code()).status, 200);
    assert_eq!(present(&world, EMAIL, &mailed_code(&world)).status, 200);
}

#[test]
fn failures_outside_are_a_500_that_says_when_to_come_back() {
    let world = TestWorld::default();
    generated(&world, "email");
    pass_cool_down(&world);
    world.ledgers.fail_stores([Fault::Unavailable]);
    let lost = call(&world, &recorded("email"));
    world.couriers.email.answer([Verdict::Refuse]);
    let refused = call(&world, &recorded("email"));
    world.users.set_down(true);
    let no_users = call(&world, &recorded("username"));
    let no_keys = TestWorld { keyring: FakeKeyring::none(), ..TestWorld::default() };
    for reply in [lost, refused, no_users, call(&no_keys, &recorded("email"))] {
        check_shape(&reply);
        assert_eq!((reply.status, reply.retry_after.as_deref()), (500, Some("1")));
        assert_eq!(reply.outcome, "unavailable");
    }
    assert_eq!(call(&world, &recorded("email")).status, 200, "nothing was claimed for good");
}

#[test]
fn a_name_leads_to_the_otp_that_is_open_email_first() {
    let world = TestWorld::default();
    generated(&world, "phone");
    pass_cool_down(&world);
    assert_eq!(call(&world, &recorded("username")).status, 200);
    assert_eq!(messages(&world), (0, 2), "nothing is open at the e-mail address");
    generated(&world, "email");
    assert_eq!(call(&world, &recorded("username")).status, 429, "the e-mail's cools down");
    pass_cool_down(&world);
    assert_eq!(call(&world, &recorded("username")).status, 200);
    assert_eq!(messages(&world), (2, 2));
    let code = mailed_code(&world);
    assert_eq!(present(&world, "ada", &code).status, 200);
    pass_cool_down(&world);
    assert_eq!(call(&world, &recorded("username")).status, 200);
    assert_eq!(messages(&world), (2, 3), "the e-mail's has been used");
    let moved = User { email: None, phone: None, ..ada() };
    block_on(world.users.store_user(&moved)).unwrap();
    pass_cool_down(&world);
    assert_eq!(call(&world, &recorded("username")).status, 400);
}

#[test]
fn the_next_code_lives_ten_minutes_and_never_longer_than_its_otp() {
    let world = TestWorld::default();
    generated(&world, "phone");
    world.clock.advance(Duration::from_mins(45));
    let reply = call(&world, &phone());
    assert_eq!((reply.status, reply.outcome), (200, "sent"));
    assert_eq!(reply.text, r#"{"success":true,"data":"OTP ReSent"}"#);
    let code = world.last_code();
    world.clock.advance(Duration::from_secs(599));
    assert_eq!(present(&world, PHONE, &code).status, 200);

    generated(&world, "phone");
    world.clock.advance(Duration::from_mins(59));
    assert_eq!(call(&world, &phone()).status, 200);
    let code = world.last_code();
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(present(&world, PHONE, &code).outcome, "expired");
}

#[test]
fn the_same_request_under_a_key_is_done_once() {
    let generated = || {
        let world = TestWorld::default();
        generated(&world, "phone");
        world.clock.advance(world.cool_down(1));
        (world, phone())
    };
    minds_keys(generated, call);
}

#[test]
fn the_documents_phone_numbers_have_digits() {
    for (phone, is_admitted) in [
        ("+)", false),
        ("+", false),
        ("+1", false),
        ("+ (.-) ", false),
        ("+14155550100", true),
        ("+1 (415) 555-0100", true),
        ("+6834000", true),
    ] {
        let body = json!({ "phoneNumber": phone });
        assert_eq!(admits("POST /v1/otp/resend", &body), is_admitted, "{phone}");
    }
}

#[test]
fn a_client_ip_that_is_none_is_refused() {
    refuses_client_ips(&recorded("both"), |event| call(&TestWorld::default(), event));
}
