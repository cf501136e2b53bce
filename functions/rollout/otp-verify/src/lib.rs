//! `POST /auth/otp/{otpChallengeId}`: whoever holds the id presents the code, and gets the
//! credential that its address is.

mod boot;

pub use boot::boot;
use passcode_domain::{
    PresentedCode, World,
    action::verify::{self, Outcome, VerifyTarget},
    ports::{CountVerified, LoadApps, LoadKeyring, LoadLedgers, StoreLedgers},
};
use passcode_http::{Answer, Media, Record, Request, RequestExt as _, body_or_form, id, page};
use rollout_contract::{Error, Refused, Verified, verified};
use serde::Deserialize;
use utoipa::{OpenApi, ToSchema};

/// The function, and its package.
pub const NAME: &str = env!("CARGO_PKG_NAME");

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
pub async fn handle<W>(world: &W, request: &Request, record: &mut Record) -> Result<Answer, Error>
where
    W: World<
            Apps: LoadApps,
            Ledgers: LoadLedgers + StoreLedgers,
            Counters: CountVerified,
            Keyring: LoadKeyring,
        >,
{
    let page = match page::admit(world, request, record).await {
        Ok(page) => page,
        Err(preflight) => return Ok(preflight),
    };
    let answered = verify(world, request, record).await;
    Ok(page.respond(answered, request, record))
}

async fn verify<W>(world: &W, request: &Request, record: &mut Record) -> Result<Answer, Error>
where
    W: World<Ledgers: LoadLedgers + StoreLedgers, Counters: CountVerified, Keyring: LoadKeyring>,
{
    let body = body_or_form(request, &[Media::Json, Media::Form, Media::Text]);
    let body: VerifyRequest = body.await?;
    let code = PresentedCode::parse(&body.otp).map_err(|_| Error::MalformedCode)?;
    let keyring = world.keyring().keyring().await?;
    // The id in the path, printed by whichever contract opened the challenge.
    let id = request.path_parameters_ref().and_then(|path| path.first("otpChallengeId"));
    let Some(id) = id.and_then(|text| id::parse_any(text, &keyring)) else {
        record.outcome = Outcome::NotFound.as_str();
        return Err(Error::Code);
    };
    record.challenge(id, &keyring);
    let verification = verify::verify(world, VerifyTarget::Held(id), &code).await?;
    record.verification(&verification);
    match verification.outcome {
        Outcome::Verified(credential) => Ok(verified(&credential, request)),
        Outcome::Incorrect
        | Outcome::Expired
        | Outcome::Exhausted
        | Outcome::AlreadyUsed
        | Outcome::NotFound => Err(Error::Code),
    }
}

#[derive(OpenApi)]
#[openapi(paths(handle))]
struct Api;

/// The endpoint's part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    page::with_preflights(Api::openapi())
}
