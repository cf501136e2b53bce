//! `POST /auth/otp/{otpChallengeId}`: whoever holds the id presents the code, and gets the
//! credential that its address is.

mod boot;

pub use boot::boot;
use passcode_domain::{
    AppId, ChallengeId, PresentedCode,
    ports::{Clock, CountGauges, Entropy, LoadApps, LoadKeyring, LoadLedgers, StoreLedgers},
    transact::Ports,
    verify::{self, Outcome, Target, Verification},
};
use passcode_http::{Answer, Media, Record, Request, RequestExt as _, body_or_form, id, page};
use rollout_contract::{Refused, Render, Verified};
use serde::Deserialize;
use utoipa::{OpenApi, ToSchema};

/// The function, and its package.
pub const NAME: &str = env!("CARGO_PKG_NAME");

/// The one answer to wrong, expired, exhausted, used and unknown: it tells a guesser nothing.
const REFUSED: &str = "The code is not valid, or not valid any more.";

/// The code.
#[derive(Debug, Deserialize, ToSchema)]
pub struct VerifyRequest {
    /// The digits, as a text.
    #[schema(example = "123456", pattern = "^[ -]*([A-Za-z0-9][ -]*){1,10}$", max_length = 32)]
    otp: String,
}

/// Serves one request.
#[utoipa::path(
    post,
    path = "/auth/otp/{otpChallengeId}",
    operation_id = "rollout-otp-verify",
    tag = "Rollout",
    summary = "Verify a code",
    params(("otpChallengeId" = String, Path, description = "The challenge, as any contract printed its id")),
    request_body(content(
        (VerifyRequest = "application/json"),
        (VerifyRequest = "multipart/form-data"),
        (VerifyRequest = "text/plain"),
    )),
    responses(
        (status = 200, description = "Verified, for the first and only time", content(
            (Verified = "application/json"),
            (Verified = "multipart/form-data"),
            (Verified = "text/plain"),
        )),
        (status = 400, description = "Everything else", content(
            (Refused = "application/json"),
            (Refused = "multipart/form-data"),
            (Refused = "text/plain"),
        )),
        (status = 503, description = "Nothing was decided; try again", content(
            (Refused = "application/json"),
            (Refused = "multipart/form-data"),
            (Refused = "text/plain"),
        )),
    )
)]
pub async fn handle<A, L, K, C, E>(deps: &Deps<A, L, K, C, E>, request: Request) -> Answer
where
    A: LoadApps,
    L: LoadLedgers + StoreLedgers + CountGauges,
    K: LoadKeyring,
    C: Clock,
    E: Entropy,
{
    let (apps, default_app) = (&deps.apps, deps.default_app.as_ref());
    page::serve(request, apps, default_app, |request| verify(deps, request)).await
}

async fn verify<A, L, K, C, E>(deps: &Deps<A, L, K, C, E>, request: Request) -> Answer
where
    L: LoadLedgers + StoreLedgers + CountGauges,
    K: LoadKeyring,
    C: Clock,
    E: Entropy,
{
    let render = Render::for_request(&request);
    let body: VerifyRequest =
        match body_or_form(&request, &[Media::Json, Media::Form, Media::Text]).await {
            Ok(body) => body,
            Err(error) => return render.refused(&error.to_string(), Record::of("refused")),
        };
    let Ok(code) = PresentedCode::parse(&body.otp) else {
        return render.refused("`otp` must be 1 to 10 letters or digits", Record::of("refused"));
    };
    let Some(id) = challenge_id(&request) else {
        return render.refused(REFUSED, Record::of(Outcome::NotFound.as_str()));
    };
    let record = Record::default().challenge(id);
    let ports = Ports { ledgers: &deps.ledgers, clock: &deps.clock, entropy: &deps.entropy };
    match verify::verify(ports, &deps.keyring, Target::Held(id), &code).await {
        Ok(Verification { outcome, trace, .. }) => {
            let record = Record { outcome: outcome.as_str(), ..record.trace(trace) };
            match outcome {
                Outcome::Verified(credential) => render.verified(&credential, record),
                Outcome::Incorrect
                | Outcome::Expired
                | Outcome::Exhausted
                | Outcome::AlreadyUsed
                | Outcome::NotFound => render.refused(REFUSED, record),
            }
        }
        Err(failure) => render.unavailable(record.error(&failure)),
    }
}

/// The id in the path, printed by whichever contract opened the challenge.
fn challenge_id(request: &Request) -> Option<ChallengeId> {
    id::parse_any(request.path_parameters_ref()?.first("otpChallengeId")?)
}

#[derive(OpenApi)]
#[openapi(paths(handle))]
struct Api;

/// The endpoint's part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    page::with_preflights(Api::openapi())
}
