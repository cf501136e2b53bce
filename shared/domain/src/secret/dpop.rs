//! DPoP proofs (RFC 9449): a client shows with each of its requests that it holds the key that its session
//! is bound to. The format and the signature are the library's; what a proof must say is decided here.

use crate::value::time::Timestamp;
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use thiserror::Error;

/// How far the clock of a client may be from this one: browsers do not mend theirs. A proof is good for one
/// request of its session, so a wide window gives nobody a second use of it.
pub const MAX_SKEW: Duration = Duration::from_mins(10);

/// The thumbprint of a client's public key (RFC 7638), by which its session knows it. Its text is base64url.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Thumbprint([u8; 32]);

/// A text that is no thumbprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a thumbprint")]
pub struct MalformedThumbprint;

impl TryFrom<String> for Thumbprint {
    type Error = MalformedThumbprint;

    fn try_from(text: String) -> Result<Self, MalformedThumbprint> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| MalformedThumbprint)?;
        bytes.try_into().map(Self).map_err(|_| MalformedThumbprint)
    }
}

impl From<Thumbprint> for String {
    fn from(thumbprint: Thumbprint) -> Self {
        BASE64URL_NOPAD.encode(&thumbprint.0)
    }
}

impl Thumbprint {
    /// A thumbprint from the SHA-256 of a key's required members.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Thumbprint(masked)")
    }
}

/// What a proof says, whose signature is that of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DpopProof {
    /// The key that has signed it.
    pub key: Thumbprint,
    /// The claims.
    pub claims: DpopClaims,
}

/// The claims of a proof (RFC 9449 §4.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DpopClaims {
    /// Its own name.
    pub jti: String,
    /// The method of the request.
    pub htm: String,
    /// The URL of the request, without query and fragment.
    pub htu: String,
    /// Seconds since the epoch when it was signed, by the clock of the client.
    pub iat: u64,
    /// The hash of the access token beside it, where it names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ath: Option<String>,
}

/// The request that a proof came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProvenRequest<'a> {
    /// Its method.
    pub method: &'a str,
    /// The host that the client called, with its port where that is not the default one.
    pub host: &'a str,
    /// Its path.
    pub path: &'a str,
    /// The hash of the access token beside the proof, if there is one (RFC 9449 §4.2, `ath`).
    pub access_token_hash: Option<&'a str>,
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DpopError {
    /// It was signed for another method, host or path.
    #[error("the proof is of another request")]
    OtherRequest,
    /// The clock of the client is too far from this one, or the proof is too old.
    #[error("the proof was signed too long ago, or in the future")]
    OtherTime,
    /// It names another access token than the one beside it.
    #[error("the proof is of another access token")]
    OtherToken,
    /// It has no name, or one of more than 128 characters.
    #[error("the proof has no fit name")]
    UnfitName,
}

/// The longest `jti`: a UUID has 36 characters, the name of a challenge token some 60.
const MAX_NAME: usize = 128;

