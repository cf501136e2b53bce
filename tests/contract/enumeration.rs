//! Whom the table knows is nobody's business: known and unknown ids, users and addresses get the same
//! status, the same bytes and the same number of store calls.

use crate::{
    pace::{bearer, create, verify as verify_user},
    rollout_otp_verify::present as present_by_id,
    zap_otp_generate::generated,
    zap_otp_verify::present as present_by_identity,
};
use passcode_domain::ports::StoreUsers as _;
use passcode_testkit::{FakeEntropy, TestWorld, ada, schedule::block_on};
use passcode_tests::event::{Event, Reply, replied};
use serde_json::json;
use std::time::Duration;

/// What a caller sees and what a clock could tell.
fn seen(
    world: &TestWorld,
    ask: impl FnOnce() -> Reply,
) -> (u16, String, Vec<(String, String)>, u64, u64) {
    world.ledgers.take_calls();
    let reply = ask();
    let (reads, writes) = world.ledgers.take_calls();
    let headers = reply.headers.iter();
    let headers = headers.map(|(name, value)| (name.to_string(), format!("{value:?}"))).collect();
    (reply.status, reply.text, headers, reads, writes)
}

#[test]
fn an_id_that_leads_nowhere_is_refused_as_one_that_leads_somewhere() {
    let world = TestWorld::without_waits();
    let (wrong, code) = world.open_and_send();
    let (used, right) = world.open_and_send();
    let (spent, _) = world.open_and_send();
    let (late, _) = world.open_and_send();
    present_by_id(&world, used, &right);
    for _ in 0..5 {
        present_by_id(&world, spent, &TestWorld::wrong(&code));
    }
    let elsewhere = TestWorld { entropy: FakeEntropy::seeded(5), ..TestWorld::default() };
    let code = TestWorld::wrong(&code);
    let ask = |id| seen(&world, || present_by_id(&world, id, &code));
    let unknown = ask(elsewhere.open());
    for (what, id) in [("wrong", wrong), ("used", used), ("spent", spent), ("unsent", world.open())]
    {
        assert_eq!(ask(id), unknown, "{what}");
    }
    world.clock.advance(Duration::from_secs(601));
    assert_eq!(ask(late), unknown, "late");
}

#[test]
fn a_name_or_an_address_that_nobody_has_is_refused_as_one_that_somebody_has() {
    let world = TestWorld::without_waits();
    let half = passcode_domain::User {
        username: "eve".parse().ok(),
        phone: None,
        ..passcode_domain::User::new(ada().app, "half".parse().unwrap())
    };
    let none = passcode_domain::User::new(ada().app, "none".parse().unwrap());
    let none = passcode_domain::User { username: "mallory".parse().ok(), ..none };
    for user in [half, none] {
        block_on(world.users.store_user(&user)).unwrap();
    }
    let ask = |identity: &str| seen(&world, || present_by_identity(&world, identity, "0000000000"));
    let (nobody, unknown) = (ask("nobody"), ask("unknown@example.com"));
    let check = |when: &str| {
        for name in ["ada", "eve", "mallory"] {
            assert_eq!(ask(name), nobody, "{name}, {when}");
        }
        for address in ["ada@example.com", "+14155550100", "+14155550199"] {
            assert_eq!(ask(address), unknown, "{address}, {when}");
        }
    };
    check("without an OTP");
    generated(&world, "email");
    check("with one by e-mail");
    generated(&world, "phone");
    check("with both");
    for _ in 0..12 {
        ask("ada@example.com");
    }
    check("with one locked");
}

#[test]
fn a_user_who_is_not_there_is_refused_as_one_who_is() {
    let world = TestWorld::without_waits();
    let create = |user: &str| {
        let event = Event::recorded("pace-user-otp-create", "pin");
        let event = bearer(event, &format!("{user}|user:otp:create"));
        let event = event.json(&json!({ "pin": "1794" }));
        seen(&world, || replied(&event, create(&world, &event)))
    };
    let verify = |user: &str| {
        let event = Event::recorded("pace-user-otp-verify", "verify");
        let event = bearer(event, &format!("{user}|user:otp:verify"));
        seen(&world, || verify_user(&world, &event.json(&json!({ "otp": "0000000000" }))))
    };
    let known = ada().id;
    for tried in 0..12 {
        assert_eq!(create(known.as_str()), create("nobody"), "after {tried}");
        assert_eq!(verify(known.as_str()), verify("nobody"), "after {tried}");
    }
}
