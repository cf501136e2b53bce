//! The ports of one call. Each port call gives way once; then it takes effect at once, as the schedule
//! says: as asked, not at all, without an answer, or later than its caller waits.

use crate::{book::Book, stage::lock};
use passcode_domain::{
    Address, App, AppId, Channel, Keyring, Ledger, Session, SessionKey, SigningKeys, Timestamp,
    User, UserChange, UserId, UserKey, Username, World,
    app::Issuer,
    guard::{Counter, Reservation, VerifyCount},
    ledger::Item,
    message::Text,
    ports::{
        Cause, ChangeUsers, Clock, CountVerified, Courier, CourierError, ListSessions, LoadApps,
        LoadCounters, LoadKeyring, LoadLedgers, LoadSessions, LoadSigningKeys, LoadUsers, Loaded,
        ProviderMessageId, ReadTokens, ReserveCounters, ReserveError, StoreError, StoreLedgers,
        StoreSessions, TokenError,
    },
    secret::proof::Bearer,
    value::id::{CounterKey, ItemKey},
};
use passcode_testkit::{
    FakeEntropy, TestWorld,
    schedule::{block_on, give_way},
};
use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

/// What goes wrong with a port call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is refused, or throttled, or times out: nothing has happened.
    LostBefore,
    /// It has happened, and its answer is lost.
    LostAfter,
    /// Its caller waits no longer; it happens later.
    Late,
    /// It happens twice, as its first answer is lost and the adapter asks again.
    Twice,
    /// What is read is old, where that is allowed; a courier refuses.
    Refused,
}

/// A promise of a port that a world does not keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// A store replaces whatever version is there.
    VersionNotChecked,
    /// A courier delivers a message twice.
    SentTwice,
    /// A store says that it was done, and was not, every third time.
    StoreForgets,
}

/// Something that happens after its caller has stopped waiting for it.
pub(crate) type Late = Box<dyn FnOnce(&Shared) + Send>;

/// What all calls share.
pub(crate) struct Shared {
    pub(crate) world: TestWorld,
    /// The keyring in force, and the one before it.
    pub(crate) keyrings: Mutex<[Arc<Keyring>; 2]>,
    /// What goes wrong with the next port call.
    pub(crate) fault: Mutex<Option<Fault>>,
    pub(crate) late: Mutex<Vec<Late>>,
    /// The counters as they were a while ago.
    pub(crate) old: Mutex<BTreeMap<CounterKey, Counter>>,
    pub(crate) book: Mutex<Book>,
    pub(crate) mutation: Option<Mutation>,
    pub(crate) stores: Mutex<u64>,
}

/// The ports of one call.
pub(crate) struct Ports<'s> {
    pub(crate) shared: &'s Shared,
    /// Which call it is.
    pub(crate) call: usize,
    /// How far the clock of its machine is ahead.
    pub(crate) ahead: Duration,
    /// Whether it has read the keyring a while ago.
    pub(crate) has_old_keyring: bool,
}

fn lost() -> StoreError {
    StoreError::Unavailable("no answer".into())
}

impl Ports<'_> {
    /// Waits for its turn; what goes wrong then.
    async fn turn(&self) -> Option<Fault> {
        give_way().await;
        let fault = lock(&self.shared.fault).take();
        if fault.is_some() {
            lock(&self.shared.book).disturb(self.call);
        }
        fault
    }

    /// A call that changes nothing.
    async fn read<T>(
        &self,
        read: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match self.turn().await {
            None | Some(Fault::Twice | Fault::Refused) => block_on(read),
            Some(Fault::LostBefore | Fault::LostAfter | Fault::Late) => Err(lost()),
        }
    }

    /// A call that changes something, and must not be made twice.
    async fn change<T>(
        &self,
        change: impl FnOnce(&Shared) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        match self.turn().await {
            // An adapter knows its own write when it asks again.
            None | Some(Fault::Twice | Fault::Refused) => change(self.shared),
            Some(Fault::LostBefore) => Err(lost()),
            Some(Fault::LostAfter) => change(self.shared).and(Err(lost())),
            Some(Fault::Late) => {
                let late = |shared: &Shared| drop(change(shared));
                lock(&self.shared.late).push(Box::new(late));
                Err(lost())
            }
        }
    }
}

