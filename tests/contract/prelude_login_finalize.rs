//! `POST /v1/session/login/finalize`, and the older `POST /v1/session/login/otp/check`.

use crate::{
    prelude::{asked, call_check, call_create, error, minds_origins, needs_an_app, stepping_up},
    prelude_sessions::{
        call_finalize, call_refresh, claims, cookies, finalizing, given, proof_of_phone, proven,
        proven_as, refresh, seconds, session_key, sign_in, user_key,
    },
};
use passcode_domain::{App, ports::StoreApps as _};
use passcode_testkit::{FakeKeyring, FakeSigningKeys, TestWorld, demo_app, schedule::block_on};
use passcode_tests::{
    dpop::ClientKey,
    event::{Event, Reply},
};
use serde_json::json;
use std::time::Duration;

#[test]
fn pages_of_other_sites_are_refused() {
    let world = TestWorld::default();
    let preflight = Event::recorded("prelude-login-finalize", "preflight");
    minds_origins(&finalizing("a.b.c"), &preflight, |event| call_finalize(&world, event));
    needs_an_app(&world, [&finalizing("a.b.c"), &preflight], |event| call_finalize(&world, event));
    let world = TestWorld::of(App { blocked: true, ..demo_app() });
    assert_eq!(error(&call_finalize(&world, &finalizing("a.b.c"))), (403, "auth_blocked"));
}

#[test]
fn what_proves_no_address_begins_no_session() {
    let world = TestWorld::default();
    let (_, step) = stepping_up(&world);
    let event = || finalizing("a.b.c");
    for (event, expected) in [
        (event().body(""), "bad_request"),
        (event().json(&json!({ "challenge_token": 1 })), "bad_request"),
        (event(), "invalid_challenge_token"),
        (finalizing(&step), "step_not_completed"),
        (finalizing(&proof_of_step_up(&world)), "token_mismatch"),
    ] {
        assert_eq!(error(&call_finalize(&world, &event)), (400, expected), "{event:?}");
    }
    let late = proof_of_phone(&world);
    world.clock.advance(Duration::from_mins(5));
    assert_eq!(error(&call_finalize(&world, &finalizing(&late))), (400, "expired_challenge_token"));
    assert_eq!(world.sessions.take_calls(), (0, 0));
}

/// The proof of a step-up.
fn proof_of_step_up(world: &TestWorld) -> String {
    let (_, challenge) = stepping_up(world);
    let create = Event::recorded("prelude-session-otp-create", "step-up");
    let sent = call_create(world, &create.json(&json!({ "challenge_token": challenge })));
    let token = sent.header("x-verification-token").unwrap();
    let event = Event::recorded("prelude-session-otp-check", "step-up");
    let body = json!({ "code": world.last_code(), "challenge_token": challenge });
    let reply = call_check(world, &event.header("x-verification-token", token).json(&body));
    reply.json["challenge_token"].as_str().unwrap().to_owned()
}

#[test]
fn a_proof_of_a_key_must_be_one_of_this_request() {
    let world = TestWorld::default();
    let (key, now) = (ClientKey::default(), seconds(&world));
    let token = proof_of_phone(&world);
    let url = "https://api.example.com/v1/session/login/finalize";
    for proof in [
        "a.b.c".to_owned(),
        key.prove("GET", url, "one", now),
        key.prove("POST", "https://api.example.com/v1/session/refresh", "one", now),
        key.prove("POST", &url.replace("api.example.com", "evil.example"), "one", now),
        key.prove("POST", url, "one", now - 601),
        key.prove("POST", url, "one", now + 601),
        key.prove("POST", url, "", now),
        key.sign(&json!({ "jti": "one", "htm": "POST", "htu": url })),
        format!("{0},{0}", key.prove("POST", url, "one", now)),
    ] {
        let event = finalizing(&token).header("dpop", proof.as_str());
        let reply = call_finalize(&world, &event);
        assert_eq!(error(&reply), (400, "invalid_dpop_proof"), "{proof}");
        assert!(reply.json["message"].is_string(), "{reply:?}");
    }
    assert_eq!(world.sessions.take_calls(), (0, 0));
    for iat in [now - 600, now + 600] {
        let token = proof_of_phone(&TestWorld::default());
        let event = proven_as(finalizing(&token), &key, &iat.to_string(), iat);
        assert_ne!(error_code(&call_finalize(&world, &event)), Some("invalid_dpop_proof"));
    }
    assert_eq!(call_finalize(&world, &proven(&world, finalizing(&token), &key)).status, 200);
}

fn error_code(reply: &Reply) -> Option<&str> {
    reply.json["code"].as_str()
}

