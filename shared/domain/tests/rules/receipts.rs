//! What providers report of messages: in every order, twice, late and of nothing; and what follows from it.

use passcode_domain::{
    Address, Addresses, ChallengeId, Channel, EmailAddress, Ledger,
    action::{
        receipt::{self, Received},
        send::{Refusal, SendOptions, Sent},
    },
    app::guard::{Guard, Rule},
    guard::{CountedIn, Origin},
    ledger::receipt::{DeliveryState, Receipt, UNDELIVERABLE_TIME},
    ports::{Clock as _, LoadLedgers as _, ProviderMessageId},
    secret::receipt::ReceiptTag,
    value::id::CounterKey,
};
use passcode_testkit::{
    Fault, TestWorld, demo_app,
    schedule::{Task, block_on, interleave},
    unguarded,
};
use proptest::prelude::*;
use std::{net::IpAddr, time::Duration};

fn both() -> Addresses {
    Addresses::new(Address::Email(TestWorld::email()), Some(Address::Phone(TestWorld::phone())))
}

/// A challenge whose first message has gone out by e-mail, with these channels named.
fn mailed(world: &TestWorld, channels: &[Channel]) -> ChallengeId {
    let opening = world.opening(both(), Duration::from_mins(15));
    block_on(passcode_domain::action::open::open(world, world.keys(), &opening)).expect("opened");
    let options = SendOptions { channels: channels.to_vec(), ..SendOptions::default() };
    let sent = block_on(world.send(opening.id, &options)).expect("decided").sent;
    assert!(matches!(sent, Sent::Sent(_, Channel::Email)), "{sent:?}");
    opening.id
}

fn report(world: &TestWorld, id: ChallengeId, generation: u32, state: DeliveryState) -> Received {
    let tag = ReceiptTag::of(world.keys(), id, generation);
    let receipt = Receipt { state, at: world.clock.now() };
    let received = block_on(receipt::receive(world, world.keys(), &tag, receipt)).expect("stored");
    received.expect("it is known")
}

fn ledger(world: &TestWorld, id: ChallengeId) -> Ledger {
    let loaded = block_on(world.ledgers.load::<Ledger>(&(*id.subject()).into())).expect("loaded");
    loaded.item.expect("a ledger")
}

const ALL: [DeliveryState; 6] = [
    DeliveryState::Delayed,
    DeliveryState::Undelivered,
    DeliveryState::Delivered,
    DeliveryState::Failed,
    DeliveryState::Bounced,
    DeliveryState::Complained,
];

#[test]
fn two_reports_come_to_the_same_in_either_order_and_however_often() {
    for first in ALL {
        for second in ALL {
            let end = |states: &[DeliveryState]| {
                let world = TestWorld::default();
                let id = mailed(&world, &[Channel::Email]);
                for state in states {
                    report(&world, id, 1, *state);
                }
                ledger(&world, id)
            };
            let once = end(&[first, second]);
            assert_eq!(once, end(&[second, first]), "{first:?} {second:?}");
            assert_eq!(once, end(&[second, first, second, first, second]), "{first:?} {second:?}");
            let send = &once.challenges[0].sends[0];
            assert_eq!(send.receipt.map(|receipt| receipt.state), Some(first.max(second)));
        }
    }
}

#[test]
fn a_report_that_tells_nothing_new_writes_nothing() {
    let world = TestWorld::default();
    let id = mailed(&world, &[Channel::Email]);
    assert!(report(&world, id, 1, DeliveryState::Delivered).is_new);
    world.ledgers.take_calls();
    for state in [DeliveryState::Delivered, DeliveryState::Delayed, DeliveryState::Undelivered] {
        assert!(!report(&world, id, 1, state).is_new, "{state:?}");
    }
    assert_eq!(world.ledgers.take_calls().1, 0);
}

#[test]
fn a_report_of_what_is_not_known_changes_nothing() {
    let world = TestWorld::default();
    let id = mailed(&world, &[Channel::Email]);
    let before = ledger(&world, id);
    let other = ChallengeId::new(*id.subject(), [9; 16]);
    let nobody = ChallengeId::new(passcode_domain::SubjectKey::from_bytes([8; 16]), [9; 16]);
    for (id, generation) in [(id, 2), (other, 1), (nobody, 1)] {
        let tag = ReceiptTag::of(world.keys(), id, generation);
        let receipt = Receipt { state: DeliveryState::Bounced, at: world.clock.now() };
        let received = block_on(receipt::receive(&world, world.keys(), &tag, receipt));
        assert_eq!(received.expect("loaded"), None);
    }
    assert_eq!(ledger(&world, id), before);
}

