//! Orders: to place one, and to find the challenge that one leads to.

use super::transact::{Failure, transact};
use crate::{
    ledger::order::{Order, OrderId},
    ports::{Clock as _, LoadLedgers, StoreError, StoreLedgers, World},
    secret::keyring::Keyring,
    value::id::{AppId, ChallengeId, ItemKey},
};
use std::time::Duration;

fn key(keyring: &Keyring, app: &AppId, order: &OrderId) -> ItemKey {
    keyring.item_key(&["order", app.as_str(), order.as_str()])
}

/// Gives a challenge its order's name, unless the name leads to another: one read and one write.
/// Returns the challenge that the name leads to.
pub async fn place<W>(
    world: &W,
    keyring: &Keyring,
    app: &AppId,
    order: &OrderId,
    challenge: ChallengeId,
    life: Duration,
) -> Result<ChallengeId, Failure>
where
    W: World<Ledgers: LoadLedgers + StoreLedgers>,
{
    let decide = |stored: Option<Order>, now| {
        let order = Order::decide(stored, challenge, life, now);
        (Some(order), order.challenge)
    };
    Ok(transact(world, key(keyring, app, order), None, decide).await?.outcome)
}

/// The challenge that an order leads to: one read.
pub async fn find<W>(
    world: &W,
    keyring: &Keyring,
    app: &AppId,
    order: &OrderId,
) -> Result<Option<ChallengeId>, StoreError>
where
    W: World<Ledgers: LoadLedgers>,
{
    let loaded = world.ledgers().load::<Order>(&key(keyring, app, order)).await?;
    let now = world.clock().now();
    Ok(loaded.item.filter(|order| now < order.until).map(|order| order.challenge))
}
