//! What the PACE functions have in common: who may call, what may be accepted, and what an error is.

use passcode_domain::{
    App,
    app::Issuer,
    ports::{DeleteApps as _, StoreApps as _},
};
use passcode_testkit::{TestWorld, USER_ID, demo_app, schedule::block_on};
use passcode_tests::event::{Event, Reply, Served, replied, reply, served};
use serde_json::json;

/// Status and code of an error, whose form is checked first.
pub(crate) fn error(reply: &Reply) -> (u16, &str) {
    let errors = reply.json["errors"].as_array().unwrap_or_else(|| panic!("{reply:?}"));
    assert_eq!((errors.len(), reply.json.as_object().unwrap().len()), (1, 1), "{reply:?}");
    assert_eq!(reply.media, "application/vnd.api+json");
    let text = |name: &str| errors[0][name].as_str().unwrap_or_else(|| panic!("{name}: {reply:?}"));
    let known = ["code", "detail", "id", "source", "status", "title"];
    assert!(errors[0].as_object().unwrap().keys().all(|key| known.contains(&key.as_str())));
    assert_eq!(text("id"), "KPvBqhJ2joEEJ2w=", "the request's id");
    assert_eq!(text("status"), reply.status.to_string());
    assert_eq!(text("title"), title(text("code")));
    assert!(!text("detail").is_empty());
    (reply.status, text("code"))
}

/// The pointer of an error.
pub(crate) fn pointer(reply: &Reply) -> &str {
    reply.json["errors"][0]["source"]["pointer"].as_str().unwrap_or("none")
}

/// A code's title is the same every time.
fn title(code: &str) -> &'static str {
    match code {
        "unauthorized" => "The access token is missing or not valid",
        "insufficient-scope" => "The access token does not reach this far",
        "missing-linked-identity" => "The user is not linked with a third party",
        "app-blocked" => "The app is blocked",
        "otp:invalid" => "The OTP is not valid",
        "not-found" => "Resource not found",
        "not-acceptable" => "No media type of the answer is accepted",
        "pin-not-secure" => "The PIN is not secure",
        "idempotency-conflict" => "The same request came before",
        "idempotency-key-reused" => "The idempotency key belongs to another request",
        "unsupported-media-type" => "The media type of the body is not supported",
        "invalid-request" => "The request is not valid",
        "invalid-secret" => "The PIN or password is not valid",
        "too-many-requests" => "Too many requests",
        "internal" => "Internal server error",
        code => panic!("{code}"),
    }
}

/// The demo app, with an issuer of another kind.
fn with_issuer(edit: impl FnOnce(&mut Option<Issuer>)) -> App {
    let mut app = demo_app();
    edit(&mut app.issuer);
    app
}

/// A bearer who is not the recorded one.
pub(crate) fn bearer(event: Event, token: &str) -> Event {
    event.header("authorization", format!("Bearer {token}").as_str())
}

/// Callers that are refused before anything else is looked at: without a body that could be read,
/// and with an `Accept` that admits nothing.
pub(crate) fn refuses_strangers(
    recorded: &Event,
    scope: &str,
    call: impl Fn(&TestWorld, &Event) -> Reply,
) {
    let event = recorded.clone().body("{").header("accept", "text/html");
    let world = TestWorld::default();
    let others = format!("{USER_ID}|user:otp:creat user:otp:created user:users.pin|{scope}");
    for (header, code) in [
        (None, "unauthorized"),
        (Some(""), "unauthorized"),
        (Some("Bearer"), "unauthorized"),
        (Some("Bearer "), "unauthorized"),
        (Some(USER_ID), "unauthorized"),
        (Some("Basic ZGVtbzpkZW1v"), "unauthorized"),
        (Some(&format!("Token {USER_ID}|{scope}")), "unauthorized"),
        (Some("Bearer made-up"), "unauthorized"),
        (Some(&format!("Bearer |{scope}")), "unauthorized"),
        (Some(&format!("Bearer {USER_ID}|")), "insufficient-scope"),
        (Some(&format!("Bearer {others}")), "insufficient-scope"),
    ] {
        let reply = call(&world, &event.clone().header("authorization", header));
        assert_eq!((error(&reply), reply.outcome), ((401, code), "denied"), "{header:?}");
    }
    let linked = TestWorld::of(with_issuer(|issuer| {
        issuer.as_mut().unwrap().linked_identity_claim = Some("linked".to_owned());
    }));
    assert_eq!(error(&call(&linked, &event)), (401, "missing-linked-identity"));
    let has_claim = bearer(event.clone(), &format!("{USER_ID}|{scope}|linked"));
    assert_eq!(error(&call(&linked, &has_claim)), (406, "not-acceptable"), "a step further");

    let blocked = TestWorld::of(App { blocked: true, ..demo_app() });
    assert_eq!(error(&call(&blocked, &event)), (401, "app-blocked"));
    let nobodys = TestWorld::of(with_issuer(|issuer| *issuer = None));
    assert_eq!(error(&call(&nobodys, &event)), (404, "not-found"));
    let nowhere = TestWorld::default();
    block_on(nowhere.apps.delete_app(&demo_app().id)).unwrap();
    assert_eq!(error(&call(&nowhere, &event)), (404, "not-found"));

    world.tokens.set_down(true);
    let no_keys = call(&world, &event);
    world.apps.set_down(true);
    for reply in [no_keys, call(&world, &event)] {
        assert_eq!((error(&reply), reply.outcome), ((500, "internal"), "unavailable"));
        assert_eq!(reply.retry_after.as_deref(), Some("1"));
    }
    for world in [world, linked, blocked, nobodys, nowhere] {
        assert_eq!(world.ledgers.take_calls(), (0, 0));
    }
}

