//! Attacks on others by way of the guard, and attacks that the guard must not pay for: whoever trips a rule
//! on purpose hurts only newcomers, and hardly those; what is verified for the purpose buys next to nothing;
//! and what anonymous callers use up is their own share.

use crate::stage::{Counts, DAY, HOUR, Ledgers, on_dynamodb_local, phone, sent};
use passcode_domain::{
    Address, App, ChallengeId, EmailAddress, Lookup, Policy, action::send::Refusal,
    app::guard::Rule,
};
use passcode_testkit::{TestWorld, demo_app, schedule::block_on};
use passcode_tests::dice::Dice;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

/// Of a thousand honest people so many never type their code.
const LEAVE: u64 = 200;
/// So many share their IP address with hundreds.
const SHARED_IP: u64 = 150;

/// One of so many IP addresses of an attacker's.
fn attacker(n: u32) -> IpAddr {
    IpAddr::from(Ipv4Addr::from_bits(0xcb00_7100 | n))
}

/// A number of which few share a prefix.
fn scattered(area: u32, n: u32) -> Address {
    Address::Phone(phone(&format!("+1{area}{:03}{n:04}", 200 + n % 700)))
}

/// Asks for a message as a caller without credentials.
async fn ask<L: Ledgers, N: Counts>(
    world: &TestWorld<L, N>,
    to: Address,
    ip: IpAddr,
) -> Result<ChallengeId, Refusal> {
    let delivery = world.send_to_as(to, Some(ip), Lookup::Anonymous).await;
    sent(&delivery.expect("a decision"))
}

/// Asks for a code and types it.
async fn sign_in<L: Ledgers, N: Counts>(
    world: &TestWorld<L, N>,
    to: Address,
    ip: IpAddr,
) -> Result<(), Refusal> {
    let id = ask(world, to, ip).await?;
    let code = world.last_code();
    world.couriers.sms.forget();
    world.verify(id, &code).await.expect("a decision");
    Ok(())
}

/// Honest people, who come over a day. Some are known, some are new.
struct Crowd {
    known: Vec<(Address, IpAddr)>,
    new: Vec<(Address, IpAddr)>,
}

/// How many of them came, and how many were refused, by which rules.
#[derive(Default)]
struct Refused {
    known: u32,
    new: u32,
    of_new: u32,
    rules: BTreeMap<String, u32>,
}

impl Refused {
    fn print(&self, attack: &str) {
        println!(
            "{attack}: of {} newcomers {} refused in a day, of the known {} {:?}",
            self.of_new, self.new, self.known, self.rules
        );
    }
}

impl Crowd {
    fn drawn(dice: &Dice, known: u32, new: u32) -> Self {
        let person = |area: u32, n: u32| {
            let host = u32::try_from(dice.below(1 << 24)).expect("a host");
            let ip = if dice.per_mille(SHARED_IP) {
                0x6440_0000 | (host % 20)
            } else {
                0x0a00_0000 | host
            };
            (scattered(area, n), IpAddr::from(Ipv4Addr::from_bits(ip)))
        };
        Self {
            known: (0..known).map(|n| person(212, n)).collect(),
            new: (0..new).map(|n| person(312, n)).collect(),
        }
    }

    /// The known ones sign in, over a day.
    async fn become_known<L: Ledgers, N: Counts>(&self, world: &TestWorld<L, N>) {
        for (to, ip) in &self.known {
            sign_in(world, to.clone(), *ip).await.expect("nothing has happened yet");
            world.clock.advance(DAY / u32::try_from(self.known.len()).expect("a few"));
        }
    }

    /// All of them come within a day, known and new ones in turn.
    async fn come<L: Ledgers, N: Counts>(&self, world: &TestWorld<L, N>, dice: &Dice) -> Refused {
        let mut refused = Refused::default();
        let most = self.known.len().max(self.new.len());
        for n in 0..most {
            for (people, is_known) in [(&self.known, true), (&self.new, false)] {
                let Some((to, ip)) = people.get(n) else { continue };
                let answer = if dice.per_mille(LEAVE) {
                    ask(world, to.clone(), *ip).await.map(drop)
                } else {
                    sign_in(world, to.clone(), *ip).await
                };
                refused.of_new += u32::from(!is_known);
                let Err(refusal) = answer else { continue };
                *if is_known { &mut refused.known } else { &mut refused.new } += 1;
                *refused.rules.entry(format!("{refusal:?}")).or_default() += 1;
            }
            world.clock.advance(DAY / u32::try_from(most).expect("a few"));
        }
        refused
    }
}

