//! `POST /v1/session/otp`.

use crate::{
    prelude::{
        asked, call_create, challenge_token, error, minds_origins, needs_an_app, stepping_up,
    },
    shared::{minds_keys, retry_after, with},
};
use passcode_domain::{
    App,
    app::{
        Browser,
        guard::{Limit, Mode},
    },
    ports::{Clock as _, StoreApps as _},
    secret::token::{Flow, VerificationToken},
};
use passcode_http::CdnSecret;
use passcode_testkit::{
    FakeKeyring, Fault, TestWorld, Verdict, demo_app, schedule::block_on, without_waits,
};
use passcode_tests::event::{Event, Reply};
use serde_json::json;
use std::time::Duration;

fn recorded(case: &str) -> Event {
    Event::recorded("prelude-session-otp-create", case)
}

fn ask(world: &TestWorld) -> Reply {
    call_create(world, &recorded("phone"))
}

fn step_up(world: &TestWorld, token: &str) -> Reply {
    call_create(world, &recorded("step-up").json(&json!({ "challenge_token": token })))
}

/// Ten wrong codes of strangers.
fn lock(world: &TestWorld) {
    for _ in 0..2 {
        let (token, code) = asked(world);
        let id = VerificationToken::id_in(&token, world.keys()).unwrap();
        for _ in 0..5 {
            block_on(world.verify(id, &TestWorld::wrong(&code))).unwrap();
        }
    }
}

#[test]
fn pages_of_other_sites_are_refused() {
    let world = TestWorld::default();
    minds_origins(&recorded("email"), &recorded("preflight"), |e| call_create(&world, e));
    let events = [&recorded("phone"), &recorded("preflight")];
    needs_an_app(&world, events, |event| call_create(&world, event));
}

#[test]
fn what_is_no_request_is_refused_and_opens_nothing() {
    let world = TestWorld::default();
    let phone = json!({ "identifier": { "type": "phone_number", "value": "+14155550100" } });
    let identifier = |value: serde_json::Value| with(phone.clone(), "identifier", &value);
    let events = [
        recorded("phone").body(""),
        recorded("phone").body("{"),
        recorded("phone").body("[]"),
        recorded("phone").json(&json!({})),
        recorded("phone").header("content-type", "text/plain"),
        recorded("phone").json(&identifier(json!("+14155550100"))),
        recorded("phone").json(&identifier(json!(["phone_number", "+14155550100"]))),
        recorded("phone").json(&identifier(json!({ "value": "+14155550100" }))),
        recorded("phone").json(&identifier(json!({ "type": "phone_number" }))),
        recorded("phone").json(&identifier(json!({ "type": "fax", "value": "+14155550100" }))),
        recorded("phone")
            .json(&identifier(json!({ "type": "phone_number", "value": "4155550100" }))),
        recorded("phone")
            .json(&identifier(json!({ "type": "phone_number", "value": "a@b.example" }))),
        recorded("phone").json(&identifier(json!({ "type": "email_address", "value": "ada@" }))),
        recorded("phone").json(&with(phone.clone(), "challenge_token", &json!("x.y.z"))),
        recorded("phone").json(&with(phone.clone(), "dispatch_id", &json!(5))),
        recorded("phone").json(&with(phone.clone(), "login_config_id", &json!("lcfg_nowhere"))),
    ];
    for event in events {
        let reply = call_create(&world, &event);
        assert_eq!(error(&reply), (400, "bad_request"), "{}", event.0["body"]);
        assert!(!reply.text.contains("4155550100"), "the answer repeats the number: {reply:?}");
    }
    assert_eq!(world.ledgers.take_calls(), (0, 0));
}

#[test]
fn the_token_comes_in_a_cookie_and_in_a_header_and_in_nothing_else() {
    let world = TestWorld::default();
    for case in ["phone", "email", "older"] {
        world.clock.advance(world.cool_down(1));
        let reply = call_create(&world, &recorded(case));
        assert_eq!((reply.status, reply.text.as_str(), reply.outcome), (204, "", "sent"));
        let token = reply.header("x-verification-token").unwrap();
        let cookie = format!("__verification-login_demo={token}; HttpOnly; Secure; Path=/");
        assert_eq!(reply.header("set-cookie"), Some(cookie.as_str()));
        let read = VerificationToken::parse(token, world.keys(), &world.app.id).unwrap();
        assert_eq!(read.flow, Flow::Standalone);
    }
    assert_eq!((world.couriers.sms.taken().len(), world.couriers.email.taken().len()), (2, 1));
    let other_order =
        r#"{"identifier":{"new":[],"value":"bob@example.com","type":"email_address"}}"#;
    assert_eq!(call_create(&world, &recorded("email").body(other_order)).status, 204);
}

