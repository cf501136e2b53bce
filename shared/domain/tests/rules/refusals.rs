//! What is refused, why, and what it costs; then what is allowed.

use passcode_domain::{
    Address, Addresses, App, ChallengeId, Channel, Keyring, Ledger, Lookup,
    action::{
        Failure,
        open::{self, Open},
        send::{self, Refusal, SendOptions, SendTarget, Sent},
        status::{self, Status},
        verify::Outcome,
    },
    ledger::{MAX_CHALLENGES, MAX_LIVE},
    ports::{Clock as _, LoadLedgers as _},
};
use passcode_testkit::{
    FakeKeyring, Fault, TestWorld, Verdict, demo_app, schedule::block_on, unguarded, without_waits,
};
use std::{sync::Arc, time::Duration};

const SECOND: Duration = Duration::from_secs(1);

fn send(world: &TestWorld, id: ChallengeId) -> Sent {
    block_on(world.send(id, &TestWorld::options(Channel::Sms))).unwrap().sent
}

fn refusal(world: &TestWorld, id: ChallengeId) -> Option<Refusal> {
    match send(world, id) {
        Sent::Refused(refusal) => Some(refusal),
        _ => None,
    }
}

fn status(world: &TestWorld, id: ChallengeId) -> Status {
    block_on(status::status(world, world.keys(), &world.app.id, id)).unwrap()
}

#[test]
fn wrong_codes_spend_attempts_and_then_the_right_one_is_refused() {
    let world = TestWorld::default();
    let (id, code) = world.open_and_send();
    for _ in 0..5 {
        let outcome = block_on(world.verify(id, &TestWorld::wrong(&code))).unwrap();
        assert_eq!(outcome, Outcome::Incorrect);
    }
    assert_eq!(block_on(world.verify(id, &code)).unwrap(), Outcome::Exhausted);
    assert!(matches!(status(&world, id), Status::Exhausted(_)));
    assert_eq!(refusal(&world, id), Some(Refusal::Exhausted(None)), "a resend would be in vain");
}

#[test]
fn the_right_code_works_once() {
    let world = TestWorld::default();
    let (id, code) = world.open_and_send();
    assert!(matches!(block_on(world.verify(id, &code)).unwrap(), Outcome::Verified(_)));
    assert_eq!(block_on(world.verify(id, &code)).unwrap(), Outcome::AlreadyUsed);
    assert_eq!(refusal(&world, id), Some(Refusal::AlreadyUsed));
}

#[test]
fn a_code_ends_to_the_millisecond() {
    for (lived, expected_live) in [(599_999, true), (600_000, false), (601_000, false)] {
        let world = TestWorld::default();
        let (id, code) = world.open_and_send();
        world.clock.advance(Duration::from_millis(lived));
        let outcome = block_on(world.verify(id, &code)).unwrap();
        assert_eq!(matches!(outcome, Outcome::Verified(_)), expected_live, "{lived}");
        assert_eq!(outcome == Outcome::Expired, !expected_live, "{lived}");
    }
}

#[test]
fn a_code_never_outlives_its_challenge() {
    let world = TestWorld::default();
    let opening = world.opening(TestWorld::phone().into(), Duration::from_mins(1));
    block_on(open::open(&world, world.keys(), &opening)).unwrap();
    world.clock.advance(40 * SECOND);
    assert!(matches!(send(&world, opening.id), Sent::Sent(_, Channel::Sms)));
    world.clock.advance(20 * SECOND);
    let code = world.last_code();
    assert_eq!(block_on(world.verify(opening.id, &code)).unwrap(), Outcome::Expired);
    assert_eq!(status(&world, opening.id), Status::Expired);
    assert_eq!(refusal(&world, opening.id), Some(Refusal::Expired));
}

#[test]
fn a_resend_ends_the_old_code_and_forgives_nothing() {
    let world = TestWorld::default();
    let (id, old) = world.open_and_send();
    for _ in 0..4 {
        block_on(world.verify(id, &TestWorld::wrong(&old))).unwrap();
    }
    world.clock.advance(30 * SECOND);
    assert!(matches!(send(&world, id), Sent::Sent(..)));
    let new = world.last_code();
    assert_ne!(old, new);
    assert_eq!(block_on(world.verify(id, &old)).unwrap(), Outcome::Incorrect, "the fifth attempt");
    assert_eq!(block_on(world.verify(id, &new)).unwrap(), Outcome::Exhausted);
}

