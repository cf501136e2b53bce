//! Fakes of the stores, the keyring, the clock and the entropy. A clone is the same fake.

use crate::schedule::give_way;
use passcode_domain::{
    App, AppId, Keyring, Ledger, Session, SessionKey, SigningKeys, Timestamp, User, UserChange,
    UserId, UserKey, Username,
    guard::{Counter, Reservation, VerifyCount},
    ledger::Item,
    message::ValidApp,
    ports::{
        Cause, ChangeUsers, Clock, CountVerified, DeleteApps, DeleteUsers, Entropy, ListSessions,
        LoadApps, LoadCounters, LoadKeyring, LoadLedgers, LoadSessions, LoadSigningKeys, LoadUsers,
        Loaded, ReserveCounters, ReserveError, StoreApps, StoreError, StoreLedgers, StoreSessions,
        StoreUserError, StoreUsers,
    },
    value::id::{CounterKey, ItemKey},
};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// A test that panics while it holds a lock has failed already.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What shall go wrong with a store call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call works.
    None,
    /// Somebody else was faster.
    Conflict,
    /// The store does not answer, and has done nothing.
    Unavailable,
}

/// What is stored under one key.
#[derive(Clone, Debug)]
struct StoredItem {
    document: String,
    version: u64,
    expires_at: Timestamp,
}

/// Ledgers, and the items beside them, in memory. Counts its calls, and fails when told to.
#[derive(Clone, Debug, Default)]
pub struct FakeLedgers {
    items: Arc<Mutex<HashMap<ItemKey, StoredItem>>>,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    loads: Arc<AtomicU64>,
    stores: Arc<AtomicU64>,
}

impl FakeLedgers {
    /// Makes the next store calls go wrong, one fault each.
    pub fn fail_stores(&self, faults: impl IntoIterator<Item = Fault>) {
        lock(&self.faults).extend(faults);
    }

    /// How often it was read and written since the last time it was asked.
    pub fn take_calls(&self) -> (u64, u64) {
        (self.loads.swap(0, Ordering::SeqCst), self.stores.swap(0, Ordering::SeqCst))
    }

    /// Forgets what a table would have deleted by now.
    pub fn forget(&self, now: Timestamp) {
        lock(&self.items).retain(|_, stored| stored.expires_at > now);
    }

    /// Every stored item, as JSON.
    pub fn dump(&self) -> String {
        lock(&self.items).values().map(|stored| stored.document.as_str()).collect()
    }

    fn put<I: Item>(&self, key: &ItemKey, item: &I, seen: u64) -> Result<u64, StoreError> {
        self.stores.fetch_add(1, Ordering::SeqCst);
        match lock(&self.faults).pop_front().unwrap_or(Fault::None) {
            Fault::Conflict => return Err(StoreError::Conflict),
            Fault::Unavailable => return Err(StoreError::Unavailable("told to fail".into())),
            Fault::None => {}
        }
        let mut items = lock(&self.items);
        if items.get(key).map_or(0, |stored| stored.version) != seen {
            return Err(StoreError::Conflict);
        }
        let document =
            serde_json::to_string(item).map_err(|error| StoreError::Unavailable(error.into()))?;
        let (version, expires_at) = (seen + 1, item.expires_at());
        items.insert(*key, StoredItem { document, version, expires_at });
        Ok(version)
    }
}

impl LoadLedgers for FakeLedgers {
    async fn load<I: Item>(&self, key: &ItemKey) -> Result<Loaded<I>, StoreError> {
        give_way().await;
        self.loads.fetch_add(1, Ordering::SeqCst);
        let Some(stored) = lock(&self.items).get(key).cloned() else {
            return Ok(Loaded { item: None, version: 0 });
        };
        let item = serde_json::from_str(&stored.document)
            .map_err(|error| StoreError::Unavailable(error.into()))?;
        Ok(Loaded { item: Some(item), version: stored.version })
    }
}

impl StoreLedgers for FakeLedgers {
    async fn store<I: Item>(&self, key: &ItemKey, item: &I, seen: u64) -> Result<u64, StoreError> {
        give_way().await;
        self.put(key, item, seen)
    }
}

/// Sessions in memory. Counts its calls.
#[derive(Clone, Debug, Default)]
pub struct FakeSessions {
    items: Arc<Mutex<BTreeMap<SessionKey, StoredItem>>>,
    loads: Arc<AtomicU64>,
    stores: Arc<AtomicU64>,
}

impl FakeSessions {
    /// How often a session was read and written since the last time it was asked.
    pub fn take_calls(&self) -> (u64, u64) {
        (self.loads.swap(0, Ordering::SeqCst), self.stores.swap(0, Ordering::SeqCst))
    }

