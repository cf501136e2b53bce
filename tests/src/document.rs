//! Whether what handlers take and answer is what the OpenAPI document says: every reply of the
//! contract tests is held against it.

use crate::event::{Event, Reply};
use jsonschema::Validator;
use passcode_http::Body;
use serde_json::{Value, json};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    serde_json::to_value(passcode::openapi::document()).expect("the document is JSON")
});

/// What [`check`] prints before an operation and a status that a handler answered.
pub const ANSWERED: &str = "answered: ";

/// The operations of the document with each of their statuses, as [`check`] prints them.
///
/// # Panics
///
/// Where the document is none.
#[must_use]
pub fn documented() -> BTreeSet<String> {
    let paths = DOCUMENT["paths"].as_object().expect("paths").values();
    let operations = paths.filter_map(Value::as_object).flat_map(serde_json::Map::values);
    let statuses = |operation: &Value| {
        let id = one_of_older(operation["operationId"].as_str().expect("an operationId"));
        let statuses = operation["responses"].as_object().cloned().unwrap_or_default();
        statuses.into_iter().map(move |(status, _)| format!("{id} {status}"))
    };
    operations.flat_map(statuses).collect()
}

/// Holds an event and its reply against the document.
///
/// # Panics
///
/// Where they disagree.
pub fn check(event: &Event, reply: &Reply) {
    let route = event.0["routeKey"].as_str().unwrap_or_default();
    let operation = operation(route);
    let place = format!("{operation}/responses/{}", reply.status);
    let response = DOCUMENT.pointer(&place);
    let response = response.unwrap_or_else(|| panic!("{route}: undocumented: {reply:?}"));
    check_answer(&format!("{place}/content"), &response["content"], reply);
    if (200..300).contains(&reply.status) {
        check_body(&format!("{operation}/requestBody"), event);
    }
    let id = DOCUMENT.pointer(&operation).and_then(|operation| operation["operationId"].as_str());
    println!("{ANSWERED}{} {}", one_of_older(id.unwrap_or_default()), reply.status);
}

/// An older path, one with a slash behind, and that of the keys of step-ups lead to the same operation.
fn one_of_older(id: &str) -> String {
    id.replace("-older", "").replace("-slash", "").replace("-step-up", "")
}

/// The place of a route's operation in the document.
fn operation(route: &str) -> String {
    let (method, path) = route.split_once(' ').unwrap_or_else(|| panic!("no route: {route}"));
    let place = format!("/paths/{}/{}", escape(path), method.to_lowercase());
    assert!(DOCUMENT.pointer(&place).is_some(), "{route} is not documented");
    place
}

fn check_answer(place: &str, content: &Value, reply: &Reply) {
    if content.is_null() {
        assert_eq!((reply.media.as_str(), reply.text.as_str()), ("", ""), "{place}: a body");
        return;
    }
    let media = essence(&reply.media);
    assert!(content.get(media).is_some(), "{place}: undocumented: {reply:?}");
    if holds_json(media) {
        // A field that the document does not name is a disagreement as well.
        let place = format!("{place}/{}/schema", escape(media));
        validate(&place, &reply.text, &json!({ "unevaluatedProperties": false }));
    }
}

/// Whether the document admits a JSON body on a route.
///
/// # Panics
///
/// Where the document has no such route, or the route no JSON body.
#[must_use]
pub fn admits(route: &str, body: &Value) -> bool {
    let place = format!("{}/requestBody/content/application~1json/schema", operation(route));
    validator(&place, &json!({})).is_valid(body)
}

/// The body of a request that was served is one that the document allows.
fn check_body(place: &str, event: &Event) {
    let request = event.request();
    let given = request.headers().get("content-type").and_then(|media| media.to_str().ok());
    let media = essence(given.unwrap_or("application/json"));
    let body = match request.body() {
        Body::Text(text) => text.clone(),
        Body::Binary(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    };
    let Some(documented) = DOCUMENT.pointer(place) else { return };
    let is_absent = body.is_empty() && documented["required"] != true;
    if holds_json(media) && !is_absent {
        validate(&format!("{place}/content/{}/schema", escape(media)), &body, &json!({}));
    }
}

/// Forms are not put together again here.
fn holds_json(media: &str) -> bool {
    media == "text/plain" || media.ends_with("json")
}

/// Validates a JSON text with the schema at a place of the document, and with what is `added` to it.
fn validate(place: &str, text: &str, added: &Value) {
    let value: Value =
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{place}: {error}: {text}"));
    let errors: Vec<_> =
        validator(place, added).iter_errors(&value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{place}: {errors:?}: {text}");
}

/// Schemas of OpenAPI 3.1 are JSON Schema 2020-12. Each is compiled once.
fn validator(place: &str, added: &Value) -> Arc<Validator> {
    static COMPILED: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> =
        LazyLock::new(Mutex::default);
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let compile = || {
        // References begin at the root, so the components come along.
        let mut schema = added.clone();
        schema["components"] = DOCUMENT["components"].clone();
        let found = DOCUMENT.pointer(place).unwrap_or_else(|| panic!("{place}: no schema"));
        schema["allOf"] = json!([found]);
        let options = jsonschema::draft202012::options().should_validate_formats(true);
        Arc::new(options.build(&schema).unwrap_or_else(|error| panic!("{place}: {error}")))
    };
    compiled.entry(place.to_owned()).or_insert_with(compile).clone()
}

/// A name as a part of a JSON pointer.
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// A media type without its parameters.
fn essence(media: &str) -> &str {
    media.split(';').next().unwrap_or_default().trim()
}
