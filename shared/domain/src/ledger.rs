//! The ledger: all open challenges and the counters of one subject. One stored item, one version.

use crate::{
    AppId, Challenge, ChallengeId, Timestamp,
    challenge::{Lookup, Silence, State, Trace},
    failures::{self, Failures, SecretFailures},
    guard::{CallerClass, Window},
    idempotency::KeptRequest,
    message_times::{Fate, MessageTimes},
    order::Order,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// A subject has at most this many challenges of a kind that wait for their codes.
pub const MAX_LIVE: usize = 8;

/// A ledger holds at most this many challenges of a kind, ended ones included.
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
    /// Wrong codes for challenges of anonymous callers, which count against those alone.
    #[serde(default, skip_serializing_if = "Failures::is_empty")]
    pub anonymous_failures: Failures,
    /// Wrong codes for challenges of users who have shown a token, which count against those alone.
    #[serde(default, skip_serializing_if = "Failures::is_empty")]
    pub user_failures: Failures,
    /// A user's wrong PINs, until the right one or whatever else clears them; no time does.
    #[serde(default, skip_serializing_if = "SecretFailures::is_empty")]
    pub pin_failures: SecretFailures,
    /// The same of passwords.
    #[serde(default, skip_serializing_if = "SecretFailures::is_empty")]
    pub password_failures: SecretFailures,
    /// Wrong codes for challenges that reach nobody. They make their caller wait as others do, and
    /// count against nothing that is real.
    #[serde(default, skip_serializing_if = "Failures::is_empty")]
    pub concealed_failures: Failures,
    /// When messages went to the subject, by who asked for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub messages: BTreeMap<CallerClass, MessageTimes>,
    /// Where an order leads, in the item that an order has of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// A request that came with a key, in the item that it has of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<KeptRequest>,
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
            anonymous_failures: Failures::default(),
            user_failures: Failures::default(),
            pin_failures: SecretFailures::default(),
            password_failures: SecretFailures::default(),
            concealed_failures: Failures::default(),
            messages: BTreeMap::new(),
            order: None,
            request: None,
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
        let challenge = self.find(id);
        let last = challenge.and_then(Challenge::last_send);
        Trace {
            app: self.app.clone(),
            channel: last.map(|send| send.channel),
            failed_verifies: challenge.map(|challenge| challenge.policy.failed_verifies),
        }
    }

    /// When nothing in the ledger matters any more, and the table may drop it.
    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        let challenges = self.challenges.iter().map(|challenge| challenge.expires_at + AFTERLIFE);
        let failures = self.all_failures().into_iter().filter_map(Failures::ends_at);
        let order = self.order.iter().map(|order| order.until);
        let request = self.request.iter().map(|request| request.until);
        let sent = self.messages.values().filter_map(MessageTimes::ends_at);
        let secrets = self.has_secret_failures().then_some(failures::NEVER);
        let all = challenges.chain(failures).chain(secrets).chain(order).chain(request).chain(sent);
        all.max().unwrap_or(Timestamp::from_millis(0))
    }

    /// When no failures stand in the way of a challenge any more, if some do. Nothing locks a
    /// concealed challenge, which is there because of the lock.
    #[must_use]
    pub fn locked_until(&self, challenge: &Challenge, now: Timestamp) -> Option<Timestamp> {
        if challenge.silence == Some(Silence::Concealed) {
            return None;
        }
        self.failures_of(challenge.lookup).locked_until(&challenge.policy, now)
    }

    /// When the pause after a failure that stands in the way of a challenge ends, if one does.
    #[must_use]
    pub fn paused_until(&self, challenge: &Challenge, now: Timestamp) -> Option<Timestamp> {
        let failures = match challenge.silence {
            Some(Silence::Concealed) => &self.concealed_failures,
            Some(Silence::Test(_)) | None => self.failures_of(challenge.lookup),
        };
        failures.paused_until(&challenge.policy, now)
    }

    /// The failures that challenges found this way count.
    #[must_use]
    pub const fn failures_of(&self, lookup: Lookup) -> &Failures {
        match lookup {
            Lookup::Id => &self.failures,
            Lookup::Identity => &self.identity_failures,
            Lookup::Anonymous => &self.anonymous_failures,
            Lookup::User => &self.user_failures,
        }
    }

    pub(crate) const fn failures_of_mut(&mut self, lookup: Lookup) -> &mut Failures {
        match lookup {
            Lookup::Id => &mut self.failures,
            Lookup::Identity => &mut self.identity_failures,
            Lookup::Anonymous => &mut self.anonymous_failures,
            Lookup::User => &mut self.user_failures,
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
        self.all_failures_mut().into_iter().for_each(|failures| failures.prune(now));
        self.messages.values_mut().for_each(|times| times.prune(now));
        self.messages.retain(|_, times| !times.is_empty());
    }

    /// Forgets a user's wrong PINs and passwords.
    pub(crate) fn unlock_secrets(&mut self) {
        self.pin_failures.clear();
        self.password_failures.clear();
    }

    /// Whether a user's wrong PINs or passwords are counted.
    pub(crate) const fn has_secret_failures(&self) -> bool {
        !self.pin_failures.is_empty() || !self.password_failures.is_empty()
    }

    /// The failures of every kind that ages.
    const fn all_failures(&self) -> [&Failures; 5] {
        [
            &self.failures,
            &self.identity_failures,
            &self.anonymous_failures,
            &self.user_failures,
            &self.concealed_failures,
        ]
    }

    const fn all_failures_mut(&mut self) -> [&mut Failures; 5] {
        [
            &mut self.failures,
            &mut self.identity_failures,
            &mut self.anonymous_failures,
            &mut self.user_failures,
            &mut self.concealed_failures,
        ]
    }

    /// The messages that count for one of this fate, of those that a class of callers has asked for,
    /// oldest first.
    #[must_use]
    pub fn sent(&self, by: CallerClass, fate: Fate) -> Vec<Timestamp> {
        self.messages.get(&by).map(|times| times.counted_for(fate)).unwrap_or_default()
    }

    /// Those of them that the next one has to keep away from: of the last hour, and since the class last
    /// succeeded.
    pub(crate) fn unanswered(&self, by: CallerClass, fate: Fate, now: Timestamp) -> Vec<Timestamp> {
        let own = self.challenges.iter().filter(|c| CallerClass::from(c.lookup) == by);
        let succeeded = own.filter_map(Challenge::verified_at).max();
        let mut sent = self.sent(by, fate);
        sent.retain(|at| {
            *at + Window::Hour.span() > now && succeeded.is_none_or(|succeeded| *at > succeeded)
        });
        sent
    }

    /// Remembers that a message goes out, or is suppressed.
    pub(crate) fn remember_sent(&mut self, by: CallerClass, fate: Fate, now: Timestamp) {
        self.messages.entry(by).or_default().remember(fate, now);
    }

    /// Forgets a message that was claimed then and has certainly not gone out.
    pub(crate) fn forget_sent(&mut self, by: CallerClass, at: Timestamp) {
        if let Some(times) = self.messages.get_mut(&by) {
            times.forget(at);
        }
    }

    /// Makes room for one more challenge among those that are found in the same way: nobody pushes
    /// out, or shuts out, what others know in another way. Of those that wait for their codes the
    /// oldest that nothing was sent for gives way, then the oldest that reaches nobody; when all have
    /// been sent, the moment room appears is the error. Of those that have ended, verified ones stay
    /// longest, since somebody may yet ask; and one whose attempts are spent stays until its time is
    /// over, so that its id cannot be opened anew.
    pub(crate) fn make_room(&mut self, lookup: Lookup, now: Timestamp) -> Result<(), Timestamp> {
        self.prune(now);
        let own = |c: &Challenge| c.lookup == lookup;
        let live = |c: &Challenge| own(c) && c.is_live(now);
        let ends = self.challenges.iter().filter(|c| own(c)).map(|c| c.expires_at).min();
        if self.challenges.iter().filter(|c| live(c)).count() >= MAX_LIVE {
            let ends = self.challenges.iter().filter(|c| live(c)).map(|c| c.expires_at).min();
            let unsent = self.challenges.iter().position(|c| live(c) && c.sends.is_empty());
            let silent = || self.challenges.iter().position(|c| live(c) && c.silence.is_some());
            let oldest = unsent.or_else(silent);
            self.challenges.remove(oldest.ok_or(ends.unwrap_or(now))?);
        }
        if self.challenges.iter().filter(|c| own(c)).count() >= MAX_CHALLENGES {
            let first = |ended: &dyn Fn(&Challenge) -> bool| {
                self.challenges.iter().position(|c| own(c) && ended(c))
            };
            let oldest = first(&|c| c.has_expired(now) && !c.is_verified())
                .or_else(|| first(&|c| c.state == State::Cancelled))
                .or_else(|| first(&Challenge::is_verified))
                .or_else(|| first(&|c| live(c) && c.sends.is_empty()));
            self.challenges.remove(oldest.ok_or(ends.unwrap_or(now))?);
        }
        Ok(())
    }
}
