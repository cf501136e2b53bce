//! Orders: a caller's own name for a challenge, given before the challenge has an id. The name leads
//! to the id through an item of its own, and makes a repeated send the same send.

use crate::{
    App, AppId, ChallengeId, Keyring, Ledger, SubjectKey, Timestamp,
    ports::{Clock, Entropy, LoadLedgers, StoreError, StoreLedgers},
    transact::{Failure, Ports, transact},
};
use serde::{Deserialize, Serialize};
use std::{str::FromStr, time::Duration};
use thiserror::Error;

/// A caller's own name for a challenge: 1 to 64 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderId(String);

/// A text that names no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an order id is 1 to 64 visible characters")]
pub struct MalformedOrderId;

impl FromStr for OrderId {
    type Err = MalformedOrderId;

    fn from_str(text: &str) -> Result<Self, MalformedOrderId> {
        let valid = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        valid.then(|| Self(text.to_owned())).ok_or(MalformedOrderId)
    }
}

impl OrderId {
    fn key(&self, keyring: &Keyring, app: &AppId) -> SubjectKey {
        SubjectKey::from_bytes(keyring.index_mac(&["order", app.as_str(), &self.0]))
    }
}

/// The challenge that an order leads to, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The challenge.
    pub challenge: ChallengeId,
    /// When the name is free again.
    pub until: Timestamp,
}

/// Decides to which challenge an order leads: the one it led to before, or this one from now on.
#[must_use]
pub fn decide(
    mut ledger: Ledger,
    challenge: ChallengeId,
    life: Duration,
    now: Timestamp,
) -> (Ledger, ChallengeId) {
    let order = ledger.order.filter(|order| now < order.until);
    let order = order.unwrap_or(Order { challenge, until: now + life });
    ledger.order = Some(order);
    (ledger, order.challenge)
}

/// Gives a challenge its order's name, unless the name leads to another: one read and one write.
pub async fn place<L, C, E>(
    ports: Ports<'_, L, C, E>,
    keyring: &Keyring,
    app: &App,
    order: &OrderId,
    challenge: ChallengeId,
    life: Duration,
) -> Result<ChallengeId, Failure>
where
    L: LoadLedgers + StoreLedgers,
    C: Clock,
    E: Entropy,
{
    let decide = |ledger: Option<Ledger>, now| {
        let ledger = ledger.unwrap_or_else(|| Ledger::new(app.id.clone()));
        let (ledger, challenge) = decide(ledger, challenge, life, now);
        (Some(ledger), challenge)
    };
    Ok(transact(ports, &order.key(keyring, &app.id), decide).await?.outcome)
}

/// The challenge that an order leads to: one read.
pub async fn find(
    ledgers: &impl LoadLedgers,
    keyring: &Keyring,
    app: &AppId,
    order: &OrderId,
    now: Timestamp,
) -> Result<Option<ChallengeId>, StoreError> {
    let loaded = ledgers.load(&order.key(keyring, app)).await?;
    let order = loaded.ledger.and_then(|ledger| ledger.order);
    Ok(order.filter(|order| now < order.until).map(|order| order.challenge))
}
