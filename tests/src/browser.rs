//! A client of sessions, as Prelude's published clients call: with cookies, a key and its proofs.

use crate::{api::Api, dpop::ClientKey};
use data_encoding::BASE64URL_NOPAD;
use passcode_domain::ports::Clock as _;
use reqwest::{Response, header::HeaderMap};
use serde_json::Value;
use std::collections::BTreeMap;

/// The origin of its pages.
pub const ORIGIN: &str = "http://localhost:3000";

/// A client with its key, its cookies and what it has stored.
pub struct Browser<'a> {
    api: &'a Api,
    /// The key.
    pub key: Option<ClientKey>,
    /// The cookies, by name.
    pub cookies: BTreeMap<String, String>,
    /// The refresh token that it has stored.
    pub refresh_token: Option<String>,
    proofs: u32,
}

/// What a request brings.
#[derive(Default)]
pub struct Call<'c> {
    /// The body.
    pub body: Option<Value>,
    /// The access token.
    pub bearer: Option<&'c str>,
    /// The name of the proof; a new one where absent.
    pub jti: Option<&'c str>,
    /// Whether it has a proof.
    pub is_proven: bool,
}

impl<'a> Browser<'a> {
    /// A new one.
    #[must_use]
    pub fn of(api: &'a Api, key: Option<ClientKey>) -> Self {
        Self { api, key, cookies: BTreeMap::new(), refresh_token: None, proofs: 0 }
    }

    /// A call as the browser client makes it: with its cookies, and a proof where it has a key and signs.
    ///
    /// # Panics
    ///
    /// Where there is no answer, or one that no page could read.
    pub async fn call(
        &mut self,
        method: &str,
        path: &str,
        call: Call<'_>,
    ) -> (u16, HeaderMap, Value) {
        let mut request = self.api.request(method, path, false).header("origin", ORIGIN);
        if !self.cookies.is_empty() {
            let cookies = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
            request = request.header("cookie", cookies.collect::<Vec<_>>().join("; "));
        }
        if let Some(token) = &self.refresh_token {
            request = request.header("x-refresh-token", token);
        }
        if let Some(bearer) = call.bearer {
            request = request.bearer_auth(bearer);
        }
        if let Some(key) = self.key.as_ref().filter(|_| call.is_proven) {
            self.proofs += 1;
            let name = format!("proof-{}", self.proofs);
            let url = format!("{}{}", self.api.url, path);
            let now = self.api.clock.now().as_millis() / 1000;
            let proof = key.prove(method, &url, call.jti.unwrap_or(&name), now);
            request = request.header("dpop", proof);
        }
        let request = match call.body {
            Some(body) => request.json(&body),
            None => request.header("content-type", "application/json"),
        };
        self.take(request.send().await.expect("an answer")).await
    }

    /// Keeps what an answer sets.
    async fn take(&mut self, answer: Response) -> (u16, HeaderMap, Value) {
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        assert_eq!(headers["access-control-allow-origin"], ORIGIN);
        for cookie in headers.get_all("set-cookie") {
            let cookie = cookie.to_str().expect("text");
            assert!(cookie.contains("HttpOnly") && cookie.contains("Secure"), "{cookie}");
            let (name, rest) = cookie.split_once('=').expect("a pair");
            let value = rest.split(';').next().unwrap_or_default();
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        if let Some(token) = headers.get("x-refresh-token") {
            assert_eq!(status, 200, "on success only");
            self.refresh_token =
                self.key.as_ref().map(|_| token.to_str().expect("text").to_owned());
        }
        (status, headers, answer.json().await.unwrap_or_default())
    }

    /// A call with a body.
    pub async fn post(&mut self, path: &str, body: Value) -> (u16, HeaderMap, Value) {
        self.call("POST", path, Call { body: Some(body), ..Call::default() }).await
    }

    /// A call with a proof and a body.
    pub async fn prove(&mut self, path: &str, body: Option<Value>) -> (u16, HeaderMap, Value) {
        self.call("POST", path, Call { body, is_proven: true, ..Call::default() }).await
    }
}

/// The claims of a token, as the clients read them, who verify none.
///
/// # Panics
///
/// Where it is no token.
#[must_use]
pub fn claims(token: &Value) -> Value {
    let claims = token.as_str().expect("a token").split('.').nth(1).expect("claims");
    let claims = BASE64URL_NOPAD.decode(claims.as_bytes()).expect("base64");
    serde_json::from_slice(&claims).expect("an object")
}

/// Whether an answer gives a session, as the published clients take one. Its access token.
///
/// # Panics
///
/// Where it gives none.
pub fn gives_session((status, headers, body): &(u16, HeaderMap, Value)) -> String {
    assert_eq!(*status, 200, "{body}");
    assert_eq!(headers["cache-control"], "no-store");
    let until = headers["x-refresh-token-expires-at"].to_str().expect("text");
    assert!(until.len() == 20 && until.ends_with('Z'), "{until}");
    assert_eq!(body.as_object().expect("an object").len(), 2, "{body}");
    let claims = claims(&body["access_token"]);
    assert_eq!(body["expires_at"], claims["exp"]);
    let second = |claim: &str| claims[claim].as_u64().expect("seconds");
    // A token with a scope ends when the scope does, which was granted some moments before.
    let life = second("exp") - second("iat");
    assert!((30..=60).contains(&life), "{life}");
    assert!(claims["sid"].as_str().expect("a session").starts_with("ses_"), "{claims}");
    body["access_token"].as_str().expect("a token").to_owned()
}
