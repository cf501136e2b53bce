//! `POST /user/otp`.

use crate::shared::parse_request_id;
use crate::{
    idempotency::{any_order, challenges, seen},
    pace::{
        answer_create, bearer, check_nothing_leaks, check_unavailable, code, create,
        create_with_pin, error, negotiates, pointer, presenting, refuses_bodies, refuses_strangers,
        to_second_app, verify, with_second_app,
    },
    shared::{IdempotentEndpoint, KEY, keyed, minds_keys_with},
};
use pace_contract::date_time;
use pace_user_otp_create::handle;
use passcode_domain::{
    App, AppId, Keyring, PresentedCode, User, UserId, Username,
    action::verify::{Outcome, VerifyTarget, verify as verify_code},
    ledger::request::MAX_OTHER_BODIES,
    ports::{Clock as _, LoadUsers, StoreError, StoreUsers as _},
};
use passcode_runtime::Adapters;
use passcode_testkit::{
    FakeKeyring, FakeUsers, Fault, PASSWORD, PIN, TestWorld, USER_ID, ada, demo_app,
    schedule::{Task, block_on, interleave},
};
use passcode_tests::event::{Event, Reply, Served, replied, reply};
use serde_json::{Value, json};
use std::{
    pin::pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll, Waker},
    time::Duration,
};

const SCOPE: &str = "user:otp:create";

fn recorded() -> Event {
    Event::recorded("pace-user-otp-create", "pin")
}

fn call(world: &TestWorld, event: &Event) -> Reply {
    replied(event, create(world, event))
}

/// Users, counted as they are loaded.
struct Counted(FakeUsers, AtomicU64);

impl LoadUsers for Counted {
    async fn load_user(&self, app: &AppId, id: &UserId) -> Result<Option<User>, StoreError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.load_user(app, id).await
    }

    async fn load_user_by_name(&self, _: &AppId, _: &Username) -> Result<Option<User>, StoreError> {
        panic!("nobody asks for a name");
    }
}

/// The reply, and how often users and ledgers were read and ledgers written for it.
fn counted(world: &TestWorld, event: &Event) -> (Reply, (u64, u64, u64)) {
    world.ledgers.take_calls();
    let counted = Adapters {
        apps: world.apps.clone(),
        users: Counted(world.users.clone(), AtomicU64::default()),
        ledgers: world.ledgers.clone(),
        sessions: (),
        counters: (),
        tokens: world.tokens.clone(),
        keyring: world.keyring.clone(),
        signing_keys: (),
        couriers: (),
        clock: world.clock.clone(),
    };
    let reply = reply(event, async |request, record| handle(&counted, request, record).await);
    let (loads, stores) = world.ledgers.take_calls();
    (reply, (counted.users.1.load(Ordering::SeqCst), loads, stores))
}

#[test]
fn strangers_are_refused() {
    refuses_strangers(&recorded(), SCOPE, call);
}

#[test]
fn media_types_are_agreed_on_before_a_secret_is_looked_at() {
    let world = TestWorld::default();
    negotiates(&recorded().body("{"), true, |event| call(&world, event));
    refuses_bodies(&recorded(), "application/json", |event| call(&world, event));
    assert_eq!(world.ledgers.take_calls(), (0, 0));
}

