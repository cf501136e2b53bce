//! The ledger: all open challenges and the counters of one subject. One stored item, one version.

use crate::{
    AppId, Challenge, ChallengeId, Timestamp,
    challenge::{Lookup, State, Trace},
    failures::Failures,
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
    /// Wrong codes for challenges that callers know by their ids; a right one clears them.
    #[serde(default, skip_serializing_if = "Failures::is_empty")]
    pub failures: Failures,
    /// Wrong codes for challenges that callers find by naming the subject. Anybody can name
    /// anybody, so these never count against the challenges above.
    #[serde(default, skip_serializing_if = "Failures::is_empty")]
    pub identity_failures: Failures,
    /// Wrong PINs and passwords of a user; only a right one clears them.
    #[serde(default, skip_serializing_if = "Failures::is_empty")]
    pub secret_failures: Failures,
    /// Where an order leads, in the item that an order has of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
}

impl Ledger {
    /// The ledger of a subject that was never heard of.
    #[must_use]
    pub fn new(app: AppId) -> Self {
        Self {
            app,
            challenges: Vec::new(),
            failures: Failures::default(),
            identity_failures: Failures::default(),
            secret_failures: Failures::default(),
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
        let kinds = [&self.failures, &self.identity_failures, &self.secret_failures];
        let failures = kinds.into_iter().filter_map(Failures::ends_at);
        let order = self.order.iter().map(|order| order.until);
        challenges.chain(failures).chain(order).max().unwrap_or(Timestamp::from_millis(0))
    }

    /// When no failures stand in the way of a challenge any more, if some do. Nothing locks a
    /// challenge that reaches nobody.
    #[must_use]
    pub fn locked_until(&self, challenge: &Challenge, now: Timestamp) -> Option<Timestamp> {
        if challenge.silence.is_some() {
            return None;
        }
        self.failures_of(challenge.lookup).locked_until(&challenge.policy, now)
    }

    /// The failures that challenges found this way count.
    #[must_use]
    pub const fn failures_of(&self, lookup: Lookup) -> &Failures {
        match lookup {
            Lookup::Id | Lookup::Address => &self.failures,
            Lookup::Identity => &self.identity_failures,
        }
    }

    pub(crate) const fn failures_of_mut(&mut self, lookup: Lookup) -> &mut Failures {
        match lookup {
            Lookup::Id | Lookup::Address => &mut self.failures,
            Lookup::Identity => &mut self.identity_failures,
        }
    }

    /// The challenge that naming the subject leads to: the last one that was sent and still waits,
    /// or else the last one that was sent.
    #[must_use]
    pub fn named(&self, now: Timestamp) -> Option<&Challenge> {
        let sent = || {
            let by_identity = |c: &&Challenge| c.lookup == Lookup::Identity && !c.sends.is_empty();
            self.challenges.iter().rev().filter(by_identity)
        };
        sent().find(|challenge| challenge.is_live(now)).or_else(|| sent().next())
    }

    /// Drops what has ended. What is still open is never touched.
    pub(crate) fn prune(&mut self, now: Timestamp) {
        self.challenges.retain(|challenge| now < challenge.expires_at + AFTERLIFE);
        self.failures.prune(now);
        self.identity_failures.prune(now);
        self.secret_failures.prune(now);
    }

    /// Makes room for one more challenge. Among those that wait for their codes the oldest that
    /// nothing was sent for gives way, and then the oldest that reached nobody; when all have been
    /// sent, the moment room appears is the error. Of those that have ended, verified ones stay
    /// longest: somebody may yet ask.
    pub(crate) fn make_room(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        self.prune(now);
        let live = |c: &Challenge| c.is_live(now);
        if self.challenges.iter().filter(|c| live(c)).count() >= MAX_LIVE {
            let position = |gives_way: fn(&Challenge) -> bool| {
                self.challenges.iter().position(|c| live(c) && gives_way(c))
            };
            let unsent = position(|c| c.sends.is_empty());
            let oldest = unsent.or_else(|| position(|c| c.silence.is_some()));
            let ends = self.challenges.iter().filter(|c| live(c)).map(|c| c.expires_at).min();
            self.challenges.remove(oldest.ok_or(ends.unwrap_or(now))?);
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
