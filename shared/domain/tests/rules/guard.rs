//! What the guard refuses, what it costs, and when it ends. Each rule is alone in its tests: the
//! others are off.

use passcode_domain::{
    Address, App, ChallengeId, Lookup, PhoneNumber,
    action::{
        send::{self, Delivery, Refusal, SendOptions, SendTarget, Sent},
        verify::Outcome,
    },
    app::guard::{Guard, Mode, Rule},
    guard::{Counters, Origin, Reservation, Throttled, VerifyCount},
    ledger::Item,
    ports::{
        CountVerified, LoadCounters, LoadLedgers, Loaded, ReserveCounters, ReserveError,
        StoreError, StoreLedgers,
    },
    value::{
        country::NumberType,
        id::{CounterKey, ItemKey},
    },
};
use passcode_testkit::{
    FakeCounters, FakeEntropy, FakeLedgers, TestWorld, Verdict, demo_app,
    schedule::{Task, block_on, give_way, interleave},
    unguarded, without_waits,
};
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);

fn guarded(edit: impl FnOnce(&mut Guard)) -> TestWorld {
    let mut guard = unguarded();
    // Callers who have a secret or an id may use up all of a limit.
    guard.anonymous_percent = 0;
    edit(&mut guard);
    guard.validate().unwrap();
    TestWorld::of(without_waits(App { guard, ..demo_app() }))
}

/// One of ten thousand neighbours.
fn neighbour(of: u32, n: u32) -> Address {
    let number = format!("+1415{:03}{n:04}", 200 + of);
    Address::Phone(PhoneNumber::parse(&number).unwrap())
}

fn phone(text: &str) -> Address {
    Address::Phone(PhoneNumber::parse(text).unwrap())
}

#[expect(clippy::unnecessary_wraps, reason = "as a send takes it")]
fn ip(n: u8) -> Option<IpAddr> {
    Some(IpAddr::from([192, 0, 2, n]))
}

/// One of many IP addresses.
#[expect(clippy::unnecessary_wraps, reason = "as a send takes it")]
fn host(n: u32) -> Option<IpAddr> {
    let [_, _, high, low] = n.to_be_bytes();
    Some(IpAddr::from([10, 0, high, low]))
}

fn send(world: &TestWorld, to: Address, ip: Option<IpAddr>) -> Delivery {
    block_on(world.send_to(to, ip)).unwrap()
}

/// Whether it went out, or why not.
fn sent(world: &TestWorld, to: Address, ip: Option<IpAddr>) -> Result<ChallengeId, Refusal> {
    match send(world, to, ip).sent {
        Sent::Sent(id, _) => Ok(id),
        Sent::Refused(refusal) => Err(refusal),
        other => panic!("{other:?}"),
    }
}

fn verify(world: &TestWorld, id: ChallengeId) {
    let code = world.last_code();
    assert!(matches!(block_on(world.verify(id, &code)).unwrap(), Outcome::Verified(_)));
}

fn throttled(refusal: Refusal) -> Throttled {
    let Refusal::Throttled(throttled) = refusal else { panic!("{refusal:?}") };
    throttled
}

const MAILBOX: u32 = 600;

#[test]
fn a_country_that_the_app_has_not_named_is_refused_and_nothing_changes() {
    let world = guarded(|guard| guard.allowed_countries.mode = Mode::Enforce);
    let british = phone("+447400123456");
    assert_eq!(sent(&world, british, None), Err(Refusal::Blocked(Rule::AllowedCountries)));
    assert_eq!((world.ledgers.dump().as_str(), world.ledgers.take_calls().1), ("", 0));
    for number in ["+14155550100", "+919876543210", "+306912345678", "+2348011111111"] {
        assert!(sent(&world, phone(number), None).is_ok(), "{number}");
    }
    assert!(
        sent(&world, Address::Email(TestWorld::email()), None).is_ok(),
        "a mail has no country"
    );
}

#[test]
fn a_number_that_costs_more_than_others_is_refused() {
    let world = guarded(|guard| guard.number_type.mode = Mode::Enforce);
    for number in ["+19002345678", "+18002345678"] {
        assert_eq!(
            sent(&world, phone(number), None),
            Err(Refusal::Blocked(Rule::NumberType)),
            "{number}"
        );
    }
}

#[test]
fn a_rule_in_shadow_is_recorded_and_sends() {
    let world = guarded(|guard| {
        guard.allowed_countries.mode = Mode::Shadow;
        guard.number_type.mode = Mode::Shadow;
    });
    let delivery = send(&world, phone("+449012345678"), None);
    assert!(matches!(delivery.sent, Sent::Sent(..)));
    let found: Vec<_> = delivery.findings.iter().map(|f| (f.rule, f.is_enforced)).collect();
    assert_eq!(found, [(Rule::AllowedCountries, false), (Rule::NumberType, false)]);
}

#[test]
fn all_rules_are_asked_and_the_first_that_is_enforced_is_told() {
    let world = guarded(|guard| {
        guard.allowed_countries.mode = Mode::Shadow;
        guard.number_type.mode = Mode::Enforce;
        guard.sends_per_app.mode = Mode::Enforce;
        (guard.sends_per_app.per_hour, guard.sends_per_app.per_day) = (1, 1);
    });
    assert!(sent(&world, neighbour(1, 1), None).is_ok());
    let delivery = send(&world, phone("+449012345678"), None);
    assert!(matches!(delivery.sent, Sent::Refused(Refusal::Blocked(Rule::NumberType))));
    let found: Vec<_> = delivery.findings.iter().map(|f| (f.rule, f.is_enforced)).collect();
    let expected =
        [(Rule::AllowedCountries, false), (Rule::NumberType, true), (Rule::SendsPerApp, true)];
    assert_eq!(found, expected);
}

