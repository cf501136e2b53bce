//! A booted function: its name, its ports, and what serves its requests.

use crate::SystemEntropy;
use passcode_domain::{
    Timestamp, World,
    ports::{Adapter, Cause, Clock},
};
use passcode_http::{Answer, ContractError, Record, Request, rendered};
use serde_json::Value;
use std::{future::Future, pin::Pin, sync::Arc};

/// The adapters of a function, one for each port of [`World`]. A port that the function does not have is
/// `()`, so that a function can do no more than its boot says.
#[derive(Debug)]
pub struct Adapters<A, U, L, S, N, T, K, G, D, C> {
    /// Where apps are read.
    pub apps: A,
    /// Where users are read and changed.
    pub users: U,
    /// Where ledgers and the items beside them are.
    pub ledgers: L,
    /// Where sessions are.
    pub sessions: S,
    /// Where messages are counted across subjects.
    pub counters: N,
    /// Who reads access tokens.
    pub tokens: T,
    /// Where the keyring is read.
    pub keyring: K,
    /// Where the keys that sign are read.
    pub signing_keys: G,
    /// Who hands messages over.
    pub couriers: D,
    /// What time it is.
    pub clock: C,
}

impl<A, U, L, S, N, T, K, G, D, C> World for Adapters<A, U, L, S, N, T, K, G, D, C>
where
    A: Sync,
    U: Sync,
    L: Sync,
    S: Sync,
    N: Sync,
    T: Sync,
    K: Sync,
    G: Sync,
    D: Sync,
    C: Clock,
{
    type Apps = A;
    type Users = U;
    type Ledgers = L;
    type Sessions = S;
    type Counters = N;
    type Tokens = T;
    type Keyring = K;
    type SigningKeys = G;
    type Couriers = D;
    type Clock = C;
    type Entropy = SystemEntropy;

    fn apps(&self) -> &A {
        &self.apps
    }

    fn users(&self) -> &U {
        &self.users
    }

    fn ledgers(&self) -> &L {
        &self.ledgers
    }

    fn sessions(&self) -> &S {
        &self.sessions
    }

    fn counters(&self) -> &N {
        &self.counters
    }

    fn tokens(&self) -> &T {
        &self.tokens
    }

    fn keyring(&self) -> &K {
        &self.keyring
    }

    fn signing_keys(&self) -> &G {
        &self.signing_keys
    }

    fn couriers(&self) -> &D {
        &self.couriers
    }

    fn clock(&self) -> &C {
        &self.clock
    }

    fn entropy(&self) -> &SystemEntropy {
        &SystemEntropy
    }
}

/// A world whose ports are all adapters, so that it can be asked which ports it has.
pub trait Adapted: World + Send + Sized + 'static {
    /// The ports: the `Sid`s of the statements of a function's policy.
    fn ports() -> Vec<&'static str>;

    /// Opens the connections that every request needs. A failure is not final.
    fn warm_up(&self) -> impl Future<Output = ()> + Send;
}

impl<W> Adapted for W
where
    W: World<
            Apps: Adapter,
            Users: Adapter,
            Ledgers: Adapter,
            Sessions: Adapter,
            Counters: Adapter,
            Tokens: Adapter,
            Keyring: Adapter,
            SigningKeys: Adapter,
            Couriers: Adapter,
        > + Send
        + 'static,
{
    fn ports() -> Vec<&'static str> {
        let ports = [
            W::Apps::ports(),
            W::Users::ports(),
            W::Ledgers::ports(),
            W::Sessions::ports(),
            W::Counters::ports(),
            W::Tokens::ports(),
            W::Keyring::ports(),
            W::SigningKeys::ports(),
            W::Couriers::ports(),
        ];
        ports.concat()
    }

    async fn warm_up(&self) {
        let ((), (), (), ()) = tokio::join!(
            self.ledgers().warm_up(),
            self.sessions().warm_up(),
            self.keyring().warm_up(),
            self.signing_keys().warm_up()
        );
    }
}

/// A request that is being handled. It is on the heap: an action is some kilobytes of state, and the
/// runtime moves it around.
pub type Handling<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A function with its adapters.
#[derive(Clone)]
pub struct Function {
    /// Its name: that of its package.
    pub name: &'static str,
    /// The ports that it has: the `Sid`s of the statements of its policy.
    pub ports: Vec<&'static str>,
    served: Arc<dyn Serve>,
}