#[test]
fn a_resend_waits_for_its_cool_down_and_has_a_count() {
    let world = TestWorld::default();
    let (id, _) = world.open_and_send();
    assert!(matches!(refusal(&world, id), Some(Refusal::CoolingDown(_))));
    for sends in 1..5 {
        world.clock.advance(world.cool_down(sends).checked_sub(SECOND).unwrap());
        assert!(matches!(refusal(&world, id), Some(Refusal::CoolingDown(_))));
        world.clock.advance(SECOND);
        assert!(matches!(send(&world, id), Sent::Sent(..)));
    }
    world.clock.advance(240 * SECOND);
    assert_eq!(refusal(&world, id), Some(Refusal::SendsExhausted));
    assert_eq!(world.couriers.sms.taken().len(), 5);
}

#[test]
fn failures_follow_the_subject_across_challenges_until_a_success() {
    let world = TestWorld::without_waits();
    for _ in 0..2 {
        let (id, code) = world.open_and_send();
        for _ in 0..5 {
            block_on(world.verify(id, &TestWorld::wrong(&code))).unwrap();
        }
    }
    let id = world.open();
    let Some(Refusal::Exhausted(Some(until))) = refusal(&world, id) else {
        panic!("a locked subject is sent nothing");
    };
    let day = Duration::from_hours(24);
    assert!(status(&world, id) == Status::NotSent);
    world.clock.advance(day.checked_sub(SECOND).unwrap());
    let id = world.open();
    assert_eq!(refusal(&world, id), Some(Refusal::Exhausted(Some(until))));
    world.clock.advance(SECOND);
    let (id, code) = world.open_and_send();
    assert!(matches!(block_on(world.verify(id, &code)).unwrap(), Outcome::Verified(_)));
}

#[test]
fn between_failures_a_subject_waits_longer_and_longer_and_a_refused_try_costs_nothing() {
    let world = TestWorld::default();
    let guess = |id, code: &str| block_on(world.verify(id, &TestWorld::wrong(code))).unwrap();
    let (id, code) = world.open_and_send();
    for _ in 0..5 {
        assert_eq!(guess(id, &code), Outcome::Incorrect, "one challenge's attempts cost no time");
    }
    let until = world.clock.now() + 30 * SECOND;
    assert_eq!(refusal(&world, world.open()), Some(Refusal::CoolingDown(until)));
    world.clock.advance(30 * SECOND);
    let (id, code) = world.open_and_send();
    for wait in [60, 120, 240] {
        assert_eq!(guess(id, &code), Outcome::Incorrect);
        world.clock.advance((wait - 1) * SECOND);
        for _ in 0..20 {
            assert_eq!(block_on(world.verify(id, &code)).unwrap(), Outcome::Exhausted);
        }
        world.clock.advance(SECOND);
    }
    assert!(matches!(block_on(world.verify(id, &code)).unwrap(), Outcome::Verified(_)));
    let (id, code) = world.open_and_send();
    assert_eq!(guess(id, &code), Outcome::Incorrect);
    assert!(matches!(block_on(world.verify(id, &code)).unwrap(), Outcome::Verified(_)), "forgiven");
}

#[test]
fn a_verify_that_changes_nothing_asks_the_store_as_often_as_any_other() {
    let world = TestWorld::default();
    let (id, code) = world.open_and_send();
    let unknown = world.opening(TestWorld::phone().into(), Duration::from_mins(1)).id;
    let calls = |id, code: &str| {
        world.ledgers.take_calls();
        block_on(world.verify(id, code)).unwrap();
        world.ledgers.take_calls()
    };
    let stored = world.ledgers.dump();
    assert_eq!(calls(unknown, "000000"), (1, 1), "unknown");
    assert_eq!(world.ledgers.dump(), stored);
    assert_eq!(calls(id, &TestWorld::wrong(&code)), (1, 1), "wrong");
    assert_eq!(calls(id, &code), (1, 1), "right");
    assert_eq!(calls(id, &code), (1, 1), "used");
    let (id, code) = world.open_and_send();
    world.clock.advance(601 * SECOND);
    assert_eq!(calls(id, &code), (1, 1), "expired");
}

#[test]
fn a_success_clears_the_failures() {
    let world = TestWorld::default();
    for _ in 0..4 {
        let (id, code) = world.open_and_send();
        for _ in 0..4 {
            let outcome = block_on(world.verify(id, &TestWorld::wrong(&code))).unwrap();
            assert_eq!(outcome, Outcome::Incorrect);
        }
        assert!(matches!(block_on(world.verify(id, &code)).unwrap(), Outcome::Verified(_)));
    }
}

