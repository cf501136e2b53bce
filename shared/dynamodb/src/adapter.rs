//! The tables as adapters of functions: which ports they are, and tables of which a function may use
//! less than they can.

use crate::{AppTable, ChallengeTable, CounterTable, UserChanges, UserTable};
use aws_types::SdkConfig;
use passcode_domain::{
    Ledger, SubjectKey,
    guard::VerifiedCount,
    ledger::Item,
    ports::{Adapter, CountVerified, LoadLedgers, Loaded, StoreError},
    value::id::ItemKey,
};

impl Adapter for AppTable {
    fn ports() -> Vec<&'static str> {
        vec!["LoadApps"]
    }
}

impl Adapter for UserTable {
    fn ports() -> Vec<&'static str> {
        vec!["LoadUsers"]
    }
}

impl Adapter for UserChanges {
    fn ports() -> Vec<&'static str> {
        vec!["LoadUsers", "ChangeUsers"]
    }
}

impl Adapter for ChallengeTable {
    fn ports() -> Vec<&'static str> {
        vec!["LoadLedgers", "StoreLedgers"]
    }

    async fn warm_up(&self) {
        let nobody = SubjectKey::from_bytes([0; 16]).into();
        let _ = self.load::<Ledger>(&nobody).await;
    }
}

/// The table of ledgers, for a function that only reads them.
#[derive(Clone, Debug)]
pub struct LedgerReader(ChallengeTable);

impl LedgerReader {
    /// The table with this name.
    #[must_use]
    pub fn new(aws: &SdkConfig, table: String) -> Self {
        Self(ChallengeTable::new(aws, table))
    }
}

impl LoadLedgers for LedgerReader {
    async fn load<I: Item>(&self, key: &ItemKey) -> Result<Loaded<I>, StoreError> {
        self.0.load(key).await
    }
}

impl Adapter for LedgerReader {
    fn ports() -> Vec<&'static str> {
        vec!["LoadLedgers"]
    }

    async fn warm_up(&self) {
        self.0.warm_up().await;
    }
}

/// For a function that sends.
impl Adapter for CounterTable {
    fn ports() -> Vec<&'static str> {
        vec!["LoadCounters", "ReserveCounters"]
    }
}

/// The table of counters, for a function that verifies: it adds to them and reads nothing.
#[derive(Clone, Debug)]
pub struct VerifiedCounters(CounterTable);

impl VerifiedCounters {
    /// The table with this name.
    #[must_use]
    pub fn new(aws: &SdkConfig, table: String) -> Self {
        Self(CounterTable::new(aws, table))
    }
}

impl CountVerified for VerifiedCounters {
    async fn count_verified(&self, count: &VerifiedCount) -> Result<(), StoreError> {
        self.0.count_verified(count).await
    }
}

impl Adapter for VerifiedCounters {
    fn ports() -> Vec<&'static str> {
        vec!["CountVerified"]
    }
}
