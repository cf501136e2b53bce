//! `POST /v1/session/revoke` and `POST /v1/session/me/revoke`.

use crate::{
    prelude::{error, minds_origins, needs_an_app},
    prelude_sessions::{SignedIn, call_revoke, claims, cookies, given, proven, refresh, sign_in},
};
use passcode_domain::Keyring;
use passcode_testkit::{FakeKeyring, TestWorld};
use passcode_tests::{
    dpop::ClientKey,
    event::{Event, Reply},
};
use serde_json::json;
use std::{sync::Arc, time::Duration};

fn signing_out(token: &str) -> Event {
    let mut event = Event::recorded("prelude-session-revoke", "client");
    event.0["cookies"] = json!([]);
    event.header("x-refresh-token", token)
}

fn revoke_of(world: &TestWorld, signed_in: &SignedIn, query: &[(&str, &str)]) -> Reply {
    let bearer = format!("Bearer {}", signed_in.access);
    let mut event = Event::recorded("prelude-session-revoke", "user");
    let pairs: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    event.0["rawQueryString"] = pairs.join("&").into();
    event.0["queryStringParameters"] = query
        .iter()
        .map(|(k, v)| ((*k).to_owned(), json!(v)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    call_revoke(world, &event.header("authorization", bearer.as_str()))
}

#[test]
fn pages_of_other_sites_are_refused() {
    let world = TestWorld::default();
    for (event, preflight) in [("client", "preflight"), ("user", "user-preflight")] {
        let [event, preflight] =
            [event, preflight].map(|case| Event::recorded("prelude-session-revoke", case));
        minds_origins(&event, &preflight, |event| call_revoke(&world, event));
        let world = TestWorld::default();
        needs_an_app(&world, [&event, &preflight], |event| call_revoke(&world, event));
    }
}

#[test]
fn a_client_signs_out_whatever_it_still_has() {
    let world = TestWorld::default();
    let key = ClientKey::default();
    let signed_in = sign_in(&world, Some(&key));
    let forged = signing_out(&signed_in.refresh).header("dpop", "a.b.c");
    assert_eq!(error(&call_revoke(&world, &forged)), (400, "invalid_dpop_proof"));
    let event = proven(&world, signing_out(&signed_in.refresh), &key);
    let mut outcomes = Vec::new();
    for event in
        [&event, &event, &signing_out("unknown"), &signing_out("").header("x-refresh-token", None)]
    {
        let reply = call_revoke(&world, event);
        outcomes.push(reply.outcome);
        assert_eq!(reply.status, 204);
        let cookie = "__Host-refresh_demo=; HttpOnly; Secure; Path=/; Max-Age=0";
        assert_eq!(cookies(&reply), [cookie]);
    }
    assert_eq!(outcomes, ["revoked", "revoked", "not found", "not found"]);
    assert_eq!(error(&refresh(&world, &signed_in.refresh, Some(&key))), (401, "unauthorized"));
}

#[test]
fn a_token_that_was_spent_long_ago_signs_nobody_out() {
    let world = TestWorld::default();
    let key = ClientKey::default();
    let first = sign_in(&world, Some(&key));
    let second = given(&refresh(&world, &first.refresh, Some(&key)));
    let third = given(&refresh(&world, &second.refresh, Some(&key)));
    assert_eq!(call_revoke(&world, &signing_out(&first.refresh)).outcome, "not found");
    assert_eq!(refresh(&world, &third.refresh, Some(&key)).status, 200);
}

#[test]
fn a_function_that_has_not_heard_of_a_rotation_signs_out_all_the_same() {
    let world = TestWorld::default();
    let secret = r#"{"root":"a-secret-of-at-least-32-characters"}"#;
    let rotated = Keyring::rotated(secret, "another-secret-of-at-least-32-characters").unwrap();
    let rotated = Some(Arc::new(Keyring::from_secret(&rotated).unwrap()));
    let ahead = FakeKeyring { in_hand: rotated.clone(), stored: rotated.clone() };
    let behind = FakeKeyring { in_hand: world.keyring.in_hand.clone(), stored: rotated };
    let world = TestWorld { keyring: ahead, ..world };
    let signed_in = sign_in(&world, None);
    let world = TestWorld { keyring: behind, ..world };
    assert_eq!(call_revoke(&world, &signing_out(&signed_in.refresh)).outcome, "revoked");
}

#[test]
fn whoever_knows_an_id_alone_ends_nothing() {
    let world = TestWorld::default();
    let key = ClientKey::default();
    let signed_in = sign_in(&world, Some(&key));
    let mut forged = signed_in.refresh.clone().into_bytes();
    forged[80] = if forged[80] == b'A' { b'B' } else { b'A' };
    assert_eq!(call_revoke(&world, &signing_out(&String::from_utf8(forged).unwrap())).status, 204);
    assert_eq!(refresh(&world, &signed_in.refresh, Some(&key)).status, 200);
}

#[test]
fn a_user_ends_this_session_others_one_or_all() {
    let world = TestWorld::without_waits();
    let sessions = || [(); 3].map(|()| sign_in(&world, None));
    let lives = |signed_in: &SignedIn| refresh(&world, &signed_in.refresh, None).status == 200;
    let [a, b, c] = sessions();
    let sid = claims(&world, &b.access).sid;
    assert_eq!(revoke_of(&world, &a, &[("target", "session"), ("session_id", &sid)]).status, 204);
    assert_eq!([&a, &b, &c].map(lives), [true, false, true]);
    assert_eq!(revoke_of(&world, &a, &[("target", "others")]).status, 204);
    let again = given(&refresh(&world, &a.refresh, None));
    assert!(!lives(&c), "others");
    let mine = revoke_of(&world, &again, &[("target", "mine")]);
    assert_eq!((mine.status, cookies(&mine).len()), (204, 1), "its own cookie goes");
    assert!(!lives(&again));
    let [a, b, c] = sessions();
    assert_eq!(revoke_of(&world, &a, &[("target", "all")]).status, 204);
    assert_eq!([&a, &b, &c].map(lives), [false; 3]);
    // A session that is over ends and shows no others, though its access token lasts a little longer.
    let other = sign_in(&world, None);
    assert_eq!(error(&revoke_of(&world, &a, &[("target", "all")])), (401, "unauthorized"));
    assert!(lives(&other));
}

#[test]
fn what_names_no_session_of_the_user_ends_nothing() {
    let world = TestWorld::without_waits();
    let signed_in = sign_in(&world, None);
    for query in [
        &[][..],
        &[("target", "")],
        &[("target", "everything")],
        &[("target", "session")],
        &[("target", "session"), ("session_id", "ses_1")],
    ] {
        assert_eq!(error(&revoke_of(&world, &signed_in, query)), (400, "bad_request"), "{query:?}");
    }
    let foreign = [("target", "session"), ("session_id", "ses_AAAAAAAAAAAAAAAAAAAAAAAAAA")];
    assert_eq!(error(&revoke_of(&world, &signed_in, &foreign)), (404, "not_found"));
    for bearer in [None, Some("Bearer"), Some("Bearer a.b.c")] {
        let event =
            Event::recorded("prelude-session-revoke", "user").header("authorization", bearer);
        assert_eq!(error(&call_revoke(&world, &event)), (401, "unauthorized"), "{bearer:?}");
    }
    let no_keys = TestWorld { keyring: FakeKeyring::none(), ..TestWorld::default() };
    assert_eq!(error(&call_revoke(&no_keys, &signing_out("unknown"))), (500, "internal"));
    world.clock.advance(Duration::from_mins(1));
    let late = revoke_of(&world, &signed_in, &[("target", "all")]);
    assert_eq!(error(&late), (401, "unauthorized"), "its client refreshes and asks again");
    assert_eq!(refresh(&world, &signed_in.refresh, None).status, 200);
}