/// What a caller may accept: JSON:API everywhere, JSON where the endpoint `speaks_json`. `event` is
/// one that fails a step further, with a status that is not 406.
pub(crate) fn negotiates(event: &Event, speaks_json: bool, call: impl Fn(&Event) -> Reply) {
    let event = event.clone();
    let admitted = |accept: Option<&str>| call(&event.clone().header("accept", accept)).status;
    for accept in [
        None,
        Some("*/*"),
        Some("application/*"),
        Some("application/vnd.api+json"),
        Some("Application/Vnd.Api+JSON"),
        Some("application/vnd.api+json;q=0.1"),
        Some("text/html, application/vnd.api+json;q=0.5"),
        Some("application/vnd.api+json; ext=\"x\", application/vnd.api+json"),
        Some("text/html, */*;q=0.1"),
    ] {
        assert_ne!(admitted(accept), 406, "{accept:?}");
    }
    for accept in [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "application/json;q=0.5",
    ] {
        assert_eq!(admitted(Some(accept)) != 406, speaks_json, "{accept}");
    }
    for accept in [
        "",
        "text/html",
        "application/xml",
        "application/vnd.api",
        "application/vnd.api+xml",
        "application/vnd.api+json;q=0",
        "application/vnd.api+json; version=1",
        "*/*;q=0",
        "not a media type",
    ] {
        let reply = call(&event.clone().header("accept", accept));
        assert_eq!(error(&reply), (406, "not-acceptable"), "{accept}");
    }
}

/// Bodies that are refused, whatever the endpoint, which takes `media`.
pub(crate) fn refuses_bodies(recorded: &Event, media: &str, call: impl Fn(&Event) -> Reply) {
    for wrong in [
        None,
        Some(""),
        Some("text/plain"),
        Some("application/xml"),
        Some("not a media type"),
        Some(if media.contains("vnd") { "application/json" } else { "application/vnd.api+json" }),
    ] {
        let reply = call(&recorded.clone().header("content-type", wrong));
        assert_eq!(error(&reply), (415, "unsupported-media-type"), "{wrong:?}");
    }
    let big = json!({ "pin": "a".repeat(11 * 1024) }).to_string();
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    let parameter = format!("{media}; charset=utf-8");
    for event in [
        recorded.clone().body(""),
        recorded.clone().body("{"),
        recorded.clone().body("{}").header("content-type", parameter.as_str()),
        recorded.clone().body("null"),
        recorded.clone().body("[]"),
        recorded.clone().body("\"1793\""),
        recorded.clone().body("{} {}"),
        recorded.clone().body(deep),
        recorded.clone().body(big),
        recorded.clone().bytes(b"\xff\xfe\x00"),
        recorded.clone().bytes(b"{\"pin\":\"\xff\"}"),
    ] {
        let reply = call(&event);
        assert_eq!(error(&reply), (422, "invalid-request"), "{}", event.0["body"]);
    }
}

/// A failure outside: nothing is revealed, and the caller is told when to come back.
pub(crate) fn check_unavailable(reply: &Reply) {
    assert_eq!((error(reply), reply.outcome), ((500, "internal"), "unavailable"));
    assert_eq!(reply.retry_after.as_deref(), Some("1"));
    assert!(!reply.text.contains("told to fail"), "{}", reply.text);
}

/// Presents secrets of Ada's for a code.
pub(crate) fn create(world: &TestWorld, event: &Event) -> Served {
    block_on(answer_create(world, event))
}

pub(crate) async fn answer_create(world: &TestWorld, event: &Event) -> Served {
    let handle = async |request: &_, record: &mut _| {
        pace_user_otp_create::handle(world, request, record).await
    };
    served(event, handle).await
}

/// Whether a PIN of Ada's is worth a code.
pub(crate) fn create_with_pin(world: &TestWorld, pin: &str) -> Reply {
    let event = Event::recorded("pace-user-otp-create", "pin").json(&json!({ "pin": pin }));
    replied(&event, create(world, &event))
}

/// A code of Ada's.
pub(crate) fn code(world: &TestWorld) -> String {
    let reply = create_with_pin(world, passcode_testkit::PIN);
    assert_eq!(reply.status, 201, "{reply:?}");
    reply.json["otp"].as_str().unwrap().to_owned()
}

/// Presents a code of Ada's.
pub(crate) fn verify(world: &TestWorld, event: &Event) -> Reply {
    reply(event, async |request, record| pace_user_otp_verify::handle(world, request, record).await)
}

/// The event that presents a code.
pub(crate) fn presenting(code: &str) -> Event {
    Event::recorded("pace-user-otp-verify", "verify").json(&json!({ "otp": code }))
}

/// Stores the demo app under another name, with Ada in it as well.
pub(crate) fn with_second_app(world: &TestWorld) {
    let app = App { id: "eve".parse().unwrap(), ..demo_app() };
    block_on(world.apps.store_app(&app.validated().unwrap())).unwrap();
}

/// An event to another app of the deployment.
pub(crate) fn to_second_app(mut event: Event) -> Event {
    event.0["requestContext"]["domainName"] = "eve.example.com".into();
    event
}

/// No code, no secret and no address is in what is logged or kept.
pub(crate) fn check_nothing_leaks(world: &TestWorld, answer: &Served, secrets: &[&str]) {
    let (logged, kept) = (format!("{:?}", answer.record), world.ledgers.dump());
    for secret in secrets {
        assert!(!logged.contains(secret), "{secret} in {logged}");
        assert!(!kept.contains(&format!("\"{secret}\"")), "{secret} in {kept}");
    }
}
