//! Access tokens of an app's issuer (OpenID Connect, RFC 9068): RS256, ES256 or EdDSA, by the
//! keys that the issuer publishes. The keys are remembered for an hour; a token with a key that is
//! not among them has them fetched again, but not more often than every ten seconds, so that
//! made-up tokens cannot be turned against the issuer. Keys that are out of date are used on while
//! the issuer does not answer.

use crate::crypto;
use jsonwebtoken::{
    Algorithm, DecodingKey, Header, Validation,
    errors::ErrorKind,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse},
};
use passcode_domain::{
    Timestamp,
    app::{Issuer, is_local_url, is_trusted_url},
    ports::{Adapter, Cause, ReadTokens, TokenError},
    secret::proof::Bearer,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How long keys are used without asking again.
const LIFE: Duration = Duration::from_hours(1);

/// How long they are used while the issuer does not answer.
const STALE_LIFE: Duration = Duration::from_hours(24);

/// The shortest time between two questions to an issuer.
const MIN_PAUSE: Duration = Duration::from_secs(10);

/// How far the issuer's clock may be off.
const LEEWAY: Duration = Duration::from_mins(1);

/// The longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 8 * 1024;

const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// Fetches a document from an issuer.
pub trait FetchKeys: Send + Sync {
    /// The body of a successful answer to a GET, within a bounded time and size.
    fn fetch(&self, url: &str) -> impl Future<Output = Result<Vec<u8>, Cause>> + Send;
}

/// Reads the access tokens of any number of issuers.
#[derive(Debug)]
pub struct IssuerTokens<F> {
    source: F,
    known: Mutex<HashMap<Issuer, CachedKeys>>,
}

/// What is remembered of an issuer.
#[derive(Clone, Debug)]
struct CachedKeys {
    asked_at: Timestamp,
    keys: Option<(Timestamp, Arc<JwkSet>)>,
}

impl CachedKeys {
    /// Whether the issuer answered when it was last asked.
    fn has_answered(&self) -> bool {
        self.keys.as_ref().is_some_and(|(fetched_at, _)| *fetched_at == self.asked_at)
    }
}

/// The issuer's own description (OpenID Connect Discovery §3).
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl<F: FetchKeys> IssuerTokens<F> {
    /// Reads tokens by the keys that `source` fetches.
    pub fn new(source: F) -> Self {
        crypto::install();
        Self { source, known: Mutex::default() }
    }

    /// The key that a token's header names.
    async fn key(
        &self,
        issuer: &Issuer,
        header: &Header,
        now: Timestamp,
    ) -> Result<Jwk, TokenError> {
        let known = self.recall(issuer);
        let young = keys_within(known.as_ref(), LIFE, now);
        if let Some(key) = young.as_deref().and_then(|keys| choose(keys, header)) {
            return Ok(key.clone());
        }
        if known.as_ref().is_none_or(|known| known.asked_at + MIN_PAUSE <= now) {
            return self.ask(issuer, header, now).await;
        }
        let stale = keys_within(known.as_ref(), STALE_LIFE, now);
        match stale.as_deref().and_then(|keys| choose(keys, header)) {
            Some(key) => Ok(key.clone()),
            None if young.is_some() && known.is_some_and(|known| known.has_answered()) => {
                Err(invalid("no such key"))
            }
            None => Err(TokenError::Unavailable("the issuer was asked just now".into())),
        }
    }

    /// Fetches the issuer's keys, and remembers them or that there was no answer.
    async fn ask(
        &self,
        issuer: &Issuer,
        header: &Header,
        now: Timestamp,
    ) -> Result<Jwk, TokenError> {
        let before = self.recall(issuer).and_then(|known| known.keys);
        let fetched = self.fetch(issuer).await.map(Arc::new);
        let keys = match &fetched {
            Ok(keys) => Some((now, keys.clone())),
            Err(_) => before,
        };
        let known = CachedKeys { asked_at: now, keys };
        let stale = keys_within(Some(&known), STALE_LIFE, now);
        self.remember(issuer, known);
        let key = stale.as_deref().and_then(|keys| choose(keys, header).cloned());
        match (key, fetched) {
            (Some(key), _) => Ok(key),
            (None, Ok(_)) => Err(invalid("no such key")),
            (None, Err(cause)) => Err(TokenError::Unavailable(cause)),
        }
    }

    async fn fetch(&self, issuer: &Issuer) -> Result<JwkSet, Cause> {
        let url = match &issuer.jwks_url {
            Some(url) => url.clone(),
            None => self.discover(issuer).await?,
        };
        Ok(serde_json::from_slice(&self.source.fetch(&url).await?)?)
    }

    async fn discover(&self, issuer: &Issuer) -> Result<String, Cause> {
        let base = issuer.url.trim_end_matches('/');
        let url = format!("{base}/.well-known/openid-configuration");
        let found: Discovery = serde_json::from_slice(&self.source.fetch(&url).await?)?;
        // An issuer elsewhere has no business on this machine.
        let is_near = is_local_url(&issuer.url);
        let leads_away =
            !is_trusted_url(&found.jwks_uri) || is_local_url(&found.jwks_uri) != is_near;
        if found.issuer != issuer.url || leads_away {
            return Err("the discovery document is another issuer's".into());
        }
        Ok(found.jwks_uri)
    }

    fn recall(&self, issuer: &Issuer) -> Option<CachedKeys> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(issuer).cloned()
    }

    fn remember(&self, issuer: &Issuer, known: CachedKeys) {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(issuer.clone(), known);
    }
}

