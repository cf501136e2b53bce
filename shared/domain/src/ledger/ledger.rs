//! The ledger: all sent challenges and the counters of one subject. One stored item, one version.

use super::{
    Item,
    challenge::{Challenge, Lookup, Trace},
    failures::{FailureClass, Failures, NO_EXPIRY, SecretFailures, SecretKind},
    receipt::Undeliverable,
    room::Evicted,
};
use crate::{
    app::guard::MAX_PER_ADDRESS,
    value::{
        caller::CallerClass,
        id::{AppId, ChallengeId},
        time::{Timestamp, Window},
    },
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// An ended challenge stays this long, so that its id is answered "expired" and not "not found".
pub const ENDED_RETENTION: Duration = Duration::from_hours(1);

/// Whoever has succeeded within this time is no newcomer to the guard's detectors.
pub const SUCCESS_RETENTION: Duration = Duration::from_hours(90 * 24);

/// Messages of the last day, oldest first, by who has asked for them.
type MessageTimes = BTreeMap<CallerClass, Vec<Timestamp>>;

/// Everything that is kept of one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// The app the subject belongs to.
    pub app: AppId,
    /// Its challenges, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub challenges: Vec<Challenge>,
    /// Challenges that have made room for others before their lives were over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) evicted: Vec<Evicted>,
    /// Wrong codes since the last right one, by whose challenges they were tried at. Each kind counts
    /// against its own challenges alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failures: BTreeMap<FailureClass, Failures>,
    /// A user's wrong PINs and passwords, until whatever clears them; no time does.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secret_failures: BTreeMap<SecretKind, SecretFailures>,
    /// The messages that went out, or may have; those to test addresses as well.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub messages: MessageTimes,
    /// The messages that were concealed. They hold back other concealed ones, as if they had gone out,
    /// and none that is delivered: a blocked caller shuts nobody else out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub concealed_messages: MessageTimes,
    /// The last success by a code that was sent to the subject. It is kept for [`SUCCESS_RETENTION`], with
    /// nothing else of the subject. Of each UTC day, the first success is counted in counters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success: Option<Timestamp>,
    /// Its addresses that get nothing more for a while.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) undeliverable: Vec<Undeliverable>,
}

impl Item for Ledger {
    fn expires_at(&self) -> Timestamp {
        let challenges = self.challenges.iter().map(|c| c.expires_at + ENDED_RETENTION);
        let evicted = self.evicted.iter().map(|evicted| evicted.until);
        let failures = self.failures.values().filter_map(Failures::ends_at);
        let all_messages = self.messages.values().chain(self.concealed_messages.values());
        let messages = all_messages.filter_map(|times| Some(*times.last()? + Window::Day.span()));
        let secrets = self.has_secret_failures().then_some(NO_EXPIRY);
        let success = self.last_success.map(|at| at + SUCCESS_RETENTION);
        let all = challenges.chain(evicted).chain(failures).chain(secrets).chain(messages);
        let undeliverable = self.undeliverable.iter().map(|address| address.until);
        let all = all.chain(success).chain(undeliverable);
        all.max().unwrap_or(Timestamp::from_millis(0))
    }
}