#[test]
fn only_a_certain_failure_releases_the_cool_down_and_no_limit() {
    for state in ALL {
        let world = TestWorld::default();
        let id = mailed(&world, &[Channel::Email]);
        report(&world, id, 1, state);
        let sent = block_on(world.send(id, &TestWorld::options(Channel::Email))).expect("decided");
        let Sent::Refused(Refusal::CoolingDown(until)) = sent.sent else {
            assert_eq!(state, DeliveryState::Failed, "{:?}", sent.sent);
            continue;
        };
        // What has bounced is refused for that, and what was complained about for both.
        let is_suppressed = until == world.clock.now() + UNDELIVERABLE_TIME;
        assert_eq!(is_suppressed, state == DeliveryState::Bounced, "{state:?}");
    }
    // Each message that failed has used up one of those that a challenge has.
    let world = TestWorld::of(passcode_domain::App { guard: unguarded(), ..demo_app() });
    let id = mailed(&world, &[Channel::Email]);
    for generation in 1..u32::from(world.app.policy.max_sends) {
        report(&world, id, generation, DeliveryState::Failed);
        let sent = block_on(world.send(id, &TestWorld::options(Channel::Email))).expect("decided");
        assert!(matches!(sent.sent, Sent::Sent(..)), "{generation}: {:?}", sent.sent);
    }
    report(&world, id, world.app.policy.max_sends.into(), DeliveryState::Failed);
    let sent = block_on(world.send(id, &TestWorld::options(Channel::Email))).expect("decided");
    assert!(matches!(sent.sent, Sent::Refused(Refusal::SendsExhausted)), "{:?}", sent.sent);
}

#[test]
fn what_was_named_is_tried_once_however_many_reports_come() {
    let world = TestWorld::default();
    let id = mailed(&world, &[Channel::Email, Channel::Sms]);
    let received = [(); 3].map(|()| report(&world, id, 1, DeliveryState::Failed));
    let next = received.map(|received| received.next.expect("a phone is left"));
    for next in &next {
        block_on(receipt::fall_back(&world, world.keys(), next)).expect("decided");
    }
    assert_eq!(world.couriers.sms.taken().len(), 1);
    assert_eq!(report(&world, id, 1, DeliveryState::Bounced).next, None, "another has gone out");
    assert_eq!(report(&world, id, 2, DeliveryState::Failed).next, None, "nothing is left");
    let verified = block_on(world.verify(id, &world.last_code())).expect("decided");
    assert!(matches!(verified, passcode_domain::action::verify::Outcome::Verified(_)));
}

proptest! {
    #[test]
    fn however_two_reports_of_a_failure_interleave_one_message_is_sent(
        choices in proptest::collection::vec(0..2usize, 60),
    ) {
        let world = TestWorld::default();
        let id = mailed(&world, &[Channel::Email, Channel::Sms]);
        let report = async || {
            let tag = ReceiptTag::of(world.keys(), id, 1);
            let receipt = Receipt { state: DeliveryState::Failed, at: world.clock.now() };
            let received = receipt::receive(&world, world.keys(), &tag, receipt).await;
            if let Some(next) = received.unwrap().unwrap().next {
                receipt::fall_back(&world, world.keys(), &next).await.unwrap();
            }
        };
        let tasks: Vec<Task<'_, ()>> = vec![Box::pin(report()), Box::pin(report())];
        let mut choices = choices.into_iter();
        interleave(tasks, |_| choices.next().unwrap_or_default());
        prop_assert_eq!(world.couriers.sms.taken().len(), 1);
    }
}

