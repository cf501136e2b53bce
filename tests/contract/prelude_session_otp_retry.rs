//! `POST /v1/session/otp/retry`.

use crate::prelude::{
    asked, call_check, call_retry, error, minds_origins, needs_an_app, unknown, verification_token,
};
use crate::shared::{minds_keys, retry_after};
use passcode_domain::{App, secret::token::Flow};
use passcode_testkit::{FakeKeyring, Fault, TestWorld, Verdict, demo_app};
use passcode_tests::event::{Event, Reply};
use serde_json::json;
use std::time::Duration;

fn recorded(case: &str) -> Event {
    Event::recorded("prelude-session-otp-retry", case)
}

fn retry(world: &TestWorld, token: &str) -> Reply {
    call_retry(world, &recorded("header").header("x-verification-token", token))
}

fn check(world: &TestWorld, token: &str, code: &str) -> u16 {
    let event = Event::recorded("prelude-session-otp-check", "header");
    let event = event.header("x-verification-token", token).json(&json!({ "code": code }));
    call_check(world, &event).status
}

#[test]
fn pages_of_other_sites_are_refused() {
    let world = TestWorld::default();
    minds_origins(&recorded("header"), &recorded("preflight"), |e| call_retry(&world, e));
    let events = [&recorded("header"), &recorded("preflight")];
    needs_an_app(&world, events, |e| call_retry(&world, e));
}

#[test]
fn tokens_that_lead_nowhere_are_refused() {
    let world = TestWorld::default();
    let (token, code) = asked(&world);
    let nowhere = verification_token(&world, unknown(&world), Flow::Standalone);
    let unsent = verification_token(&world, world.open(), Flow::Standalone);
    for odd in ["", "abc", &token[1..], &nowhere, &unsent] {
        let reply = retry(&world, odd);
        assert_eq!(error(&reply), (400, "invalid_verification_token"), "{odd}");
    }
    assert_eq!(check(&world, &token, &code), 200);
    world.clock.advance(world.cool_down(1));
    assert_eq!(error(&retry(&world, &token)), (400, "invalid_verification_token"), "used");
    let (token, _) = asked(&world);
    world.clock.advance(Duration::from_mins(15));
    assert_eq!(error(&retry(&world, &token)), (400, "invalid_verification_token"), "expired");
}

#[test]
fn a_retry_makes_the_next_code_and_forgives_nothing() {
    let world = TestWorld::default();
    let (token, old) = asked(&world);
    let early = retry(&world, &token);
    assert_eq!(
        (error(&early), early.retry_after.clone()),
        ((429, "rate_limited"), Some(retry_after(&world, 1)))
    );
    for _ in 0..3 {
        assert_eq!(check(&world, &token, &TestWorld::wrong(&old)), 400);
    }
    world.clock.advance(world.cool_down(1));
    let reply = retry(&world, &token);
    assert_eq!((reply.status, reply.text.as_str(), reply.outcome), (204, "", "sent"));
    assert_eq!(reply.header("x-verification-token"), Some(token.as_str()), "the same token");
    assert_eq!(check(&world, &token, &old), 400, "the fourth attempt");
    assert_eq!(check(&world, &token, &world.last_code()), 200);
}

#[test]
fn the_retries_have_an_end() {
    let world = TestWorld::without_waits();
    let (token, code) = asked(&world);
    for sends in 1..usize::from(world.app.policy.max_sends) {
        world.clock.advance(world.cool_down(sends));
        assert_eq!(retry(&world, &token).status, 204);
    }
    world.clock.advance(world.cool_down(1));
    assert_eq!(error(&retry(&world, &token)), (429, "rate_limited"), "five messages");
    let (token, _) = asked(&world);
    for _ in 0..5 {
        check(&world, &token, &TestWorld::wrong(&code));
    }
    world.clock.advance(world.cool_down(1));
    assert_eq!(error(&retry(&world, &token)), (429, "rate_limited"), "no attempt is left");
    let (token, _) = asked(&world);
    for _ in 0..5 {
        check(&world, &token, "0000000000");
    }
    world.clock.advance(world.cool_down(1));
    assert_eq!(error(&retry(&world, &token)), (403, "auth_blocked"), "ten failures in a row");
}

#[test]
fn an_app_that_conceals_rests_here_too() {
    let world = TestWorld::of(App { conceal_blocks: true, ..demo_app() });
    let (token, _) = asked(&world);
    let before = world.clock.slept();
    retry(&world, &token);
    assert!(world.clock.slept() > before);
}

#[test]
fn the_cookie_serves_where_there_is_no_header() {
    let world = TestWorld::default();
    let (token, _) = asked(&world);
    world.clock.advance(world.cool_down(1));
    let mut event = recorded("cookie");
    event.0["cookies"] = json!([format!("__verification-login_demo={token}")]);
    assert_eq!(call_retry(&world, &event).status, 204);
    world.clock.advance(Duration::from_mins(1));
    let older = recorded("older").header("x-verification-token", token.as_str());
    assert_eq!(call_retry(&world, &older).status, 204);
}

#[test]
fn failures_outside_are_internal_and_the_caller_can_go_on() {
    let world = TestWorld::default();
    let (token, _) = asked(&world);
    world.clock.advance(world.cool_down(1));
    world.ledgers.fail_stores([Fault::Unavailable]);
    assert_eq!(error(&retry(&world, &token)), (500, "internal"));
    world.couriers.sms.answer([Verdict::Refuse]);
    assert_eq!(error(&retry(&world, &token)), (500, "internal"));
    let no_keys = TestWorld { keyring: FakeKeyring::none(), ..TestWorld::default() };
    assert_eq!(error(&retry(&no_keys, &token)), (500, "internal"));
    assert_eq!(retry(&world, &token).status, 204);
}

#[test]
fn the_same_request_under_a_key_is_done_once() {
    let asked = || {
        let world = TestWorld::default();
        let (token, _) = asked(&world);
        world.clock.advance(world.cool_down(1));
        (world, recorded("header").header("x-verification-token", token.as_str()))
    };
    minds_keys(asked, call_retry);
}

#[test]
fn a_browser_learns_when_and_not_how_much() {
    let world = TestWorld::default();
    let (token, _) = asked(&world);
    let reply = retry(&world, &token);
    assert_eq!((reply.status, reply.retry_after.clone()), (429, Some(retry_after(&world, 1))));
    assert_eq!((reply.header("ratelimit"), reply.header("ratelimit-policy")), (None, None));
}
