//! `POST /_local/receipts`: reports of SES and SNS on this machine. A recorded event is made one of a message in
//! the inbox and handed to the function that consumes such events.

use super::{LocalClock, Observer, functions::Handler, inbox::Inbox};
use axum::{
    Json, Router,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::post,
};
use data_encoding::BASE64;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use passcode_domain::ports::Clock as _;
use passcode_http::{Answer, Record};
use passcode_runtime::{Observed, log::Line};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    io::{Read as _, Write as _},
    time::Instant,
};

macro_rules! recorded {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../../../events/delivery-receipts/", $name, ".json")))),+]
    };
}

/// The events that report what became of a message.
const RECORDED: [(&str, &str); 14] = recorded![
    "email-answered-automatically",
    "email-bounced",
    "email-complained",
    "email-delayed",
    "email-delivered",
    "email-mailbox-full",
    "email-rejected",
    "email-suppressed",
    "email-undetermined",
    "text-delivered",
    "text-invalid-number",
    "text-opted-out",
    "text-sandbox",
    "text-unknown-error",
];

#[derive(Debug, Deserialize)]
struct Request {
    /// The id of the message in the inbox.
    id: String,
    /// The name of a recorded event.
    event: String,
}

pub(super) fn routes(
    inbox: Inbox,
    clock: LocalClock,
    consume: Handler,
    observer: Observer,
) -> Router {
    let receive = move |Json(request): Json<Request>| {
        let (inbox, clock) = (inbox.clone(), clock.clone());
        let (consume, observer) = (consume.clone(), observer.clone());
        async move { receive(&inbox, &clock, &consume, &observer, &request).await }
    };
    Router::new().route("/_local/receipts", post(receive))
}

async fn receive(
    inbox: &Inbox,
    clock: &LocalClock,
    consume: &Handler,
    observer: &Observer,
    request: &Request,
) -> Response {
    let refused = |message: String| {
        (StatusCode::BAD_REQUEST, Json(json!({ "message": message }))).into_response()
    };
    let Some(message) = inbox.find(&request.id) else {
        return refused("`id` is of no message in the inbox".to_owned());
    };
    let kind = if message.channel == "sms" { "text-" } else { "email-" };
    let of_kind = |(name, _): &&(&str, &str)| name.starts_with(kind);
    let Some((_, text)) = RECORDED.iter().filter(of_kind).find(|(name, _)| *name == request.event)
    else {
        let names: Vec<_> = RECORDED.iter().filter(of_kind).map(|(name, _)| *name).collect();
        return refused(format!("`event` must be one of {}", names.join(", ")));
    };
    let event: Value = serde_json::from_str(text).unwrap_or_default();
    let now = clock.now();
    let event = match kind {
        "text-" => receipt_of_text(event, &message.id, now.as_millis()),
        _ => Some(receipt_of_email(event, &message.receipt_tag, &super::inbox::time(now))),
    };
    let Some(event) = event else { return refused("the recorded event is malformed".to_owned()) };
    let began = Instant::now();
    let not_consumed =
        || (StatusCode::BAD_GATEWAY, Json(json!({ "message": "not consumed" }))).into_response();
    let Ok((answer, records)) = consume(event).await else { return not_consumed() };
    let outcome = records.first().map(|record| record.outcome);
    for record in records {
        observer(&request.event, &observed(record, &answer, (clock, began)));
    }
    match outcome {
        Some(outcome) if answer.status.is_success() => {
            Json(json!({ "outcome": outcome })).into_response()
        }
        _ => not_consumed(),
    }
}

/// What the log says of one thing that the event tells: a receipt has no status of HTTP.
fn observed(record: Record, answer: &Answer, (clock, began): (&LocalClock, Instant)) -> Observed {
    let line = Line {
        function: delivery_receipts::NAME,
        request_id: "",
        status: None,
        at: clock.now(),
        took: began.elapsed(),
        record: &record,
    };
    Observed { line: line.print(), answer: Answer::empty(answer.status), record }
}

/// An event of SES, of another e-mail (by its tag) and another moment.
#[must_use]
pub fn receipt_of_email(mut event: Value, tag: &str, now: &str) -> Value {
    event["detail"]["mail"]["tags"]["receipt"] = json!([tag]);
    for part in ["mail", "bounce", "complaint", "delivery", "deliveryDelay"] {
        if let Some(timestamp) = event.pointer_mut(&format!("/detail/{part}/timestamp")) {
            *timestamp = now.into();
        }
    }
    event
}

/// An event of SNS's logs, of another text message and another moment. Its data is compressed JSON, whose messages
/// are JSON. `None` where it is none.
#[must_use]
pub fn receipt_of_text(mut event: Value, id: &str, now: u64) -> Option<Value> {
    let packed = BASE64.decode(event["awslogs"]["data"].as_str()?.as_bytes()).ok()?;
    let mut data = String::new();
    GzDecoder::new(&packed[..]).read_to_string(&mut data).ok()?;
    let mut data: Value = serde_json::from_str(&data).ok()?;
    for line in data["logEvents"].as_array_mut()? {
        line["timestamp"] = now.into();
        if let Ok(mut entry) = serde_json::from_str::<Value>(line["message"].as_str()?) {
            entry["notification"]["messageId"] = id.into();
            line["message"] = entry.to_string().into();
        }
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data.to_string().as_bytes()).ok()?;
    event["awslogs"]["data"] = BASE64.encode(&encoder.finish().ok()?).into();
    Some(event)
}
