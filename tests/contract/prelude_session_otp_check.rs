//! `POST /v1/session/otp/check`.

use crate::prelude::{
    answer_check, asked, call_check, call_create, challenge_token, error, foreign_token,
    minds_origins, needs_an_app, stepping_up, unknown, verification_token,
};
use passcode_domain::{
    App, ChallengeId, Keyring, SigningKeys,
    ports::Clock as _,
    secret::proof::{GrantMode, Purpose, Step},
    secret::token::{Flow, VerificationToken},
};
use passcode_testkit::{
    FakeKeyring, FakeSigningKeys, Fault, TestWorld, USER_ID, schedule::block_on,
};
use passcode_tests::event::{Event, Reply};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

fn recorded(case: &str) -> Event {
    Event::recorded("prelude-session-otp-check", case)
}

fn present(world: &TestWorld, token: &str, code: &str) -> Reply {
    let event = recorded("header").header("x-verification-token", token);
    call_check(world, &event.json(&json!({ "code": code })))
}

fn present_step(world: &TestWorld, token: &str, body: &Value) -> Reply {
    call_check(world, &recorded("step-up").header("x-verification-token", token).json(body))
}

#[test]
fn pages_of_other_sites_are_refused() {
    let world = TestWorld::default();
    minds_origins(&recorded("header"), &recorded("preflight"), |e| call_check(&world, e));
    let events = [&recorded("header"), &recorded("preflight")];
    needs_an_app(&world, events, |e| call_check(&world, e));
}

#[test]
fn what_is_no_request_is_refused_and_spends_nothing() {
    let world = TestWorld::default();
    let (token, _) = asked(&world);
    let event = || recorded("header").header("x-verification-token", token.as_str());
    world.ledgers.take_calls();
    for event in [
        event().body(""),
        event().body("[]"),
        event().json(&json!({})),
        event().json(&json!({ "code": 123_456 })),
        event().json(&json!({ "code": "123456", "challenge_token": 1 })),
        event().header("content-type", "text/plain"),
    ] {
        assert_eq!(error(&call_check(&world, &event)), (400, "bad_request"));
    }
    for code in ["", "12.34", "1234567890123"] {
        assert_eq!(error(&present(&world, &token, code)), (400, "bad_check_code"), "{code}");
    }
    assert_eq!(world.ledgers.take_calls(), (0, 0));
}

#[test]
fn tokens_that_were_not_made_here_are_refused_without_asking_the_store() {
    let world = TestWorld::default();
    let (token, code) = asked(&world);
    let id = token.split_once('.').unwrap().0;
    let foreign = foreign_token(&world, VerificationToken::id_in(&token, world.keys()).unwrap());
    world.ledgers.take_calls();
    for odd in ["", "abc", id, &token[..token.len() - 1], &token.to_lowercase(), &foreign] {
        let reply = present(&world, odd, &code);
        assert_eq!(error(&reply), (400, "invalid_verification_token"), "{odd}");
    }
    let none = recorded("header").header("x-verification-token", None);
    let reply = call_check(&world, &none);
    assert_eq!(error(&reply), (400, "invalid_verification_token"), "neither header nor cookie");
    assert_eq!(world.ledgers.take_calls(), (0, 0));
    assert_eq!(present(&world, &token, &code).status, 200);
}

#[test]
fn wrong_expired_and_unknown_answer_alike() {
    let world = TestWorld::without_waits();
    let (token, code) = asked(&world);
    let incorrect = present(&world, &token, &TestWorld::wrong(&code));
    world.clock.advance(Duration::from_secs(601));
    let expired = present(&world, &token, &code);
    let nowhere = verification_token(&world, unknown(&world), Flow::Standalone);
    let unknown = present(&world, &nowhere, &code);
    for (reply, outcome) in
        [(&incorrect, "incorrect"), (&expired, "expired"), (&unknown, "not found")]
    {
        assert_eq!((error(reply), reply.outcome), ((400, "bad_check_code"), outcome));
        assert_eq!((&reply.text, &reply.headers), (&incorrect.text, &incorrect.headers));
    }
}

#[test]
fn after_the_last_attempt_the_answer_is_to_start_again() {
    let world = TestWorld::without_waits();
    let (token, code) = asked(&world);
    for _ in 0..5 {
        let reply = present(&world, &token, &TestWorld::wrong(&code));
        assert_eq!((error(&reply), reply.outcome), ((400, "bad_check_code"), "incorrect"));
    }
    for code in [&code, &TestWorld::wrong(&code)] {
        let reply = present(&world, &token, code);
        assert_eq!((error(&reply), reply.outcome), ((429, "rate_limited"), "exhausted"));
        assert_eq!(reply.retry_after, None, "waiting does not help");
    }
}

