//! What the ZAP functions have in common: who may call, what a body may be, what an error says.

use crate::shared;
use passcode_domain::{App, app::SecretHash, ports::StoreApps as _};
use passcode_testkit::{TestWorld, demo_app, schedule::block_on};
use passcode_tests::event::{Event, Reply};
use serde_json::json;

/// The status, and what an error says.
pub(crate) fn said(reply: &Reply) -> (u16, &str) {
    (reply.status, reply.json["error"].as_str().unwrap_or("none"))
}

/// An error has these two fields and no other, and a 500 says when to come back.
pub(crate) fn check_shape(reply: &Reply) {
    assert_eq!(reply.media, "application/json");
    let fields: Vec<_> = reply.json.as_object().expect("an object").keys().collect();
    assert_eq!(fields, ["error", "success"], "{reply:?}");
    assert_eq!(reply.json["success"], false);
    assert!(reply.json["error"].as_str().is_some_and(|error| !error.is_empty()));
    assert!(reply.status < 500 || reply.retry_after.is_some(), "{reply:?}");
}

/// A 400 that names the field.
pub(crate) fn check_names(reply: &Reply, field: &str) {
    check_shape(reply);
    let (status, error) = said(reply);
    assert!(status == 400 && error.contains(&format!("`{field}`")), "{field}: {reply:?}");
}

/// A `Passcode-Client-IP` that is no address is refused, in the contract's shape.
pub(crate) fn refuses_client_ips(event: &Event, call: impl Fn(&Event) -> Reply) {
    shared::refuses_client_ips(event, |event| {
        let reply = call(event);
        if reply.status == 400 {
            check_shape(&reply);
        }
        reply
    });
}

/// The bearer of some credential.
pub(crate) fn bearing(event: &Event, credential: &str) -> Event {
    event.clone().header("authorization", format!("Bearer {credential}").as_str())
}

/// An administrator's access token, as the fake issuer reads it.
pub(crate) const TOKEN: &str = "a.b.c|otp:admin";

/// A world in which another app is reached under its own name.
pub(crate) fn world_with_eve() -> TestWorld {
    let world = TestWorld::default();
    let admin_keys = vec![SecretHash::of("eve-admin")];
    let eve = App { id: "eve".parse().unwrap(), admin_keys, ..demo_app() };
    block_on(world.apps.store_app(&eve.validated().unwrap())).unwrap();
    world
}

/// The event, at the other app and from its administrator.
pub(crate) fn at_eve(event: &Event) -> Event {
    let mut event = bearing(event, "eve-admin");
    event.0["requestContext"]["domainName"] = "eve.example.com".into();
    event
}

/// Callers that are refused before anything else is looked at.
pub(crate) fn refuses_strangers(event: &Event, call: impl Fn(&TestWorld, &Event) -> Reply) {
    let world = world_with_eve();
    let mut answers = Vec::new();
    for header in [
        None,
        Some(""),
        Some("Bearer"),
        Some("Bearer "),
        Some("demo-admin"),
        Some("Basic demo-admin"),
        Some("Bearer demo-admi"),
        Some("Bearer demo-admin2"),
        Some("Bearer demo-secret"),
        Some("Bearer eve-admin"),
        Some("Bearer x.y.z"),
        Some("Bearer ada|otp:admin"),
        Some("Bearer a.b|otp:admin"),
    ] {
        answers.push(call(&world, &event.clone().header("authorization", header)));
    }
    let elsewhere = TestWorld::of(App { id: "other".parse().unwrap(), ..demo_app() });
    answers.push(call(&elsewhere, event));
    answers.push(call(&elsewhere, &bearing(event, TOKEN)));
    let without_issuer = TestWorld::of(App { issuer: None, ..demo_app() });
    answers.push(call(&without_issuer, &bearing(event, TOKEN)));
    let mut at_eve = at_eve(event);
    at_eve.0["headers"]["authorization"] = "Bearer demo-admin".into();
    answers.push(call(&world, &at_eve));
    for reply in &answers {
        check_shape(reply);
        assert_eq!((reply.status, &reply.text), (401, &answers[0].text));
    }

    for token in ["a.b.c|", "a.b.c|user:otp:create", "a.b.c|otp:admin2 OTP:ADMIN"] {
        let reply = call(&world, &bearing(event, token));
        check_shape(&reply);
        assert_eq!(said(&reply), (403, "the access token lacks the scope otp:admin"), "{token}");
    }
    let blocked = TestWorld::of(App { blocked: true, ..demo_app() });
    for reply in [call(&blocked, event), call(&blocked, &bearing(event, TOKEN))] {
        check_shape(&reply);
        assert_eq!(said(&reply), (403, "this app is blocked"));
    }
    assert_eq!(call(&blocked, &bearing(event, "demo-admi")).status, 401);

    world.tokens.set_down(true);
    let reply = call(&world, &bearing(event, TOKEN));
    check_shape(&reply);
    assert_eq!((reply.status, reply.retry_after.as_deref()), (500, Some("10")));
    assert_eq!(call(&world, &bearing(event, "demo-admi")).status, 401, "no token: nobody is asked");
    world.apps.set_down(true);
    let reply = call(&world, event);
    check_shape(&reply);
    assert_eq!((reply.status, reply.retry_after.as_deref()), (500, Some("1")));
    for world in [&world, &elsewhere, &without_issuer, &blocked] {
        assert_eq!(world.ledgers.take_calls(), (0, 0));
    }
}

/// Bodies that are refused, whatever the endpoint.
pub(crate) fn refuses_bodies(event: &Event, call: impl Fn(&Event) -> Reply) {
    let big = json!({ "email": "a".repeat(11 * 1024) }).to_string();
    let events = [
        event.clone().body(""),
        event.clone().body("{"),
        event.clone().body("null"),
        event.clone().body("[]"),
        event.clone().body("\"text\""),
        event.clone().body("{} {}"),
        event.clone().body(big),
        // As the contract's own page has it: the text is not closed.
        event.clone().body("{\"phoneNumber\": \"+2348011111111, \"userId\": \"63fc\"}"),
        event.clone().bytes(b"{\"email\":\"\xff\"}"),
        event.clone().header("content-type", None),
        event.clone().header("content-type", ""),
        event.clone().header("content-type", "text/plain"),
        event.clone().header("content-type", "application/x-www-form-urlencoded"),
        event.clone().header("content-type", "multipart/form-data; boundary=b"),
        event.clone().header("content-type", "not a media type"),
    ];
    for event in events {
        let reply = call(&event);
        check_shape(&reply);
        assert_eq!(reply.status, 400, "{}", event.0);
    }
}
