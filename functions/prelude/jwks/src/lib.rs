//! `GET /.well-known/jwks.json`: the public keys of challenge tokens and proofs, for whoever
//! verifies them offline.

mod boot;

pub use boot::boot;
use lambda_http::http::{HeaderValue, StatusCode, header};
use passcode_domain::{World, ports::LoadSigningKeys};
use passcode_http::{Answer, Record, Request};
use prelude_contract::{Error, ErrorBody};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

/// The function, and its package.
pub const NAME: &str = env!("CARGO_PKG_NAME");

/// As long as a function may sign with an older key after a rotation.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// A set of keys (RFC 7517 §5).
#[derive(Debug, Serialize, ToSchema)]
pub struct Keys {
    /// The current key, and the one before it if there was one.
    keys: Vec<Key>,
}

/// An Ed25519 key (RFC 8037 §2).
#[derive(Debug, Serialize, ToSchema)]
pub struct Key {
    /// The key's name, as in the header of tokens.
    #[schema(example = "IUHUZTBS")]
    kid: String,
    /// Always `OKP`.
    kty: String,
    /// Always `Ed25519`.
    crv: String,
    /// Always `EdDSA`.
    alg: String,
    /// Always `sig`.
    #[serde(rename = "use")]
    use_: String,
    /// The public key, in base64url.
    x: String,
}

/// Serves one request.
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    operation_id = "prelude-jwks",
    tag = "Prelude",
    summary = "The public keys of tokens",
    responses(
        (status = 200, description = "The keys", body = Keys, headers(
            ("Cache-Control" = String, description = "How long they can be remembered"),
        )),
        (status = 500, description = "`internal`: try again", body = ErrorBody),
    )
)]
pub async fn handle<W>(world: &W, _: &Request, record: &mut Record) -> Result<Answer, Error>
where
    W: World<SigningKeys: LoadSigningKeys>,
{
    let keys = world.signing_keys().signing_keys().await?;
    record.outcome = "keys";
    let answer = Answer::json(StatusCode::OK, &passcode_jwt::public_keys(&keys));
    Ok(answer.header(header::CACHE_CONTROL, CACHE))
}

#[derive(OpenApi)]
#[openapi(paths(handle))]
struct Api;

/// The endpoint's part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut api = Api::openapi();
    // The published documentation names a second place for the keys of step-ups; they are the same here.
    if let Some(item) = api.paths.paths.get("/.well-known/jwks.json").cloned() {
        let mut same = item;
        if let Some(get) = &mut same.get {
            get.operation_id = Some("prelude-jwks-step-up".to_owned());
        }
        api.paths.paths.insert("/.well-known/step-up-jwks.json".to_owned(), same);
    }
    api
}