/// Asks for a message to each number at once, from the attacker's IP addresses in turn; how many went out.
async fn flood<L: Ledgers, N: Counts>(
    world: &TestWorld<L, N>,
    numbers: impl Iterator<Item = Address>,
    addresses: u32,
) -> u32 {
    let mut sent = 0;
    for (n, to) in (0..).zip(numbers) {
        sent += u32::from(ask(world, to, attacker(n % addresses)).await.is_ok());
        world.clock.advance(Duration::from_millis(100));
    }
    world.couriers.sms.forget();
    sent
}

/// An attack on a country, with so many requests from so many IP addresses, and the day of honest people after
/// it: of whom so many are known and so many new, nobody known is refused and few who are new.
async fn country_attack<L: Ledgers, N: Counts>(
    world: &TestWorld<L, N>,
    (known, new): (u32, u32),
    (requests, addresses): (u32, u32),
    store: &str,
) {
    let dice = Dice::seeded(1);
    let crowd = Crowd::drawn(&dice, known, new);
    crowd.become_known(world).await;
    let sent = flood(world, (0..requests).map(|n| scattered(415, n)), addresses).await;
    world.clock.advance(HOUR);
    let refused = crowd.come(world, &dice).await;
    refused
        .print(&format!("{requests} requests from {addresses} IP addresses, {sent} sent, {store}"));
    assert_eq!(refused.known, 0);
    assert!(refused.new * 10 <= refused.of_new, "{}", refused.new);
}

#[test]
fn a_country_attack_on_a_quiet_app_refuses_nobody_who_is_known_and_few_who_are_new() {
    block_on(country_attack(&TestWorld::of(demo_app()), (50, 500), (100, 4), "in memory"));
}

#[test]
fn a_country_attack_on_a_busy_app_refuses_nobody_who_is_known_and_few_who_are_new() {
    block_on(country_attack(&TestWorld::of(demo_app()), (2_000, 500), (2_500, 81), "in memory"));
}

/// An attack on the neighbours of a victim, who has signed in before.
async fn neighbours<L: Ledgers, N: Counts>(world: &TestWorld<L, N>, store: &str) {
    let neighbour = |n: u32| Address::Phone(phone(&format!("+1415555{n:04}")));
    let home = IpAddr::from([10, 0, 0, 1]);
    sign_in(world, neighbour(500), home).await.expect("nothing has happened yet");
    world.clock.advance(DAY);
    let sent = flood(world, (0..20).map(neighbour), 1).await;
    world.clock.advance(HOUR);
    println!("20 neighbouring numbers, 20 requests from 1 IP address, {sent} sent, {store}");
    assert_eq!(sign_in(world, neighbour(500), home).await, Ok(()), "the victim is known");
    let elsewhere = IpAddr::from([10, 0, 0, 2]);
    assert_eq!(sign_in(world, neighbour(501), elsewhere).await, Ok(()), "and this one is new");
    // From as many IP addresses as it takes, newcomers are refused, and the victim is not.
    flood(world, (20..500).map(neighbour), 200).await;
    world.clock.advance(HOUR);
    assert_eq!(sign_in(world, neighbour(500), home).await, Ok(()), "still");
    let refused = Err(Refusal::Blocked(Rule::PrefixConcentration));
    assert_eq!(sign_in(world, neighbour(502), elsewhere).await, refused);
}

#[test]
fn neighbours_of_a_victim_are_not_refused_because_of_one_ip_address() {
    block_on(neighbours(&TestWorld::of(demo_app()), "in memory"));
}

/// Where the numbers are that somebody is paid for, one area a day.
const AREAS: [u32; 13] = [201, 202, 203, 205, 206, 207, 208, 209, 210, 213, 214, 215, 216];