#[test]
fn the_cookie_crosses_sites_only_where_the_app_says_so() {
    let browser = Browser { cross_site_cookie: true, ..demo_app().browser };
    let world = TestWorld::of(App { browser, ..demo_app() });
    let reply = ask(&world);
    let cookie = reply.header("set-cookie").unwrap();
    for part in ["Path=/", "HttpOnly", "Secure", "SameSite=None", "Partitioned"] {
        assert!(cookie.split("; ").any(|found| found == part), "{cookie}");
    }
}

#[test]
fn two_browsers_that_ask_for_one_number_get_challenges_of_their_own() {
    let world = TestWorld::without_waits();
    let tokens = [ask(&world), ask(&world)].map(|reply| {
        assert_eq!(reply.status, 204);
        reply.header("x-verification-token").unwrap().to_owned()
    });
    assert_ne!(tokens[0], tokens[1], "nobody may spend another browser's attempts");
    for _ in 0..6 {
        assert_eq!(ask(&world).status, 204);
    }
    let ninth = ask(&world);
    assert_eq!(error(&ninth), (429, "rate_limited"));
    assert_eq!(ninth.retry_after.as_deref(), Some("900"));
}

#[test]
fn a_locked_number_is_told_or_concealed_as_the_app_says() {
    let world = TestWorld::without_waits();
    lock(&world);
    assert_eq!(error(&ask(&world)), (403, "auth_blocked"));
    let conceals = without_waits(App { conceal_blocks: true, ..demo_app() });
    let (blocked, free) = (TestWorld::of(conceals.clone()), TestWorld::of(conceals));
    lock(&blocked);
    blocked.ledgers.take_calls();
    let rested = blocked.clock.slept();
    let (hidden, real) = (ask(&blocked), ask(&free));
    assert_eq!((hidden.outcome, real.outcome), ("concealed", "sent"));
    assert_eq!((hidden.status, &hidden.text), (real.status, &real.text));
    let shape = |reply: &Reply| -> Vec<(String, usize)> {
        reply.headers.iter().map(|(name, value)| (name.to_string(), value.len())).collect()
    };
    assert_eq!(shape(&hidden), shape(&real));
    assert_eq!(blocked.ledgers.take_calls(), free.ledgers.take_calls());
    let rested = blocked.clock.slept().saturating_sub(rested);
    assert_eq!(rested, free.clock.slept(), "both rest until the second is full");
    assert!(rested > Duration::ZERO);
}

#[test]
fn a_blocked_app_sends_nothing() {
    let world = TestWorld::of(App { blocked: true, ..demo_app() });
    assert_eq!(error(&ask(&world)), (403, "auth_blocked"));
    assert!(world.couriers.sms.taken().is_empty());
}

#[test]
fn challenge_tokens_that_lead_nowhere_are_refused() {
    let world = TestWorld::default();
    let (id, token) = stepping_up(&world);
    for odd in ["", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", &token[..token.len() - 3]] {
        assert_eq!(error(&step_up(&world, odd)), (400, "invalid_challenge_token"), "{odd}");
    }
    let eve = App { id: "eve".parse().unwrap(), ..demo_app() };
    block_on(world.apps.store_app(&eve.validated().unwrap())).unwrap();
    let mut foreign = recorded("step-up").json(&json!({ "challenge_token": token }));
    foreign.0["requestContext"]["domainName"] = json!("eve.example.com");
    assert_eq!(error(&call_create(&world, &foreign)), (400, "token_mismatch"), "another app's");
    world.clock.advance(Duration::from_mins(15));
    assert_eq!(error(&step_up(&world, &token)), (400, "expired_challenge_token"));
    let late = challenge_token(&world, id, world.clock.now());
    assert_eq!(error(&step_up(&world, &late)), (400, "expired_challenge_token"), "its challenge");
    assert!(world.couriers.sms.taken().is_empty());
}