impl World for Ports<'_> {
    type Apps = Self;
    type Users = Self;
    type Ledgers = Self;
    type Sessions = Self;
    type Counters = Self;
    type Tokens = Self;
    type Keyring = Self;
    type SigningKeys = Self;
    type Couriers = Self;
    type Clock = Self;
    type Entropy = FakeEntropy;

    fn apps(&self) -> &Self {
        self
    }

    fn users(&self) -> &Self {
        self
    }

    fn ledgers(&self) -> &Self {
        self
    }

    fn sessions(&self) -> &Self {
        self
    }

    fn counters(&self) -> &Self {
        self
    }

    fn tokens(&self) -> &Self {
        self
    }

    fn keyring(&self) -> &Self {
        self
    }

    fn signing_keys(&self) -> &Self {
        self
    }

    fn couriers(&self) -> &Self {
        self
    }

    fn clock(&self) -> &Self {
        self
    }

    fn entropy(&self) -> &FakeEntropy {
        &self.shared.world.entropy
    }
}

impl LoadLedgers for Ports<'_> {
    async fn load<I: Item>(&self, key: &ItemKey) -> Result<Loaded<I>, StoreError> {
        self.read(self.shared.world.ledgers.load(key)).await
    }
}

impl StoreLedgers for Ports<'_> {
    async fn store<I: Item>(&self, key: &ItemKey, item: &I, seen: u64) -> Result<u64, StoreError> {
        let (key, item) = (*key, item.clone());
        self.change(move |shared| {
            let ledgers = &shared.world.ledgers;
            let seen = match shared.mutation {
                Some(Mutation::VersionNotChecked) => {
                    block_on(ledgers.load::<I>(&key)).map_or(seen, |loaded| loaded.version)
                }
                Some(Mutation::StoreForgets) => {
                    let mut stores = lock(&shared.stores);
                    *stores += 1;
                    if *stores % 3 == 0 {
                        return Ok(seen + 1);
                    }
                    seen
                }
                _ => seen,
            };
            block_on(ledgers.store(&key, &item, seen))
        })
        .await
    }
}

impl LoadSessions for Ports<'_> {
    async fn load_session(&self, key: &SessionKey) -> Result<Loaded<Session>, StoreError> {
        self.read(self.shared.world.sessions.load_session(key)).await
    }
}

impl ListSessions for Ports<'_> {
    async fn list_sessions(
        &self,
        user: &UserKey,
    ) -> Result<Vec<(SessionKey, Session)>, StoreError> {
        self.read(self.shared.world.sessions.list_sessions(user)).await
    }
}

impl StoreSessions for Ports<'_> {
    async fn store_session(
        &self,
        key: &SessionKey,
        session: &Session,
        seen: u64,
    ) -> Result<u64, StoreError> {
        let (key, session) = (*key, session.clone());
        self.change(move |shared| {
            block_on(shared.world.sessions.store_session(&key, &session, seen))
        })
        .await
    }
}

impl LoadCounters for Ports<'_> {
    async fn load_counters(
        &self,
        keys: &[CounterKey],
    ) -> Result<BTreeMap<CounterKey, Counter>, StoreError> {
        match self.turn().await {
            None | Some(Fault::Twice) => block_on(self.shared.world.counters.load_counters(keys)),
            // What is read may be some moments old.
            Some(Fault::Refused) => {
                let old = lock(&self.shared.old);
                Ok(keys.iter().filter_map(|key| Some((*key, old.get(key)?.clone()))).collect())
            }
            Some(Fault::LostBefore | Fault::LostAfter | Fault::Late) => Err(lost()),
        }
    }
}

impl ReserveCounters for Ports<'_> {
    async fn reserve(&self, reservation: &Reservation) -> Result<(), ReserveError> {
        let counters = &self.shared.world.counters;
        match self.turn().await {
            None | Some(Fault::Refused) => block_on(counters.reserve(reservation)),
            Some(Fault::LostBefore) => Err(lost().into()),
            Some(Fault::LostAfter) => {
                block_on(counters.reserve(reservation)).and(Err(lost().into()))
            }
            Some(Fault::Twice) => {
                let _ = block_on(counters.reserve(reservation));
                block_on(counters.reserve(reservation))
            }
            Some(Fault::Late) => {
                let reservation = reservation.clone();
                lock(&self.shared.late).push(Box::new(move |shared| {
                    drop(block_on(shared.world.counters.reserve(&reservation)));
                }));
                Err(lost().into())
            }
        }
    }

    async fn give_back(&self, reservation: &Reservation) -> Result<(), StoreError> {
        let reservation = reservation.clone();
        self.change(move |shared| block_on(shared.world.counters.give_back(&reservation))).await
    }
}

impl CountVerified for Ports<'_> {
    async fn count_verified(&self, count: &VerifyCount) -> Result<(), StoreError> {
        let count = count.clone();
        self.change(move |shared| block_on(shared.world.counters.count_verified(&count))).await
    }
}

