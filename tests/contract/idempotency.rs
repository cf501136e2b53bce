//! `Idempotency-Key`, where callers meet: at the same time, under the same key, with an answer that
//! is told once. What each function does about a key is told beside the function.

use crate::{
    otpless_auth_create, otpless_order_send, otpless_otp_initiate, pace_user_otp_sendmail, prelude,
    prelude_stepup_request,
    shared::{KEY, keyed, messages},
    zap_otp_generate, zap_shared,
};
use lambda_http::http::StatusCode;
use passcode_domain::{
    App,
    app::SecretHash,
    code::CodeId,
    ports::{StoreApps as _, StoreUsers as _},
    user::User,
};
use passcode_http::{Answer, Idempotent, Record, Refused, Request};
use passcode_testkit::{
    TestWorld, ada, demo_app,
    schedule::{Task, block_on, interleave},
};
use passcode_tests::event::{Event, Reply};
use serde_json::json;
use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

/// An order to interleave tasks in, one for every seed.
pub(crate) fn any_order(mut random: u64) -> impl FnMut(usize) -> usize {
    move |among| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(random >> 33).unwrap() % among
    }
}

/// What a caller can see of an answer.
pub(crate) fn seen(answer: Answer) -> (StatusCode, lambda_http::http::HeaderMap, String) {
    (answer.status, answer.headers, answer.body)
}

#[expect(clippy::needless_pass_by_value, reason = "as contracts have it, whose answers take it in")]
fn refuse(refused: Refused, _: &Request, _: Record) -> Answer {
    let status = match refused {
        Refused::Malformed(_) => 400,
        Refused::Conflict(Some(_)) => 409,
        Refused::Conflict(None) => 410,
        Refused::OtherBody => 422,
        Refused::Failed(_) => 503,
    };
    Answer::empty(StatusCode::from_u16(status).unwrap(), Record::default())
}

/// Serves a request of the demo app's with some work.
async fn run(world: &TestWorld, event: &Event, work: impl Future<Output = Answer>) -> Answer {
    let (request, app) = (event.request(), Some(&world.app.id));
    let (request, credential, has_secret) = (&request, Some("secret"), false);
    let idempotent = Idempotent { request, app, credential, has_secret, refuse };
    idempotent.run(world.keys(), world.ports(), work).await
}

fn created() -> Answer {
    Answer::json(StatusCode::OK, &json!({ "code": "123456" }), Record::default())
}

#[test]
fn of_a_hundred_equal_requests_one_is_served_and_all_are_answered_in_any_order() {
    for seed in 0..8u64 {
        let [phone, ask, mail] = [TestWorld::default(), TestWorld::default(), TestWorld::default()];
        let event = keyed(&otpless_otp_initiate::recorded("phone"), KEY);
        let browser = keyed(&Event::recorded("prelude-session-otp-create", "phone"), KEY);
        let mailing = keyed(&pace_user_otp_sendmail::recorded(), KEY);
        let (deps, create) = (otpless_otp_initiate::deps(&phone), prelude::create_deps(&ask));
        let sendmail = pace_user_otp_sendmail::deps(&mail);
        let initiate = |_| {
            let handling = ::otpless_otp_initiate::handle(&deps, event.request());
            Box::pin(handling) as Task<'_, Answer>
        };
        let create = |_| {
            let handling = prelude_session_otp_create::handle(&create, browser.request());
            Box::pin(handling) as Task<'_, Answer>
        };
        let sendmail = |_| {
            let handling = ::pace_user_otp_sendmail::handle(&sendmail, mailing.request());
            Box::pin(handling) as Task<'_, Answer>
        };
        for (world, tasks) in [
            (&phone, (0..100).map(initiate).collect::<Vec<_>>()),
            (&ask, (0..100).map(create).collect()),
            (&mail, (0..100).map(sendmail).collect()),
        ] {
            let answers = interleave(tasks, any_order(seed));
            let outcomes: Vec<_> = answers.iter().map(|answer| answer.record.outcome).collect();
            assert_eq!(outcomes.iter().filter(|outcome| **outcome == "sent").count(), 1);
            let answers: Vec<_> = answers.into_iter().map(seen).collect();
            assert_eq!(answers.len(), 100);
            assert!(answers[0].0.is_success(), "{:?}", answers[0]);
            assert!(
                answers.iter().all(|answer| *answer == answers[0]),
                "seed {seed}: {outcomes:?}"
            );
            assert_eq!((messages(world), challenges(world)), (1, 1));
        }
    }
}

