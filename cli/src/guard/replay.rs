//! Judges the messages of a log again, with the functions that judge live ones. The counters begin
//! empty, and the time is that of the log.
//!
//! A refused message is not counted. The log does not tell who would have come back after a
//! refusal.

use super::log::{EventKind, Log, Message};
use passcode_domain::{
    App, CallerClass, Keyring, SubjectKey, Timestamp,
    guard::{CountedIn, Counters, Origin, Sending, SubjectHistory, Verdict},
    ledger::SUCCESS_RETENTION,
    value::time::Window,
};
use std::collections::HashMap;

/// A challenge of the log.
struct Challenge {
    subject: SubjectKey,
    /// Whether its address was listed for tests, so that no message went out.
    is_test: bool,
    is_verified: bool,
    /// The messages that the guard let through.
    sends: Vec<(CountedIn, Timestamp)>,
}

/// What a verify does in a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// It was counted.
    Counted,
    /// The guard refused all messages of the challenge, so there was no code to verify.
    Impossible,
    /// The challenge has no earlier message, or was verified before.
    Ignored,
}

/// The guard of an app, and what it has counted of a log so far.
pub struct Replay<'a> {
    app: &'a App,
    keyring: &'a Keyring,
    counters: Counters,
    /// The messages of the last day by recipient, oldest first.
    sent: HashMap<SubjectKey, Vec<Timestamp>>,
    challenges: HashMap<String, Challenge>,
    /// The last success of each subject.
    successes: HashMap<SubjectKey, Timestamp>,
}

impl<'a> Replay<'a> {
    /// The guard of an app, with empty counters. The keyring may be any.
    #[must_use]
    pub fn new(app: &'a App, keyring: &'a Keyring) -> Self {
        let (counters, sent, challenges, successes) = Default::default();
        Self { app, keyring, counters, sent, challenges, successes }
    }

    /// Judges a message, and counts it unless it is refused. Times must not decrease.
    pub fn send(&mut self, message: &Message, at: Timestamp) -> Verdict {
        let Self { app, keyring, counters, sent, challenges, successes } = self;
        let challenge = challenges.entry(message.id.clone()).or_insert_with(|| Challenge {
            subject: SubjectKey::of_address(keyring, &app.id, &message.to),
            is_test: app.test_address(&message.to).is_some_and(|test| at < test.until),
            is_verified: false,
            sends: Vec::new(),
        });
        if challenge.is_test {
            return Verdict::default();
        }
        let subject = challenge.subject;
        let caller = CallerClass::Authenticated;
        let sending =
            Sending::new(app, keyring, (&message.to, false), Origin::from(message.ip), caller);
        let sent = sent.entry(subject).or_default();
        sent.retain(|earlier| *earlier + Window::Day.span() > at);
        let last_success = successes.get(&subject).copied();
        let last_success = last_success.filter(|last| *last + SUCCESS_RETENTION > at);
        let history = SubjectHistory { sent: sent.as_slice(), last_success };
        let verdict = sending.judge(&app.guard, history, counters, false, at);
        if verdict.refusal().is_none() {
            sent.push(at);
            for reservation in &verdict.reservations {
                counters.entry(reservation.key).or_default().reserve(reservation);
            }
            challenge.sends.push((verdict.counted_in, at));
        }
        verdict
    }

    /// Verifies a challenge, if it has a message.
    pub fn verify(&mut self, id: &str, at: Timestamp) -> Verified {
        let open = self.challenges.get_mut(id).filter(|challenge| !challenge.is_verified);
        let Some(challenge) = open else { return Verified::Ignored };
        challenge.is_verified = true;
        if challenge.sends.is_empty() && !challenge.is_test {
            return Verified::Impossible;
        }
        let before = self.successes.insert(challenge.subject, at);
        if before.is_none_or(|before| before.days() != at.days()) {
            for count in CountedIn::verified(&challenge.sends) {
                self.counters.entry(count.key).or_default().count_verified(&count);
            }
        }
        Verified::Counted
    }
}

/// A message that was sent, and that the guard refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// When it was sent.
    pub at: Timestamp,
    /// Whether its challenge was verified, so that a real person was refused.
    pub is_verified: bool,
}

/// What a guard refuses of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The refused messages, oldest first.
    pub refused: Vec<Refused>,
    /// The number of verified challenges of which every earlier message is refused.
    pub lost: u64,
    /// What the refused messages cost, in millionths of the guard's currency.
    pub saved: u64,
}

impl Tally {
    /// Replays a log with the guard of an app. Calls `done` after every event.
    pub fn of(log: &Log, app: &App, keyring: &Keyring, mut done: impl FnMut()) -> Self {
        let mut replay = Replay::new(app, keyring);
        let mut tally = Self::default();
        for event in &log.events {
            match &event.kind {
                EventKind::Send(message) => {
                    if replay.send(message, event.at).refusal().is_some() {
                        let is_verified = log.is_verified(message);
                        tally.refused.push(Refused { at: event.at, is_verified });
                        tally.saved += message.price(&app.guard);
                    }
                }
                EventKind::Verify(id) => {
                    tally.lost += u64::from(replay.verify(id, event.at) == Verified::Impossible);
                }
            }
            done();
        }
        tally
    }

    /// How many of the refused messages belong to challenges that were verified.
    #[must_use]
    pub fn verified(&self) -> usize {
        self.refused.iter().filter(|refused| refused.is_verified).count()
    }
}
