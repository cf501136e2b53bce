//! Moments, as commands print them.

use jiff::Timestamp as Time;
use passcode_domain::Timestamp;

/// A moment in RFC 3339, in whole seconds.
pub(crate) fn print_time(at: Timestamp) -> String {
    let seconds = i64::try_from(at.as_millis() / 1000).unwrap_or(i64::MAX);
    Time::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
}
