//! The judgement of a message: what the rules find, and what is reserved in which counters.

use super::{
    counter::{Counter, Counters, Field, Slot},
    reservation::{CountedIn, Reservation},
    rules::{Finding, GuardRefusal, Reading, Room, Terms, fixed_rooms},
    sending::{Dimension, Sending, Standing, SubjectHistory},
};
use crate::{
    app::guard::Guard,
    value::{id::CounterKey, time::Timestamp},
};

/// What the rules have decided on a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What speaks against it, in the order of the rules.
    pub findings: Vec<Finding>,
    /// What is reserved before it goes out.
    pub reservations: Vec<Reservation>,
    /// Where a success of its challenge is counted.
    pub counted_in: CountedIn,
    /// Whether it is the first of a day that a server has asked for without saying for whom, so that the
    /// detectors across addresses do not refuse it.
    pub lacks_origin: bool,
    /// What a counter that refuses its reservation is judged by.
    pub terms: Terms,
}

impl Verdict {
    /// Why the message is not sent. One that is to be concealed is held back by limits alone.
    #[must_use]
    pub fn refusal(&self) -> Option<GuardRefusal> {
        first_refusal(&self.findings, self.terms)
    }
}

fn first_refusal(findings: &[Finding], terms: Terms) -> Option<GuardRefusal> {
    let enforced = findings.iter().filter(|finding| finding.is_enforced);
    let mut refusals = enforced.map(|finding| finding.refusal);
    refusals.find(|refusal| !terms.is_concealed || !refusal.is_block())
}

impl Sending {
    /// Judges it: by what is known of its subject, and by the counters.
    #[must_use]
    pub fn judge(
        &self,
        guard: &Guard,
        subject: SubjectHistory<'_>,
        counters: &Counters,
        is_concealed: bool,
        now: Timestamp,
    ) -> Verdict {
        let empty = Counter::default();
        let of = |key: &CounterKey| counters.get(key).unwrap_or(&empty);
        let read: Vec<(Dimension, CounterKey, &Counter)> =
            self.counters.iter().map(|(dimension, key)| (*dimension, *key, of(key))).collect();
        let standing = subject.standing(now);
        let is_under_attack = |(dimension, _, counter): &(Dimension, CounterKey, &Counter)| {
            *dimension != Dimension::Ip
                && self.reading(guard, counter, now).is_under_attack(*dimension)
        };
        let terms = Terms {
            is_concealed,
            standing,
            is_tightened: standing == Standing::Newcomer && read.iter().any(is_under_attack),
        };
        let mut rooms = fixed_rooms(guard, self.text.as_ref(), subject.sent, now);
        let mut reservations = Vec::new();
        for (dimension, key, counter) in &read {
            let of_counter = self.reading(guard, counter, now).rooms(*dimension, terms);
            if !is_concealed || *dimension == Dimension::Ip {
                let reservation = self.reserve(*dimension, *key, counter, &of_counter, terms, now);
                reservations.push(reservation);
            }
            rooms.extend(of_counter);
        }
        let counted_in = if is_concealed { CountedIn::default() } else { self.counted_in() };
        let of_app = read.iter().find(|(dimension, ..)| *dimension == Dimension::App);
        let is_first = of_app.is_some_and(|(_, _, counter)| !counter.lacked_origin(now));
        let lacks_origin = self.lacks_origin && self.text.is_some() && is_first;
        Verdict { findings: findings(&rooms), reservations, counted_in, lacks_origin, terms }
    }

    /// Judges it once more by a counter that has refused its reservation: the next reservation, or why
    /// there is none.
    pub fn judge_again(
        &self,
        guard: &Guard,
        key: CounterKey,
        counter: &Counter,
        terms: Terms,
        now: Timestamp,
    ) -> Result<Reservation, GuardRefusal> {
        let found = self.counters.iter().find(|(_, known)| *known == key);
        // What was reserved is one of its counters.
        let dimension = found.map_or(Dimension::App, |(dimension, _)| *dimension);
        let rooms = self.reading(guard, counter, now).rooms(dimension, terms);
        match first_refusal(&findings(&rooms), terms) {
            Some(refusal) => Err(refusal),
            None => Ok(self.reserve(dimension, key, counter, &rooms, terms, now)),
        }
    }

