//! The log of a deployed stack, read from `CloudWatch`.

use crate::{
    call::{Caller, LOGS},
    place::Place,
};
use aws_types::SdkConfig;
use passcode_domain::ports::Clock as _;
use passcode_runtime::SystemClock;
use serde_json::json;
use std::{error::Error, time::Duration};

/// The lines of the stack's log group since so long ago.
pub(super) async fn lines(
    place: &Place,
    aws: &SdkConfig,
    since: Duration,
) -> Result<String, Box<dyn Error>> {
    let group = place.resource(aws, "Logs").await?;
    let from = SystemClock.now().as_millis().saturating_sub(millis(since));
    let mut input = json!({ "logGroupName": group, "startTime": from });
    let mut lines = String::new();
    loop {
        let failed = |cause| format!("CloudWatch Logs: {cause}; it needs logs:FilterLogEvents");
        let page = Caller::new(aws).post(LOGS, "FilterLogEvents", &input).await.map_err(failed)?;
        for event in page["events"].as_array().into_iter().flatten() {
            lines.push_str(event["message"].as_str().unwrap_or_default().trim_end());
            lines.push('\n');
        }
        match page["nextToken"].as_str() {
            Some(token) => input["nextToken"] = token.into(),
            None => return Ok(lines),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A number of minutes, hours or days: `30m`, `12h`, `7d`.
pub(super) fn duration(text: &str) -> Result<Duration, &'static str> {
    const WRONG: &str = "it must be a number of minutes, hours or days, as in 30m, 12h or 7d";
    let unit = match text.chars().last() {
        Some('m') => Duration::from_mins(1),
        Some('h') => Duration::from_hours(1),
        Some('d') => Duration::from_hours(24),
        _ => return Err(WRONG),
    };
    let number = text[..text.len() - 1].parse().map_err(|_| WRONG)?;
    unit.checked_mul(number).filter(|duration| !duration.is_zero()).ok_or(WRONG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_with_a_unit() {
        for (text, minutes) in [("30m", 30), ("12h", 720), ("7d", 10_080)] {
            assert_eq!(duration(text), Ok(Duration::from_mins(minutes)));
        }
        for wrong in ["", "d", "7", "0d", "-1d", "7w", "1.5h", "7 d", "4294967296d", "7d\u{e9}"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
