//! The events of SES (SES developer guide, "Contents of event data that Amazon SES publishes"). They name the
//! recipient and the subject, of which nothing is read.

use crate::{MessageName, Report};
use aws_smithy_types::date_time::{DateTime, Format};
use passcode_domain::{
    Timestamp,
    ledger::receipt::{DeliveryState, Receipt},
    ports::Cause,
};
use passcode_ses::RECEIPT_TAG;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// An event, as far as it is read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(rename = "eventType")]
    kind: String,
    mail: Mail,
    #[serde(default)]
    bounce: Bounce,
    #[serde(default)]
    complaint: Complaint,
    #[serde(default)]
    delivery: Moment,
    #[serde(default)]
    delivery_delay: Moment,
}

#[derive(Debug, Deserialize)]
struct Mail {
    timestamp: String,
    #[serde(default)]
    tags: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Bounce {
    #[serde(rename = "bounceType")]
    kind: String,
    #[serde(rename = "bounceSubType")]
    sub_kind: String,
    timestamp: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Complaint {
    #[serde(rename = "complaintSubType")]
    sub_kind: Option<String>,
    #[serde(rename = "complaintFeedbackType")]
    feedback: Option<String>,
    timestamp: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Moment {
    timestamp: Option<String>,
}

/// What an event reports; nothing where it is none of ours, or tells nothing of a delivery.
pub(super) fn report(detail: &Value) -> Result<Option<Report>, Cause> {
    // What the parser says of a malformed one can repeat a part of it.
    let event = Event::deserialize(detail).map_err(|_| "a malformed event of SES")?;
    let Some(tag) = event.mail.tags.get(RECEIPT_TAG).and_then(|values| values.first()) else {
        return Ok(None);
    };
    let Some((state, reason, at)) = meaning(&event) else { return Ok(None) };
    let at = moment(at.unwrap_or(&event.mail.timestamp)).ok_or("an event of SES without a time")?;
    Ok(Some(Report {
        message: MessageName::Tag(tag.clone()),
        receipt: Receipt { state, at },
        reason,
        is_alarming: false,
    }))
}

/// What happened, more of it, and when.
type Meaning<'a> = (DeliveryState, Option<&'static str>, Option<&'a str>);

fn meaning(event: &Event) -> Option<Meaning<'_>> {
    let Event { bounce, complaint, delivery, delivery_delay, .. } = event;
    let (state, reason, at) = match event.kind.as_str() {
        "Delivery" => (DeliveryState::Delivered, None, &delivery.timestamp),
        "DeliveryDelay" => (DeliveryState::Delayed, None, &delivery_delay.timestamp),
        "Bounce" => {
            let (state, reason) = bounced(bounce);
            (state, reason, &bounce.timestamp)
        }
        "Complaint" => {
            let (state, reason) = complained(complaint)?;
            (state, reason, &complaint.timestamp)
        }
        "Reject" => (DeliveryState::Failed, Some("rejected"), &None),
        "Rendering Failure" => (DeliveryState::Failed, Some("not rendered"), &None),
        _ => return None,
    };
    Some((state, reason, at.as_deref()))
}

/// A bounce that is not permanent can be an automatic answer: then the message has arrived.
fn bounced(bounce: &Bounce) -> (DeliveryState, Option<&'static str>) {
    let reason = match bounce.sub_kind.as_str() {
        "NoEmail" => Some("no such mailbox"),
        "Suppressed" | "OnAccountSuppressionList" => Some("suppressed"),
        "MailboxFull" => Some("mailbox full"),
        "MessageTooLarge" => Some("too large"),
        "ContentRejected" => Some("content refused"),
        _ => None,
    };
    let state = match (bounce.kind.as_str(), reason) {
        ("Permanent", _) => DeliveryState::Bounced,
        (_, Some(_)) => DeliveryState::Failed,
        (_, None) => DeliveryState::Undelivered,
    };
    (state, reason)
}

fn complained(complaint: &Complaint) -> Option<(DeliveryState, Option<&'static str>)> {
    match (complaint.sub_kind.as_deref(), complaint.feedback.as_deref()) {
        // SES has not sent it, because the address is on the account's list.
        (Some("OnAccountSuppressionList"), _) => Some((DeliveryState::Bounced, Some("suppressed"))),
        // Somebody has said that it was none.
        (_, Some("not-spam")) => None,
        _ => Some((DeliveryState::Complained, None)),
    }
}

/// A time in RFC 3339.
fn moment(text: &str) -> Option<Timestamp> {
    let at = DateTime::from_str(text, Format::DateTime).ok()?;
    u64::try_from(at.to_millis().ok()?).ok().map(Timestamp::from_millis)
}
