//! Where a simulation plays: every port is a fake, but for the store, which can be the real one.

use passcode_domain::{
    App, ChallengeId, PhoneNumber, Timestamp,
    action::send::{Delivery, Refusal, Sent},
    ports::{Clock as _, CountVerified, LoadCounters, LoadLedgers, ReserveCounters, StoreLedgers},
};
use passcode_dynamodb::{ChallengeTable, CounterTable};
use passcode_testkit::TestWorld;
use passcode_tests::aws::{aws_at, make_tables};
use std::time::Duration;

/// Ledgers, wherever they are.
pub(crate) trait Ledgers: LoadLedgers + StoreLedgers {}

impl<T: LoadLedgers + StoreLedgers> Ledgers for T {}

/// Counters, wherever they are.
pub(crate) trait Counts: LoadCounters + ReserveCounters + CountVerified {}

impl<T: LoadCounters + ReserveCounters + CountVerified> Counts for T {}

/// The world on AWS's DynamoDB Local, with tables of its own.
pub(crate) async fn on_dynamodb_local(
    app: App,
    name: &str,
) -> TestWorld<ChallengeTable, CounterTable> {
    let url = std::env::var("DYNAMODB_LOCAL_URL").expect("DYNAMODB_LOCAL_URL is not set");
    make_tables(&url, name).await;
    let table = |table| format!("{name}{table}");
    let (aws, ledgers, counters) = (aws_at(&url), table("ChallengeTable"), table("CounterTable"));
    let counters = CounterTable::new(&aws, counters);
    TestWorld::on(app, ChallengeTable::new(&aws, ledgers), counters)
}

/// Lets the world's time pass until then.
pub(crate) fn wait_until<L, N>(world: &TestWorld<L, N>, then: Timestamp) {
    world.clock.advance(world.clock.now().until(then));
}

pub(crate) fn phone(text: &str) -> PhoneNumber {
    PhoneNumber::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Which challenge was sent, or why none was.
pub(crate) fn sent(delivery: &Delivery) -> Result<ChallengeId, Refusal> {
    match delivery.sent {
        Sent::Sent(id, _) => Ok(id),
        Sent::Refused(refusal) => Err(refusal),
        ref other => panic!("{other:?}"),
    }
}

pub(crate) const HOUR: Duration = Duration::from_hours(1);
pub(crate) const DAY: Duration = Duration::from_hours(24);