#[test]
fn unknown_and_unsent_challenges_verify_nothing() {
    let world = TestWorld::default();
    let unsent = world.open();
    assert_eq!(block_on(world.verify(unsent, "123456")).unwrap(), Outcome::NotFound);
    assert_eq!(status(&world, unsent), Status::NotSent);

    let other =
        TestWorld { entropy: passcode_testkit::FakeEntropy::seeded(99), ..TestWorld::default() };
    let unknown = other.open();
    assert_eq!(block_on(world.verify(unknown, "123456")).unwrap(), Outcome::NotFound);
    assert_eq!(status(&world, unknown), Status::NotFound);
    assert_eq!(refusal(&world, unknown), Some(Refusal::NotFound));
}

#[test]
fn another_apps_challenge_is_not_found() {
    let world = TestWorld::default();
    let (id, _) = world.open_and_send();
    let eve = Arc::new(App::new("eve".parse().unwrap(), "Eve"));
    let foreign = TestWorld { app: eve, ..world };
    assert_eq!(refusal(&foreign, id), Some(Refusal::NotFound));
    assert_eq!(status(&foreign, id), Status::NotFound);
}

#[test]
fn a_refused_message_costs_nothing_and_the_old_code_stays() {
    let world = TestWorld::default();
    let (id, code) = world.open_and_send();
    world.clock.advance(30 * SECOND);
    world.couriers.sms.answer([Verdict::Refuse]);
    assert!(matches!(send(&world, id), Sent::Undeliverable(_)));
    assert!(matches!(send(&world, id), Sent::Sent(..)), "no cool-down after a refusal");
    assert_ne!(world.last_code(), code);

    let world = TestWorld::default();
    let (id, code) = world.open_and_send();
    world.clock.advance(30 * SECOND);
    world.couriers.sms.answer([Verdict::Refuse]);
    send(&world, id);
    assert!(matches!(block_on(world.verify(id, &code)).unwrap(), Outcome::Verified(_)));
}

#[test]
fn a_lost_answer_is_never_followed_by_another_message_before_the_cool_down() {
    let world = TestWorld::default();
    let id = world.open();
    world.couriers.sms.answer([Verdict::Lose]);
    assert!(matches!(send(&world, id), Sent::Unknown(Channel::Sms, ..)));
    assert!(matches!(refusal(&world, id), Some(Refusal::CoolingDown(_))));
    let code = world.last_code();
    assert!(matches!(block_on(world.verify(id, &code)).unwrap(), Outcome::Verified(_)));
}

/// A challenge about Ada's phone that can fall back to her mailbox, and what to ask of a send to try both.
fn open_for_both(world: &TestWorld) -> (ChallengeId, SendOptions) {
    let both = Addresses::new(
        Address::Phone(TestWorld::phone()),
        Some(Address::Email(TestWorld::email())),
    );
    let opening = world.opening(both, Duration::from_mins(15));
    block_on(open::open(world, world.keys(), &opening)).unwrap();
    let channels = vec![Channel::Sms, Channel::Email];
    (opening.id, SendOptions { channels, ..TestWorld::options(Channel::Sms) })
}

fn mailed_code(world: &TestWorld) -> String {
    let text = world.couriers.email.taken().last().unwrap().1.text.clone();
    text.split_whitespace().find(|word| word.parse::<u32>().is_ok()).unwrap().to_owned()
}

#[test]
fn the_next_channel_is_tried_after_a_refusal_and_never_after_a_lost_answer() {
    for (verdict, mails) in [(Verdict::Refuse, 1), (Verdict::Lose, 0), (Verdict::Accept, 0)] {
        let world = TestWorld::default();
        let (id, options) = open_for_both(&world);
        world.couriers.sms.answer([verdict]);
        block_on(world.send(id, &options)).unwrap();
        assert_eq!(world.couriers.email.taken().len(), mails, "{verdict:?}");
    }
}

#[test]
fn a_code_that_fell_back_is_a_proof_of_the_address_it_went_to_and_no_other() {
    use passcode_domain::value::id::CredentialId;
    let world = TestWorld::default();
    let (id, options) = open_for_both(&world);
    world.couriers.sms.answer([Verdict::Refuse]);
    block_on(world.send(id, &options)).unwrap();
    let expected =
        CredentialId::of_address(world.keys(), &world.app.id, &Address::Email(TestWorld::email()));
    let code = mailed_code(&world);
    assert_eq!(block_on(world.verify(id, &code)).unwrap(), Outcome::Verified(expected));
}

