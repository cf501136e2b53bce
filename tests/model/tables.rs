//! What a port call does to the world.

use crate::replay::{Answer, Call, Counted, Fields, Held, Name};
use passcode_domain::{
    guard::{Counter, Field, Reservation},
    value::id::CounterKey,
};
use std::{collections::BTreeMap, sync::Arc};

/// A promise of a port that a world does not keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// A stored ledger has as many attempts and failures as before.
    AttemptNotCounted,
    /// A stored ledger leaves its challenges as open as before.
    SuccessNotKept,
    /// A stored ledger has no more messages than before.
    ClaimNotKept,
    /// A store replaces whatever version is there.
    VersionNotChecked,
    /// A reservation looks at no bound of the present half hour.
    BoundNotChecked,
    /// A reservation does not look at the half hour before.
    PreviousNotChecked,
    /// A reservation does not look at whether a later half hour has begun.
    NewestNotChecked,
    /// What is given back is given back once more.
    GivenBackTwice,
    /// What is reserved is not counted.
    NotReserved,
    /// Whoever stores is told that somebody else was faster.
    OwnWriteNotKnown,
}

/// Everything that is stored, and everything that was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Tables {
    pub(crate) items: BTreeMap<Name, (Arc<str>, u64)>,
    pub(crate) counters: BTreeMap<CounterKey, BTreeMap<Field, u64>>,
    /// The codes that have gone out to each address, oldest first.
    pub(crate) messages: BTreeMap<String, Vec<String>>,
    pub(crate) is_edited: bool,
    pub(crate) is_rotated: bool,
}

impl Tables {
    /// Does what a call asks for.
    pub(crate) fn effect(&mut self, call: &Call, mutation: Option<Mutation>) -> Answer {
        match call {
            Call::Load(name) => {
                let stored = self.items.get(name);
                Answer::Loaded(stored.map(|(document, _)| document.clone()), version(stored))
            }
            Call::Store(name, document, seen) => self.store(*name, document, *seen, mutation),
            Call::LoadCounters(keys) => Answer::Counters(self.read(keys)),
            Call::Reserve(Held(reservation)) => self.reserve(reservation, mutation),
            Call::GiveBack(Held(reservation)) => {
                let times = if mutation == Some(Mutation::GivenBackTwice) { 2 } else { 1 };
                (0..times).for_each(|_| self.change(reservation.key, |c| c.give_back(reservation)));
                Answer::Done
            }
            Call::CountVerified(Counted(count)) => {
                self.change(count.key, |counter| counter.count_verified(count));
                Answer::Done
            }
            Call::LoadApp => Answer::Changed(self.is_edited),
            Call::Keyring => Answer::Changed(self.is_rotated),
            Call::Send(to, code) => {
                self.messages.entry(to.clone()).or_default().push(code.clone());
                Answer::Done
            }
            Call::ReadCode(to) => {
                Answer::Code(self.messages.get(to).and_then(|codes| codes.last().cloned()))
            }
        }
    }

    fn store(
        &mut self,
        name: Name,
        document: &Arc<str>,
        seen: u64,
        mutation: Option<Mutation>,
    ) -> Answer {
        let stored = self.items.get(&name);
        let held = version(stored);
        if held != seen && mutation != Some(Mutation::VersionNotChecked) {
            return Answer::Conflict;
        }
        let before = stored.map(|(document, _)| document);
        let document = match (mutation, before) {
            (Some(mutation), Some(before)) => mutated(before, document, mutation),
            _ => document.clone(),
        };
        self.items.insert(name, (document, held + 1));
        if mutation == Some(Mutation::OwnWriteNotKnown) {
            return Answer::Conflict;
        }
        Answer::Stored(held + 1)
    }

    pub(crate) fn read(&self, keys: &[CounterKey]) -> Vec<(CounterKey, Fields)> {
        let read = |key: &CounterKey| Some((*key, fields(self.counters.get(key)?)));
        keys.iter().filter_map(read).collect()
    }

    fn counter(&self, key: CounterKey) -> Counter {
        self.counters.get(&key).map(fields).unwrap_or_default().into_iter().collect()
    }

    fn change(&mut self, key: CounterKey, change: impl FnOnce(&mut Counter)) {
        let mut counter = self.counter(key);
        change(&mut counter);
        self.counters.insert(key, counter.fields().collect());
    }

    fn reserve(&mut self, reservation: &Reservation, mutation: Option<Mutation>) -> Answer {
        let mut checked = reservation.clone();
        let present = Field::Sent(reservation.slot);
        checked.at_most.retain(|(field, _)| match mutation {
            Some(Mutation::BoundNotChecked) => *field != present,
            Some(Mutation::PreviousNotChecked) => [present, Field::Newest].contains(field),
            Some(Mutation::NewestNotChecked) => *field != Field::Newest,
            _ => true,
        });
        let counter = self.counter(reservation.key);
        if !counter.allows(&checked) {
            return Answer::Refused(counter.fields().collect());
        }
        if mutation != Some(Mutation::NotReserved) {
            self.change(reservation.key, |counter| counter.reserve(reservation));
        }
        Answer::Done
    }
}

fn version(stored: Option<&(Arc<str>, u64)>) -> u64 {
    stored.map_or(0, |(_, version)| *version)
}

fn fields(counter: &BTreeMap<Field, u64>) -> Fields {
    counter.iter().map(|(field, value)| (*field, *value)).collect()
}

/// A ledger as a broken decision would have left it.
fn mutated(before: &str, after: &Arc<str>, mutation: Mutation) -> Arc<str> {
    let [before, mut changed]: [serde_json::Value; 2] =
        [before, after].map(|document| serde_json::from_str(document).unwrap());
    let kept: &[&str] = match mutation {
        Mutation::AttemptNotCounted => &["attempts"],
        Mutation::SuccessNotKept => &["state"],
        Mutation::ClaimNotKept => &["sends", "generation"],
        _ => return after.clone(),
    };
    let Some(challenges) = changed.get_mut("challenges").and_then(|all| all.as_array_mut()) else {
        return after.clone();
    };
    let old = before["challenges"].as_array().cloned().unwrap_or_default();
    for (challenge, old) in challenges.iter_mut().zip(&old) {
        for field in kept {
            challenge[*field] = old.get(*field).cloned().unwrap_or_default();
        }
        challenge.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    }
    if let Some(document) = changed.as_object_mut() {
        let kept = match mutation {
            Mutation::AttemptNotCounted => "failures",
            Mutation::ClaimNotKept => "messages",
            _ => "",
        };
        document.remove(kept);
        document.extend(before.get(kept).map(|value| (kept.to_owned(), value.clone())));
    }
    changed.to_string().into()
}
