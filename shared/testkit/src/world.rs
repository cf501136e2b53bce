//! A whole world of fakes, with the demo app in it, and the steps that most tests take.

use crate::{
    FakeApps, FakeClock, FakeCounters, FakeEmail, FakeEntropy, FakeKeyring, FakeLedgers,
    FakeSessions, FakeSigningKeys, FakeSms, FakeTokens, FakeUsers, demo_app, example_countries,
    schedule::block_on,
};
use passcode_domain::{
    Address, Addresses, App, ChallengeId, Channel, EmailAddress, Keyring, Lookup, PhoneNumber,
    Policy, PresentedCode, SigningKeys, User, ValidApp, World,
    action::{
        Failure,
        open::{self, Open},
        send::{self, Delivery, SendOptions, SendTarget},
        verify::{self, Outcome, VerifyTarget},
    },
    app::guard::{Guard, Mode, Rule},
    guard::Origin,
    ports::{
        CountVerified, Couriers, LoadCounters, LoadLedgers, ReserveCounters, StoreApps as _,
        StoreLedgers, StoreUsers as _,
    },
};
use std::{
    net::IpAddr,
    sync::{Arc, LazyLock},
    time::Duration,
};

/// The app, where nobody waits between two failures or two messages: for tests of what comes after.
#[must_use]
pub fn without_waits(app: App) -> App {
    let policy = Policy { failure_wait_seconds: 0, cool_down_seconds: 0, ..app.policy };
    App { policy, ..app }
}

/// A guard that looks at nothing.
#[must_use]
pub fn unguarded() -> Guard {
    let mut guard = Guard::default().with_countries(example_countries());
    for rule in Rule::ALL {
        *guard.mode_mut(rule) = Mode::Off;
    }
    guard
}

/// The app as a store takes it.
fn validated(app: &App) -> ValidApp {
    app.validated().unwrap_or_else(|error| unreachable!("{error}"))
}

/// Ada, with every address and secret. Hashing takes a moment, so it is done once.
#[must_use]
pub fn ada() -> User {
    static ADA: LazyLock<User> = LazyLock::new(|| passcode_demo::ada([[1; 16], [2; 16]]));
    ADA.clone()
}

/// Every port, faked; but for the tables, which can be real ones.
pub struct TestWorld<L = FakeLedgers, N = FakeCounters> {
    /// The demo app.
    pub app: Arc<App>,
    /// The keys.
    pub keyring: FakeKeyring,
    /// The keys that sign.
    pub signing: FakeSigningKeys,
    /// The ledgers.
    pub ledgers: L,
    /// The sessions.
    pub sessions: FakeSessions,
    /// The counters.
    pub counters: N,
    /// The apps.
    pub apps: FakeApps,
    /// The users: Ada.
    pub users: FakeUsers,
    /// The issuer of access tokens.
    pub tokens: FakeTokens,
    /// The time.
    pub clock: FakeClock,
    /// The randomness.
    pub entropy: FakeEntropy,
    /// The messages.
    pub couriers: Couriers<FakeSms, FakeEmail>,
}

impl<L: Sync, N: Sync> World for TestWorld<L, N> {
    type Apps = FakeApps;
    type Users = FakeUsers;
    type Ledgers = L;
    type Sessions = FakeSessions;
    type Counters = N;
    type Tokens = FakeTokens;
    type Keyring = FakeKeyring;
    type SigningKeys = FakeSigningKeys;
    type Couriers = Couriers<FakeSms, FakeEmail>;
    type Clock = FakeClock;
    type Entropy = FakeEntropy;

    fn apps(&self) -> &FakeApps {
        &self.apps
    }

    fn users(&self) -> &FakeUsers {
        &self.users
    }

    fn ledgers(&self) -> &L {
        &self.ledgers
    }

    fn sessions(&self) -> &FakeSessions {
        &self.sessions
    }

    fn counters(&self) -> &N {
        &self.counters
    }

    fn tokens(&self) -> &FakeTokens {
        &self.tokens
    }

    fn keyring(&self) -> &FakeKeyring {
        &self.keyring
    }

    fn signing_keys(&self) -> &FakeSigningKeys {
        &self.signing
    }

    fn couriers(&self) -> &Couriers<FakeSms, FakeEmail> {
        &self.couriers
    }

    fn clock(&self) -> &FakeClock {
        &self.clock
    }

    fn entropy(&self) -> &FakeEntropy {
        &self.entropy
    }
}

impl Default for TestWorld {
    fn default() -> Self {
        Self::of(demo_app())
    }
}

impl TestWorld {
    /// The default world, where nobody waits between two failures or two messages.
    #[must_use]
    pub fn without_waits() -> Self {
        Self::of(without_waits(demo_app()))
    }

    /// A world with one app in it.
    #[must_use]
    pub fn of(app: App) -> Self {
        let mut world = Self::on(app, FakeLedgers::default(), FakeCounters::default());
        world.users.ledgers = world.ledgers.clone();
        world
    }

    /// Ada's phone number.
    #[must_use]
    pub fn phone() -> PhoneNumber {
        static PHONE: LazyLock<PhoneNumber> = LazyLock::new(|| {
            PhoneNumber::parse("+14155550100").unwrap_or_else(|error| unreachable!("{error}"))
        });
        PHONE.clone()
    }

    /// Ada's e-mail address.
    #[must_use]
    pub fn email() -> EmailAddress {
        EmailAddress::parse("ada@example.com").unwrap_or_else(|error| unreachable!("{error}"))
    }

