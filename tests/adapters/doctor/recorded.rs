//! A place that answers as AWS does: with answers by service, operation and, where it matters, resource. It
//! remembers what it was asked.

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use serde_json::{Map, Value, json};
use std::{
    fmt::Write as _,
    sync::{Arc, Mutex},
};
use tokio::net::TcpListener;

const SOUND: &str = include_str!("sound.json");

/// Answers.
#[derive(Clone, Debug)]
pub(crate) struct Recorded(Value);

/// A call: service, operation, what it is about and its input.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Service and operation.
    pub(crate) name: String,
    /// The body, as JSON.
    pub(crate) input: Value,
    resource: String,
}

impl Recorded {
    /// The answers of an account and a stack in which everything is in order.
    pub(crate) fn sound() -> Self {
        let text = SOUND.replace("VERSION", env!("CARGO_PKG_VERSION"));
        Self(serde_json::from_str(&text).expect("JSON"))
    }

    /// The same with one part changed, or taken away where the value is null.
    pub(crate) fn with(mut self, path: &str, value: Value) -> Self {
        let mut place = &mut self.0;
        let (before, last) = path.rsplit_once('/').expect("a path");
        for step in before.split('/').skip(1) {
            place = match step.parse::<usize>() {
                Ok(index) => &mut place[index],
                Err(_) => &mut place[step],
            };
        }
        match (last.parse::<usize>(), place) {
            (Ok(index), place) => place[index] = value,
            (_, Value::Object(fields)) if value.is_null() => {
                fields.remove(last).expect("it is there");
            }
            (_, place) => place[last] = value,
        }
        self
    }

    /// Begins to answer; the URL, and the calls so far.
    pub(crate) async fn serve(self) -> (String, Arc<Mutex<Vec<Call>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let calls = Arc::new(Mutex::new(Vec::new()));
        let asked = calls.clone();
        let answer = move |uri: Uri, headers: HeaderMap, body: Bytes| async move {
            let call = Call::of(&uri, &headers, &body);
            let answer = self.answer(&call, headers.contains_key("x-amz-target"));
            asked.lock().expect("no panic while it is held").push(call);
            answer
        };
        let routes = Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (url, calls)
    }

    fn answer(&self, call: &Call, is_json: bool) -> Response {
        let own = self.0.get(format!("{} {}", call.name, call.resource));
        let answer = own.or_else(|| self.0.get(&call.name));
        let answer = answer.cloned().unwrap_or_else(|| match call.name.split_once(' ') {
            Some((_, operation)) if !operation.starts_with("Get") => json!({}),
            _ => json!({ "error": "NotFoundException" }),
        });
        let error = answer["error"].as_str().map(str::to_owned);
        let status = if error.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        if is_json || call.input.is_null() {
            let kind = error.unwrap_or_default();
            let body = json!({ "__type": kind, "message": "" });
            let body = if status.is_success() { as_sent(answer) } else { body };
            return (status, [("x-amzn-errortype", kind)], body.to_string()).into_response();
        }
        let operation = call.name.split_once(' ').map(|(_, operation)| operation);
        let operation = operation.unwrap_or_default();
        let body = match error {
            Some(code) => json!({ "ErrorResponse": { "Error": { "Code": code } } }),
            None => json!({
                (format!("{operation}Response")): { (format!("{operation}Result")): answer },
            }),
        };
        (status, xml(&body)).into_response()
    }
}

impl Call {
    fn of(uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Self {
        let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
        // …Credential=ID/DATE/REGION/SERVICE/aws4_request…
        let service = text("authorization").and_then(|it| it.split('/').nth(3));
        let service = service.expect("a signature");
        let path: Vec<&str> = uri.path().split('/').skip(1).collect();
        let input: Value = serde_json::from_slice(body).unwrap_or_else(|_| form(body));
        let (operation, resource) = match (text("x-amz-target"), path.as_slice()) {
            (Some(target), _) => {
                let (_, operation) = target.split_once('.').expect("a target");
                (operation, input["TableName"].as_str().unwrap_or_default())
            }
            (None, ["v2", "email", "account"]) => ("GetAccount", ""),
            (None, ["v2", "email", "identities", name]) => ("GetEmailIdentity", *name),
            (None, ["v2", "email", "configuration-sets", name, "event-destinations"]) => {
                ("GetConfigurationSetEventDestinations", *name)
            }
            (None, ["2016-08-19", "account-settings"]) => ("GetAccountSettings", ""),
            _ => (input["Action"].as_str().expect("a known path"), ""),
        };
        Self { name: format!("{service} {operation}"), resource: resource.to_owned(), input }
    }
}

/// A form as JSON; null where there is none.
fn form(body: &Bytes) -> Value {
    if body.is_empty() {
        return Value::Null;
    }
    let url = format!("http://localhost/?{}", String::from_utf8_lossy(body));
    let url = reqwest::Url::parse(&url).expect("a form");
    let fields = url.query_pairs().map(|(name, value)| (name.into_owned(), json!(value)));
    Value::Object(fields.collect())
}

/// What AWS sends as text that is JSON, stands here as JSON: documents of apps and policies.
fn as_sent(value: Value) -> Value {
    let field = |(name, value): (String, Value)| match value {
        Value::Object(_) if name == "S" || name == "Policy" => (name, value.to_string().into()),
        value => (name, as_sent(value)),
    };
    match value {
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(field).collect::<Map<_, _>>())
        }
        Value::Array(items) => items.into_iter().map(as_sent).collect(),
        value => value,
    }
}

/// XML of JSON. A list is its element repeated.
fn xml(value: &Value) -> String {
    let mut text = String::new();
    let Value::Object(fields) = value else {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        return text.replace('&', "&amp;").replace('<', "&lt;");
    };
    for (name, value) in fields {
        for one in value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice) {
            let _ = write!(text, "<{name}>{}</{name}>", xml(one));
        }
    }
    text
}
