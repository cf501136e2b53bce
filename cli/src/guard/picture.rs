//! The timeline as an SVG picture in one file: it refers to no font, style or script elsewhere.

use super::{
    simulation::Simulation,
    timeline::{Lane, Timeline},
};
use crate::{output::count, time::utc};
use askama::Template;
use passcode_domain::app::guard::Rule;
use std::fmt::Write as _;

/// The largest number of bars in a picture.
pub(super) const MAX_BARS: usize = 240;

/// The height of the highest bar in the coordinates of a lane.
const FULL: u64 = 1000;

/// The least height of a bar, so that a single message is visible beside any number of others.
const LEAST: u64 = 30;

/// The picture. Its layout and colours are in the template.
#[derive(Template)]
#[template(path = "timeline.svg", escape = "html")]
struct Picture {
    title: String,
    refused: usize,
    bar_length: String,
    bars: usize,
    lanes: Vec<Drawn>,
    /// The labels of the time axis with their bars.
    labels: Vec<(usize, String)>,
}

/// A lane as it is drawn.
struct Drawn {
    name: &'static str,
    caption: String,
    messages: String,
    verified: String,
}

/// Draws the timeline of a simulation.
pub(super) fn svg(simulation: &Simulation) -> askama::Result<String> {
    let timeline = Timeline::of(simulation, MAX_BARS);
    let (from, to) = simulation.log.period();
    let [from, to] = [from, to].map(|at| utc(at, "%Y-%m-%d %H:%M"));
    let highest = timeline.highest();
    let drawn = |lane: &Lane| Drawn {
        name: lane.name,
        caption: caption(simulation, lane, highest),
        messages: path(&lane.messages, highest),
        verified: path(&lane.verified, highest),
    };
    let picture = Picture {
        title: format!("{} from {from} to {to} (UTC)", count(simulation.messages(), "message")),
        refused: simulation.together.refused.len(),
        bar_length: timeline.bar_length(),
        bars: timeline.bars,
        lanes: timeline.lanes.iter().map(drawn).collect(),
        labels: timeline.labels(timeline.bars.div_ceil(13)),
    };
    picture.render()
}

fn caption(simulation: &Simulation, lane: &Lane, highest: u64) -> String {
    let rule = Rule::ALL.into_iter().find(|rule| rule.as_str() == lane.name);
    match rule.map(|rule| simulation.app.guard.mode(rule)) {
        Some(mode) => format!("{} refused; set to {}", lane.sum(), mode.as_str()),
        None if lane.name == super::table::ALL_RULES => format!("{} refused", lane.sum()),
        None => format!("at most {highest} per bar"),
    }
}

/// The bars as a path. A bar is 1 wide, and the highest of all lanes is [`FULL`] high.
fn path(bars: &[u64], highest: u64) -> String {
    let mut path = String::new();
    for (bar, messages) in bars.iter().enumerate().filter(|(_, messages)| **messages > 0) {
        let height = (messages * FULL / highest.max(1)).max(LEAST);
        let _ = write!(path, "M{bar} {FULL}v-{height}h.9v{height}z");
    }
    path
}
