//! The guard with the real store: 64 callers at the same moment get no message more than a limit
//! allows, and no money more than the spend cap.

use passcode::{local::Stack, template};
use passcode_domain::{
    Address, App, PhoneNumber,
    action::{
        Failure,
        send::{Delivery, Sent},
    },
    app::guard::{Guard, Mode, Rule},
    ports::Entropy as _,
    value::money::Amount,
};
use passcode_dynamodb::{ChallengeTable, CounterTable};
use passcode_runtime::SystemEntropy;
use passcode_testkit::{TestWorld, demo_app, unguarded};
use passcode_tests::{aws::aws_at, event::root};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

const CALLERS: u32 = 64;

/// As many messages are allowed in each case.
const ALLOWED: u32 = 20;

/// A rule, and what makes it allow twenty messages.
type Case = (Rule, fn(&mut Guard));

const CASES: [Case; 5] = [
    (Rule::SendsPerIp, |guard| guard.sends_per_ip.per_hour = ALLOWED),
    (Rule::SendsPerApp, |guard| guard.sends_per_app.per_hour = ALLOWED),
    (Rule::SendsPerCountry, |guard| guard.sends_per_country.per_hour = ALLOWED),
    (Rule::SpendCap, |guard| {
        guard.spend_cap.per_day = Some(Amount::from_millionths(1_030_000));
    }),
    (Rule::PrefixConcentration, |guard| guard.prefix_concentration.floor = ALLOWED / 2),
];

fn number(n: u32) -> Address {
    let number = PhoneNumber::parse(&format!("+1415555{n:04}")).expect("a number");
    Address::Phone(number)
}

/// A world with one rule, whose counters nobody else counts in.
fn world(url: &str, (rule, edit): Case) -> TestWorld<ChallengeTable, CounterTable> {
    let id = data_encoding::BASE32_NOPAD.encode(&SystemEntropy.bytes::<16>());
    let mut guard = unguarded();
    guard.anonymous_percent = 0;
    edit(&mut guard);
    *guard.mode_mut(rule) = Mode::Enforce;
    let app = App { id: id.parse().expect("an app id"), guard, ..demo_app() };
    let aws = aws_at(url);
    let counters = CounterTable::new(&aws, "CounterTable".into());
    TestWorld::on(app, ChallengeTable::new(&aws, "ChallengeTable".into()), counters)
}

/// Whether a message went out, and whether it is known how that was counted: a store that does not answer
/// in time may have counted a message that is not sent.
fn is_sent(delivery: Result<Delivery, Failure>) -> (bool, bool) {
    match delivery {
        Ok(Delivery { sent: Sent::Sent(..), .. }) => (true, true),
        // Who was kept from a decision by others may come again.
        Ok(Delivery { sent: Sent::Refused(_), .. }) | Err(Failure::Contended) => (false, true),
        Err(Failure::Unavailable(_)) => (false, false),
        other => panic!("{other:?}"),
    }
}

/// 64 at the same moment, and then one after the other: never too many, and in the end all of them.
pub(crate) async fn check(url: &str) {
    for (n, case) in CASES.into_iter().enumerate() {
        let world = Arc::new(world(url, case));
        let ip = Some(IpAddr::from(Ipv4Addr::new(192, 0, 2, 1)));
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let world = world.clone();
                tokio::spawn(async move { is_sent(world.send_to(number(caller), ip).await) })
            })
            .collect();
        let (mut sent, mut is_known) = (0, true);
        for caller in callers {
            let (is_sent, is_counted) = caller.await.expect("no panic");
            sent += u32::from(is_sent);
            is_known &= is_counted;
        }
        println!("{}: {sent} of {CALLERS} at once, {ALLOWED} allowed", CASES[n].0.as_str());
        assert!(sent <= ALLOWED && sent > 0, "{}: {sent}", CASES[n].0.as_str());
        for caller in CALLERS..2 * CALLERS {
            let (is_sent, is_counted) = is_sent(world.send_to(number(caller), ip).await);
            sent += u32::from(is_sent);
            is_known &= is_counted;
        }
        // A loss errs on the safe side.
        let is_all = if is_known { sent == ALLOWED } else { sent <= ALLOWED };
        assert!(is_all, "{}: what is left is given later: {sent}", CASES[n].0.as_str());
        assert_eq!(world.couriers.sms.taken().len(), sent as usize);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_callers_exceed_no_limit_and_no_cap() {
    let template = template::read(&root().join("template.yaml")).expect("template.yaml is good");
    let observer = Arc::new(|_: &str, _: &passcode_runtime::Observed| {});
    let stack = Stack::in_memory(&template, observer).await.expect("the stack starts");
    check(&stack.dynamodb).await;
}
