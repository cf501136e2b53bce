//! `POST /v1/session/refresh`.

use crate::{
    prelude::{call_check, call_create, error, minds_origins, needs_an_app},
    prelude_sessions::{
        SignedIn, body_with, call_refresh, call_revoke, claims, given, proof_of_phone, proven,
        proven_as, refresh, refreshing, seconds, sign_in,
    },
    prelude_stepup_request,
};
use passcode_domain::{App, Keyring, app::session::SessionPolicy, session::MAX_NAMES};
use passcode_testkit::{FakeKeyring, FakeSigningKeys, TestWorld, demo_app};
use passcode_tests::{
    dpop::ClientKey,
    event::{Event, Reply},
};
use serde_json::json;
use std::{sync::Arc, time::Duration};

#[test]
fn pages_of_other_sites_are_refused() {
    let world = TestWorld::default();
    let preflight = Event::recorded("prelude-session-refresh", "preflight");
    minds_origins(&refreshing("A"), &preflight, |event| call_refresh(&world, event));
    needs_an_app(&world, [&refreshing("A"), &preflight], |event| call_refresh(&world, event));
    let world = TestWorld::of(App { blocked: true, ..demo_app() });
    assert_eq!(error(&call_refresh(&world, &refreshing("A"))), (403, "auth_blocked"));
}

#[test]
fn what_is_no_token_of_a_session_refreshes_nothing() {
    let world = TestWorld::default();
    let key = ClientKey::default();
    let signed_in = sign_in(&world, Some(&key));
    let mut changed = signed_in.refresh.clone().into_bytes();
    changed[70] = if changed[70] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    for odd in ["", "abc", &signed_in.refresh.to_lowercase(), &changed, &"A".repeat(84)] {
        let reply = refresh(&world, odd, Some(&key));
        assert_eq!(error(&reply), (401, "unauthorized"), "{odd}");
        assert_eq!(reply.header("x-refresh-token"), None, "only a success gives one");
    }
    let none = refreshing("").header("x-refresh-token", None);
    assert_eq!(error(&call_refresh(&world, &none)), (401, "unauthorized"));
    let odd = refreshing(&signed_in.refresh).body("[]");
    assert_eq!(error(&call_refresh(&world, &odd)), (400, "bad_request"));
    assert_eq!(refresh(&world, &signed_in.refresh, Some(&key)).status, 200);
}

#[test]
fn a_refresh_is_one_read_and_one_write_and_rotates_the_token() {
    let world = TestWorld::default();
    let key = ClientKey::default();
    let first = sign_in(&world, Some(&key));
    world.sessions.take_calls();
    world.ledgers.take_calls();
    world.clock.advance(Duration::from_mins(2));
    let reply = refresh(&world, &first.refresh, Some(&key));
    assert_eq!((world.sessions.take_calls(), world.ledgers.take_calls()), ((1, 1), (0, 0)));
    let second = given(&reply);
    assert_ne!(first, second);
    let [before, after] = [&first.access, &second.access].map(|token| claims(&world, token));
    assert_eq!((before.sub, before.sid), (after.sub, after.sid));
    assert_eq!((after.iat, reply.json["expires_at"].as_u64()), (seconds(&world), Some(after.exp)));
    let dump = world.sessions.dump();
    for secret in [&first.refresh, &second.refresh, &second.access] {
        assert!(!dump.contains(&secret[..40]) && !dump.contains(&secret[44..]), "{dump}");
    }
    assert!(dump.len() < 900, "{} bytes: {dump}", dump.len());
}

#[test]
fn a_token_that_was_spent_ends_the_session() {
    let world = TestWorld::default();
    let key = ClientKey::default();
    let first = sign_in(&world, Some(&key));
    let second = given(&refresh(&world, &first.refresh, Some(&key)));
    let third = given(&refresh(&world, &second.refresh, Some(&key)));
    // Another tab of the client may have been overtaken twice in a moment.
    let overtaken = refresh(&world, &first.refresh, Some(&key));
    assert_eq!((error(&overtaken), overtaken.outcome), ((401, "unauthorized"), "denied"));
    world.clock.advance(Duration::from_mins(1));
    let reply = refresh(&world, &first.refresh, Some(&key));
    assert_eq!((error(&reply), reply.outcome), ((401, "unauthorized"), "reused"));
    for token in [&first, &second, &third] {
        let reply = refresh(&world, &token.refresh, Some(&key));
        assert_eq!((error(&reply), reply.outcome), ((401, "unauthorized"), "denied"));
    }
}

