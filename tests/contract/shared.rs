//! What the OTPless functions have in common: who may call, and what a body may be.

use passcode_tests::event::{Event, Reply};
use serde_json::{Value, json};

/// The row of the OTPless error table that a reply is.
pub(crate) fn row(reply: &Reply) -> (u16, &str) {
    (reply.status, reply.json["errorCode"].as_str().unwrap_or("none"))
}

/// An OTPless error says all three things, or, from 500 up, just the first.
pub(crate) fn check_shape(reply: &Reply) {
    assert_eq!(reply.media, "application/json");
    let fields: Vec<_> = reply.json.as_object().expect("an object").keys().collect();
    match reply.status {
        500.. => assert_eq!(fields, ["message"], "{reply:?}"),
        _ => assert_eq!(fields, ["description", "errorCode", "message"], "{reply:?}"),
    }
}

/// Callers that are refused before anything else is looked at.
pub(crate) fn refuses_strangers(event: &Event, call: impl Fn(&Event) -> Reply) {
    for (id, secret, expected) in [
        (None, None, "7012"),
        (Some("demo"), None, "7012"),
        (None, Some("demo-secret"), "7012"),
        (Some(""), Some("demo-secret"), "7012"),
        (Some("demo"), Some(""), "7012"),
        (Some("demo"), Some("demo-secre"), "7002"),
        (Some("demo"), Some("demo-secret2"), "7002"),
        (Some("nobody"), Some("demo-secret"), "7002"),
        (Some("de mo/"), Some("demo-secret"), "7002"),
    ] {
        let event = event.clone().header("clientid", id).header("clientsecret", secret);
        let reply = call(&event);
        check_shape(&reply);
        assert_eq!(row(&reply), (401, expected), "{id:?} {secret:?}");
        assert_eq!(reply.json["message"], "Access blocked");
    }
}

/// Bodies that are refused as 7101, whatever the endpoint.
pub(crate) fn refuses_bodies(event: &Event, call: impl Fn(&Event) -> Reply) {
    let big = json!({ "email": "a".repeat(11 * 1024) }).to_string();
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    let utf16: Vec<u8> = "{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let events = [
        event.clone().body(""),
        event.clone().body("{"),
        event.clone().body("null"),
        event.clone().body("[]"),
        event.clone().body("\"text\""),
        event.clone().body("{} {}"),
        event.clone().body(deep),
        event.clone().body(big),
        event.clone().bytes(b"\xff\xfe\x00"),
        event.clone().bytes(b"{\"email\":\"\xff\"}"),
        event.clone().bytes(&utf16),
        event.clone().header("content-type", "text/xml"),
        event.clone().header("content-type", "application/x-www-form-urlencoded"),
        event.clone().header("content-type", "not a media type"),
    ];
    for event in events {
        let reply = call(&event);
        check_shape(&reply);
        assert_eq!(row(&reply), (400, "7101"), "{}", event.0["body"]);
    }
}

/// A body with one field changed, or, where the value is null, without it.
pub(crate) fn with(mut body: Value, field: &str, value: &Value) -> Value {
    match (body.as_object_mut(), value) {
        (Some(fields), Value::Null) => drop(fields.remove(field)),
        (Some(fields), value) => drop(fields.insert(field.to_owned(), value.clone())),
        (None, _) => panic!("an object was expected"),
    }
    body
}