#[test]
fn what_others_guessed_does_not_show_in_a_challenge_with_attempts() {
    let world = TestWorld::without_waits();
    let (token, code) = asked(&world);
    for _ in 0..2 {
        let (other, code) = asked(&world);
        for _ in 0..5 {
            present(&world, &other, &TestWorld::wrong(&code));
        }
    }
    let reply = present(&world, &token, &code);
    assert_eq!((error(&reply), reply.outcome), ((400, "bad_check_code"), "exhausted"));
}

#[test]
fn a_lock_is_not_to_be_told_from_wrong_codes_however_often_one_tries() {
    let tried = |world: &TestWorld, token: &str, code: &str| -> Vec<_> {
        let tries = std::iter::repeat_with(|| {
            world.ledgers.take_calls();
            let reply = present(world, token, code);
            (reply.status, reply.text, reply.headers.len(), world.ledgers.take_calls())
        });
        tries.take(8).collect()
    };
    let world = TestWorld::without_waits();
    let (token, code) = asked(&world);
    let unlocked = tried(&world, &token, &TestWorld::wrong(&code));
    let world = TestWorld::without_waits();
    let (token, code) = asked(&world);
    for _ in 0..2 {
        let (other, code) = asked(&world);
        for _ in 0..5 {
            present(&world, &other, &TestWorld::wrong(&code));
        }
    }
    assert_eq!(tried(&world, &token, &code), unlocked, "the right code is not looked at");
}

#[test]
fn a_dropped_cookie_is_told_what_to_set() {
    let world = TestWorld::default();
    let (_, code) = asked(&world);
    let none = recorded("header").header("x-verification-token", None);
    for reply in [call_check(&world, &none), present(&world, "", &code)] {
        assert_eq!(error(&reply), (400, "invalid_verification_token"));
        let message = reply.json["message"].as_str().unwrap();
        for way in ["X-Verification-Token", "browser.cross_site_cookie"] {
            assert!(message.contains(way), "{message}");
        }
    }
    let forged = present(&world, "forged", &code);
    assert_eq!(forged.json.get("message"), None, "one came, and it is another matter");
}

