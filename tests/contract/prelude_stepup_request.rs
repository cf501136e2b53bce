//! `POST /v1/session/stepup/request`.

use crate::{
    prelude::{call_create, error, minds_origins, needs_an_app},
    shared::{minds_keys, with},
};
use passcode_domain::{
    Address, App, Lookup, User,
    action::send::Sent,
    action::status::{self, Status},
    ports::StoreUsers as _,
    secret::proof::{GrantMode, Purpose, Step},
};
use passcode_testkit::{FakeKeyring, Fault, TestWorld, USER_ID, ada, demo_app, schedule::block_on};
use passcode_tests::event::{Event, Reply, reply};
use prelude_stepup_request::handle;
use serde_json::{Value, json};

pub(crate) fn call(world: &TestWorld, event: &Event) -> Reply {
    reply(event, async |request, record| handle(world, request, record).await)
}

pub(crate) fn recorded() -> Event {
    Event::recorded("prelude-stepup-request", "request")
}

fn ask(world: &TestWorld, body: &Value) -> Reply {
    call(world, &recorded().json(body))
}

#[test]
fn pages_of_other_sites_and_strangers_are_refused() {
    let world = TestWorld::default();
    let preflight = Event::recorded("prelude-stepup-request", "preflight");
    minds_origins(&recorded(), &preflight, |event| call(&world, event));
    for authorization in [None, Some(""), Some("Bearer"), Some("Bearer "), Some("Basic YTpi")] {
        let reply = call(&world, &recorded().header("authorization", authorization));
        assert_eq!(error(&reply), (401, "unauthorized"), "{authorization:?}");
    }
    let forged = recorded().header("authorization", "Bearer forged");
    assert_eq!(error(&call(&world, &forged)), (401, "unauthorized"));
    needs_an_app(&world, [&recorded(), &preflight], |event| call(&world, event));
}

#[test]
fn what_is_no_request_is_refused_and_opens_nothing() {
    let world = TestWorld::default();
    let good = json!({ "scope": "transfer" });
    let many: serde_json::Map<_, _> = (0..6).map(|n| (format!("k{n}"), json!("v"))).collect();
    for body in [
        json!({}),
        json!({ "scope": "" }),
        json!({ "scope": "a b" }),
        json!({ "scope": "a".repeat(129) }),
        json!({ "scope": 5 }),
        with(good.clone(), "metadata", &json!({ "a": 1 })),
        with(good.clone(), "dispatch_id", &json!(5)),
    ] {
        assert_eq!(error(&ask(&world, &body)), (400, "bad_request"), "{body}");
    }
    for metadata in [
        json!({ "a": "v".repeat(33) }),
        json!({ "a-longer-name": "v" }),
        json!(many),
        json!({ "identifier": "v".repeat(321) }),
    ] {
        let reply = ask(&world, &with(good.clone(), "metadata", &metadata));
        assert_eq!(error(&reply), (400, "invalid_metadata"), "{metadata}");
    }
    let other = json!({ "scope": "admin" });
    assert_eq!(error(&ask(&world, &other)), (403, "scope_not_allowed"));
    assert_eq!(world.ledgers.take_calls(), (0, 0));
}

#[test]
fn an_app_that_is_not_set_up_for_it_says_so() {
    let none = App { step_up: std::collections::BTreeMap::new(), ..demo_app() };
    assert_eq!(error(&call(&TestWorld::of(none), &recorded())), (400, "not_configured"));
    // Without an issuer, a token can only be one that was signed here.
    let own = App { issuer: None, ..demo_app() };
    assert_eq!(error(&call(&TestWorld::of(own), &recorded())), (401, "unauthorized"));
    let world = TestWorld::of(App { blocked: true, ..demo_app() });
    assert_eq!(error(&call(&world, &recorded())), (403, "auth_blocked"));
}

#[test]
fn nobody_steps_up_without_an_address() {
    let world = TestWorld::default();
    let stranger = recorded().header("authorization", "Bearer nobody|openid");
    let unknown = call(&world, &stranger);
    assert_eq!((unknown.status, &unknown.json), (200, &json!({ "status": "block" })));
    block_on(world.users.store_user(&User { phone: None, ..ada() })).unwrap();
    assert_eq!(call(&world, &recorded()).json, unknown.json);
    assert_eq!(world.ledgers.take_calls(), (0, 0));
}

