//! Open: a new challenge for a subject. Nothing is sent yet.

use super::transact::{Failure, transact};
use crate::{
    app::{App, TestAddress, policy::Policy},
    ledger::{
        Challenge, Lookup, UnsentChallenge,
        challenge::{State, Suppression},
    },
    ports::{Entropy, LoadLedgers, Loaded, StoreLedgers, World},
    secret::keyring::Keyring,
    value::{
        address::Addresses,
        id::{AppId, ChallengeId, ItemKey, SubjectKey},
        time::Timestamp,
    },
};
use std::time::Duration;

/// A challenge to be opened. Its randomness is drawn once, so deciding again opens the same one.
#[derive(Clone, Debug)]
pub struct Open {
    /// The id it will have.
    pub id: ChallengeId,
    app: AppId,
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
            app: app.id.clone(),
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

    /// Why nothing will be delivered for it, where nothing will.
    fn suppression(&self, now: Timestamp) -> Option<Suppression> {
        if self.is_concealed {
            return Some(Suppression::Concealed);
        }
        let test = self.test.as_ref().filter(|test| now < test.until);
        test.map(|test| Suppression::TestAddress(test.code.clone()))
    }

    /// The challenge as it is opened now.
    #[must_use]
    pub fn challenge(&self, now: Timestamp) -> Challenge {
        Challenge {
            random: self.id.random,
            nonce: self.nonce,
            addresses: self.addresses.clone(),
            lookup: self.lookup,
            suppression: self.suppression(now),
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

/// Where a challenge is kept until its first message.
pub(crate) fn unsent_key(keyring: &Keyring, id: ChallengeId) -> ItemKey {
    ItemKey::from_bytes(keyring.index_mac_of(&[b"unsent", &id.to_bytes()]))
}

/// Opens a challenge: one write of an item of its own, which nobody can have written before. It costs
/// the subject's ledger nothing, however many there are.
pub async fn open<W>(world: &W, keyring: &Keyring, open: &Open) -> Result<(), Failure>
where
    W: World<Ledgers: LoadLedgers + StoreLedgers>,
{
    let decide = |stored: Option<UnsentChallenge>, now| {
        let unsent = || UnsentChallenge { app: open.app.clone(), challenge: open.challenge(now) };
        (Some(stored.unwrap_or_else(unsent)), ())
    };
    let nothing = Some(Loaded { item: None, version: 0 });
    transact(world, unsent_key(keyring, open.id), nothing, decide).await?;
    Ok(())
}
