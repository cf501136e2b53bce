//! `POST /v1/otp/verify`.

use crate::{
    zap_otp_generate::{call as generate, generated, mailed_code, recorded as generation},
    zap_shared::{
        TOKEN, at_eve, bearing, check_names, check_shape, refuses_bodies, refuses_strangers,
        world_with_eve,
    },
};
use passcode_domain::{User, action::verify::Outcome, ports::StoreUsers as _};
use passcode_testkit::{FakeKeyring, Fault, TestWorld, ada, schedule::block_on};
use passcode_tests::event::{Event, Reply, reply, served};
use serde_json::{Value, json};
use std::time::Duration;
use zap_otp_verify::handle;

const PHONE: &str = "+14155550100";
const EMAIL: &str = "ada@example.com";

fn call(world: &TestWorld, event: &Event) -> Reply {
    reply(event, async |request, record| handle(world, request, record).await)
}

fn recorded() -> Event {
    Event::recorded("zap-otp-verify", "email")
}

pub(crate) fn present(world: &TestWorld, identity: &str, code: &str) -> Reply {
    call(world, &recorded().json(&json!({ "otp": code, "identity": identity })))
}

fn is_verified(world: &TestWorld, identity: &str, code: &str) -> bool {
    let reply = present(world, identity, code);
    assert!([200, 400].contains(&reply.status), "{reply:?}");
    reply.status == 200
}

#[test]
fn strangers_and_bodies_that_are_no_json_object_are_refused() {
    refuses_strangers(&recorded(), call);
    let world = TestWorld::default();
    refuses_bodies(&recorded(), |event| call(&world, event));
    assert_eq!(world.ledgers.take_calls(), (0, 0));
}

#[test]
fn what_is_missing_or_malformed_is_named_and_spends_nothing() {
    let world = TestWorld::default();
    let code = generated(&world, "email");
    world.ledgers.take_calls();
    let long = format!("{}@example.com", "a".repeat(320));
    for (field, otp, identity) in [
        ("otp", Value::Null, json!(EMAIL)),
        ("otp", json!(""), json!(EMAIL)),
        ("otp", json!("12.34"), json!(EMAIL)),
        ("otp", json!("1".repeat(11)), json!(EMAIL)),
        ("otp", json!(123_456), json!(EMAIL)),
        ("identity", json!(code), Value::Null),
        ("identity", json!(code), json!("")),
        ("identity", json!(code), json!("ada@")),
        ("identity", json!(code), json!(long)),
        ("identity", json!(code), json!("+1415")),
        ("identity", json!(code), json!("ada lovelace")),
        ("identity", json!(code), json!("a".repeat(65))),
        ("identity", json!(code), json!(14_155_550_100u64)),
    ] {
        let mut body = json!({ "otp": otp, "identity": identity });
        body.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let reply = call(&world, &recorded().json(&body));
        check_names(&reply, field);
        for part in [&code, "12.34", "+1415", "lovelace", "aaa"] {
            assert!(!reply.text.contains(part), "{}", reply.text);
        }
    }
    assert_eq!(world.ledgers.take_calls(), (0, 0));
    assert!(is_verified(&world, EMAIL, &code));
}

#[test]
fn wrong_expired_exhausted_used_and_unknown_are_told_alike() {
    let mut told = Vec::new();
    let mut outcomes = Vec::new();
    let mut tell = |reply: Reply| {
        check_shape(&reply);
        outcomes.push(reply.outcome);
        told.push((reply.status, reply.text, reply.media, reply.retry_after));
    };
    let world = TestWorld::default();
    let code = generated(&world, "phone");
    tell(present(&world, PHONE, &TestWorld::wrong(&code)));
    assert!(is_verified(&world, PHONE, &code));
    tell(present(&world, PHONE, &code));
    let code = generated(&world, "phone");
    for _ in 0..5 {
        assert!(!is_verified(&world, PHONE, &TestWorld::wrong(&code)));
    }
    tell(present(&world, PHONE, &code));
    let code = generated(&world, "email");
    world.clock.advance(Duration::from_mins(10));
    tell(present(&world, EMAIL, &code));
    for nobody in ["eve@example.com", "+2348011111111", "eve"] {
        tell(present(&world, nobody, &code));
    }
    assert_eq!(outcomes[..4], ["incorrect", "already used", "exhausted", "expired"]);
    assert_eq!(outcomes[4..], ["not found"; 3]);
    assert_eq!(told[0].0, 400);
    assert!(told.iter().all(|answer| *answer == told[0]), "{told:?}");
}

#[test]
fn who_guesses_by_identity_cannot_touch_what_is_known_by_its_id() {
    let world = TestWorld::without_waits();
    let (id, by_id) = world.open_and_send();
    assert!(!is_verified(&world, PHONE, &by_id), "it is found by its id alone");
    for _ in 0..2 {
        let code = generated(&world, "phone");
        for _ in 0..5 {
            assert!(!is_verified(&world, PHONE, &TestWorld::wrong(&code)));
        }
    }
    assert_eq!(generate(&world, &generation("phone")).status, 429, "locked by identity");
    let verify = |code: &str| block_on(world.verify(id, code)).unwrap();
    for _ in 0..4 {
        assert_eq!(verify(&TestWorld::wrong(&by_id)), Outcome::Incorrect, "no attempt is spent");
    }
    assert!(matches!(verify(&by_id), Outcome::Verified(_)));
    world.open_and_send();
}

