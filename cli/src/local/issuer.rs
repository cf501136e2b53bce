//! A development OIDC issuer: signs access tokens for whoever asks. Its key lives as long as the
//! process.

use super::LocalClock;
use axum::{
    Json, Router,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use passcode_domain::ports::{Clock as _, Entropy as _};
use passcode_runtime::SystemEntropy;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{error::Error, sync::Arc};

/// The audience of its tokens.
const AUDIENCE: &str = "passcode";

/// Seconds that a token lives.
const LIFE: u64 = 3600;

/// What an Ed25519 private key looks like before its 32 bytes, in PKCS #8 (RFC 8410 §7).
const PKCS8_ED25519: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

struct Issuer {
    url: String,
    key: EncodingKey,
    jwk: Jwk,
    clock: LocalClock,
}

#[derive(Deserialize)]
struct TokenRequest {
    sub: String,
    #[serde(default)]
    scope: String,
}

pub(super) fn routes(api: &str, clock: LocalClock) -> Result<Router, Box<dyn Error>> {
    let key =
        EncodingKey::from_ed_der(&[&PKCS8_ED25519[..], &SystemEntropy.bytes::<32>()].concat());
    let mut jwk = Jwk::from_encoding_key(&key, Algorithm::EdDSA)?;
    jwk.common.key_id = Some("local".to_owned());
    let issuer = Arc::new(Issuer { url: format!("{api}/_local"), key, jwk, clock });
    let (discovery, keys) = (issuer.clone(), issuer.clone());
    Ok(Router::new()
        .route("/_local/token", post(move |body| async move { issuer.token(&body) }))
        .route(
            "/_local/.well-known/openid-configuration",
            get(move || async move { Json(discovery.configuration()) }),
        )
        .route(
            "/_local/jwks.json",
            get(move || async move { Json(json!({ "keys": [&keys.jwk] })) }),
        ))
}

impl Issuer {
    fn token(&self, Json(request): &Json<TokenRequest>) -> Response {
        let now = self.clock.now().as_millis() / 1000;
        let claims = json!({
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": request.sub,
            "scope": request.scope,
            "iat": now,
            "exp": now + LIFE,
        });
        let header = Header { kid: Some("local".to_owned()), ..Header::new(Algorithm::EdDSA) };
        match jsonwebtoken::encode(&header, &claims, &self.key) {
            Ok(token) => Json(json!({
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": LIFE,
            }))
            .into_response(),
            Err(error) => {
                (axum::http::StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
            }
        }
    }

    fn configuration(&self) -> Value {
        json!({
            "issuer": self.url,
            "jwks_uri": format!("{}/jwks.json", self.url),
            "token_endpoint": format!("{}/token", self.url),
            "id_token_signing_alg_values_supported": ["EdDSA"],
            "response_types_supported": ["token"],
            "subject_types_supported": ["public"],
        })
    }
}