impl Ledger {
    /// The ledger of a subject that was never heard of.
    #[must_use]
    pub const fn new(app: AppId) -> Self {
        Self {
            app,
            challenges: Vec::new(),
            evicted: Vec::new(),
            failures: BTreeMap::new(),
            secret_failures: BTreeMap::new(),
            messages: BTreeMap::new(),
            concealed_messages: BTreeMap::new(),
            last_success: None,
            undeliverable: Vec::new(),
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

    /// What logs and metrics may know of a challenge.
    #[must_use]
    pub fn trace(&self, id: ChallengeId) -> Trace {
        let challenge = self.find(id);
        let last = challenge.and_then(Challenge::last_send);
        Trace {
            app: self.app.clone(),
            channel: last.map(|send| send.channel),
            country: last.and_then(|send| send.counted_in.to),
            failed_verifies: challenge
                .zip(last)
                .map(|(challenge, send)| (challenge.policy.failed_verifies, send.length)),
        }
    }

    /// When failures no longer lock a challenge, if they do now. Nothing locks a concealed challenge,
    /// which is there because of the lock.
    #[must_use]
    pub fn locked_until(&self, challenge: &Challenge, now: Timestamp) -> Option<Timestamp> {
        if challenge.is_concealed() {
            return None;
        }
        self.failures_of(challenge)?.locked_until(&challenge.policy, now)
    }

    /// When the pause after a failure that stands in the way of a challenge ends, if one does.
    #[must_use]
    pub fn paused_until(&self, challenge: &Challenge, now: Timestamp) -> Option<Timestamp> {
        self.failures_of(challenge)?.paused_until(&challenge.policy, now)
    }

    fn failures_of(&self, challenge: &Challenge) -> Option<&Failures> {
        self.failures.get(&FailureClass::of(challenge))
    }

    /// Whether a user's wrong PINs or passwords are counted.
    pub(crate) fn has_secret_failures(&self) -> bool {
        !self.secret_failures.is_empty()
    }

    /// The messages that count for the next one of a class of callers, oldest first: for a concealed
    /// message the concealed ones count as well.
    #[must_use]
    pub fn messages_before(&self, by: CallerClass, is_concealed: bool) -> Vec<Timestamp> {
        let mut times = self.messages.get(&by).cloned().unwrap_or_default();
        if is_concealed && let Some(concealed) = self.concealed_messages.get(&by) {
            times.extend(concealed);
            times.sort_unstable();
        }
        times
    }

    /// Those of them that hold the next one back by its cool-down: of the last hour, and since the class
    /// last succeeded. One that has certainly reached nobody holds nothing back.
    pub(crate) fn unanswered(
        &self,
        by: CallerClass,
        is_concealed: bool,
        now: Timestamp,
    ) -> Vec<Timestamp> {
        let own = self.challenges.iter().filter(|c| CallerClass::from(c.lookup) == by);
        let succeeded = own.clone().filter_map(Challenge::verified_at).max();
        let failed = own.flat_map(|challenge| &challenge.sends).filter(|send| send.has_failed());
        let failed: Vec<Timestamp> = failed.map(|send| send.at).collect();
        let mut times = self.messages_before(by, is_concealed);
        times.retain(|at| {
            let is_recent = *at + Window::Hour.span() > now;
            is_recent && succeeded.is_none_or(|succeeded| *at > succeeded) && !failed.contains(at)
        });
        times
    }

    /// Counts a message, of which at most [`MAX_PER_ADDRESS`] a class of callers are remembered.
    pub(crate) fn count_message(&mut self, by: CallerClass, is_concealed: bool, now: Timestamp) {
        let all = if is_concealed { &mut self.concealed_messages } else { &mut self.messages };
        let times = all.entry(by).or_default();
        times.retain(|at| *at + Window::Day.span() > now);
        times.push(now);
        let surplus = times.len().saturating_sub(MAX_PER_ADDRESS as usize);
        times.drain(..surplus);
    }

    /// Takes back a message that was counted then and has certainly not gone out.
    pub(crate) fn uncount_message(&mut self, by: CallerClass, is_concealed: bool, at: Timestamp) {
        let all = if is_concealed { &mut self.concealed_messages } else { &mut self.messages };
        let Some(times) = all.get_mut(&by) else { return };
        if let Some(position) = times.iter().rposition(|sent| *sent == at) {
            times.remove(position);
        }
        all.retain(|_, times| !times.is_empty());
    }

    /// Drops what has ended. What is still open is never touched.
    pub(crate) fn prune(&mut self, now: Timestamp) {
        self.challenges.retain(|challenge| now < challenge.expires_at + ENDED_RETENTION);
        self.evicted.retain(|evicted| now < evicted.until);
        self.failures.retain(|_, failures| !failures.prune(now).is_empty());
        self.last_success = self.last_success.filter(|at| *at + SUCCESS_RETENTION > now);
        self.undeliverable.retain(|address| address.until > now);
        for all in [&mut self.messages, &mut self.concealed_messages] {
            all.retain(|_, times| {
                times.retain(|at| *at + Window::Day.span() > now);
                !times.is_empty()
            });
        }
    }
}
