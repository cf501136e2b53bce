//! When messages were sent, and when rules refuse them: the lanes of the chart in the terminal, of
//! the picture and of the JSON output.

use super::{replay::Tally, simulation::Simulation, table::ALL_RULES};
use crate::{
    output::count,
    time::{RFC3339, utc},
};
use passcode_domain::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write as _;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The lengths of a bar and of the time between two labels, in seconds: from a second to four
/// weeks.
const STEPS: [u64; 24] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 14_400, 21_600, 43_200,
    86_400, 172_800, 345_600, 604_800, 1_209_600, 2_419_200,
];

/// A row of bars: the numbers of messages in each, and of those whose challenge was verified.
#[derive(Serialize)]
pub(super) struct Lane {
    pub(super) name: &'static str,
    pub(super) messages: Vec<u64>,
    pub(super) verified: Vec<u64>,
}

impl Lane {
    pub(super) fn sum(&self) -> u64 {
        self.messages.iter().sum()
    }
}

/// The messages, and which of them are refused, in bars of the same length of time.
pub(super) struct Timeline {
    /// When the first bar begins, in seconds since 1970.
    start: u64,
    /// The length of a bar in seconds.
    step: u64,
    pub(super) bars: usize,
    /// The first lane has all messages. The next have what each rule refuses, without the rules
    /// that refuse nothing. The last has what all rules refuse together, if they do.
    pub(super) lanes: Vec<Lane>,
}

impl Timeline {
    /// The timeline of a simulation, with at most this number of bars.
    pub(super) fn of(simulation: &Simulation, max_bars: usize) -> Self {
        let log = &simulation.log;
        let (first, last) = log.period();
        let [first, last] = [first, last].map(|at| at.as_millis() / 1000);
        let bars =
            |step: u64| usize::try_from(last / step - first / step + 1).unwrap_or(usize::MAX);
        let longer = (2..).map(|n| n * 28 * DAY);
        let step = STEPS.into_iter().chain(longer).find(|step| bars(*step) <= max_bars.max(1));
        let step = step.unwrap_or(DAY);
        let mut timeline =
            Self { start: first / step * step, step, bars: bars(step), lanes: Vec::new() };
        timeline.add(
            "all messages",
            log.messages().map(|(at, message)| (at, log.is_verified(message))),
        );
        let alone = simulation.alone.iter().map(|(rule, tally)| (rule.as_str(), tally));
        for (name, Tally { refused, .. }) in alone.chain([(ALL_RULES, &simulation.together)]) {
            if !refused.is_empty() {
                timeline.add(name, refused.iter().map(|refused| (refused.at, refused.is_verified)));
            }
        }
        timeline
    }

    fn add(&mut self, name: &'static str, messages: impl Iterator<Item = (Timestamp, bool)>) {
        let mut lane = Lane { name, messages: vec![0; self.bars], verified: vec![0; self.bars] };
        for (at, is_verified) in messages {
            let bar = (at.as_millis() / 1000).saturating_sub(self.start) / self.step;
            let bar = usize::try_from(bar).unwrap_or(usize::MAX).min(self.bars - 1);
            lane.messages[bar] += 1;
            lane.verified[bar] += u64::from(is_verified);
        }
        self.lanes.push(lane);
    }

    /// The largest number of messages in a bar.
    pub(super) fn highest(&self) -> u64 {
        let bars = self.lanes.iter().flat_map(|lane| &lane.messages);
        bars.copied().max().unwrap_or_default()
    }

    /// The bars with a label, and the labels. Between two of them are at least `apart` bars.
    pub(super) fn labels(&self, apart: usize) -> Vec<(usize, String)> {
        let least = self.step * apart as u64;
        let fits = |step: &u64| *step >= least && step.is_multiple_of(self.step);
        let step = STEPS.into_iter().find(fits).unwrap_or(least);
        let begins = (0..self.bars).map(|bar| (bar, self.start + bar as u64 * self.step));
        let labelled = begins.filter(|(_, second)| second.is_multiple_of(step));
        let labels: Vec<_> = labelled.map(|(bar, second)| (bar, label(second, step))).collect();
        if labels.is_empty() { vec![(0, label(self.start, self.step))] } else { labels }
    }

