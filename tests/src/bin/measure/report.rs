//! What was found, beside what it may be.

use std::time::Duration;

/// The lines that were printed, and how many sizes were over their budget. A time over its budget is only
/// told, since machines are noisy.
#[derive(Default)]
pub(crate) struct Report {
    missed: u32,
}

/// A figure without a budget.
pub(crate) fn found(what: &str, found: f64, unit: &str) {
    println!("  {what:<52} {found:>9.2} {unit}");
}

/// A figure that should be at most so much.
pub(crate) fn goal(what: &str, found: f64, unit: &str, goal: f64) {
    let verdict = if found <= goal { "ok" } else { "MISSED" };
    println!("  {what:<52} {found:>9.2} {unit:<4} of {goal:>7.2}  {verdict}");
}

impl Report {
    /// A figure that shall be at most its budget.
    pub(crate) fn budgeted(&mut self, what: &str, found: f64, unit: &str, budget: f64) {
        self.missed += u32::from(found > budget && unit == "MB");
        goal(what, found, unit, budget);
    }

    /// Ends the run with an error where a size was over its budget.
    pub(crate) fn finish(self) {
        assert!(self.missed == 0, "{} sizes are over their budget", self.missed);
    }
}

/// The middle one of some times.
pub(crate) fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted[sorted.len() / 2]
}

/// A time in milliseconds.
pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A size in megabytes.
#[expect(clippy::cast_precision_loss, reason = "a size for people")]
pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
