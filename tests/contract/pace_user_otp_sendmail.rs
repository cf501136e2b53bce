//! `POST /user/otp/sendmail`.

use crate::{
    pace::{
        bearer, check_nothing_leaks, check_unavailable, code, error, negotiates, presenting,
        refuses_strangers, verify,
    },
    shared::{IdempotentEndpoint, KEY, keyed, messages, minds_keys_with, retry_after},
};
use pace_user_otp_sendmail::handle;
use passcode_domain::{User, ports::StoreUsers as _};
use passcode_testkit::{FakeKeyring, Fault, TestWorld, USER_ID, Verdict, ada, schedule::block_on};
use passcode_tests::event::{Event, Reply, Served, replied, served};
use std::time::Duration;

const SCOPE: &str = "user:otp:create";

pub(crate) async fn answer(world: &TestWorld, event: &Event) -> Served {
    served(event, async |request, record| handle(world, request, record).await).await
}

fn call(world: &TestWorld, event: &Event) -> Reply {
    replied(event, block_on(answer(world, event)))
}

pub(crate) fn recorded() -> Event {
    Event::recorded("pace-user-otp-sendmail", "sendmail")
}

fn mail(world: &TestWorld) -> Reply {
    call(world, &recorded())
}

/// The code of the last mail.
fn mailed(world: &TestWorld) -> String {
    let (to, email) = world.couriers.email.taken().pop().unwrap();
    assert_eq!(to, "ada@example.com");
    let is_code = |word: &&str| word.len() == 6 && word.bytes().all(|b| b.is_ascii_digit());
    email.text.split_whitespace().find(is_code).unwrap().to_owned()
}

#[test]
fn strangers_are_refused() {
    refuses_strangers(&recorded(), SCOPE, call);
    let world = TestWorld::default();
    let refused = recorded().header("accept", "text/html");
    assert_eq!(error(&call(&world, &refused)), (406, "not-acceptable"));
    assert!(world.couriers.email.taken().is_empty());
}

#[test]
fn media_types_are_agreed_on_and_a_body_is_not_looked_at() {
    let no_keys = TestWorld { keyring: FakeKeyring::none(), ..TestWorld::default() };
    negotiates(&recorded(), true, |event| call(&no_keys, event));
    let odd = recorded().header("content-type", "text/html").body("{");
    assert_eq!(call(&TestWorld::default(), &odd).status, 204);
}

#[test]
fn who_has_no_mailbox_is_told_the_same_at_the_same_cost() {
    let unregistered = TestWorld::default();
    block_on(unregistered.users.store_user(&User { email: None, ..ada() })).unwrap();
    let unknown = bearer(recorded(), &format!("nobody|{SCOPE}"));
    for (world, event, outcome) in [
        (TestWorld::default(), recorded(), "sent"),
        (TestWorld::default(), unknown, "concealed"),
        (unregistered, recorded(), "concealed"),
    ] {
        let first = call(&world, &event);
        assert_eq!((first.status, first.text.as_str(), first.outcome), (204, "", outcome));
        assert_eq!(world.ledgers.take_calls(), (1, 1), "read, claimed: {outcome}");
        let again = call(&world, &event);
        assert_eq!(error(&again), (429, "too-many-requests"), "{outcome}");
        assert_eq!(again.retry_after.clone(), Some(retry_after(&world, 1)));
        assert_eq!(world.ledgers.take_calls(), (1, 0));
        assert_eq!(world.couriers.email.taken().len(), usize::from(outcome == "sent"));
    }
}

#[test]
fn a_resend_is_held_back_by_cool_down_and_count_and_ends_the_code_before() {
    let world = TestWorld::default();
    assert_eq!(mail(&world).status, 204);
    let first = mailed(&world);
    world.clock.advance(Duration::from_millis(10_500));
    let early = mail(&world);
    assert_eq!(error(&early), (429, "too-many-requests"));
    let rounded_up = (world.cool_down(1).as_secs() - 10).to_string();
    assert_eq!(early.retry_after.clone(), Some(rounded_up));
    for sends in 1..usize::from(world.app.policy.max_sends) {
        world.clock.advance(world.cool_down(sends));
        assert_eq!(mail(&world).status, 204);
    }
    assert_eq!(verify(&world, &presenting(&first)).status, 404);
    world.clock.advance(world.cool_down(1));
    let spent = mail(&world);
    assert_eq!((error(&spent).0, spent.retry_after.as_deref()), (429, Some("900")));
    assert_eq!(world.couriers.email.taken().len(), 5);
    assert_eq!(verify(&world, &presenting(&mailed(&world))).status, 204);
}