#[test]
fn who_guesses_by_id_cannot_touch_what_is_found_by_identity() {
    let world = TestWorld::default();
    let code = generated(&world, "phone");
    for _ in 0..2 {
        let (id, by_id) = world.open_and_send();
        for _ in 0..5 {
            block_on(world.verify(id, &TestWorld::wrong(&by_id))).unwrap();
        }
    }
    let (id, by_id) = (world.open(), world.last_code());
    assert_ne!(block_on(world.verify(id, &by_id)).unwrap(), Outcome::Incorrect, "locked by id");
    for _ in 0..4 {
        assert!(!is_verified(&world, PHONE, &TestWorld::wrong(&code)));
    }
    assert!(is_verified(&world, PHONE, &code));
}

#[test]
fn a_right_code_by_id_does_not_forgive_the_guesses_by_identity() {
    let world = TestWorld::without_waits();
    for _ in 0..2 {
        let code = generated(&world, "phone");
        for _ in 0..5 {
            assert!(!is_verified(&world, PHONE, &TestWorld::wrong(&code)));
        }
        let (id, by_id) = world.open_and_send();
        assert!(matches!(block_on(world.verify(id, &by_id)), Ok(Outcome::Verified(_))));
    }
    assert_eq!(generate(&world, &generation("phone")).status, 429);
}

#[test]
fn another_apps_identity_leads_nowhere_and_loses_nothing() {
    let world = world_with_eve();
    let code = generated(&world, "phone");
    for identity in [PHONE, "ada"] {
        let body = json!({ "otp": code, "identity": identity });
        let reply = call(&world, &at_eve(&recorded().json(&body)));
        assert_eq!((reply.status, reply.outcome), (400, "not found"));
    }
    assert!(is_verified(&world, PHONE, &code));
}

#[test]
fn a_name_costs_one_attempt_at_one_address() {
    let world = TestWorld::default();
    let (mailed, texted) = (generated(&world, "email"), generated(&world, "phone"));
    world.ledgers.take_calls();
    assert!(!is_verified(&world, "ada", &texted), "the e-mail's is asked for");
    assert_eq!(world.ledgers.take_calls(), (2, 2), "the other address is only feigned");
    assert!(!is_verified(&world, "nobody", &texted));
    assert_eq!(world.ledgers.take_calls(), (2, 2), "and so are both of a name that nobody has");
    for _ in 0..4 {
        assert!(!is_verified(&world, PHONE, &TestWorld::wrong(&texted)), "none of these is spent");
    }
    assert!(is_verified(&world, "ADA", &mailed));
    assert!(is_verified(&world, "ada", &texted), "once the e-mail's is used");
    assert!(!is_verified(&world, "ada", &texted));
}

#[test]
fn a_name_leads_to_the_registered_addresses_and_nowhere_else() {
    let world = TestWorld::default();
    let named = Event::recorded("zap-otp-verify", "username");
    assert_eq!(call(&world, &named).outcome, "not found");
    let code = generated(&world, "phone");
    assert!(is_verified(&world, "ada", &code), "nothing waits at the e-mail address");
    let code = generated(&world, "email");
    let moved = User { email: None, phone: None, ..ada() };
    block_on(world.users.store_user(&moved)).unwrap();
    assert_eq!(present(&world, "ada", &code).outcome, "not found");
    assert!(is_verified(&world, EMAIL, &code));
}

#[test]
fn failures_outside_are_a_500_and_the_caller_can_go_on() {
    let world = TestWorld::default();
    let code = generated(&world, "phone");
    world.ledgers.fail_stores([Fault::Unavailable]);
    let lost = present(&world, PHONE, &code);
    world.users.set_down(true);
    let no_users = present(&world, "ada", &code);
    let no_keys = TestWorld { keyring: FakeKeyring::none(), ..TestWorld::default() };
    for reply in [lost, no_users, present(&no_keys, PHONE, &code)] {
        check_shape(&reply);
        assert_eq!((reply.status, reply.retry_after.as_deref()), (500, Some("1")));
        assert_eq!(reply.outcome, "unavailable");
    }
    assert!(is_verified(&world, PHONE, &code));
}

#[test]
fn the_right_code_is_verified_once_however_the_address_is_spelt() {
    let world = TestWorld::default();
    for (case, spellings) in
        [("email", [EMAIL, "ADA@Example.com"]), ("phone", [PHONE, "+1 (415) 555-0100"])]
    {
        for identity in spellings {
            let code = generated(&world, case);
            world.ledgers.take_calls();
            let reply = present(&world, identity, &format!("{}-{}", &code[..3], &code[3..]));
            assert_eq!((reply.status, reply.outcome), (200, "verified"), "{identity}");
            assert_eq!(reply.text, r#"{"success":true,"data":"OTP verified"}"#);
            assert_eq!(reply.media, "application/json");
            assert_eq!(world.ledgers.take_calls(), (1, 1));
            assert!(!is_verified(&world, identity, &code));
        }
    }
}

#[test]
fn the_record_names_the_challenge_and_no_address_code_or_token() {
    let world = TestWorld::default();
    let code = generated(&world, "email");
    assert_eq!(code, mailed_code(&world));
    let body = json!({ "otp": code, "identity": EMAIL });
    let event = bearing(&recorded().json(&body), TOKEN);
    let answer =
        block_on(served(&event, async |request, record| handle(&world, request, record).await));
    assert_eq!(answer.status, 200);
    assert!(answer.record.challenge.is_some() && answer.record.channel.is_some());
    let told = format!("{answer:?}");
    for secret in [code.as_str(), "ada@", TOKEN] {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
}
