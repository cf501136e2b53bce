//! An OIDC issuer for development, which signs any access token that is requested. Its key lives as
//! long as the process.

use super::LocalClock;
use axum::{
    Json, Router,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use passcode_demo::AUDIENCE;
use passcode_domain::ports::{Clock as _, Entropy as _};
use passcode_jwt::Signer;
use passcode_runtime::SystemEntropy;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// The default lifetime of a token in seconds.
const LIFE: u64 = 3600;

/// The id of its key.
const KID: &str = "local";

struct Issuer {
    url: String,
    seed: [u8; 32],
    clock: LocalClock,
}

#[derive(Deserialize)]
struct TokenRequest {
    sub: String,
    #[serde(default)]
    scope: String,
    expires_in: Option<u64>,
}

/// The URL of the issuer, given that of the API.
pub(super) fn url(api: &str) -> String {
    format!("{api}/_local")
}

pub(super) fn routes(api: &str, clock: LocalClock) -> Router {
    let issuer = Arc::new(Issuer { url: url(api), seed: SystemEntropy.bytes(), clock });
    let (discovery, keys) = (issuer.clone(), issuer.clone());
    Router::new()
        .route("/_local/token", post(move |body| async move { issuer.token(&body) }))
        .route(
            "/_local/.well-known/openid-configuration",
            get(move || async move { Json(discovery.configuration()) }),
        )
        .route(
            "/_local/jwks.json",
            get(move || async move { Json(json!({ "keys": [keys.signer().public_key()] })) }),
        )
}

impl Issuer {
    const fn signer(&self) -> Signer<'_> {
        Signer::new(KID, &self.seed)
    }

    fn token(&self, Json(request): &Json<TokenRequest>) -> Response {
        let now = self.clock.now().as_millis() / 1000;
        let life = request.expires_in.unwrap_or(LIFE);
        let claims = json!({
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": request.sub,
            "scope": request.scope,
            "iat": now,
            "exp": now.saturating_add(life),
        });
        match self.signer().sign("at+jwt", &claims) {
            Ok(token) => Json(json!({
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": life,
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
