//! Events of an HTTP API (payload format 2.0) as requests.

use data_encoding::BASE64;
use http::Uri;
use lambda_http::Request;
use serde_json::Value;
use url::Url;

/// Reads an event. What API Gateway itself would never send is mended first, because
/// `lambda_http` ends in a panic on it: a body that is called base64 and is not becomes empty, a path that does
/// not begin with `/` the root, and the request's host and protocol are the API's own, whatever the caller's
/// headers claim.
pub fn request(mut event: Value) -> Result<Request, serde_json::Error> {
    let domain = event["requestContext"]["domainName"].as_str().filter(|name| is_domain(name));
    let domain = domain.unwrap_or("localhost").to_owned();
    if event["isBase64Encoded"] == true {
        let body = event["body"].as_str().unwrap_or_default();
        if BASE64.decode(body.as_bytes()).is_err() {
            event["body"] = "".into();
        }
    }
    if let Some(path) = event.get_mut("rawPath").filter(|path| !is_path(path)) {
        *path = "/".into();
    }
    if let Some(headers) = event["headers"].as_object_mut() {
        headers.retain(|name, _| {
            let is_claim = ["host", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port"];
            !is_claim.iter().any(|claim| name.eq_ignore_ascii_case(claim))
        });
        headers.insert("host".to_owned(), domain.into());
    }
    lambda_http::request::from_str(&event.to_string())
}

fn is_path(path: &Value) -> bool {
    path.as_str().is_none_or(|path| path.starts_with('/'))
}

fn is_domain(name: &str) -> bool {
    let url = format!("https://{name}/");
    let is_uri = url.parse::<Uri>().is_ok_and(|uri| uri.authority().is_some());
    is_uri && Url::parse(&url).is_ok()
}
