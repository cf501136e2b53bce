//! Converts HTTP requests to the events that API Gateway passes to functions: payload format 2.0.

use axum::{
    body::Bytes,
    http::{HeaderMap, Method, Uri, header},
};
use data_encoding::BASE64;
use serde_json::{Map, Value, json};

/// What API Gateway adds to a request.
pub(super) struct Context<'a> {
    /// The id it gives the request.
    pub(super) request_id: &'a str,
    /// The route that matched: method and path with `{parameters}`.
    pub(super) route: &'a str,
    /// The values of the path's parameters, decoded.
    pub(super) path_parameters: Map<String, Value>,
    /// The caller's address.
    pub(super) source_ip: String,
    /// The product's time, in milliseconds since the Unix epoch.
    pub(super) now: u64,
}

/// The event of a request, as a function receives it.
pub(super) fn event(
    context: &Context<'_>,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
) -> Value {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (body, is_base64) = encode(body, text("content-type"));
    json!({
        "version": "2.0",
        "routeKey": context.route,
        "rawPath": uri.path(),
        "rawQueryString": uri.query().unwrap_or_default(),
        "cookies": cookies(headers),
        "headers": joined(headers),
        "queryStringParameters": query(uri),
        "pathParameters": context.path_parameters,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "local",
            "domainName": text("host").unwrap_or("localhost"),
            "domainPrefix": "local",
            "http": {
                "method": method.as_str(),
                "path": uri.path(),
                "protocol": "HTTP/1.1",
                "sourceIp": context.source_ip,
                "userAgent": text("user-agent").unwrap_or_default(),
            },
            "requestId": context.request_id,
            "routeKey": context.route,
            "stage": "$default",
            "timeEpoch": context.now,
        },
        "body": body,
        "isBase64Encoded": is_base64,
    })
}

/// The cookies, which are a separate list in the event.
fn cookies(headers: &HeaderMap) -> Vec<&str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    lines
        .flat_map(|line| line.split(';').map(str::trim))
        .filter(|cookie| !cookie.is_empty())
        .collect()
}

/// The headers. Values of the same name are joined by commas, and values that are no text are left
/// out.
fn joined(headers: &HeaderMap) -> Map<String, Value> {
    let mut joined = Map::new();
    for name in headers.keys().filter(|name| **name != header::COOKIE) {
        let values: Vec<_> =
            headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        joined.insert(name.as_str().to_owned(), values.join(",").into());
    }
    joined
}

fn query(uri: &Uri) -> Map<String, Value> {
    let pairs: Vec<(String, String)> =
        serde_urlencoded::from_str(uri.query().unwrap_or_default()).unwrap_or_default();
    let mut query = Map::<String, Value>::new();
    for (name, value) in pairs {
        let joined = match query.get(&name).and_then(Value::as_str) {
            Some(before) => format!("{before},{value}"),
            None => value,
        };
        query.insert(name, joined.into());
    }
    query
}

/// The body, and whether it is in base64. A text is not.
fn encode(body: &Bytes, content_type: Option<&str>) -> (Option<String>, bool) {
    if body.is_empty() {
        return (None, false);
    }
    let is_text = content_type.is_none_or(|media| {
        media.starts_with("text/") || media.contains("json") || media.contains("urlencoded")
    });
    match std::str::from_utf8(body) {
        Ok(text) if is_text => (Some(text.to_owned()), false),
        _ => (Some(BASE64.encode(body)), true),
    }
}
