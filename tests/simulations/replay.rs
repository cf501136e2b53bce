//! `passcode guard simulate` refuses what the product refuses: the same messages, for the same
//! reasons, at the same times. And it counts the real people among the refused.

use passcode::guard::{
    log::{Event, EventKind, Log, Message},
    replay::{Replay, Tally, Verified},
};
use passcode_domain::{
    Address, App, ChallengeId, EmailAddress, PhoneNumber, Timestamp,
    action::{
        send::{Delivery, Refusal, SendOptions, Sent},
        verify::Outcome,
    },
    app::{
        TestAddress,
        guard::{Guard, Mode, Rule},
    },
    guard::Origin,
    ports::Clock as _,
};
use passcode_testkit::{TestWorld, demo_app, schedule::block_on, unguarded};
use passcode_tests::dice::Dice;
use std::{net::IpAddr, time::Duration};

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn app(edit: impl FnOnce(&mut Guard)) -> App {
    let mut guard = unguarded();
    guard.anonymous_percent = 0;
    edit(&mut guard);
    guard.validate().unwrap();
    App { guard, ..demo_app() }
}

fn phone(text: &str) -> Address {
    Address::Phone(PhoneNumber::parse(text).unwrap())
}

fn neighbour(n: u64) -> Address {
    phone(&format!("+1415200{n:04}"))
}

fn after(minutes: u64) -> Timestamp {
    START + Duration::from_mins(minutes)
}

fn sent(minutes: u64, id: &str, to: Address) -> Event {
    let ip = Some(IpAddr::from([192, 0, 2, 1]));
    Event { at: after(minutes), kind: EventKind::Send(Message::new(id.to_owned(), to, ip)) }
}

fn verified(minutes: u64, id: &str) -> Event {
    Event { at: after(minutes), kind: EventKind::Verify(id.to_owned()) }
}

fn replayed(app: &App, log: &Log) -> Tally {
    Tally::of(log, app, TestWorld::default().keys(), || ())
}

#[test]
fn an_empty_log_and_unmatched_verifies_refuse_nothing() {
    let log = Log::new(vec![verified(1, "c1"), sent(2, "c1", neighbour(1)), verified(2, "c2")]);
    assert_eq!((log.unmatched, log.verified.len(), log.messages().count()), (2, 0, 1));
    let tally = replayed(&demo_app(), &log);
    assert_eq!(tally, Tally::default());
    assert_eq!(replayed(&demo_app(), &Log::default()), tally);
    let world = TestWorld::default();
    let app = demo_app();
    assert_eq!(Replay::new(&app, world.keys()).verify("c1", START), Verified::Ignored);
}

#[test]
fn a_log_is_in_the_order_of_time_and_of_lines_at_the_same_time() {
    let log = Log::new(vec![
        sent(9, "c3", neighbour(3)),
        sent(5, "c1", neighbour(1)),
        sent(5, "c2", neighbour(2)),
    ]);
    let ids: Vec<_> = log.messages().map(|(_, message)| message.id.as_str()).collect();
    assert_eq!(ids, ["c1", "c2", "c3"]);
}

#[test]
fn refused_messages_of_verified_challenges_are_counted() {
    let app = app(|guard| {
        guard.sends_per_app.mode = Mode::Enforce;
        (guard.sends_per_app.per_hour, guard.sends_per_app.per_day) = (2, 2);
        guard.spend_cap.prices.insert("GR".parse().unwrap(), "0.09".parse().unwrap());
    });
    let mail = Address::Email(EmailAddress::parse("ada@example.com").unwrap());
    let log = Log::new(vec![
        sent(0, "twice", neighbour(1)),
        sent(1, "c2", neighbour(2)),
        // A second message that is refused does no harm to whoever has typed the first one's code.
        sent(2, "twice", neighbour(1)),
        verified(3, "twice"),
        verified(3, "twice"),
        sent(4, "greek", phone("+306912345678")),
        sent(5, "greek", phone("+306912345678")),
        verified(6, "greek"),
        sent(7, "mail", mail),
        sent(8, "pumped", neighbour(3)),
    ]);
    let tally = replayed(&app, &log);
    let refused: Vec<_> = tally.refused.iter().map(|r| (r.at, r.is_verified)).collect();
    let expected = [(2, true), (4, true), (5, true), (7, false), (8, false)];
    assert_eq!(refused, expected.map(|(minutes, verified)| (after(minutes), verified)));
    assert_eq!((tally.verified(), tally.lost), (3, 1));
    assert_eq!(tally.saved, 280_000, "two of 0.05, two of 0.09, and a mail");
    assert_eq!((log.verified.len(), log.cost(&app.guard)), (2, 380_000));
}

#[test]
fn a_rule_in_shadow_and_one_that_is_off_refuse_nothing() {
    let log = Log::new((0..60).map(|n| sent(n, &n.to_string(), neighbour(n))).collect());
    for (mode, refused) in [(Mode::Enforce, 40), (Mode::Shadow, 0), (Mode::Off, 0)] {
        let app = app(|guard| guard.prefix_concentration.mode = mode);
        assert_eq!(replayed(&app, &log).refused.len(), refused, "{mode:?}");
    }
}

#[test]
fn an_address_for_tests_is_limited_by_nothing_until_its_last_day() {
    let tested = TestAddress {
        address: "+14152000001".to_owned(),
        code: "424242".to_owned().try_into().unwrap(),
        until: after(30),
    };
    let app = App {
        test_addresses: vec![tested],
        ..app(|guard| {
            guard.sends_per_address.mode = Mode::Enforce;
            guard.sends_per_address.per_hour = 2;
        })
    };
    let sends = (0..40).map(|n| sent(n, &n.to_string(), neighbour(1)));
    let tally = replayed(&app, &Log::new(sends.collect()));
    let refused: Vec<_> = tally.refused.iter().map(|refused| refused.at).collect();
    assert_eq!(refused, (32..40).map(after).collect::<Vec<_>>());
}

