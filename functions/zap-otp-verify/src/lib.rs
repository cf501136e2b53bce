//! `POST /v1/otp/verify`: the code comes back, with an identity.

mod boot;

pub use boot::{Adapters, boot};
use lambda_http::http::StatusCode;
use passcode_domain::{
    AppId,
    ports::{
        Clock, Entropy, LoadApps, LoadKeyring, LoadLedgers, LoadUsers, ReadTokens, StoreLedgers,
    },
};
use passcode_http::{Answer, Record, Request};
use utoipa::OpenApi;

/// What the function works with.
pub struct Deps<A, U, T, L, K, C, E> {
    /// Whose requests there are.
    pub apps: A,
    /// Whom the app knows.
    pub users: U,
    /// Who a bearer is.
    pub tokens: T,
    /// Where challenges are kept.
    pub ledgers: L,
    /// The keys.
    pub keyring: K,
    /// The time.
    pub clock: C,
    /// The randomness.
    pub entropy: E,
    /// The app of hosts that name none.
    pub default_app: Option<AppId>,
}

/// Serves one request.
pub async fn handle<A, U, T, L, K, C, E>(
    deps: &Deps<A, U, T, L, K, C, E>,
    request: Request,
) -> Answer
where
    A: LoadApps,
    U: LoadUsers,
    T: ReadTokens,
    L: LoadLedgers + StoreLedgers,
    K: LoadKeyring,
    C: Clock,
    E: Entropy,
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
