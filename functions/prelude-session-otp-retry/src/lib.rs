//! `POST /v1/session/otp/retry`: the next code goes out.

mod boot;

pub use boot::{Adapters, boot};
use lambda_http::http::StatusCode;
use passcode_domain::{
    AppId,
    ports::{
        Clock, EmailCourier, Entropy, LoadApps, LoadKeyring, LoadLedgers, SmsCourier, StoreLedgers,
    },
};
use passcode_http::{Answer, Record, Request};
use utoipa::OpenApi;

/// What the function works with.
pub struct Deps<A, L, K, C, E, S, M> {
    /// Whose requests there are.
    pub apps: A,
    /// Where challenges are kept.
    pub ledgers: L,
    /// The keys.
    pub keyring: K,
    /// The time.
    pub clock: C,
    /// The randomness.
    pub entropy: E,
    /// Sends text messages.
    pub sms: S,
    /// Sends e-mails.
    pub email: M,
    /// The app of hosts that name none.
    pub default_app: Option<AppId>,
}

/// Serves one request.
pub async fn handle<A, L, K, C, E, S, M>(
    deps: &Deps<A, L, K, C, E, S, M>,
    request: Request,
) -> Answer
where
    A: LoadApps,
    L: LoadLedgers + StoreLedgers,
    K: LoadKeyring,
    C: Clock,
    E: Entropy,
    S: SmsCourier,
    M: EmailCourier,
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
