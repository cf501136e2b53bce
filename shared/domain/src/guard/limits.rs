//! Limits: so many messages, or so much money, in a rolling hour and a rolling day. Whoever reaches
//! one is told when to come back.

use super::{
    Mode, Rule, Sharded, Throttled, Window,
    gauge::{Count, GaugeKey, Series, Slot},
    settings::Limit,
    trial::Trial,
};
use crate::Timestamp;

/// What a limit counts, read once for all of its windows.
struct Counter<'a> {
    gauge: &'a Sharded,
    own: GaugeKey,
    count: Count,
    /// What the message adds.
    by: u64,
    /// Of the subject's own shard, and of all shards together.
    series: [Series; 2],
}

impl Trial<'_> {
    /// Every limit that the message counts against.
    pub(super) fn check_limits(&mut self, sent: &[Timestamp]) {
        let (guard, sending) = (self.guard, self.sending);
        let text = sending.text.as_ref();
        self.check_address(guard.sends_per_address, sent);
        if let Some(ip) = sending.ip.map(Sharded::whole) {
            self.check_limit(Rule::SendsPerIp, guard.sends_per_ip, &ip);
        }
        if let Some(country) = text.and_then(|text| text.country.as_ref()) {
            self.check_limit(Rule::SendsPerCountry, guard.sends_per_country, country);
        }
        if let Some(app) = &sending.app {
            self.check_limit(Rule::SendsPerApp, guard.sends_per_app, app);
        }
        if let (Some(cap), Some(text), Some(gauge)) =
            (guard.spend_cap.per_day, text, &sending.spend)
        {
            let (mode, cap) = (guard.spend_cap.mode, cap.as_millionths());
            if let Some(counter) = self.counter(mode, gauge, Count::Spent, text.price) {
                self.check_window(Rule::SpendCap, mode, cap, Window::Day, &counter);
            }
        }
    }

    fn counter<'a>(
        &self,
        mode: Mode,
        gauge: &'a Sharded,
        count: Count,
        by: u64,
    ) -> Option<Counter<'a>> {
        let own = gauge.own().filter(|_| mode != Mode::Off)?;
        let series =
            [&[own][..], &gauge.keys].map(|keys| self.gauges.series(keys, count, self.now));
        Some(Counter { gauge, own, count, by, series })
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

    fn check_limit(&mut self, rule: Rule, limit: Limit, gauge: &Sharded) {
        let Some(counter) = self.counter(limit.mode, gauge, Count::Sent, 1) else { return };
        for window in [Window::Hour, Window::Day] {
            self.check_window(rule, limit.mode, limit.in_window(window), window, &counter);
        }
    }

    /// The subject's own shard has its share of the limit, and all shards together have the whole: so
    /// none is exceeded by callers who do not see each other, nor by what was counted when the limit
    /// was shared among others.
    fn check_window(
        &mut self,
        rule: Rule,
        mode: Mode,
        quota: u64,
        window: Window,
        counter: &Counter<'_>,
    ) {
        let Counter { gauge, own, count, by, ref series } = *counter;
        let mosts = [gauge.share(quota), quota];
        let room = |n: usize| {
            let sum = window.most(self.now, |slot| series[n].at(slot));
            mosts[n].checked_sub(sum.saturating_add(by))
        };
        if let (Some(room), Some(_)) = (room(0), room(1)) {
            self.bound(mode, own, count, room);
        } else {
            let free_at = |n: usize| {
                let at = |slot: Slot| series[n].at(slot);
                window.free_at(self.now, mosts[n].saturating_sub(by), at)
            };
            let (window, until) = (window.span(), free_at(0).max(free_at(1)));
            self.throttle(mode, Throttled { rule, quota, window, until });
        }
    }
}