#[test]
fn a_second_address_is_counted_whatever_the_first_is() {
    let world = TestWorld::of(passcode_domain::App {
        guard: Guard {
            sends_per_address: TestWorld::default().app.guard.sends_per_address,
            ..unguarded()
        },
        ..demo_app()
    });
    let most = world.app.guard.sends_per_address.per_hour;
    for n in 0..=most {
        let email = Address::Email(EmailAddress::parse(&format!("ada{n}@example.com")).unwrap());
        let about = Addresses::new(email, Some(Address::Phone(TestWorld::phone())));
        let opening = world.opening(about, Duration::from_mins(15));
        block_on(passcode_domain::action::open::open(&world, world.keys(), &opening)).unwrap();
        let channels = vec![Channel::Email, Channel::Sms];
        let options = SendOptions { channels, ..SendOptions::default() };
        block_on(world.send(opening.id, &options)).expect("decided");
        let next = report(&world, opening.id, 1, DeliveryState::Bounced).next.expect("a phone");
        let sent = block_on(receipt::fall_back(&world, world.keys(), &next)).expect("decided").sent;
        assert_eq!(matches!(sent, Sent::Sent(..)), n < most, "{n}: {sent:?}");
    }
    assert_eq!(world.couriers.sms.taken().len() as u64, u64::from(most));
}

#[test]
fn a_late_report_ends_no_counter_before_its_time() {
    let counted = CountedIn { ip: Some(CounterKey::from_bytes([1; 16])), ..CountedIn::default() };
    let (at, hour) = (TestWorld::default().clock.now(), Duration::from_hours(1));
    let count = counted.bounced(at, at + hour * 5).expect("a window still looks back at it");
    assert!(count.slot > counted.bounced(at, at).expect("counted").slot);
    assert_eq!(counted.bounced(at, at + hour * 24), None);
}

#[test]
fn one_mistyped_address_blocks_nobody() {
    let world = TestWorld::without_waits();
    let ip: IpAddr = "192.0.2.7".parse().unwrap();
    let mail = |name: &str| Address::Email(EmailAddress::parse(name).unwrap());
    let sent = block_on(world.send_to(mail("ad@example.com"), Some(ip))).expect("decided").sent;
    let Sent::Sent(id, _) = sent else { panic!("{sent:?}") };
    report(&world, id, 1, DeliveryState::Bounced);
    for minutes in [1, 20, 40] {
        world.clock.advance(Duration::from_mins(minutes));
        let sent = block_on(world.send_to(mail("ada@example.com"), Some(ip))).expect("decided");
        let Sent::Sent(id, _) = sent.sent else { panic!("{minutes}: {sent:?}") };
        block_on(world.verify(id, &world.last_mailed_code())).expect("decided");
    }
}

#[test]
fn nothing_is_sent_instead_once_the_code_has_ended() {
    let world = TestWorld::default();
    let id = mailed(&world, &[Channel::Email, Channel::Sms]);
    world.clock.advance(Duration::from_mins(11));
    assert_eq!(report(&world, id, 1, DeliveryState::Failed).next, None, "nobody waits");
}

#[test]
fn nothing_is_sent_instead_once_the_challenge_is_over() {
    let world = TestWorld::default();
    let id = mailed(&world, &[Channel::Email, Channel::Sms]);
    world.clock.advance(Duration::from_mins(15));
    assert_eq!(report(&world, id, 1, DeliveryState::Failed).next, None, "expired");

    let world = TestWorld::default();
    let id = mailed(&world, &[Channel::Email, Channel::Sms]);
    block_on(world.verify(id, &world.last_mailed_code())).expect("decided");
    assert_eq!(report(&world, id, 1, DeliveryState::Failed).next, None, "verified");
}

#[test]
fn an_address_that_bounced_gets_nothing_for_a_day_and_the_next_channel_is_taken() {
    for state in [DeliveryState::Bounced, DeliveryState::Complained] {
        let world = TestWorld::of(passcode_domain::App { guard: unguarded(), ..demo_app() });
        let first = mailed(&world, &[Channel::Email]);
        report(&world, first, 1, state);
        world.clock.advance(Duration::from_hours(2));
        world.ledgers.take_calls();
        let refused =
            block_on(world.send_to(Address::Email(TestWorld::email()), None)).expect("decided");
        let Sent::Refused(Refusal::CoolingDown(until)) = refused.sent else {
            panic!("{:?}", refused.sent)
        };
        assert_eq!(until + Duration::from_hours(2), world.clock.now() + UNDELIVERABLE_TIME);
        assert_eq!(world.ledgers.take_calls().1, 0, "what is refused writes nothing");
        let opening = world.opening(both(), Duration::from_mins(15));
        block_on(passcode_domain::action::open::open(&world, world.keys(), &opening)).unwrap();
        let channels = vec![Channel::Email, Channel::Sms];
        let options = SendOptions { channels, ..SendOptions::default() };
        let sent = block_on(world.send(opening.id, &options)).expect("decided").sent;
        assert!(matches!(sent, Sent::Sent(_, Channel::Sms)), "{sent:?}");
        world.clock.advance(UNDELIVERABLE_TIME);
        let sent = block_on(world.send_to(Address::Email(TestWorld::email()), None))
            .expect("decided")
            .sent;
        assert!(matches!(sent, Sent::Sent(..)), "{sent:?}");
    }
}