#[test]
fn a_claim_that_cannot_be_released_holds_the_next_message_back_on_every_channel() {
    let world = TestWorld::default();
    let (id, options) = open_for_both(&world);
    world.couriers.sms.answer([Verdict::Refuse]);
    world.ledgers.fail_stores([Fault::None, Fault::Unavailable]);
    let delivery = block_on(world.send(id, &options)).unwrap();
    assert!(matches!(delivery.sent, Sent::Refused(Refusal::CoolingDown(_))));
    assert!(delivery.unreleased.is_some() && world.couriers.email.taken().is_empty());
    world.clock.advance(world.cool_down(1));
    assert!(matches!(send(&world, id), Sent::Sent(_, Channel::Sms)));
}

#[test]
fn codes_go_to_the_address_a_challenge_is_about_first() {
    let world = TestWorld::default();
    let (id, _) = open_for_both(&world);
    for channels in [vec![Channel::Email], vec![Channel::Email, Channel::Sms]] {
        let options = SendOptions { channels, ..TestWorld::options(Channel::Sms) };
        let sent = block_on(world.send(id, &options)).unwrap().sent;
        assert!(matches!(sent, Sent::Refused(Refusal::NoAddress(Channel::Email))));
    }
}

#[test]
fn proof_of_a_mailbox_does_not_forgive_guesses_at_a_phone() {
    let world = TestWorld::without_waits();
    for _ in 0..2 {
        let (id, code) = world.open_and_send();
        for _ in 0..4 {
            block_on(world.verify(id, &TestWorld::wrong(&code))).unwrap();
        }
    }
    let (id, options) = open_for_both(&world);
    world.couriers.sms.answer([Verdict::Refuse]);
    block_on(world.send(id, &options)).unwrap();
    let code = mailed_code(&world);
    assert!(matches!(block_on(world.verify(id, &code)).unwrap(), Outcome::Verified(_)));
    let (id, code) = world.open_and_send();
    for _ in 0..2 {
        block_on(world.verify(id, &TestWorld::wrong(&code))).unwrap();
    }
    assert_eq!(block_on(world.verify(id, &code)).unwrap(), Outcome::Exhausted, "the tenth failure");
}

#[test]
fn refused_messages_come_to_an_end_as_well() {
    let world = TestWorld::default();
    let id = world.open();
    world.couriers.sms.answer([Verdict::Refuse; 100]);
    let tries = (0..100).filter(|_| matches!(send(&world, id), Sent::Undeliverable(_))).count();
    assert_eq!(tries, 20);
    assert_eq!(refusal(&world, id), Some(Refusal::SendsExhausted));
}

/// Sends to an address of Ada's without a request of its own.
fn send_ordered(world: &TestWorld, opening: &Open, channel: Channel) -> Sent {
    let target = SendTarget::Ordered(opening, &world.app);
    let options = TestWorld::options(channel);
    block_on(send::send(world, world.keys(), target, &options)).unwrap().sent
}

/// Sends straight to Ada's phone.
fn send_directly(world: &TestWorld) -> Sent {
    send_ordered(world, &to_phone(world), Channel::Sms)
}

fn to_phone(world: &TestWorld) -> Open {
    world.opening(TestWorld::phone().into(), Duration::from_mins(15))
}

#[test]
fn a_direct_send_has_a_challenge_of_its_own_and_the_address_one_cool_down() {
    let world = TestWorld::default();
    let Sent::Sent(first, _) = send_directly(&world) else { panic!("the first goes out") };
    let code = world.last_code();
    let refused = send_directly(&world);
    assert!(matches!(refused, Sent::Refused(Refusal::CoolingDown(_))), "{refused:?}");
    world.clock.advance(world.cool_down(1));
    let Sent::Sent(second, _) = send_directly(&world) else { panic!("so does the second") };
    assert_ne!(first, second, "whoever was not given the first id learns nothing of it");
    // Neither kills the other's code, spends its attempts or sees its success.
    for _ in 0..4 {
        block_on(world.verify(second, &TestWorld::wrong(&world.last_code()))).unwrap();
    }
    assert!(matches!(block_on(world.verify(first, &code)).unwrap(), Outcome::Verified(_)));
    assert!(matches!(status(&world, second), Status::Pending(_)));
    assert!(matches!(send_directly(&world), Sent::Sent(..)), "a success ends the cool-down");
}

#[test]
fn no_class_of_callers_has_more_messages_because_each_has_a_challenge_of_its_own() {
    for lookup in [Lookup::Id, Lookup::Anonymous, Lookup::User] {
        let world = TestWorld::default();
        let (mut sent, mut last) = (Vec::new(), None);
        for _ in 0..3600 {
            let sending = world.send_to_as(Address::Phone(TestWorld::phone()), None, lookup);
            if let Sent::Sent(id, _) = block_on(sending).unwrap().sent {
                assert_ne!(last.replace(id), Some(id));
                sent.push(world.clock.now());
            }
            world.clock.advance(SECOND);
        }
        let waits: Vec<_> = sent.windows(2).map(|pair| pair[0].until(pair[1])).collect();
        let expected: Vec<_> = (1..sent.len()).map(|sends| world.cool_down(sends)).collect();
        assert_eq!(waits, expected, "{lookup:?}: as if one challenge had them all");
    }
}

