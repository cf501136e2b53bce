//! Challenges that are never delivered: addresses for tests, and blocked callers who shall not see it.

use passcode_domain::{
    App, ChallengeId, Channel, Code, Keyring, Ledger, Policy,
    action::{
        send::{self, Refusal, SendTarget, Sent},
        verify::Outcome,
    },
    app::TestAddress,
    ledger::{challenge::Suppression, failures::FailureClass},
    ports::{Clock as _, LoadLedgers as _},
};
use passcode_testkit::{FakeKeyring, TestWorld, demo_app, schedule::block_on, without_waits};
use std::time::Duration;

const CODE: &str = "424242";

fn reviewed() -> TestWorld {
    let until = TestWorld::default().clock.now() + Duration::from_hours(24);
    let code = Code::try_from(CODE.to_owned()).unwrap();
    let address = TestWorld::phone().as_str().to_owned();
    let test_addresses = vec![TestAddress { address, code, until }];
    TestWorld::of(without_waits(App { test_addresses, ..demo_app() }))
}

fn send(world: &TestWorld) -> Sent {
    let opening = world.opening(TestWorld::phone().into(), Duration::from_mins(15));
    let target = SendTarget::Ordered(&opening, &world.app);
    let options = TestWorld::options(Channel::Sms);
    let sending = send::send(world, world.keys(), target, &options);
    block_on(sending).unwrap().sent
}

fn verify(world: &TestWorld, id: ChallengeId, code: &str) -> Outcome {
    block_on(world.verify(id, code)).unwrap()
}

#[test]
fn nothing_is_sent_to_a_test_address_and_its_code_is_the_listed_one() {
    let world = reviewed();
    let Sent::ToTestAddress(id, Channel::Sms) = send(&world) else {
        panic!("as if it had gone out")
    };
    assert!(world.couriers.sms.taken().is_empty());
    assert_eq!(verify(&world, id, "000000"), Outcome::Incorrect);
    assert!(matches!(verify(&world, id, CODE), Outcome::Verified(_)));
    assert_eq!(verify(&world, id, CODE), Outcome::AlreadyUsed);
}

#[test]
fn the_attempts_and_the_time_of_a_test_are_as_ever() {
    let world = reviewed();
    let Sent::ToTestAddress(id, _) = send(&world) else { panic!("as if it had gone out") };
    for _ in 0..5 {
        assert_eq!(verify(&world, id, "000000"), Outcome::Incorrect);
    }
    assert_eq!(verify(&world, id, CODE), Outcome::Exhausted);
    let Sent::ToTestAddress(id, _) = send(&world) else { panic!("as if it had gone out") };
    world.clock.advance(Duration::from_mins(10));
    assert_eq!(verify(&world, id, CODE), Outcome::Expired);
}

#[test]
fn what_keeps_real_messages_rare_applies_to_tests() {
    let world = TestWorld::of(App { policy: Policy::default(), ..(*reviewed().app).clone() });
    assert!(matches!(send(&world), Sent::ToTestAddress(..)));
    assert!(matches!(send(&world), Sent::Refused(Refusal::CoolingDown(_))));
    world.clock.advance(world.cool_down(1));
    let Sent::ToTestAddress(id, _) = send(&world) else { panic!("the cool-down is over") };
    let again = |world: &TestWorld| {
        block_on(world.send(id, &TestWorld::options(Channel::Sms))).unwrap().sent
    };
    assert!(matches!(again(&world), Sent::Refused(Refusal::CoolingDown(_))));
    assert!(matches!(verify(&world, id, CODE), Outcome::Verified(_)));

    let world = reviewed();
    let id = world.open();
    let sent = |world: &TestWorld| {
        block_on(world.send(id, &TestWorld::options(Channel::Sms))).unwrap().sent
    };
    for _ in 0..5 {
        assert!(matches!(sent(&world), Sent::ToTestAddress(..)));
    }
    assert!(matches!(sent(&world), Sent::Refused(Refusal::SendsExhausted)));
}