/// How many unverified messages somebody gets in daily bursts from 300 IP addresses, with so many requests
/// each, after 50 numbers of their own were verified for a day, so many times in all, or were not.
async fn bursts<L: Ledgers, N: Counts>(
    world: &TestWorld<L, N>,
    areas: &[u32],
    requests: u32,
    verified: u32,
) -> u32 {
    let own = |n: u32| scattered(415, n % 50);
    for n in 0..verified {
        // What is not sent cannot be verified.
        let _ = sign_in(world, own(n), attacker(n % 300)).await;
        world.clock.advance(DAY / verified);
    }
    let mut unverified = 0;
    for area in areas {
        world.clock.advance(DAY);
        unverified += flood(world, (0..50).map(own), 300).await;
        let others = (0..requests).map(|n| scattered(*area, n));
        unverified += flood(world, others, 300).await;
    }
    unverified
}

#[test]
fn fifty_numbers_of_ones_own_buy_one_unverified_message_a_day_each() {
    let bought = |verified| block_on(bursts(&TestWorld::of(demo_app()), &AREAS, 3_000, verified));
    let (without, with) = (bought(0), bought(1_000));
    println!("13 bursts from 300 IP addresses: {without} unverified, with 50 own numbers {with}");
    assert!(with <= without + 50 * 13, "{with} and {without}");
}

/// The demo app with a cap on what it spends in a day.
fn capped(per_day: &str) -> App {
    let mut app = demo_app();
    app.guard.spend_cap.per_day = Some(per_day.parse().expect("an amount"));
    app
}

/// Somebody who is paid for the numbers reads the codes of so many messages, under a cap that is enough for
/// twice as many as are expected; the app's own server has the other half.
async fn read_codes<L: Ledgers, N: Counts>(
    world: &TestWorld<L, N>,
    requests: u32,
    expected: u32,
    store: &str,
) {
    let mut read = 0;
    for n in 0..requests {
        read += u32::from(sign_in(world, scattered(415, n), attacker(n % 90)).await.is_ok());
        world.clock.advance(Duration::from_secs(10));
    }
    println!("codes that are read, from 90 IP addresses under a cap: {read} messages, {store}");
    assert_eq!(read, expected, "half of the cap, at 0.05 each");
    for n in 0..expected {
        let ip = IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 | n));
        let delivery = world.send_to(scattered(212, n), Some(ip)).await;
        assert!(sent(&delivery.expect("a decision")).is_ok(), "{n}");
    }
}

#[test]
fn codes_that_an_attacker_reads_stop_at_the_share_of_the_spend_cap() {
    block_on(read_codes(&TestWorld::of(capped("50.00")), 5_000, 500, "in memory"));
}

/// An app whose limits are small enough for strangers to reach them.
fn limited() -> App {
    let mut app = capped("20.00");
    (app.guard.sends_per_app.per_hour, app.guard.sends_per_app.per_day) = (200, 400);
    (app.guard.sends_per_country.per_hour, app.guard.sends_per_country.per_day) = (200, 400);
    app
}

/// Strangers send what they can; then the app's server sends 100 messages.
async fn strangers<L: Ledgers, N: Counts>(world: &TestWorld<L, N>, requests: u32, store: &str) {
    let by_strangers = flood(world, (0..requests).map(|n| scattered(415, n)), 5).await;
    let mut refused = 0;
    for n in 0..100 {
        let delivery = world.send_to(scattered(212, n), None).await;
        refused += u32::from(sent(&delivery.expect("a decision")).is_err());
    }
    println!(
        "strangers on 5 IP addresses: {by_strangers} sent; of the server's 100 {refused} refused, {store}"
    );
    assert_eq!(refused, 0);
}

#[test]
fn strangers_use_up_nothing_of_what_the_server_has() {
    block_on(strangers(&TestWorld::of(limited()), 2_000, "in memory"));
}

/// How many of 300 e-mails to as many mailboxes go out, asked for from one IP address with a pause.
async fn spoiled<L: Ledgers, N: Counts>(world: &TestWorld<L, N>, pause: Duration) -> u32 {
    let mut spoiled = 0;
    for n in 0..300 {
        let to = EmailAddress::parse(&format!("nobody{n}@example.com")).expect("an address");
        spoiled += u32::from(ask(world, Address::Email(to), attacker(1)).await.is_ok());
        world.clock.advance(pause);
    }
    spoiled
}