#[test]
fn a_subject_gets_so_many_messages_in_any_hour_and_any_day() {
    let world = guarded(|guard| guard.sends_per_address.mode = Mode::Enforce);
    let began = passcode_domain::ports::Clock::now(&world.clock);
    for _ in 0..10 {
        let id = sent(&world, neighbour(1, 1), None).unwrap();
        verify(&world, id);
    }
    let full = throttled(sent(&world, neighbour(1, 1), None).unwrap_err());
    assert_eq!((full.rule, full.quota, full.window), (Rule::SendsPerAddress, 10, HOUR));
    assert_eq!(full.until, began + HOUR);
    world.clock.advance(HOUR.checked_sub(Duration::from_millis(1)).unwrap());
    assert!(sent(&world, neighbour(1, 1), None).is_err());
    world.clock.advance(Duration::from_millis(1));
    for _ in 0..10 {
        let id = sent(&world, neighbour(1, 1), None).unwrap();
        verify(&world, id);
    }
    let full = throttled(sent(&world, neighbour(1, 1), None).unwrap_err());
    assert_eq!((full.quota, full.until), (20, began + 24 * HOUR), "the day's comes later");
    assert!(sent(&world, neighbour(1, 2), None).is_ok(), "others are not concerned");
    world.clock.advance(22 * HOUR);
    assert!(sent(&world, neighbour(1, 1), None).is_err());
    world.clock.advance(HOUR);
    assert!(sent(&world, neighbour(1, 1), None).is_ok());
}

#[test]
fn addresses_for_tests_are_limited_like_any_other() {
    use passcode_domain::{Code, app::TestAddress, ports::Clock as _};
    let world = TestWorld::default();
    let until = world.clock.now() + 24 * HOUR;
    let code = Code::try_from("424242".to_owned()).unwrap();
    let address = TestWorld::phone().as_str().to_owned();
    let tested = TestAddress { address, code, until };
    let world = TestWorld::of(App { test_addresses: vec![tested], ..demo_app() });
    let mut tested = 0;
    for _ in 0..24 * 60 {
        let delivery = send(&world, Address::Phone(TestWorld::phone()), ip(1));
        tested += u32::from(matches!(delivery.sent, Sent::ToTestAddress(..)));
        world.clock.advance(MINUTE);
    }
    assert!(tested <= world.app.guard.sends_per_address.per_day, "{tested}");
    assert!(world.counters.take_calls().0 > 0, "the guard looks at them");
}

/// Fills a limit of `most` messages; what the next is told.
fn fill(world: &TestWorld, most: u32, to: impl Fn(u32) -> Address) -> Throttled {
    for n in 0..most {
        assert!(sent(world, to(n), ip(1)).is_ok(), "{n}");
    }
    let before = world.ledgers.dump().len();
    world.ledgers.take_calls();
    world.counters.take_calls();
    let told = throttled(sent(world, to(most), ip(1)).unwrap_err());
    assert_eq!(world.ledgers.dump().len(), before, "a refused send changes nothing");
    assert_eq!(world.ledgers.take_calls(), (1, 0), "and costs no more than an accepted one");
    assert_eq!(world.counters.take_calls().1, 0);
    assert_eq!(
        world.couriers.sms.taken().len() + world.couriers.email.taken().len(),
        most as usize
    );
    told
}

#[test]
fn an_ip_address_sends_so_much() {
    let world = guarded(|guard| guard.sends_per_ip.mode = Mode::Enforce);
    let told = fill(&world, 60, |n| neighbour(n, n));
    assert_eq!((told.rule, told.quota), (Rule::SendsPerIp, 60));
    assert!(sent(&world, neighbour(100, 1), ip(2)).is_ok(), "another is not concerned");
    assert!(sent(&world, neighbour(101, 1), None).is_ok(), "nor is one that is not known");
    world.clock.advance(2 * HOUR);
    assert!(sent(&world, neighbour(MAILBOX, 1), ip(1)).is_ok());
}

#[test]
fn a_country_gets_so_much() {
    let world = guarded(|guard| {
        guard.sends_per_country.mode = Mode::Enforce;
        (guard.sends_per_country.per_hour, guard.sends_per_country.per_day) = (20, 30);
    });
    let told = fill(&world, 20, |n| neighbour(n, n));
    assert_eq!((told.rule, told.quota, told.window), (Rule::SendsPerCountry, 20, HOUR));
    assert!(sent(&world, phone("+306912345678"), None).is_ok(), "another is not concerned");
    assert!(sent(&world, Address::Email(TestWorld::email()), None).is_ok());
    world.clock.advance(2 * HOUR);
    for n in 0..10 {
        assert!(sent(&world, neighbour(100 + n, n), None).is_ok());
    }
    let told = throttled(sent(&world, neighbour(200, 1), None).unwrap_err());
    assert_eq!((told.quota, told.window), (30, 24 * HOUR));
}

#[test]
fn an_app_sends_so_much() {
    let world = guarded(|guard| {
        guard.sends_per_app.mode = Mode::Enforce;
        (guard.sends_per_app.per_hour, guard.sends_per_app.per_day) = (20, 20);
    });
    let told = fill(&world, 20, |n| neighbour(n, n));
    assert_eq!(told.rule, Rule::SendsPerApp);
    assert!(
        sent(&world, Address::Email(TestWorld::email()), None).is_err(),
        "mails are its messages"
    );
    let wait = passcode_domain::ports::Clock::now(&world.clock).until(told.until);
    world.clock.advance(wait);
    assert!(sent(&world, neighbour(300, 1), None).is_ok(), "whoever comes back then is served");
}

#[test]
fn a_high_limit_is_as_exact_as_a_low_one() {
    let world = guarded(|guard| {
        guard.sends_per_app.mode = Mode::Enforce;
        (guard.sends_per_app.per_hour, guard.sends_per_app.per_day) = (1_000, 1_000);
    });
    let accepted: Vec<bool> =
        (0..1_100).map(|n| sent(&world, neighbour(n % 700, n), None).is_ok()).collect();
    assert_eq!(accepted.iter().position(|accepted| !accepted), Some(1_000));
    assert_eq!(accepted.iter().filter(|accepted| **accepted).count(), 1_000);
}

#[test]
fn the_spend_cap_is_reserved_before_the_send_and_given_back_when_it_is_refused() {
    let world = guarded(|guard| {
        guard.spend_cap.mode = Mode::Enforce;
        guard.spend_cap.per_day = Some("0.20".parse().unwrap());
        guard.spend_cap.prices.insert("GR".parse().unwrap(), "0.09".parse().unwrap());
    });
    assert!(sent(&world, phone("+306912345678"), None).is_ok());
    assert!(sent(&world, phone("+306912345679"), None).is_ok());
    let told = throttled(sent(&world, neighbour(1, 1), None).unwrap_err());
    assert_eq!((told.rule, told.quota), (Rule::SpendCap, 200_000));
    assert!(sent(&world, Address::Email(TestWorld::email()), None).is_ok(), "mails cost nothing");

    world.clock.advance(25 * HOUR);
    world.couriers.sms.answer([Verdict::Refuse; 10]);
    for n in 0..10 {
        let delivery = send(&world, neighbour(2, n), None);
        assert!(matches!(delivery.sent, Sent::Undeliverable(_)), "{delivery:?}");
    }
    for n in 0..4 {
        assert!(sent(&world, neighbour(3, n), None).is_ok(), "{n}");
    }
    assert!(sent(&world, neighbour(3, 4), None).is_err());
}