#[test]
fn a_locked_user_is_told_when_to_come_back() {
    let world = TestWorld::without_waits();
    for _ in 0..2 {
        assert_eq!(mail(&world).status, 204);
        let wrong = TestWorld::wrong(&mailed(&world));
        for _ in 0..5 {
            verify(&world, &presenting(&wrong));
        }
    }
    let locked = mail(&world);
    assert_eq!((error(&locked).0, locked.retry_after.as_deref()), (429, Some("86400")));
    assert_eq!(world.couriers.email.taken().len(), 2);
}

#[test]
fn a_courier_that_refuses_costs_nothing_and_one_that_is_silent_costs_the_cool_down() {
    let world = TestWorld::default();
    world.couriers.email.answer([Verdict::Refuse]);
    check_unavailable(&mail(&world));
    world.couriers.email.answer([Verdict::Lose]);
    let lost = mail(&world);
    assert_eq!(
        (error(&lost), lost.retry_after.clone()),
        ((500, "internal"), Some(retry_after(&world, 1)))
    );
    assert_eq!(verify(&world, &presenting(&mailed(&world))).status, 204, "its code works");
}

#[test]
fn failures_outside_are_a_500_and_nothing_is_mailed() {
    let world = TestWorld::default();
    world.ledgers.fail_stores([Fault::Unavailable]);
    check_unavailable(&mail(&world));
    world.users.set_down(true);
    check_unavailable(&mail(&world));
    let no_keys = TestWorld { keyring: FakeKeyring::none(), ..TestWorld::default() };
    check_unavailable(&mail(&no_keys));
    assert!(world.couriers.email.taken().is_empty() && no_keys.couriers.email.taken().is_empty());
}

#[test]
fn the_user_has_one_code_at_a_time_wherever_it_went() {
    let world = TestWorld::default();
    let handed_over = code(&world);
    assert_eq!(mail(&world).status, 204);
    assert_eq!(verify(&world, &presenting(&handed_over)).status, 404);
    assert_eq!(verify(&world, &presenting(&mailed(&world))).status, 204);
    assert_eq!(verify(&world, &presenting(&mailed(&world))).status, 404, "once");
}

#[test]
fn no_code_and_no_address_is_logged_or_kept() {
    let world = TestWorld::default();
    let sent = block_on(answer(&world, &recorded()));
    assert_eq!(sent.body, "");
    check_nothing_leaks(&world, &sent, &[&mailed(&world)]);
    let logged = format!("{:?}", sent.record);
    assert!(!logged.contains("ada@") && !logged.contains(USER_ID), "{logged}");
}

#[test]
fn a_request_with_a_key_is_done_once() {
    let endpoint = IdempotentEndpoint { malformed: 422, ..IdempotentEndpoint::PLAIN };
    minds_keys_with(&endpoint, || (TestWorld::default(), recorded()), call);
}

#[test]
fn a_refusal_by_a_key_says_why() {
    let world = TestWorld::default();
    let (event, sent) = (keyed(&recorded(), KEY), messages(&world));
    assert_eq!(error(&call(&world, &keyed(&recorded(), "a b"))), (422, "invalid-request"));
    assert_eq!(messages(&world), sent);
    assert_eq!(call(&world, &event).status, 204);
    let other = call(&world, &event.body("{}"));
    assert_eq!(error(&other), (422, "idempotency-key-reused"));
}

#[test]
fn a_mail_is_not_sent_again_by_its_key_when_it_could_be_without() {
    let world = TestWorld::default();
    let event = keyed(&recorded(), KEY);
    assert_eq!(call(&world, &event).status, 204);
    world.clock.advance(world.cool_down(1));
    assert_eq!(call(&world, &event).outcome, "answered again");
    assert_eq!(messages(&world), 1);
    assert_eq!((mail(&world).status, messages(&world)), (204, 2));
}