/// How many challenges are stored.
pub(crate) fn challenges(world: &TestWorld) -> usize {
    world.ledgers.dump().matches("\"nonce\":\"").count()
}

#[test]
fn while_a_request_is_served_the_same_one_waits_and_is_refused_in_the_end() {
    let world = TestWorld::default();
    let event = keyed(&otpless_otp_initiate::recorded("phone"), KEY);
    let deps = otpless_otp_initiate::deps(&world);
    let mut serving = pin!(::otpless_otp_initiate::handle(&deps, event.request()));
    let mut context = Context::from_waker(Waker::noop());
    while messages(&world) == 0 {
        assert!(serving.as_mut().poll(&mut context).is_pending());
    }
    let other = event.clone().json(&json!({ "phoneNumber": "+14155550101", "channels": ["SMS"] }));
    for (event, status) in [(&event, 409), (&other, 422)] {
        let reply = otpless_otp_initiate::call(&world, event);
        assert_eq!((reply.status, messages(&world)), (status, 1), "{reply:?}");
    }
    let first = loop {
        if let Poll::Ready(answer) = serving.as_mut().poll(&mut context) {
            break answer;
        }
    };
    let again = otpless_otp_initiate::call(&world, &event);
    assert_eq!((again.text, again.outcome), (first.body, "answered again"));
}

#[test]
fn another_apps_and_another_callers_key_is_another_key() {
    let world = TestWorld::default();
    let secrets = ["demo-secret", "second-secret"].map(SecretHash::of).to_vec();
    let eve = App { id: "eve".parse().unwrap(), ..demo_app() };
    for app in [App { secrets, ..demo_app() }, eve] {
        block_on(world.apps.store_app(&app.validated().unwrap())).unwrap();
    }
    let event = keyed(&otpless_auth_create::phone(), KEY);
    let events = [
        event.clone(),
        event.clone().header("clientsecret", "second-secret"),
        event.clone().header("clientid", "eve"),
    ];
    let create = |event: &Event| otpless_auth_create::call(&world, event);
    let replies: Vec<Reply> = events.iter().map(create).collect();
    assert!(replies.iter().all(|reply| reply.outcome == "created"), "{replies:?}");
    let stranger = create(&event.header("clientsecret", "wrong"));
    assert_eq!((stranger.status, stranger.outcome), (401, "denied"), "nobody is told");

    let ask = keyed(&prelude_stepup_request::recorded(), KEY);
    let bob = User::new(ada().app, "bob".parse().unwrap());
    block_on(world.users.store_user(&User { phone: Some(TestWorld::phone()), ..bob })).unwrap();
    let first = prelude_stepup_request::call(&world, &ask);
    assert_eq!(prelude_stepup_request::call(&world, &ask).outcome, "answered again");
    let bob = prelude_stepup_request::call(&world, &ask.header("authorization", "Bearer bob|"));
    assert_eq!(bob.outcome, "created");
    assert_ne!(bob.text, first.text);

    let generate = keyed(&zap_otp_generate::recorded("email"), KEY);
    assert_eq!(zap_otp_generate::call(&world, &generate).outcome, "sent");
    let colleague = zap_shared::bearing(&generate, zap_shared::TOKEN);
    assert_ne!(zap_otp_generate::call(&world, &colleague).outcome, "answered again");
}

#[test]
fn whoever_holds_another_challenge_is_another_caller() {
    let world = TestWorld::without_waits();
    let [first, second] = [world.open(), world.open()];
    for id in [first, second] {
        let event = keyed(&otpless_otp_initiate::for_request(id), "1");
        let reply = otpless_otp_initiate::call(&world, &event);
        assert_eq!((reply.status, reply.outcome), (200, "sent"), "a short key will do");
    }
}