impl Function {
    /// A function that serves requests with a handler, in a world that all of them share.
    pub fn new<W, H, E>(name: &'static str, world: W, handle: H) -> Self
    where
        W: Adapted,
        H: for<'a> Fn(&'a W, &'a Request, &'a mut Record) -> Handling<'a, Result<Answer, E>>
            + Send
            + Sync
            + 'static,
        E: ContractError + 'static,
    {
        Self { name, ports: W::ports(), served: Arc::new(Served { world, handle }) }
    }

    /// Answers a request. The record is what the log says of it.
    pub async fn handle(&self, request: &Request) -> (Answer, Record) {
        let mut record = Record::default();
        let answer = self.served.handle(request, &mut record).await;
        (answer, record)
    }

    /// Opens the connections that every request needs. A failure is not final.
    pub async fn warm_up(&self) {
        self.served.warm_up().await;
    }

    /// What time it is for the function.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.served.now()
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function")
            .field("name", &self.name)
            .field("ports", &self.ports)
            .finish_non_exhaustive()
    }
}

/// What a [`Function`] and a [`Consumer`] do before their first event, whatever their world.
trait Hosted: Send + Sync {
    fn warm_up(&self) -> Handling<'_, ()>;
    fn now(&self) -> Timestamp;
}

/// What a [`Function`] does, whatever its world.
trait Serve: Hosted {
    fn handle<'a>(&'a self, request: &'a Request, record: &'a mut Record) -> Handling<'a, Answer>;
}

struct Served<W, H> {
    world: W,
    handle: H,
}

impl<W, H> Hosted for Served<W, H>
where
    W: Adapted,
    H: Send + Sync,
{
    fn warm_up(&self) -> Handling<'_, ()> {
        Box::pin(self.world.warm_up())
    }

    fn now(&self) -> Timestamp {
        self.world.clock().now()
    }
}

impl<W, H, E> Serve for Served<W, H>
where
    W: Adapted,
    H: for<'a> Fn(&'a W, &'a Request, &'a mut Record) -> Handling<'a, Result<Answer, E>>
        + Send
        + Sync,
    E: ContractError,
{
    fn handle<'a>(&'a self, request: &'a Request, record: &'a mut Record) -> Handling<'a, Answer> {
        Box::pin(async move {
            let answered = (self.handle)(&self.world, request, record).await;
            rendered(answered, request, record)
        })
    }
}

/// A function that consumes events which no caller waits for, with its adapters.
#[derive(Clone)]
pub struct Consumer {
    /// Its name: that of its package.
    pub name: &'static str,
    /// The ports that it has: the `Sid`s of the statements of its policy.
    pub ports: Vec<&'static str>,
    consumed: Arc<dyn Consume>,
}

impl Consumer {
    /// A function that consumes events with a handler, in a world that all of them share. The handler adds a
    /// record for each thing that the event tells.
    pub fn new<W, H>(name: &'static str, world: W, handle: H) -> Self
    where
        W: Adapted,
        H: for<'a> Fn(&'a W, &'a Value, &'a mut Vec<Record>) -> Handling<'a, Result<(), Cause>>
            + Send
            + Sync
            + 'static,
    {
        Self { name, ports: W::ports(), consumed: Arc::new(Served { world, handle }) }
    }

    /// Consumes an event, and says what the log says of it. An event that is an error has to come again.
    pub async fn consume(&self, event: &Value) -> (Vec<Record>, Result<(), Cause>) {
        let mut records = Vec::new();
        let result = self.consumed.consume(event, &mut records).await;
        (records, result)
    }

    /// Opens the connections that every event needs. A failure is not final.
    pub async fn warm_up(&self) {
        self.consumed.warm_up().await;
    }

    /// What time it is for the function.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.consumed.now()
    }
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer")
            .field("name", &self.name)
            .field("ports", &self.ports)
            .finish_non_exhaustive()
    }
}

/// What a [`Consumer`] does, whatever its world.
trait Consume: Hosted {
    fn consume<'a>(
        &'a self,
        event: &'a Value,
        records: &'a mut Vec<Record>,
    ) -> Handling<'a, Result<(), Cause>>;
}

impl<W, H> Consume for Served<W, H>
where
    W: Adapted,
    H: for<'a> Fn(&'a W, &'a Value, &'a mut Vec<Record>) -> Handling<'a, Result<(), Cause>>
        + Send
        + Sync,
{
    fn consume<'a>(
        &'a self,
        event: &'a Value,
        records: &'a mut Vec<Record>,
    ) -> Handling<'a, Result<(), Cause>> {
        (self.handle)(&self.world, event, records)
    }
}