impl DpopProof {
    /// Whether the proof is of this request, made now.
    pub fn validate(&self, request: &ProvenRequest<'_>, now: Timestamp) -> Result<(), DpopError> {
        let DpopClaims { jti, htm, htu, iat, ath } = &self.claims;
        if jti.is_empty() || jti.chars().count() > MAX_NAME {
            return Err(DpopError::UnfitName);
        }
        if htm != request.method || !is_url_of(htu, request) {
            return Err(DpopError::OtherRequest);
        }
        if now.as_millis().abs_diff(iat.saturating_mul(1000)) > millis(MAX_SKEW) {
            return Err(DpopError::OtherTime);
        }
        let is_other = |ath: &String| request.access_token_hash != Some(ath.as_str());
        if ath.as_ref().is_some_and(is_other) { Err(DpopError::OtherToken) } else { Ok(()) }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Whether a URL leads to the request. Scheme and host have no case, a default port need not be named, and
/// a query is not looked at. Only this machine is called without TLS.
fn is_url_of(url: &str, request: &ProvenRequest<'_>) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let port = match scheme.to_ascii_lowercase().as_str() {
        "https" => ":443",
        "http" if is_this_machine(request.host) => ":80",
        _ => return false,
    };
    let without_port = |host: &str| {
        let host = host.to_ascii_lowercase();
        host.strip_suffix(port).map_or(host.clone(), str::to_owned)
    };
    without_port(authority) == without_port(request.host) && path == request.path
}

/// Whether a host, with or without a port, is the machine itself: every name below `localhost` is (RFC 6761
/// §6.3).
#[must_use]
pub fn is_this_machine(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    ["localhost", "127.0.0.1", "[::1]"].contains(&name) || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn proof(htm: &str, htu: &str, iat: u64) -> DpopProof {
        let (jti, htm, htu) = ("one".to_owned(), htm.to_owned(), htu.to_owned());
        let claims = DpopClaims { jti, htm, htu, iat, ath: None };
        DpopProof { key: Thumbprint([7; 32]), claims }
    }

    fn validate(proof: &DpopProof, host: &str) -> Result<(), DpopError> {
        let path = "/v1/session/refresh";
        let request = ProvenRequest { method: "POST", host, path, access_token_hash: Some("hash") };
        proof.validate(&request, Timestamp::from_millis(NOW * 1000))
    }

    #[test]
    fn a_proof_of_another_request_proves_nothing() {
        for (htm, htu) in [
            ("GET", "https://shop.example/v1/session/refresh"),
            ("post", "https://shop.example/v1/session/refresh"),
            ("POST", "https://shop.example/v1/session/revoke"),
            ("POST", "https://shop.example/v1/session/refresh/"),
            ("POST", "https://shop.example"),
            ("POST", "https://evil.example/v1/session/refresh"),
            ("POST", "https://shop.example@evil.example/v1/session/refresh"),
            ("POST", "https://shop.example:8443/v1/session/refresh"),
            ("POST", "https://shop.example:80/v1/session/refresh"),
            ("POST", "http://shop.example/v1/session/refresh"),
            ("POST", "http://shop.localhost/v1/session/refresh"),
            ("POST", "/v1/session/refresh"),
            ("POST", ""),
        ] {
            let refused = validate(&proof(htm, htu, NOW), "shop.example");
            assert_eq!(refused, Err(DpopError::OtherRequest), "{htm} {htu}");
        }
    }

    #[test]
    fn hosts_have_no_case_and_default_ports_need_not_be_named() {
        for (htu, host) in [
            ("https://shop.example/v1/session/refresh", "shop.example"),
            ("HTTPS://Shop.Example/v1/session/refresh", "shop.example"),
            ("https://shop.example:443/v1/session/refresh", "shop.example"),
            ("https://shop.example/v1/session/refresh", "shop.example:443"),
            ("https://shop.example/v1/session/refresh?a=b#c", "SHOP.example"),
            ("https://shop.example:8443/v1/session/refresh", "shop.example:8443"),
            ("http://127.0.0.1:9000/v1/session/refresh", "127.0.0.1:9000"),
            ("http://localhost/v1/session/refresh", "localhost:80"),
            ("http://shop.localhost:9000/v1/session/refresh", "shop.localhost:9000"),
        ] {
            assert_eq!(validate(&proof("POST", htu, NOW), host), Ok(()), "{htu} at {host}");
        }
    }

    #[test]
    fn ten_minutes_either_way_are_forgiven_and_no_more() {
        let at = |iat| validate(&proof("POST", "https://a.b/v1/session/refresh", iat), "a.b");
        assert_eq!((at(NOW - 600), at(NOW + 600)), (Ok(()), Ok(())));
        assert_eq!(at(NOW - 601), Err(DpopError::OtherTime));
        assert_eq!(at(NOW + 601), Err(DpopError::OtherTime));
        assert_eq!((at(0), at(u64::MAX)), (Err(DpopError::OtherTime), Err(DpopError::OtherTime)));
    }

    #[test]
    fn a_named_access_token_must_be_the_one_beside_it_and_a_name_must_fit() {
        let with = |jti: &str, ath: Option<&str>| {
            let mut proof = proof("POST", "https://a.b/v1/session/refresh", NOW);
            (proof.claims.jti, proof.claims.ath) = (jti.to_owned(), ath.map(str::to_owned));
            validate(&proof, "a.b")
        };
        assert_eq!(with("one", Some("hash")), Ok(()));
        assert_eq!(with("one", Some("other")), Err(DpopError::OtherToken));
        assert_eq!(with("", None), Err(DpopError::UnfitName));
        assert_eq!(with(&"a".repeat(129), None), Err(DpopError::UnfitName));
    }
}
