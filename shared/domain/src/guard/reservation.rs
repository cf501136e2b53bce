//! Reservations: one message taken from a counter before it is sent.

use super::counter::{Counter, Field, Slot};
use crate::value::{
    country::Country,
    id::CounterKey,
    time::{Timestamp, Window},
};
use serde::{Deserialize, Serialize};

/// One message more in one counter, on conditions that hold every limit to the message: what was counted
/// in the present half hour is bounded, the half hours before are as they were read, and nobody has begun
/// a later one. So a reading of some moments ago does no harm: it costs another try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Which counter.
    pub key: CounterKey,
    /// The half hour that the message is counted in.
    pub slot: Slot,
    /// What is added.
    pub add: Vec<(Field, u64)>,
    /// What is put in its place.
    pub set: Vec<(Field, u64)>,
    /// What attributes may hold at most before; one that is not there is zero.
    pub at_most: Vec<(Field, u64)>,
    /// Attributes that no window looks back at any more.
    pub stale: Vec<Field>,
}

/// What a verify adds to one counter: messages of a challenge that was verified, or wrong codes; or what a receipt
/// adds: a message that has bounced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyCount {
    /// Which counter.
    pub key: CounterKey,
    /// The half hour that the counter is kept by.
    pub slot: Slot,
    /// What is added.
    pub add: (Field, u64),
    /// What is put in its place.
    pub set: Option<(Field, u64)>,
}

impl Counter {
    /// Whether a reservation may be made.
    #[must_use]
    pub fn allows(&self, reservation: &Reservation) -> bool {
        let within = |(field, most): &(Field, u64)| self.get(*field) <= *most;
        reservation.at_most.iter().all(within)
    }

    /// Makes a reservation, allowed or not.
    pub fn reserve(&mut self, reservation: &Reservation) {
        reservation.add.iter().for_each(|(field, by)| *self.entry(*field) += by);
        reservation.set.iter().for_each(|(field, value)| *self.entry(*field) = *value);
        reservation.stale.iter().for_each(|field| self.remove(*field));
    }

    /// Takes a reservation back.
    pub fn give_back(&mut self, reservation: &Reservation) {
        for (field, by) in &reservation.add {
            let value = self.entry(*field);
            *value = value.saturating_sub(*by);
        }
    }

    /// Counts what a verify adds.
    pub fn count_verified(&mut self, count: &VerifyCount) {
        let (field, by) = count.add;
        *self.entry(field) += by;
        if let Some((field, value)) = count.set {
            *self.entry(field) = value;
        }
    }
}

/// The counters that a message was counted in, kept with it so that a success can be counted in the
/// same ones: who verifies does not know the IP address that asked for the message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedIn {
    /// The counter of the IP address that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<CounterKey>,
    /// The counter of the country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<CounterKey>,
    /// The counter of the number's prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<CounterKey>,
    /// The country that the message went to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Country>,
}

impl CountedIn {
    /// What a success is counted as: the messages of its challenge that were counted where the last one
    /// was and in the same half hour, oldest first. At most three counters are written.
    #[must_use]
    pub fn verified(sends: &[(Self, Timestamp)]) -> Vec<VerifyCount> {
        let Some((last, at)) = sends.last() else { return Vec::new() };
        let slot = Slot::of(*at);
        let alike = sends.iter().filter(|(counted, at)| counted == last && Slot::of(*at) == slot);
        let add = (Field::Verified(slot), alike.count() as u64);
        let counters = [(last.ip, last.to), (last.country, None), (last.prefix, None)];
        let count = |(key, country): (Option<CounterKey>, Option<Country>)| {
            let set = country.map(|country| (Field::VerifiedIn(country), slot.number()));
            key.map(|key| VerifyCount { key, slot, add, set })
        };
        counters.into_iter().filter_map(count).collect()
    }

    /// What a message of then is counted as whose address has bounced, where the IP address is known and a
    /// window still looks back at it. The counter is kept by the present half hour: by that of the message it
    /// could end while it still counts others.
    #[must_use]
    pub fn bounced(&self, at: Timestamp, now: Timestamp) -> Option<VerifyCount> {
        let (slot, add) = (Slot::of(now), (Field::Bounced(Slot::of(at)), 1));
        let count = |key| VerifyCount { key, slot, add, set: None };
        self.ip.filter(|_| at + Window::Day.span() > now).map(count)
    }
}