#[test]
fn a_lost_answer_is_not_given_back() {
    let world = guarded(|guard| {
        guard.spend_cap.mode = Mode::Enforce;
        guard.spend_cap.per_day = Some("0.05".parse().unwrap());
    });
    world.couriers.sms.answer([Verdict::Lose]);
    assert!(matches!(send(&world, neighbour(1, 1), None).sent, Sent::Unknown(..)));
    assert!(sent(&world, neighbour(1, 2), None).is_err());
}

#[test]
fn unverified_messages_from_an_ip_address_block_it_until_their_window_has_passed() {
    let world = guarded(|guard| guard.unverified_per_ip_hour.mode = Mode::Enforce);
    for n in 0..5 {
        assert!(sent(&world, neighbour(n, n), ip(1)).is_ok());
    }
    assert!(sent(&world, neighbour(6, 6), ip(1)).is_ok(), "their codes can still be typed");
    world.clock.advance(40 * MINUTE);
    world.ledgers.take_calls();
    world.counters.take_calls();
    let refused = Err(Refusal::Blocked(Rule::UnverifiedPerIpHour));
    assert_eq!(sent(&world, neighbour(7, 7), ip(1)), refused);
    assert_eq!(world.ledgers.take_calls(), (1, 0), "a block writes nothing");
    assert_eq!(world.counters.take_calls(), (1, 0), "nowhere");
    assert!(sent(&world, neighbour(7, 7), ip(2)).is_ok());
    world.clock.advance(Duration::from_millis(50 * 60_000 - 1));
    assert_eq!(sent(&world, neighbour(8, 8), ip(1)), refused);
    world.clock.advance(Duration::from_millis(1));
    assert!(sent(&world, neighbour(8, 8), ip(1)).is_ok(), "it ends by itself, after 90 minutes");
}

#[test]
fn too_many_codes_at_once_are_blocked_while_they_can_still_be_typed() {
    let world = guarded(|guard| guard.unverified_per_ip_day.mode = Mode::Enforce);
    for n in 0..50 {
        assert!(sent(&world, neighbour(n, n), ip(1)).is_ok(), "{n}");
    }
    let refused = Err(Refusal::Blocked(Rule::UnverifiedPerIpDay));
    assert_eq!(sent(&world, neighbour(51, 51), ip(1)), refused);
}

#[test]
fn verified_messages_speak_for_their_ip_address_and_their_country() {
    let world = guarded(|guard| {
        guard.unverified_per_ip_day.mode = Mode::Enforce;
        guard.unverified_per_country_hour.mode = Mode::Enforce;
        guard.unverified_per_country_day.mode = Mode::Enforce;
        guard.prefix_concentration.mode = Mode::Enforce;
    });
    for n in 0..200 {
        let id = sent(&world, neighbour(1, n), ip(1)).unwrap();
        verify(&world, id);
    }
    for n in 0..200 {
        assert!(sent(&world, neighbour(1, 1000 + n), ip(1)).is_ok(), "{n}");
    }
    let refused = Err(Refusal::Blocked(Rule::UnverifiedPerIpDay));
    assert_eq!(sent(&world, neighbour(1, 2000), ip(1)), refused, "as many as were verified");
}

#[test]
fn a_resend_that_is_verified_speaks_for_every_message_of_its_challenge() {
    use passcode_domain::Channel;
    let world = guarded(|guard| {
        guard.prefix_concentration.mode = Mode::Enforce;
        guard.prefix_concentration.floor = 2;
    });
    let id = sent(&world, neighbour(1, 1), host(1)).unwrap();
    let origin = Origin::from(host(1));
    let options = SendOptions { origin, ..TestWorld::options(Channel::Sms) };
    for minutes in [1, 2, 4] {
        world.clock.advance(minutes * MINUTE);
        let resent = block_on(world.send(id, &options)).unwrap();
        assert!(matches!(resent.sent, Sent::Sent(..)));
    }
    assert!(sent(&world, neighbour(1, 2), host(2)).is_err());
    verify(&world, id);
    for n in 0..4 {
        world.clock.advance(2 * HOUR);
        assert!(sent(&world, neighbour(1, 10 + n), host(10 + n)).is_ok(), "{n}");
    }
}

#[test]
fn unverified_messages_to_a_country_refuse_newcomers_and_its_verified_ones_speak_for_it() {
    let world = guarded(|guard| guard.unverified_per_country_day.mode = Mode::Enforce);
    for n in 0..500 {
        assert!(sent(&world, neighbour(n, n), host(n)).is_ok());
    }
    world.clock.advance(HOUR);
    let refused = Err(Refusal::Blocked(Rule::UnverifiedPerCountryDay));
    assert_eq!(sent(&world, neighbour(500, 500), host(500)), refused);
    assert!(sent(&world, phone("+306912345678"), host(500)).is_ok(), "another is not concerned");

    let world = guarded(|guard| {
        guard.unverified_per_country_day.mode = Mode::Enforce;
        guard.unverified_per_country_day.floor = 20;
    });
    for n in 0..50 {
        let id = sent(&world, neighbour(n % 700, n), host(n)).unwrap();
        verify(&world, id);
    }
    let unverified = |world: &TestWorld, from: u32| {
        let is_sent = |n: &u32| sent(world, neighbour(n % 700, from + n), host(from + n)).is_ok();
        (0..2000).take_while(is_sent).count()
    };
    assert_eq!(unverified(&world, 3000), 250, "five times what was verified in a day");
    world.clock.advance(292 * HOUR);
    assert_eq!(unverified(&world, 6000), 100, "and five times the floor, after a day without");
}

