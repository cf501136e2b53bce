//! Limits: so many messages, or so much money, in a rolling hour and a rolling day. Whoever reaches
//! one is told when to come back.

use super::{
    Mode, Rule, Throttled, Window,
    gauge::{Count, GaugeKey},
    settings::{Limit, share},
    trial::Trial,
};
use crate::Timestamp;

/// What a limit counts, and how much of it.
struct Counter {
    key: GaugeKey,
    count: Count,
    /// What the message adds.
    by: u64,
    /// The share of the limit that this gauge has.
    shard: u64,
    shards: u64,
}

impl Counter {
    const fn whole(key: GaugeKey) -> Self {
        Self { key, count: Count::Sent, by: 1, shard: 0, shards: 1 }
    }
}

impl Trial<'_> {
    /// Every limit that the message counts against.
    pub(super) fn check_limits(&mut self, sent: &[Timestamp]) {
        let (guard, sending) = (self.guard, self.sending);
        self.check_address(guard.sends_per_address, sent);
        if let Some(key) = sending.ip {
            self.check_limit(Rule::SendsPerIp, guard.sends_per_ip, &Counter::whole(key));
        }
        let text = sending.text.as_ref();
        let country = text.and_then(|text| Some((text, *text.country.get(text.own)?)));
        if let Some((text, key)) = country {
            let shard = text.own as u64;
            let counter = Counter { shard, shards: guard.country_shards(), ..Counter::whole(key) };
            self.check_limit(Rule::SendsPerCountry, guard.sends_per_country, &counter);
        }
        if let Some(key) = sending.app {
            let (shard, shards) = (sending.app_shard, guard.app_shards());
            let counter = Counter { shard, shards, ..Counter::whole(key) };
            self.check_limit(Rule::SendsPerApp, guard.sends_per_app, &counter);
            if let (Some(cap), Some(text)) = (guard.spend_cap.per_day, text) {
                let counter = Counter { count: Count::Spent, by: text.price, ..counter };
                let (mode, cap) = (guard.spend_cap.mode, cap.as_millionths());
                self.check_window(Rule::SpendCap, mode, cap, Window::Day, &counter);
            }
        }
    }

    /// What went to the subject is known to the millisecond.
    fn check_address(&mut self, limit: Limit, sent: &[Timestamp]) {
        for window in [Window::Hour, Window::Day] {
            let quota = limit.in_window(window);
            let most = usize::try_from(quota).unwrap_or(usize::MAX);
            let recent = || sent.iter().filter(|at| **at + window.span() > self.now);
            let Some(surplus) = recent().count().checked_sub(most) else { continue };
            let until = recent().nth(surplus).map_or(self.now, |at| *at + window.span());
            let (rule, window) = (Rule::SendsPerAddress, window.span());
            self.throttle(limit.mode, Throttled { rule, quota, window, until });
        }
    }

    fn check_limit(&mut self, rule: Rule, limit: Limit, counter: &Counter) {
        for window in [Window::Hour, Window::Day] {
            self.check_window(rule, limit.mode, limit.in_window(window), window, counter);
        }
    }

    fn check_window(
        &mut self,
        rule: Rule,
        mode: Mode,
        quota: u64,
        window: Window,
        counter: &Counter,
    ) {
        if mode == Mode::Off {
            return;
        }
        let Counter { key, count, by, shard, shards } = *counter;
        let series = self.gauges.series(&[key], count, self.now);
        let at = |slot| series.at(slot);
        let most = share(quota, shard, shards);
        if let Some(room) = most.checked_sub(window.sum(self.now, at) + by) {
            self.bound(mode, key, count, room);
        } else {
            let until = window.free_at(self.now, most.saturating_sub(by), at);
            self.throttle(mode, Throttled { rule, quota, window: window.span(), until });
        }
    }
}
