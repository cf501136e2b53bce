//! The ports of a caller that is run from the beginning again and again: each call that was answered before
//! is answered the same, and the first ones that were not are the caller's next steps.

use passcode_domain::{
    Address, App, AppId, Channel, Keyring, Session, SessionKey, Timestamp, World,
    guard::{Counter, Field, Reservation, VerifyCount},
    ledger::Item,
    message::Text,
    ports::{
        Cause, Clock, CountVerified, Courier, CourierError, LoadApps, LoadCounters, LoadKeyring,
        LoadLedgers, LoadSessions, Loaded, ProviderMessageId, ReserveCounters, ReserveError,
        StoreError, StoreLedgers, StoreSessions,
    },
    value::id::{CounterKey, ItemKey},
};
use passcode_testkit::FakeEntropy;
use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};

/// What names an item or a session: a hash of its key.
pub(crate) type Name = u64;

pub(crate) fn name(key: &impl Hash) -> Name {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// What a caller asks of the world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Call {
    /// Reads an item or a session.
    Load(Name),
    /// Stores one, if the version is still that one.
    Store(Name, Arc<str>, u64),
    LoadCounters(Vec<CounterKey>),
    Reserve(Held),
    GiveBack(Held),
    CountVerified(Counted),
    LoadApp,
    Keyring,
    /// Hands a code to a courier.
    Send(String, String),
    /// A person looks for the last code that has arrived.
    ReadCode(String),
}

/// A reservation that can be told from others and be hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held(pub(crate) Reservation);

impl Hash for Held {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Reservation { key, slot, add, set, at_most, stale } = &self.0;
        (key, slot, add, set, at_most, stale).hash(state);
    }
}

/// The same of what a verify counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counted(pub(crate) VerifyCount);

impl Hash for Counted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let VerifyCount { key, slot, add, set } = &self.0;
        (key, slot, add, set).hash(state);
    }
}

/// A counter's attributes.
pub(crate) type Fields = Vec<(Field, u64)>;

/// What the world answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    Loaded(Option<Arc<str>>, u64),
    Stored(u64),
    Conflict,
    Counters(Vec<(CounterKey, Fields)>),
    Refused(Fields),
    Done,
    /// Whether the app has been edited, or the keyring rotated.
    Changed(bool),
    Code(Option<String>),
    CourierRefused,
    /// No answer.
    Lost,
}

/// A call that is not answered yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pending {
    /// Which of the caller's calls it is.
    pub(crate) number: usize,
    pub(crate) call: Call,
}

/// A call that was answered, and what the caller's clock showed then, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Answered {
    pub(crate) number: usize,
    pub(crate) answer: Answer,
    pub(crate) now: u64,
}

/// What never changes in a run, and what changes once.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The app, before it is edited and after.
    pub(crate) apps: [Arc<App>; 2],
    /// The keyring, before it is rotated and after.
    pub(crate) keyrings: [Arc<Keyring>; 2],
    /// Whether the app is edited at some time: if not, to read it is no step.
    pub(crate) is_edited: bool,
    /// Whether the keyring is rotated at some time.
    pub(crate) is_rotated: bool,
    /// Items that nobody writes: to read them is no step.
    pub(crate) constant: BTreeMap<Name, (Arc<str>, u64)>,
}

struct Inner {
    now: Timestamp,
    calls: Vec<Call>,
    answers: BTreeMap<usize, Answer>,
}

/// The ports of one run of a caller.
pub(crate) struct Replay<'s> {
    settings: &'s Settings,
    entropy: FakeEntropy,
    inner: Mutex<Inner>,
}

