//! What the OTPless functions have in common: who may call, and what a body may be. And what every
//! function that opens or sends does about an `Idempotency-Key`.

use passcode_domain::{
    ChallengeId, Keyring, Ledger,
    ledger::challenge::State,
    ports::{LoadLedgers as _, StoreLedgers as _},
};
use passcode_http::id;
use passcode_testkit::{Fault, TestWorld, schedule::block_on};
use passcode_tests::event::{Event, Reply};
use serde_json::{Value, json};
use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

/// The keys of every test world.
static KEYRING: LazyLock<Arc<Keyring>> =
    LazyLock::new(|| TestWorld::default().keyring.in_hand.clone().expect("a keyring"));

/// An id as OTPless prints it.
pub(crate) fn request_id(id: ChallengeId) -> String {
    id::REQUEST_ID.print(id, &KEYRING)
}

/// An id as the older generation of OTPless prints it.
pub(crate) fn order_id(id: ChallengeId) -> String {
    id::ORDER_ID.print(id, &KEYRING)
}

/// Reads an id that OTPless printed.
pub(crate) fn parse_request_id(text: &str) -> Option<ChallengeId> {
    id::REQUEST_ID.parse(text, &KEYRING)
}

/// Gives a challenge up that a message was sent for.
pub(crate) fn cancel(world: &TestWorld, id: ChallengeId) {
    let key = (*id.subject()).into();
    block_on(async {
        let loaded = world.ledgers.load::<Ledger>(&key).await.expect("it answers");
        let mut ledger = loaded.item.expect("a ledger");
        let challenges = ledger.challenges.iter_mut();
        for challenge in challenges.filter(|challenge| challenge.id(*id.subject()) == id) {
            challenge.state = State::Cancelled;
        }
        world.ledgers.store(&key, &ledger, loaded.version).await.expect("it answers");
    });
}

/// The row of the OTPless error table that a reply is.
pub(crate) fn row(reply: &Reply) -> (u16, &str) {
    (reply.status, reply.json["errorCode"].as_str().unwrap_or("none"))
}

/// An OTPless error says all three things, or, from 500 up, just the first.
pub(crate) fn check_shape(reply: &Reply) {
    assert_eq!(reply.media, "application/json");
    let fields: Vec<_> = reply.json.as_object().expect("an object").keys().collect();
    match reply.status {
        500.. => assert_eq!(fields, ["message"], "{reply:?}"),
        _ => assert_eq!(fields, ["description", "errorCode", "message"], "{reply:?}"),
    }
}

/// Callers that are refused before anything else is looked at.
pub(crate) fn refuses_strangers(event: &Event, call: impl Fn(&Event) -> Reply) {
    for (id, secret, expected) in [
        (None, None, "7012"),
        (Some("demo"), None, "7012"),
        (None, Some("demo-secret"), "7012"),
        (Some(""), Some("demo-secret"), "7012"),
        (Some("demo"), Some(""), "7012"),
        (Some("demo"), Some("demo-secre"), "7002"),
        (Some("demo"), Some("demo-secret2"), "7002"),
        (Some("nobody"), Some("demo-secret"), "7002"),
        (Some("de mo/"), Some("demo-secret"), "7002"),
    ] {
        let event = event.clone().header("clientid", id).header("clientsecret", secret);
        let reply = call(&event);
        check_shape(&reply);
        assert_eq!(row(&reply), (401, expected), "{id:?} {secret:?}");
        assert_eq!(reply.json["message"], "Access blocked");
    }
}

/// Bodies that are refused as 7101, whatever the endpoint.
pub(crate) fn refuses_bodies(event: &Event, call: impl Fn(&Event) -> Reply) {
    let big = json!({ "email": "a".repeat(11 * 1024) }).to_string();
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    let utf16: Vec<u8> = "{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let events = [
        event.clone().body(""),
        event.clone().body("{"),
        event.clone().body("null"),
        event.clone().body("[]"),
        event.clone().body("\"text\""),
        event.clone().body("{} {}"),
        event.clone().body(deep),
        event.clone().body(big),
        event.clone().bytes(b"\xff\xfe\x00"),
        event.clone().bytes(b"{\"email\":\"\xff\"}"),
        event.clone().bytes(&utf16),
        event.clone().header("content-type", "text/xml"),
        event.clone().header("content-type", "application/x-www-form-urlencoded"),
        event.clone().header("content-type", "not a media type"),
    ];
    for event in events {
        let reply = call(&event);
        check_shape(&reply);
        assert_eq!(row(&reply), (400, "7101"), "{}", event.0["body"]);
    }
}

/// A body with one field changed, or, where the value is null, without it.
pub(crate) fn with(mut body: Value, field: &str, value: &Value) -> Value {
    match (body.as_object_mut(), value) {
        (Some(fields), Value::Null) => drop(fields.remove(field)),
        (Some(fields), value) => drop(fields.insert(field.to_owned(), value.clone())),
        (None, _) => panic!("an object was expected"),
    }
    body
}

