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
    App, User,
    app::SecretHash,
    ports::{StoreApps as _, StoreUsers as _},
    secret::code::CodeId,
};
use passcode_http::{Answer, Begun, ContractError, IdempotencyError, Idempotent, Request};
use passcode_testkit::{
    TestWorld, ada, demo_app,
    schedule::{Task, block_on, interleave},
};
use passcode_tests::event::{Event, Reply, Served, served};
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
pub(crate) fn seen(answer: Served) -> (StatusCode, lambda_http::http::HeaderMap, String) {
    (answer.status, answer.headers, answer.body)
}

/// Why a request with a key is not done.
#[derive(Debug)]
struct Refused(IdempotencyError);

impl From<IdempotencyError> for Refused {
    fn from(error: IdempotencyError) -> Self {
        Self(error)
    }
}

impl ContractError for Refused {
    fn answer(&self, _: &Request) -> Answer {
        let status = match self.0 {
            IdempotencyError::Malformed(_) => 400,
            IdempotencyError::Conflict(Some(_)) => 409,
            IdempotencyError::Conflict(None) => 410,
            IdempotencyError::OtherBody => 422,
            IdempotencyError::Failed(_) => 503,
        };
        Answer::empty(StatusCode::from_u16(status).unwrap())
    }

    fn outcome(&self) -> &'static str {
        "refused"
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        None
    }
}

/// Serves a request of the demo app's with some work.
async fn run(world: &TestWorld, event: &Event, work: impl Future<Output = Answer>) -> Served {
    served(event, async |request, record| {
        let (app, credential) = (Some(&world.app.id), Some("secret"));
        let idempotent = Idempotent { request, app, credential, has_secret: false };
        match idempotent.begin(world, world.keys(), record).await? {
            Begun::Answered(answer) => Ok::<_, Refused>(answer),
            Begun::Proceed(pending) => {
                let done: Result<Answer, Refused> = Ok(work.await);
                Ok(pending.settle(world, done, record).await)
            }
        }
    })
    .await
}

fn created() -> Answer {
    Answer::json(StatusCode::OK, &json!({ "code": "123456" }))
}

#[test]
fn of_a_hundred_equal_requests_one_is_served_and_all_are_answered_in_any_order() {
    for seed in 0..8u64 {
        let [phone, ask, mail] = [TestWorld::default(), TestWorld::default(), TestWorld::default()];
        let event = keyed(&otpless_otp_initiate::recorded("phone"), KEY);
        let browser = keyed(&Event::recorded("prelude-session-otp-create", "phone"), KEY);
        let mailing = keyed(&pace_user_otp_sendmail::recorded(), KEY);
        let initiate =
            |_| Box::pin(otpless_otp_initiate::answer(&phone, &event)) as Task<'_, Served>;
        let create = |_| Box::pin(prelude::answer_create(&ask, &browser)) as Task<'_, Served>;
        let sendmail =
            |_| Box::pin(pace_user_otp_sendmail::answer(&mail, &mailing)) as Task<'_, Served>;
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
    let mut serving = pin!(otpless_otp_initiate::answer(&world, &event));
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
        world.clock.advance(passcode_domain::ledger::request::LONGEST_RUN);
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