#[test]
fn a_proof_begins_one_session() {
    let world = TestWorld::default();
    let key = ClientKey::default();
    let token = proof_of_phone(&world);
    world.ledgers.take_calls();
    let reply = call_finalize(&world, &proven(&world, finalizing(&token), &key));
    assert_eq!((world.ledgers.take_calls(), world.sessions.take_calls()), ((1, 0), (1, 1)));
    assert_eq!(reply.outcome, "signed in");
    let signed_in = given(&reply);
    let claims = claims(&world, &signed_in.access);
    let now = seconds(&world);
    assert_eq!((claims.iss.as_str(), claims.aud.as_str()), ("api.example.com", "demo"));
    assert_eq!((claims.iat, claims.nbf, claims.exp), (now, now, now + 60));
    assert_eq!(reply.json["expires_at"], json!(now + 60));
    assert_eq!((claims.scope.as_str(), claims.cc.len()), ("", 0));
    assert!(claims.sub.as_str().starts_with("cred_"), "{claims:?}");
    assert_eq!(claims.sid, session_key(&world, &signed_in.refresh).session.to_string());
    assert_eq!(user_key(&world, &signed_in.access), session_key(&world, &signed_in.refresh).user);
    let cookie =
        format!("__Host-refresh_demo={}; HttpOnly; Secure; Path=/; Max-Age=", signed_in.refresh);
    let [refresh_cookie, verification] = cookies(&reply)[..] else { panic!("{reply:?}") };
    assert_eq!(refresh_cookie, format!("{cookie}1209600"));
    assert_eq!(verification, "__verification-login_demo=; HttpOnly; Secure; Path=/; Max-Age=0");
    let until = reply.header("x-refresh-token-expires-at").unwrap();
    assert!(until.ends_with('Z') && until.starts_with("2027-01-29T"), "{until}");
    // The same client may have lost the answer; nobody else is given the session.
    world.clock.advance(Duration::from_secs(59));
    // Its browser may have kept the cookie: that is no earlier session.
    let again = finalizing(&token).header("x-refresh-token", signed_in.refresh.as_str());
    let again = call_finalize(&world, &proven(&world, again, &key));
    assert_eq!(given(&again).refresh, signed_in.refresh);
    assert_eq!(refresh(&world, &signed_in.refresh, Some(&key)).status, 200);
    for event in [finalizing(&token), proven(&world, finalizing(&token), &ClientKey::default())] {
        assert_eq!(error(&call_finalize(&world, &event)), (409, "token_reused"));
    }
    let late = call_finalize(&world, &proven(&world, finalizing(&token), &key));
    assert_eq!(error(&late), (409, "token_reused"), "the session is in use");
}

#[test]
fn a_session_that_was_ended_is_not_begun_again() {
    let world = TestWorld::default();
    let key = ClientKey::default();
    let token = proof_of_phone(&world);
    let event = || proven(&world, finalizing(&token), &key);
    let first = given(&call_finalize(&world, &event()));
    let revoke = Event::recorded("prelude-session-revoke", "client");
    let revoke = revoke.header("x-refresh-token", first.refresh.as_str());
    assert_eq!(crate::prelude_sessions::call_revoke(&world, &revoke).status, 204);
    world.sessions.forget(passcode_domain::ports::Clock::now(&world.clock));
    assert_eq!(error(&call_finalize(&world, &event())), (409, "token_reused"));
}

#[test]
fn what_is_bound_to_a_secret_asks_for_it() {
    let world = TestWorld::without_waits();
    let (verifier, challenge) = (
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    );
    let create = Event::recorded("prelude-session-otp-create", "phone");
    let identifier = json!({ "type": "phone_number", "value": "+14155550100" });
    let body = |challenge: &str| json!({ "identifier": identifier, "code_challenge": challenge });
    for odd in ["", "plain", &challenge[1..], &format!("{challenge}A")] {
        let reply = call_create(&world, &create.clone().json(&body(odd)));
        assert_eq!(error(&reply), (400, "bad_request"), "{odd}");
    }
    let ask = || {
        let sent = call_create(&world, &create.clone().json(&body(challenge)));
        (sent.header("x-verification-token").unwrap().to_owned(), world.last_code())
    };
    let (token, code) = ask();
    let check = |case: &str| {
        let event = Event::recorded("prelude-session-otp-check", case);
        let event = event.header("x-verification-token", token.as_str());
        call_check(&world, &event.json(&json!({ "code": code })))
    };
    assert_eq!(error(&check("older")), (400, "bad_request"), "there nothing asks for the secret");
    let proof = check("header").json["challenge_token"].as_str().unwrap().to_owned();
    let finalize = |verifier: Option<&str>| {
        let body = json!({ "challenge_token": proof, "code_verifier": verifier });
        call_finalize(&world, &finalizing("").json(&body))
    };
    for odd in [None, Some(""), Some(challenge), Some(&verifier[1..])] {
        assert_eq!(error(&finalize(odd)), (400, "bad_request"), "{odd:?}");
    }
    assert_eq!(finalize(Some(verifier)).status, 200);
    // An unbound proof is not taken from a client that expects a bound one.
    let body = json!({ "challenge_token": proof_of_phone(&world), "code_verifier": verifier });
    let unbound = call_finalize(&world, &finalizing("").json(&body));
    assert_eq!(error(&unbound), (400, "bad_request"));
}

