//! Detectors: text messages whose codes never come back, where they come from and where they go.
//! Whoever is paid for messages does not type codes. What a detector finds it blocks for a while,
//! and the block ends by itself.
//!
//! A message whose code can still be typed speaks against nobody yet, or the first minutes of any
//! campaign would look like an attack. But there must not be too many of them either, or an attack
//! that is over within minutes would go unseen: `burst` times what is allowed is too many.

use super::{
    Country, Mode, Rule, Sharded, Window,
    gauge::{Count, Field, GaugeId, GaugeKey, Gauges, HISTORY_DAYS, SLOTS_PER_DAY, Series, Slot},
    settings::{Unverified, is_settled},
    trial::Trial,
};
use crate::{Timestamp, send::Refusal};
use std::collections::BTreeSet;

/// The modes of two rules that look at the same, if it need not be looked at.
const NEITHER: [Mode; 2] = [Mode::Off; 2];

/// What the shards of a gauge have counted together.
struct Sum<'a> {
    gauges: &'a Gauges,
    gauge: &'a Sharded,
    now: Timestamp,
    sent: Series,
    exempt: Series,
    verified: Series,
}

impl<'a> Sum<'a> {
    fn of(gauges: &'a Gauges, gauge: &'a Sharded, now: Timestamp) -> Self {
        let series = |count| gauges.series(&gauge.keys, count, now);
        let (sent, exempt) = (series(Count::Sent), series(Count::Exempt));
        Self { gauges, gauge, now, sent, exempt, verified: series(Count::Verified) }
    }

    fn unverified_at(&self, slot: Slot) -> u64 {
        let others = self.exempt.at(slot) + self.verified.at(slot);
        self.sent.at(slot).saturating_sub(others)
    }

    fn verified(&self, window: Window) -> u64 {
        window.sum(self.now, |slot| self.verified.at(slot))
    }

    fn unverified(&self, window: Window) -> u64 {
        window.sum(self.now, |slot| self.unverified_at(slot))
    }

    /// Those whose codes nobody can type any more.
    fn settled(&self, window: Window) -> u64 {
        let present = Slot::of(self.now);
        let since = present.start().until(self.now);
        window.sum(self.now, |slot| {
            let is_settled =
                (0..2).all(|back| slot != present.before(back) || is_settled(back, since));
            if is_settled { self.unverified_at(slot) } else { 0 }
        })
    }
}

/// What a detector has found, if more than `most` is too much.
struct Suspect<'a> {
    rule: Rule,
    mode: Mode,
    sum: &'a Sum<'a>,
    window: Window,
    most: u64,
    burst: u64,
}