#[test]
fn what_one_class_of_callers_asks_for_cools_down_no_other() {
    let world = TestWorld::default();
    for lookup in [Lookup::Anonymous, Lookup::User, Lookup::Id] {
        let sending = world.send_to_as(Address::Phone(TestWorld::phone()), None, lookup);
        assert!(matches!(block_on(sending).unwrap().sent, Sent::Sent(..)), "{lookup:?}");
    }
}

#[test]
fn anonymous_guesses_lock_and_shut_out_no_user_with_a_token() {
    let world = TestWorld::without_waits();
    let to = || Address::Phone(TestWorld::phone());
    let send = |lookup| block_on(world.send_to_as(to(), None, lookup)).unwrap().sent;
    let mut guesses = 0;
    for _ in 0..200 {
        world.clock.advance(Duration::from_mins(1));
        if let Sent::Sent(id, _) = send(Lookup::Anonymous) {
            for _ in 0..5 {
                let wrong = TestWorld::wrong(&world.last_code());
                let outcome = block_on(world.verify(id, &wrong)).unwrap();
                guesses += u32::from(outcome == Outcome::Incorrect);
            }
        }
    }
    assert_eq!(guesses, 10, "anonymous callers are locked by their own");
    assert!(matches!(send(Lookup::Anonymous), Sent::Refused(Refusal::Exhausted(Some(_)))));
    let Sent::Sent(id, _) = send(Lookup::User) else { panic!("a step-up goes out") };
    let code = world.last_code();
    assert!(matches!(block_on(world.verify(id, &code)).unwrap(), Outcome::Verified(_)));
}

#[test]
fn a_refused_send_opens_nothing_and_pushes_nothing_out() {
    let world = crowded();
    let waiting = world.open();
    world.couriers.sms.answer([Verdict::Refuse]);
    assert!(matches!(send(&world, waiting), Sent::Undeliverable(_)), "it would give way first");
    for _ in 1..MAX_LIVE {
        world.open_and_send();
    }
    let before = ledger(&world);
    for _ in 0..20 {
        let refused = send_ordered(&world, &to_phone(&world), Channel::Email);
        assert!(matches!(refused, Sent::Refused(Refusal::NoAddress(_))));
    }
    assert_eq!(ledger(&world), before);
    assert_eq!(status(&world, waiting), Status::NotSent);
}

#[test]
fn a_success_is_not_pushed_out_while_somebody_may_ask_for_it() {
    let world = crowded();
    let (id, code) = world.open_and_send();
    block_on(world.verify(id, &code)).unwrap();
    for _ in 0..3 {
        for _ in 0..MAX_LIVE {
            world.open_and_send();
        }
        world.clock.advance(Duration::from_mins(16));
    }
    assert_eq!(ledger(&world).challenges.len(), MAX_CHALLENGES, "some have made room");
    assert!(matches!(status(&world, id), Status::Verified(..)));
}

#[test]
fn opening_twice_what_was_opened_once_changes_nothing() {
    let world = TestWorld::default();
    let opening = world.opening(TestWorld::phone().into(), Duration::from_mins(15));
    block_on(open::open(&world, world.keys(), &opening)).unwrap();
    let before = world.ledgers.dump();
    block_on(open::open(&world, world.keys(), &opening)).unwrap();
    assert_eq!(world.ledgers.dump(), before);
}

#[test]
fn any_number_of_unsent_challenges_costs_the_ledger_nothing() {
    let world = TestWorld::default();
    let (sent, code) = world.open_and_send();
    let before = ledger(&world);
    world.ledgers.take_calls();
    let unsent: Vec<_> = (0..200).map(|_| world.open()).collect();
    assert_eq!(world.ledgers.take_calls(), (0, 200), "one write each, and no read");
    assert_eq!(ledger(&world), before);
    assert!(unsent.iter().all(|id| status(&world, *id) == Status::NotSent), "none gave way");
    assert!(matches!(block_on(world.verify(sent, &code)).unwrap(), Outcome::Verified(_)));
    for id in [unsent[0], unsent[199]] {
        assert!(matches!(send(&world, id), Sent::Sent(..)));
        let code = world.last_code();
        assert!(matches!(block_on(world.verify(id, &code)).unwrap(), Outcome::Verified(_)));
    }

    let nobody = TestWorld::default();
    let id = nobody.open();
    let loaded = block_on(nobody.ledgers.load::<Ledger>(&(*id.subject()).into())).unwrap();
    assert_eq!((loaded.item, loaded.version), (None, 0), "a ledger begins with a message");
}

