//! `POST /v1/otp`, and `/v1/otp/`.

use crate::shared::parse_request_id;
use crate::{
    shared::{minds_keys, retry_after, with},
    zap_shared::{
        TOKEN, at_eve, bearing, check_names, check_shape, refuses_bodies, refuses_client_ips,
        refuses_strangers, said, world_with_eve,
    },
};
use passcode_domain::{ChallengeId, User, UserId, action::verify::Outcome, ports::StoreUsers as _};
use passcode_testkit::{FakeKeyring, Fault, TestWorld, USER_ID, Verdict, ada, schedule::block_on};
use passcode_tests::{
    document::admits,
    event::{Event, Reply, Served, reply, served},
};
use serde_json::{Value, json};
use std::time::Duration;
use zap_otp_generate::handle;

pub(crate) fn answer(world: &TestWorld, event: &Event) -> Served {
    block_on(served(event, async |request, record| handle(world, request, record).await))
}

pub(crate) fn call(world: &TestWorld, event: &Event) -> Reply {
    reply(event, async |request, record| handle(world, request, record).await)
}

pub(crate) fn recorded(case: &str) -> Event {
    Event::recorded("zap-otp-generate", case)
}

/// Generates an OTP for Ada's phone or mailbox, and returns its code.
pub(crate) fn generated(world: &TestWorld, case: &str) -> String {
    let reply = call(world, &recorded(case));
    assert_eq!(reply.status, 200, "{reply:?}");
    if case == "phone" { world.last_code() } else { mailed_code(world) }
}

/// The code of the last e-mail.
pub(crate) fn mailed_code(world: &TestWorld) -> String {
    let (_, email) = world.couriers.email.taken().pop().unwrap();
    let is_code = |word: &&str| word.len() >= 4 && word.bytes().all(|b| b.is_ascii_digit());
    email.text.split_whitespace().find(is_code).unwrap().to_owned()
}

pub(crate) fn messages(world: &TestWorld) -> (usize, usize) {
    (world.couriers.email.taken().len(), world.couriers.sms.taken().len())
}

pub(crate) fn ids(answer: &Served) -> Vec<ChallengeId> {
    let header = answer.headers["passcode-challenge-id"].to_str().unwrap();
    header.split(", ").map(|id| parse_request_id(id).unwrap()).collect()
}

#[test]
fn strangers_and_bodies_that_are_no_json_object_get_nothing_sent() {
    let world = TestWorld::default();
    for with_and_without_slash in ["email", "phone"] {
        refuses_strangers(&recorded(with_and_without_slash), call);
        refuses_bodies(&recorded(with_and_without_slash), |event| call(&world, event));
    }
    assert_eq!((messages(&world), world.ledgers.take_calls()), ((0, 0), (0, 0)));
}

#[test]
fn what_is_missing_or_malformed_is_named_and_never_repeated() {
    let world = TestWorld::default();
    let long = format!("{}@example.com", "a".repeat(320));
    let whole =
        json!({ "userId": USER_ID, "email": "ada@example.com", "phoneNumber": "+14155550100" });
    for (field, value) in [
        ("userId", Value::Null),
        ("userId", json!("")),
        ("userId", json!("ada lovelace")),
        ("userId", json!("u".repeat(256))),
        ("userId", json!(63)),
        ("email", json!("")),
        ("email", json!("eve.mallory")),
        ("email", json!("eve@localhost")),
        ("email", json!(long)),
        ("email", json!(["eve@example.com"])),
        ("phoneNumber", json!("")),
        ("phoneNumber", json!("2348011111111")),
        ("phoneNumber", json!("+0000000")),
        ("phoneNumber", json!("+2348011111111,")),
        ("phoneNumber", json!("+1234567890123456789")),
        ("phoneNumber", json!(2_348_011_111_111u64)),
    ] {
        let reply = call(&world, &recorded("email").json(&with(whole.clone(), field, &value)));
        check_names(&reply, field);
        for part in ["eve", "234801", "lovelace", "0000000", "uuu", "aaa"] {
            assert!(!reply.text.contains(part), "{field}: {}", reply.text);
        }
    }
    let twice = json!({ "userId": USER_ID, "UserId": USER_ID });
    check_names(&call(&world, &recorded("email").json(&twice)), "userId");
    assert_eq!((messages(&world), world.ledgers.take_calls()), ((0, 0), (0, 0)));
}

