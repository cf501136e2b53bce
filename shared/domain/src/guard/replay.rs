//! Replay: what a guard would have refused of the messages in a log. They are judged again, one
//! after the other, by the functions that judge live ones, on ledgers and gauges that begin empty;
//! the time is the log's.
//!
//! A log holds the messages that went out and the challenges that were verified. It does not know
//! who would have come back after a refusal, and neither does a replay: a refused message is
//! counted nowhere, and that is all.

use super::{CallerClass, Counted, Country, Gauges, Guard, NumberType, Sending, Verdict, origin};
use crate::{Address, App, Keyring, Ledger, SubjectKey, Timestamp, message_times::Fate};
use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A message went out.
    Sent(Message),
    /// The challenge with this id was verified.
    Verified(String),
}

/// A message that went out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    id: String,
    to: Address,
    /// What the phone number tells, found out once for all replays.
    origin: Option<(Country, NumberType)>,
    ip: Option<IpAddr>,
}

impl Message {
    /// A message of the challenge that the log names so (a resend has the same name), to an
    /// address, asked for by whoever has this IP address, where that is known.
    #[must_use]
    pub fn new(id: String, to: Address, ip: Option<IpAddr>) -> Self {
        let origin = match &to {
            Address::Phone(phone) => Some(origin(phone)),
            Address::Email(_) | Address::User(_) => None,
        };
        Self { id, to, origin, ip }
    }

    /// The country that a text message goes to.
    #[must_use]
    pub fn country(&self) -> Option<Country> {
        self.origin.map(|(country, _)| country)
    }

    /// The name of its challenge.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it has cost, in millionths of the guard's currency. E-mails cost nothing, as far as
    /// the guard knows.
    #[must_use]
    pub fn price(&self, guard: &Guard) -> u64 {
        self.origin.map_or(0, |(country, _)| guard.spend_cap.price(country))
    }

    fn sending(&self, app: &App, keyring: &Keyring, subject: SubjectKey) -> Sending {
        let to = match &self.to {
            Address::Phone(phone) => self.origin.map(|origin| (phone, origin)),
            Address::Email(_) | Address::User(_) => None,
        };
        Sending::of(app, keyring, subject, to, self.ip, CallerClass::Authenticated)
    }
}

/// Whether a verify was possible in a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// The challenge had a message, and the gauges were told.
    Told,
    /// All messages of the challenge had been refused. Somebody would have waited in vain.
    InVain,
    /// The log has no message of the challenge before, or it was verified before.
    Ignored,
}

/// A challenge of the log.
#[derive(Debug)]
struct Challenge {
    subject: SubjectKey,
    /// Whether nothing was really sent.
    is_test: bool,
    is_verified: bool,
    /// The messages that went out.
    sends: Vec<(Counted, Timestamp)>,
}

/// A guard at work on a log.
pub struct Replay<'a> {
    app: &'a App,
    keyring: &'a Keyring,
    gauges: Gauges,
    ledgers: HashMap<SubjectKey, Ledger>,
    challenges: HashMap<String, Challenge>,
}

impl<'a> Replay<'a> {
    /// The guard of an app, which has seen nothing yet. Any keyring will do.
    #[must_use]
    pub fn new(app: &'a App, keyring: &'a Keyring) -> Self {
        let (gauges, ledgers, challenges) = Default::default();
        Self { app, keyring, gauges, ledgers, challenges }
    }

    /// Judges a message, and counts it unless it is refused. Moments must not go backwards.
    pub fn send(&mut self, message: &Message, at: Timestamp) -> Verdict {
        let Self { app, keyring, gauges, ledgers, .. } = self;
        let challenge = self.challenges.entry(message.id.clone()).or_insert_with(|| Challenge {
            subject: SubjectKey::of_address(keyring, &app.id, &message.to),
            is_test: app.test_address(&message.to).is_some_and(|test| at < test.until),
            is_verified: false,
            sends: Vec::new(),
        });
        if challenge.is_test {
            return Verdict::default();
        }
        let subject = challenge.subject;
        let ledger = ledgers.entry(subject).or_insert_with(|| Ledger::new(app.id.clone()));
        let sending = message.sending(app, keyring, subject);
        let verdict = sending.judge(
            &app.guard,
            &ledger.sent(CallerClass::Authenticated, Fate::Delivered),
            gauges,
            at,
        );
        if verdict.refusal().is_some() {
            gauges.take(&verdict.blocks);
        } else {
            ledger.remember_sent(CallerClass::Authenticated, Fate::Delivered, at);
            gauges.take(&verdict.steps(at));
            challenge.sends.push((verdict.counted.clone(), at));
        }
        verdict
    }

