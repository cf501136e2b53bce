//! A week of ordinary traffic: people ask for codes by day and seldom by night, a campaign brings
//! ten times as many for an hour, some mistype, some ask again, some never come back. Hardly anybody
//! may be refused; nor in a month in which the app grows tenfold, nor when it is launched in a new country.

use crate::stage::{Counts, DAY, HOUR, Ledgers, on_dynamodb_local, sent, wait_until};
use passcode_domain::{
    Address, ChallengeId, EmailAddress, PhoneNumber, Timestamp,
    action::{send::Refusal, verify::Outcome},
    ports::Clock as _,
};
use passcode_testkit::{TestWorld, demo_app, schedule::block_on};
use passcode_tests::dice::Dice;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

/// Of a thousand people so many mistype a code, and as many of those once more.
const MISTYPE: u64 = 20;
/// So many ask for a second message, since the first is slow.
const ASK_AGAIN: u64 = 80;
/// So many never come back, or have not got the message.
const LEAVE: u64 = 200;
/// So many ask by e-mail.
const BY_EMAIL: u64 = 150;
/// So many share their IP address with hundreds, as behind a mobile operator's.
const SHARED_IP: u64 = 150;
/// So many come in the hour of the campaign: ten times the average.
const CAMPAIGN: u64 = 60;

/// Numbers by country: how they begin, how many digits follow, and how often they are asked for.
const NUMBERS: [(&str, usize, u64); 8] = [
    ("+1415", 7, 200),
    ("+1212", 7, 150),
    ("+1312", 7, 100),
    ("+9198", 8, 200),
    ("+9199", 8, 100),
    ("+3069", 8, 150),
    ("+234803", 7, 60),
    ("+234806", 7, 40),
];

/// Numbers of a country that the app has not sent to before.
const NEW_COUNTRY: [(&str, usize, u64); 1] = [("+3069", 8, 1)];

/// Whose numbers are asked for, and when.
struct Traffic {
    numbers: &'static [(&'static str, usize, u64)],
    arrival: fn(&Dice, Timestamp) -> Timestamp,
    /// Whether people come again.
    returns: bool,
}

const WEEK: Traffic = Traffic { numbers: &NUMBERS, arrival, returns: true };
const GROWTH: Traffic = Traffic { numbers: &NUMBERS, arrival: in_a_month_of_growth, returns: true };
const LAUNCH: Traffic = Traffic { numbers: &NEW_COUNTRY, arrival: after_a_launch, returns: false };

/// Somebody who may ask several times a week.
struct Person {
    address: Address,
    ip: IpAddr,
}

impl Person {
    fn drawn(dice: &Dice, n: u64, traffic: &Traffic) -> Self {
        let address = if dice.per_mille(BY_EMAIL) {
            Address::Email(EmailAddress::parse(&format!("person{n}@example.com")).expect("valid"))
        } else {
            Address::Phone(number(dice, traffic.numbers))
        };
        let octets = u32::try_from(dice.below(1 << 24)).expect("an address");
        let ip = if dice.per_mille(SHARED_IP) {
            IpAddr::from(Ipv4Addr::from_bits(0x6440_0000 | (octets % 100)))
        } else if dice.per_mille(400) {
            IpAddr::from(Ipv6Addr::from_bits((0x2001_0db8 << 96) | (u128::from(octets) << 64)))
        } else {
            IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 | octets))
        };
        Self { address, ip }
    }
}

fn number(dice: &Dice, numbers: &[(&str, usize, u64)]) -> PhoneNumber {
    loop {
        let mut drawn = dice.below(numbers.iter().map(|(.., often)| often).sum());
        let found = numbers.iter().find(|(.., often)| match drawn.checked_sub(*often) {
            Some(left) => {
                drawn = left;
                false
            }
            None => true,
        });
        let (begin, digits, _) = found.expect("one of them");
        let end: String = (0..*digits).map(|_| dice.below(10).to_string()).collect();
        if let Ok(number) = PhoneNumber::parse(&format!("{begin}{end}")) {
            return number;
        }
    }
}

const fn millis(span: Duration) -> u64 {
    span.as_secs() * 1000
}

/// In thirty days, on the last one ten times as often as on the first.
fn in_a_month_of_growth(dice: &Dice, start: Timestamp) -> Timestamp {
    loop {
        let (day, at) = (dice.below(30), dice.below(millis(DAY)));
        if dice.below(290) < 29 + 9 * day {
            return start + Duration::from_millis(day * millis(DAY) + at);
        }
    }
}

