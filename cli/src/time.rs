//! Moments, as commands print them.

use jiff::Timestamp as Time;
use passcode_domain::Timestamp;

/// A moment in RFC 3339, in whole seconds.
pub(crate) fn print_time(at: Timestamp) -> String {
    let seconds = i64::try_from(at.as_millis() / 1000).unwrap_or(i64::MAX);
    Time::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
}

/// A moment as text, in UTC.
pub(crate) fn utc(at: Timestamp, format: &str) -> String {
    let millis = i64::try_from(at.as_millis()).unwrap_or_default();
    Time::from_millisecond(millis).unwrap_or_default().strftime(format).to_string()
}

/// The format of RFC 3339 for [`utc`].
pub(crate) const RFC3339: &str = "%Y-%m-%dT%H:%M:%S%.fZ";