    /// Opens a challenge for Ada's phone that lives for 15 minutes.
    pub fn open(&self) -> ChallengeId {
        let opening = self.opening(Self::phone().into(), Duration::from_mins(15));
        let opened = block_on(open::open(self, self.keys(), &opening));
        opened.unwrap_or_else(|error| unreachable!("{error}"));
        opening.id
    }

    /// The pause after so many messages to one subject, by the app's policy.
    #[must_use]
    pub fn cool_down(&self, sends: usize) -> Duration {
        self.app.policy.cool_down(sends)
    }

    /// One message on a channel, everything else by the policy.
    #[must_use]
    pub fn options(channel: Channel) -> SendOptions {
        SendOptions { channels: vec![channel], ..SendOptions::default() }
    }

    /// Opens a challenge, sends its first code by SMS, and returns both.
    pub fn open_and_send(&self) -> (ChallengeId, String) {
        let id = self.open();
        let sent = block_on(self.send(id, &Self::options(Channel::Sms)));
        sent.unwrap_or_else(|error| unreachable!("{error}"));
        (id, self.last_code())
    }

    /// A code that is not this one.
    #[must_use]
    pub fn wrong(code: &str) -> String {
        let turn = |digit: char| if digit == '9' { '0' } else { '9' };
        code.chars().map(turn).collect()
    }
}

impl<L: Sync, N: Sync> TestWorld<L, N> {
    /// A world with one app in it, and these tables.
    #[must_use]
    pub fn on(app: App, ledgers: L, counters: N) -> Self {
        let keyring = Keyring::from_secret(r#"{"root":"a-secret-of-at-least-32-characters"}"#)
            .unwrap_or_else(|error| unreachable!("{error}"));
        let signing = SigningKeys::from_secret(r#"{"root":"signs-with-at-least-32-characters"}"#)
            .unwrap_or_else(|error| unreachable!("{error}"));
        let apps = FakeApps::default();
        let stored = block_on(apps.store_app(&validated(&app)));
        stored.unwrap_or_else(|error| unreachable!("{error}"));
        let users = FakeUsers::default();
        let stored = block_on(users.store_user(&User { app: app.id.clone(), ..ada() }));
        stored.unwrap_or_else(|error| unreachable!("{error}"));
        Self {
            app: Arc::new(app),
            keyring: FakeKeyring::of(keyring),
            signing: FakeSigningKeys::of(signing),
            ledgers,
            sessions: FakeSessions::default(),
            counters,
            apps,
            users,
            tokens: FakeTokens::default(),
            clock: FakeClock::default(),
            entropy: FakeEntropy::default(),
            couriers: Couriers::default(),
        }
    }

    /// The keys.
    ///
    /// # Panics
    ///
    /// Where the test has taken them away.
    pub fn keys(&self) -> &Keyring {
        self.keyring.in_hand.as_deref().expect("this world has a keyring")
    }

    /// The keys that sign.
    ///
    /// # Panics
    ///
    /// Where the test has taken them away.
    pub fn signing_keys(&self) -> &SigningKeys {
        self.signing.in_hand.as_deref().expect("this world has signing keys")
    }

    /// A challenge for Ada's addresses, not yet opened.
    pub fn opening(&self, addresses: Addresses, life: Duration) -> Open {
        Open::new(&self.app, self.keys(), &self.entropy, addresses, life)
    }

    /// The code of the last e-mail: its only word of digits, of which it has six or more.
    pub fn last_mailed_code(&self) -> String {
        let taken = self.couriers.email.taken();
        let text = taken.last().map(|(_, email)| email.text.as_str()).unwrap_or_default();
        let is_code = |word: &&str| word.len() >= 6 && word.bytes().all(|b| b.is_ascii_digit());
        text.split_whitespace().find(is_code).unwrap_or_default().to_owned()
    }

    /// The code of the last text message: the last line is `@host #code`.
    pub fn last_code(&self) -> String {
        let taken = self.couriers.sms.taken();
        let text = taken.last().map(|(_, sms)| sms.text.as_str()).unwrap_or_default();
        text.rsplit('#').next().unwrap_or_default().to_owned()
    }
}

impl<L, N> TestWorld<L, N>
where
    L: LoadLedgers + StoreLedgers,
    N: LoadCounters + ReserveCounters + CountVerified,
{
    /// Sends a challenge's next code.
    pub async fn send(&self, id: ChallengeId, options: &SendOptions) -> Result<Delivery, Failure> {
        let target = SendTarget::Existing(id, Some(&self.app));
        send::send(self, self.keys(), target, options).await
    }

    /// Sends the first code of a new challenge to an address, for whoever has this IP address.
    pub async fn send_to(&self, to: Address, ip: Option<IpAddr>) -> Result<Delivery, Failure> {
        self.send_to_as(to, ip, Lookup::Id).await
    }

    /// The same of a challenge that will be found so.
    pub async fn send_to_as(
        &self,
        to: Address,
        ip: Option<IpAddr>,
        lookup: Lookup,
    ) -> Result<Delivery, Failure> {
        let options = SendOptions { origin: Origin::from(ip), ..TestWorld::options(to.channel()) };
        let opening = self.opening(Addresses::new(to, None), Duration::from_mins(15));
        let opening = opening.found_by(lookup);
        let target = SendTarget::Ordered(&opening, &self.app);
        send::send(self, self.keys(), target, &options).await
    }

    /// Verifies a code.
    pub async fn verify(&self, id: ChallengeId, code: &str) -> Result<Outcome, Failure> {
        let presented =
            PresentedCode::parse(code).unwrap_or_else(|error| unreachable!("{code}: {error}"));
        let verified = verify::verify(self, VerifyTarget::Held(id), &presented).await;
        verified.map(|verification| verification.outcome)
    }
}
