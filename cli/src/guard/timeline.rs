//! When messages went out, and when rules would have refused them: the same lanes in the terminal
//! and in the picture.

use super::{simulation::Simulation, table::ALL_RULES};
use jiff::Timestamp as Moment;
use passcode_domain::{Timestamp, guard::replay::Tally};
use serde_json::{Value, json};
use std::fmt::Write as _;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Spans that people count time in, in seconds.
const SPANS: [u64; 24] = [
    1,
    2,
    5,
    10,
    15,
    30,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    4 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    4 * DAY,
    7 * DAY,
    14 * DAY,
    28 * DAY,
];

/// Messages in one bar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) messages: u64,
    /// Those of them whose challenge was verified.
    pub(super) verified: u64,
}

/// One row of bars.
pub(super) struct Lane {
    pub(super) name: &'static str,
    pub(super) bars: Vec<Bar>,
}

impl Lane {
    pub(super) fn sum(&self) -> u64 {
        self.bars.iter().map(|bar| bar.messages).sum()
    }
}

/// The messages, and what was refused of them, in bars of the same length.
pub(super) struct Timeline {
    /// When the first bar begins, in seconds since 1970.
    start: u64,
    /// How long a bar is, in seconds.
    pub(super) span: u64,
    pub(super) bars: usize,
    /// The first has all messages; the others what a rule refuses, if it refuses anything; the last
    /// what all of them do.
    pub(super) lanes: Vec<Lane>,
}

impl Timeline {
    /// The timeline of a simulation, in at most that many bars.
    pub(super) fn of(simulation: &Simulation, most: usize) -> Self {
        let log = &simulation.log;
        let messages = || log.messages().map(|(at, message)| (at, log.is_verified(message)));
        let (first, last) = log.span();
        let [first, last] = [first, last].map(|at| at.as_millis() / 1000);
        let bars =
            |span: u64| usize::try_from(last / span - first / span + 1).unwrap_or(usize::MAX);
        let rarer = (2..).map(|n| n * 28 * DAY);
        let span = SPANS.into_iter().chain(rarer).find(|span| bars(*span) <= most.max(1));
        let span = span.unwrap_or(DAY);
        let mut timeline =
            Self { start: first / span * span, span, bars: bars(span), lanes: Vec::new() };
        timeline.add("all messages", messages());
        let alone = simulation.alone.iter().map(|(rule, tally)| (rule.as_str(), tally));
        for (name, tally) in alone.chain([(ALL_RULES, &simulation.together)]) {
            timeline.add_refused(name, tally);
        }
        timeline
    }

    fn add_refused(&mut self, name: &'static str, tally: &Tally) {
        if !tally.refused.is_empty() {
            self.add(name, tally.refused.iter().map(|refused| (refused.at, refused.is_verified)));
        }
    }

    fn add(&mut self, name: &'static str, messages: impl Iterator<Item = (Timestamp, bool)>) {
        let mut bars = vec![Bar::default(); self.bars];
        for (at, is_verified) in messages {
            let n = (at.as_millis() / 1000).saturating_sub(self.start) / self.span;
            if let Some(bar) = usize::try_from(n).ok().and_then(|n| bars.get_mut(n)) {
                bar.messages += 1;
                bar.verified += u64::from(is_verified);
            }
        }
        self.lanes.push(Lane { name, bars });
    }

    /// The most messages in a bar.
    pub(super) fn highest(&self) -> u64 {
        let bars = self.lanes.iter().flat_map(|lane| &lane.bars);
        bars.map(|bar| bar.messages).max().unwrap_or_default()
    }

    /// The bars that a label stands at, at least that many bars apart.
    pub(super) fn ticks(&self, apart: usize) -> Vec<(usize, String)> {
        let least = self.span * apart as u64;
        let fits = |span: &u64| *span >= least && span.is_multiple_of(self.span);
        let step = SPANS.into_iter().find(fits).unwrap_or(least);
        let moments = (0..self.bars).map(|n| (n, self.start + n as u64 * self.span));
        let ticks = moments.filter(|(_, second)| second.is_multiple_of(step));
        let ticks: Vec<_> = ticks.map(|(n, second)| (n, label(second, step))).collect();
        if ticks.is_empty() { vec![(0, label(self.start, self.span))] } else { ticks }
    }