#[test]
fn a_channel_without_an_address_is_refused_and_claims_nothing() {
    let world = TestWorld::default();
    let id = world.open();
    let sent = block_on(world.send(id, &TestWorld::options(Channel::Email))).unwrap().sent;
    assert!(matches!(sent, Sent::Refused(Refusal::NoAddress(Channel::Email))));
    assert_eq!(status(&world, id), Status::NotSent);
}

/// A world in which a subject's challenges are limited by nothing but their number.
fn crowded() -> TestWorld {
    TestWorld::of(without_waits(App { guard: unguarded(), ..demo_app() }))
}

/// The ledger of Ada's phone.
fn ledger(world: &TestWorld) -> Ledger {
    let subject = to_phone(world).id.subject().to_owned();
    block_on(world.ledgers.load(&subject.into())).unwrap().item.unwrap()
}

#[test]
fn a_subject_has_a_bounded_number_of_challenges_and_sent_ones_are_never_pushed_out() {
    let world = crowded();
    let refused = world.open();
    world.couriers.sms.answer([Verdict::Refuse]);
    assert!(matches!(send(&world, refused), Sent::Undeliverable(_)));
    let sent: Vec<_> = (0..MAX_LIVE).map(|_| world.open_and_send()).collect();
    assert!(ledger(&world).find(refused).is_none(), "one whose message was refused gave way");
    let room_at = world.clock.now() + Duration::from_mins(15);
    let unsent = world.open();
    assert_eq!(refusal(&world, unsent), Some(Refusal::TooMany(room_at)));
    assert_eq!(status(&world, unsent), Status::NotSent, "it waits for room");
    let (id, code) = &sent[0];
    assert!(matches!(block_on(world.verify(*id, code)).unwrap(), Outcome::Verified(_)));
    assert!(matches!(send(&world, unsent), Sent::Sent(..)), "there is room");
    assert!(matches!(send(&world, refused), Sent::Refused(Refusal::TooMany(_))));
}

/// Fills the ledger of Ada's phone with challenges that have succeeded.
fn fill(world: &TestWorld) {
    for _ in 0..MAX_CHALLENGES {
        let (id, code) = world.open_and_send();
        assert!(matches!(block_on(world.verify(id, &code)).unwrap(), Outcome::Verified(_)));
    }
}

#[test]
fn what_was_sent_verified_and_evicted_is_never_sent_again() {
    let world = crowded();
    let opening = to_phone(&world);
    block_on(open::open(&world, world.keys(), &opening)).unwrap();
    assert!(matches!(send(&world, opening.id), Sent::Sent(..)));
    let code = world.last_code();
    assert!(matches!(block_on(world.verify(opening.id, &code)).unwrap(), Outcome::Verified(_)));
    fill(&world);
    let evicting = ledger(&world);
    assert!(evicting.find(opening.id).is_none() && evicting.has_evicted(opening.id));
    // Its own item is still there, and a second one changes nothing.
    for _ in 0..2 {
        assert_eq!(refusal(&world, opening.id), Some(Refusal::AlreadyUsed));
        assert_eq!(block_on(world.verify(opening.id, &code)).unwrap(), Outcome::NotFound);
        assert_eq!(status(&world, opening.id), Status::NotFound);
        block_on(open::open(&world, world.keys(), &opening)).unwrap();
    }
    assert_eq!(ledger(&world), evicting);
    world.clock.advance(Duration::from_mins(15));
    assert_eq!(refusal(&world, opening.id), Some(Refusal::AlreadyUsed));
    world.open_and_send();
    assert!(!ledger(&world).has_evicted(opening.id), "its life is over");
    assert_eq!(refusal(&world, opening.id), Some(Refusal::Expired));
}

/// Sends once more, to what was sent before.
fn resend(world: &TestWorld, id: ChallengeId) -> Sent {
    let (target, options) = (SendTarget::Again(id, &world.app), TestWorld::options(Channel::Sms));
    block_on(send::send(world, world.keys(), target, &options)).unwrap().sent
}

#[test]
fn an_unsent_challenge_that_has_ended_is_expired_for_an_hour() {
    let world = TestWorld::default();
    let unsent = world.open();
    let seen_after = |span| {
        world.clock.advance(span);
        world.ledgers.forget(world.clock.now());
        (status(&world, unsent), refusal(&world, unsent))
    };
    let expired = (Status::Expired, Some(Refusal::Expired));
    assert_eq!(seen_after(Duration::from_mins(15)), expired);
    assert_eq!(seen_after(Duration::from_mins(59)), expired);
    let unknown = (Status::NotFound, Some(Refusal::NotFound));
    assert_eq!(seen_after(Duration::from_mins(1)), unknown);
}