#[test]
fn a_client_that_lost_the_answer_is_given_it_again() {
    // With a key until the successor is shown; without one for as long as the published clients ask again.
    for key in [Some(ClientKey::default()), None] {
        let world = TestWorld::default();
        let key = key.as_ref();
        let first = sign_in(&world, key);
        let second = given(&refresh(&world, &first.refresh, key));
        world.sessions.take_calls();
        world.clock.advance(Duration::from_secs(59));
        let again = given(&refresh(&world, &first.refresh, key));
        assert_eq!(again.refresh, second.refresh, "the same as the original");
        let is_proven = u64::from(key.is_some());
        assert_eq!(world.sessions.take_calls(), (1, is_proven), "a new proof is remembered");
        world.clock.advance(Duration::from_hours(1));
        let late = refresh(&world, &first.refresh, key);
        if key.is_some() {
            assert_eq!(given(&late).refresh, second.refresh, "it has slept meanwhile");
            assert_eq!(refresh(&world, &second.refresh, key).status, 200);
            world.clock.advance(Duration::from_mins(1));
        }
        assert_eq!(error(&refresh(&world, &first.refresh, key)), (401, "unauthorized"));
        assert_eq!(
            error(&refresh(&world, &second.refresh, key)),
            (401, "unauthorized"),
            "it is over"
        );
    }
}

#[test]
fn whoever_has_stolen_the_token_alone_can_neither_use_nor_end_the_session() {
    let world = TestWorld::default();
    let (key, thief) = (ClientKey::default(), ClientKey::default());
    let first = sign_in(&world, Some(&key));
    for token in [&first.refresh, &given(&refresh(&world, &first.refresh, Some(&key))).refresh] {
        assert_eq!(error(&refresh(&world, token, Some(&thief))), (400, "dpop_key_mismatch"));
        assert_eq!(error(&refresh(&world, token, None)), (400, "missing_dpop_proof"));
    }
    let second = given(&refresh(&world, &first.refresh, Some(&key)));
    // A browser that was cleared has kept the cookie and lost the key.
    let mut event = Event::recorded("prelude-session-refresh", "cookie");
    event.0["cookies"] = json!([format!("__Host-refresh_demo={}", first.refresh)]);
    let cleared = call_refresh(&world, &proven(&world, event, &thief));
    assert_eq!(error(&cleared), (401, "unauthorized"), "its user signs in again");
    // Nor with a spent token, long after.
    world.clock.advance(Duration::from_hours(1));
    assert_eq!(error(&refresh(&world, &first.refresh, Some(&thief))), (400, "dpop_key_mismatch"));
    assert_eq!(refresh(&world, &second.refresh, Some(&key)).status, 200);
}

#[test]
fn a_proof_is_good_for_one_refresh() {
    let world = TestWorld::default();
    let key = ClientKey::default();
    let first = sign_in(&world, Some(&key));
    let with = |token: &str, jti: &str, iat| {
        call_refresh(&world, &proven_as(refreshing(token), &key, jti, iat))
    };
    let began = seconds(&world);
    let second = given(&with(&first.refresh, "one", began));
    // A browser sends the same bytes again on a connection that has dropped.
    assert_eq!(given(&with(&first.refresh, "one", began)).refresh, second.refresh);
    let reply = with(&second.refresh, "one", began);
    assert_eq!(error(&reply), (400, "invalid_dpop_proof"), "with another token");
    // Nor does the proof of a repeated request serve for the next one.
    assert_eq!(given(&with(&first.refresh, "two", began)).refresh, second.refresh);
    assert_eq!(error(&with(&second.refresh, "two", began)), (400, "invalid_dpop_proof"));
    // However many come after it, until it is too old anyway.
    let mut token = second.refresh;
    for n in 0..40 {
        world.clock.advance(Duration::from_secs(10));
        token = given(&with(&token, &format!("next-{n}"), seconds(&world))).refresh;
        assert_eq!(error(&with(&token, "one", began)), (400, "invalid_dpop_proof"), "{n}");
    }
    assert!(world.sessions.dump().len() < 1000, "{}", world.sessions.dump());
}