    /// How long a bar is, in words.
    pub(super) fn span_in_words(&self) -> String {
        let units = [(DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (1, "second")];
        let unit = units.into_iter().find(|(unit, _)| self.span.is_multiple_of(*unit));
        let (unit, name) = unit.unwrap_or((1, "second"));
        match self.span / unit {
            1 => format!("1 {name}"),
            n => format!("{n} {name}s"),
        }
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let lane = |lane: &Lane| {
            let of = |count: fn(&Bar) -> u64| lane.bars.iter().map(count).collect::<Vec<_>>();
            json!({
                "name": lane.name,
                "messages": of(|bar| bar.messages),
                "verified": of(|bar| bar.verified),
            })
        };
        json!({
            "from": utc(second(self.start), RFC3339),
            "bar_seconds": self.span,
            "lanes": self.lanes.iter().map(lane).collect::<Vec<_>>(),
        })
    }
}

/// A moment as text, in UTC.
pub(super) fn utc(at: Timestamp, format: &str) -> String {
    let millis = i64::try_from(at.as_millis()).unwrap_or_default();
    Moment::from_millisecond(millis).unwrap_or_default().strftime(format).to_string()
}

/// RFC 3339.
pub(super) const RFC3339: &str = "%Y-%m-%dT%H:%M:%S%.fZ";

fn second(second: u64) -> Timestamp {
    Timestamp::from_millis(second * 1000)
}

/// A time of day, or a day where it begins.
fn label(moment: u64, step: u64) -> String {
    let format = match moment {
        moment if moment.is_multiple_of(DAY) => "%m-%d",
        _ if step < MINUTE => "%H:%M:%S",
        _ => "%H:%M",
    };
    utc(second(moment), format)
}

/// Columns before the bars: the name and the number of a lane.
const GUTTER: usize = 36;

/// Wider charts are no clearer.
const MAX_WIDTH: usize = 160;

const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The timeline in the terminal.
pub(super) fn chart(simulation: &Simulation, width: usize) -> String {
    let room = width.min(MAX_WIDTH).saturating_sub(GUTTER).max(20);
    let timeline = Timeline::of(simulation, room);
    let columns = room / timeline.bars;
    let highest = timeline.highest();
    let mut chart = String::new();
    for lane in &timeline.lanes {
        let bars = lane.bars.iter().map(|bar| BLOCKS[eighths(bar.messages, highest)]);
        let bars: String = bars.flat_map(|block| std::iter::repeat_n(block, columns)).collect();
        let _ = writeln!(chart, "{:<27} {:>7} {}", lane.name, lane.sum(), bars.trim_end());
    }
    let (marks, labels) = axis(&timeline, columns);
    let _ = writeln!(chart, "{:GUTTER$}{marks}\n{:GUTTER$}{labels}", "", "");
    let span = timeline.span_in_words();
    let _ = write!(chart, "A bar is {span} (UTC); the highest is {highest} messages.");
    chart
}

/// How high a bar is. One message is seen beside however many.
fn eighths(messages: u64, highest: u64) -> usize {
    usize::try_from((messages * 8).div_ceil(highest.max(1))).unwrap_or(8).min(8)
}

/// The line below the bars with its marks, and the labels of the marks.
fn axis(timeline: &Timeline, columns: usize) -> (String, String) {
    let width = timeline.bars * columns;
    let (mut marks, mut labels) = (vec!['─'; width], String::new());
    for (bar, label) in timeline.ticks(9_usize.div_ceil(columns)) {
        let column = bar * columns;
        marks[column] = '┬';
        if column + label.len() <= width {
            labels = format!("{labels:<column$}{label}");
        }
    }
    (marks.into_iter().collect(), labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(start: u64, span: u64, bars: usize) -> Timeline {
        Timeline { start, span, bars, lanes: Vec::new() }
    }

    #[test]
    fn labels_stand_at_moments_that_people_name_and_never_in_each_other() {
        // 2026-11-20T21:00:00Z
        let start = 1_795_208_400;
        let labels = |span, bars, apart| {
            let ticks = timeline(start / span * span, span, bars).ticks(apart);
            ticks.into_iter().map(|(bar, label)| format!("{bar} {label}")).collect::<Vec<_>>()
        };
        assert_eq!(
            labels(30 * MINUTE, 12, 3),
            ["2 22:00", "6 11-21", "10 02:00"].map(String::from)
        );
        assert_eq!(labels(HOUR, 30, 9), ["3 11-21", "15 12:00", "27 11-22"].map(String::from));
        assert_eq!(labels(15, 10, 4), ["0 21:00", "4 21:01", "8 21:02"].map(String::from));
        assert!(labels(DAY, 30, 7).len() >= 4);
        let short = timeline(start + 15, 15, 1).ticks(9);
        assert_eq!(short, [(0, "21:00:15".to_owned())], "a short time has a label too");
        for span in SPANS {
            let ticks = timeline(start / span * span, span, 80).ticks(9);
            let ordered = ticks.windows(2).all(|two| two[1].0 - two[0].0 >= 9);
            assert!(ordered && !ticks.is_empty(), "{span}: {ticks:?}");
        }
    }

    #[test]
    fn one_message_is_seen_beside_however_many() {
        assert_eq!([0, 1, 500, 501, 1000].map(|n| eighths(n, 1000)), [0, 1, 4, 5, 8]);
        assert_eq!(eighths(0, 0), 0);
    }

    #[test]
    fn spans_are_told_in_words() {
        let words = [1, 30, MINUTE, 15 * MINUTE, 6 * HOUR, 28 * DAY]
            .map(|span| timeline(0, span, 1).span_in_words());
        assert_eq!(
            words,
            ["1 second", "30 seconds", "1 minute", "15 minutes", "6 hours", "28 days"]
        );
    }
}