fn keys_within(known: Option<&CachedKeys>, life: Duration, now: Timestamp) -> Option<Arc<JwkSet>> {
    let (fetched_at, keys) = known?.keys.as_ref()?;
    (*fetched_at + life > now).then(|| keys.clone())
}

/// The key with the header's `kid`; where it names none, the only one that suits. A name may repeat
/// for keys of several kinds (RFC 7517 §4.5).
fn choose<'a>(keys: &'a JwkSet, header: &Header) -> Option<&'a Jwk> {
    let mut suitable = keys.keys.iter().filter(|key| suits(key, header.alg));
    if header.kid.is_some() {
        return suitable.find(|key| key.common.key_id == header.kid);
    }
    let only = suitable.next()?;
    suitable.next().is_none().then_some(only)
}

/// Whether a key is of the kind that an algorithm takes, and meant to verify signatures.
fn suits(key: &Jwk, algorithm: Algorithm) -> bool {
    let is_of_its_kind = match (&key.algorithm, algorithm) {
        (AlgorithmParameters::RSA(_), Algorithm::RS256) => true,
        (AlgorithmParameters::EllipticCurve(point), Algorithm::ES256) => {
            point.curve == EllipticCurve::P256
        }
        (AlgorithmParameters::OctetKeyPair(point), Algorithm::EdDSA) => {
            point.curve == EllipticCurve::Ed25519
        }
        _ => false,
    };
    let meant_for = key.common.public_key_use.as_ref();
    is_of_its_kind && meant_for.is_none_or(|meant_for| *meant_for == PublicKeyUse::Signature)
}

fn invalid(why: &'static str) -> TokenError {
    TokenError::Invalid(why.into())
}

/// What the library finds wrong with a token. Its errors of syntax repeat what they stumble over.
fn unreadable(error: jsonwebtoken::errors::Error) -> TokenError {
    match error.kind() {
        ErrorKind::Base64(_) | ErrorKind::Json(_) | ErrorKind::Utf8(_) => invalid("malformed"),
        _ => TokenError::Invalid(error.into()),
    }
}

/// Issuers are asked over the internet: AWS grants nothing for it.
impl<F: FetchKeys> Adapter for IssuerTokens<F> {
    fn ports() -> Vec<&'static str> {
        vec!["ReadTokens"]
    }
}

impl<F: FetchKeys> ReadTokens for IssuerTokens<F> {
    async fn read_token(
        &self,
        issuer: &Issuer,
        token: &str,
        now: Timestamp,
    ) -> Result<Bearer, TokenError> {
        if token.len() > MAX_TOKEN {
            return Err(invalid("longer than a token"));
        }
        let header = jsonwebtoken::decode_header(token).map_err(unreadable)?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(invalid("an algorithm that is not taken"));
        }
        // Whatever it lists has to be understood (RFC 7515 §4.1.11), and nothing is.
        if header.crit.is_some() {
            return Err(invalid("an extension that is not understood"));
        }
        let key = self.key(issuer, &header, now).await?;
        let key = DecodingKey::from_jwk(&key).map_err(unreadable)?;
        let mut validation = Validation::new(header.alg);
        validation.set_issuer(&[&issuer.url]);
        validation.set_audience(&[&issuer.audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        // The library would ask the machine's clock.
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &validation);
        let claims = claims.map_err(unreadable)?.claims;
        check_time(&claims, now)?;
        bearer(&claims)
    }
}

/// `exp` must be there and ahead, `nbf` must not be ahead; both within the leeway.
fn check_time(claims: &Map<String, Value>, now: Timestamp) -> Result<(), TokenError> {
    let moment = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            Some(seconds) if (0.0..=1e12).contains(&seconds) => {
                Ok(Some(Timestamp::from_millis(0) + Duration::from_secs_f64(seconds)))
            }
            _ => Err(invalid("a time that is none")),
        },
    };
    let expires_at = moment("exp")?.ok_or_else(|| invalid("no `exp`"))?;
    if now >= expires_at + LEEWAY {
        return Err(invalid("it has expired"));
    }
    if moment("nbf")?.is_some_and(|not_before| now + LEEWAY < not_before) {
        return Err(invalid("it is not in force yet"));
    }
    Ok(())
}

/// Scopes come as a text (`scope`, RFC 9068) or as a list (`scp`), by issuer.
fn bearer(claims: &Map<String, Value>) -> Result<Bearer, TokenError> {
    let user = claims.get("sub").and_then(Value::as_str).and_then(|sub| sub.parse().ok());
    let words = |value: &Value| match value {
        Value::String(text) => text.split_ascii_whitespace().map(str::to_owned).collect(),
        Value::Array(list) => {
            list.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
        }
        _ => Vec::new(),
    };
    let scopes = ["scope", "scp"].iter().filter_map(|name| claims.get(*name)).flat_map(words);
    Ok(Bearer {
        user: user.ok_or_else(|| invalid("no `sub`"))?,
        session: claims.get("sid").and_then(Value::as_str).map(str::to_owned),
        scopes: scopes.collect(),
        claims: claims
            .iter()
            .filter(|(_, value)| is_truthy(value))
            .map(|(name, _)| name.clone())
            .collect(),
    })
}

/// Whether a claim is there for more than its name.
fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

#[cfg(test)]
mod tests;
