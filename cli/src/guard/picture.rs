//! The timeline as a picture: SVG that needs nothing from elsewhere.

use super::{
    simulation::Simulation,
    timeline::{Bar, Lane, Timeline, utc},
};
use crate::output::count;
use passcode_domain::guard::Rule;
use svg::{
    Document, Node as _,
    node::element::{Group, Line, Path, Rectangle, Text, Title, path::Data},
};

/// Bars across a picture, at most.
pub(super) const BARS: usize = 240;

const WIDTH: usize = 1080;
/// Where the bars begin and end.
const LEFT: usize = 252;
const RIGHT: usize = WIDTH - 24;
/// Where the first lane begins; above it are title and legend.
const TOP: usize = 104;
const LANE: usize = 64;
/// What stays free between two lanes.
const GAP: usize = 14;
const FOOT: usize = 44;

const INK: &str = "#1f2933";
const FAINT: &str = "#6b7785";
const GRID: &str = "#e3e7ec";

/// The colours of a lane's bars, and what they mean.
struct Colours {
    verified: (&'static str, &'static str),
    others: (&'static str, &'static str),
}

const SENT: Colours = Colours {
    verified: ("#2f6f9f", "sent, and verified"),
    others: ("#b4bfcc", "sent, never verified"),
};
const REFUSED: Colours = Colours {
    verified: ("#b0124b", "refused, though verified"),
    others: ("#e3a12f", "refused, never verified"),
};

/// Draws it.
pub(super) fn svg(simulation: &Simulation) -> String {
    let timeline = Timeline::of(simulation, BARS);
    let bottom = TOP + timeline.lanes.len() * LANE;
    let height = bottom + FOOT;
    let mut picture = Document::new()
        .set("viewBox", (0, 0, WIDTH, height))
        .set("width", WIDTH)
        .set("height", height)
        .set("font-family", "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif")
        .set("font-size", 13)
        .set("fill", INK)
        .add(Rectangle::new().set("width", "100%").set("height", "100%").set("fill", "#ffffff"))
        .add(title(simulation))
        .add(legend())
        .add(grid(&timeline, bottom));
    for (n, row) in timeline.lanes.iter().enumerate() {
        picture.append(lane(simulation, &timeline, row, TOP + n * LANE));
    }
    picture.to_string()
}

fn text(x: usize, y: usize, colour: &str, words: impl Into<String>) -> Text {
    Text::new(words).set("x", x).set("y", y).set("fill", colour)
}

fn title(simulation: &Simulation) -> Group {
    let (from, to) = simulation.log.span();
    let [from, to] = [from, to].map(|at| utc(at, "%Y-%m-%d %H:%M"));
    let (messages, refused) = (simulation.messages(), simulation.together.refused.len());
    let what = format!("{} from {from} to {to} (UTC)", count(messages, "message"));
    let which = format!("Each rule enforced alone. As they are set, all rules refuse {refused}.");
    Group::new()
        .add(text(24, 34, INK, what).set("font-size", 18).set("font-weight", 600))
        .add(text(24, 56, FAINT, which))
}

fn legend() -> Group {
    let mut legend = Group::new();
    let meanings = [SENT.verified, SENT.others, REFUSED.others, REFUSED.verified];
    for (n, (colour, meaning)) in meanings.into_iter().enumerate() {
        let x = LEFT + n * 200;
        let square = Rectangle::new().set("x", x).set("y", 72).set("width", 12).set("height", 12);
        legend.append(square.set("fill", colour));
        legend.append(text(x + 18, 83, INK, meaning));
    }
    legend
}

/// Where a bar begins.
fn x(timeline: &Timeline, bar: usize) -> f64 {
    let width = decimal(RIGHT - LEFT);
    decimal(LEFT) + width * decimal(bar) / decimal(timeline.bars)
}

/// Numbers of a picture are small.
fn decimal(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

/// The marks of time, with their labels below.
fn grid(timeline: &Timeline, bottom: usize) -> Group {
    let mut grid = Group::new();
    for (bar, label) in timeline.ticks(timeline.bars.div_ceil(13)) {
        let x = round(x(timeline, bar));
        let line = Line::new().set("x1", x).set("x2", x).set("y1", TOP).set("y2", bottom);
        grid.append(line.set("stroke", GRID));
        let words = Text::new(label).set("x", x).set("y", bottom + 20).set("fill", FAINT);
        grid.append(words.set("text-anchor", "middle"));
    }
    let span = format!("a bar is {}", timeline.span_in_words());
    grid.append(text(24, bottom + 20, FAINT, span));
    grid
}

fn lane(simulation: &Simulation, timeline: &Timeline, lane: &Lane, top: usize) -> Group {
    let base = top + LANE;
    let rule = Rule::ALL.into_iter().find(|rule| rule.as_str() == lane.name);
    let mode = rule.map(|rule| simulation.app.guard.mode(rule));
    let is_sent = top == TOP;
    let colours = if is_sent { SENT } else { REFUSED };
    let count = match mode {
        _ if is_sent => format!("at most {} a bar", timeline.highest()),
        None => format!("{} refused", lane.sum()),
        Some(mode) => format!("{} refused; set to {}", lane.sum(), mode.as_str()),
    };
    let floor = Line::new().set("x1", LEFT).set("x2", RIGHT).set("y1", base).set("y2", base);
    Group::new()
        .add(Title::new(format!("{}: {count}", lane.name)))
        .add(text(24, base - 24, INK, lane.name).set("font-weight", 600))
        .add(text(24, base - 7, FAINT, count))
        .add(bars(timeline, lane, base, colours.others.0, |bar| bar.messages))
        .add(bars(timeline, lane, base, colours.verified.0, |bar| bar.verified))
        .add(floor.set("stroke", "#9aa5b1"))
}

/// The bars of a lane in one colour; those of the verified messages stand before all of them.
fn bars(
    timeline: &Timeline,
    lane: &Lane,
    base: usize,
    colour: &str,
    messages: fn(&Bar) -> u64,
) -> Path {
    let mut data = Data::new();
    for (n, bar) in lane.bars.iter().enumerate().filter(|(_, bar)| messages(bar) > 0) {
        let (left, right) = (x(timeline, n), x(timeline, n + 1));
        let top = decimal(base) - height(messages(bar), timeline.highest());
        // A line of white between two bars, where they are wide enough for one.
        let right = if right - left > 4.0 { right - 1.0 } else { right };
        data = data.move_to((round(left), base)).vertical_line_to(round(top));
        data = data.horizontal_line_to(round(right)).vertical_line_to(base).close();
    }
    Path::new().set("d", data).set("fill", colour)
}

/// How high a bar is. One message is seen beside however many.
fn height(messages: u64, highest: u64) -> f64 {
    let of = |n: u64| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    (decimal(LANE - GAP) * of(messages) / of(highest).max(1.0)).max(1.5)
}

/// A tenth of a pixel is not seen.
fn round(pixels: f64) -> f64 {
    (pixels * 10.0).round() / 10.0
}