/// What is no IP address, or more than one, in `Passcode-Client-IP`: rules about IP addresses would
/// not hold for whoever stands behind it.
pub(crate) fn refuses_client_ips(event: &Event, call: impl Fn(&Event) -> Reply) {
    for odd in [
        "",
        "unknown",
        "203.0.113",
        "203.0.113.256",
        "203.0.113.7:443",
        "[2001:db8::1]",
        "2001:db8::/32",
        "fe80::1%eth0",
        "203.0.113.7, 198.51.100.4",
    ] {
        let reply = call(&event.clone().header("passcode-client-ip", odd));
        assert_eq!(reply.status, 400, "{odd}: {reply:?}");
        let told = "`Passcode-Client-IP` must be one IP address, without a port";
        assert!(reply.text.contains(told), "{odd}: {reply:?}");
        assert!(odd.is_empty() || !reply.text.contains(odd), "{reply:?}");
    }
    for good in ["203.0.113.7", "2001:db8::1", "::ffff:203.0.113.7", " 203.0.113.7 "] {
        let reply = call(&event.clone().header("passcode-client-ip", good));
        assert!(!reply.text.contains("Passcode-Client-IP"), "{good}: {reply:?}");
    }
}

/// What an endpoint does for pages that hold an id: those of origins that the app of the host lists
/// read every answer, the others none. `page` makes a world's request that is served.
pub(crate) fn lets_pages_read(
    page: impl Fn(&TestWorld) -> Event,
    preflight: &Event,
    call: impl Fn(&TestWorld, &Event) -> Reply,
) {
    let allowed = |reply: &Reply| reply.header("access-control-allow-origin").map(str::to_owned);
    let (world, listed) = (TestWorld::default(), "https://shop.example");
    let asked = call(&world, preflight);
    assert_eq!((asked.status, asked.text.as_str(), asked.outcome), (204, "", "preflight"));
    assert_eq!(allowed(&asked).as_deref(), Some(listed));
    assert_eq!(asked.header("access-control-allow-methods"), Some("POST"));
    let headers = "accept, content-type, idempotency-key";
    assert_eq!(asked.header("access-control-allow-headers"), Some(headers));
    assert_eq!(world.ledgers.take_calls(), (0, 0));

    let reply = call(&world, &page(&world));
    assert_eq!((reply.status, allowed(&reply).as_deref()), (200, Some(listed)));
    assert_eq!(reply.header("access-control-expose-headers"), Some("date, retry-after"));
    assert_eq!(reply.header("access-control-allow-credentials"), None, "there are no cookies");
    let malformed = call(&world, &page(&world).body("{"));
    assert_eq!((malformed.status, allowed(&malformed).as_deref()), (400, Some(listed)));

    for origin in [None, Some("https://evil.example"), Some("null"), Some("")] {
        let asked = call(&world, &preflight.clone().header("origin", origin));
        assert_eq!((asked.status, allowed(&asked)), (204, None), "{origin:?}");
        assert_eq!(asked.header("access-control-allow-headers"), None, "{origin:?}");
        let world = TestWorld::default();
        let reply = call(&world, &page(&world).header("origin", origin));
        assert_eq!((reply.status, allowed(&reply)), (200, None), "{origin:?}: unread");
        assert_eq!(reply.header("vary"), Some("origin"), "{origin:?}");
    }
}

/// A key that an attentive client would make.
pub(crate) const KEY: &str = "8e03978e-40d5-43dd-bc93-6894a57f9324";

/// The event, with an `Idempotency-Key`.
pub(crate) fn keyed(event: &Event, key: &str) -> Event {
    event.clone().header("idempotency-key", key)
}

/// `Retry-After` for the cool-down after this number of messages, by the policy of the app.
pub(crate) fn retry_after(world: &TestWorld, sends: usize) -> String {
    world.cool_down(sends).as_secs().to_string()
}

/// How many messages went out.
pub(crate) fn messages(world: &TestWorld) -> usize {
    world.couriers.sms.taken().len() + world.couriers.email.taken().len()
}

/// A world in which an event is served, and the event.
pub(crate) type Scene = (TestWorld, Event);

/// In what functions that mind keys differ.
pub(crate) struct IdempotentEndpoint {
    /// The status of a malformed key.
    pub(crate) malformed: u16,
    /// The reads and writes of an answer that is given again.
    pub(crate) again: (u64, u64),
    /// Those of a refusal of another body.
    pub(crate) other: (u64, u64),
}

impl IdempotentEndpoint {
    /// Those of most: an answer is kept whole, and a body holds no secret.
    pub(crate) const PLAIN: Self = Self { malformed: 400, again: (1, 0), other: (1, 0) };
}