#[test]
fn an_earlier_session_ends_with_the_next() {
    let world = TestWorld::without_waits();
    let key = ClientKey::default();
    let earlier = sign_in(&world, Some(&key));
    let event = finalizing(&proof_of_phone(&world));
    let event = event.header("x-refresh-token", earlier.refresh.as_str());
    let next = given(&call_finalize(&world, &proven(&world, event, &key)));
    assert_eq!(error(&refresh(&world, &earlier.refresh, Some(&key))), (401, "unauthorized"));
    assert_eq!(refresh(&world, &next.refresh, Some(&key)).status, 200);
    let event = finalizing(&proof_of_phone(&world)).header("x-refresh-token", "unknown");
    assert_eq!(call_finalize(&world, &event).status, 200);
}

#[test]
fn failures_outside_are_internal_and_begin_nothing() {
    let world = TestWorld::default();
    let token = proof_of_phone(&world);
    let (keyring, signing) = (world.keyring.clone(), world.signing.clone());
    let world = TestWorld { keyring: FakeKeyring::none(), ..world };
    assert_eq!(error(&call_finalize(&world, &finalizing(&token))), (500, "internal"));
    let world = TestWorld { keyring, signing: FakeSigningKeys::none(), ..world };
    assert_eq!(error(&call_finalize(&world, &finalizing(&token))), (500, "internal"));
    let world = TestWorld { signing, ..world };
    assert_eq!(call_finalize(&world, &finalizing(&token)).status, 200);
}

fn older(token: &str, code: &str) -> Event {
    let event = Event::recorded("prelude-session-otp-check", "older");
    event.header("x-verification-token", token).json(&json!({ "code": code }))
}

#[test]
fn the_older_path_begins_the_session_at_once() {
    let world = TestWorld::default();
    let key = ClientKey::default();
    let (token, code) = asked(&world);
    let wrong = call_check(&world, &proven(&world, older(&token, &TestWorld::wrong(&code)), &key));
    assert_eq!(error(&wrong), (400, "bad_check_code"));
    let forged = older(&token, &code).header("dpop", "a.b.c");
    assert_eq!(error(&call_check(&world, &forged)), (400, "invalid_dpop_proof"), "costs no code");
    let reply = call_check(&world, &proven(&world, older(&token, &code), &key));
    let signed_in = given(&reply);
    let names: Vec<_> = cookies(&reply).iter().map(|cookie| cookie.split('=').next()).collect();
    let expected = ["__Host-refresh_demo", "__verification-login_demo", "__passcode-device_demo"];
    assert_eq!(names, expected.map(Some));
    // The browser client asks again with a new proof where it gets no answer.
    let again = call_check(&world, &proven(&world, older(&token, &code), &key));
    assert_eq!(given(&again).refresh, signed_in.refresh);
    for event in [older(&token, &code), proven(&world, older(&token, &code), &ClientKey::default())]
    {
        assert_eq!(error(&call_check(&world, &event)), (409, "token_reused"));
    }
    assert_eq!(refresh(&world, &signed_in.refresh, Some(&key)).status, 200);
}

#[test]
fn nobody_signs_in_to_a_blocked_app() {
    let world = TestWorld::default();
    let (token, code) = asked(&world);
    let blocked = App { blocked: true, ..demo_app() }.validated().unwrap();
    block_on(world.apps.store_app(&blocked)).unwrap();
    assert_eq!(error(&call_check(&world, &older(&token, &code))), (403, "auth_blocked"));
}

#[test]
fn a_client_without_a_key_signs_in_by_the_older_path_and_refreshes_by_its_cookie() {
    let world = TestWorld::default();
    let (token, code) = asked(&world);
    let reply = call_check(&world, &older(&token, &code));
    let cookie = cookies(&reply)[0].split(';').next().unwrap().to_owned();
    let mut event = Event::recorded("prelude-session-refresh", "cookie");
    event.0["cookies"] = json!([cookie]);
    // Its first answer was lost, and the right code brings it again.
    let again = call_check(&world, &older(&token, &code));
    assert_eq!(cookies(&again)[0], cookies(&reply)[0]);
    let wrong = call_check(&world, &older(&token, &TestWorld::wrong(&code)));
    assert_eq!(error(&wrong), (409, "token_reused"));
    let refreshed = call_refresh(&world, &event);
    assert_eq!(given(&refreshed).refresh.len(), 84);
    let late = call_check(&world, &older(&token, &code));
    assert_eq!(error(&late), (409, "token_reused"), "the session is in use");
}
