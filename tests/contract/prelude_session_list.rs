//! `GET /v1/session/me/list`.

use crate::{
    prelude::{error, minds_origins, needs_an_app},
    prelude_sessions::{
        SignedIn, call_list, call_revoke, claims, finalizing, given, proof_of_phone, proven,
        refresh, seconds, sign_in, url,
    },
    prelude_stepup_request,
};
use passcode_testkit::{FakeKeyring, TestWorld};
use passcode_tests::{
    dpop::ClientKey,
    event::{Event, Reply},
};
use serde_json::{Value, json};
use std::time::Duration;

fn recorded() -> Event {
    Event::recorded("prelude-session-list", "page")
}

fn list(world: &TestWorld, signed_in: &SignedIn, query: &Value) -> Reply {
    let bearer = format!("Bearer {}", signed_in.access);
    let mut event = recorded().header("authorization", bearer.as_str());
    let pairs = query.as_object().unwrap().iter();
    let pairs: Vec<_> =
        pairs.map(|(name, value)| format!("{name}={}", value.as_str().unwrap())).collect();
    event.0["rawQueryString"] = pairs.join("&").into();
    event.0["queryStringParameters"] = query.clone();
    call_list(world, &event)
}

#[test]
fn pages_of_other_sites_and_strangers_are_refused() {
    let world = TestWorld::default();
    let preflight = Event::recorded("prelude-session-list", "preflight");
    minds_origins(&recorded(), &preflight, |event| call_list(&world, event));
    for bearer in [None, Some("Bearer"), Some("Bearer "), Some("Bearer a.b.c")] {
        let reply = call_list(&world, &recorded().header("authorization", bearer));
        assert_eq!(error(&reply), (401, "unauthorized"), "{bearer:?}");
    }
    needs_an_app(&world, [&recorded(), &preflight], |event| call_list(&world, event));
}

#[test]
fn a_page_that_is_none_is_refused() {
    let world = TestWorld::default();
    let signed_in = sign_in(&world, None);
    for limit in ["0", "101", "-1", "x", ""] {
        let reply = list(&world, &signed_in, &json!({ "limit": limit }));
        assert_eq!(error(&reply), (400, "invalid_pagination_limit"), "{limit}");
    }
    for offset in ["-1", "x", ""] {
        let reply = list(&world, &signed_in, &json!({ "offset": offset }));
        assert_eq!(error(&reply), (400, "invalid_pagination_offset"), "{offset}");
    }
    let keyring = world.keyring.clone();
    let world = TestWorld { keyring: FakeKeyring::none(), ..world };
    assert_eq!(error(&list(&world, &signed_in, &json!({}))), (500, "internal"));
    let world = TestWorld { keyring, ..world };
    assert_eq!(list(&world, &signed_in, &json!({})).status, 200);
}

#[test]
fn a_user_sees_the_sessions_that_live_the_last_used_first() {
    let world = TestWorld::without_waits();
    let phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15";
    let event = finalizing(&proof_of_phone(&world));
    let event = event.header("user-agent", phone).header("cloudfront-viewer-country", "US");
    let first = given(&crate::prelude_sessions::call_finalize(&world, &event));
    let mut others = Vec::new();
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(1));
        others.push(sign_in(&world, None));
    }
    world.clock.advance(Duration::from_secs(1));
    let again = given(&refresh(&world, &first.refresh, None));
    world.sessions.take_calls();
    let reply = list(&world, &again, &json!({}));
    assert_eq!(world.sessions.take_calls(), (1, 0), "one query");
    let page = &reply.json;
    assert_eq!(
        (&page["total"], &page["limit"], &page["offset"]),
        (&json!(4), &json!(10), &json!(0))
    );
    let listed = &page["sessions"][0];
    for (name, expected) in [
        ("id", json!(claims(&world, &again.access).sid)),
        ("device_type", json!("mobile")),
        ("device_model", json!("iOS")),
        ("country_code", json!("US")),
        ("created_at", json!("2027-01-15T08:00:00Z")),
        ("last_seen_at", json!("2027-01-15T08:00:04Z")),
        ("expires_at", json!("2027-01-29T08:00:04Z")),
    ] {
        assert_eq!(listed[name], expected, "{name}");
    }
    let second = list(&world, &again, &json!({ "limit": "2", "offset": "1" }));
    let ids: Vec<_> =
        second.json["sessions"].as_array().unwrap().iter().map(|s| &s["id"]).collect();
    let expected: Vec<_> =
        [&others[2], &others[1]].map(|s| json!(claims(&world, &s.access).sid)).into();
    assert_eq!(ids, expected.iter().collect::<Vec<_>>());
    assert_eq!(second.json["sessions"][0]["device_type"], "unknown");
    world.clock.advance(Duration::from_hours(24 * 14));
    let late = sign_in(&world, None);
    assert_eq!(list(&world, &late, &json!({})).json["total"], 1, "the others are over");
}

#[test]
fn a_proof_beside_an_access_token_is_of_the_sessions_key() {
    let world = TestWorld::default();
    let (key, other) = (ClientKey::default(), ClientKey::default());
    let signed_in = sign_in(&world, Some(&key));
    let bearer = format!("Bearer {}", signed_in.access);
    let call = |what: &str, event: &Event| match what {
        "list" => call_list(&world, event),
        "revoke" => call_revoke(&world, event),
        _ => prelude_stepup_request::call(&world, event),
    };
    for what in ["list", "step up", "revoke"] {
        let event = || {
            let event = match what {
                "list" => recorded(),
                "revoke" => Event::recorded("prelude-session-revoke", "user"),
                _ => prelude_stepup_request::recorded(),
            };
            event.header("authorization", bearer.as_str())
        };
        let forged = call(what, &event().header("dpop", "a.b.c"));
        assert_eq!(error(&forged), (400, "invalid_dpop_proof"));
        let foreign = call(what, &proven(&world, event(), &other));
        assert_eq!(error(&foreign), (400, "dpop_key_mismatch"));
        // RFC 9449 §4.2: a proof may name the access token beside it.
        let named = |hash: String| {
            let (url, method) =
                (url(&event()), event().0["requestContext"]["http"]["method"].clone());
            let claims = json!({ "jti": hash, "htm": method, "htu": url, "iat": seconds(&world), "ath": hash });
            call(what, &event().header("dpop", key.sign(&claims).as_str()))
        };
        let other_token = named(passcode_jwt::access_token_hash("another"));
        assert_eq!(error(&other_token), (400, "invalid_dpop_proof"));
        let own = named(passcode_jwt::access_token_hash(&signed_in.access));
        assert!((200..300).contains(&own.status), "{own:?}");
    }
}
