//! Reservations of a claimed message: one conditional write per counter, in parallel.

use super::{ClaimedSend, load::Known};
use crate::{
    action::transact::Failure,
    app::guard::Guard,
    guard::{Finding, GuardRefusal, Reservation, Sending, Terms, Verdict},
    ports::{Clock as _, ReserveCounters, ReserveError, World},
};
use futures_util::future;

/// How often a reservation is tried with new bounds before the caller is asked to come back. What makes
/// another try necessary is a reading that was old, or a half hour that has just begun.
const MAX_TRIES: usize = 8;

/// Why a message could not be reserved in a counter.
enum Failed {
    Refused(GuardRefusal),
    NotStored(Failure),
}

/// Reserves a message in every counter, and returns what was reserved. Where one refuses, the others
/// are given back; the error says which rule it was, or why nothing is known.
pub(super) async fn reserve<W>(
    world: &W,
    known: &Known,
    claim: &ClaimedSend,
    verdict: Verdict,
) -> Result<Vec<Reservation>, Result<Finding, Failure>>
where
    W: World<Counters: ReserveCounters>,
{
    let (Some(app), Some(sending)) = (&known.app, known.sending(claim.to.channel())) else {
        return Ok(Vec::new());
    };
    let one = |reservation| reserve_one(world, &app.guard, sending, reservation, verdict.terms);
    let results = future::join_all(verdict.reservations.into_iter().map(one)).await;
    let mut reserved = Vec::new();
    let mut failed = None;
    for result in results {
        match result {
            Ok(reservation) => reserved.push(reservation),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    let Some(failed) = failed else { return Ok(reserved) };
    give_back(world, &reserved).await;
    Err(match failed {
        Failed::Refused(refusal) => {
            Ok(Finding { rule: refusal.rule(), is_enforced: true, refusal })
        }
        Failed::NotStored(failure) => Err(failure),
    })
}

/// Reserves a message in one counter. A counter that refuses says what it holds: what is still allowed
/// by that is tried again.
async fn reserve_one<W>(
    world: &W,
    guard: &Guard,
    sending: &Sending,
    mut reservation: Reservation,
    terms: Terms,
) -> Result<Reservation, Failed>
where
    W: World<Counters: ReserveCounters>,
{
    for _ in 0..MAX_TRIES {
        match world.counters().reserve(&reservation).await {
            Ok(()) => return Ok(reservation),
            Err(ReserveError::Refused(counter)) => {
                let now = world.clock().now();
                let again = sending.judge_again(guard, reservation.key, &counter, terms, now);
                reservation = again.map_err(Failed::Refused)?;
            }
            Err(ReserveError::Store(error)) => return Err(Failed::NotStored(error.into())),
        }
    }
    Err(Failed::NotStored(Failure::Contended))
}

/// Gives reservations back. One that cannot be given back stays counted until its window has passed.
pub(super) async fn give_back<W>(world: &W, reservations: &[Reservation])
where
    W: World<Counters: ReserveCounters>,
{
    let all = reservations.iter().map(|reservation| world.counters().give_back(reservation));
    let _ = future::join_all(all).await;
}