/// Any mode for every rule, and numbers that are soon reached.
fn guard(dice: &Dice) -> Guard {
    let mut guard = Guard::default();
    for rule in Rule::ALL {
        *guard.mode_mut(rule) =
            [Mode::Enforce, Mode::Shadow, Mode::Off][usize::try_from(dice.below(3)).unwrap()];
    }
    let most = |n| u32::try_from(1 + dice.below(n)).unwrap();
    for limit in [
        &mut guard.sends_per_address,
        &mut guard.sends_per_ip,
        &mut guard.sends_per_country,
        &mut guard.sends_per_app,
    ] {
        limit.per_hour = most(9);
        limit.per_day = limit.per_hour + most(9);
    }
    for unverified in [
        &mut guard.unverified_per_ip_hour,
        &mut guard.unverified_per_ip_day,
        &mut guard.unverified_per_country_hour,
        &mut guard.unverified_per_country_day,
        &mut guard.prefix_concentration,
    ] {
        unverified.floor = most(5);
    }
    guard.spend_cap.per_day = Some("0.90".parse().unwrap());
    guard.countries_per_ip.most = most(3);
    guard.burst = most(3);
    guard
}

fn address(dice: &Dice) -> Address {
    match dice.below(8) {
        0 => Address::Email(EmailAddress::parse("ada@example.com").unwrap()),
        1 => phone("+306912345678"),
        2 => phone("+919876543210"),
        3 => phone("+447400123456"),
        4 => phone("+18002345678"),
        _ => neighbour(dice.below(4)),
    }
}

fn options(dice: &Dice, to: &Address) -> SendOptions {
    let ip = Some(IpAddr::from([192, 0, 2, u8::try_from(dice.below(3)).unwrap()]));
    let origin = Origin::from(ip.filter(|_| dice.below(4) > 0));
    SendOptions { origin, ..TestWorld::options(to.channel()) }
}

/// The product at work, and a replay beside it that is told what happens.
struct Pair<'a> {
    world: &'a TestWorld,
    replay: Replay<'a>,
    dice: Dice,
    /// The challenges with a code that can be typed.
    open: Vec<(ChallengeId, Address, String)>,
    refused: usize,
}

impl Pair<'_> {
    fn step(&mut self) {
        let seconds = [0, 10, 240, 2_000, 20_000][usize::try_from(self.dice.below(5)).unwrap()];
        self.world.clock.advance(Duration::from_secs(seconds));
        let which = usize::try_from(self.dice.below(4)).unwrap();
        let known = self.open.len().checked_sub(1 + which).map(|at| self.open[at].clone());
        match (self.dice.below(4), known) {
            (0, Some((id, _, code))) => self.verify(id, &code),
            (1, Some((id, to, _))) => {
                let options = options(&self.dice, &to);
                let delivery = block_on(self.world.send(id, &options)).unwrap();
                self.compare(Some(id), &to, options.origin.ip, &delivery);
            }
            _ => {
                let to = address(&self.dice);
                let ip = options(&self.dice, &to).origin.ip;
                let delivery = block_on(self.world.send_to(to.clone(), ip)).unwrap();
                self.compare(None, &to, ip, &delivery);
            }
        }
    }

    /// What another rule of the product refuses is in no log, and never comes to the guard.
    fn compare(
        &mut self,
        known: Option<ChallengeId>,
        to: &Address,
        ip: Option<IpAddr>,
        delivery: &Delivery,
    ) {
        let (id, refusal) = match delivery.sent {
            Sent::Sent(id, _) => (Some(id), None),
            Sent::Refused(why @ (Refusal::Throttled(_) | Refusal::Blocked(_))) => {
                (known, Some(why))
            }
            Sent::Refused(_) => return,
            ref other => panic!("{other:?}"),
        };
        let name = |id: ChallengeId| id.print(self.world.keys());
        let name = id.map_or_else(|| format!("refused {}", self.refused), name);
        let message = Message::new(name, to.clone(), ip);
        let verdict = self.replay.send(&message, self.world.clock.now());
        let judged = verdict.refusal().map(Refusal::from);
        assert_eq!((judged, &verdict.findings), (refusal, &delivery.findings));
        self.refused += usize::from(refusal.is_some());
        if let (Some(id), None, Address::Phone(_)) = (id, refusal, to) {
            self.open.retain(|(open, ..)| *open != id);
            self.open.push((id, to.clone(), self.world.last_code()));
        }
    }

    fn verify(&mut self, id: ChallengeId, code: &str) {
        if let Outcome::Verified(_) = block_on(self.world.verify(id, code)).unwrap() {
            let (name, now) = (id.print(self.world.keys()), self.world.clock.now());
            assert_eq!(self.replay.verify(&name, now), Verified::Counted);
        }
    }
}

#[test]
fn a_replay_refuses_what_the_product_refuses() {
    let mut refused = 0;
    for seed in 1..=60 {
        let dice = Dice::seeded(seed);
        let world = TestWorld::of(App { guard: guard(&dice), ..demo_app() });
        let replay = Replay::new(&world.app, world.keys());
        let mut pair = Pair { world: &world, replay, dice, open: Vec::new(), refused: 0 };
        for _ in 0..120 {
            pair.step();
        }
        refused += pair.refused;
    }
    assert!((500..6_000).contains(&refused), "{refused} of 7200 steps");
}