    /// Forgets what a table would have deleted by now.
    pub fn forget(&self, now: Timestamp) {
        lock(&self.items).retain(|_, stored| stored.expires_at > now);
    }

    /// Every stored session, as JSON.
    pub fn dump(&self) -> String {
        lock(&self.items).values().map(|stored| stored.document.as_str()).collect()
    }
}

fn read(stored: &StoredItem) -> Result<Session, StoreError> {
    serde_json::from_str(&stored.document).map_err(|error| StoreError::Unavailable(error.into()))
}

impl LoadSessions for FakeSessions {
    async fn load_session(&self, key: &SessionKey) -> Result<Loaded<Session>, StoreError> {
        give_way().await;
        self.loads.fetch_add(1, Ordering::SeqCst);
        let Some(stored) = lock(&self.items).get(key).cloned() else {
            return Ok(Loaded { item: None, version: 0 });
        };
        Ok(Loaded { item: Some(read(&stored)?), version: stored.version })
    }
}

impl ListSessions for FakeSessions {
    async fn list_sessions(
        &self,
        user: &UserKey,
    ) -> Result<Vec<(SessionKey, Session)>, StoreError> {
        give_way().await;
        self.loads.fetch_add(1, Ordering::SeqCst);
        let items = lock(&self.items);
        let of_user = items.iter().filter(|(key, _)| key.user == *user);
        of_user.map(|(key, stored)| Ok((*key, read(stored)?))).collect()
    }
}

impl StoreSessions for FakeSessions {
    async fn store_session(
        &self,
        key: &SessionKey,
        session: &Session,
        seen: u64,
    ) -> Result<u64, StoreError> {
        give_way().await;
        self.stores.fetch_add(1, Ordering::SeqCst);
        let mut items = lock(&self.items);
        if items.get(key).map_or(0, |stored| stored.version) != seen {
            return Err(StoreError::Conflict);
        }
        let document = serde_json::to_string(session)
            .map_err(|error| StoreError::Unavailable(error.into()))?;
        let (version, expires_at) = (seen + 1, session.expires_at());
        items.insert(*key, StoredItem { document, version, expires_at });
        Ok(version)
    }
}

/// Counters in memory. Counts its calls, and shows old readings when told to.
#[derive(Clone, Debug, Default)]
pub struct FakeCounters {
    counters: Arc<Mutex<BTreeMap<CounterKey, Counter>>>,
    frozen: Arc<Mutex<Option<BTreeMap<CounterKey, Counter>>>>,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    reads: Arc<AtomicU64>,
    writes: Arc<AtomicU64>,
}

impl FakeCounters {
    /// Lets every reading be as old as this moment from now on, until it is called with `false`.
    pub fn freeze_reads(&self, is_frozen: bool) {
        *lock(&self.frozen) = is_frozen.then(|| lock(&self.counters).clone());
    }

    /// Makes the next reservations go wrong, one fault each.
    pub fn fail_reservations(&self, faults: impl IntoIterator<Item = Fault>) {
        lock(&self.faults).extend(faults);
    }

    /// How many counters were read and written since the last time it was asked.
    pub fn take_calls(&self) -> (u64, u64) {
        (self.reads.swap(0, Ordering::SeqCst), self.writes.swap(0, Ordering::SeqCst))
    }

    /// Every counter.
    pub fn all(&self) -> BTreeMap<CounterKey, Counter> {
        lock(&self.counters).clone()
    }

    /// Forgets what a table would have deleted by now.
    pub fn forget(&self, now: Timestamp) {
        lock(&self.counters)
            .retain(|_, counter| counter.newest().is_some_and(|slot| slot.expires_at() > now));
    }

    fn write(&self) -> MutexGuard<'_, BTreeMap<CounterKey, Counter>> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        lock(&self.counters)
    }
}

impl LoadCounters for FakeCounters {
    async fn load_counters(
        &self,
        keys: &[CounterKey],
    ) -> Result<BTreeMap<CounterKey, Counter>, StoreError> {
        give_way().await;
        self.reads.fetch_add(keys.len() as u64, Ordering::SeqCst);
        let (frozen, counters) = (lock(&self.frozen), lock(&self.counters));
        let seen = frozen.as_ref().unwrap_or(&counters);
        Ok(keys.iter().filter_map(|key| Some((*key, seen.get(key)?.clone()))).collect())
    }
}