#[test]
fn pages_of_listed_origins_see_that_a_route_is_unknown() {
    let world = TestWorld::default();
    let call = |event: Event| block_on(answer_check(&world, &event));
    let origin = "https://shop.example";
    for (method, status, text) in [
        ("GET", 404, r#"{"code":"not_found","type":"not_found"}"#),
        ("POST", 404, r#"{"code":"not_found","type":"not_found"}"#),
        ("DELETE", 404, r#"{"code":"not_found","type":"not_found"}"#),
        ("OPTIONS", 204, ""),
    ] {
        let mut event = recorded("unknown");
        event.0["requestContext"]["http"]["method"] = method.into();
        let answer = call(event.clone());
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (status, text), "{method}");
        assert_eq!(answer.headers["access-control-allow-origin"], origin, "{method}");
        assert_eq!(answer.headers["access-control-allow-credentials"], "true", "{method}");
        let foreign = call(event.header("origin", "https://evil.example"));
        assert_eq!(foreign.status, 403, "{method}");
        assert_eq!(foreign.headers.get("access-control-allow-origin"), None, "{method}");
    }
    assert_eq!(world.ledgers.take_calls(), (0, 0));
}

#[test]
fn the_right_code_is_a_proof_once() {
    let world = TestWorld::default();
    let (token, code) = asked(&world);
    let reply = present(&world, &token, &code);
    assert_eq!((reply.status, reply.outcome), (200, "verified"));
    let text = reply.json["challenge_token"].as_str().unwrap();
    let proof = passcode_jwt::read(world.signing_keys(), text).unwrap();
    assert_eq!(proof.aud, world.app.id);
    assert_eq!((proof.current_step, proof.purpose), (Step::Completed, Purpose::Login));
    assert_eq!((proof.grant_mode, proof.scope), (GrantMode::SessionStart, None));
    assert!(proof.sub.starts_with("cred_") && proof.exp - proof.iat == 300);
    // A client that has lost the answer asks again; the proof is the same one, and wrong codes cost attempts.
    let again = present(&world, &token, &code);
    let again = again.json["challenge_token"].as_str().unwrap();
    assert_eq!(passcode_jwt::read(world.signing_keys(), again).unwrap().jti, proof.jti);
    for _ in 0..5 {
        let wrong = present(&world, &token, &TestWorld::wrong(&code));
        assert_eq!(error(&wrong), (409, "token_reused"));
    }
    assert_eq!(error(&present(&world, &token, &code)), (409, "token_reused"), "guessed at");
    let create = Event::recorded("prelude-session-otp-create", "step-up");
    let again = call_create(&world, &create.json(&json!({ "challenge_token": text })));
    assert_eq!(error(&again), (400, "invalid_challenge_token"), "a proof is no challenge");
}

#[test]
fn the_cookie_serves_where_there_is_no_header() {
    for name in ["__verification-login_demo", "__Host-verification-login_demo"] {
        let world = TestWorld::default();
        let (token, code) = asked(&world);
        let mut event = recorded("cookie").json(&json!({ "code": code }));
        event.0["cookies"] = json!(["theme=dark", format!("{name}={token}")]);
        assert_eq!(call_check(&world, &event).status, 200, "{name}");
    }
    let world = TestWorld::default();
    let (token, code) = asked(&world);
    let mut event = recorded("cookie").json(&json!({ "code": code }));
    event.0["cookies"] = json!([format!("__verification-login_eve={token}")]);
    let reply = call_check(&world, &event);
    assert_eq!(error(&reply), (400, "invalid_verification_token"), "another app's cookie");
}

#[test]
fn a_step_up_needs_its_own_challenge_token_beside_the_code() {
    let world = TestWorld::default();
    let (id, challenge) = stepping_up(&world);
    let create = Event::recorded("prelude-session-otp-create", "step-up");
    let sent = call_create(&world, &create.json(&json!({ "challenge_token": challenge })));
    let token = sent.header("x-verification-token").unwrap().to_owned();
    let code = world.last_code();
    let (_, other) = stepping_up(&world);
    for (body, expected) in [
        (json!({ "code": code }), "invalid_challenge_token"),
        (json!({ "code": code, "challenge_token": "a.b.c" }), "invalid_challenge_token"),
        (json!({ "code": code, "challenge_token": other }), "bad_check_code"),
        (json!({ "code": code, "challenge_token": foreign_step(&world, id) }), "token_mismatch"),
    ] {
        assert_eq!(error(&present_step(&world, &token, &body)), (400, expected), "{body}");
    }
    // The challenge token tells of its challenge: the cookie may be of a step-up that was begun since.
    let (standalone, _) = asked(&world);
    let body = json!({ "code": code, "challenge_token": challenge });
    let reply = present_step(&world, &standalone, &body);
    let proof =
        passcode_jwt::read(world.signing_keys(), reply.json["challenge_token"].as_str().unwrap());
    let proof = proof.unwrap();
    assert_eq!((proof.sub.as_str(), proof.scope.as_deref()), (USER_ID, Some("transfer")));
    assert_eq!((proof.current_step, proof.purpose), (Step::Completed, Purpose::StepUp));
    assert_eq!(
        (proof.grant_mode, &proof.challenge_id),
        (GrantMode::SingleUse, &id.print(world.keys()))
    );
    assert!(proof.steps.iter().all(|step| step.done), "{proof:?}");
    let cookieless = recorded("step-up").header("x-verification-token", None).json(&body);
    assert_eq!(call_check(&world, &cookieless).status, 200, "the answer was lost");
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(error(&present_step(&world, &token, &body)), (409, "token_reused"));
    world.clock.advance(Duration::from_mins(14));
    let late = present_step(&world, &token, &body);
    assert_eq!(error(&late), (400, "expired_challenge_token"));
}

/// A step-up's challenge token of another app.
fn foreign_step(world: &TestWorld, id: ChallengeId) -> String {
    let eve = App { id: "eve".parse().unwrap(), ..(*world.app).clone() };
    let eve = TestWorld { app: Arc::new(eve), ..TestWorld::default() };
    challenge_token(&eve, id, eve.clock.now())
}

#[test]
fn of_two_cookies_of_a_name_the_later_one_counts() {
    let world = TestWorld::default();
    let (stale, _) = asked(&world);
    world.clock.advance(Duration::from_mins(1));
    let (token, code) = asked(&world);
    let mut event = recorded("cookie").json(&json!({ "code": code }));
    let name = "__verification-login_demo";
    event.0["cookies"] = json!([format!("{name}={stale}"), format!("{name}={token}")]);
    assert_eq!(call_check(&world, &event).status, 200);
    event.0["cookies"] = json!([format!("{name}={token}"), format!("{name}=forged")]);
    assert_eq!(call_check(&world, &event).status, 200, "one that cannot be read is none");
}

#[test]
fn a_function_that_has_not_heard_of_a_rotation_asks_before_it_refuses() {
    let world = TestWorld::default();
    let secret = r#"{"root":"a-secret-of-at-least-32-characters"}"#;
    let rotated = Keyring::rotated(secret, "another-secret-of-at-least-32-characters").unwrap();
    let rotated = Some(Arc::new(Keyring::from_secret(&rotated).unwrap()));
    let ahead = FakeKeyring { in_hand: rotated.clone(), stored: rotated.clone() };
    let behind = FakeKeyring { in_hand: world.keyring.in_hand.clone(), stored: rotated };
    let world = TestWorld { keyring: ahead, ..world };
    let (token, code) = asked(&world);
    let world = TestWorld { keyring: behind, ..world };
    assert_eq!(present(&world, &token, &code).status, 200);
}

#[test]
fn a_function_that_has_not_heard_of_new_signing_keys_asks_before_it_refuses() {
    let world = TestWorld::default();
    let secret = r#"{"root":"signs-with-at-least-32-characters"}"#;
    let rotated = SigningKeys::rotated(secret, "signs-anew-with-at-least-32-characters").unwrap();
    let rotated = Some(Arc::new(SigningKeys::from_secret(&rotated).unwrap()));
    let ahead = FakeSigningKeys { in_hand: rotated.clone(), stored: rotated.clone() };
    let behind = FakeSigningKeys { in_hand: world.signing.in_hand.clone(), stored: rotated };
    let world = TestWorld { signing: ahead, ..world };
    let (_, token) = stepping_up(&world);
    let world = TestWorld { signing: behind, ..world };
    let event = Event::recorded("prelude-session-otp-create", "step-up");
    let sent = call_create(&world, &event.json(&json!({ "challenge_token": token })));
    let verification = sent.header("x-verification-token").unwrap().to_owned();
    let body = json!({ "code": world.last_code(), "challenge_token": token });
    assert_eq!(present_step(&world, &verification, &body).status, 200);
}

#[test]
fn a_proof_that_cannot_be_signed_costs_no_code() {
    let world = TestWorld::default();
    let (token, code) = asked(&world);
    let signing = world.signing.clone();
    let world = TestWorld { signing: FakeSigningKeys::none(), ..world };
    assert_eq!(error(&present(&world, &token, &code)), (500, "internal"));
    let world = TestWorld { signing, ..world };
    assert_eq!(present(&world, &token, &code).status, 200);
}

#[test]
fn failures_outside_are_internal_and_the_caller_can_go_on() {
    let world = TestWorld::default();
    let (token, code) = asked(&world);
    for faults in [vec![Fault::Unavailable], vec![Fault::Conflict; 12]] {
        world.ledgers.fail_stores(faults);
        let reply = present(&world, &token, &code);
        assert_eq!((error(&reply), reply.retry_after.as_deref()), ((500, "internal"), Some("1")));
    }
    let no_keys = TestWorld { keyring: FakeKeyring::none(), ..TestWorld::default() };
    assert_eq!(error(&present(&no_keys, &token, &code)), (500, "internal"));
    let older = Event::recorded("prelude-session-otp-check", "older");
    let older = older.header("x-verification-token", token.as_str()).json(&json!({ "code": code }));
    assert_eq!(call_check(&world, &older).status, 200, "by the older path as well");
}

#[test]
fn a_device_that_was_verified_is_not_locked_out_by_strangers() {
    let world = TestWorld::default();
    let (token, code) = asked(&world);
    let verified = present(&world, &token, &code);
    let device = verified.header("passcode-device").unwrap().to_owned();
    let cookie = verified.header("set-cookie").unwrap().to_owned();
    assert!(cookie.starts_with(&format!("__passcode-device_demo={device}; ")), "{cookie}");
    assert!(cookie.contains("HttpOnly") && cookie.contains("Max-Age=7776000"), "{cookie}");
    let create = || Event::recorded("prelude-session-otp-create", "phone");
    // Strangers name the same number, and guess, until nobody without the token gets further.
    for _ in 0..60 {
        let reply = call_create(&world, &create());
        if let Some(token) = reply.header("x-verification-token") {
            for _ in 0..5 {
                present(&world, token, "0000000000");
            }
        }
        world.clock.advance(Duration::from_secs(75));
    }
    assert_eq!(error(&call_create(&world, &create())), (403, "auth_blocked"));
    for known in [
        create().header("passcode-device", device.as_str()),
        create().header("cookie", format!("__passcode-device_demo={device}").as_str()),
    ] {
        let reply = call_create(&world, &known);
        assert_eq!(reply.status, 204, "{reply:?}");
        let token = reply.header("x-verification-token").unwrap();
        assert_eq!(present(&world, token, &world.last_code()).status, 200);
    }
    // What the token is worth to whoever shows it for somebody else: nothing.
    let body = json!({ "identifier": { "type": "phone_number", "value": "+14155550101" } });
    let other = create().header("passcode-device", device.as_str()).json(&body);
    call_create(&world, &other);
    let locked = create().header("passcode-device", "AAAA");
    assert_eq!(error(&call_create(&world, &locked)), (403, "auth_blocked"));
}