#[test]
fn whoever_has_captured_a_request_does_not_end_the_session_with_it() {
    let world = TestWorld::default();
    let key = ClientKey::default();
    let first = sign_in(&world, Some(&key));
    let captured = proven_as(refreshing(&first.refresh), &key, "captured", seconds(&world));
    let second = given(&call_refresh(&world, &captured));
    world.clock.advance(Duration::from_mins(2));
    // It is answered as it was; without the key the answer is worth nothing.
    assert_eq!(given(&call_refresh(&world, &captured)).refresh, second.refresh);
    let third = given(&refresh(&world, &second.refresh, Some(&key)));
    let other = proven_as(refreshing(&second.refresh), &key, "captured", seconds(&world));
    assert_eq!(
        error(&call_refresh(&world, &other)),
        (400, "invalid_dpop_proof"),
        "and ends nothing"
    );
    assert_eq!(refresh(&world, &third.refresh, Some(&key)).status, 200);
}

#[test]
fn a_session_ends_when_it_is_idle_and_at_the_latest_at_its_end() {
    let session = SessionPolicy { access_seconds: 60, idle_seconds: 3600, max_seconds: 7200 };
    let world = TestWorld::of(App { session, ..demo_app() });
    let key = ClientKey::default();
    let idle = sign_in(&world, Some(&key));
    world.clock.advance(Duration::from_hours(1));
    assert_eq!(error(&refresh(&world, &idle.refresh, Some(&key))), (401, "unauthorized"));
    let mut busy = sign_in(&world, Some(&key)).refresh;
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(2000));
        busy = given(&refresh(&world, &busy, Some(&key))).refresh;
    }
    world.clock.advance(Duration::from_mins(20));
    assert_eq!(error(&refresh(&world, &busy, Some(&key))), (401, "unauthorized"));
}

#[test]
fn a_session_survives_a_rotation_of_the_keyring() {
    let world = TestWorld::default();
    let key = ClientKey::default();
    let first = sign_in(&world, Some(&key));
    let secret = r#"{"root":"a-secret-of-at-least-32-characters"}"#;
    let rotated = Keyring::rotated(secret, "another-secret-of-at-least-32-characters").unwrap();
    let rotated = Some(Arc::new(Keyring::from_secret(&rotated).unwrap()));
    let ahead = FakeKeyring { in_hand: rotated.clone(), stored: rotated.clone() };
    let behind = FakeKeyring { in_hand: world.keyring.in_hand.clone(), stored: rotated };
    let world = TestWorld { keyring: ahead, ..world };
    let second = given(&refresh(&world, &first.refresh, Some(&key)));
    // A function that has not heard of it looks before it refuses.
    let world = TestWorld { keyring: behind, ..world };
    assert_eq!(refresh(&world, &second.refresh, Some(&key)).status, 200);
}

#[test]
fn failures_outside_are_internal_and_the_token_is_still_good() {
    let world = TestWorld::default();
    let key = ClientKey::default();
    let first = sign_in(&world, Some(&key));
    let signing = world.signing.clone();
    let world = TestWorld { signing: FakeSigningKeys::none(), ..world };
    assert_eq!(error(&refresh(&world, &first.refresh, Some(&key))), (500, "internal"));
    let world = TestWorld { signing, ..world };
    assert_eq!(refresh(&world, &first.refresh, Some(&key)).status, 200);
}

#[test]
fn an_apps_tokens_are_not_anothers() {
    let world = TestWorld::default();
    let key = ClientKey::default();
    let signed_in = sign_in(&world, Some(&key));
    let eve = App { id: "eve".parse().unwrap(), ..demo_app() };
    let other = TestWorld { sessions: world.sessions.clone(), ..TestWorld::of(eve) };
    let event = proven(&other, refreshing(&signed_in.refresh), &key);
    let mut event = event;
    event.0["requestContext"]["domainName"] = "eve.example.com".into();
    let url = "https://eve.example.com/v1/session/refresh";
    let proof = key.prove("POST", url, "at-eve", seconds(&other));
    let reply = call_refresh(&other, &event.header("dpop", proof.as_str()).header("origin", None));
    assert_eq!(error(&reply), (401, "unauthorized"));
    assert_eq!(refresh(&world, &signed_in.refresh, Some(&key)).status, 200);
}

// Step-ups.

/// Asks for a scope with an access token: the challenge token.
fn ask_for(world: &TestWorld, signed_in: &SignedIn, scope: &str) -> Reply {
    let bearer = format!("Bearer {}", signed_in.access);
    let event = prelude_stepup_request::recorded().header("authorization", bearer.as_str());
    prelude_stepup_request::call(world, &event.json(&json!({ "scope": scope })))
}