impl ReserveCounters for FakeCounters {
    async fn reserve(&self, reservation: &Reservation) -> Result<(), ReserveError> {
        give_way().await;
        match lock(&self.faults).pop_front().unwrap_or(Fault::None) {
            Fault::None => {}
            Fault::Conflict => return Err(ReserveError::Refused(Counter::default())),
            Fault::Unavailable => {
                return Err(StoreError::Unavailable("told to fail".into()).into());
            }
        }
        let mut counters = self.write();
        let counter = counters.entry(reservation.key).or_default();
        if !counter.allows(reservation) {
            return Err(ReserveError::Refused(counter.clone()));
        }
        counter.reserve(reservation);
        Ok(())
    }

    async fn give_back(&self, reservation: &Reservation) -> Result<(), StoreError> {
        give_way().await;
        self.write().entry(reservation.key).or_default().give_back(reservation);
        Ok(())
    }
}

impl CountVerified for FakeCounters {
    async fn count_verified(&self, count: &VerifyCount) -> Result<(), StoreError> {
        give_way().await;
        self.write().entry(count.key).or_default().count_verified(count);
        Ok(())
    }
}

/// Apps in memory.
#[derive(Clone, Debug, Default)]
pub struct FakeApps {
    apps: Arc<Mutex<HashMap<AppId, Arc<App>>>>,
    is_down: Arc<Mutex<bool>>,
}

impl FakeApps {
    /// Makes every call fail from now on, or work again.
    pub fn set_down(&self, is_down: bool) {
        *lock(&self.is_down) = is_down;
    }

    /// Puts a document there as somebody else has stored it: by hand, or with another release.
    pub fn put_document(&self, id: &AppId, document: &str) {
        lock(&self.apps).insert(id.clone(), Arc::new(App::from_stored(id, document)));
    }
}

impl LoadApps for FakeApps {
    async fn load_app(&self, id: &AppId) -> Result<Option<Arc<App>>, StoreError> {
        give_way().await;
        if *lock(&self.is_down) {
            return Err(StoreError::Unavailable("told to fail".into()));
        }
        Ok(lock(&self.apps).get(id).cloned())
    }

    /// Hosts without a label of their own are the demo app's.
    fn default_app(&self) -> Option<&AppId> {
        static DEMO: LazyLock<Option<AppId>> = LazyLock::new(|| "demo".parse().ok());
        DEMO.as_ref()
    }
}

impl StoreApps for FakeApps {
    async fn store_app(&self, app: &ValidApp) -> Result<(), StoreError> {
        give_way().await;
        let app = app.as_ref();
        lock(&self.apps).insert(app.id.clone(), Arc::new(app.clone()));
        Ok(())
    }
}

impl DeleteApps for FakeApps {
    async fn delete_app(&self, id: &AppId) -> Result<(), StoreError> {
        give_way().await;
        lock(&self.apps).remove(id);
        Ok(())
    }
}

/// Users in memory, who can change together with ledgers.
#[derive(Clone, Debug, Default)]
pub struct FakeUsers {
    /// The ledgers that a change of a user is stored with.
    pub ledgers: FakeLedgers,
    users: Arc<Mutex<HashMap<(AppId, UserId), User>>>,
    is_down: Arc<Mutex<bool>>,
}

impl FakeUsers {
    /// Makes every call fail from now on, or work again.
    pub fn set_down(&self, is_down: bool) {
        *lock(&self.is_down) = is_down;
    }

    /// The users, once it is this call's turn.
    async fn reached(&self) -> Result<MutexGuard<'_, HashMap<(AppId, UserId), User>>, StoreError> {
        give_way().await;
        if *lock(&self.is_down) {
            return Err(StoreError::Unavailable("told to fail".into()));
        }
        Ok(lock(&self.users))
    }
}

impl LoadUsers for FakeUsers {
    async fn load_user(&self, app: &AppId, id: &UserId) -> Result<Option<User>, StoreError> {
        Ok(self.reached().await?.get(&(app.clone(), id.clone())).cloned())
    }

    async fn load_user_by_name(
        &self,
        app: &AppId,
        name: &Username,
    ) -> Result<Option<User>, StoreError> {
        let users = self.reached().await?;
        let goes_by = |user: &&User| user.app == *app && user.username.as_ref() == Some(name);
        Ok(users.values().find(goes_by).cloned())
    }
}

impl StoreUsers for FakeUsers {
    async fn store_user(&self, user: &User) -> Result<(), StoreUserError> {
        let mut users = self.reached().await?;
        let is_rival = |other: &User| {
            let named = user.username.is_some() && other.username == user.username;
            named && other.app == user.app && other.id != user.id
        };
        if users.values().any(is_rival) {
            return Err(StoreUserError::NameTaken);
        }
        users.insert((user.app.clone(), user.id.clone()), user.clone());
        Ok(())
    }
}