    /// The length of a bar, such as `15 minutes`.
    pub(super) fn bar_length(&self) -> String {
        let units = [(DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")];
        let unit = units.into_iter().find(|(unit, _)| self.step.is_multiple_of(*unit));
        let (unit, name) = unit.unwrap_or((1, "second"));
        count(self.step / unit, name)
    }

    /// The timeline in the JSON output.
    pub(super) fn json(&self) -> Value {
        let from = utc(Timestamp::from_millis(self.start * 1000), RFC3339);
        json!({ "from": from, "bar_seconds": self.step, "lanes": self.lanes })
    }
}

/// A time of day, or the date at midnight.
fn label(second: u64, step: u64) -> String {
    let format = match second {
        second if second.is_multiple_of(DAY) => "%m-%d",
        _ if step < MINUTE => "%H:%M:%S",
        _ => "%H:%M",
    };
    utc(Timestamp::from_millis(second * 1000), format)
}

/// The columns before the bars, for the name and the sum of a lane.
const GUTTER: usize = 36;

/// The largest width of a chart in columns.
const MAX_WIDTH: usize = 160;

const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The timeline in a terminal with this number of columns.
pub(super) fn chart(simulation: &Simulation, width: usize) -> String {
    let room = width.min(MAX_WIDTH).saturating_sub(GUTTER).max(20);
    let timeline = Timeline::of(simulation, room);
    let (columns, highest) = (room / timeline.bars, timeline.highest());
    let mut chart = String::new();
    for lane in &timeline.lanes {
        let blocks = lane.messages.iter().map(|messages| BLOCKS[eighths(*messages, highest)]);
        let bars: String = blocks.flat_map(|block| std::iter::repeat_n(block, columns)).collect();
        let _ = writeln!(chart, "{:<27} {:>7} {}", lane.name, lane.sum(), bars.trim_end());
    }
    let (mut axis, mut labels) = (vec!['─'; timeline.bars * columns], String::new());
    for (bar, label) in timeline.labels(9_usize.div_ceil(columns)) {
        let column = bar * columns;
        axis[column] = '┬';
        if column + label.len() <= axis.len() {
            labels = format!("{labels:<column$}{label}");
        }
    }
    let (axis, length) = (axis.into_iter().collect::<String>(), timeline.bar_length());
    let _ = writeln!(chart, "{:GUTTER$}{axis}\n{:GUTTER$}{labels}", "", "");
    let _ =
        write!(chart, "A bar is {length} (UTC). The highest bar is {}.", count(highest, "message"));
    chart
}

/// The height of a bar in eighths of a line. A single message is visible beside any number of
/// others.
fn eighths(messages: u64, highest: u64) -> usize {
    usize::try_from((messages * 8).div_ceil(highest.max(1))).unwrap_or(8).min(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(start: u64, step: u64, bars: usize) -> Timeline {
        Timeline { start, step, bars, lanes: Vec::new() }
    }

    #[test]
    fn labels_stand_at_round_times_and_do_not_overlap() {
        // 2026-11-20T21:00:00Z
        let start = 1_795_208_400;
        let labels = |step, bars, apart| {
            let labels = timeline(start / step * step, step, bars).labels(apart);
            labels.into_iter().map(|(bar, label)| format!("{bar} {label}")).collect::<Vec<_>>()
        };
        assert_eq!(
            labels(30 * MINUTE, 12, 3),
            ["2 22:00", "6 11-21", "10 02:00"].map(String::from)
        );
        assert_eq!(labels(HOUR, 30, 9), ["3 11-21", "15 12:00", "27 11-22"].map(String::from));
        assert_eq!(labels(15, 10, 4), ["0 21:00", "4 21:01", "8 21:02"].map(String::from));
        assert!(labels(DAY, 30, 7).len() >= 4);
        let short = timeline(start + 15, 15, 1).labels(9);
        assert_eq!(short, [(0, "21:00:15".to_owned())], "a short period has a label too");
        for step in STEPS {
            let labels = timeline(start / step * step, step, 80).labels(9);
            let ordered = labels.windows(2).all(|two| two[1].0 - two[0].0 >= 9);
            assert!(ordered && !labels.is_empty(), "{step}: {labels:?}");
        }
    }

    #[test]
    fn one_message_is_visible_beside_any_number_of_others() {
        assert_eq!([0, 1, 500, 501, 1000].map(|n| eighths(n, 1000)), [0, 1, 4, 5, 8]);
        assert_eq!(eighths(0, 0), 0);
    }

    #[test]
    fn the_length_of_a_bar_has_a_unit() {
        let words = [1, 30, MINUTE, 15 * MINUTE, 6 * HOUR, 28 * DAY]
            .map(|step| timeline(0, step, 1).bar_length());
        assert_eq!(
            words,
            ["1 second", "30 seconds", "1 minute", "15 minutes", "6 hours", "28 days"]
        );
    }
}