#[test]
fn what_was_never_sent_is_not_sent_again_and_is_told_from_what_there_is_not() {
    let world = crowded();
    let refused = |id| match resend(&world, id) {
        Sent::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    };
    let unsent = world.open();
    assert_eq!(refused(unsent), Refusal::NeverSent, "opened");
    world.couriers.sms.answer([Verdict::Refuse]);
    send(&world, unsent);
    assert_eq!(refused(unsent), Refusal::NeverSent, "refused by its courier");
    assert_eq!(refused(to_phone(&world).id), Refusal::NotFound, "never opened");
    let (sent, code) = world.open_and_send();
    world.ledgers.take_calls();
    assert!(matches!(resend(&world, sent), Sent::Sent(..)));
    assert_eq!(world.ledgers.take_calls(), (1, 1), "what was sent has no item of its own to read");
    assert_eq!(block_on(world.verify(sent, &code)).unwrap(), Outcome::Incorrect, "it has ended");
    block_on(world.verify(sent, &world.last_code())).unwrap();
    let late = world.open();
    fill(&world);
    assert!(ledger(&world).has_evicted(sent));
    assert_eq!(refused(sent), Refusal::AlreadyUsed);
    let eve = Arc::new(App::new("eve".parse().unwrap(), "Eve"));
    let foreign = TestWorld { app: eve, ..world };
    for id in [late, sent] {
        assert!(matches!(resend(&foreign, id), Sent::Refused(Refusal::NotFound)), "another app's");
    }
    foreign.clock.advance(Duration::from_mins(15));
    let world = TestWorld { app: Arc::new(demo_app()), ..foreign };
    assert!(matches!(resend(&world, late), Sent::Refused(Refusal::Expired)));
}

#[test]
fn an_order_whose_challenge_was_evicted_was_sent_already() {
    let world = crowded();
    let opening = to_phone(&world);
    assert!(matches!(send_ordered(&world, &opening, Channel::Sms), Sent::Sent(..)));
    block_on(world.verify(opening.id, &world.last_code())).unwrap();
    fill(&world);
    assert!(ledger(&world).has_evicted(opening.id));
    // Under the same id another challenge would have attempts of its own.
    let anew = to_phone(&world).with_id(opening.id);
    for opening in [&opening, &anew] {
        let again = send_ordered(&world, opening, Channel::Sms);
        assert!(matches!(again, Sent::Refused(Refusal::AlreadySent)));
    }
    block_on(open::open(&world, world.keys(), &anew)).unwrap();
    assert_eq!(refusal(&world, anew.id), Some(Refusal::AlreadyUsed));
}

#[test]
fn a_ledger_that_remembers_no_more_evicted_challenges_evicts_none() {
    let world = crowded();
    let mut sent = Vec::new();
    let room_at = loop {
        let id = world.open();
        match send(&world, id) {
            Sent::Sent(..) => block_on(world.verify(id, &world.last_code())).unwrap(),
            Sent::Refused(Refusal::TooMany(until)) => break until,
            other => panic!("{other:?}"),
        };
        sent.push(id);
    };
    assert_eq!(sent.len(), 80, "16 that are there and 64 that are remembered");
    assert!(sent.iter().all(|id| refusal(&world, *id) == Some(Refusal::AlreadyUsed)));
    world.clock.advance(world.clock.now().until(room_at));
    world.open_and_send();
}

#[test]
fn an_edited_app_never_changes_a_live_challenge() {
    let world = TestWorld::default();
    let (id, code) = world.open_and_send();
    let mut stricter = (*world.app).clone();
    stricter.policy.max_attempts = 1;
    stricter.policy.code_seconds = 30;
    let world = TestWorld { app: Arc::new(stricter), ..world };
    world.clock.advance(60 * SECOND);
    block_on(world.verify(id, &TestWorld::wrong(&code))).unwrap();
    assert!(matches!(block_on(world.verify(id, &code)).unwrap(), Outcome::Verified(_)));
}

const ROOT: &str = "a-secret-of-at-least-32-characters";