#[test]
fn the_token_says_which_step_comes_next() {
    let world = TestWorld::default();
    for (scope, step, mode) in [
        ("transfer", Step::VerifySms, GrantMode::SingleUse),
        ("email:change", Step::VerifyEmail, GrantMode::SessionBound),
    ] {
        let reply = ask(&world, &json!({ "scope": scope, "metadata": { "amount": "20" } }));
        assert_eq!((reply.status, &reply.json["status"]), (200, &json!("review")));
        let text = reply.json["challenge_token"].as_str().unwrap();
        let token = passcode_jwt::read(world.signing_keys(), text).unwrap();
        assert_eq!((token.aud.as_str(), token.sub.as_str()), ("demo", USER_ID));
        assert_eq!((token.current_step, token.grant_mode), (step, mode));
        assert_eq!(
            (token.purpose, token.scope_requested.as_deref()),
            (Purpose::StepUp, Some(scope))
        );
        assert_eq!(token.scope, None, "it is asked for, and nobody has it yet");
        assert_eq!(token.exp - token.iat, 900);
        let id = token.challenge(world.keys()).unwrap();
        let status = status::status(&world, world.keys(), &world.app.id, id);
        let status = block_on(status).unwrap();
        assert_eq!(status, Status::NotSent);
    }
}

/// The claims as the published clients read them, who decode a challenge token and do not verify it.
fn claims(world: &TestWorld, event: &Event) -> Value {
    let reply = call(world, event);
    let token = reply.json["challenge_token"].as_str().unwrap().to_owned();
    let claims = token.split('.').nth(1).unwrap().to_owned();
    let claims = data_encoding::BASE64URL_NOPAD.decode(claims.as_bytes()).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

#[test]
fn the_token_holds_what_the_published_clients_read() {
    let world = TestWorld::default();
    let token = format!("Bearer {USER_ID}|openid|sid=ses_1");
    let signed_in = recorded().header("authorization", token.as_str());
    let metadata = json!({ "amount": "20", "identifier": "i".repeat(320) });
    let body = json!({ "scope": "email:change", "metadata": metadata });
    let found = claims(&world, &signed_in.json(&body));
    let step =
        json!({ "order": 1, "key": "verify_email", "done": false, "expiration_duration": 900 });
    for (claim, expected) in [
        ("scope_requested", json!("email:change")),
        ("sid", json!("ses_1")),
        ("metadata", metadata),
        ("steps", json!([step])),
        ("current_step", json!("verify_email")),
    ] {
        assert_eq!(found[claim], expected, "{claim}");
    }
    let found = claims(&world, &recorded().json(&json!({ "scope": "transfer" })));
    assert_eq!((found.get("sid"), found.get("metadata")), (None, None), "neither was given");
}

#[test]
fn failures_outside_are_internal_and_the_caller_can_go_on() {
    let world = TestWorld::default();
    world.ledgers.fail_stores([Fault::Unavailable]);
    assert_eq!(error(&call(&world, &recorded())), (500, "internal"));
    world.users.set_down(true);
    assert_eq!(error(&call(&world, &recorded())), (500, "internal"));
    world.users.set_down(false);
    world.tokens.set_down(true);
    assert_eq!(error(&call(&world, &recorded())), (500, "internal"), "a dead issuer");
    world.tokens.set_down(false);
    let no_keys = TestWorld { keyring: FakeKeyring::none(), ..TestWorld::default() };
    assert_eq!(error(&call(&no_keys, &recorded())), (500, "internal"));
    assert_eq!(call(&world, &recorded()).status, 200);
}

#[test]
fn open_challenges_keep_nobody_from_asking() {
    let world = TestWorld::without_waits();
    for _ in 0..8 {
        let phone = Address::Phone(TestWorld::phone());
        let sent = block_on(world.send_to_as(phone, None, Lookup::User)).unwrap().sent;
        assert!(matches!(sent, Sent::Sent(..)), "{sent:?}");
    }
    assert_eq!(call(&world, &recorded()).status, 200, "the limit is told with the first message");
}

#[test]
fn the_same_request_under_a_key_is_done_once() {
    minds_keys(|| (TestWorld::default(), recorded()), call);
}

#[test]
fn the_message_says_what_the_code_allows_and_that_it_is_not_for_signing_in() {
    let code_for = |world: &TestWorld| {
        let token = call(world, &recorded()).json["challenge_token"].clone();
        let event = Event::recorded("prelude-session-otp-create", "step-up");
        let reply = call_create(world, &event.json(&json!({ "challenge_token": token })));
        assert_eq!(reply.status, 204, "{reply:?}");
        world.couriers.sms.taken().pop().unwrap().1.text
    };
    let text = code_for(&TestWorld::default());
    assert!(text.contains("Demo code to confirm an action, not to sign in."), "{text}");
    let mut app = demo_app();
    let texts = &mut app.step_up.get_mut("transfer").unwrap().text;
    texts.insert("en".to_owned(), "to transfer money".to_owned());
    let text = code_for(&TestWorld::of(app));
    assert!(text.contains("Demo code to transfer money."), "{text}");
}