#[test]
fn a_fixed_code_cannot_be_guessed_at_for_ever() {
    let world = reviewed();
    let mut guesses = 0;
    for _ in 0..20 {
        if let Sent::ToTestAddress(id, _) = send(&world) {
            for _ in 0..5 {
                guesses += u32::from(verify(&world, id, "000000") == Outcome::Incorrect);
            }
        }
    }
    assert_eq!(guesses, 10);
}

#[test]
fn a_test_is_verified_once_whatever_becomes_of_the_keys() {
    let world = reviewed();
    let Sent::ToTestAddress(id, _) = send(&world) else { panic!("as if it had gone out") };
    let secret = r#"{"root":"a-secret-of-at-least-32-characters",
        "current":"b-secret-of-at-least-32-characters",
        "previous":"c-secret-of-at-least-32-characters"}"#;
    let keys = Keyring::from_secret(secret).unwrap();
    let world = TestWorld { keyring: FakeKeyring::of(keys), ..world };
    assert!(matches!(verify(&world, id, CODE), Outcome::Verified(_)));
}

#[test]
fn a_test_address_is_like_any_other_after_its_end_and_in_other_apps() {
    let world = reviewed();
    world.clock.advance(Duration::from_hours(24));
    let Sent::Sent(id, _) = send(&world) else { panic!("it goes out") };
    let code = world.last_code();
    assert_ne!(code, CODE);
    assert_eq!(verify(&world, id, CODE), Outcome::Incorrect);
    assert!(matches!(verify(&world, id, &code), Outcome::Verified(_)));
}

/// Ada's number after ten wrong codes.
fn locked(conceal_blocks: bool) -> TestWorld {
    let world = TestWorld::of(without_waits(App { conceal_blocks, ..demo_app() }));
    for _ in 0..2 {
        let (id, code) = world.open_and_send();
        for _ in 0..5 {
            verify(&world, id, &TestWorld::wrong(&code));
        }
    }
    world
}

#[test]
fn a_block_is_told_where_the_app_does_not_conceal_it() {
    assert!(matches!(send(&locked(false)), Sent::Refused(Refusal::Exhausted(Some(_)))));
}

#[test]
fn a_concealed_block_looks_like_a_success_in_everything_and_is_none() {
    let mut blocked = locked(true);
    let free = TestWorld::of(App { conceal_blocks: true, ..demo_app() });
    blocked.app = free.app.clone();
    blocked.clock.advance(Duration::from_hours(1));
    let sent_before = blocked.couriers.sms.taken().len();
    blocked.ledgers.take_calls();
    let Sent::Concealed(id, Channel::Sms) = send(&blocked) else { panic!("it is concealed") };
    let Sent::Sent(real, Channel::Sms) = send(&free) else { panic!("it goes out") };
    assert_eq!(blocked.ledgers.take_calls(), free.ledgers.take_calls(), "the same store calls");
    assert_eq!(blocked.couriers.sms.taken().len(), sent_before, "nothing goes out");
    let again = |world: &TestWorld, id| {
        let sent = block_on(world.send(id, &TestWorld::options(Channel::Sms))).unwrap().sent;
        matches!(sent, Sent::Refused(Refusal::CoolingDown(_)))
    };
    assert!(again(&blocked, id) && again(&free, real), "the same cool-down");
    for _ in 0..5 {
        assert_eq!(verify(&blocked, id, "123456"), Outcome::Incorrect);
    }
    assert_eq!(verify(&blocked, id, "123456"), Outcome::Exhausted);
}

#[test]
fn no_code_verifies_what_is_concealed_and_guessing_at_it_locks_nobody_longer() {
    let world = locked(true);
    let Sent::Concealed(id, _) = send(&world) else { panic!("it is concealed") };
    let ledger = || {
        let loaded = block_on(world.ledgers.load::<Ledger>(&(*id.subject()).into()));
        loaded.unwrap().item.unwrap()
    };
    let before = ledger();
    let concealed = before.find(id).unwrap();
    assert_eq!(concealed.suppression, Some(Suppression::Concealed));
    for code in 0..5 {
        assert_eq!(verify(&world, id, &format!("{code:06}")), Outcome::Incorrect);
    }
    let mut failures = ledger().failures;
    assert!(failures.remove(&FailureClass::Concealed).is_some(), "they count, and for themselves");
    assert_eq!(failures, before.failures);
}
