//! Open: a new challenge for a subject. Nothing is sent yet.

use crate::{
    Addresses, App, Challenge, ChallengeId, Keyring, Ledger, Policy, SubjectKey, Timestamp,
    challenge::State,
    keyring::KeyId,
    ledger::MAX_CHALLENGES,
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
    template: Option<String>,
    life: Duration,
    policy: Policy,
    key: KeyId,
    nonce: [u8; 16],
}

impl Open {
    /// Prepares a challenge of an app for some addresses, to live for `life`.
    pub fn new(
        app: &App,
        keyring: &Keyring,
        entropy: &impl Entropy,
        addresses: Addresses,
        life: Duration,
    ) -> Option<Self> {
        let subject = SubjectKey::of_address(keyring, &app.id, &addresses.primary()?);
        Some(Self {
            id: ChallengeId::new(subject, entropy.bytes()),
            addresses,
            template: None,
            life,
            policy: app.policy.clone(),
            key: keyring.current_id().clone(),
            nonce: entropy.bytes(),
        })
    }

    /// Pins a template for its messages.
    #[must_use]
    pub fn with_template(self, template: Option<String>) -> Self {
        Self { template, ..self }
    }
}

/// What came of opening a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// It is open.
    Opened,
    /// The subject has [`MAX_CHALLENGES`] open challenges that were sent; room appears then.
    TooMany(Timestamp),
}

/// Decides an opening.
#[must_use]
pub fn decide(mut ledger: Ledger, command: &Open, now: Timestamp) -> (Ledger, Opened) {
    if let Err(room_at) = ledger.make_room(now) {
        return (ledger, Opened::TooMany(room_at));
    }
    ledger.challenges.push(Challenge {
        random: command.id.random,
        nonce: command.nonce,
        key: command.key.clone(),
        addresses: command.addresses.clone(),
        template: command.template.clone(),
        expires_at: now + command.life,
        policy: command.policy.clone(),
        attempts: 0,
        generation: 0,
        sends: Vec::new(),
        state: State::Open,
    });
    debug_assert!(ledger.challenges.len() <= MAX_CHALLENGES);
    (ledger, Opened::Opened)
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
