//! Open: a new challenge for a subject. Nothing is sent yet.

use crate::{
    Address, Addresses, App, Challenge, ChallengeId, Keyring, Ledger, Policy, SubjectKey,
    Timestamp,
    app::TestAddress,
    challenge::{Lookup, Silence, State},
    ports::{Clock, Entropy, LoadLedgers, StoreLedgers},
    transact::{Failure, Ports, transact},
};
use std::time::Duration;

/// A challenge to be opened. Its randomness is drawn once, so deciding again opens the same one.
#[derive(Clone, Debug)]
pub struct Open {
    /// The id it will have.
    pub id: ChallengeId,
    addresses: Addresses,
    lookup: Lookup,
    template: Option<String>,
    app_hash: Option<String>,
    scope: Option<String>,
    life: Duration,
    pub(crate) policy: Policy,
    test: Option<TestAddress>,
    is_concealed: bool,
    nonce: [u8; 16],
}

impl Open {
    /// Prepares a challenge of an app for some addresses, to live for `life` and to be found by
    /// its id.
    pub fn new(
        app: &App,
        keyring: &Keyring,
        entropy: &impl Entropy,
        addresses: Addresses,
        life: Duration,
    ) -> Self {
        let subject = SubjectKey::of_address(keyring, &app.id, addresses.primary());
        Self {
            id: ChallengeId::new(subject, entropy.bytes()),
            test: app.test_address(addresses.first_sent_to()).cloned(),
            addresses,
            lookup: Lookup::Id,
            template: None,
            app_hash: None,
            scope: None,
            life,
            policy: app.policy.clone(),
            is_concealed: false,
            nonce: entropy.bytes(),
        }
    }

    /// Lets callers find it in another way.
    #[must_use]
    pub fn found_by(self, lookup: Lookup) -> Self {
        Self { lookup, ..self }
    }

    /// Makes it one that reaches nobody and that no code verifies.
    #[must_use]
    pub fn concealed(self) -> Self {
        Self { is_concealed: true, ..self }
    }

    /// Pins a template for its messages.
    #[must_use]
    pub fn with_template(self, template: Option<String>) -> Self {
        Self { template, ..self }
    }

    /// Ends its text messages with what an Android app is recognised by.
    #[must_use]
    pub fn with_app_hash(self, app_hash: Option<String>) -> Self {
        Self { app_hash, ..self }
    }

    /// Makes it a step-up to a scope, which its messages name.
    #[must_use]
    pub fn for_scope(self, scope: &str) -> Self {
        Self { scope: Some(scope.to_owned()), ..self }
    }

    /// Gives it the id that its order leads to already.
    #[must_use]
    pub fn with_id(self, id: ChallengeId) -> Self {
        Self { id, ..self }
    }
}

/// What came of opening a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// It is open.
    Opened,
    /// The subject has [`MAX_LIVE`](crate::ledger::MAX_LIVE) open challenges that were all sent;
    /// room appears then.
    TooMany(Timestamp),
}

impl Open {
    /// Whether a challenge asks the same of the same addresses, and is found in the same way.
    pub(crate) fn is_like(&self, challenge: &Challenge) -> bool {
        challenge.lookup == self.lookup
            && challenge.addresses.are_those_of(&self.addresses)
            && challenge.template == self.template
    }

    /// Whether it is one that reaches nobody from the beginning.
    pub(crate) const fn is_concealed(&self) -> bool {
        self.is_concealed
    }

    /// How callers will find it again.
    pub(crate) const fn lookup(&self) -> Lookup {
        self.lookup
    }

    /// Where its codes go.
    pub(crate) const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Why nothing will be sent for it, where nothing will.
    pub(crate) fn silence(&self, now: Timestamp) -> Option<Silence> {
        if self.is_concealed {
            return Some(Silence::Concealed);
        }
        let test = self.test.as_ref().filter(|test| now < test.until);
        test.map(|test| Silence::Test(test.code.clone()))
    }

    pub(crate) fn challenge(&self, now: Timestamp) -> Challenge {
        Challenge {
            random: self.id.random,
            nonce: self.nonce,
            addresses: self.addresses.clone(),
            lookup: self.lookup,
            silence: self.silence(now),
            template: self.template.clone(),
            app_hash: self.app_hash.clone(),
            scope: self.scope.clone(),
            expires_at: now + self.life,
            policy: self.policy.clone(),
            attempts: 0,
            generation: 0,
            sends: Vec::new(),
            state: State::Open,
        }
    }
}

/// Decides an opening. Deciding it again, after a write whose fate was unknown, changes nothing.
#[must_use]
pub fn decide(mut ledger: Ledger, command: &Open, now: Timestamp) -> (Ledger, Opened) {
    if ledger.find(command.id).is_some() {
        return (ledger, Opened::Opened);
    }
    match ledger.make_room(command.lookup, now) {
        Ok(()) => {
            if let Address::User(_) = command.addresses.primary() {
                give_up_open(&mut ledger, now);
            }
            ledger.challenges.push(command.challenge(now));
            (ledger, Opened::Opened)
        }
        Err(room_at) => (ledger, Opened::TooMany(room_at)),
    }
}

/// A user has one code at a time: naming the user must not leave open which one is meant.
fn give_up_open(ledger: &mut Ledger, now: Timestamp) {
    for challenge in ledger.challenges.iter_mut().filter(|challenge| challenge.is_live(now)) {
        challenge.state = State::Cancelled;
    }
}

/// Opens a challenge: one read and one write.
pub async fn open<L, C, E>(
    ports: Ports<'_, L, C, E>,
    app: &App,
    command: &Open,
) -> Result<Opened, Failure>
where
    L: LoadLedgers + StoreLedgers,
    C: Clock,
    E: Entropy,
{
    let subject = command.id.subject;
    let decide = |ledger: Option<Ledger>, now| {
        let ledger = ledger.unwrap_or_else(|| Ledger::new(app.id.clone()));
        let (ledger, opened) = decide(ledger, command, now);
        (Some(ledger), opened)
    };
    Ok(transact(ports, &subject, decide).await?.outcome)
}
