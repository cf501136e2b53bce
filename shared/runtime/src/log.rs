//! The request log: one JSON line a request, which is also its metrics, in `CloudWatch`'s embedded
//! metric format. Metrics count challenges, by app and channel.

use metrique_writer::{Entry, EntryWriter, format::Format as _};
use metrique_writer_format_emf::{Emf, NoMetric};
use passcode_domain::Timestamp;
use passcode_http::Record;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The `CloudWatch` namespace.
pub const NAMESPACE: &str = "Passcode";

/// The outcomes that are counted, with their metrics.
pub const METRICS: [(&str, &str); 5] = [
    ("sent", "Sent"),
    ("verified", "Verified"),
    ("incorrect", "Incorrect"),
    ("expired", "Expired"),
    ("exhausted", "Exhausted"),
];

/// One line of the log.
#[derive(Debug)]
pub struct Line<'a> {
    /// The function that served the request.
    pub function: &'a str,
    /// The id of the invocation.
    pub request_id: &'a str,
    /// The HTTP status of the answer.
    pub status: u16,
    /// When the request came.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub record: &'a Record,
}

impl Entry for Line<'_> {
    fn write<'a>(&'a self, writer: &mut impl EntryWriter<'a>) {
        let record = self.record;
        let micros = u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX);
        writer.timestamp(at(self.at));
        writer.value("level", if record.error.is_some() { "ERROR" } else { "INFO" });
        writer.value("requestId", self.request_id);
        writer.value("function", self.function);
        writer.value("outcome", record.outcome);
        writer.value("status", &NoMetric::from(u64::from(self.status)));
        writer.value("durationMicros", &NoMetric::from(micros));
        writer.value("app", record.app.as_ref().map_or("none", |app| app.as_str()));
        writer.value("channel", record.channel.map_or("none", |channel| channel.as_str()));
        if let Some(id) = record.challenge {
            writer.value("challengeId", &id.to_string());
        }
        if let Some(error) = &record.error {
            writer.value("error", error.as_str());
        }
        let counted = METRICS.iter().find(|(outcome, _)| *outcome == record.outcome);
        if let Some((_, metric)) = counted {
            writer.value(*metric, &1u64);
        }
    }
}

impl Line<'_> {
    /// The line as it is printed, with its line break.
    #[must_use]
    pub fn print(&self) -> Vec<u8> {
        let dimensions = vec![vec!["app".to_owned(), "channel".to_owned()]];
        let mut printed = Vec::with_capacity(512);
        // Every line has both dimensions and names that differ, so there is nothing to validate.
        let result =
            Emf::no_validations(NAMESPACE.to_owned(), dimensions).format(self, &mut printed);
        if result.is_err() {
            printed =
                b"{\"level\":\"ERROR\",\"error\":\"a log line could not be printed\"}\n".to_vec();
        }
        printed
    }
}

fn at(moment: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(moment.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use passcode_domain::{ChallengeId, Channel, SubjectKey};
    use serde_json::{Value, json};

    fn line(record: &Record) -> Value {
        let line = Line {
            function: "rollout-otp-verify",
            request_id: "r-1",
            status: 200,
            at: Timestamp::from_millis(1_800_000_000_000),
            took: Duration::from_micros(1500),
            record,
        };
        let printed = String::from_utf8(line.print()).unwrap();
        assert_eq!(printed.matches('\n').count(), 1, "one line: {printed}");
        serde_json::from_str(&printed).unwrap()
    }

    #[test]
    fn a_line_says_who_what_and_how_long() {
        let id = ChallengeId::new(SubjectKey::from_bytes([1; 16]), [2; 16]);
        let record = Record::of("verified")
            .app(&"demo".parse().unwrap())
            .challenge(id)
            .channel(Channel::Sms);
        assert_eq!(
            line(&record),
            json!({
                "_aws": {
                    "CloudWatchMetrics": [{
                        "Namespace": "Passcode",
                        "Dimensions": [["app", "channel"]],
                        "Metrics": [{"Name": "Verified"}],
                    }],
                    "Timestamp": 1_800_000_000_000u64,
                },
                "level": "INFO",
                "requestId": "r-1",
                "function": "rollout-otp-verify",
                "outcome": "verified",
                "status": 200,
                "durationMicros": 1500,
                "app": "demo",
                "channel": "sms",
                "challengeId": id.to_string(),
                "Verified": 1,
            })
        );
    }

    #[test]
    fn an_outcome_that_is_no_metric_counts_nothing() {
        let printed = line(&Record::of("created"));
        let metrics = &printed["_aws"]["CloudWatchMetrics"];
        assert!(metrics.to_string().matches("Name\"").count() == 0, "{metrics}");
    }

    #[test]
    fn a_line_break_in_a_cause_cannot_forge_a_line() {
        let cause: passcode_domain::ports::Cause = "first\n{\"forged\":true}".into();
        let printed = line(&Record::of("unavailable").cause(&cause));
        assert_eq!(printed["level"], "ERROR");
        assert_eq!(printed["error"], "first\n{\"forged\":true}");
    }
}