/// Presents the code of a step-up, with a proof that has a name.
fn present(world: &TestWorld, challenge: &str, prove: impl Fn(Event, &str) -> Event) -> Reply {
    let create = Event::recorded("prelude-session-otp-create", "step-up");
    let sent = call_create(world, &create.json(&json!({ "challenge_token": challenge })));
    let token = sent.header("x-verification-token").unwrap();
    let event = Event::recorded("prelude-session-otp-check", "step-up");
    let body = json!({ "code": world.last_code(), "challenge_token": challenge });
    let event = event.header("x-verification-token", token).json(&body);
    let jti = passcode_jwt::read(world.signing_keys(), challenge).unwrap().jti;
    call_check(world, &prove(event, &jti))
}

/// Steps up to a scope: the completed challenge token.
fn step_up(world: &TestWorld, signed_in: &SignedIn, key: &ClientKey, scope: &str) -> String {
    let review = ask_for(world, signed_in, scope);
    let challenge = review.json["challenge_token"].as_str().unwrap();
    let now = seconds(world);
    let reply = present(world, challenge, |event, jti| proven_as(event, key, jti, now));
    reply.json["challenge_token"].as_str().unwrap().to_owned()
}

fn refresh_with(world: &TestWorld, token: &str, key: &ClientKey, step_up: &str) -> Reply {
    let event = Event::recorded("prelude-session-refresh", "step-up");
    let event = event.header("x-refresh-token", token).json(&body_with("step_up_token", step_up));
    call_refresh(world, &proven(world, event, key))
}

fn with_mode(mode: passcode_domain::secret::proof::GrantMode) -> TestWorld {
    let mut app = passcode_testkit::without_waits(demo_app());
    app.step_up.get_mut("transfer").unwrap().grant_mode = mode;
    TestWorld::of(app)
}

#[test]
fn a_scope_lasts_as_long_as_its_grant_mode_says() {
    use passcode_domain::secret::proof::GrantMode;
    for (mode, lasts) in [
        (GrantMode::SingleUse, false),
        (GrantMode::SessionBound, true),
        (GrantMode::ProfileBound, true),
    ] {
        let world = with_mode(mode);
        let key = ClientKey::default();
        let first = sign_in(&world, Some(&key));
        let proof = step_up(&world, &first, &key, "transfer");
        let second = given(&refresh_with(&world, &first.refresh, &key, &proof));
        assert_eq!(claims(&world, &second.access).scope, "transfer", "{mode:?}");
        // Whoever has lost the answer is given the scope again, once.
        let again = given(&refresh_with(&world, &first.refresh, &key, &proof));
        assert_eq!(claims(&world, &again.access).scope, "transfer", "{mode:?}");
        let reused = refresh_with(&world, &second.refresh, &key, &proof);
        assert_eq!(error(&reused), (409, "token_reused"), "{mode:?}");
        // Until the access token that has it is over, and not longer.
        world.clock.advance(Duration::from_secs(40));
        let late = given(&refresh_with(&world, &first.refresh, &key, &proof));
        let late = claims(&world, &late.access);
        let is_over_with_the_first = late.exp == seconds(&world) + 20;
        assert_eq!((late.scope.as_str(), is_over_with_the_first), ("transfer", !lasts), "{mode:?}");
        let third = given(&refresh(&world, &second.refresh, Some(&key)));
        let expected = if lasts { "transfer" } else { "" };
        assert_eq!(claims(&world, &third.access).scope, expected, "{mode:?}");
        let other = sign_in(&world, Some(&key));
        assert_eq!(claims(&world, &other.access).scope, "", "not in another session");
        let stolen = refresh_with(&world, &other.refresh, &key, &proof);
        assert_eq!(error(&stolen), (400, "token_mismatch"), "{mode:?}");
    }
}

#[test]
fn what_proves_no_step_up_grants_nothing() {
    let world = TestWorld::without_waits();
    let key = ClientKey::default();
    let first = sign_in(&world, Some(&key));
    let review = ask_for(&world, &first, "transfer");
    let waiting = review.json["challenge_token"].as_str().unwrap();
    let of_login = proof_of_phone(&world);
    for (token, expected) in [
        ("a.b.c", "invalid_challenge_token"),
        (waiting, "step_not_completed"),
        (&of_login, "token_mismatch"),
    ] {
        let reply = refresh_with(&world, &first.refresh, &key, token);
        assert_eq!(error(&reply), (400, expected), "{token}");
    }
    let late = step_up(&world, &first, &key, "transfer");
    world.clock.advance(Duration::from_mins(5));
    let reply = refresh_with(&world, &first.refresh, &key, &late);
    assert_eq!(error(&reply), (400, "expired_challenge_token"));
    assert_eq!(refresh(&world, &first.refresh, Some(&key)).status, 200, "the token is unspent");
}

