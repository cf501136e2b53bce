//! The thin loop around every rule: load, decide, store; on a conflict, load and decide again.

use crate::{
    Ledger, SubjectKey, Timestamp,
    guard::{Gauges, Steps, gauge::GaugeId},
    ports::{
        Cause, Clock, CountError, CountGauges, Entropy, LoadGauges, LoadLedgers, Loaded,
        StoreError, StoreLedgers,
    },
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
    /// Others kept changing the ledger.
    #[error("the ledger kept changing")]
    Contended,
    /// The store did not answer.
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

/// The ports every use-case takes.
pub struct Ports<'a, L, C, E> {
    /// Where ledgers are.
    pub ledgers: &'a L,
    /// What time it is.
    pub clock: &'a C,
    /// Where randomness comes from.
    pub entropy: &'a E,
}

impl<L, C, E> Clone for Ports<'_, L, C, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L, C, E> Copy for Ports<'_, L, C, E> {}

/// An outcome, with the ledger as it is now stored.
#[derive(Debug)]
pub struct Settled<T> {
    /// What was decided.
    pub outcome: T,
    /// The ledger the decision left behind.
    pub ledger: Option<Ledger>,
    /// Its version.
    pub version: u64,
    /// Whether the decision has changed the ledger.
    pub is_stored: bool,
}

/// Stores a decided ledger, perhaps with something else in the same step.
pub trait Commit<T>: Sync {
    /// As [`StoreLedgers::store`], knowing what was decided.
    fn commit(
        &self,
        key: &SubjectKey,
        ledger: &Ledger,
        seen: u64,
        decided: &T,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

/// Stores the ledger and nothing else.
pub struct Alone<'a, L>(pub &'a L);

impl<L: StoreLedgers, T: Sync> Commit<T> for Alone<'_, L> {
    async fn commit(
        &self,
        key: &SubjectKey,
        ledger: &Ledger,
        seen: u64,
        _: &T,
    ) -> Result<u64, StoreError> {
        self.0.store(key, ledger, seen).await
    }
}

/// Loads a ledger, decides, and stores what the decision changed. The outcome is returned only
/// after the store has taken the change; a decision that changes nothing writes nothing.
pub async fn transact<L, C, E, T>(
    ports: Ports<'_, L, C, E>,
    key: &SubjectKey,
    decide: impl FnMut(Option<Ledger>, Timestamp) -> (Option<Ledger>, T) + Send,
) -> Result<Settled<T>, Failure>
where
    L: LoadLedgers + StoreLedgers,
    C: Clock,
    E: Entropy,
    T: Send + Sync,
{
    transact_and(ports, &Alone(ports.ledgers), key, decide).await
}

/// The same, storing through `commit`.
pub async fn transact_and<L, C, E, T>(
    ports: Ports<'_, L, C, E>,
    commit: &impl Commit<T>,
    key: &SubjectKey,
    mut decide: impl FnMut(Option<Ledger>, Timestamp) -> (Option<Ledger>, T) + Send,
) -> Result<Settled<T>, Failure>
where
    L: LoadLedgers,
    C: Clock,
    E: Entropy,
    T: Send + Sync,
{
    for tried in 0..MAX_TRIES {
        let loaded = ports.ledgers.load(key).await?;
        let (ledger, outcome) = decide(loaded.ledger.clone(), ports.clock.now());
        let (version, is_stored) = match &ledger {
            Some(changed) if ledger != loaded.ledger => {
                match commit.commit(key, changed, loaded.version, &outcome).await {
                    Ok(version) => (version, true),
                    Err(StoreError::Conflict) => {
                        ports.clock.sleep(pause(ports.entropy, tried)).await;
                        continue;
                    }
                    Err(StoreError::Unavailable(cause)) => return Err(Failure::Unavailable(cause)),
                }
            }
            _ => (loaded.version, false),
        };
        return Ok(Settled { outcome, ledger, version, is_stored });
    }
    Err(Failure::Contended)
}

/// What was decided, and what that changes.
#[derive(Debug)]
pub(crate) struct Decision<T> {
    /// The ledger it leaves behind; none where nothing changes.
    pub(crate) ledger: Option<Ledger>,
    /// What is counted in the same write; or alone, where the ledger stays as it is.
    pub(crate) steps: Steps,
    /// The outcome.
    pub(crate) outcome: T,
}

/// Decides on what is at hand and stores it, together with what is counted. When others were
/// faster, it is decided again: a gauge that has passed its bound is told by the write that it has
/// refused, and only what is still allowed then is worth another look at all of `ids`.
pub(crate) async fn transact_counted<L, C, E, T>(
    ports: Ports<'_, L, C, E>,
    key: &SubjectKey,
    mut loaded: Loaded,
    gauges: &mut Gauges,
    ids: impl Fn(Timestamp) -> Vec<GaugeId>,
    mut decide: impl FnMut(Option<&Ledger>, &Gauges, Timestamp) -> Decision<T> + Send,
) -> Result<Settled<T>, Failure>
where
    L: LoadLedgers + LoadGauges + CountGauges,
    C: Clock,
    E: Entropy,
    T: Send,
{
    let mut is_stale = false;
    for tried in 0..MAX_TRIES {
        let now = ports.clock.now();
        let mut decision = decide(loaded.ledger.as_ref(), gauges, now);
        if is_stale && decision.ledger.is_some() {
            *gauges = load_gauges(ports.ledgers, ids(now)).await?;
            decision = decide(loaded.ledger.as_ref(), gauges, now);
        }
        let Decision { ledger, steps, outcome } = decision;
        let Some(changed) = ledger else {
            if !steps.is_empty() {
                // A block that cannot be written is found again by the next send.
                let _ = ports.ledgers.count(&steps).await;
            }
            let Loaded { ledger, version } = loaded;
            return Ok(Settled { outcome, ledger, version, is_stored: false });
        };
        match ports.ledgers.store_and_count(key, &changed, loaded.version, &steps).await {
            Ok(version) => {
                gauges.take(&steps);
                return Ok(Settled { outcome, ledger: Some(changed), version, is_stored: true });
            }
            Err(CountError::Full(told)) => {
                gauges.learn(told);
                is_stale = true;
            }
            Err(CountError::Store(StoreError::Conflict)) => {
                ports.clock.sleep(pause(ports.entropy, tried)).await;
                loaded = ports.ledgers.load(key).await?;
                is_stale = true;
            }
            Err(CountError::Store(error)) => return Err(error.into()),
        }
    }
    Err(Failure::Contended)
}

/// Loads gauges, where there are any to load.
pub(crate) async fn load_gauges(
    throttle: &impl LoadGauges,
    mut ids: Vec<GaugeId>,
) -> Result<Gauges, StoreError> {
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() { Ok(Gauges::default()) } else { throttle.load_gauges(&ids).await }
}

/// A random pause of up to 5, 10, 20, then 40 ms: callers that collided spread out.
fn pause(entropy: &impl Entropy, tried: u32) -> Duration {
    let [share] = entropy.bytes::<1>();
    FIRST_PAUSE * 2u32.pow(tried.min(3)) * u32::from(share) / 255
}
