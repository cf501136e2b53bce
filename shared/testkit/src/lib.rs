//! Fakes of every port, and the conformance suites that fakes and adapters both pass. Nothing here
//! needs a runtime: the fakes give way once per call, so a test decides who runs next.

pub mod conformance;
mod courier;
mod ports;
pub mod schedule;
mod tokens;
mod world;

pub use courier::{FakeEmail, FakeSms, Verdict};
pub use ports::{
    FakeApps, FakeClock, FakeCounters, FakeEntropy, FakeKeyring, FakeLedgers, FakeSigningKeys,
    FakeUsers, Fault,
};
pub use tokens::FakeTokens;
pub use world::{
    ADMIN_KEY, COOL_DOWNS, DEMO_SECRET, PASSWORD, PIN, TestWorld, USER_ID, ada, demo_app,
    example_countries, unguarded, without_waits,
};