#[test]
fn a_user_without_an_address_is_sent_nothing() {
    let world = TestWorld::default();
    let id: UserId = "without".parse().unwrap();
    block_on(world.users.store_user(&User::new(world.app.id.clone(), id))).unwrap();
    for user in ["nobody", "without"] {
        let reply = call(&world, &recorded("registered").json(&json!({ "userId": user })));
        check_names(&reply, "userId");
    }
    let reply = call(&world_with_eve(), &at_eve(&recorded("registered")));
    check_names(&reply, "userId");
    assert_eq!((messages(&world), world.ledgers.take_calls()), ((0, 0), (0, 0)));
}

#[test]
fn generating_again_is_a_resend_that_forgives_nothing() {
    let world = TestWorld::default();
    let old = generated(&world, "phone");
    let id = ids(&answer(&world, &recorded("email")))[0];
    let early = call(&world, &recorded("phone"));
    check_shape(&early);
    assert_eq!((early.status, early.retry_after.clone()), (429, Some(retry_after(&world, 1))));
    assert!(said(&early).1.contains("`phoneNumber`"));
    world.clock.advance(world.cool_down(1));
    let again = answer(&world, &recorded("phone"));
    let [phone] = ids(&again)[..] else { panic!("one id: {again:?}") };
    assert_ne!(phone, id, "each address has a challenge of its own");
    let new = world.last_code();
    let verify = |code: &str| block_on(world.verify(phone, code)).unwrap();
    assert_eq!(verify(&old), Outcome::Incorrect);
    for _ in 0..3 {
        verify(&TestWorld::wrong(&new));
    }
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(ids(&answer(&world, &recorded("phone"))), [phone]);
    verify(&TestWorld::wrong(&world.last_code()));
    assert_eq!(verify(&world.last_code()), Outcome::Exhausted);
}

#[test]
fn sends_are_counted_and_a_challenge_makes_room_when_it_ends() {
    let world = TestWorld::default();
    generated(&world, "phone");
    for sends in 1..usize::from(world.app.policy.max_sends) {
        world.clock.advance(world.cool_down(sends));
        generated(&world, "phone");
    }
    let spent = call(&world, &recorded("phone"));
    check_shape(&spent);
    assert_eq!((spent.status, spent.retry_after.as_deref()), (429, Some("3600")));
    world.clock.advance(Duration::from_hours(1));
    generated(&world, "phone");
}

#[test]
fn a_lock_says_when_to_come_back_and_what_others_know_by_an_id_is_none() {
    let locked = TestWorld::without_waits();
    for _ in 0..2 {
        let id = ids(&answer(&locked, &recorded("phone")))[0];
        for _ in 0..5 {
            block_on(locked.verify(id, &TestWorld::wrong(&locked.last_code()))).unwrap();
        }
    }
    let before = messages(&locked);
    let reply = call(&locked, &recorded("phone"));
    check_shape(&reply);
    assert_eq!((reply.status, reply.retry_after.as_deref()), (429, Some("86400")));
    assert_eq!(messages(&locked), before);
    let full = TestWorld::without_waits();
    for _ in 0..8 {
        full.open_and_send();
    }
    generated(&full, "phone");
}

#[test]
fn a_courier_that_refuses_costs_nothing_and_one_that_is_silent_costs_the_cool_down() {
    let world = TestWorld::default();
    world.couriers.sms.answer([Verdict::Refuse, Verdict::Lose]);
    let cool_down = world.cool_down(1).as_secs();
    for (status, wait) in [(500, 1), (500, cool_down), (429, cool_down)] {
        let reply = call(&world, &recorded("phone"));
        check_shape(&reply);
        assert_eq!((reply.status, reply.retry_after.clone()), (status, Some(wait.to_string())));
        assert!(said(&reply).1.contains("`phoneNumber`"));
    }
    world.clock.advance(world.cool_down(1));
    generated(&world, "phone");
}

#[test]
fn failures_outside_are_a_500_that_says_when_to_come_back() {
    let world = TestWorld::default();
    world.ledgers.fail_stores([Fault::Unavailable]);
    let lost = call(&world, &recorded("phone"));
    let no_keys = TestWorld { keyring: FakeKeyring::none(), ..TestWorld::default() };
    let no_keys = call(&no_keys, &recorded("phone"));
    world.users.set_down(true);
    let no_users = call(&world, &recorded("registered"));
    for reply in [lost, no_keys, no_users] {
        check_shape(&reply);
        assert_eq!((reply.status, reply.retry_after.as_deref()), (500, Some("1")));
        assert_eq!(reply.outcome, "unavailable");
    }
    assert_eq!(messages(&world), (0, 0));
    generated(&world, "phone");
}