    fn reading<'a>(
        &'a self,
        guard: &'a Guard,
        counter: &'a Counter,
        now: Timestamp,
    ) -> Reading<'a> {
        Reading { guard, sending: self, counter, present: counter.present(now), now }
    }

    fn reserve(
        &self,
        dimension: Dimension,
        key: CounterKey,
        counter: &Counter,
        rooms: &[Room],
        terms: Terms,
        now: Timestamp,
    ) -> Reservation {
        let slot = counter.present(now);
        let text = self.text.as_ref().filter(|_| !terms.is_concealed);
        let is_exempt = dimension.is_detected()
            && (terms.standing == Standing::VerifiedToday || terms.is_concealed);
        let mut add = vec![(Field::Sent(slot), 1)];
        add.extend(is_exempt.then_some((Field::Exempt(slot), 1)));
        let mut set = vec![(Field::Newest, slot.number())];
        match dimension {
            Dimension::App => {
                let price = text.map_or(0, |text| text.price);
                add.extend((price > 0).then_some((Field::Spent(slot), price)));
                let lacks_origin = self.lacks_origin && text.is_some();
                set.extend(lacks_origin.then_some((Field::WithoutOrigin, slot.number())));
            }
            Dimension::Ip => {
                set.extend(text.map(|text| (Field::SentTo(text.to), slot.number())));
            }
            Dimension::Country | Dimension::Prefix | Dimension::Address => {}
        }
        let is_kept = |field: &Field| set.iter().all(|(kept, _)| kept != field);
        let stale: Vec<Field> = counter.stale_fields(slot).into_iter().filter(is_kept).collect();
        let at_most = bounds(rooms, slot, counter, &stale);
        Reservation { key, slot, add, set, at_most, stale }
    }
}

/// The bounds of a reservation: the strictest of each attribute; that nothing was added to the half hour
/// before, or to the newest that was read, nor set in what is removed, since the counter was read; and that
/// nobody has begun a later half hour.
fn bounds(rooms: &[Room], slot: Slot, counter: &Counter, stale: &[Field]) -> Vec<(Field, u64)> {
    let mut bounds: Vec<(Field, u64)> = Vec::new();
    for (field, most) in rooms.iter().filter_map(Room::bound) {
        match bounds.iter_mut().find(|(known, _)| *known == field) {
            Some((_, strictest)) => *strictest = most.min(*strictest),
            None => bounds.push((field, most)),
        }
    }
    let of_slot: [fn(Slot) -> Field; 2] = [Field::Sent, Field::Spent];
    let is_bounded = |of: &fn(Slot) -> Field| bounds.iter().any(|(field, _)| *field == of(slot));
    let kinds: Vec<_> = of_slot.into_iter().filter(is_bounded).collect();
    let newest = counter.newest().filter(|newest| *newest < slot.before(1));
    let before: Vec<Slot> = [slot.before(1)].into_iter().chain(newest).collect();
    let previous = kinds.iter().flat_map(|of| before.iter().map(|slot| of(*slot)));
    let is_set = |field: &Field| matches!(field, Field::SentTo(_) | Field::VerifiedIn(_));
    let as_read = previous.chain(stale.iter().copied().filter(is_set));
    bounds.extend(as_read.map(|field| (field, counter.get(field))));
    bounds.push((Field::Newest, slot.number()));
    bounds
}

/// The findings, one for each rule, in the order of the rules. Of two windows that are both used up, the
/// one that is for longer is told.
fn findings(rooms: &[Room]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for finding in rooms.iter().filter_map(Room::finding) {
        match findings.iter_mut().find(|known| known.rule == finding.rule) {
            Some(known) if known.refusal.until() < finding.refusal.until() => *known = finding,
            Some(_) => {}
            None => findings.push(finding),
        }
    }
    findings.sort_by_key(|finding| finding.rule);
    findings
}
