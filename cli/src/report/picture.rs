//! The funnel and the refusals as an SVG picture in one file: it refers to no font, style or script elsewhere.

use super::{
    log::{Funnel, Refusals, Tally},
    table,
};
use crate::output::percent;
use askama::Template;
use passcode_domain::AppId;

/// So many countries have a bar of their own.
const COUNTRIES: usize = 12;

/// The length of the longest bar, in pixels.
const FULL: usize = 420;

/// The least length of a bar, so that one message is visible beside any number of others.
const LEAST: usize = 2;

/// The picture. Its layout and colours are in the template.
#[derive(Template)]
#[template(path = "report.svg", escape = "html")]
struct Picture {
    title: String,
    messages: Vec<Bar<3>>,
    refusals: Vec<Bar<3>>,
}

/// Bars of one row, the first below the others or before them.
struct Bar<const N: usize> {
    name: String,
    caption: String,
    is_total: bool,
    lengths: [usize; N],
}

/// Draws a log that was added up.
pub(super) fn svg(tally: &Tally, app: Option<&AppId>) -> askama::Result<String> {
    let rows = tally.rows(COUNTRIES);
    let refusals = tally.refusals();
    let most = refusals.iter().map(|(_, refusals)| refusals.all()).max().unwrap_or_default();
    let picture = Picture {
        title: table::title(tally, app),
        messages: rows.into_iter().map(|(name, funnel)| message(&name, &funnel)).collect(),
        refusals: refusals
            .into_iter()
            .map(|(rule, refused)| refusal(rule, refused, most))
            .collect(),
    };
    picture.render()
}

/// Each row has its own scale: the share that arrives and is verified counts, of few messages as of many.
fn message(name: &str, funnel: &Funnel) -> Bar<3> {
    let Funnel { sent, delivered, verified, .. } = *funnel;
    let most = sent.max(delivered).max(verified);
    let reported = funnel.has_receipts();
    let arrived = if reported {
        format!("{delivered} delivered ({}), ", percent(delivered, sent))
    } else {
        String::new()
    };
    Bar {
        name: name.trim().to_owned(),
        caption: format!("{sent} sent, {arrived}{verified} verified ({})", percent(verified, sent)),
        is_total: !name.starts_with(' '),
        lengths: [sent, delivered, verified].map(|part| length(part, most)),
    }
}

fn refusal(rule: &str, refusals: Refusals, most: usize) -> Bar<3> {
    let Refusals { refused, concealed, in_shadow } = refusals;
    let parts = [(refused, "refused"), (concealed, "concealed"), (in_shadow, "in shadow")];
    let told = parts.iter().filter(|(part, _)| *part > 0);
    let caption: Vec<_> = told.map(|(part, name)| format!("{part} {name}")).collect();
    Bar {
        name: rule.to_owned(),
        caption: caption.join(", "),
        is_total: false,
        lengths: parts.map(|(part, _)| length(part, most)),
    }
}

fn length(part: usize, most: usize) -> usize {
    if part == 0 { 0 } else { (part * FULL / most.max(1)).max(LEAST) }
}