#[test]
fn a_step_up_is_signed_with_the_key_of_its_session() {
    let world = TestWorld::without_waits();
    let (key, other) = (ClientKey::default(), ClientKey::default());
    let first = sign_in(&world, Some(&key));
    let now = seconds(&world);
    let step = |prove: &dyn Fn(Event, &str) -> Event| {
        let review = ask_for(&world, &first, "transfer");
        let challenge = review.json["challenge_token"].as_str().unwrap().to_owned();
        present(&world, &challenge, prove)
    };
    assert_eq!(error(&step(&|event, _| event)), (400, "missing_dpop_proof"));
    let reply = step(&|event, jti| proven_as(event, &other, jti, now));
    assert_eq!(error(&reply), (400, "dpop_key_mismatch"));
    let reply = step(&|event, _| proven_as(event, &key, "another", now));
    assert_eq!(error(&reply), (400, "invalid_dpop_proof"));
    assert_eq!(step(&|event, jti| proven_as(event, &key, jti, now)).status, 200);
    // A client without a key has none to sign with.
    let keyless = sign_in(&world, None);
    let review = ask_for(&world, &keyless, "transfer");
    let challenge = review.json["challenge_token"].as_str().unwrap();
    assert_eq!(present(&world, challenge, |event, _| event).status, 200);
}

#[test]
fn a_session_steps_up_by_the_address_it_was_begun_with_while_it_lives() {
    let world = TestWorld::without_waits();
    let key = ClientKey::default();
    let first = sign_in(&world, Some(&key));
    let blocked = ask_for(&world, &first, "email:change");
    assert_eq!((blocked.status, &blocked.json["status"]), (200, &json!("block")), "no mailbox");
    let revoke = Event::recorded("prelude-session-revoke", "client");
    let revoke = revoke.header("x-refresh-token", first.refresh.as_str());
    assert_eq!(call_revoke(&world, &revoke).status, 204);
    assert_eq!(error(&ask_for(&world, &first, "transfer")), (401, "unauthorized"), "it is over");
    let second = sign_in(&world, Some(&key));
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(error(&ask_for(&world, &second, "transfer")), (401, "unauthorized"), "too late");
}

#[test]
fn a_scope_is_granted_to_the_user_who_has_stepped_up() {
    let world = TestWorld::without_waits();
    let key = ClientKey::default();
    let victim = sign_in(&world, Some(&key));
    // A user of the app's issuer, whose token names the victim's session.
    let sid = claims(&world, &victim.access).sid;
    let bearer = format!("Bearer {}|openid|sid={sid}", passcode_testkit::USER_ID);
    let event = prelude_stepup_request::recorded().header("authorization", bearer.as_str());
    let body = json!({ "scope": "transfer" });
    let review = prelude_stepup_request::call(&world, &event.json(&body));
    let challenge = review.json["challenge_token"].as_str().unwrap();
    let proof = present(&world, challenge, |event, _| event);
    let proof = proof.json["challenge_token"].as_str().unwrap();
    let reply = refresh_with(&world, &victim.refresh, &key, proof);
    assert_eq!(error(&reply), (400, "token_mismatch"));
}

#[test]
fn step_ups_within_minutes_are_counted() {
    let world = with_mode(passcode_domain::secret::proof::GrantMode::SingleUse);
    let key = ClientKey::default();
    let mut token = sign_in(&world, Some(&key));
    for n in 0..MAX_NAMES {
        let proof = step_up(&world, &token, &key, "transfer");
        token = given(&refresh_with(&world, &token.refresh, &key, &proof));
        assert_eq!(claims(&world, &token.access).scope, "transfer", "{n}");
        world.clock.advance(Duration::from_secs(1));
    }
    let proof = step_up(&world, &token, &key, "transfer");
    let reply = refresh_with(&world, &token.refresh, &key, &proof);
    assert_eq!(error(&reply), (429, "rate_limited"), "so that no proof is forgotten early");
}

#[test]
fn the_cookie_is_read_under_the_name_that_only_this_host_can_set() {
    let world = TestWorld::default();
    let signed_in = sign_in(&world, None);
    let mut event = Event::recorded("prelude-session-refresh", "cookie");
    event.0["cookies"] = json!([format!("__refresh_demo={}", signed_in.refresh)]);
    assert_eq!(error(&call_refresh(&world, &event)), (401, "unauthorized"));
}