impl DeleteUsers for FakeUsers {
    async fn delete_user(&self, app: &AppId, id: &UserId) -> Result<(), StoreError> {
        self.reached().await?.remove(&(app.clone(), id.clone()));
        Ok(())
    }
}

impl ChangeUsers for FakeUsers {
    async fn change_user(
        &self,
        key: &ItemKey,
        ledger: &Ledger,
        seen: u64,
        change: &UserChange,
    ) -> Result<u64, StoreError> {
        let mut users = self.reached().await?;
        let place = (change.before.app.clone(), change.before.id.clone());
        if users.get(&place) != Some(&change.before) {
            return Err(StoreError::Conflict);
        }
        let version = self.ledgers.put(key, ledger, seen)?;
        users.insert(place, change.after.clone());
        Ok(version)
    }
}

/// A keyring, or none that can be read.
#[derive(Clone, Debug)]
pub struct FakeKeyring {
    /// The one in hand.
    pub in_hand: Option<Arc<Keyring>>,
    /// The one that is stored, which may have been rotated meanwhile.
    pub stored: Option<Arc<Keyring>>,
}

impl FakeKeyring {
    /// A keyring that is in hand and stored.
    #[must_use]
    pub fn of(keyring: Keyring) -> Self {
        let keyring = Some(Arc::new(keyring));
        Self { in_hand: keyring.clone(), stored: keyring }
    }

    /// No keyring.
    #[must_use]
    pub const fn none() -> Self {
        Self { in_hand: None, stored: None }
    }
}

impl LoadKeyring for FakeKeyring {
    async fn keyring(&self) -> Result<Arc<Keyring>, Cause> {
        give_way().await;
        self.in_hand.clone().ok_or_else(|| "told to fail".into())
    }

    async fn refreshed(&self) -> Result<Arc<Keyring>, Cause> {
        give_way().await;
        self.stored.clone().ok_or_else(|| "told to fail".into())
    }
}

/// The keys that sign, or none that can be read.
#[derive(Clone, Debug)]
pub struct FakeSigningKeys {
    /// Those in hand.
    pub in_hand: Option<Arc<SigningKeys>>,
    /// Those that are stored, which may have been rotated meanwhile.
    pub stored: Option<Arc<SigningKeys>>,
}

impl FakeSigningKeys {
    /// Keys that are in hand and stored.
    #[must_use]
    pub fn of(keys: SigningKeys) -> Self {
        let keys = Some(Arc::new(keys));
        Self { in_hand: keys.clone(), stored: keys }
    }

    /// No keys.
    #[must_use]
    pub const fn none() -> Self {
        Self { in_hand: None, stored: None }
    }
}

impl LoadSigningKeys for FakeSigningKeys {
    async fn signing_keys(&self) -> Result<Arc<SigningKeys>, Cause> {
        give_way().await;
        self.in_hand.clone().ok_or_else(|| "told to fail".into())
    }

    async fn refreshed_signing_keys(&self) -> Result<Arc<SigningKeys>, Cause> {
        give_way().await;
        self.stored.clone().ok_or_else(|| "told to fail".into())
    }
}

/// A clock that moves when told to. Sleeping gives way but takes no time.
#[derive(Clone, Debug)]
pub struct FakeClock {
    millis: Arc<AtomicU64>,
    slept: Arc<Mutex<Duration>>,
}

impl Default for FakeClock {
    fn default() -> Self {
        let millis = Arc::new(AtomicU64::new(1_800_000_000_000));
        Self { millis, slept: Arc::default() }
    }
}

impl FakeClock {
    /// Moves the clock forward.
    pub fn advance(&self, span: Duration) {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        self.millis.fetch_add(millis, Ordering::SeqCst);
    }

    /// How long it was slept by, all in all.
    pub fn slept(&self) -> Duration {
        *lock(&self.slept)
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.millis.load(Ordering::SeqCst))
    }

    async fn sleep(&self, span: Duration) {
        *lock(&self.slept) += span;
        give_way().await;
    }
}

/// Entropy that repeats from run to run (`SplitMix64`).
#[derive(Clone, Debug, Default)]
pub struct FakeEntropy(Arc<AtomicU64>);

impl FakeEntropy {
    /// Entropy that starts elsewhere.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seed)))
    }

    fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(STEP, Ordering::SeqCst).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Entropy for FakeEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_be_bytes()[..chunk.len()]);
        }
    }
}
