//! The ledger: all open challenges and the counters of one subject. One stored item, one version.

use crate::{
    AppId, Challenge, ChallengeId, Timestamp,
    challenge::{State, Trace},
    order::Order,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A subject has at most this many challenges that wait for their codes.
pub const MAX_LIVE: usize = 8;

/// A ledger holds at most this many challenges, ended ones included.
pub const MAX_CHALLENGES: usize = 16;

/// An ended challenge stays this long, so that its id is answered "expired" and not "not found".
pub const AFTERLIFE: Duration = Duration::from_hours(1);

/// Everything that is kept of one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// The app the subject belongs to.
    pub app: AppId,
    /// Its challenges, oldest first.
    #[serde(default)]
    pub challenges: Vec<Challenge>,
    /// When its consecutive failures happened, oldest first; a success clears them.
    #[serde(default)]
    pub failures: Vec<Timestamp>,
    /// The time span of the policy under which the last failure was counted.
    #[serde(default)]
    pub failure_window: Duration,
    /// Where an order leads, in the item that an order has of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
}

impl Ledger {
    /// The ledger of a subject that was never heard of.
    #[must_use]
    pub const fn new(app: AppId) -> Self {
        Self {
            app,
            challenges: Vec::new(),
            failures: Vec::new(),
            failure_window: Duration::ZERO,
            order: None,
        }
    }

    /// The challenge with an id.
    #[must_use]
    pub fn find(&self, id: ChallengeId) -> Option<&Challenge> {
        self.challenges.iter().find(|challenge| challenge.random == id.random)
    }

    pub(crate) fn find_mut(&mut self, id: ChallengeId) -> Option<&mut Challenge> {
        self.challenges.iter_mut().find(|challenge| challenge.random == id.random)
    }

    /// What logs and metrics may know of a challenge.
    #[must_use]
    pub fn trace(&self, id: ChallengeId) -> Trace {
        let last = self.find(id).and_then(Challenge::last_send);
        Trace { app: self.app.clone(), channel: last.map(|send| send.channel) }
    }

    /// When nothing in the ledger matters any more, and the table may drop it.
    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        let challenges = self.challenges.iter().map(|challenge| challenge.expires_at + AFTERLIFE);
        let failures = self.failures.iter().map(|failed_at| *failed_at + self.failure_window);
        let order = self.order.iter().map(|order| order.until);
        challenges.chain(failures).chain(order).max().unwrap_or(Timestamp::from_millis(0))
    }

    /// When the subject may try again, if its consecutive failures have used up `max`.
    #[must_use]
    pub fn locked_until(&self, max: u8, now: Timestamp) -> Option<Timestamp> {
        let living = || self.failures.iter().filter(|at| **at + self.failure_window > now);
        let surplus = living().count().checked_sub(usize::from(max))?;
        living().nth(surplus).map(|at| *at + self.failure_window)
    }

    pub(crate) fn count_failure(&mut self, window: Duration, now: Timestamp) {
        self.failure_window = window;
        self.failures.retain(|at| *at + window > now);
        self.failures.push(now);
    }

    /// Drops what has ended. What is still open is never touched.
    pub(crate) fn prune(&mut self, now: Timestamp) {
        self.challenges.retain(|challenge| now < challenge.expires_at + AFTERLIFE);
        self.failures.retain(|at| *at + self.failure_window > now);
    }

    /// Makes room for one more challenge. Among those that wait for their codes the oldest that
    /// nothing was sent for gives way; when all have been sent, the moment room appears is the
    /// error. Of those that have ended, verified ones stay longest: somebody may yet ask.
    pub(crate) fn make_room(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        self.prune(now);
        let live = |c: &Challenge| c.is_live(now);
        if self.challenges.iter().filter(|c| live(c)).count() >= MAX_LIVE {
            let unsent = self.challenges.iter().position(|c| live(c) && c.sends.is_empty());
            let ends = self.challenges.iter().filter(|c| live(c)).map(|c| c.expires_at).min();
            self.challenges.remove(unsent.ok_or(ends.unwrap_or(now))?);
        }
        if self.challenges.len() >= MAX_CHALLENGES {
            let verified = |c: &Challenge| matches!(c.state, State::Verified(..));
            let given_up = self.challenges.iter().position(|c| !live(c) && !verified(c));
            let ended = given_up.or_else(|| self.challenges.iter().position(|c| !live(c)));
            ended.map(|oldest| self.challenges.remove(oldest));
        }
        Ok(())
    }
}
