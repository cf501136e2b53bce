//! `GET /.well-known/jwks.json`: the public keys of tokens.

mod boot;

pub use boot::{Adapters, boot};
use lambda_http::http::StatusCode;
use passcode_domain::ports::{Clock, LoadKeyring};
use passcode_http::{Answer, Record, Request};
use utoipa::OpenApi;

/// What the function works with.
pub struct Deps<K, C> {
    /// The keys.
    pub keyring: K,
    /// The time.
    pub clock: C,
}

/// Serves one request.
pub async fn handle<K, C>(deps: &Deps<K, C>, request: Request) -> Answer
where
    K: LoadKeyring,
    C: Clock,
{
    let _ = (&deps.clock, request);
    Answer::empty(StatusCode::NOT_IMPLEMENTED, Record::of("refused"))
}

#[derive(OpenApi)]
#[openapi(paths())]
struct Api;

/// The endpoint's part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}