#[test]
fn a_challenge_token_is_answered_with_a_code_and_again_after_the_cool_down() {
    let world = TestWorld::default();
    let (id, token) = stepping_up(&world);
    let reply = step_up(&world, &token);
    assert_eq!(reply.status, 204, "{reply:?}");
    let verification = reply.header("x-verification-token").unwrap();
    let read = VerificationToken::parse(verification, world.keys(), &world.app.id);
    assert_eq!(read, Some(VerificationToken::new(id, Flow::StepUp)));
    let again = step_up(&world, &token);
    assert_eq!(
        (error(&again), again.retry_after.clone()),
        ((429, "rate_limited"), Some(retry_after(&world, 1)))
    );
    world.clock.advance(world.cool_down(1));
    assert_eq!(step_up(&world, &token).status, 204);
}

#[test]
fn failures_outside_are_internal_and_the_caller_can_go_on() {
    let world = TestWorld::default();
    for faults in [vec![Fault::Unavailable], vec![Fault::Conflict; 12]] {
        world.ledgers.fail_stores(faults);
        let reply = ask(&world);
        assert_eq!((error(&reply), reply.retry_after.as_deref()), ((500, "internal"), Some("1")));
    }
    let no_keys = TestWorld { keyring: FakeKeyring::none(), ..TestWorld::default() };
    assert_eq!(error(&ask(&no_keys)), (500, "internal"));
    world.couriers.sms.answer([Verdict::Refuse]);
    assert_eq!(error(&ask(&world)), (500, "internal"), "the courier refuses");
    assert_eq!(ask(&world).status, 204);
}

#[test]
fn a_message_whose_fate_is_unknown_leaves_the_browser_with_its_token() {
    let world = TestWorld::default();
    world.couriers.sms.answer([Verdict::Lose]);
    let reply = ask(&world);
    assert_eq!((reply.status, reply.outcome), (204, "unknown"));
    let token = reply.header("x-verification-token").unwrap();
    let event = Event::recorded("prelude-session-otp-check", "header");
    let event = event.header("x-verification-token", token);
    let event = event.json(&json!({ "code": world.last_code() }));
    assert_eq!(crate::prelude::call_check(&world, &event).status, 200, "its code works");
}

#[test]
fn a_login_config_is_a_template() {
    let templates = [("lcfg_1".to_owned(), "sms = Say { $code }".to_owned())].into();
    let world = TestWorld::of(App { templates, ..demo_app() });
    let body = json!({
        "identifier": { "type": "phone_number", "value": "+14155550100" },
        "login_config_id": "lcfg_1",
    });
    assert_eq!(call_create(&world, &recorded("phone").json(&body)).status, 204);
    assert!(world.couriers.sms.taken()[0].1.text.starts_with("Say "));
}

#[test]
fn the_same_request_under_a_key_is_done_once() {
    minds_keys(|| (TestWorld::default(), recorded("phone")), call_create);
    let step = || {
        let world = TestWorld::default();
        let (_, token) = stepping_up(&world);
        (world, recorded("step-up").json(&json!({ "challenge_token": token })))
    };
    minds_keys(step, call_create);
}

#[test]
fn a_browser_learns_when_and_not_how_much() {
    let world = TestWorld::default();
    let limited = std::iter::repeat_with(|| ask(&world)).find(|reply| reply.status != 204).unwrap();
    assert_eq!(error(&limited), (429, "rate_limited"));
    assert!(limited.retry_after.is_some());
    assert_eq!((limited.header("ratelimit"), limited.header("ratelimit-policy")), (None, None));
}

/// Two viewers of a CDN, whose edge is one address to API Gateway, ask for a message to a number each.
fn through_a_cdn(shown: &str) -> [Reply; 2] {
    let mut app = demo_app();
    app.guard.sends_per_ip = Limit { mode: Mode::Enforce, per_hour: 1, per_day: 1 };
    let world = TestWorld::of(app);
    [("+14155550101", "198.51.100.7:4711"), ("+14155550102", "2001:db8::7:4711")].map(
        |(to, viewer)| {
            let identifier = json!({ "identifier": { "type": "phone_number", "value": to } });
            let mut event = recorded("phone")
                .json(&identifier)
                .header("passcode-cdn-secret", shown)
                .header("cloudfront-viewer-address", viewer);
            CdnSecret::new("a-secret-of-the-cdn".to_owned()).resolve_viewer(&mut event.0);
            call_create(&world, &event)
        },
    )
}

#[test]
fn behind_a_cdn_with_its_secret_viewers_are_counted_and_else_the_edge() {
    assert_eq!(through_a_cdn("a-secret-of-the-cdn").map(|reply| reply.status), [204, 204]);
    assert_eq!(through_a_cdn("a-secret-of-the-cdm").map(|reply| reply.status), [204, 429]);
}