#[test]
fn of_two_messages_none_is_told_for_both() {
    let both =
        json!({ "userId": USER_ID, "email": "ada@example.com", "phoneNumber": "+14155550100" });
    let both = recorded("email").json(&both);
    let world = TestWorld::default();
    world.couriers.sms.answer([Verdict::Refuse]);
    let reply = call(&world, &both);
    check_shape(&reply);
    assert_eq!((reply.status, reply.retry_after.as_deref()), (500, Some("1")));
    assert_eq!(
        said(&reply).1,
        "the message for `email` was sent; no courier has confirmed the message for \
         `phoneNumber`; try again later"
    );
    let reply = call(&world, &both);
    assert_eq!((reply.status, reply.retry_after.clone()), (429, Some(retry_after(&world, 1))));
    assert!(said(&reply).1.ends_with("the message for `phoneNumber` was sent"));
    assert_eq!(messages(&world), (1, 1));

    let world = TestWorld::default();
    let answer = answer(&world, &both);
    let [email, phone] = ids(&answer)[..] else { panic!("two ids: {answer:?}") };
    assert_eq!(messages(&world), (1, 1));
    let code = mailed_code(&world);
    assert_eq!(block_on(world.verify(phone, &code)).unwrap(), Outcome::Incorrect);
    assert!(matches!(block_on(world.verify(email, &code)), Ok(Outcome::Verified(_))));
}

#[test]
fn the_code_goes_out_and_nothing_of_it_is_told() {
    let world = TestWorld::default();
    for (case, to) in [("email", (1, 0)), ("phone", (1, 1)), ("registered", (2, 1))] {
        let reply = call(&world, &recorded(case));
        assert_eq!((reply.status, reply.outcome), (200, "sent"), "{reply:?}");
        assert_eq!(reply.text, r#"{"success":true,"data":"OTP Generated"}"#);
        assert_eq!(reply.media, "application/json");
        assert_eq!(messages(&world), to, "{case}");
        world.clock.advance(world.cool_down(1));
    }
    assert_eq!(world.couriers.email.taken()[1].0, "ada@example.com");
    world.ledgers.take_calls();
    let answer = answer(&world, &bearing(&recorded("phone"), TOKEN));
    assert_eq!(world.ledgers.take_calls(), (1, 1), "the claim");
    let code = world.last_code();
    let told = format!("{answer:?}");
    for secret in [code.as_str(), "4155550100", "demo-admin", USER_ID] {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
    assert!(matches!(block_on(world.verify(ids(&answer)[0], &code)), Ok(Outcome::Verified(_))));
}

#[test]
fn both_spellings_of_the_user_are_read_and_a_phone_is_the_second_choice() {
    let world = TestWorld::default();
    let user = User { email: None, ..ada() };
    block_on(world.users.store_user(&user)).unwrap();
    // The document knows one spelling, so these are not held against it.
    let other = json!({ "UserId": USER_ID, "email": null });
    assert_eq!(answer(&world, &recorded("registered").json(&other)).status, 200);
    assert_eq!(messages(&world), (0, 1));
    let new = json!({ "UserId": "new-to-the-platform", "phoneNumber": "+2348011111111" });
    assert_eq!(answer(&world, &recorded("phone").json(&new)).status, 200);
    assert_eq!(world.couriers.sms.taken()[1].0, "+2348011111111");
}

#[test]
fn the_challenge_lives_an_hour_and_its_code_ten_minutes() {
    let world = TestWorld::default();
    let id = ids(&answer(&world, &recorded("phone")))[0];
    let first = world.last_code();
    world.clock.advance(Duration::from_mins(10));
    assert_eq!(block_on(world.verify(id, &first)).unwrap(), Outcome::Expired);
    world.clock.advance(Duration::from_mins(49));
    assert_eq!(ids(&answer(&world, &recorded("phone"))), [id]);
    world.clock.advance(Duration::from_mins(1));
    let code = world.last_code();
    assert_eq!(block_on(world.verify(id, &code)).unwrap(), Outcome::Expired);
    assert_ne!(ids(&answer(&world, &recorded("phone"))), [id]);
}

#[test]
fn the_same_request_under_a_key_is_done_once() {
    minds_keys(|| (TestWorld::default(), recorded("phone")), call);
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
        let body = json!({ "userId": "63fcedad5ab92b52bfbf5125", "phoneNumber": phone });
        assert_eq!(admits("POST /v1/otp", &body), is_admitted, "{phone}");
    }
}

#[test]
fn a_client_ip_that_is_none_is_refused() {
    refuses_client_ips(&recorded("phone"), |event| call(&TestWorld::default(), event));
}