#[test]
fn an_ip_address_spoils_few_mailboxes_a_day() {
    for seconds in [0, 1, 60, 288] {
        let world = TestWorld::of(demo_app());
        let spoiled = block_on(spoiled(&world, Duration::from_secs(seconds)));
        println!("300 e-mails to nobody from one IP address, {seconds} s apart: {spoiled} sent");
        assert!(spoiled <= 25, "{spoiled}");
    }
}

/// Mails to one mailbox under 60 names, in an hour.
async fn many_names<L: Ledgers, N: Counts>(world: &TestWorld<L, N>, store: &str) {
    let mut mails = 0;
    for n in 0..60 {
        let name = match n % 3 {
            0 => format!("ada+{n}@gmail.com"),
            1 => format!("a.da+{n}@gmail.com"),
            _ => format!("a.d.a+{n}@googlemail.com"),
        };
        let to = Address::Email(EmailAddress::parse(&name).expect("an address"));
        mails += u32::from(ask(world, to, attacker(n)).await.is_ok());
        world.clock.advance(Duration::from_secs(50));
    }
    println!("one mailbox under 60 names, in an hour: {mails} sent, {store}");
    assert_eq!(mails, 10, "sends_per_address.per_hour");
}

#[test]
fn a_mailbox_gets_no_more_under_many_names() {
    block_on(many_names(&TestWorld::of(demo_app()), "in memory"));
}

/// What a spray adds to the alarm in an hour, of wrong and of right codes with so many digits.
fn alarm(wrong: u32, right: u32, digits: u8) -> f64 {
    let rule = Policy::default().failed_verifies;
    f64::from(wrong) * rule.weight(digits, false) + f64::from(right) * rule.weight(digits, true)
}

#[test]
fn guesses_ring_the_alarm_early_and_people_who_mistype_never_do() {
    let rings_at =
        |right: u32, digits: u8| (0..100_000).find(|wrong| alarm(*wrong, right, digits) >= 100.0);
    let quiet = rings_at(100, 4).expect("it rings");
    println!("beside 100 right codes of 4 digits {quiet} wrong ones ring the alarm");
    println!("beside 100 right codes of 6 digits {} do", rings_at(100, 6).expect("it rings"));
    assert!(quiet <= 50, "{quiet}");
    for right in [100, 10_000, 1_000_000] {
        for digits in 4..=8 {
            assert!(
                alarm(right / 50, right, digits) < 0.0,
                "two in a hundred, {right} of {digits}"
            );
        }
    }
    // An ordinary week: two of a hundred are mistyped, and as many of those once more.
    let most = (0..7 * 24).map(|hour| alarm(204 + hour % 20, 10_000, 4)).fold(f64::MIN, f64::max);
    assert!(most < 100.0, "{most}");
}

#[tokio::test]
#[ignore = "needs AWS's DynamoDB Local"]
async fn the_attacks_hurt_as_few_on_dynamodb_local() {
    const STORE: &str = "DynamoDB Local";
    let world = on_dynamodb_local(demo_app(), "abuse-country").await;
    country_attack(&world, (50, 200), (100, 4), STORE).await;
    neighbours(&on_dynamodb_local(demo_app(), "abuse-prefix").await, STORE).await;
    let mut bought = Vec::new();
    for (verified, name) in [(0, "abuse-strangers"), (100, "abuse-own")] {
        let world = on_dynamodb_local(demo_app(), name).await;
        bought.push(bursts(&world, &AREAS[..2], 300, verified).await);
    }
    println!("2 bursts: {} unverified, with 50 own numbers {}, {STORE}", bought[0], bought[1]);
    assert!(bought[1] <= bought[0] + 50 * 2, "{bought:?}");
    read_codes(&on_dynamodb_local(capped("5.00"), "abuse-read").await, 300, 50, STORE).await;
    strangers(&on_dynamodb_local(limited(), "abuse-share").await, 300, STORE).await;
    let world = on_dynamodb_local(demo_app(), "abuse-mail").await;
    assert!(spoiled(&world, Duration::from_mins(1)).await <= 25);
    many_names(&on_dynamodb_local(demo_app(), "abuse-names").await, STORE).await;
}