fn rotated(current: u8, previous: &str) -> FakeKeyring {
    let current = format!("secret-number-{current}-of-at-least-32-characters");
    let json = format!(r#"{{"root":"{ROOT}","current":"{current}","previous":"{previous}"}}"#);
    FakeKeyring::of(Keyring::from_secret(&json).unwrap())
}

#[test]
fn a_code_survives_one_rotation_of_the_keyring_and_not_two() {
    let mut world = TestWorld::without_waits();
    let challenges = [world.open_and_send(), world.open_and_send()];
    world.keyring = rotated(1, ROOT);
    let (id, code) = &challenges[0];
    assert!(matches!(block_on(world.verify(*id, code)).unwrap(), Outcome::Verified(_)));
    world.keyring = rotated(2, "secret-number-1-of-at-least-32-characters");
    let (id, code) = &challenges[1];
    assert_eq!(block_on(world.verify(*id, code)).unwrap(), Outcome::Expired);
}

#[test]
fn a_function_that_has_not_heard_of_a_rotation_asks_before_it_judges() {
    let mut world = TestWorld::default();
    let stale = world.keyring.clone();
    world.keyring = rotated(1, ROOT);
    let (id, code) = world.open_and_send();
    world.keyring = FakeKeyring { in_hand: stale.in_hand, ..world.keyring };
    assert!(matches!(block_on(world.verify(id, &code)).unwrap(), Outcome::Verified(_)));
}

#[test]
fn a_store_that_fails_reveals_nothing_and_leaves_a_state_to_go_on_from() {
    let world = TestWorld::default();
    let (id, code) = world.open_and_send();
    world.ledgers.fail_stores([Fault::Unavailable]);
    let failed = block_on(world.verify(id, &code));
    assert!(matches!(failed, Err(Failure::Unavailable(_))));
    world.ledgers.fail_stores([Fault::Conflict; 12]);
    assert!(matches!(block_on(world.verify(id, &code)), Err(Failure::Contended)));
    world.ledgers.fail_stores([Fault::Conflict; 11]);
    assert!(matches!(block_on(world.verify(id, &code)).unwrap(), Outcome::Verified(_)));
}

#[test]
fn a_claim_that_cannot_be_stored_sends_nothing() {
    let world = TestWorld::default();
    let id = world.open();
    world.ledgers.fail_stores([Fault::Unavailable]);
    assert!(block_on(world.send(id, &TestWorld::options(Channel::Sms))).is_err());
    assert!(world.couriers.sms.taken().is_empty());
    let delivery = block_on(world.send(id, &TestWorld::options(Channel::Sms))).unwrap();
    assert!(matches!(delivery.sent, Sent::Sent(..)) && delivery.unreleased.is_none());
    let code = world.last_code();
    assert!(matches!(block_on(world.verify(id, &code)).unwrap(), Outcome::Verified(_)));
}

#[test]
fn store_calls_stay_within_their_budget() {
    let world = TestWorld::default();
    let calls = |what: &str, ledgers, counters| {
        assert_eq!(world.ledgers.take_calls(), ledgers, "{what}: ledgers");
        assert_eq!(world.counters.take_calls(), counters, "{what}: counters");
    };
    let id = world.open();
    calls("create", (0, 1), (0, 0));
    status(&world, id);
    calls("status, not sent", (2, 0), (0, 0));
    send(&world, id);
    calls("send of what was created", (2, 1), (3, 3));
    let code = world.last_code();
    block_on(world.verify(id, &TestWorld::wrong(&code))).unwrap();
    calls("verify, wrong", (1, 1), (0, 0));
    block_on(world.verify(id, &code)).unwrap();
    calls("verify, the first success of the day", (1, 1), (0, 2));
    status(&world, id);
    calls("status", (1, 0), (0, 0));
    let ip = Some([192, 0, 2, 7].into());
    for (hours, counted) in [(0, 0), (24, 3)] {
        world.clock.advance(Duration::from_hours(hours));
        let sending = world.send_to(Address::Phone(TestWorld::phone()), ip);
        let Sent::Sent(id, _) = block_on(sending).unwrap().sent else { panic!("it goes out") };
        calls("text", (1, 1), (4, 4));
        block_on(world.verify(id, &world.last_code())).unwrap();
        calls("verify, a success of that day", (1, 1), (0, counted));
    }
    block_on(world.send_to(Address::Email(TestWorld::email()), ip)).unwrap();
    calls("e-mail", (1, 1), (2, 2));
}

#[test]
fn no_code_is_ever_stored() {
    let world = TestWorld::default();
    let (id, first) = world.open_and_send();
    world.clock.advance(30 * SECOND);
    send(&world, id);
    let second = world.last_code();
    block_on(world.verify(id, &first)).unwrap();
    block_on(world.verify(id, &second)).unwrap();
    let stored = world.ledgers.dump();
    assert!(!stored.contains(&first) && !stored.contains(&second), "{stored}");
}
