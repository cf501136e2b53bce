//! Where a simulation plays: every port is a fake, but for the store, which can be the real one.

use passcode_domain::{
    App, ChallengeId, PhoneNumber, Timestamp,
    ports::{Clock as _, CountGauges, LoadGauges, LoadLedgers, StoreLedgers},
    send::{Delivery, Refusal, Sent},
};
use passcode_dynamodb::CountedLedgers;
use passcode_testkit::World;
use passcode_tests::aws::{aws_at, make_tables};
use std::time::Duration;

/// Ledgers and gauges, wherever they are.
pub(crate) trait Store: LoadLedgers + StoreLedgers + LoadGauges + CountGauges {}

impl<T: LoadLedgers + StoreLedgers + LoadGauges + CountGauges> Store for T {}

/// The world on AWS's DynamoDB Local, with tables of its own.
pub(crate) async fn on_dynamodb_local(app: App, name: &str) -> World<CountedLedgers> {
    let url = std::env::var("DYNAMODB_LOCAL_URL").expect("DYNAMODB_LOCAL_URL is not set");
    make_tables(&url, name).await;
    let table = |table| format!("{name}{table}");
    let (ledgers, gauges) = (table("ChallengeTable"), table("CounterTable"));
    World::on(app, CountedLedgers::new(&aws_at(&url), ledgers, gauges))
}

/// Lets the world's time pass until then.
pub(crate) fn wait_until<L>(world: &World<L>, then: Timestamp) {
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