/// Half of them within an hour, the others within a day.
fn after_a_launch(dice: &Dice, start: Timestamp) -> Timestamp {
    let span = if dice.per_mille(500) { HOUR } else { DAY };
    start + Duration::from_millis(dice.below(millis(span)))
}

/// When somebody comes: by day rather than by night, or with the campaign on the fourth day.
fn arrival(dice: &Dice, start: Timestamp) -> Timestamp {
    if dice.per_mille(CAMPAIGN) {
        let noon = start + 3 * DAY + 12 * HOUR;
        return noon + Duration::from_millis(dice.below(millis(HOUR)));
    }
    loop {
        let at = dice.below(7 * millis(DAY));
        let hour = (at / millis(HOUR)) % 24;
        // From a tenth at four in the morning up to everybody at four in the afternoon.
        let busy = 100 + 75 * hour.abs_diff(4).min(28 - hour.max(4)).min(12);
        if dice.below(1000) < busy {
            return start + Duration::from_millis(at);
        }
    }
}

/// What somebody does next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Ask,
    AskAgain,
    Mistype,
    Type,
}

/// One verification: a person who wants it, and how far it is.
struct Session {
    person: usize,
    challenge: Option<(ChallengeId, String)>,
}

/// What the week came to.
#[derive(Default)]
struct Week {
    sessions: usize,
    messages: u32,
    verified: u32,
    mistyped: u32,
    left: u32,
    /// Those that were refused, by what for.
    refused: BTreeMap<String, u32>,
}

impl Week {
    fn print(&self, what: &str) {
        println!(
            "{what}: {} verifications, {} messages, {} verified, {} codes mistyped, {} people left",
            self.sessions, self.messages, self.verified, self.mistyped, self.left
        );
        println!("  {:>6} refused", self.refused());
        for (why, count) in &self.refused {
            println!("  {count:>6} of those by {why}");
        }
    }

    fn refused(&self) -> u32 {
        self.refused.values().sum()
    }

    fn refuse(&mut self, refusal: Refusal) {
        let why = match refusal {
            Refusal::Blocked(rule) => rule.as_str().to_owned(),
            Refusal::Throttled(told) => told.rule.as_str().to_owned(),
            Refusal::CoolingDown(_) => "the cool-down".to_owned(),
            other => format!("{other:?}"),
        };
        *self.refused.entry(why).or_default() += 1;
    }
}

/// A week that is played.
struct Play<'a, L, N> {
    world: &'a TestWorld<L, N>,
    dice: Dice,
    people: Vec<Person>,
    sessions: Vec<Session>,
    /// What happens next, and when.
    agenda: BinaryHeap<Reverse<(Timestamp, usize, Step)>>,
    week: Week,
}

impl<'a, L: Ledgers, N: Counts> Play<'a, L, N> {
    fn new(world: &'a TestWorld<L, N>, traffic: &Traffic, sessions: usize) -> Self {
        let (dice, start) = (Dice::seeded(1), world.clock.now());
        let count = u64::try_from(sessions).expect("a count");
        let count = if traffic.returns { count * 7 / 10 } else { count };
        let people: Vec<_> = (0..count).map(|n| Person::drawn(&dice, n, traffic)).collect();
        let session = |n| {
            let drawn = || usize::try_from(dice.below(count)).expect("an index");
            Session { person: if traffic.returns { drawn() } else { n }, challenge: None }
        };
        let all: Vec<_> = (0..sessions).map(session).collect();
        let agenda = (0..sessions)
            .map(|n| Reverse(((traffic.arrival)(&dice, start), n, Step::Ask)))
            .collect();
        let week = Week { sessions, ..Week::default() };
        Self { world, dice, people, sessions: all, agenda, week }
    }

    async fn play(mut self, mut hourly: impl FnMut(&TestWorld<L, N>)) -> Week {
        let mut next_hour = self.world.clock.now();
        while let Some(Reverse((at, n, step))) = self.agenda.pop() {
            wait_until(self.world, at);
            if at >= next_hour {
                hourly(self.world);
                next_hour = at + HOUR;
            }
            match step {
                Step::Ask | Step::AskAgain => self.ask(n).await,
                Step::Mistype => self.mistype(n).await,
                Step::Type => self.present(n).await,
            }
        }
        self.week
    }

    fn then(&mut self, n: usize, seconds: u64, step: Step) {
        let at = self.world.clock.now() + Duration::from_secs(seconds);
        self.agenda.push(Reverse((at, n, step)));
    }

