//! The events of one journey: an auth request is created for a phone number, its code is sent and then
//! verified. Every number and every IP address occurs once.

use passcode_tests::event::Event;
use serde_json::{Value, json};

/// The functions that serve a journey.
pub(crate) const CREATE: &str = "otpless-auth-create";
/// The same of the second step, and of a send that needs no first.
pub(crate) const SEND: &str = "otpless-otp-initiate";
/// The same of the last.
pub(crate) const VERIFY: &str = "rollout-otp-verify";

/// The number of a journey, without its country code.
fn national(n: usize) -> String {
    format!("415{:03}{:04}", 200 + n % 800, n)
}

/// The number of a journey.
pub(crate) fn number(n: usize) -> String {
    format!("+1{}", national(n))
}

pub(crate) fn create(n: usize) -> Value {
    let body = json!({ "phoneNumber": national(n), "countryCode": "1" });
    from(n, Event::recorded(CREATE, "phone").json(&body))
}

pub(crate) fn send(n: usize, id: &str) -> Value {
    from(n, Event::recorded(SEND, "request").challenge(id))
}

/// A send straight to the number.
pub(crate) fn send_to(n: usize) -> Value {
    let body = json!({ "phoneNumber": number(n), "channels": ["SMS"] });
    from(n, Event::recorded(SEND, "phone").json(&body))
}

pub(crate) fn verify(n: usize, id: &str, code: &str) -> Value {
    from(n, Event::recorded(VERIFY, "json").challenge(id).json(&json!({ "otp": code })))
}

/// The same for the small function that the others are measured beside.
pub(crate) fn verify_with_peer(n: usize, id: &str, code: &str) -> Value {
    let body = json!({ "requestId": id, "otp": code });
    from(n, Event::recorded(VERIFY, "json").json(&body))
}

fn from(n: usize, event: Event) -> Value {
    let mut event = event.0;
    event["requestContext"]["http"]["sourceIp"] = format!("10.{}.{}.1", n / 250, n % 250).into();
    event
}

/// The `requestId` in an answer.
pub(crate) fn request_id(reply: &Value) -> String {
    let body = accepted(reply);
    body["requestId"].as_str().expect("a requestId").to_owned()
}

/// The body of an answer that says yes.
pub(crate) fn accepted(reply: &Value) -> Value {
    assert_eq!(reply["statusCode"], 200, "{reply}");
    serde_json::from_str(reply["body"].as_str().unwrap_or_default()).expect("JSON")
}