#[test]
fn whoever_lets_messages_bounce_is_blocked_sooner() {
    let ip: IpAddr = "192.0.2.7".parse().unwrap();
    let sent_until_blocked = |bounces: bool| {
        let world = TestWorld::without_waits();
        for n in 0..1000 {
            let to =
                Address::Email(EmailAddress::parse(&format!("nobody{n}@example.com")).unwrap());
            let delivery = block_on(world.send_to(to, Some(ip))).expect("decided");
            let Sent::Sent(id, _) = delivery.sent else {
                assert!(matches!(
                    delivery.findings[0].rule,
                    Rule::UnverifiedPerIpHour | Rule::UnverifiedPerIpDay
                ));
                return n;
            };
            if bounces {
                report(&world, id, 1, DeliveryState::Bounced);
                // Once more counts nothing more.
                report(&world, id, 1, DeliveryState::Complained);
            }
            world.clock.advance(Duration::from_mins(1));
        }
        panic!("nothing stops it")
    };
    let (usual, bounced) = (sent_until_blocked(false), sent_until_blocked(true));
    assert!(bounced * 2 < usual, "{bounced} and {usual}");
}

#[test]
fn the_message_sent_instead_counts_for_whoever_asked() {
    let world = TestWorld::default();
    let opening = world.opening(both(), Duration::from_mins(15));
    block_on(passcode_domain::action::open::open(&world, world.keys(), &opening)).unwrap();
    let ip: IpAddr = "192.0.2.7".parse().unwrap();
    let options = SendOptions {
        channels: vec![Channel::Email, Channel::Sms],
        origin: Origin::from(Some(ip)),
        ..SendOptions::default()
    };
    block_on(world.send(opening.id, &options)).expect("decided");
    let next = report(&world, opening.id, 1, DeliveryState::Failed).next.expect("a phone is left");
    let delivery = block_on(receipt::fall_back(&world, world.keys(), &next)).expect("decided");
    assert!(matches!(delivery.sent, Sent::Sent(..)) && !delivery.lacks_origin);
    let sends = &ledger(&world, opening.id).challenges[0].sends;
    assert_eq!(sends[0].counted_in.ip, sends[1].counted_in.ip);
    assert!(sends[0].counted_in.ip.is_some());
}

#[test]
fn a_text_message_is_found_by_the_providers_id_of_it() {
    let world = TestWorld::default();
    world.couriers.sms.give_ids();
    let (id, _) = world.open_and_send();
    let tracked = |name: &str| {
        let message = ProviderMessageId(name.to_owned());
        block_on(receipt::tracked(&world, world.keys(), &message)).expect("loaded")
    };
    let (tag, app, country) = tracked("message-1").expect("it is tracked");
    assert_eq!(tag, ReceiptTag::of(world.keys(), id, 1));
    assert_eq!((app, country.as_str()), (world.app.id.clone(), "US"));
    assert_eq!(tracked("message-2"), None);
}

#[test]
fn a_message_whose_receipts_will_not_be_found_has_gone_out_all_the_same() {
    let world = TestWorld::default();
    world.couriers.sms.give_ids();
    let id = world.open();
    world.ledgers.fail_stores([Fault::None, Fault::Unavailable]);
    let delivery = block_on(world.send(id, &TestWorld::options(Channel::Sms))).expect("decided");
    assert!(matches!(delivery.sent, Sent::Sent(..)) && delivery.untracked.is_some());
}
