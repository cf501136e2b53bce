//! The API: for every route of the template, each request becomes an event for the function. The
//! paths under `/_local/` exist only on the local stack.

use super::{
    Observer, ServeBy, Stack, docs,
    event::{self, Context},
    functions::Handler,
    inbox::{self, Inbox},
    issuer,
    listen::names_this_machine,
    receipts, sign_in,
};
use crate::template::Route;
use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{
        ConnectInfo, DefaultBodyLimit, RawPathParams, Request,
        rejection::{BytesRejection, ExtensionRejection, RawPathParamsRejection},
    },
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{MethodFilter, on, post},
};
use data_encoding::HEXLOWER;
use jiff::fmt::rfc2822::DateTimePrinter;
use passcode_domain::{
    Timestamp,
    ports::{Clock as _, Entropy as _},
};
use passcode_http::{Answer, Record};
use passcode_runtime::{SystemEntropy, observe};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::{
    error::Error,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

/// The largest body that API Gateway passes to a function.
const MAX_BODY: usize = 6 * 1024 * 1024;

pub(super) fn routes(
    stack: &Stack,
    inbox: Inbox,
    observer: &Observer,
    serve_by: &ServeBy,
) -> Result<Router, Box<dyn Error>> {
    let mut router = Router::new();
    let mut greedy = Vec::new();
    for function in stack.template.functions.iter().filter(|function| !function.routes.is_empty()) {
        let serve = Arc::new(Serve {
            function: function.name.clone(),
            handler: serve_by(stack, &function.name)?,
            clock: stack.clock.clone(),
            observer: observer.clone(),
        });
        for route in &function.routes {
            match route.greedy() {
                Some(_) => greedy.push(Greedy { route: route.clone(), serve: serve.clone() }),
                None => router = add(router, route, serve.clone())?,
            }
        }
    }
    let greedy = Arc::new(greedy);
    let consume = serve_by(stack, delivery_receipts::NAME)?;
    let unrouted = move |peer, method, uri: Uri, headers, body| async move {
        match greedy.iter().find(|greedy| greedy.takes(&method, uri.path())) {
            Some(greedy) => greedy.request(peer, method, uri, headers, body).await,
            None => message(StatusCode::NOT_FOUND, "Not Found"),
        }
    };
    let (clock, address) = (stack.clock.clone(), stack.address);
    let router = router
        .route("/_local/clock", post(move |body| async move { advance(&clock, &body) }))
        .merge(inbox::routes(inbox.clone()))
        .merge(receipts::routes(inbox, stack.clock.clone(), consume, observer.clone()))
        .merge(issuer::routes(&stack.api, stack.clock.clone()))
        .merge(docs::routes())
        .merge(sign_in::routes())
        .fallback(unrouted.clone())
        .method_not_allowed_fallback(unrouted)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(move |request, next| guard(address, request, next)));
    Ok(router)
}

fn add(router: Router, route: &Route, serve: Arc<Serve>) -> Result<Router, Box<dyn Error>> {
    let key = format!("{} {}", route.method, route.path);
    let unknown = || format!("template.yaml: {key}: not a method");
    let method = Method::from_bytes(route.method.as_bytes()).map_err(|_| unknown())?;
    let filter = MethodFilter::try_from(method).map_err(|_| unknown())?;
    let path = route.path.clone();
    let handler = move |parameters: Parameters, peer, method, uri, headers, body| async move {
        let Ok(parameters) = parameters else {
            return message(StatusCode::BAD_REQUEST, "Bad Request");
        };
        let parameters = parameters.iter().map(|(k, v)| (k.to_owned(), v.into())).collect();
        serve.request(&key, parameters, peer, method, uri, headers, body).await
    };
    Ok(router.route(&path, on(filter, handler)))
}

/// A route for the requests that no other route matches.
struct Greedy {
    route: Route,
    serve: Arc<Serve>,
}

impl Greedy {
    /// Whether the route matches this method and this path.
    fn takes(&self, method: &Method, path: &str) -> bool {
        ["ANY", method.as_str()].contains(&&*self.route.method) && self.rest(path).is_some()
    }

