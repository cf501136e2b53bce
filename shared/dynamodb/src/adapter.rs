//! The tables as adapters of functions: which ports they are, and tables of which a function may use
//! less than they can.

use crate::{AppTable, ChallengeTable, CounterTable, SessionTable, UserChanges, UserTable};
use aws_types::SdkConfig;
use passcode_domain::{
    Ledger, Session, SessionId, SessionKey, SubjectKey, UserKey,
    guard::{Counter, Reservation, VerifyCount},
    ledger::Item,
    ports::{
        Adapter, CountVerified, ListSessions, LoadCounters, LoadLedgers, LoadSessions, Loaded,
        ReserveCounters, ReserveError, StoreError, StoreSessions,
    },
    value::id::{CounterKey, ItemKey},
};
use std::collections::BTreeMap;

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

/// For a function that begins, refreshes or ends sessions.
impl Adapter for SessionTable {
    fn ports() -> Vec<&'static str> {
        vec!["LoadSessions", "StoreSessions"]
    }

    async fn warm_up(&self) {
        let session = SessionId::from_bytes([0; 16]);
        let nobody = SessionKey { user: UserKey::from_bytes([0; 16]), session };
        let _ = self.load_session(&nobody).await;
    }
}

/// The table of sessions, for a function that only reads one.
#[derive(Clone, Debug)]
pub struct SessionReader(SessionTable);

impl SessionReader {
    /// The table with this name.
    #[must_use]
    pub fn new(aws: &SdkConfig, table: String) -> Self {
        Self(SessionTable::new(aws, table))
    }
}

impl LoadSessions for SessionReader {
    async fn load_session(&self, key: &SessionKey) -> Result<Loaded<Session>, StoreError> {
        self.0.load_session(key).await
    }
}

impl Adapter for SessionReader {
    fn ports() -> Vec<&'static str> {
        vec!["LoadSessions"]
    }
}

/// The table of sessions, for a function that ends any of a user's.
#[derive(Clone, Debug)]
pub struct UserSessions(SessionTable);

impl UserSessions {
    /// The table with this name.
    #[must_use]
    pub fn new(aws: &SdkConfig, table: String) -> Self {
        Self(SessionTable::new(aws, table))
    }
}

impl LoadSessions for UserSessions {
    async fn load_session(&self, key: &SessionKey) -> Result<Loaded<Session>, StoreError> {
        self.0.load_session(key).await
    }
}

impl ListSessions for UserSessions {
    async fn list_sessions(
        &self,
        user: &UserKey,
    ) -> Result<Vec<(SessionKey, Session)>, StoreError> {
        self.0.list_sessions(user).await
    }
}

impl StoreSessions for UserSessions {
    async fn store_session(
        &self,
        key: &SessionKey,
        session: &Session,
        seen: u64,
    ) -> Result<u64, StoreError> {
        self.0.store_session(key, session, seen).await
    }
}

impl Adapter for UserSessions {
    fn ports() -> Vec<&'static str> {
        vec!["LoadSessions", "ListSessions", "StoreSessions"]
    }
}

/// The table of sessions, for a function that lists a user's.
#[derive(Clone, Debug)]
pub struct SessionList(SessionTable);

impl SessionList {
    /// The table with this name.
    #[must_use]
    pub fn new(aws: &SdkConfig, table: String) -> Self {
        Self(SessionTable::new(aws, table))
    }
}

impl ListSessions for SessionList {
    async fn list_sessions(
        &self,
        user: &UserKey,
    ) -> Result<Vec<(SessionKey, Session)>, StoreError> {
        self.0.list_sessions(user).await
    }
}

impl Adapter for SessionList {
    fn ports() -> Vec<&'static str> {
        vec!["ListSessions"]
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
    async fn count_verified(&self, count: &VerifyCount) -> Result<(), StoreError> {
        self.0.count_verified(count).await
    }
}

impl Adapter for VerifiedCounters {
    fn ports() -> Vec<&'static str> {
        vec!["CountVerified"]
    }
}

/// The table of counters, for a function that sends and counts what has bounced.
#[derive(Clone, Debug)]
pub struct ReceiptCounters(CounterTable);

impl ReceiptCounters {
    /// The table with this name.
    #[must_use]
    pub fn new(aws: &SdkConfig, table: String) -> Self {
        Self(CounterTable::new(aws, table))
    }
}

impl LoadCounters for ReceiptCounters {
    async fn load_counters(
        &self,
        keys: &[CounterKey],
    ) -> Result<BTreeMap<CounterKey, Counter>, StoreError> {
        self.0.load_counters(keys).await
    }
}

impl ReserveCounters for ReceiptCounters {
    async fn reserve(&self, reservation: &Reservation) -> Result<(), ReserveError> {
        self.0.reserve(reservation).await
    }

    async fn give_back(&self, reservation: &Reservation) -> Result<(), StoreError> {
        self.0.give_back(reservation).await
    }
}

impl CountVerified for ReceiptCounters {
    async fn count_verified(&self, count: &VerifyCount) -> Result<(), StoreError> {
        self.0.count_verified(count).await
    }
}

impl Adapter for ReceiptCounters {
    fn ports() -> Vec<&'static str> {
        vec!["LoadCounters", "ReserveCounters", "CountVerified"]
    }
}