impl<'s> Replay<'s> {
    pub(crate) fn new(settings: &'s Settings, seed: u64, now: u64) -> Self {
        let now = Timestamp::from_millis(now);
        let inner = Inner { now, calls: Vec::new(), answers: BTreeMap::new() };
        Self { settings, entropy: FakeEntropy::seeded(seed), inner: Mutex::new(inner) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a call.
    pub(crate) fn answer(&self, answered: &Answered) {
        let mut inner = self.inner();
        inner.now = Timestamp::from_millis(answered.now);
        inner.answers.insert(answered.number, answered.answer.clone());
    }

    /// The calls that are not answered.
    pub(crate) fn pending(&self, is_answered: impl Fn(usize) -> bool) -> Vec<Pending> {
        let inner = self.inner();
        let open = inner.calls.iter().enumerate().filter(|(number, _)| !is_answered(*number));
        open.map(|(number, call)| Pending { number, call: call.clone() }).collect()
    }

    async fn ask(&self, call: Call) -> Answer {
        let immediate = match &call {
            Call::LoadApp if !self.settings.is_edited => Some(Answer::Changed(false)),
            Call::Keyring if !self.settings.is_rotated => Some(Answer::Changed(false)),
            Call::Load(name) => self
                .settings
                .constant
                .get(name)
                .map(|(document, version)| Answer::Loaded(Some(document.clone()), *version)),
            _ => None,
        };
        if let Some(answer) = immediate {
            return answer;
        }
        let number = {
            let mut inner = self.inner();
            inner.calls.push(call);
            inner.calls.len() - 1
        };
        std::future::poll_fn(|_| match self.inner().answers.remove(&number) {
            Some(answer) => Poll::Ready(answer),
            None => Poll::Pending,
        })
        .await
    }

    async fn load_document<T: serde::de::DeserializeOwned>(
        &self,
        name: Name,
    ) -> Result<Loaded<T>, StoreError> {
        match self.ask(Call::Load(name)).await {
            Answer::Loaded(document, version) => {
                let item = document.map(|document| serde_json::from_str(&document).unwrap());
                Ok(Loaded { item, version })
            }
            _ => Err(lost()),
        }
    }

    async fn store_document<T: serde::Serialize>(
        &self,
        name: Name,
        item: &T,
        seen: u64,
    ) -> Result<u64, StoreError> {
        let document = serde_json::to_string(item).unwrap().into();
        match self.ask(Call::Store(name, document, seen)).await {
            Answer::Stored(version) => Ok(version),
            Answer::Conflict => Err(StoreError::Conflict),
            _ => Err(lost()),
        }
    }

    /// The last code that has arrived at an address.
    pub(crate) async fn read_code(&self, to: &Address) -> Option<String> {
        match self.ask(Call::ReadCode(printed(to))).await {
            Answer::Code(code) => code,
            _ => None,
        }
    }
}

pub(crate) fn printed(to: &Address) -> String {
    match to {
        Address::Phone(phone) => phone.as_str().to_owned(),
        Address::Email(email) => email.as_str().to_owned(),
        Address::User(user) => user.as_str().to_owned(),
    }
}

fn lost() -> StoreError {
    StoreError::Unavailable("no answer".into())
}

fn done(answer: &Answer) -> Result<(), StoreError> {
    if *answer == Answer::Done { Ok(()) } else { Err(lost()) }
}

impl World for Replay<'_> {
    type Apps = Self;
    type Users = ();
    type Ledgers = Self;
    type Sessions = Self;
    type Counters = Self;
    type Tokens = ();
    type Keyring = Self;
    type SigningKeys = ();
    type Couriers = Self;
    type Clock = Self;
    type Entropy = FakeEntropy;

    fn apps(&self) -> &Self {
        self
    }

    fn users(&self) -> &() {
        &()
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

    fn tokens(&self) -> &() {
        &()
    }

    fn keyring(&self) -> &Self {
        self
    }

    fn signing_keys(&self) -> &() {
        &()
    }

    fn couriers(&self) -> &Self {
        self
    }

    fn clock(&self) -> &Self {
        self
    }

    fn entropy(&self) -> &FakeEntropy {
        &self.entropy
    }
}

impl LoadLedgers for Replay<'_> {
    async fn load<I: Item>(&self, key: &ItemKey) -> Result<Loaded<I>, StoreError> {
        self.load_document(name(key)).await
    }
}

impl StoreLedgers for Replay<'_> {
    async fn store<I: Item>(&self, key: &ItemKey, item: &I, seen: u64) -> Result<u64, StoreError> {
        self.store_document(name(key), item, seen).await
    }
}

impl LoadSessions for Replay<'_> {
    async fn load_session(&self, key: &SessionKey) -> Result<Loaded<Session>, StoreError> {
        self.load_document(name(key)).await
    }
}

impl StoreSessions for Replay<'_> {
    async fn store_session(
        &self,
        key: &SessionKey,
        session: &Session,
        seen: u64,
    ) -> Result<u64, StoreError> {
        self.store_document(name(key), session, seen).await
    }
}

impl LoadCounters for Replay<'_> {
    async fn load_counters(
        &self,
        keys: &[CounterKey],
    ) -> Result<BTreeMap<CounterKey, Counter>, StoreError> {
        match self.ask(Call::LoadCounters(keys.to_vec())).await {
            Answer::Counters(read) => Ok(read
                .into_iter()
                .map(|(key, fields)| (key, fields.into_iter().collect()))
                .collect()),
            _ => Err(lost()),
        }
    }
}

impl ReserveCounters for Replay<'_> {
    async fn reserve(&self, reservation: &Reservation) -> Result<(), ReserveError> {
        match self.ask(Call::Reserve(Held(reservation.clone()))).await {
            Answer::Refused(fields) => Err(ReserveError::Refused(fields.into_iter().collect())),
            answer => Ok(done(&answer)?),
        }
    }

    async fn give_back(&self, reservation: &Reservation) -> Result<(), StoreError> {
        done(&self.ask(Call::GiveBack(Held(reservation.clone()))).await)
    }
}

impl CountVerified for Replay<'_> {
    async fn count_verified(&self, count: &VerifyCount) -> Result<(), StoreError> {
        done(&self.ask(Call::CountVerified(Counted(count.clone()))).await)
    }
}

impl LoadApps for Replay<'_> {
    async fn load_app(&self, id: &AppId) -> Result<Option<Arc<App>>, StoreError> {
        match self.ask(Call::LoadApp).await {
            Answer::Changed(is_edited) => {
                let app = &self.settings.apps[usize::from(is_edited)];
                Ok(Some(app.clone()).filter(|app| app.id == *id))
            }
            _ => Err(lost()),
        }
    }
}

impl LoadKeyring for Replay<'_> {
    async fn keyring(&self) -> Result<Arc<Keyring>, Cause> {
        match self.ask(Call::Keyring).await {
            Answer::Changed(is_rotated) => {
                Ok(self.settings.keyrings[usize::from(is_rotated)].clone())
            }
            _ => Err("no answer".into()),
        }
    }

    async fn refreshed(&self) -> Result<Arc<Keyring>, Cause> {
        LoadKeyring::keyring(self).await
    }
}

impl Courier for Replay<'_> {
    async fn send(
        &self,
        _: Channel,
        to: &Address,
        text: &Text<'_>,
    ) -> Result<Option<ProviderMessageId>, CourierError> {
        match self.ask(Call::Send(printed(to), text.code.reveal().to_owned())).await {
            Answer::Done => Ok(None),
            Answer::CourierRefused => Err(CourierError::Refused("refused".into())),
            _ => Err(CourierError::Unknown("no answer".into())),
        }
    }
}

impl Clock for Replay<'_> {
    fn now(&self) -> Timestamp {
        self.inner().now
    }

    async fn sleep(&self, _: Duration) {}
}
