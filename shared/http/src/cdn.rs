//! The viewer of a CDN that stands before the API, as the one that a request comes from. `CloudFront` tells
//! the viewer's address in a header, and so can whoever calls the API without it. So the header counts in
//! a request that shows the secret which the CDN adds to every one, and in no other.

use serde_json::Value;
use std::net::IpAddr;
use subtle::ConstantTimeEq as _;

/// What the CDN shows.
const SECRET: &str = "passcode-cdn-secret";

/// Address and port of whoever calls the CDN. An IPv6 address stands there without brackets.
const VIEWER: &str = "cloudfront-viewer-address";

/// The secret that a CDN shares with the functions: one, or while it is changed two, with a comma between.
#[derive(Clone)]
pub struct CdnSecret(String);

impl CdnSecret {
    /// The secret of a setting.
    #[must_use]
    pub const fn new(setting: String) -> Self {
        Self(setting)
    }

    /// Puts the viewer in the place of the CDN as the source of an event, if the event shows the secret
    /// and names one viewer. Any other event keeps its source: a request that goes past the CDN, or
    /// through one that hides its viewer, is counted by the address that API Gateway saw.
    pub fn resolve_viewer(&self, event: &mut Value) {
        let header = |name| event["headers"][name].as_str();
        let is_of_cdn = header(SECRET).is_some_and(|shown| self.matches(shown));
        let viewer = header(VIEWER).filter(|_| is_of_cdn).and_then(viewer);
        let source = event.pointer_mut("/requestContext/http/sourceIp");
        if let (Some(ip), Some(source)) = (viewer, source) {
            *source = ip.to_string().into();
        }
    }

    fn matches(&self, shown: &str) -> bool {
        let matches = |secret: &str| bool::from(secret.as_bytes().ct_eq(shown.as_bytes()));
        !shown.is_empty() && self.0.split(',').filter(|secret| matches(secret)).count() > 0
    }
}

impl std::fmt::Debug for CdnSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CdnSecret")
    }
}

/// The address before the last colon.
fn viewer(text: &str) -> Option<IpAddr> {
    let (address, port) = text.trim().rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    address.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NEW: &str = "new-secret-of-some-length";
    const OLD: &str = "old-secret-of-some-length";

    /// The source of an event with these headers, which API Gateway has seen come from `192.0.2.1`.
    fn source(headers: &Value) -> String {
        let mut event = json!({
            "headers": headers,
            "requestContext": { "http": { "sourceIp": "192.0.2.1" } },
        });
        CdnSecret::new(format!("{NEW},{OLD}")).resolve_viewer(&mut event);
        event["requestContext"]["http"]["sourceIp"].as_str().expect("a source").to_owned()
    }

    #[test]
    fn without_the_secret_the_header_is_anybodys_and_changes_nothing() {
        let both = format!("{NEW},{OLD}");
        let twice = format!("{NEW},{NEW}");
        let with_space = format!("{NEW} ");
        for shown in ["", "x", ",", &NEW[1..], &NEW[..9], &both, &twice, &with_space] {
            let headers = json!({ SECRET: shown, VIEWER: "198.51.100.7:4711" });
            assert_eq!(source(&headers), "192.0.2.1", "{shown:?}");
        }
        assert_eq!(source(&json!({ VIEWER: "198.51.100.7:4711" })), "192.0.2.1");
        assert_eq!(source(&Value::Null), "192.0.2.1");
    }

    #[test]
    fn what_names_no_one_viewer_changes_nothing() {
        let one_more = "198.51.100.7:4711,198.51.100.8:4711";
        for viewer in ["", "198.51.100.7", ":4711", "198.51.100.7:", "x:4711", one_more] {
            let headers = json!({ SECRET: NEW, VIEWER: viewer });
            assert_eq!(source(&headers), "192.0.2.1", "{viewer}");
        }
        assert_eq!(source(&json!({ SECRET: NEW })), "192.0.2.1");
    }

    #[test]
    fn with_the_secret_of_now_or_before_the_viewer_is_the_source() {
        for secret in [NEW, OLD] {
            let v4 = json!({ SECRET: secret, VIEWER: "198.51.100.7:4711" });
            assert_eq!(source(&v4), "198.51.100.7");
            let v6 = json!({ SECRET: secret, VIEWER: "2001:db8::7:4711" });
            assert_eq!(source(&v6), "2001:db8::7", "cut at the last colon");
        }
    }
}
