//! What the domain needs of the world: one small trait per permission. The trait's name is the
//! `Sid` of the statement that grants it. `testkit` has a fake of each, and one conformance suite
//! that fake and adapter both pass.

use crate::{
    app::{
        App, Issuer,
        user::{User, UserChange},
    },
    guard::{Counter, Reservation, VerifyCount},
    ledger::{Item, Ledger},
    message::{self, Email, Sms, Text, ValidApp},
    secret::{keyring::Keyring, proof::Bearer, signing::SigningKeys},
    session::Session,
    value::{
        address::{Address, Channel, EmailAddress, PhoneNumber},
        id::{AppId, CounterKey, ItemKey, SessionKey, UserId, UserKey, Username},
        time::Timestamp,
    },
};
use std::{collections::BTreeMap, error::Error, future::Future, sync::Arc, time::Duration};
use thiserror::Error;

/// The ports of one function. `()` stands for a port that the function does not have.
pub trait World: Sync {
    /// Where apps are read.
    type Apps: Sync;
    /// Where users are read and changed.
    type Users: Sync;
    /// Where ledgers and the items beside them are.
    type Ledgers: Sync;
    /// Where sessions are.
    type Sessions: Sync;
    /// Where messages are counted across subjects.
    type Counters: Sync;
    /// Who reads access tokens.
    type Tokens: Sync;
    /// Where the keyring is read.
    type Keyring: Sync;
    /// Where the keys that sign are read.
    type SigningKeys: Sync;
    /// Who hands messages over.
    type Couriers: Sync;
    /// What time it is.
    type Clock: Clock;
    /// Where randomness comes from.
    type Entropy: Entropy;

    /// The port for apps.
    fn apps(&self) -> &Self::Apps;
    /// The port for users.
    fn users(&self) -> &Self::Users;
    /// The port for ledgers.
    fn ledgers(&self) -> &Self::Ledgers;
    /// The port for sessions.
    fn sessions(&self) -> &Self::Sessions;
    /// The port for counters.
    fn counters(&self) -> &Self::Counters;
    /// The port for access tokens.
    fn tokens(&self) -> &Self::Tokens;
    /// The port for the keyring.
    fn keyring(&self) -> &Self::Keyring;
    /// The port for the keys that sign.
    fn signing_keys(&self) -> &Self::SigningKeys;
    /// The port for messages.
    fn couriers(&self) -> &Self::Couriers;
    /// The clock.
    fn clock(&self) -> &Self::Clock;
    /// The randomness.
    fn entropy(&self) -> &Self::Entropy;
}

/// An adapter, as the start of a function and the test of its policy see it.
pub trait Adapter: Sync {
    /// The ports that it is: the names of their traits, which are the `Sid`s of the statements that grant
    /// them.
    fn ports() -> Vec<&'static str>;

    /// Opens the connections that every request needs, while Lambda still gives a starting function its
    /// full share of a processor. A failure is not final: the first request tries again.
    fn warm_up(&self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// No adapter, for a port that the function does not have.
impl Adapter for () {
    fn ports() -> Vec<&'static str> {
        Vec::new()
    }
}

/// The cause of a failure outside the domain, for the log.
pub type Cause = Box<dyn Error + Send + Sync>;

/// An item as it was loaded, with the version that a store must still find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded<I> {
    /// The item; `None` where nothing is stored.
    pub item: Option<I>,
    /// Its version; zero where nothing is stored.
    pub version: u64,
}

/// Why a store did not answer as asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The stored version is not the one that was loaded. Nothing was written.
    #[error("the ledger has changed since it was loaded")]
    Conflict,
    /// The store did not answer, or refused. A write may or may not have happened.
    #[error("the store is unavailable")]
    Unavailable(#[source] Cause),
}

/// Reads ledgers and the items beside them (`dynamodb:GetItem`).
pub trait LoadLedgers: Sync {
    /// Loads an item. Consistent: it sees every store that has succeeded.
    fn load<I: Item>(
        &self,
        key: &ItemKey,
    ) -> impl Future<Output = Result<Loaded<I>, StoreError>> + Send;
}