    /// The name of the last segment, and the part of a path that it matches.
    fn rest<'a>(&'a self, path: &'a str) -> Option<(&'a str, &'a str)> {
        let (before, name) = self.route.greedy()?;
        let rest = path.strip_prefix(before)?.strip_prefix('/')?;
        (!rest.is_empty()).then_some((name, rest))
    }

    async fn request(
        &self,
        peer: Peer,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        body: Result<Bytes, BytesRejection>,
    ) -> Response {
        let key = format!("{} {}", self.route.method, self.route.path);
        let rest = self.rest(uri.path());
        let parameters = rest.map(|(name, rest)| (name.to_owned(), rest.into()));
        let parameters = parameters.into_iter().collect();
        self.serve.request(&key, parameters, peer, method, uri, headers, body).await
    }
}

/// Refuses requests whose host is not a name of this machine. Otherwise a web site could let its
/// own name resolve to this machine (DNS rebinding) and read the inbox.
async fn guard(address: Option<IpAddr>, request: Request, next: Next) -> Response {
    let is_local = request.uri().path().starts_with("/_local");
    if is_local && !names_this_machine(request.headers(), address) {
        return message(StatusCode::FORBIDDEN, "Forbidden");
    }
    next.run(request).await
}

/// An answer of API Gateway itself.
fn message(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({ "message": text }))).into_response()
}

struct Serve {
    function: String,
    handler: Handler,
    clock: super::LocalClock,
    observer: Observer,
}

type Parameters = Result<RawPathParams, RawPathParamsRejection>;
type Peer = Result<ConnectInfo<SocketAddr>, ExtensionRejection>;

impl Serve {
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of a request, as axum hands them over"
    )]
    async fn request(
        &self,
        route: &str,
        path_parameters: Map<String, Value>,
        peer: Peer,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        body: Result<Bytes, BytesRejection>,
    ) -> Response {
        // A GET route of axum also answers HEAD; a route of API Gateway does not.
        if method == Method::HEAD {
            return message(StatusCode::NOT_FOUND, "Not Found");
        }
        let Ok(body) = body else {
            return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
        };
        let request_id = HEXLOWER.encode(&SystemEntropy.bytes::<8>());
        let now = self.clock.now();
        let context = Context {
            request_id: &request_id,
            route,
            path_parameters,
            source_ip: peer.map_or("127.0.0.1".into(), |ConnectInfo(peer)| peer.ip().to_string()),
            now: now.as_millis(),
        };
        let event = event::event(&context, &method, &uri, &headers, &body);
        let handling = async {
            let (answer, mut records) = (self.handler)(event).await.unwrap_or_else(|_| bad_event());
            (answer, records.pop().unwrap_or_default())
        };
        let observed = observe(&self.function, &request_id, now, handling).await;
        (self.observer)(route, &observed);
        let mut response = Response::new(Body::from(observed.answer.body));
        *response.status_mut() = observed.answer.status;
        *response.headers_mut() = observed.answer.headers;
        if let Some(date) = date(self.clock.now()) {
            response.headers_mut().insert(header::DATE, date);
        }
        response
    }
}

/// Sets `Date` (RFC 9110 §6.6.1) by the clock of the stack instead of the clock of the machine.
fn date(now: Timestamp) -> Option<HeaderValue> {
    let now = i64::try_from(now.as_millis()).ok()?;
    let now = jiff::Timestamp::from_millisecond(now).ok()?;
    let text = DateTimePrinter::new().timestamp_to_rfc9110_string(&now).ok()?;
    text.try_into().ok()
}

/// What API Gateway answers to what it cannot make an event of.
fn bad_event() -> (Answer, Vec<Record>) {
    let answer = Answer::json(StatusCode::BAD_REQUEST, &json!({ "message": "Bad Request" }));
    (answer, vec![Record { outcome: "refused", ..Record::default() }])
}

#[derive(Deserialize)]
struct Advance {
    advance_seconds: u64,
}

fn advance(clock: &super::LocalClock, Json(body): &Json<Advance>) -> Json<serde_json::Value> {
    // At most ten years at a time: enough for every rule, and no date overflows.
    clock.advance(Duration::from_secs(body.advance_seconds.min(315_360_000)));
    Json(json!({ "now": inbox::time(clock.now()) }))
}