#[test]
fn an_ip_address_that_sends_all_over_the_world_is_blocked_unless_it_is_proven_there() {
    let numbers = ["+14155550100", "+919876543210", "+306912345678", "+2348011111111"];
    let world = guarded(|guard| guard.countries_per_ip.mode = Mode::Enforce);
    let refused = Err(Refusal::Blocked(Rule::CountriesPerIp));
    let answers = numbers.map(|number| sent(&world, phone(number), ip(1)).map(drop));
    assert_eq!(answers, [Ok(()), Ok(()), Ok(()), refused.map(|_: ChallengeId| ())]);

    let world = guarded(|guard| guard.countries_per_ip.mode = Mode::Enforce);
    for number in numbers {
        let id = sent(&world, phone(number), ip(1)).unwrap();
        verify(&world, id);
    }
}

#[test]
fn neighbours_get_twenty_messages_that_nobody_verifies() {
    let world = guarded(|guard| guard.prefix_concentration.mode = Mode::Enforce);
    let accepted = (0..1000).filter(|n| sent(&world, neighbour(1, *n), host(*n)).is_ok()).count();
    assert_eq!(accepted, 20);
    assert!(sent(&world, neighbour(2, 1), host(1)).is_ok(), "others are not concerned");
}

#[test]
fn a_rule_in_shadow_blocks_in_shadow() {
    let world = guarded(|guard| guard.prefix_concentration.mode = Mode::Shadow);
    let findings = (0..30).filter(|n| !send(&world, neighbour(1, *n), None).findings.is_empty());
    assert_eq!(findings.count(), 10);
    assert_eq!(world.couriers.sms.taken().len(), 30);
}

#[test]
fn a_block_is_concealed_where_the_app_says_so() {
    let mut guard = unguarded();
    guard.prefix_concentration.mode = Mode::Enforce;
    guard.prefix_concentration.floor = 1;
    let world = TestWorld::of(App { guard, conceal_blocks: true, ..demo_app() });
    let first = sent(&world, neighbour(1, 1), host(1)).unwrap();
    sent(&world, neighbour(1, 3), host(3)).unwrap();
    let delivery = send(&world, neighbour(1, 2), host(2));
    let Sent::Concealed(id, _) = delivery.sent else { panic!("{delivery:?}") };
    assert_eq!(delivery.findings.len(), 1, "the log knows");
    assert_eq!(block_on(world.verify(id, "123456")).unwrap(), Outcome::Incorrect);
    world.clock.advance(MINUTE);
    let options = TestWorld::options(passcode_domain::Channel::Sms);
    let options = SendOptions { origin: Origin::from(host(1)), ..options };
    let resent = block_on(world.send(first, &options)).unwrap();
    assert!(matches!(resent.sent, Sent::Concealed(..)), "a resend as well: {resent:?}");
    assert_eq!(world.couriers.sms.taken().len(), 2);
}

#[test]
fn the_next_channel_is_judged_as_well_and_the_first_is_given_back() {
    use passcode_domain::{Addresses, Channel};
    let world = guarded(|guard| {
        guard.sends_per_app.mode = Mode::Enforce;
        (guard.sends_per_app.per_hour, guard.sends_per_app.per_day) = (1, 1);
    });
    let both = Addresses::new(neighbour(1, 1), Some(Address::Email(TestWorld::email())));
    let opening = world.opening(both, Duration::from_mins(15));
    let target = SendTarget::Ordered(&opening, &world.app);
    let options = SendOptions {
        channels: vec![Channel::Sms, Channel::Email],
        ..TestWorld::options(Channel::Sms)
    };
    world.couriers.sms.answer([Verdict::Refuse]);
    let sending = send::send(&world, world.keys(), target, &options);
    let delivery = block_on(sending).unwrap();
    assert!(matches!(delivery.sent, Sent::Sent(_, Channel::Email)), "{delivery:?}");
    assert!(sent(&world, neighbour(1, 2), None).is_err(), "one message, and no more");
}