    async fn ask(&mut self, n: usize) {
        let session = &self.sessions[n];
        let Person { address, ip } = &self.people[session.person];
        let delivery = match &session.challenge {
            None => self.world.send_to(address.clone(), Some(*ip)).await,
            Some((id, _)) => {
                let mut options = TestWorld::options(address.channel());
                options.origin.ip = Some(*ip);
                self.world.send(*id, &options).await
            }
        };
        let is_again = session.challenge.is_some();
        match sent(&delivery.expect("a decision")) {
            Ok(id) => {
                self.week.messages += 1;
                self.sessions[n].challenge = Some((id, take_code(self.world)));
                self.decide(n, is_again);
            }
            Err(refusal) => self.week.refuse(refusal),
        }
    }

    /// What somebody does who has got a code.
    fn decide(&mut self, n: usize, is_again: bool) {
        if self.dice.per_mille(LEAVE) {
            self.week.left += 1;
        } else if !is_again && self.dice.per_mille(ASK_AGAIN) {
            let wait = 31 + self.dice.below(90);
            self.then(n, wait, Step::AskAgain);
        } else {
            let step = if self.dice.per_mille(MISTYPE) { Step::Mistype } else { Step::Type };
            let wait = 8 + self.dice.below(50);
            self.then(n, wait, step);
        }
    }

    async fn mistype(&mut self, n: usize) {
        let Some((id, code)) = self.sessions[n].challenge.clone() else { return };
        let outcome = self.world.verify(id, &TestWorld::wrong(&code)).await.expect("a decision");
        self.week.mistyped += 1;
        if outcome == Outcome::Incorrect {
            let step = if self.dice.per_mille(MISTYPE) { Step::Mistype } else { Step::Type };
            self.then(n, 5, step);
        } else {
            *self.week.refused.entry(outcome.as_str().to_owned()).or_default() += 1;
        }
    }

    async fn present(&mut self, n: usize) {
        let Some((id, code)) = self.sessions[n].challenge.clone() else { return };
        match self.world.verify(id, &code).await.expect("a decision") {
            Outcome::Verified(_) => self.week.verified += 1,
            outcome => *self.week.refused.entry(outcome.as_str().to_owned()).or_default() += 1,
        }
    }
}

/// The code of the only message that is at hand, and forgets the message.
fn take_code<L, N>(world: &TestWorld<L, N>) -> String {
    let texts = world.couriers.sms.taken().into_iter().map(|(_, sms)| sms.text);
    let mails = world.couriers.email.taken().into_iter().map(|(_, email)| email.text);
    let text: String = texts.chain(mails).collect();
    world.couriers.sms.forget();
    world.couriers.email.forget();
    let digits = |word: &&str| word.len() == 6 && word.bytes().all(|b| b.is_ascii_digit());
    text.split_whitespace().find(digits).expect("a code").to_owned()
}

fn check(week: &Week, per_mille: usize) {
    let done = week.verified + week.left + week.refused();
    assert_eq!(usize::try_from(done).expect("a count"), week.sessions, "everybody ends somewhere");
    let most = week.sessions * per_mille / 1000;
    assert!(usize::try_from(week.refused()).expect("a count") <= most, "{:?}", week.refused);
}

/// Forgets what a table would have deleted by now.
fn forget_expired(world: &TestWorld) {
    world.ledgers.forget(world.clock.now());
    world.counters.forget(world.clock.now());
}

#[test]
fn hardly_anybody_is_refused_in_a_week_of_a_hundred_thousand() {
    let world = TestWorld::of(demo_app());
    let play = Play::new(&world, &WEEK, 100_000);
    let week = block_on(play.play(forget_expired));
    week.print("an ordinary week, in memory");
    check(&week, 1);
}

#[test]
fn hardly_anybody_is_refused_while_an_app_grows_tenfold_in_a_month() {
    let world = TestWorld::of(demo_app());
    let play = Play::new(&world, &GROWTH, 30_000);
    let month = block_on(play.play(forget_expired));
    month.print("a month in which an app grows tenfold");
    check(&month, 5);
}

#[test]
fn hardly_anybody_is_refused_when_an_app_is_launched_in_a_new_country() {
    let world = TestWorld::of(demo_app());
    let launch = block_on(Play::new(&world, &LAUNCH, 5_000).play(|_| ()));
    launch.print("a launch in a new country");
    check(&launch, 5);
}

#[tokio::test]
#[ignore = "needs AWS's DynamoDB Local"]
async fn hardly_anybody_is_refused_in_a_week_on_dynamodb_local() {
    let world = on_dynamodb_local(demo_app(), "ordinary").await;
    let week = Play::new(&world, &WEEK, 3_000).play(|_| ()).await;
    week.print("an ordinary week, DynamoDB Local");
    check(&week, 1);
}
