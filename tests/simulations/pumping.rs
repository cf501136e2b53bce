//! SMS pumping: somebody who is paid for messages to numbers of their own asks for as many as they
//! can get, for a day, and types no code.

use crate::stage::{Counts, HOUR, Ledgers, on_dynamodb_local, phone, sent};
use passcode_domain::{Address, PhoneNumber, action::send::Refusal, app::guard::Rule};
use passcode_testkit::{TestWorld, demo_app, schedule::block_on};
use passcode_tests::dice::Dice;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

/// An attack: which numbers, from how many IP addresses, and how often in a day each is tried.
struct Attack {
    numbers: Vec<PhoneNumber>,
    addresses: u8,
    rounds: u32,
}

impl Attack {
    /// A thousand neighbours from two hundred IP addresses, once an hour.
    fn on_one_prefix() -> Self {
        let numbers = (0..1000).map(|n| phone(&format!("+1415555{n:04}"))).collect();
        Self { numbers, addresses: 200, rounds: 24 }
    }

    /// As many numbers, ten of each prefix.
    fn on_many_prefixes() -> Self {
        let number = |n| phone(&format!("+1415{:03}{:04}", 200 + n / 10, n % 10));
        Self { numbers: (0..1000).map(number).collect(), addresses: 200, rounds: 24 }
    }
}

/// What an attack came to.
struct Damage {
    asked: u32,
    sent: u32,
    by_rule: BTreeMap<Rule, u32>,
}

impl Damage {
    fn print(&self, attack: &str, store: &str) {
        println!("pumping, {attack}, {store}: {} asked for, {} sent", self.asked, self.sent);
        for (rule, refused) in &self.by_rule {
            println!("  {refused:>6} refused by {}", rule.as_str());
        }
    }
}

async fn attack<L: Ledgers, N: Counts>(
    world: &TestWorld<L, N>,
    attack: &Attack,
    seed: u64,
) -> Damage {
    let dice = Dice::seeded(seed);
    let mut damage = Damage { asked: 0, sent: 0, by_rule: BTreeMap::new() };
    for _ in 0..attack.rounds {
        for number in &attack.numbers {
            let host = u8::try_from(dice.below(attack.addresses.into())).expect("a host");
            let ip = IpAddr::from(Ipv4Addr::new(203, 0, 113, host));
            let delivery = world.send_to(Address::Phone(number.clone()), Some(ip)).await;
            damage.asked += 1;
            match sent(&delivery.expect("a decision")) {
                Ok(_) => damage.sent += 1,
                Err(Refusal::Blocked(rule)) => *damage.by_rule.entry(rule).or_default() += 1,
                Err(Refusal::Throttled(told)) => *damage.by_rule.entry(told.rule).or_default() += 1,
                Err(other) => panic!("{other:?}"),
            }
            world.clock.advance(Duration::from_millis(dice.below(2000)));
        }
        world.clock.advance(HOUR.saturating_sub(Duration::from_secs(1000)));
    }
    damage
}

#[test]
fn neighbours_get_twenty_messages_in_a_day() {
    let damage = block_on(attack(&TestWorld::of(demo_app()), &Attack::on_one_prefix(), 1));
    damage.print("1,000 numbers of one prefix from 200 IP addresses, hourly", "in memory");
    assert!(damage.sent <= 20, "{}", damage.sent);
}

/// What no prefix shows, the country does: as many as it may have unverified before the first codes
/// have ended, and no more.
#[test]
fn numbers_all_over_a_country_get_five_hundred() {
    let damage = block_on(attack(&TestWorld::of(demo_app()), &Attack::on_many_prefixes(), 1));
    damage.print("1,000 numbers of 100 prefixes from 200 IP addresses, hourly", "in memory");
    assert!(damage.sent <= 500, "{}", damage.sent);
}

#[tokio::test]
#[ignore = "needs AWS's DynamoDB Local"]
async fn neighbours_get_twenty_messages_on_dynamodb_local() {
    let world = on_dynamodb_local(demo_app(), "pumping").await;
    let damage = attack(&world, &Attack { rounds: 6, ..Attack::on_one_prefix() }, 1).await;
    damage.print(
        "1,000 numbers of one prefix from 200 IP addresses, for six hours",
        "DynamoDB Local",
    );
    assert!(damage.sent <= 20, "{}", damage.sent);
}
