//! One judgement: rules are asked one after the other, and their findings and conditions gathered.

use super::{
    Finding, Gauges, Guard, Mode, Rule, Sending, Step, Steps, Throttled, Verdict,
    gauge::{Count, Field, GaugeId, GaugeKey, Slot},
};
use crate::{Timestamp, send::Refusal};
use std::time::Duration;

/// For so long a message that was decided in one half hour may still be counted in it when the next
/// has begun: more than a request takes.
const STRAGGLERS: Duration = Duration::from_secs(30);

pub(super) struct Trial<'a> {
    pub(super) sending: &'a Sending,
    pub(super) guard: &'a Guard,
    pub(super) gauges: &'a Gauges,
    pub(super) now: Timestamp,
    findings: Vec<Finding>,
    bounds: Steps,
    /// Blocks that rules in shadow have set go along with the message; one that refuses is written
    /// alone.
    shadow_blocks: Steps,
    block: Option<Step>,
}

impl<'a> Trial<'a> {
    pub(super) fn new(
        sending: &'a Sending,
        guard: &'a Guard,
        gauges: &'a Gauges,
        now: Timestamp,
    ) -> Self {
        let (findings, bounds, shadow_blocks) = Default::default();
        Self { sending, guard, gauges, now, findings, bounds, shadow_blocks, block: None }
    }

    /// A country that the app has not named, or a type of number that is refused.
    pub(super) fn check_number(&mut self) {
        let Some(text) = &self.sending.text else { return };
        let (allowed, types) = (&self.guard.allowed_countries, &self.guard.number_type);
        if !allowed.countries.contains(&text.to) {
            let rule = Rule::AllowedCountries;
            self.find(rule, allowed.mode, Refusal::Blocked(rule));
        }
        if types.refused.contains(&text.kind) {
            let rule = Rule::NumberType;
            self.find(rule, types.mode, Refusal::Blocked(rule));
        }
    }

    pub(super) fn find(&mut self, rule: Rule, mode: Mode, refusal: Refusal) {
        let is_enforced = match mode {
            Mode::Off => return,
            Mode::Shadow => false,
            Mode::Enforce => true,
        };
        match self.findings.iter_mut().find(|finding| finding.rule == rule) {
            // Of two windows that are both full, the one that is full for longer is told.
            Some(known) if known.refusal.until() < refusal.until() => known.refusal = refusal,
            Some(_) => {}
            None => self.findings.push(Finding { rule, is_enforced, refusal }),
        }
    }

    pub(super) fn throttle(&mut self, mode: Mode, throttled: Throttled) {
        self.find(throttled.rule, mode, Refusal::Throttled(throttled));
    }

    /// Blocks what a gauge is about for a while, unless somebody else has.
    pub(super) fn block(&mut self, rule: Rule, mode: Mode, key: GaugeKey) {
        let block = Field::Block(rule);
        let until = self.now + self.guard.block();
        let id = GaugeId { key, day: Slot::of(self.now).day() };
        let step = Step {
            set: vec![(block, until.as_millis())],
            at_most: vec![(block, self.now.as_millis())],
            ..Step::on(id)
        };
        match mode {
            Mode::Off => {}
            // That somebody else has must not keep the message from going out.
            Mode::Shadow => self.shadow_blocks.push(Step { at_most: Vec::new(), ..step }),
            Mode::Enforce => drop(self.block.get_or_insert(step)),
        }
    }

    /// Whether a rule blocks what one of these gauges is about.
    pub(super) fn is_blocked(&self, rule: Rule, keys: &[GaugeKey]) -> bool {
        let today = Slot::of(self.now).day();
        let ids = keys
            .iter()
            .flat_map(|key| [today, today.saturating_sub(1)].map(|day| GaugeId { key: *key, day }));
        let until = ids.filter_map(|id| Some(self.gauges.of(id)?.get(Field::Block(rule))));
        until.max().is_some_and(|until| until > self.now.as_millis())
    }

    /// Lets the message out only while the gauge has counted at most `room` more than was read.
    pub(super) fn bound(&mut self, mode: Mode, key: GaugeKey, count: Count, room: u64) {
        if mode != Mode::Enforce {
            return;
        }
        let present = Slot::of(self.now);
        self.bound_at(key, count, present, room);
        if present.start().until(self.now) < STRAGGLERS {
            self.bound_at(key, count, present.before(1), 0);
        }
    }

    fn bound_at(&mut self, key: GaugeKey, count: Count, slot: Slot, room: u64) {
        let most = self.gauges.at(key, count, slot).saturating_add(room);
        let at_most = vec![(Field::counter(count, slot), most)];
        self.bounds.push(Step { at_most, ..Step::on(GaugeId { key, day: slot.day() }) });
    }

    pub(super) fn end(self) -> Verdict {
        let counted = self.sending.counted();
        let mut conditions = self.bounds;
        conditions.extend(self.shadow_blocks);
        let mut blocks = Steps::default();
        self.block.into_iter().for_each(|step| blocks.push(step));
        let mut findings = self.findings;
        findings.sort_by_key(|finding| finding.rule);
        Verdict { findings, conditions, blocks, counted }
    }
}