/// What every function that opens or sends does about an `Idempotency-Key`.
pub(crate) fn minds_keys(scene: impl Fn() -> Scene, call: impl Fn(&TestWorld, &Event) -> Reply) {
    minds_keys_with(&IdempotentEndpoint::PLAIN, scene, call);
}

/// The same, where a contract or a body makes a difference.
pub(crate) fn minds_keys_with(
    endpoint: &IdempotentEndpoint,
    scene: impl Fn() -> Scene,
    call: impl Fn(&TestWorld, &Event) -> Reply,
) {
    refuses_malformed_keys(endpoint.malformed, &scene(), &call);
    let costs = costs_of(&scene(), &call);
    answers_again(endpoint, &scene(), costs, &call);
    waits_for_a_lost_answer(&scene(), costs, &call);
    may_be_tried_again(&scene(), &call);
}

fn refuses_malformed_keys(
    status: u16,
    (world, event): &Scene,
    call: &impl Fn(&TestWorld, &Event) -> Reply,
) {
    world.ledgers.take_calls();
    let sent = messages(world);
    for key in ["", "\"\"", "a b", "\"a", &"k".repeat(256)] {
        let reply = call(world, &keyed(event, key));
        assert_eq!(reply.status, status, "{key}");
        assert!(reply.text.contains("Idempotency-Key"), "{reply:?}");
    }
    assert_eq!((world.ledgers.take_calls(), messages(world)), ((0, 0), sent));
}

/// The reads and writes that serving the event costs without a key.
fn costs_of((world, event): &Scene, call: &impl Fn(&TestWorld, &Event) -> Reply) -> (u64, u64) {
    world.ledgers.take_calls();
    assert!(call(world, event).status < 300);
    world.ledgers.take_calls()
}

fn answers_again(
    endpoint: &IdempotentEndpoint,
    (world, event): &Scene,
    costs: (u64, u64),
    call: &impl Fn(&TestWorld, &Event) -> Reply,
) {
    world.ledgers.take_calls();
    let first = call(world, &keyed(event, KEY));
    assert!(first.status < 300, "{first:?}");
    assert_eq!(world.ledgers.take_calls(), (costs.0 + 1, costs.1 + 2));
    let sent = messages(world);

    let again = call(world, &keyed(event, &format!("\"{KEY}\"")));
    assert_eq!(again, Reply { outcome: "answered again", ..first.clone() });
    assert_eq!((world.ledgers.take_calls(), messages(world)), (endpoint.again, sent));

    let other = format!(" {}", event.0["body"].as_str().unwrap_or_default());
    let other = call(world, &keyed(event, KEY).body(other));
    assert_eq!((other.status, other.outcome), (422, "refused"), "{other:?}");
    assert_eq!((world.ledgers.take_calls(), messages(world)), (endpoint.other, sent));

    let stored = world.ledgers.dump();
    assert!(!stored.contains(KEY) && (first.text.is_empty() || !stored.contains(&first.text)));
    world.clock.advance(Duration::from_hours(24));
    assert_ne!(call(world, &keyed(event, KEY)).outcome, "answered again", "the key is free");
}

/// The function ended before it could say what it had answered.
fn waits_for_a_lost_answer(
    (world, event): &Scene,
    costs: (u64, u64),
    call: &impl Fn(&TestWorld, &Event) -> Reply,
) {
    world.ledgers.fail_stores((0..=costs.1).map(|_| Fault::None));
    world.ledgers.fail_stores([Fault::Unavailable]);
    assert!(call(world, &keyed(event, KEY)).status < 300, "the work is done all the same");
    let (sent, slept) = (messages(world), world.clock.slept());
    world.clock.advance(Duration::from_millis(29_999));
    let early = call(world, &keyed(event, KEY));
    assert_eq!((early.status, early.retry_after.as_deref()), (409, Some("1")), "{early:?}");
    let waited = world.clock.slept().saturating_sub(slept);
    assert!((Duration::from_secs(4)..Duration::from_secs(6)).contains(&waited), "{waited:?}");
    assert_eq!(messages(world), sent, "nothing is sent twice");
    world.clock.advance(Duration::from_millis(1));
    assert_ne!(call(world, &keyed(event, KEY)).status, 409, "no function is at it any more");
}

/// A failure outside leaves the key free, and nothing behind.
fn may_be_tried_again((world, event): &Scene, call: &impl Fn(&TestWorld, &Event) -> Reply) {
    let sent = messages(world);
    world.ledgers.fail_stores([Fault::Unavailable]);
    assert!(call(world, &keyed(event, KEY)).status >= 500, "the key cannot be claimed");
    world.ledgers.fail_stores([Fault::None, Fault::Unavailable]);
    assert!(call(world, &keyed(event, KEY)).status >= 500, "the work cannot be done");
    assert_eq!(messages(world), sent);
    let reply = call(world, &keyed(event, KEY));
    assert!(reply.status < 300, "{reply:?}");
    assert!(messages(world) <= sent + 1);
}
