//! A gate between each function and the services, which lets through what the function's own policy allows
//! and answers everything else as AWS does: with a denial. The functions run in this process; each has a
//! gate of its own, so that a gate knows who calls.
//!
//! | variable | meaning |
//! |---|---|
//! | `PASSCODE_POLICIES` | The template as SAM's translator expands it. Without it there are no gates. |
//! | `PASSCODE_CALLS` | A file that every call is added to, with the permission that it needed. |
//! | `PASSCODE_WITHOUT` | A function and a permission that is taken from it, as `PASSCODE_CALLS` has them. |

use crate::policy::{self, Call, Policy};
use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use passcode::local::{Handler, Stack, in_process_with};
use passcode_runtime::Settings;
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::Write as _,
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    sync::Arc,
};

/// Whether there are gates.
#[must_use]
pub fn is_set() -> bool {
    std::env::var_os("PASSCODE_POLICIES").is_some()
}

/// What serves a stack's functions behind gates, where there are policies.
#[must_use]
pub fn serve_by() -> Option<impl Fn(&Stack, &str) -> Result<Handler, String>> {
    let mut policies = policy::read(std::env::var_os("PASSCODE_POLICIES")?.as_ref());
    if let Ok(without) = std::env::var("PASSCODE_WITHOUT") {
        let (function, permission) = without.split_once(' ').expect("a function and a permission");
        let policy = policies.get_mut(function).expect("a function");
        let before = policy.permissions.len();
        policy.permissions.retain(|candidate| candidate.to_string() != permission);
        assert_eq!(policy.permissions.len() + 1, before, "{without} is taken away");
    }
    Some(move |stack: &Stack, function: &str| {
        let policy = policies.get(function).cloned();
        let policy = policy.ok_or_else(|| format!("{function} has no policy"))?;
        let url = Gate::open(stack, function, policy).map_err(|error| error.to_string())?;
        let own: BTreeMap<String, String> = stack.environment(function);
        let settings = Settings::new(move |name| match name {
            name if name.starts_with("AWS_ENDPOINT_URL") => Some(url.clone()),
            name => own.get(name).cloned(),
        });
        in_process_with(stack, function, &settings)
    })
}

struct Gate {
    function: String,
    policy: Policy,
    dynamodb: String,
    sink: String,
    calls: Option<PathBuf>,
    http: reqwest::Client,
}

impl Gate {
    /// Opens a gate in front of a stack's services. Its URL.
    fn open(stack: &Stack, function: &str, policy: Policy) -> std::io::Result<String> {
        let gate = Arc::new(Self {
            function: function.to_owned(),
            policy,
            dynamodb: stack.dynamodb.clone(),
            sink: stack.sink.clone(),
            calls: std::env::var_os("PASSCODE_CALLS").map(PathBuf::from),
            http: reqwest::Client::new(),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}", listener.local_addr()?);
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let pass = move |uri: Uri, headers: HeaderMap, body: Bytes| async move {
            gate.pass(&uri, headers, body).await
        };
        let routes = Router::new().fallback(pass);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(url)
    }

    async fn pass(&self, uri: &Uri, headers: HeaderMap, body: Bytes) -> Response {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        // The scope of a signature: key id, day, Region, service.
        let signed = text("authorization").and_then(|signed| signed.split("Credential=").nth(1));
        let service = signed.and_then(|scope| scope.split('/').nth(3)).unwrap_or_default();
        let service = service.to_owned();
        let target = text("x-amz-target").unwrap_or_default();
        let calls = match policy::calls(&service, target, uri.path(), &body) {
            Ok(calls) => calls,
            Err(unknown) => {
                self.record("unknown", &unknown);
                return (StatusCode::NOT_IMPLEMENTED, unknown).into_response();
            }
        };
        for call in &calls {
            let mut permissions = self.policy.permissions.iter();
            let Some(permission) = permissions.find(|permission| permission.allows(call)) else {
                self.record("denied", &call.to_string());
                return denied(&service, &self.function, call);
            };
            self.record("allowed", &permission.to_string());
        }
        self.forward(&service, uri, headers, body).await
    }

    async fn forward(
        &self,
        service: &str,
        uri: &Uri,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Response {
        let to = if service == "dynamodb" { &self.dynamodb } else { &self.sink };
        headers.remove(header::HOST);
        let request = self.http.post(format!("{to}{uri}")).headers(headers).body(body);
        match request.send().await {
            Ok(answer) => {
                let (status, headers) = (answer.status(), answer.headers().clone());
                (status, headers, answer.bytes().await.unwrap_or_default()).into_response()
            }
            Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
        }
    }

    /// Adds a line: what became of a call, of which function, and what it was or needed.
    fn record(&self, became: &str, what: &str) {
        let Some(path) = &self.calls else { return };
        let line = format!("{became} {} {what}\n", self.function);
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("a file to add to");
    }
}

/// A denial, in the protocol of the service.
fn denied(service: &str, function: &str, call: &Call) -> Response {
    let message = format!(
        "User: {function} is not authorized to perform: {} on resource: {} because no \
         identity-based policy allows the {} action",
        call.action, call.resource, call.action
    );
    match service {
        "sns" => {
            let xml = format!(
                "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>\
                 Sender</Type><Code>AuthorizationError</Code><Message>{message}</Message></Error>\
                 </ErrorResponse>"
            );
            (StatusCode::FORBIDDEN, [(header::CONTENT_TYPE, "text/xml")], xml).into_response()
        }
        "ses" => {
            let kind = [("x-amzn-errortype", "AccessDeniedException")];
            (StatusCode::FORBIDDEN, kind, json!({ "message": message }).to_string()).into_response()
        }
        _ => {
            let body = json!({ "__type": "AccessDeniedException", "Message": message });
            let kind = [(header::CONTENT_TYPE, "application/x-amz-json-1.0")];
            (StatusCode::BAD_REQUEST, kind, body.to_string()).into_response()
        }
    }
}