/// Writes ledgers and the items beside them (`dynamodb:PutItem`).
pub trait StoreLedgers: Sync {
    /// Stores an item if the stored version is still `seen`, and returns the new version. Of any
    /// number of callers that saw the same version, exactly one succeeds. A retry of a write that
    /// did happen is a success, not a [`StoreError::Conflict`].
    fn store<I: Item>(
        &self,
        key: &ItemKey,
        item: &I,
        seen: u64,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

/// Reads sessions (`dynamodb:GetItem`).
pub trait LoadSessions: Sync {
    /// Loads a session. Consistent: it sees every store that has succeeded.
    fn load_session(
        &self,
        key: &SessionKey,
    ) -> impl Future<Output = Result<Loaded<Session>, StoreError>> + Send;
}

/// Reads all sessions of a user (`dynamodb:Query`).
pub trait ListSessions: Sync {
    /// The sessions of a user, also those that are over and not deleted yet, in no order. Consistent.
    fn list_sessions(
        &self,
        user: &UserKey,
    ) -> impl Future<Output = Result<Vec<(SessionKey, Session)>, StoreError>> + Send;
}

/// Writes sessions (`dynamodb:PutItem`).
pub trait StoreSessions: Sync {
    /// Stores a session if the stored version is still `seen`, as [`StoreLedgers::store`].
    fn store_session(
        &self,
        key: &SessionKey,
        session: &Session,
        seen: u64,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

/// Reads counters (`dynamodb:BatchGetItem`).
pub trait LoadCounters: Sync {
    /// Loads counters; those that are not there are left out. What is read may be some moments old.
    fn load_counters(
        &self,
        keys: &[CounterKey],
    ) -> impl Future<Output = Result<BTreeMap<CounterKey, Counter>, StoreError>> + Send;
}

/// Why a reservation was not made.
#[derive(Debug, Error)]
pub enum ReserveError {
    /// The counter is no longer within the bounds of the reservation. Nothing was written; this is what
    /// the counter holds now.
    #[error("a counter has passed its bound")]
    Refused(Counter),
    /// The store did not answer. The reservation may have been made.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reserves messages in counters (`dynamodb:UpdateItem`).
pub trait ReserveCounters: Sync {
    /// Adds a message to a counter, if the counter is within the bounds of the reservation. It may be
    /// repeated where an answer is lost: a message is then counted twice, and never too few.
    fn reserve(
        &self,
        reservation: &Reservation,
    ) -> impl Future<Output = Result<(), ReserveError>> + Send;

    /// Takes a reservation back, at most once: never repeated.
    fn give_back(
        &self,
        reservation: &Reservation,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Counts messages whose codes came back (`dynamodb:UpdateItem`). It reads nothing: a function that
/// verifies has no need to know what others have counted.
pub trait CountVerified: Sync {
    /// Adds verified messages to a counter.
    fn count_verified(
        &self,
        count: &VerifyCount,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A function whose challenges are counted nowhere.
impl CountVerified for () {
    async fn count_verified(&self, _: &VerifyCount) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Reads apps (`dynamodb:GetItem`).
pub trait LoadApps: Sync {
    /// Loads an app; `None` where there is none. What of it cannot be read is dropped and listed
    /// ([`App::from_stored`]), and is no error.
    fn load_app(
        &self,
        id: &AppId,
    ) -> impl Future<Output = Result<Option<Arc<App>>, StoreError>> + Send;

    /// The app that serves requests which name none, where the deployment has one.
    fn default_app(&self) -> Option<&AppId> {
        None
    }
}

/// Writes apps (`dynamodb:PutItem`).
pub trait StoreApps: Sync {
    /// Stores an app, replacing what was there.
    fn store_app(&self, app: &ValidApp) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Lists apps (`dynamodb:Scan`).
pub trait ListApps: Sync {
    /// Every app, in the order of their ids. What of an app cannot be read is dropped and listed, as
    /// [`LoadApps::load_app`] does.
    fn list_apps(&self) -> impl Future<Output = Result<Vec<App>, StoreError>> + Send;
}

/// Removes apps (`dynamodb:DeleteItem`).
pub trait DeleteApps: Sync {
    /// Removes an app, if there is one.
    fn delete_app(&self, id: &AppId) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Reads users (`dynamodb:GetItem`).
pub trait LoadUsers: Sync {
    /// Loads a user of an app; `None` where there is none. Consistent: it sees every store that
    /// has succeeded.
    fn load_user(
        &self,
        app: &AppId,
        id: &UserId,
    ) -> impl Future<Output = Result<Option<User>, StoreError>> + Send;

    /// Loads the user of an app that goes by a name; `None` where no user does, with as many calls.
    /// Consistent as well.
    fn load_user_by_name(
        &self,
        app: &AppId,
        name: &Username,
    ) -> impl Future<Output = Result<Option<User>, StoreError>> + Send;
}

/// Why a user was not stored.
#[derive(Debug, Error)]
pub enum StoreUserError {
    /// Another user of the app goes by that name. Nothing was written.
    #[error("another user has this username")]
    NameTaken,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes users (`dynamodb:PutItem`; to take over a name that another user has given up, also
/// `dynamodb:ConditionCheckItem`).
pub trait StoreUsers: Sync {
    /// Stores a user, replacing what was there. Of any number of users that want the same name at
    /// the same time, one gets it; a name that its user has given up is free again.
    fn store_user(&self, user: &User) -> impl Future<Output = Result<(), StoreUserError>> + Send;
}

/// Removes users (`dynamodb:DeleteItem`, and `dynamodb:GetItem` to find the name).
pub trait DeleteUsers: Sync {
    /// Removes a user, if there is one. The name is free again.
    fn delete_user(
        &self,
        app: &AppId,
        id: &UserId,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Writes a user together with the ledger whose code allows it (`dynamodb:PutItem` on both tables,
/// in one transaction).
pub trait ChangeUsers: Sync {
    /// Stores the item as [`StoreLedgers::store`] does and the changed user, both or neither. The
    /// user must still be the one that was loaded; if not, that is a [`StoreError::Conflict`] too.
    fn change_user(
        &self,
        key: &ItemKey,
        ledger: &Ledger,
        seen: u64,
        change: &UserChange,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

/// Why a token is not accepted.
#[derive(Debug, Error)]
pub enum TokenError {
    /// It is malformed, expired, not signed by the issuer, or meant for somebody else.
    #[error("the access token is not valid")]
    Invalid(#[source] Cause),
    /// The issuer's keys could not be had in time, so nothing is known of the token.
    #[error("the issuer's keys are not available")]
    Unavailable(#[source] Cause),
}

/// Reads access tokens of an app's issuer. It asks for no permission of AWS's.
pub trait ReadTokens: Sync {
    /// Who the token speaks for, if the issuer has signed it and it is in force.
    fn read_token(
        &self,
        issuer: &Issuer,
        token: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<Bearer, TokenError>> + Send;
}

/// Reads the keyring (`secretsmanager:GetSecretValue`).
pub trait LoadKeyring: Sync {
    /// The keyring in force, at most a few minutes old.
    fn keyring(&self) -> impl Future<Output = Result<Arc<Keyring>, Cause>> + Send;

    /// The keyring as it is stored now, for when a key is asked for that the one in hand lacks:
    /// somebody has rotated it. Asked too often, it may be the one in hand.
    fn refreshed(&self) -> impl Future<Output = Result<Arc<Keyring>, Cause>> + Send;
}

/// Reads the keys that sign challenge tokens and proofs (`secretsmanager:GetSecretValue`).
pub trait LoadSigningKeys: Sync {
    /// The keys in force, at most a few minutes old.
    fn signing_keys(&self) -> impl Future<Output = Result<Arc<SigningKeys>, Cause>> + Send;

    /// The keys as they are stored now, as [`LoadKeyring::refreshed`].
    fn refreshed_signing_keys(
        &self,
    ) -> impl Future<Output = Result<Arc<SigningKeys>, Cause>> + Send;
}

/// Why a message was not sent.
#[derive(Debug, Error)]
pub enum CourierError {
    /// The provider refused: the message has certainly not gone out, another channel may be tried.
    #[error("the courier refused the message")]
    Refused(#[source] Cause),
    /// No answer, or one that leaves it open: the message may have gone out.
    #[error("it is not known whether the message went out")]
    Unknown(#[source] Cause),
}

/// The id that a provider has given to a message, where its reports name the message by nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderMessageId(pub String);

/// Sends text messages (`sns:Publish`).
pub trait SmsCourier: Sync {
    /// Hands one message over, at most once: never retried once it may have gone out. The id is that of a message
    /// whose receipts are waited for.
    fn send(
        &self,
        to: &PhoneNumber,
        message: &Sms,
    ) -> impl Future<Output = Result<Option<ProviderMessageId>, CourierError>> + Send;
}

/// A function that sends no text messages.
impl SmsCourier for () {
    async fn send(
        &self,
        _: &PhoneNumber,
        _: &Sms,
    ) -> Result<Option<ProviderMessageId>, CourierError> {
        Err(CourierError::Refused("no text messages are sent here".into()))
    }
}

/// Sends e-mails (`ses:SendEmail`).
pub trait EmailCourier: Sync {
    /// Hands one message over, at most once: never retried once it may have gone out.
    fn send(
        &self,
        to: &EmailAddress,
        message: &Email,
    ) -> impl Future<Output = Result<(), CourierError>> + Send;
}

/// Hands over the messages of every channel that it knows.
pub trait Courier: Sync {
    /// Writes a message for a channel and hands it to the courier of that channel, at most once. The id is that
    /// of a message whose receipts name it by nothing else.
    fn send(
        &self,
        channel: Channel,
        to: &Address,
        text: &Text<'_>,
    ) -> impl Future<Output = Result<Option<ProviderMessageId>, CourierError>> + Send;
}

/// A courier for each channel; `()` for a channel that the function does not send on.
#[derive(Clone, Debug, Default)]
pub struct Couriers<S, M> {
    /// Who sends text messages.
    pub sms: S,
    /// Who sends e-mails.
    pub email: M,
}

impl<S, M> Couriers<S, M> {
    /// Couriers of text messages and of e-mails.
    pub const fn new(sms: S, email: M) -> Self {
        Self { sms, email }
    }
}

impl<S: SmsCourier, M: EmailCourier> Courier for Couriers<S, M> {
    async fn send(
        &self,
        channel: Channel,
        to: &Address,
        text: &Text<'_>,
    ) -> Result<Option<ProviderMessageId>, CourierError> {
        match (channel, to) {
            (Channel::Sms, Address::Phone(to)) => self.sms.send(to, &message::sms(text)).await,
            (Channel::Email, Address::Email(to)) => {
                self.email.send(to, &message::email(text)).await.map(|()| None)
            }
            (Channel::Sms | Channel::Email | Channel::Caller, _) => {
                Err(CourierError::Refused("no courier reaches this address".into()))
            }
        }
    }
}

impl<S: Adapter, M: Adapter> Adapter for Couriers<S, M> {
    fn ports() -> Vec<&'static str> {
        [S::ports(), M::ports()].concat()
    }
}

/// Tells the time, and lets it pass.
pub trait Clock: Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;
    /// Waits.
    fn sleep(&self, span: Duration) -> impl Future<Output = ()> + Send;
}

/// Gives randomness from a cryptographically secure source.
pub trait Entropy: Sync {
    /// Fills a buffer.
    fn fill(&self, buffer: &mut [u8]);

    /// `N` random bytes.
    fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}
