//! The delivery status logs of SNS (SNS developer guide, "Viewing `CloudWatch` metrics and logs for SMS deliveries").
//! They name the number in clear, which is not read.

use crate::{MessageName, Report};
use aws_lambda_events::cloudwatch_logs::{LogData, LogEntry};
use passcode_domain::{
    Timestamp,
    ledger::receipt::{DeliveryState, Receipt},
    ports::ProviderMessageId,
};
use serde::Deserialize;

/// A log entry, as far as it is read.
#[derive(Debug, Deserialize)]
struct Entry {
    notification: Notification,
    delivery: Delivery,
    status: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notification {
    message_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delivery {
    #[serde(default)]
    provider_response: String,
}

/// What SNS writes of a message that was not delivered, and what we call it.
const REASONS: [(&str, &str); 13] = [
    ("Blocked as spam by phone carrier", "spam"),
    ("Destination is on a blocked list", "number blocked"),
    ("Invalid phone number", "invalid number"),
    ("Message body is invalid", "invalid text"),
    ("Phone carrier has blocked this message", "carrier refuses"),
    ("Phone carrier is currently unreachable", "carrier unreachable"),
    ("Phone has blocked SMS", "phone refuses"),
    ("Phone is on a blocked list", "phone blocked"),
    ("Phone is currently unreachable", "phone unreachable"),
    ("Phone number is opted out", "opted out"),
    ("This delivery would exceed max price", "over max price"),
    (SANDBOX, "sandbox"),
    (SPENT, "no quota left"),
];

/// The account may send to its own few numbers alone.
const SANDBOX: &str = "Sandboxed account unable to send to number";

/// The account's spend limit of the month is used up.
const SPENT: &str = "No quota left for account";

/// The reports of a batch. A line that is none is passed over: SNS logs topics as well.
pub(super) fn reports(data: &LogData) -> Vec<Report> {
    if data.message_type != "DATA_MESSAGE" {
        return Vec::new();
    }
    data.log_events.iter().filter_map(report).collect()
}

fn report(line: &LogEntry) -> Option<Report> {
    let entry: Entry = serde_json::from_str(&line.message).ok()?;
    let said = entry.delivery.provider_response;
    let known = REASONS.iter().find(|(text, _)| said.starts_with(text));
    let state = match (entry.status.as_str(), known) {
        ("SUCCESS", _) => DeliveryState::Delivered,
        ("FAILURE", Some(_)) => DeliveryState::Failed,
        // "Unknown error": it may have arrived.
        ("FAILURE", None) => DeliveryState::Undelivered,
        _ => return None,
    };
    let at = Timestamp::from_millis(u64::try_from(line.timestamp).unwrap_or_default());
    Some(Report {
        message: MessageName::Own(ProviderMessageId(entry.notification.message_id)),
        receipt: Receipt { state, at },
        reason: known.map(|(_, reason)| *reason),
        is_alarming: known.is_some_and(|(text, _)| [SANDBOX, SPENT].contains(text)),
    })
}
