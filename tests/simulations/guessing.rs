//! Guessing: somebody wants to be verified as another, opens as many challenges for that address as
//! they can, through every door there is, and tries codes whenever they are let, for two days.

use crate::stage::{Counts, DAY, Ledgers, on_dynamodb_local, sent};
use passcode_domain::{
    Address, Addresses, ChallengeId, Lookup, PresentedCode, SubjectKey, Timestamp,
    action::{
        send::{self, SendTarget},
        verify::{self, Outcome, VerifyTarget},
    },
    ports::Clock as _,
};
use passcode_testkit::{TestWorld, demo_app, schedule::block_on};
use std::{collections::BTreeMap, time::Duration};

/// The ways to a challenge that have counters of their own: whose id a server knows; which a browser
/// has opened; which naming the subject leads to.
const DOORS: [Lookup; 4] = [Lookup::Id, Lookup::Anonymous, Lookup::User, Lookup::Identity];

const SPAN: Duration = Duration::from_hours(48);

/// When guesses were answered with "wrong", by door, and how many messages the victim got.
struct Damage {
    answered: BTreeMap<&'static str, Vec<Timestamp>>,
    tried: u32,
    messages: Vec<Timestamp>,
}

impl Damage {
    /// The most in any 24 hours.
    fn most(times: &[Timestamp]) -> usize {
        let since = |at: &Timestamp| times.iter().filter(|t| *t >= at && **t < *at + DAY).count();
        times.iter().map(since).max().unwrap_or_default()
    }

    fn print(&self, store: &str) {
        println!("guessing, 48 hours, {store}: {} guesses, answered in any 24 hours:", self.tried);
        for (door, times) in &self.answered {
            println!("  {:>6} of those by {door}", Self::most(times));
        }
        println!("  {:>6} messages to the victim", Self::most(&self.messages));
    }

    fn check(&self, budget: usize) {
        for (door, times) in &self.answered {
            assert!(Self::most(times) <= budget, "{door}: {}", Self::most(times));
            assert!(Self::most(times) == budget, "{door}: the attack falls short of the budget");
        }
        // Twenty for each class of callers: anonymous, users with a token, and servers.
        assert!(Self::most(&self.messages) <= 60, "{}", Self::most(&self.messages));
    }
}

const fn name(door: Lookup) -> &'static str {
    match door {
        Lookup::Id => "id",
        Lookup::Identity => "identity",
        Lookup::Anonymous => "a browser's token",
        Lookup::User => "a user's step-up",
        Lookup::Device => "a known device's token",
    }
}

async fn open_and_send<L: Ledgers, N: Counts>(
    world: &TestWorld<L, N>,
    door: Lookup,
) -> Option<ChallengeId> {
    let addresses = Addresses::new(Address::Phone(TestWorld::phone()), None);
    let open = world.opening(addresses, Duration::from_mins(15)).found_by(door);
    let target = match door {
        Lookup::Id | Lookup::Anonymous | Lookup::User | Lookup::Device => {
            SendTarget::Ordered(&open, &world.app)
        }
        Lookup::Identity => SendTarget::Identity(&open, &world.app),
    };
    let options = TestWorld::options(passcode_domain::Channel::Sms);
    let delivery = send::send(world, world.keys(), target, &options).await;
    sent(&delivery.expect("a decision")).ok()
}

async fn guess<L: Ledgers, N: Counts>(
    world: &TestWorld<L, N>,
    door: Lookup,
    id: ChallengeId,
) -> Outcome {
    // Ten digits: never right, and counted as any other.
    let presented = PresentedCode::parse("0000000000").expect("a code");
    let target = match door {
        Lookup::Id | Lookup::Anonymous | Lookup::User | Lookup::Device => VerifyTarget::Held(id),
        Lookup::Identity => {
            let victim = Address::Phone(TestWorld::phone());
            let subject = SubjectKey::of_address(world.keys(), &world.app.id, &victim);
            VerifyTarget::Named(subject, &world.app.id)
        }
    };
    let verified = verify::verify(world, target, &presented).await;
    verified.expect("a decision").outcome
}

async fn attack<L: Ledgers, N: Counts>(world: &TestWorld<L, N>, pause: Duration) -> Damage {
    let (mut answered, mut messages) = (BTreeMap::<_, Vec<_>>::new(), Vec::new());
    let (mut tried, end) = (0, world.clock.now() + SPAN);
    let mut ids: BTreeMap<&str, ChallengeId> = BTreeMap::new();
    while world.clock.now() < end {
        for door in DOORS {
            if let Some(id) = open_and_send(world, door).await {
                messages.push(world.clock.now());
                ids.insert(name(door), id);
            }
            let Some(id) = ids.get(name(door)) else { continue };
            loop {
                tried += 1;
                if guess(world, door, *id).await != Outcome::Incorrect {
                    break;
                }
                answered.entry(name(door)).or_default().push(world.clock.now());
            }
        }
        world.clock.advance(pause);
    }
    Damage { answered, tried, messages }
}

#[test]
fn one_subject_is_guessed_at_ten_times_a_day_by_each_door() {
    let damage = block_on(attack(&TestWorld::of(demo_app()), Duration::from_secs(30)));
    damage.print("twice a minute, in memory");
    damage.check(10);
}

#[tokio::test]
#[ignore = "needs AWS's DynamoDB Local"]
async fn one_subject_is_guessed_at_ten_times_a_day_on_dynamodb_local() {
    let world = on_dynamodb_local(demo_app(), "guessing").await;
    let damage = attack(&world, Duration::from_mins(2)).await;
    damage.print("every two minutes, DynamoDB Local");
    damage.check(10);
}
