//! What the Prelude functions have in common: the stack of fakes, who may call, and what an error is.

use passcode_domain::{
    App, ChallengeId, Lookup, Timestamp,
    action::open::{self, Open},
    app::StepUp,
    ports::Clock as _,
    secret::proof::Bearer,
    secret::proof::ChallengeToken,
    secret::token::{Flow, VerificationToken},
};
use passcode_testkit::{TestWorld, ada, schedule::block_on};
use passcode_tests::event::{Event, Reply, Served, reply, served};
use prelude_session_otp_check as check;
use prelude_session_otp_create as create;
use prelude_session_otp_retry as retry;
use std::collections::BTreeSet;

pub(crate) async fn answer_create(world: &TestWorld, event: &Event) -> Served {
    served(event, async |request, record| create::handle(world, request, record).await).await
}

pub(crate) async fn answer_check(world: &TestWorld, event: &Event) -> Served {
    served(event, async |request, record| check::handle(world, request, record).await).await
}

pub(crate) fn call_create(world: &TestWorld, event: &Event) -> Reply {
    reply(event, async |request, record| create::handle(world, request, record).await)
}

pub(crate) fn call_retry(world: &TestWorld, event: &Event) -> Reply {
    reply(event, async |request, record| retry::handle(world, request, record).await)
}

pub(crate) fn call_check(world: &TestWorld, event: &Event) -> Reply {
    reply(event, async |request, record| check::handle(world, request, record).await)
}

/// Asks for a code for Ada's phone: the verification token, and the code.
pub(crate) fn asked(world: &TestWorld) -> (String, String) {
    let reply = call_create(world, &Event::recorded("prelude-session-otp-create", "phone"));
    assert_eq!(reply.status, 204, "{reply:?}");
    (reply.header("x-verification-token").unwrap().to_owned(), world.last_code())
}

/// A challenge of Ada's phone that waits for its first code, as a step-up opens it, and its
/// challenge token.
pub(crate) fn stepping_up(world: &TestWorld) -> (ChallengeId, String) {
    let opening = world.opening(TestWorld::phone().into(), std::time::Duration::from_mins(15));
    let opening = opening.found_by(Lookup::User);
    block_on(open::open(world, world.keys(), &opening)).unwrap();
    let id = opening.id;
    (id, challenge_token(world, id, world.clock.now()))
}

pub(crate) fn challenge_token(world: &TestWorld, id: ChallengeId, now: Timestamp) -> String {
    let step_up: &StepUp = &world.app.step_up["transfer"];
    let scope = ("transfer", step_up.channel, step_up.grant_mode);
    let id = id.print(world.keys());
    let token = ChallengeToken::for_step_up(&world.app.id, &bearer(), id, scope, now);
    passcode_jwt::sign(world.signing_keys(), &token).unwrap()
}

/// Ada, as an access token without a session names her.
fn bearer() -> Bearer {
    Bearer { user: ada().id, session: None, scopes: BTreeSet::new(), claims: BTreeSet::new() }
}

/// A verification token of the demo app.
pub(crate) fn verification_token(world: &TestWorld, id: ChallengeId, flow: Flow) -> String {
    VerificationToken::new(id, flow).print(world.keys(), &world.app.id)
}

/// The same, by an app that is not the one asked.
pub(crate) fn foreign_token(world: &TestWorld, id: ChallengeId) -> String {
    let eve = App { id: "eve".parse().unwrap(), ..(*world.app).clone() };
    VerificationToken::new(id, Flow::Standalone).print(world.keys(), &eve.id)
}

/// A challenge that is nobody's.
pub(crate) fn unknown(world: &TestWorld) -> ChallengeId {
    let life = std::time::Duration::from_mins(15);
    Open::new(&world.app, world.keys(), &world.entropy, TestWorld::phone().into(), life).id
}

/// The code of a Prelude error, whose shape is checked.
pub(crate) fn error(reply: &Reply) -> (u16, &str) {
    assert_eq!(reply.media, "application/json");
    assert!(reply.json["type"].is_string(), "{reply:?}");
    let is_internal = reply.json["code"] == "internal";
    assert_eq!(is_internal, reply.status == 500, "{reply:?}");
    (reply.status, reply.json["code"].as_str().unwrap())
}

/// What every browser's endpoint does about origins.
pub(crate) fn minds_origins(event: &Event, preflight: &Event, call: impl Fn(&Event) -> Reply) {
    for origin in ["https://evil.example", "null", "*", "", "https://shop.example.evil.example"] {
        for event in [event, preflight] {
            let reply = call(&event.clone().header("origin", origin));
            assert_eq!(error(&reply), (403, "origin_not_allowed"), "{origin}");
            assert_eq!(reply.header("access-control-allow-origin"), None);
        }
    }
    let reply = call(preflight);
    assert_eq!((reply.status, reply.text.as_str()), (204, ""));
    for (name, expected) in [
        ("access-control-allow-origin", "https://shop.example"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "GET, POST"),
        ("vary", "origin"),
    ] {
        assert_eq!(reply.header(name), Some(expected), "{name}");
    }
    assert_eq!(listed(&reply, "access-control-allow-headers"), REQUEST_HEADERS.into());
    for (origin, shown) in [
        (Some("https://shop.example"), Some("https://shop.example")),
        (Some("https://api.example.com"), Some("https://api.example.com")),
        (None, None),
    ] {
        let reply = call(&event.clone().header("origin", origin));
        assert_ne!(reply.status, 403, "{origin:?}: its own host's, or no browser's");
        assert_eq!(reply.header("access-control-allow-origin"), shown);
        let readable = shown.map_or(BTreeSet::new(), |_| RESPONSE_HEADERS.into());
        assert_eq!(listed(&reply, "access-control-expose-headers"), readable, "{origin:?}");
    }
}

/// The names in a header that lists names, in lower case.
fn listed<'a>(reply: &'a Reply, header: &str) -> BTreeSet<&'a str> {
    let names = reply.header(header).unwrap_or_default().split(',').map(str::trim);
    names.filter(|name| !name.is_empty()).collect()
}

/// The request headers that the published clients send, `Idempotency-Key` and `Passcode-Device`.
const REQUEST_HEADERS: [&str; 11] = [
    "accept",
    "authorization",
    "content-type",
    "dpop",
    "idempotency-key",
    "passcode-device",
    "user-agent",
    "x-device-id",
    "x-refresh-token",
    "x-sdk-user-agent",
    "x-verification-token",
];

/// The response headers that the published clients read, `Retry-After` and `Passcode-Device`.
const RESPONSE_HEADERS: [&str; 7] = [
    "date",
    "dpop-nonce",
    "passcode-device",
    "retry-after",
    "x-refresh-token",
    "x-refresh-token-expires-at",
    "x-verification-token",
];

/// An app that is nowhere, and a store that does not answer.
pub(crate) fn needs_an_app(world: &TestWorld, events: [&Event; 2], call: impl Fn(&Event) -> Reply) {
    world.apps.set_down(true);
    for event in events {
        let reply = call(event);
        assert_eq!((error(&reply), reply.retry_after.as_deref()), ((500, "internal"), Some("1")));
    }
    world.apps.set_down(false);
    block_on(passcode_domain::ports::DeleteApps::delete_app(&world.apps, &world.app.id)).unwrap();
    for event in events {
        assert_eq!(error(&call(event)), (400, "bad_request"), "no app is known by this host");
    }
}