/// A rule's name, how it is set, and the most that it lets through.
type Case = (&'static str, fn(&mut Guard), usize);

/// How many of 64 callers at the same moment are served, in an order that a seed decides.
fn served(world: &TestWorld, seed: u64, to: impl Fn(u32) -> Address) -> usize {
    let mut entropy = u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15) | 1;
    let tasks: Vec<Task<'_, _>> =
        (0..64).map(|n| Box::pin(world.send_to(to(n), ip(1))) as Task<'_, _>).collect();
    let results = interleave(tasks, |options| {
        entropy ^= entropy << 13;
        entropy ^= entropy >> 7;
        entropy ^= entropy << 17;
        usize::try_from(entropy >> 33).unwrap() % options
    });
    let refused = results
        .iter()
        .filter(|result| matches!(result, Ok(Delivery { sent: Sent::Refused(_), .. })));
    assert_eq!(
        refused.count() + world.couriers.sms.taken().len(),
        64,
        "nobody is left without an answer"
    );
    world.couriers.sms.taken().len()
}

#[test]
fn no_limit_is_exceeded_by_one_message_under_64_callers() {
    let edits: [Case; 7] = [
        (
            "sends_per_ip",
            |g| (g.sends_per_ip.mode, g.sends_per_ip.per_hour) = (Mode::Enforce, 20),
            20,
        ),
        (
            "sends_per_app",
            |g| {
                (g.sends_per_app.mode, g.sends_per_app.per_hour) = (Mode::Enforce, 20);
            },
            20,
        ),
        (
            "sends_per_country",
            |g| {
                (g.sends_per_country.mode, g.sends_per_country.per_hour) = (Mode::Enforce, 20);
            },
            20,
        ),
        (
            "spend_cap",
            |g| {
                g.spend_cap.mode = Mode::Enforce;
                g.spend_cap.per_day = Some("1.03".parse().unwrap());
            },
            20,
        ),
        ("prefix_concentration", |g| g.prefix_concentration.mode = Mode::Enforce, 20),
        ("unverified_per_ip_hour", |g| g.unverified_per_ip_hour.mode = Mode::Enforce, 25),
        ("unverified_per_ip_day", |g| g.unverified_per_ip_day.mode = Mode::Enforce, 50),
    ];
    for (name, edit, most) in edits {
        for seed in 1..=20 {
            let world = TestWorld { entropy: FakeEntropy::seeded(seed), ..guarded(edit) };
            // At the beginning of a half hour, and in the middle of another.
            world.clock.advance(Duration::from_mins(seed * 7));
            let to = |n| neighbour(1, n);
            assert_eq!(served(&world, seed, to), most, "{name}, seed {seed}");
        }
    }
}

#[test]
fn all_rules_together_let_no_more_through_than_the_strictest() {
    for seed in 1..=20 {
        let world = TestWorld { entropy: FakeEntropy::seeded(seed), ..TestWorld::default() };
        world.clock.advance(Duration::from_mins(seed * 7));
        let served = served(&world, seed, |n| neighbour(1, n));
        assert!((15..=20).contains(&served), "{served}, seed {seed}");
    }
}

#[test]
fn one_subject_gets_no_message_more_under_64_callers() {
    for seed in 1..=20 {
        let world = guarded(|guard| guard.sends_per_address.mode = Mode::Enforce);
        let served = {
            let tasks: Vec<Task<'_, _>> = (0..64)
                .map(|_| Box::pin(world.send_to(neighbour(1, 1), None)) as Task<'_, _>)
                .collect();
            let mut turn = seed;
            interleave(tasks, |options| {
                turn = (turn * 31 + 7) % 1009;
                turn % options
            });
            world.couriers.sms.taken().len()
        };
        assert!(served <= 8, "{served}: as many challenges as a subject can have open");
    }
}

#[test]
fn anonymous_callers_use_up_nothing_of_what_others_have() {
    let enforced: [fn(&mut Guard); 7] = [
        |g| (g.sends_per_address.mode, g.sends_per_address.per_hour) = (Mode::Enforce, 5),
        |g| (g.sends_per_ip.mode, g.sends_per_ip.per_hour) = (Mode::Enforce, 5),
        |g| (g.sends_per_country.mode, g.sends_per_country.per_hour) = (Mode::Enforce, 10),
        |g| (g.prefix_concentration.mode, g.prefix_concentration.floor) = (Mode::Enforce, 2),
        |g| {
            (g.unverified_per_ip_hour.mode, g.unverified_per_ip_hour.floor) = (Mode::Enforce, 1);
        },
        |g| (g.sends_per_app.mode, g.sends_per_app.per_hour) = (Mode::Enforce, 10),
        |g| {
            g.spend_cap.mode = Mode::Enforce;
            g.spend_cap.per_day = Some("0.50".parse().unwrap());
        },
    ];
    let is_left_alone = |edit: fn(&mut Guard)| {
        let world = guarded(|guard| {
            guard.anonymous_percent = 50;
            edit(guard);
        });
        let ask = |lookup| {
            let delivery = block_on(world.send_to_as(neighbour(1, 1), ip(1), lookup)).unwrap();
            matches!(delivery.sent, Sent::Sent(..))
        };
        let served = (0..10).filter(|_| ask(Lookup::Anonymous)).count();
        assert!(
            (4..=5).contains(&served),
            "anonymous callers have a limit or a share of their own"
        );
        ask(Lookup::Id)
    };
    assert!(enforced.into_iter().all(is_left_alone));
}

/// The same world after the app was edited.
fn edited(world: TestWorld, edit: impl FnOnce(&mut Guard)) -> TestWorld {
    let mut app = (*world.app).clone();
    edit(&mut app.guard);
    app.guard.validate().unwrap();
    TestWorld { app: Arc::new(app), ..world }
}

#[test]
fn an_edited_limit_forgets_nothing_that_was_counted() {
    let world = guarded(|guard| {
        guard.spend_cap.mode = Mode::Enforce;
        guard.spend_cap.per_day = Some("10.00".parse().unwrap());
    });
    let spent = (0..150).filter(|n| sent(&world, neighbour(n % 700, *n), None).is_ok()).count();
    assert_eq!(spent, 150, "messages of 0.05");
    let world = edited(world, |guard| {
        guard.spend_cap.prices.insert("GB".parse().unwrap(), "0.25".parse().unwrap());
        guard.spend_cap.per_day = Some("9.00".parse().unwrap());
    });
    let more = (0..150).filter(|n| sent(&world, neighbour(n % 700, *n), None).is_ok()).count();
    assert_eq!(spent + more, 180, "what was left, and no more");

    let world = guarded(|guard| guard.unverified_per_country_day.mode = Mode::Enforce);
    for n in 0..500 {
        assert!(sent(&world, neighbour(n, n), host(n)).is_ok());
    }
    world.clock.advance(HOUR);
    let refused = Err(Refusal::Blocked(Rule::UnverifiedPerCountryDay));
    assert_eq!(sent(&world, neighbour(500, 1), host(500)), refused);
    let world = edited(world, |guard| {
        guard.sends_per_country.mode = Mode::Enforce;
        (guard.sends_per_country.per_hour, guard.sends_per_country.per_day) = (600, 700);
    });
    for n in 0..20 {
        assert_eq!(sent(&world, neighbour(200 + n, n), host(600 + n)), refused, "a block stays");
    }
}

#[test]
fn no_moment_makes_an_hour_or_a_day_longer() {
    let world = guarded(|guard| {
        guard.sends_per_ip.mode = Mode::Enforce;
        (guard.sends_per_ip.per_hour, guard.sends_per_ip.per_day) = (20, 30);
    });
    let ask = |n: u32| sent(&world, neighbour(n, n), ip(1)).is_ok();
    let mut sent_at = Vec::new();
    for minute in 0..3_000 {
        // Bursts at the ends of half hours, and at every minute in between.
        for n in 0..if minute % 30 == 29 { 25 } else { 1 } {
            if ask(minute * 30 % 600 + n) {
                sent_at.push(minute);
            }
        }
        world.clock.advance(MINUTE);
    }
    let within = |from: u32, minutes: u32| {
        sent_at.iter().filter(|at| (from..from + minutes).contains(at)).count()
    };
    let most = |minutes| sent_at.iter().map(|from| within(*from, minutes)).max().unwrap();
    assert!(most(60) <= 20 && most(24 * 60) <= 30, "{} and {}", most(60), most(24 * 60));
    assert!(sent_at.len() >= 55, "and what is due comes: {}", sent_at.len());
}

#[test]
fn amounts_of_any_currency_can_be_capped() {
    let world = guarded(|guard| {
        guard.spend_cap.mode = Mode::Enforce;
        guard.spend_cap.per_day = Some("100000000".parse().unwrap());
        guard.spend_cap.default_price = "20000000".parse().unwrap();
    });
    let served = (0..10).filter(|n| sent(&world, neighbour(1, *n), None).is_ok()).count();
    assert_eq!(served, 5);
}

#[test]
fn whoever_is_blocked_in_silence_shuts_nobody_out_and_waits_like_others() {
    let mut guard = unguarded();
    guard.allowed_countries.mode = Mode::Enforce;
    guard.sends_per_ip.mode = Mode::Enforce;
    guard.unverified_per_ip_hour.mode = Mode::Enforce;
    guard.unverified_per_ip_hour.floor = 1;
    let world = TestWorld::of(App { guard, conceal_blocks: true, ..demo_app() });
    let ask =
        |to: Address, n| block_on(world.send_to_as(to, ip(n), Lookup::Anonymous)).unwrap().sent;
    assert!(matches!(ask(neighbour(1, 1), 1), Sent::Sent(..)));
    world.clock.advance(40 * MINUTE);
    assert!(matches!(ask(neighbour(2, 2), 1), Sent::Concealed(..)));
    for _ in 0..20 {
        let told = ask(neighbour(2, 2), 1);
        assert!(
            matches!(told, Sent::Refused(Refusal::CoolingDown(_))),
            "as after a message: {told:?}"
        );
    }
    assert!(matches!(ask(neighbour(2, 2), 2), Sent::Sent(..)), "the victim's own request");

    // Five wrong codes: whether they were for a message or for none, there is a pause.
    let abroad = phone("+447400123456");
    for (to, n) in [(neighbour(3, 3), 3), (abroad, 4)] {
        let (Sent::Sent(id, _) | Sent::Concealed(id, _)) = ask(to.clone(), n) else {
            panic!("as if it had gone out");
        };
        for _ in 0..5 {
            assert_eq!(block_on(world.verify(id, "0000000000")).unwrap(), Outcome::Incorrect);
        }
        let told = ask(to, n);
        assert!(matches!(told, Sent::Refused(Refusal::CoolingDown(_))), "{told:?}");
    }
}

/// Asks for messages from one IP address, to one number each, until a limit is told: how many seemed
/// to go out, and what was told.
fn until_throttled(world: &TestWorld) -> (u32, Throttled) {
    for n in 0.. {
        let sending = world.send_to_as(neighbour(n, n), ip(1), Lookup::Anonymous);
        match block_on(sending).unwrap().sent {
            Sent::Sent(..) | Sent::Concealed(..) => {}
            Sent::Refused(Refusal::Throttled(throttled)) => return (n, throttled),
            other => panic!("{other:?}"),
        }
    }
    unreachable!("there is a limit")
}

#[test]
fn suppressed_messages_stop_where_real_ones_do_and_use_up_nothing_of_others() {
    let world = |floor| {
        let mut guard = unguarded();
        guard.sends_per_ip.mode = Mode::Enforce;
        guard.sends_per_country.mode = Mode::Enforce;
        guard.sends_per_app.mode = Mode::Enforce;
        (guard.sends_per_country.per_hour, guard.sends_per_app.per_hour) = (61, 61);
        guard.anonymous_percent = 100;
        guard.unverified_per_ip_hour.mode = Mode::Enforce;
        guard.unverified_per_ip_hour.floor = floor;
        TestWorld::of(App { guard, conceal_blocks: true, ..demo_app() })
    };
    let (free, blocked) = (world(1000), world(1));
    assert_eq!(until_throttled(&blocked), until_throttled(&free));
    assert_eq!((blocked.couriers.sms.taken().len(), free.couriers.sms.taken().len()), (5, 60));
    let others = |world: &TestWorld| {
        (0..56u8)
            .filter(|n| {
                let asked = block_on(world.send_to_as(
                    neighbour((*n).into(), 7),
                    ip(2 + n),
                    Lookup::Anonymous,
                ));
                matches!(asked.unwrap().sent, Sent::Sent(..))
            })
            .count()
    };
    assert_eq!((others(&blocked), others(&free)), (56, 1), "what was never sent is left to others");
}

/// Tables whose two reads of a send wait for each other.
#[derive(Clone, Default)]
struct Meeting {
    ledgers: FakeLedgers,
    counters: FakeCounters,
    is_ledger_read: Arc<AtomicBool>,
    are_counters_read: Arc<AtomicBool>,
}

/// Waits until somebody else has come; forever is a hundred turns.
async fn meet(own: &AtomicBool, other: &AtomicBool) {
    own.store(true, Ordering::SeqCst);
    for _ in 0..100 {
        if other.load(Ordering::SeqCst) {
            return;
        }
        give_way().await;
    }
    panic!("one waits for the other to end");
}

impl LoadLedgers for Meeting {
    async fn load<I: Item>(&self, key: &ItemKey) -> Result<Loaded<I>, StoreError> {
        meet(&self.is_ledger_read, &self.are_counters_read).await;
        self.ledgers.load(key).await
    }
}

impl StoreLedgers for Meeting {
    async fn store<I: Item>(&self, key: &ItemKey, item: &I, seen: u64) -> Result<u64, StoreError> {
        self.ledgers.store(key, item, seen).await
    }
}

impl LoadCounters for Meeting {
    async fn load_counters(&self, keys: &[CounterKey]) -> Result<Counters, StoreError> {
        meet(&self.are_counters_read, &self.is_ledger_read).await;
        self.counters.load_counters(keys).await
    }
}

impl ReserveCounters for Meeting {
    async fn reserve(&self, reservation: &Reservation) -> Result<(), ReserveError> {
        self.counters.reserve(reservation).await
    }

    async fn give_back(&self, reservation: &Reservation) -> Result<(), StoreError> {
        self.counters.give_back(reservation).await
    }
}

impl CountVerified for Meeting {
    async fn count_verified(&self, count: &VerifyCount) -> Result<(), StoreError> {
        self.counters.count_verified(count).await
    }
}

#[test]
fn the_counters_of_a_send_are_read_while_its_ledger_is() {
    let meeting = Meeting::default();
    let world = TestWorld::on(demo_app(), meeting.clone(), meeting.clone());
    let delivery = block_on(world.send_to(neighbour(1, 1), ip(1))).unwrap();
    assert!(matches!(delivery.sent, Sent::Sent(..)));
    assert_eq!(meeting.ledgers.take_calls(), (1, 1));
    assert_eq!(meeting.counters.take_calls(), (4, 4));
}

/// What one action reads and writes, of ledgers and of counters.
fn items<T>(world: &TestWorld, action: impl FnOnce() -> T) -> ([u64; 4], T) {
    world.ledgers.take_calls();
    world.counters.take_calls();
    let outcome = action();
    let (ledgers, counters) = (world.ledgers.take_calls(), world.counters.take_calls());
    ([ledgers.0, ledgers.1, counters.0, counters.1], outcome)
}

#[test]
fn every_action_reads_and_writes_as_many_items_as_its_budget_allows() {
    use passcode_domain::Channel;
    let guard = Guard::default().with_countries(passcode_testkit::example_countries());
    let mut app = App { guard, ..demo_app() };
    app.guard.spend_cap.per_day = Some("100.00".parse().unwrap());
    let world = TestWorld::of(app);
    let (created, id) = items(&world, || world.open());
    assert_eq!(created, [0, 1, 0, 0], "an unsent challenge is one write");
    let options = SendOptions { origin: Origin::from(ip(1)), ..TestWorld::options(Channel::Sms) };
    let (sent, delivery) = items(&world, || block_on(world.send(id, &options)).unwrap());
    assert!(matches!(delivery.sent, Sent::Sent(..)));
    assert_eq!(sent, [2, 1, 4, 4], "one more read after a create");
    let (wrong, _) = items(&world, || block_on(world.verify(id, "0000000000")));
    assert_eq!(wrong, [1, 1, 0, 0]);
    let (right, ()) = items(&world, || verify(&world, id));
    assert_eq!(right, [1, 1, 0, 3], "the first success of a subject's day is counted");
    let (again, _) = items(&world, || block_on(world.verify(id, &world.last_code())));
    assert_eq!(again, [1, 1, 0, 0], "what changes nothing takes as long");
    let (text, id) =
        items(&world, || self::sent(&world, Address::Phone(TestWorld::phone()), ip(1)));
    assert_eq!(text, [1, 1, 4, 4]);
    let (second, ()) = items(&world, || verify(&world, id.unwrap()));
    assert_eq!(second, [1, 1, 0, 0], "and a later one is not");
    let (email, _) =
        items(&world, || self::sent(&world, Address::Email(TestWorld::email()), ip(1)));
    assert_eq!(email, [1, 1, 2, 2]);
}

#[test]
fn a_ledger_with_one_open_sent_challenge_fits_a_kilobyte() {
    let guard = Guard::default().with_countries(passcode_testkit::example_countries());
    let world = TestWorld::of(App { guard, ..demo_app() });
    sent(&world, Address::Phone(TestWorld::phone()), ip(1)).unwrap();
    // Key, version, writer and expiry take 120 bytes beside the document.
    assert!(world.ledgers.dump().len() <= 900, "{}", world.ledgers.dump());
}

#[test]
fn counters_with_every_half_hour_of_a_day_stay_under_a_kilobyte() {
    let guard = Guard::default().with_countries(passcode_testkit::example_countries());
    let mut app = without_waits(App { guard, ..demo_app() });
    app.guard.spend_cap.per_day = Some("100000.00".parse().unwrap());
    let world = TestWorld::of(app);
    for slot in 0..60u32 {
        for n in 0..10 {
            let id = sent(&world, neighbour(slot * 7 % 700, slot * 10 + n), None).unwrap();
            verify(&world, id);
        }
        world.clock.advance(30 * MINUTE);
    }
    // A number takes a byte for two significant digits, and one more.
    let digits = |value: u64| value.to_string().trim_end_matches('0').len().max(1);
    let size = |counter: &passcode_domain::guard::Counter| {
        let fields =
            counter.fields().map(|(name, n)| name.to_string().len() + digits(n).div_ceil(2) + 1);
        fields.sum::<usize>() + "counter".len() + 26 + "expires_at".len() + 6
    };
    let largest = world.counters.all().values().map(size).max().unwrap();
    println!("the largest counter takes {largest} bytes");
    assert!((700..1024).contains(&largest), "{largest}");
}

#[test]
fn a_reading_of_any_age_lets_no_message_too_many_out() {
    for (minutes, most) in [(0, 20), (29, 20), (31, 20)] {
        let world = guarded(|guard| {
            guard.sends_per_app.mode = Mode::Enforce;
            (guard.sends_per_app.per_hour, guard.sends_per_app.per_day) = (20, 20);
        });
        for n in 0..5 {
            sent(&world, neighbour(n, n), None).unwrap();
        }
        world.counters.freeze_reads(true);
        for n in 5..10 {
            sent(&world, neighbour(n, n), None).unwrap();
        }
        world.clock.advance(minutes * MINUTE);
        let more = (10..100).filter(|n| sent(&world, neighbour(*n, *n), None).is_ok()).count();
        assert_eq!(more + 10, most, "after {minutes} minutes");
    }
}

#[test]
fn a_reservation_that_fails_leaves_nothing_but_a_generation() {
    let world = guarded(|guard| {
        guard.sends_per_app.mode = Mode::Enforce;
        guard.sends_per_country.mode = Mode::Enforce;
    });
    let counted = || {
        let all = world.counters.all();
        let sent = |field| matches!(field, passcode_domain::guard::Field::Sent(_));
        all.values()
            .flat_map(|c| c.fields().filter(|(f, _)| sent(*f)).map(|(_, n)| n).collect::<Vec<_>>())
            .sum::<u64>()
    };
    world.counters.fail_reservations([passcode_testkit::Fault::Unavailable]);
    assert!(block_on(world.send_to(neighbour(1, 1), None)).is_err());
    assert_eq!((counted(), world.couriers.sms.taken().len()), (0, 0), "the other is given back");
    assert!(sent(&world, neighbour(1, 1), None).is_ok(), "no cool-down was left behind");
    assert_eq!(counted(), 2);
}

#[test]
fn a_refused_send_asks_the_store_no_more_often_than_an_accepted_one() {
    for rule in Rule::ALL {
        let world = guarded(|guard| {
            *guard.mode_mut(rule) = Mode::Enforce;
            guard.spend_cap.per_day = Some("0.01".parse().unwrap());
            guard.allowed_countries.countries.clear();
            guard.number_type.refused.insert(NumberType::Subscriber);
            for limit in [
                &mut guard.sends_per_address,
                &mut guard.sends_per_ip,
                &mut guard.sends_per_country,
                &mut guard.sends_per_app,
            ] {
                (limit.per_hour, limit.per_day) = (1, 1);
            }
            for unverified in [
                &mut guard.unverified_per_ip_hour,
                &mut guard.unverified_per_ip_day,
                &mut guard.unverified_per_country_hour,
                &mut guard.unverified_per_country_day,
                &mut guard.prefix_concentration,
            ] {
                unverified.floor = 1;
            }
            (guard.burst, guard.countries_per_ip.most) = (1, 1);
        });
        let mut refused = 0;
        let (us, greece) = ("+14155550100", "+306912345678");
        for to in [us, us, us, greece, greece].map(phone) {
            let (calls, is_refused) = items(&world, || sent(&world, to, ip(1)).is_err());
            refused += u32::from(is_refused);
            let most = if is_refused { [1, 0, 4, 0] } else { [1, 1, 4, 4] };
            assert!(
                calls.iter().zip(most).all(|(calls, most)| *calls <= most),
                "{rule:?}: {calls:?}"
            );
        }
        assert!(refused > 0, "{rule:?} has refused nothing");
    }
}

#[test]
fn whoever_has_succeeded_is_refused_for_nothing_that_others_did_once_a_day() {
    let world = guarded(|guard| {
        guard.prefix_concentration.mode = Mode::Enforce;
        guard.unverified_per_country_day.mode = Mode::Enforce;
    });
    let known = neighbour(1, 9_999);
    let id = sent(&world, known.clone(), host(9_999)).unwrap();
    verify(&world, id);
    world.clock.advance(80 * 24 * HOUR);
    let attacked = |world: &TestWorld| {
        (0..1_000).filter(|n| sent(world, neighbour(1, *n), host(*n)).is_ok()).count()
    };
    assert_eq!(attacked(&world), 20);
    let refused = Err(Refusal::Blocked(Rule::PrefixConcentration));
    assert_eq!(sent(&world, neighbour(1, 5_000), host(5_000)), refused, "a newcomer");
    assert!(sent(&world, known.clone(), host(9_999)).is_ok(), "no newcomer");
    world.clock.advance(HOUR);
    assert_eq!(sent(&world, known.clone(), host(9_999)), refused, "one unverified message a day");
    world.clock.advance(25 * HOUR);
    assert_eq!(attacked(&world), 20);
    let id = sent(&world, known.clone(), host(9_999)).unwrap();
    verify(&world, id);
    world.clock.advance(HOUR);
    assert!(sent(&world, known.clone(), host(9_999)).is_ok(), "it has answered");
    world.clock.advance(91 * 24 * HOUR);
    assert_eq!(attacked(&world), 20);
    assert_eq!(sent(&world, known, host(9_999)), refused, "forgotten after 90 days");
}

#[test]
fn where_much_is_unverified_an_ip_address_gets_fewer_and_nobody_is_refused_for_others() {
    let world = guarded(|guard| {
        guard.prefix_concentration.mode = Mode::Enforce;
        guard.unverified_per_ip_day.mode = Mode::Enforce;
    });
    let from_one = (0..100).filter(|n| sent(&world, neighbour(1, *n), host(1)).is_ok()).count();
    assert_eq!(from_one, 10, "as many as tighten its prefix");
    let from_another =
        (100..200).filter(|n| sent(&world, neighbour(1, *n), host(2)).is_ok()).count();
    assert_eq!(from_another, 3, "unverified_under_attack");
    let elsewhere = (0..100).filter(|n| sent(&world, neighbour(2, *n), host(3)).is_ok()).count();
    assert_eq!(elsewhere, 10, "as many as tighten that one");
    let id = sent(&world, neighbour(1, 300), host(4)).unwrap();
    verify(&world, id);
    assert!(sent(&world, neighbour(1, 301), host(4)).is_ok());
}

#[test]
fn without_a_client_ip_detectors_across_addresses_record_and_say_so_once_a_day() {
    let world = guarded(|guard| {
        guard.prefix_concentration.mode = Mode::Enforce;
        guard.sends_per_app.mode = Mode::Enforce;
    });
    let deliveries: Vec<_> = (0..30).map(|n| send(&world, neighbour(1, n), None)).collect();
    assert!(deliveries.iter().all(|delivery| matches!(delivery.sent, Sent::Sent(..))));
    let recorded = deliveries.iter().filter(|delivery| !delivery.findings.is_empty());
    assert_eq!(recorded.count(), 10);
    let said: Vec<_> = deliveries.iter().map(|delivery| delivery.lacks_origin).collect();
    assert!(said[0] && !said[1..].contains(&true), "{said:?}");
    assert!(!send(&world, neighbour(2, 1), ip(1)).lacks_origin);
    world.clock.advance(25 * HOUR);
    assert!(send(&world, neighbour(3, 1), None).lacks_origin, "on the next day");
    let mail = send(&world, Address::Email(TestWorld::email()), None);
    assert!(!mail.lacks_origin, "nothing about an e-mail depends on it");
}

#[test]
fn while_an_app_is_guessed_at_its_new_codes_are_longer() {
    let mut app = without_waits(demo_app());
    app.policy.code_length = 4;
    app.guard = unguarded();
    app.guard.sends_per_app.mode = Mode::Enforce;
    let world = TestWorld::of(app);
    let send = |n: u32, by| {
        let to = PhoneNumber::parse(&format!("+1415555{:04}", 1000 + n)).unwrap();
        let sent = block_on(world.send_to_as(Address::Phone(to), host(n), by)).unwrap().sent;
        let Sent::Sent(id, _) = sent else { panic!("{sent:?}") };
        (id, world.last_code())
    };
    let mut guesses = 0;
    let lengthened = (0..100).find(|n| {
        let (id, code) = send(*n, Lookup::Anonymous);
        for _ in 0..5 {
            guesses += u32::from(block_on(world.verify(id, &TestWorld::wrong(&code))).is_ok());
        }
        code.len() == 6
    });
    assert!(lengthened.is_some() && guesses < 100, "{guesses} guesses at codes of four digits");
    // What the server sends is not guessed at, and a resend is as long as the message before.
    assert_eq!(send(200, Lookup::Id).1.len(), 4);
    let (id, code) = send(201, Lookup::Anonymous);
    assert_eq!((code.len(), block_on(world.verify(id, &code)).is_ok()), (6, true));
    world.clock.advance(Duration::from_hours(2));
    assert_eq!(send(202, Lookup::Anonymous).1.len(), 4, "an hour of peace");
}