#[test]
fn what_is_missing_mistyped_or_too_long_is_refused_and_spends_nothing() {
    let world = TestWorld::default();
    let long = "1".repeat(1025);
    for (body, expected) in [
        (json!({}), "none"),
        (json!({ "pin": null, "password": null }), "none"),
        (json!({ "pin": "", "password": "" }), "none"),
        (json!({ "Pin": PIN }), "none"),
        (json!({ "pin": 1793 }), "/pin"),
        (json!({ "pin": PIN, "password": ["correct horse"] }), "/password"),
        (json!({ "password": { "text": PASSWORD } }), "/password"),
        (json!({ "pin": long }), "/pin"),
        (json!({ "pin": PIN, "password": long }), "/password"),
    ] {
        let reply = call(&world, &recorded().json(&body));
        assert_eq!(error(&reply), (422, "invalid-request"), "{body}");
        assert_eq!(pointer(&reply), expected, "{body}");
    }
    let characters = json!({ "pin": "é".repeat(1024), "password": "é".repeat(1024) });
    let reply = call(&TestWorld::default(), &recorded().json(&characters));
    assert_eq!(error(&reply), (422, "invalid-secret"), "characters count, not bytes");
    let twice = recorded().body(format!(r#"{{"pin":"{PIN}","pin":"{PIN}"}}"#));
    assert_eq!(error(&call(&world, &twice)), (422, "invalid-request"));
    assert_eq!(world.ledgers.take_calls(), (0, 0));
}

#[test]
fn a_wrong_secret_an_unknown_user_and_one_without_that_secret_are_told_alike() {
    for (body, without) in [
        (json!({ "pin": "1794" }), User { pin: None, ..ada() }),
        (json!({ "password": "correct horse" }), User { password: None, ..ada() }),
        (json!({ "password": PIN, "pin": PASSWORD }), User { pin: None, password: None, ..ada() }),
    ] {
        let wrong = TestWorld::default();
        let lacking = TestWorld::default();
        block_on(lacking.users.store_user(&without)).unwrap();
        let event = recorded().json(&body);
        let unknown = bearer(event.clone(), &format!("nobody|{SCOPE}"));
        let replies = [
            counted(&wrong, &event),
            counted(&lacking, &event),
            counted(&TestWorld::default(), &unknown),
        ];
        for (reply, calls) in &replies {
            assert_eq!(error(reply), (422, "invalid-secret"), "{body}");
            assert_eq!((pointer(reply), reply.outcome), ("none", "incorrect"));
            assert_eq!(reply, &replies[0].0);
            assert_eq!(*calls, (1, 1, 1), "one user read, one ledger read and written");
        }
    }
}

#[test]
fn one_of_two_secrets_has_to_be_right() {
    for (password, pin, expected) in [
        (PASSWORD, "0000", 201),
        ("wrong", PIN, 201),
        (PASSWORD, PIN, 201),
        ("", PIN, 201),
        ("wrong", "0000", 422),
        (PIN, PASSWORD, 422),
    ] {
        let event = recorded().json(&json!({ "password": password, "pin": pin }));
        assert_eq!(call(&TestWorld::default(), &event).status, expected, "{password} {pin}");
    }
}

#[test]
fn wrong_secrets_lock_the_user_known_or_not_and_then_the_right_one_is_refused_too() {
    for user in [USER_ID, "nobody"] {
        let world = TestWorld::without_waits();
        let present = |pin: &str| {
            let event = recorded().json(&json!({ "pin": pin }));
            counted(&world, &bearer(event, &format!("{user}|{SCOPE}")))
        };
        for _ in 0..10 {
            assert_eq!(error(&present("1794").0), (422, "invalid-secret"));
        }
        for pin in ["1794", PIN] {
            let (locked, calls) = present(pin);
            assert_eq!((error(&locked), locked.outcome), ((429, "too-many-requests"), "exhausted"));
            assert_eq!(locked.retry_after.clone(), None, "no wait helps");
            assert_eq!(calls, (1, 1, 0));
            world.clock.advance(Duration::from_hours(24 * 365));
        }
    }
}

#[test]
fn a_pause_after_wrong_secrets_says_how_long_it_is() {
    let world = TestWorld::default();
    for _ in 0..5 {
        assert_eq!(create_with_pin(&world, "1794").status, 422);
    }
    let paused = create_with_pin(&world, PIN);
    let wait = world.app.policy.failure_wait_seconds.to_string();
    assert_eq!((paused.status, paused.retry_after.clone()), (429, Some(wait)));
}

#[test]
fn a_right_secret_forgives_the_wrong_ones() {
    let world = TestWorld::without_waits();
    for _ in 0..2 {
        for _ in 0..9 {
            assert_eq!(create_with_pin(&world, "1794").status, 422);
        }
        assert_eq!(create_with_pin(&world, PIN).status, 201);
    }
}

#[test]
fn a_wrong_secret_leaves_the_code_that_is_out() {
    let world = TestWorld::default();
    let code = code(&world);
    create_with_pin(&world, "1794");
    assert_eq!(verify(&world, &presenting(&code)).status, 204);
}

#[test]
fn failures_outside_are_a_500_that_reveals_nothing() {
    let world = TestWorld::default();
    for faults in [vec![Fault::Unavailable], vec![Fault::Conflict; 12]] {
        world.ledgers.fail_stores(faults);
        check_unavailable(&create_with_pin(&world, PIN));
    }
    world.ledgers.fail_stores([Fault::Unavailable]);
    check_unavailable(&create_with_pin(&world, "1794"));
    world.users.set_down(true);
    check_unavailable(&create_with_pin(&world, PIN));
    world.users.set_down(false);
    assert_eq!(create_with_pin(&world, PIN).status, 201);
    let no_keys = TestWorld { keyring: FakeKeyring::none(), ..TestWorld::default() };
    check_unavailable(&create_with_pin(&no_keys, PIN));
}

#[test]
fn the_code_is_handed_over_with_its_end_and_its_challenge() {
    let world = TestWorld::default();
    let created = call(&world, &recorded());
    assert_eq!((created.status, created.outcome), (201, "issued"), "{created:?}");
    assert_eq!(created.media, "application/json");
    let otp = created.json["otp"].as_str().unwrap();
    assert!(otp.len() == 6 && otp.bytes().all(|digit| digit.is_ascii_digit()), "{otp}");
    let expires_at = date_time(world.clock.now() + Duration::from_mins(10));
    assert_eq!(created.json, json!({ "otp": otp, "expiresAt": expires_at }));
    assert_eq!(expires_at, "2027-01-15T08:10:00.000Z");

    let presented = PresentedCode::parse(otp).unwrap();
    let id = parse_request_id(created.header("passcode-challenge-id").unwrap()).unwrap();
    let verified = verify_code(&world, VerifyTarget::Held(id), &presented);
    assert!(matches!(block_on(verified).unwrap().outcome, Outcome::Verified(_)));
}

#[test]
fn the_recorded_requests_are_each_worth_a_code() {
    for case in ["pin", "password"] {
        let event = Event::recorded("pace-user-otp-create", case);
        assert_eq!(call(&TestWorld::default(), &event).status, 201, "{case}");
    }
}

#[test]
fn a_401_says_what_the_token_lacks() {
    let world = TestWorld::default();
    for (token, expected) in [
        (None, "Bearer"),
        (Some("Bearer made-up"), "Bearer error=\"invalid_token\""),
        (
            Some("Bearer ada|other"),
            "Bearer error=\"insufficient_scope\", scope=\"user:otp:create\"",
        ),
    ] {
        let reply = call(&world, &recorded().header("authorization", token));
        assert_eq!(reply.header("www-authenticate"), Some(expected));
    }
}

#[test]
fn no_code_and_no_secret_is_logged_or_kept() {
    let world = TestWorld::default();
    for body in [json!({ "pin": PIN, "password": PASSWORD }), json!({ "pin": "9137" })] {
        let answer = create(&world, &recorded().json(&body));
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let otp = body["otp"].as_str().unwrap_or("9137");
        check_nothing_leaks(&world, &answer, &[otp, PIN, PASSWORD, "9137", "ada@example.com"]);
        assert!(!answer.body.contains(PASSWORD) && !answer.body.contains("9137"));
    }
}

/// The recorded request with a key, and some secrets.
fn keyed_with(secrets: &Value) -> Event {
    keyed(&recorded().json(secrets), KEY)
}

#[test]
fn a_request_with_a_key_is_done_once() {
    // Again, the ledger with the challenge is read; and another body is a guess, which is counted.
    let endpoint = IdempotentEndpoint { malformed: 422, again: (2, 0), other: (1, 1) };
    minds_keys_with(&endpoint, || (TestWorld::default(), recorded()), call);
}

#[test]
fn a_refusal_by_a_key_says_why() {
    let world = TestWorld::default();
    let malformed = call(&world, &keyed(&recorded(), "a b"));
    assert_eq!((error(&malformed), pointer(&malformed)), ((422, "invalid-request"), "none"));
    assert_eq!(call(&world, &keyed_with(&json!({ "pin": PIN }))).status, 201);
    let other = call(&world, &keyed_with(&json!({ "pin": "1794" })));
    assert_eq!((error(&other), other.outcome), ((422, "idempotency-key-reused"), "refused"));
}

#[test]
fn of_a_hundred_equal_requests_one_is_served_and_all_are_told_its_code_in_any_order() {
    for seed in 0..8 {
        let world = TestWorld::default();
        let event = keyed_with(&json!({ "pin": PIN }));
        let task = |_| Box::pin(answer_create(&world, &event)) as Task<'_, Served>;
        let answers = interleave((0..100).map(task).collect(), any_order(seed));
        assert_eq!((answers.len(), challenges(&world)), (100, 1), "seed {seed}");
        let served = answers.iter().filter(|answer| answer.record.outcome == "issued");
        assert_eq!(served.count(), 1, "seed {seed}");
        let answers: Vec<_> = answers.into_iter().map(seen).collect();
        assert!(answers.iter().all(|answer| *answer == answers[0]), "seed {seed}");
        let (status, _, body) = &answers[0];
        let body: Value = serde_json::from_str(body).unwrap();
        let otp = body["otp"].as_str().unwrap();
        assert_eq!((status.as_u16(), otp.len()), (201, 6), "{otp}");
        assert!(!world.ledgers.dump().contains(&format!("\"{otp}\"")));
        assert_eq!(verify(&world, &presenting(otp)).status, 204);
    }
}

#[test]
fn whoever_comes_while_a_request_is_served_waits_and_is_refused_in_the_end_whatever_the_body() {
    let world = TestWorld::default();
    let event = keyed_with(&json!({ "pin": PIN }));
    let mut serving = pin!(answer_create(&world, &event));
    let mut context = Context::from_waker(Waker::noop());
    while challenges(&world) == 0 {
        assert!(serving.as_mut().poll(&mut context).is_pending());
    }
    let stored = world.ledgers.dump();
    for event in [&event, &keyed_with(&json!({ "pin": "1794" }))] {
        let reply = call(&world, event);
        assert_eq!(error(&reply), (409, "idempotency-conflict"));
        assert_eq!(reply.retry_after.as_deref(), Some("1"));
    }
    assert_eq!(world.ledgers.dump(), stored);
    let first = loop {
        if let Poll::Ready(answer) = serving.as_mut().poll(&mut context) {
            break answer;
        }
    };
    assert_eq!(call(&world, &event).text, first.body);
}

#[test]
fn the_code_is_told_again_while_it_is_good_and_kept_nowhere() {
    let world = TestWorld::of(with_long_codes());
    let event = keyed_with(&json!({ "pin": PIN }));
    let first = call(&world, &event);
    world.clock.advance(Duration::from_millis(599_999));
    assert_eq!(call(&world, &event), Reply { outcome: "answered again", ..first.clone() });
    let answer = create(&world, &event);
    let otp = first.json["otp"].as_str().unwrap();
    assert_eq!(otp.len(), 10);
    let (logged, kept) = (format!("{:?}", answer.record), world.ledgers.dump());
    assert!(!logged.contains(otp) && !kept.contains(otp), "{logged} {kept}");
}

/// Codes of ten digits, so that no other number is one by chance.
fn with_long_codes() -> App {
    let mut app = demo_app();
    app.policy.code_length = 10;
    app
}

/// How a code can end.
type End = fn(&TestWorld, &str);

#[test]
fn a_code_that_is_good_no_more_is_not_told_again() {
    let ends: [(&str, End); 4] = [
        ("used", |world, otp| assert_eq!(verify(world, &presenting(otp)).status, 204)),
        ("replaced", |world, _| drop(code(world))),
        ("expired", |world, _| world.clock.advance(Duration::from_mins(10))),
        ("exhausted", |world, otp| {
            for _ in 0..5 {
                verify(world, &presenting(&TestWorld::wrong(otp)));
            }
        }),
    ];
    for (how, end) in ends {
        let world = TestWorld::default();
        let event = keyed_with(&json!({ "pin": PIN }));
        let first = call(&world, &event);
        end(&world, first.json["otp"].as_str().unwrap());
        world.ledgers.take_calls();
        let stored = world.ledgers.dump();
        let again = call(&world, &event);
        assert_eq!((error(&again), again.outcome), ((409, "idempotency-conflict"), "refused"));
        assert_eq!(again.retry_after.clone(), None, "{how}: waiting will not help");
        assert_eq!((world.ledgers.take_calls(), world.ledgers.dump()), ((2, 0), stored), "{how}");
        assert_eq!(call(&world, &keyed(&event, "another")).status, 201, "{how}");
    }
}

#[test]
fn a_code_is_told_again_by_a_function_that_has_not_heard_of_a_rotation() {
    let mut world = TestWorld::default();
    let stale = world.keyring.in_hand.clone();
    let secret = r#"{"root":"a-secret-of-at-least-32-characters"}"#;
    let secret = Keyring::rotated(secret, "another-secret-of-at-least-32-characters").unwrap();
    world.keyring = FakeKeyring::of(Keyring::from_secret(&secret).unwrap());
    let event = keyed_with(&json!({ "pin": PIN }));
    let first = call(&world, &event);
    let rotated = world.keyring.stored.take();
    world.keyring.in_hand = stale;
    check_unavailable(&call(&world, &event));
    world.keyring.stored = rotated;
    assert_eq!(call(&world, &event).text, first.text);
}

#[test]
fn equal_requests_with_a_wrong_secret_cost_one_failure() {
    let world = TestWorld::without_waits();
    let wrong = keyed_with(&json!({ "pin": "1794" }));
    let first = call(&world, &wrong);
    assert_eq!(error(&first), (422, "invalid-secret"));
    for _ in 0..20 {
        let (again, calls) = counted(&world, &wrong);
        assert_eq!((again.text.as_str(), again.outcome), (first.text.as_str(), "answered again"));
        assert_eq!(calls, (0, 1, 0), "no secret is compared");
    }
    for number in 0..9 {
        let next = keyed(&wrong, &format!("guess-{number}"));
        assert_eq!(error(&call(&world, &next)), (422, "invalid-secret"), "{number}");
    }
    assert_eq!(create_with_pin(&world, PIN).status, 429, "ten in all");
}

#[test]
fn nobody_guesses_at_a_secret_by_somebodys_key() {
    for first in [PIN, "1794"] {
        let world = TestWorld::default();
        let right = keyed_with(&json!({ "pin": first }));
        assert_ne!(call(&world, &right).outcome, "answered again");
        let guess = |number: u8| {
            let event = keyed_with(&json!({ "pin": format!("00{number:02}") }));
            assert_eq!(error(&call(&world, &event)), (422, "idempotency-key-reused"));
        };
        (1..MAX_OTHER_BODIES).for_each(guess);
        assert_eq!(call(&world, &right).outcome, "answered again", "a slip is forgiven");
        (MAX_OTHER_BODIES..MAX_OTHER_BODIES + 5).for_each(guess);
        assert_eq!(error(&call(&world, &right)), (422, "idempotency-key-reused"), "{first}");
    }
}

#[test]
fn a_guess_that_cannot_be_counted_is_not_answered() {
    let world = TestWorld::default();
    assert_eq!(call(&world, &keyed_with(&json!({ "pin": PIN }))).status, 201);
    world.ledgers.fail_stores([Fault::Unavailable]);
    check_unavailable(&call(&world, &keyed_with(&json!({ "pin": "1794" }))));
}

#[test]
fn a_key_is_the_users_whichever_token_shows_who_that_is() {
    let world = TestWorld::default();
    with_second_app(&world);
    let event = keyed_with(&json!({ "pin": PIN }));
    let first = call(&world, &event);
    let refreshed = bearer(event.clone(), &format!("{USER_ID}|openid {SCOPE}"));
    assert_eq!(call(&world, &refreshed).text, first.text);
    let another = bearer(event.clone(), &format!("nobody|{SCOPE}"));
    assert_eq!(error(&call(&world, &another)), (422, "invalid-secret"));
    let elsewhere = call(&world, &to_second_app(event.clone()));
    assert_eq!((error(&elsewhere), elsewhere.outcome), ((422, "invalid-secret"), "incorrect"));
    let less = bearer(event, &format!("{USER_ID}|openid"));
    assert_eq!(error(&call(&world, &less)), (401, "insufficient-scope"), "nobody is told");
}
