//! Growth: which counter is hottest, by what the product writes for an ordinary verification, and what becomes of
//! its writes where they come faster than DynamoDB takes them for one item (1,000 units a second). The item is a
//! model, since no emulator throttles: a bucket that holds a second's worth, nothing saved up from quieter minutes,
//! and the retries of the adapters' clients.

use crate::stage::{phone, sent};
use passcode_domain::{
    Address, App,
    app::guard::{Mode, Rule},
    guard::{Counters, Reservation, VerifyCount},
    ports::{CountVerified, LoadCounters, ReserveCounters, ReserveError, StoreError},
    value::id::CounterKey,
};
use passcode_testkit::{FakeCounters, FakeLedgers, TestWorld, demo_app, schedule::block_on};
use passcode_tests::dice::Dice;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    net::{IpAddr, Ipv4Addr},
    sync::Mutex,
};

/// Counters that remember how often each was written.
#[derive(Default)]
struct Watched {
    counters: FakeCounters,
    writes: Mutex<BTreeMap<CounterKey, u32>>,
}

impl Watched {
    fn note(&self, key: CounterKey) {
        *self.writes.lock().unwrap().entry(key).or_default() += 1;
    }
}

impl LoadCounters for Watched {
    async fn load_counters(&self, keys: &[CounterKey]) -> Result<Counters, StoreError> {
        self.counters.load_counters(keys).await
    }
}

impl ReserveCounters for Watched {
    async fn reserve(&self, reservation: &Reservation) -> Result<(), ReserveError> {
        self.note(reservation.key);
        self.counters.reserve(reservation).await
    }

    async fn give_back(&self, reservation: &Reservation) -> Result<(), StoreError> {
        self.note(reservation.key);
        self.counters.give_back(reservation).await
    }
}

impl CountVerified for Watched {
    async fn count_verified(&self, count: &VerifyCount) -> Result<(), StoreError> {
        self.note(count.key);
        self.counters.count_verified(count).await
    }
}

/// So many people, each with a number and an IP address of their own, type the code of one text message.
const PEOPLE: u16 = 200;

/// How often the hottest counter is written for each verification.
async fn hottest(app: App) -> f64 {
    let world = TestWorld::on(app, FakeLedgers::default(), Watched::default());
    for n in 0..PEOPLE {
        let to = Address::Phone(phone(&format!("+1415{:03}{:04}", 200 + n % 700, n)));
        let [high, low] = n.to_be_bytes();
        let ip = IpAddr::from(Ipv4Addr::new(198, 18, high, low));
        let delivery = world.send_to(to, Some(ip)).await.expect("a decision");
        let id = sent(&delivery).expect("nobody is refused");
        world.verify(id, &world.last_code()).await.expect("an outcome");
    }
    let writes = world.counters.writes.lock().unwrap();
    f64::from(*writes.values().max().expect("counters")) / f64::from(PEOPLE)
}

/// The demo app with some rules off.
fn without(rules: &[Rule]) -> App {
    let mut app = demo_app();
    for rule in rules {
        *app.guard.mode_mut(*rule) = Mode::Off;
    }
    app
}

/// What became of the writes to one item.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Outcome {
    /// The share that was given up, whose requests are answered with 503 where they are sends.
    given_up: f64,
    /// The share that was tried more than once.
    retried: f64,
}

const SECOND: u64 = 1_000_000;
/// Units a second of one item. A counter stays under 1 KB, so that a write is a unit.
const UNITS: u64 = 1000;
/// The adapters' clients: three tries, with a pause of up to 20 ms, then of up to 40 ms.
const TRIES: u32 = 3;
const PAUSE: u64 = 20_000;

/// A minute of writes to one item, as they come by chance at a rate.
fn minute(rate: u64, dice: &Dice) -> Outcome {
    // Times in microseconds, each write with how often it has been tried.
    let all = rate * 60;
    let mut due: BinaryHeap<_> = (0..all).map(|_| Reverse((dice.below(60 * SECOND), 0))).collect();
    let (mut left, mut last) = (UNITS * SECOND, 0);
    let (mut given_up, mut retried) = (0, 0);
    while let Some(Reverse((now, tries))) = due.pop() {
        left = (left + (now - last) * UNITS).min(UNITS * SECOND);
        last = now;
        if left >= SECOND {
            left -= SECOND;
        } else if tries + 1 < TRIES {
            retried += u64::from(tries == 0);
            due.push(Reverse((now + dice.below(PAUSE << tries), tries + 1)));
        } else {
            given_up += 1;
        }
    }
    let share =
        |n: u64| f64::from(u32::try_from(n).unwrap()) / f64::from(u32::try_from(all).unwrap());
    Outcome { given_up: share(given_up), retried: share(retried) }
}

/// The rules that count text messages of a country.
const OF_COUNTRY: [Rule; 3] =
    [Rule::SendsPerCountry, Rule::UnverifiedPerCountryHour, Rule::UnverifiedPerCountryDay];
/// The rules that count an app's messages.
const OF_APP: [Rule; 2] = [Rule::SendsPerApp, Rule::SpendCap];

#[test]
fn the_hottest_counter_is_a_countrys_then_the_apps_then_none() {
    let every = block_on(hottest(without(&[])));
    let of_app = block_on(hottest(without(&OF_COUNTRY)));
    let neither = block_on(hottest(without(&[OF_COUNTRY.as_slice(), &OF_APP].concat())));
    println!("writes of the hottest counter for each verification by text message:");
    println!("  every rule on                    {every:.2}");
    println!("  the rules of the country off     {of_app:.2}");
    println!("  those of the app off as well     {neither:.2}");
    assert_eq!((every, of_app), (2.0, 1.0), "a send and a success; a send");
    assert!(neither < 0.05, "what is left is of one number, one IP address or its neighbours");
}

#[test]
fn a_counter_takes_a_thousand_writes_a_second_and_no_more() {
    let dice = Dice::seeded(20);
    println!("a minute of writes to one counter: given up (503) and tried again");
    let mut found = BTreeMap::new();
    for rate in [10, 900, 1000, 1100, 1500, 2000] {
        let Outcome { given_up, retried } = minute(rate, &dice);
        println!("  {rate:>5} a second: {:>5.1} %, {:>5.1} %", given_up * 100.0, retried * 100.0);
        found.insert(rate, Outcome { given_up, retried });
    }
    for rate in [10, 900] {
        assert_eq!(found[&rate], Outcome { given_up: 0.0, retried: 0.0 }, "{rate}");
    }
    // Where all units are used, what is left over is refused: the retries help nobody for long.
    for rate in [1100, 1500, 2000] {
        let beyond = 1.0 - 1000.0 / f64::from(u32::try_from(rate).unwrap());
        let difference = found[&rate].given_up - beyond;
        assert!(difference.abs() < 0.02, "{rate}: {difference}");
    }
    assert!(found[&1000].given_up < 0.02, "by chance some moments have more");
}
