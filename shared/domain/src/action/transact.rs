//! The one loop around every rule: load, decide, store; on a conflict, load and decide again.

use crate::{
    ledger::Item,
    ports::{Cause, Clock as _, Entropy, LoadLedgers, Loaded, StoreError, StoreLedgers, World},
    value::{id::ItemKey, time::Timestamp},
};
use std::{future::Future, time::Duration};
use thiserror::Error;

/// How often a decision is taken again before the caller is asked to come back.
pub const MAX_TRIES: u32 = 12;

/// The longest pause before the second try; it doubles up to eight times that.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// Why no outcome was reached. Nothing was revealed; the caller may try again.
#[derive(Debug, Error)]
pub enum Failure {
    /// Others kept changing the item.
    #[error("the stored item kept changing")]
    Contended,
    /// The store, or the keyring, did not answer.
    #[error("the store is unavailable")]
    Unavailable(#[source] Cause),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::Contended,
            StoreError::Unavailable(cause) => Self::Unavailable(cause),
        }
    }
}

/// An outcome, with the item as it is now stored.
#[derive(Debug)]
pub struct Settled<I, T> {
    /// What was decided.
    pub outcome: T,
    /// The item that the decision left behind.
    pub item: Option<I>,
    /// Its version.
    pub version: u64,
    /// Whether the decision has changed the item.
    pub is_stored: bool,
}

/// Loads an item, and stores a decided one, perhaps with something else in the same step.
pub trait Commit<I, T>: Sync {
    /// What names the item.
    type Key: Sync;

    /// As [`LoadLedgers::load`].
    fn load(&self, key: &Self::Key) -> impl Future<Output = Result<Loaded<I>, StoreError>> + Send;

    /// As [`StoreLedgers::store`], knowing what was decided.
    fn commit(
        &self,
        key: &Self::Key,
        item: &I,
        seen: u64,
        decided: &T,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

/// Stores the item and nothing else.
pub struct Alone<'a, L>(pub &'a L);

impl<L: LoadLedgers + StoreLedgers, I: Item, T: Sync> Commit<I, T> for Alone<'_, L> {
    type Key = ItemKey;

    async fn load(&self, key: &ItemKey) -> Result<Loaded<I>, StoreError> {
        self.0.load(key).await
    }

    async fn commit(&self, key: &ItemKey, item: &I, seen: u64, _: &T) -> Result<u64, StoreError> {
        self.0.store(key, item, seen).await
    }
}

/// Loads an item, unless `loaded` is it, decides, and stores what the decision changed. The outcome is
/// returned only after the store has taken the change; a decision that changes nothing writes nothing.
pub async fn transact<W, I, T>(
    world: &W,
    key: ItemKey,
    loaded: Option<Loaded<I>>,
    decide: impl FnMut(Option<I>, Timestamp) -> (Option<I>, T) + Send,
) -> Result<Settled<I, T>, Failure>
where
    W: World<Ledgers: LoadLedgers + StoreLedgers>,
    I: Item,
    T: Send + Sync,
{
    transact_and(world, &Alone(world.ledgers()), key, loaded, decide).await
}

/// The same, storing through `commit`.
pub async fn transact_and<W, I, T, K>(
    world: &W,
    commit: &impl Commit<I, T, Key = K>,
    key: K,
    mut loaded: Option<Loaded<I>>,
    mut decide: impl FnMut(Option<I>, Timestamp) -> (Option<I>, T) + Send,
) -> Result<Settled<I, T>, Failure>
where
    W: World,
    I: Clone + PartialEq + Send + Sync,
    T: Send + Sync,
    K: Send + Sync,
{
    for tried in 0..MAX_TRIES {
        let Loaded { item: before, version: seen } = match loaded.take() {
            Some(loaded) => loaded,
            None => commit.load(&key).await?,
        };
        let (item, outcome) = decide(before.clone(), world.clock().now());
        let (version, is_stored) = match &item {
            Some(changed) if item != before => {
                match commit.commit(&key, changed, seen, &outcome).await {
                    Ok(version) => (version, true),
                    Err(StoreError::Conflict) => {
                        world.clock().sleep(pause(world.entropy(), tried)).await;
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            _ => (seen, false),
        };
        return Ok(Settled { outcome, item, version, is_stored });
    }
    Err(Failure::Contended)
}

/// A random pause of up to 5, 10, 20, then 40 ms: callers that collided spread out.
fn pause(entropy: &impl Entropy, tried: u32) -> Duration {
    let [share] = entropy.bytes::<1>();
    FIRST_PAUSE * 2u32.pow(tried.min(3)) * u32::from(share) / 255
}
