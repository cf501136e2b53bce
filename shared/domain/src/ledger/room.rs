//! Room: how many challenges a ledger holds, and which one makes room for another.

use super::{
    challenge::{Challenge, Lookup, State},
    ledger::Ledger,
};
use crate::value::{bytes, id::ChallengeId, time::Timestamp};
use serde::{Deserialize, Serialize};

/// A subject has at most this many challenges of a kind that wait for their codes.
pub const MAX_LIVE: usize = 8;

/// A ledger holds at most this many challenges of a kind, ended ones included.
pub const MAX_CHALLENGES: usize = 16;

/// A ledger remembers at most this many challenges that have made room for others.
const MAX_EVICTED: usize = 64;

/// A challenge that has made room for another before its life was over. Its id must not be opened anew,
/// with all of its attempts: an order or an unsent challenge may still lead to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Evicted {
    #[serde(with = "bytes")]
    random: [u8; 16],
    /// When the challenge's life is over.
    pub(super) until: Timestamp,
}

impl Ledger {
    /// Whether a challenge has made room for another.
    #[must_use]
    pub fn has_evicted(&self, id: ChallengeId) -> bool {
        self.evicted.iter().any(|evicted| evicted.random == id.random)
    }

    /// Takes a challenge in. The error says when there is room for it.
    pub fn enter(&mut self, challenge: Challenge, now: Timestamp) -> Result<(), Timestamp> {
        self.make_room(challenge.lookup, now)?;
        if challenge.is_of_user() {
            self.cancel_live(now);
        }
        self.challenges.push(challenge);
        Ok(())
    }

    /// A user has one code at a time: naming the user must not leave open which one is meant.
    fn cancel_live(&mut self, now: Timestamp) {
        for challenge in self.challenges.iter_mut().filter(|challenge| challenge.is_live(now)) {
            challenge.state = State::Cancelled;
        }
    }

    /// Makes room for one more challenge among those that are found in the same way: nobody pushes
    /// out, or shuts out, what others know in another way. Of those that wait for their codes the
    /// oldest whose messages were all refused gives way, then the oldest whose messages are suppressed;
    /// when all have been sent, the moment room appears is the error. Of those that have ended, verified
    /// ones stay longest, since somebody may yet ask; and one whose attempts are spent stays until its
    /// time is over.
    fn make_room(&mut self, lookup: Lookup, now: Timestamp) -> Result<(), Timestamp> {
        self.prune(now);
        let own = |c: &&Challenge| c.lookup == lookup;
        let live = |c: &Challenge| c.is_live(now);
        if self.challenges.iter().filter(own).filter(|c| live(c)).count() >= MAX_LIVE {
            let unsent = |c: &Challenge| live(c) && c.sends.is_empty();
            let suppressed = |c: &Challenge| live(c) && c.suppression.is_some();
            self.evict_first(lookup, &[&unsent, &suppressed], now)
                .map_err(|()| self.first_end(lookup, live, now))?;
        }
        if self.challenges.iter().filter(own).count() >= MAX_CHALLENGES {
            let expired = |c: &Challenge| c.has_expired(now) && !c.is_verified();
            let cancelled = |c: &Challenge| c.state == State::Cancelled;
            let unsent = |c: &Challenge| live(c) && c.sends.is_empty();
            self.evict_first(
                lookup,
                &[&expired, &cancelled, &Challenge::is_verified, &unsent],
                now,
            )
            .map_err(|()| self.first_end(lookup, |_| true, now))?;
        }
        Ok(())
    }

    /// Evicts the oldest challenge of which the first of some conditions holds that holds of any.
    fn evict_first(
        &mut self,
        lookup: Lookup,
        conditions: &[&dyn Fn(&Challenge) -> bool],
        now: Timestamp,
    ) -> Result<(), ()> {
        let position = conditions
            .iter()
            .find_map(|holds| self.challenges.iter().position(|c| c.lookup == lookup && holds(c)));
        let challenge = &self.challenges[position.ok_or(())?];
        if !challenge.has_expired(now) && !challenge.sends.is_empty() {
            if self.evicted.len() >= MAX_EVICTED {
                return Err(());
            }
            let evicted = Evicted { random: challenge.random, until: challenge.expires_at };
            self.evicted.push(evicted);
        }
        position.map(|position| self.challenges.remove(position));
        Ok(())
    }

    /// When the life of the first of some challenges is over.
    fn first_end(
        &self,
        lookup: Lookup,
        of: impl Fn(&Challenge) -> bool,
        now: Timestamp,
    ) -> Timestamp {
        let some = self.challenges.iter().filter(|c| c.lookup == lookup && of(c));
        some.map(|challenge| challenge.expires_at).min().unwrap_or(now)
    }
}