#[test]
fn where_the_key_alone_tells_who_calls_it_must_be_long() {
    let world = TestWorld::default();
    let event = Event::recorded("prelude-session-otp-create", "phone");
    let reply = prelude::call_create(&world, &keyed(&event, "fifteen-letters"));
    assert_eq!(prelude::error(&reply), (400, "bad_request"));
    assert!(reply.text.contains("16 characters"), "{reply:?}");
    assert_eq!(world.ledgers.take_calls(), (0, 0));
    assert_eq!(prelude::call_create(&world, &keyed(&event, "sixteen-letters-")).status, 204);
}

#[test]
fn a_page_may_send_a_key_and_is_shown_its_own_origin() {
    let world = TestWorld::default();
    let preflight = Event::recorded("prelude-session-otp-create", "preflight");
    let allowed = prelude::call_create(&world, &preflight);
    let allowed = allowed.header("access-control-allow-headers").unwrap().to_owned();
    assert!(allowed.split(", ").any(|name| name == "idempotency-key"), "{allowed}");
    let event = keyed(&Event::recorded("prelude-session-otp-create", "phone"), KEY);
    let shown = |origin: Option<&str>| {
        let reply = prelude::call_create(&world, &event.clone().header("origin", origin));
        reply.header("access-control-allow-origin").map(str::to_owned)
    };
    assert_eq!(shown(None), None);
    let page = "https://shop.example";
    assert_eq!(shown(Some(page)).as_deref(), Some(page), "it is not part of what is kept");
}

#[test]
fn an_order_and_a_key_are_each_done_once() {
    let world = TestWorld::default();
    let event = otpless_order_send::recorded();
    for key in [KEY, KEY, "another-key"] {
        let reply = otpless_order_send::call(&world, &keyed(&event, key));
        assert_eq!(reply.json, json!({ "orderId": "order-42" }));
    }
    assert_eq!(messages(&world), 1);
    assert!(!world.ledgers.dump().contains("order-42"), "the caller's own words are sealed");
}

#[test]
fn an_answer_that_tells_a_code_is_not_kept() {
    let world = TestWorld::default();
    let event = keyed(&otpless_auth_create::phone(), KEY);
    let code = CodeId { challenge: world.open(), generation: 1 };
    let first = block_on(run(&world, &event, async { created().telling(code) }));
    assert_eq!(first.status, 200);
    let again = block_on(run(&world, &event, async { unreachable!("it was done") }));
    assert_eq!((again.status.as_u16(), again.body.as_str()), (410, ""));
}

#[test]
fn refusals_are_kept_unless_time_changes_them() {
    let event = keyed(&otpless_auth_create::phone(), KEY);
    for (status, is_kept) in [
        (200, true),
        (204, true),
        (400, true),
        (403, true),
        (404, true),
        (429, false),
        (503, false),
    ] {
        let world = TestWorld::default();
        let status = StatusCode::from_u16(status).unwrap();
        block_on(run(&world, &event, async { Answer { status, ..created() } }));
        let again = block_on(run(&world, &event, async { created() }));
        assert_eq!(again.record.outcome == "answered again", is_kept, "{status}");
        assert_eq!(again.status, if is_kept { status } else { StatusCode::OK });
    }
}

#[test]
fn who_was_taken_over_leaves_the_answer_of_the_next() {
    let world = TestWorld::default();
    let event = keyed(&otpless_auth_create::phone(), KEY);
    let slow = block_on(run(&world, &event, async {
        world.clock.advance(passcode_domain::idempotency::LONGEST_RUN);
        let next = run(&world, &event, async { Answer { body: "next".into(), ..created() } });
        assert_eq!(next.await.body, "next");
        Answer { body: "slow".into(), ..created() }
    }));
    assert_eq!(slow.body, "slow");
    let again = block_on(run(&world, &event, async { unreachable!("it was done") }));
    assert_eq!(again.body, "next");
}

#[test]
fn without_a_key_nothing_is_asked() {
    let world = TestWorld::default();
    let event = otpless_auth_create::phone();
    for _ in 0..2 {
        block_on(run(&world, &event, async { created() }));
    }
    assert_eq!(world.ledgers.take_calls(), (0, 0));
}
