//! Fakes of every port, and the conformance suites that fakes and adapters both pass. Nothing here
//! needs a runtime: the fakes give way once per call, so a test decides who runs next.

pub mod conformance;
mod courier;
mod ports;
pub mod schedule;
mod tokens;
mod world;

pub use courier::{FakeEmail, FakeSms, Verdict};
pub use passcode_demo::{
    ADMIN_KEY, CLIENT_SECRET as DEMO_SECRET, PASSWORD, PIN, USER_ID, app as demo_app,
    countries as example_countries,
};
pub use ports::{
    FakeApps, FakeClock, FakeCounters, FakeEntropy, FakeKeyring, FakeLedgers, FakeSessions,
    FakeSigningKeys, FakeUsers, Fault,
};
pub use tokens::FakeTokens;
pub use world::{TestWorld, ada, unguarded, without_waits};