impl Trial<'_> {
    /// Every detector, where the message is a text message.
    pub(super) fn check_unverified(&mut self) {
        let sending = self.sending;
        let Some(text) = &sending.text else { return };
        if let Some(ip) = sending.ip {
            self.check_countries(ip, text.to);
            self.check_ip(ip);
        }
        if let Some(country) = &text.country {
            self.check_country(country);
        }
        if let Some(prefix) = text.prefix {
            let gauge = &Sharded::whole(prefix);
            let sum = &Sum::of(self.gauges, gauge, self.now);
            let settings = self.guard.prefix_concentration;
            let most = at_most(settings, sum.verified(Window::Day));
            let (rule, window) = (Rule::PrefixConcentration, Window::Day);
            // Ten thousand neighbours rarely ask for their codes within minutes.
            let burst = 1;
            let mode = settings.mode;
            self.suspect(&Suspect { rule, mode, sum, window, most, burst });
        }
    }

    fn check_countries(&mut self, ip: GaugeKey, to: Country) {
        let (rule, settings) = (Rule::CountriesPerIp, self.guard.countries_per_ip);
        if settings.mode == Mode::Off {
            return;
        }
        let (mut countries, proven) = countries(self.gauges, ip, self.now);
        let is_new = countries.insert(to) && !proven.contains(&to);
        let unproven = countries.difference(&proven).count();
        let is_blocked = self.is_blocked(rule, &[ip]);
        if is_blocked || unproven > settings.most as usize {
            self.find(rule, settings.mode, Refusal::Blocked(rule));
            if !is_blocked {
                self.block(rule, settings.mode, ip);
            }
        } else if is_new {
            // Two new countries at the same moment: the second is judged again, after the first.
            self.bound(settings.mode, ip, Count::Sent, 0);
        }
    }

    fn check_ip(&mut self, ip: GaugeKey) {
        let (guard, gauge) = (self.guard, &Sharded::whole(ip));
        if [guard.unverified_per_ip_hour.mode, guard.unverified_per_ip_day.mode] == NEITHER {
            return;
        }
        let sum = &Sum::of(self.gauges, gauge, self.now);
        let verified = sum.verified(Window::Day);
        let hour = guard.unverified_per_ip_hour;
        let day = guard.unverified_per_ip_day;
        for (rule, settings, window, most) in [
            (Rule::UnverifiedPerIpHour, hour, Window::Hour, at_most(hour, verified / 6)),
            (Rule::UnverifiedPerIpDay, day, Window::Day, at_most(day, verified)),
        ] {
            let (mode, burst) = (settings.mode, guard.burst.into());
            self.suspect(&Suspect { rule, mode, sum, window, most, burst });
        }
    }

    fn check_country(&mut self, country: &Sharded) {
        let guard = self.guard;
        let modes = [guard.unverified_per_country_hour.mode, guard.unverified_per_country_day.mode];
        if modes == NEITHER {
            return;
        }
        let sum = &Sum::of(self.gauges, country, self.now);
        let hour = guard.unverified_per_country_hour;
        let day = guard.unverified_per_country_day;
        let best = best_day(sum).max(sum.verified(Window::Day));
        let per_day = at_most(day, best);
        let per_hour = at_most(hour, sum.verified(Window::Hour)).max(per_day / 6);
        for (rule, settings, window, most) in [
            (Rule::UnverifiedPerCountryHour, hour, Window::Hour, per_hour),
            (Rule::UnverifiedPerCountryDay, day, Window::Day, per_day),
        ] {
            let (mode, burst) = (settings.mode, guard.burst.into());
            self.suspect(&Suspect { rule, mode, sum, window, most, burst });
        }
    }

    fn suspect(&mut self, suspect: &Suspect<'_>) {
        let Suspect { rule, mode, sum, window, most, burst } = *suspect;
        let Some(own) = sum.gauge.own().filter(|_| mode != Mode::Off) else { return };
        if self.is_blocked(rule, &sum.gauge.keys) {
            return self.find(rule, mode, Refusal::Blocked(rule));
        }
        let room = most.saturating_mul(burst).checked_sub(sum.unverified(window) + 1);
        if let Some(room) = room.filter(|_| sum.settled(window) < most) {
            // Others may be judged by the same sum, and count in its other gauges.
            let part = sum.gauge.share(room + 1);
            self.bound(mode, own, Count::Sent, part.saturating_sub(1));
        } else {
            self.find(rule, mode, Refusal::Blocked(rule));
            self.block(rule, mode, own);
        }
    }
}

/// How many unverified messages are allowed beside that many verified ones.
fn at_most(settings: Unverified, verified: u64) -> u64 {
    u64::from(settings.floor).max(verified.saturating_mul(settings.percent.into()) / 100)
}

/// The most that was verified on one of the last days. Of days that are over, one shard tells for
/// all of them: subjects are spread evenly.
fn best_day(sum: &Sum<'_>) -> u64 {
    let today = Slot::of(sum.now).day();
    let on = |back: u64| {
        let day = today.saturating_sub(back);
        let of = |key: &GaugeKey| sum.gauges.on(*key, Count::Verified, day);
        match sum.gauge.own() {
            Some(own) if back >= 2 => of(&own) * sum.gauge.shards,
            _ => sum.gauge.keys.iter().map(of).sum(),
        }
    };
    (0..HISTORY_DAYS).map(on).max().unwrap_or_default()
}

/// The countries that an IP address has sent to within a day, and those that are proven.
fn countries(
    gauges: &Gauges,
    ip: GaugeKey,
    now: Timestamp,
) -> (BTreeSet<Country>, BTreeSet<Country>) {
    let present = Slot::of(now);
    let (mut sent, mut proven) = (BTreeSet::new(), BTreeSet::new());
    for day in [present.day(), present.day().saturating_sub(1)] {
        let fields = gauges.of(GaugeId { key: ip, day }).into_iter().flat_map(|gauge| &gauge.0);
        for (field, _) in fields.filter(|(_, counted)| **counted > 0) {
            match field {
                Field::Counter(Count::SentTo(country), index) => {
                    let is_recent = present.before(SLOTS_PER_DAY) <= Slot::at(day, *index);
                    sent.extend(is_recent.then_some(*country));
                }
                Field::Proven(country) => drop(proven.insert(*country)),
                Field::Counter(..) | Field::Block(_) => {}
            }
        }
    }
    (sent, proven)
}