impl LoadApps for Ports<'_> {
    async fn load_app(&self, id: &AppId) -> Result<Option<Arc<App>>, StoreError> {
        self.read(self.shared.world.apps.load_app(id)).await
    }

    fn default_app(&self) -> Option<&AppId> {
        self.shared.world.apps.default_app()
    }
}

impl LoadUsers for Ports<'_> {
    async fn load_user(&self, app: &AppId, id: &UserId) -> Result<Option<User>, StoreError> {
        self.read(self.shared.world.users.load_user(app, id)).await
    }

    async fn load_user_by_name(
        &self,
        app: &AppId,
        name: &Username,
    ) -> Result<Option<User>, StoreError> {
        self.read(self.shared.world.users.load_user_by_name(app, name)).await
    }
}

impl ChangeUsers for Ports<'_> {
    async fn change_user(
        &self,
        key: &ItemKey,
        ledger: &Ledger,
        seen: u64,
        change: &UserChange,
    ) -> Result<u64, StoreError> {
        let (key, ledger, change) = (*key, ledger.clone(), change.clone());
        self.change(move |shared| {
            block_on(shared.world.users.change_user(&key, &ledger, seen, &change))
        })
        .await
    }
}

impl ReadTokens for Ports<'_> {
    async fn read_token(
        &self,
        issuer: &Issuer,
        token: &str,
        now: Timestamp,
    ) -> Result<Bearer, TokenError> {
        match self.turn().await {
            None | Some(Fault::Twice | Fault::Refused) => {
                block_on(self.shared.world.tokens.read_token(issuer, token, now))
            }
            Some(_) => Err(TokenError::Unavailable("no answer".into())),
        }
    }
}

impl LoadKeyring for Ports<'_> {
    async fn keyring(&self) -> Result<Arc<Keyring>, Cause> {
        let [new, old] = lock(&self.shared.keyrings).clone();
        let keyring = if self.has_old_keyring { old } else { new };
        self.read(std::future::ready(Ok(keyring))).await.map_err(Into::into)
    }

    async fn refreshed(&self) -> Result<Arc<Keyring>, Cause> {
        let [new, _] = lock(&self.shared.keyrings).clone();
        self.read(std::future::ready(Ok(new))).await.map_err(Into::into)
    }
}

impl LoadSigningKeys for Ports<'_> {
    async fn signing_keys(&self) -> Result<Arc<SigningKeys>, Cause> {
        let keys = self.shared.world.signing.in_hand.clone().unwrap();
        self.read(std::future::ready(Ok(keys))).await.map_err(Into::into)
    }

    async fn refreshed_signing_keys(&self) -> Result<Arc<SigningKeys>, Cause> {
        LoadSigningKeys::signing_keys(self).await
    }
}

impl Courier for Ports<'_> {
    async fn send(
        &self,
        channel: Channel,
        to: &Address,
        text: &Text<'_>,
    ) -> Result<Option<ProviderMessageId>, CourierError> {
        let unknown = || CourierError::Unknown("no answer".into());
        let (call, code, at) = (self.call, text.code.reveal().to_owned(), self.now());
        let to = printed(to);
        let sent = if channel == Channel::Email {
            passcode_domain::message::email(text).text
        } else {
            passcode_domain::message::sms(text).text
        };
        lock(&self.shared.book).handed_over(call, &to, &code, &sent);
        let deliver = move |shared: &Shared| {
            lock(&shared.book).delivered(call, &to, &code, at);
            if shared.mutation == Some(Mutation::SentTwice) {
                lock(&shared.book).delivered(call, &to, &code, at);
            }
        };
        match self.turn().await {
            None | Some(Fault::Twice) => {
                deliver(self.shared);
                Ok(None)
            }
            Some(Fault::Refused) => Err(CourierError::Refused("told to refuse".into())),
            Some(Fault::LostBefore) => Err(unknown()),
            Some(Fault::LostAfter) => {
                deliver(self.shared);
                Err(unknown())
            }
            Some(Fault::Late) => {
                lock(&self.shared.late).push(Box::new(deliver));
                Err(unknown())
            }
        }
    }
}

/// An address as a message's envelope has it.
pub(crate) fn printed(address: &Address) -> String {
    match address {
        Address::Phone(phone) => phone.as_str().to_owned(),
        Address::Email(email) => email.as_str().to_owned(),
        Address::User(user) => user.as_str().to_owned(),
    }
}

impl Clock for Ports<'_> {
    fn now(&self) -> Timestamp {
        self.shared.world.clock.now() + self.ahead
    }

    async fn sleep(&self, _: Duration) {
        give_way().await;
    }
}