    /// Verifies a challenge, if it has a message.
    pub fn verify(&mut self, id: &str) -> Verified {
        let open = self.challenges.get_mut(id).filter(|challenge| !challenge.is_verified);
        let Some(challenge) = open else { return Verified::Ignored };
        challenge.is_verified = true;
        if challenge.sends.is_empty() && !challenge.is_test {
            return Verified::InVain;
        }
        let sends = challenge.sends.iter().map(|(counted, at)| (counted, *at));
        self.gauges.take(&Counted::all_verified(sends));
        Verified::Told
    }
}

/// What happened, in the order of time.
#[derive(Clone, Debug, Default)]
pub struct Log {
    events: Vec<Event>,
    verified: HashSet<String>,
    strays: usize,
}

impl Log {
    /// The log of these events, in whatever order they come. Those of the same moment keep theirs.
    #[must_use]
    pub fn new(mut events: Vec<Event>) -> Self {
        events.sort_by_key(|event| event.at);
        let (mut sent, mut verified, mut strays) = (HashSet::new(), HashSet::new(), 0);
        for event in &events {
            match &event.what {
                What::Sent(message) => drop(sent.insert(message.id.as_str())),
                What::Verified(id) if sent.contains(id.as_str()) => {
                    verified.insert(id.clone());
                }
                What::Verified(_) => strays += 1,
            }
        }
        Self { events, verified, strays }
    }

    /// All of it, oldest first.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The messages, with the moments when they went out.
    pub fn messages(&self) -> impl Iterator<Item = (Timestamp, &Message)> {
        self.events.iter().filter_map(|event| match &event.what {
            What::Sent(message) => Some((event.at, message)),
            What::Verified(_) => None,
        })
    }

    /// When the first message went out, and the last; without messages the beginning of time.
    #[must_use]
    pub fn span(&self) -> (Timestamp, Timestamp) {
        let mut moments = self.messages().map(|(at, _)| at);
        let first = moments.next().unwrap_or(Timestamp::from_millis(0));
        (first, moments.last().unwrap_or(first))
    }

    /// Whether the challenge of a message was verified.
    #[must_use]
    pub fn is_verified(&self, message: &Message) -> bool {
        self.verified.contains(&message.id)
    }

    /// How many challenges were verified of those that it has messages of.
    #[must_use]
    pub fn verified(&self) -> usize {
        self.verified.len()
    }

    /// How many verifies are of challenges that it has no message of before. They tell nothing.
    #[must_use]
    pub const fn strays(&self) -> usize {
        self.strays
    }

    /// What the messages have cost, in millionths of the guard's currency.
    #[must_use]
    pub fn cost(&self, guard: &Guard) -> u64 {
        self.messages().map(|(_, message)| message.price(guard)).sum()
    }

    /// Replays it with the guard of an app, and tells `done` of every event.
    pub fn replay(&self, app: &App, keyring: &Keyring, mut done: impl FnMut()) -> Tally {
        let mut replay = Replay::new(app, keyring);
        let mut tally = Tally::default();
        for event in &self.events {
            match &event.what {
                What::Sent(message) => {
                    if replay.send(message, event.at).refusal().is_some() {
                        let is_verified = self.is_verified(message);
                        tally.refused.push(Refused { at: event.at, is_verified });
                        tally.saved += message.price(&app.guard);
                    }
                }
                What::Verified(id) => {
                    tally.in_vain += u64::from(replay.verify(id) == Verified::InVain);
                }
            }
            done();
        }
        tally
    }
}

/// A message that went out, and that a guard would have refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// When it went out.
    pub at: Timestamp,
    /// Whether its challenge was verified: somebody wanted it.
    pub is_verified: bool,
}

/// What a guard would have refused of a log, and to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The messages that it refuses, oldest first.
    pub refused: Vec<Refused>,
    /// How many challenges were verified before which every message would have been refused.
    pub in_vain: u64,
    /// What the refused messages have cost, in millionths of the guard's currency.
    pub saved: u64,
}

impl Tally {
    /// How many of the refused messages were of challenges that were verified.
    #[must_use]
    pub fn verified(&self) -> usize {
        self.refused.iter().filter(|refused| refused.is_verified).count()
    }
}
