//! Who shares a challenge with whom, through the contracts: two callers who were not given the same
//! id never get the same challenge, a success is never seen by a caller who did not take part, and
//! what anonymous callers do costs nobody else anything.

use crate::shared::parse_request_id;
use crate::{
    otpless_auth_status, otpless_otp_initiate, otpless_otp_verify,
    prelude::{asked, call_check, call_create, error},
    prelude_stepup_request,
    shared::{keyed, messages, row},
    zap_otp_generate, zap_otp_verify,
};
use passcode_domain::{App, app::guard::Mode, secret::token::VerificationToken};

use passcode_testkit::{TestWorld, demo_app, schedule::block_on, without_waits};
use passcode_tests::event::Event;
use serde_json::json;
use std::time::Duration;

#[test]
fn of_two_direct_calls_neither_sees_spends_or_ends_what_the_other_has() {
    let world = TestWorld::without_waits();
    let [first, second] = [1, 2].map(|_| {
        let reply = otpless_otp_initiate::call(&world, &otpless_otp_initiate::recorded("phone"));
        assert_eq!(reply.status, 200, "{reply:?}");
        world.clock.advance(world.cool_down(1));
        (parse_request_id(reply.json["requestId"].as_str().unwrap()).unwrap(), world.last_code())
    });
    assert_ne!(first.0, second.0);
    for _ in 0..5 {
        otpless_otp_verify::present(&world, second.0, &TestWorld::wrong(&second.1));
    }
    assert_eq!(otpless_otp_verify::present(&world, first.0, &first.1).status, 200);
    let [current, older] = otpless_auth_status::both(&world, second.0);
    assert_eq!(current.json["auths"][0]["status"], "FAILED", "its own five wrong codes");
    assert_eq!(older.json["status"], "DECLINE");
    let [current, _] = otpless_auth_status::both(&world, first.0);
    assert_eq!(current.json["auths"][0]["status"], "SUCCESS");
}

/// ZAP's contract names an OTP by its identity, so two administrators who generate for one identity
/// mean the same OTP, and the second call is a resend. Each of them is told its id; the id leads to
/// the OTP while it waits, and tells neither of them afterwards that the other has verified it.
#[test]
fn an_id_of_what_is_found_by_identity_tells_no_success() {
    let world = TestWorld::default();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let event = zap_otp_generate::recorded("phone");
        ids.extend(zap_otp_generate::ids(&zap_otp_generate::answer(&world, &event)));
        world.clock.advance(world.cool_down(1));
    }
    assert_eq!(ids[0], ids[1], "the identity's one OTP");
    let nowhere = |when: &str| {
        for reply in otpless_auth_status::both(&world, ids[0]) {
            assert_eq!(row(&reply), (404, "7168"), "{when}");
        }
    };
    nowhere("while it waits");
    let code = world.last_code();
    let wrong = otpless_otp_verify::present(&world, ids[0], &TestWorld::wrong(&code));
    assert_eq!(row(&wrong), (400, "7118"), "who has the id can verify");
    assert_eq!(zap_otp_verify::present(&world, "+14155550100", &code).status, 200);
    nowhere("after its success");
    for code in [&code, &TestWorld::wrong(&code)] {
        assert_eq!(row(&otpless_otp_verify::present(&world, ids[0], code)), (400, "7114"));
    }
}

#[test]
fn a_user_with_a_token_steps_up_while_anonymous_callers_have_locked_the_address() {
    let world = TestWorld::of(without_waits(demo_app()));
    for _ in 0..2 {
        let (token, code) = asked(&world);
        let id = VerificationToken::id_in(&token, world.keys()).unwrap();
        for _ in 0..5 {
            block_on(world.verify(id, &TestWorld::wrong(&code))).unwrap();
        }
    }
    let anonymous = call_create(&world, &Event::recorded("prelude-session-otp-create", "phone"));
    assert_eq!(error(&anonymous), (403, "auth_blocked"));
    let asked = prelude_stepup_request::call(&world, &prelude_stepup_request::recorded());
    let token = asked.json["challenge_token"].as_str().unwrap();
    let event = Event::recorded("prelude-session-otp-create", "step-up");
    let sent = call_create(&world, &event.json(&json!({ "challenge_token": token })));
    assert_eq!(sent.status, 204, "{sent:?}");
    let event = Event::recorded("prelude-session-otp-check", "header");
    let event = event.header("x-verification-token", sent.header("x-verification-token").unwrap());
    let body = json!({ "code": world.last_code(), "challenge_token": token });
    assert_eq!(call_check(&world, &event.json(&body)).status, 200);
}

#[test]
fn only_what_is_decided_is_held_for_a_second_where_blocks_are_concealed() {
    let world = TestWorld::of(App { conceal_blocks: true, ..demo_app() });
    let phone = || Event::recorded("prelude-session-otp-create", "phone");
    for malformed in ["", "{", "[]", "{}", r#"{"identifier":{"type":"fax","value":"1"}}"#] {
        assert_eq!(call_create(&world, &phone().body(malformed)).status, 400);
    }
    let retry = Event::recorded("prelude-session-otp-retry", "cookie");
    assert_eq!(error(&crate::prelude::call_retry(&world, &retry)).0, 400);
    assert_eq!(world.clock.slept(), Duration::ZERO, "a malformed request is answered at once");
    assert_eq!(call_create(&world, &phone()).status, 204);
    assert!(world.clock.slept() > Duration::ZERO, "a send is held");
}

#[test]
fn a_lock_is_concealed_from_whoever_names_a_waiting_otp_as_well() {
    let world = TestWorld::of(App { conceal_blocks: true, ..without_waits(demo_app()) });
    let mut code = String::new();
    for _ in 0..2 {
        code = zap_otp_generate::generated(&world, "phone");
        for _ in 0..5 {
            zap_otp_verify::present(&world, "+14155550100", &TestWorld::wrong(&code));
        }
    }
    let sent = messages(&world);
    let reply = zap_otp_generate::call(&world, &zap_otp_generate::recorded("phone"));
    assert_eq!((reply.status, reply.outcome, messages(&world)), (200, "concealed", sent));
    // The suppressed OTP waits now, and the lock still holds.
    let again = zap_otp_generate::call(&world, &zap_otp_generate::recorded("phone"));
    assert_eq!((again.status, again.outcome, messages(&world)), (200, "concealed", sent));
    assert_ne!(zap_otp_verify::present(&world, "+14155550100", &code).status, 200);
}

#[test]
fn a_temporary_refusal_is_not_kept_under_a_key() {
    let mut guard = demo_app().guard;
    guard.unverified_per_ip_hour.floor = 1;
    guard.unverified_per_ip_hour.mode = Mode::Enforce;
    let world = TestWorld::of(without_waits(App { guard, ..demo_app() }));
    let event = Event::recorded("prelude-session-otp-create", "phone");
    assert_eq!(call_create(&world, &event).status, 204);
    world.clock.advance(Duration::from_mins(40));
    let event = keyed(&event, "0b2d9a3e-2f5b-4b52-9d55-6a3a0f3a7a11");
    assert_eq!(error(&call_create(&world, &event)), (403, "auth_blocked"));
    world.clock.advance(Duration::from_hours(3));
    let later = call_create(&world, &event);
    assert_eq!((later.status, later.outcome), (204, "sent"), "{later:?}");
}
