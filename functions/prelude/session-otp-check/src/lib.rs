//! `POST /v1/session/otp/check`: the code comes back with the verification token, and a proof goes
//! out. Of the contract's functions that know an app's origins this one may do the least, so it also
//! answers requests for paths under `/v1/session` that no other route takes.

mod boot;

pub use boot::boot;
use lambda_http::http::StatusCode;
use passcode_domain::{
    App, Keyring, PresentedCode, SigningKeys, Timestamp, World,
    action::verify::{self, Outcome, VerifyTarget},
    ports::{
        Clock as _, CountVerified, LoadApps, LoadKeyring, LoadLedgers, LoadSigningKeys,
        StoreLedgers,
    },
    secret::{
        proof::ChallengeToken,
        token::{Flow, VerificationToken},
    },
};
use passcode_http::{Answer, Media, Record, Request, body};
use prelude_contract::{self as prelude, Error, ErrorBody, with_browser_routes};
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema};

/// The function, and its package.
pub const NAME: &str = env!("CARGO_PKG_NAME");

/// The code, and in a step-up what it is a step of.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PreludeCheckRequest)]
pub struct CheckRequest {
    /// The digits.
    #[schema(example = "123456", pattern = "^[ -]*([A-Za-z0-9][ -]*){1,10}$", max_length = 32)]
    code: String,
    /// The challenge token that the code was asked for with, if it was.
    #[schema(example = "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9...")]
    challenge_token: Option<String>,
}

/// The proof.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PreludeCheckResponse)]
pub struct CheckResponse {
    /// A challenge token without a step left: a JWT (EdDSA) that the JWKS verifies.
    #[schema(example = "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9...")]
    challenge_token: String,
}

/// Serves one request.
#[utoipa::path(
    post,
    path = "/v1/session/otp/check",
    operation_id = "prelude-session-otp-check",
    tag = "Prelude",
    summary = "Check a code",
    params(
        ("X-Verification-Token" = Option<String>, Header, description = "The verification token; the cookie's where absent",
            pattern = "^[A-Z2-7]{51}[AQ]\\.[A-Z2-7]{27}[AQ]$"),
    ),
    request_body = CheckRequest,
    responses(
        (status = 200, description = "Verified, for the first and only time", body = CheckResponse, headers(
            ("Set-Cookie" = String, description = "`__passcode-device_{app_id}`: the device token, for 90 days"),
            ("Passcode-Device" = String, description = "The same token"),
        )),
        (status = 400, description = "`bad_request`, `bad_check_code` (wrong or expired), `invalid_verification_token`, `expired_challenge_token`, `invalid_challenge_token` or `token_mismatch`", body = ErrorBody),
        (status = 403, description = "`auth_blocked` or `origin_not_allowed`", body = ErrorBody),
        (status = 409, description = "`token_reused`: verified before", body = ErrorBody),
        (status = 429, description = "`rate_limited`: no attempts are left; start again", body = ErrorBody),
        (status = 500, description = "`internal`: nothing was decided; try again", body = ErrorBody),
    )
)]
pub async fn handle<W>(world: &W, request: &Request, record: &mut Record) -> Result<Answer, Error>
where
    W: World<
            Apps: LoadApps,
            Ledgers: LoadLedgers + StoreLedgers,
            Counters: CountVerified,
            Keyring: LoadKeyring,
            SigningKeys: LoadSigningKeys,
        >,
{
    let caller = match prelude::admit(world, request, record).await {
        Ok(caller) => caller,
        Err(answer) => return Ok(answer),
    };
    let answered = check(world, request, &caller.app, record).await;
    Ok(caller.respond(answered, request, record))
}

async fn check<W>(
    world: &W,
    request: &Request,
    app: &App,
    record: &mut Record,
) -> Result<Answer, Error>
where
    W: World<
            Ledgers: LoadLedgers + StoreLedgers,
            Counters: CountVerified,
            Keyring: LoadKeyring,
            SigningKeys: LoadSigningKeys,
        >,
{
    let body: CheckRequest = body(request, &[Media::Json]).await?;
    let now = world.clock().now();
    let present = |keyring: &Keyring| prelude::present(request, app, keyring);
    let (keyring, token) = prelude::verified_token(world, present).await?;
    // Before the code is looked at: a right one is used up, and its proof has to be signed.
    let read = |keys: &SigningKeys| read(token, &body, app, &keyring, keys, now);
    let (keys, step) = prelude::verified_signature(world, read).await?;
    record.challenge(token.id, &keyring);
    let code = PresentedCode::parse(&body.code).map_err(|_| Error::BadCheckCode)?;
    let target = VerifyTarget::Owned(token.id, &app.id);
    let verification = verify::verify(world, target, &code).await?;
    record.verification(&verification);
    match verification.outcome {
        Outcome::Verified(credential) => {
            let now = world.clock().now();
            let of_login = || {
                let id = token.id.print(&keyring);
                ChallengeToken::of_login(&app.id, credential.as_str(), id, now)
            };
            let proof = step.map_or_else(of_login, |step| step.proven(now));
            let challenge_token = passcode_jwt::sign(&keys, &proof).map_err(Error::unsigned)?;
            let answer = Answer::json(StatusCode::OK, &CheckResponse { challenge_token });
            Ok(prelude::remember(answer, app, &keyring, *token.id.subject(), now))
        }
        Outcome::AlreadyUsed => Err(Error::TokenReused),
        // The published clients start again on this, and on nothing else. That others have
        // locked the subject is not the caller's to know.
        Outcome::Exhausted if verification.is_spent => Err(Error::RateLimited(None)),
        Outcome::Incorrect | Outcome::Expired | Outcome::Exhausted | Outcome::NotFound => {
            Err(Error::BadCheckCode)
        }
    }
}

/// In a step-up the challenge token that belongs to the verification token.
fn read(
    token: VerificationToken,
    body: &CheckRequest,
    app: &App,
    keyring: &Keyring,
    keys: &SigningKeys,
    now: Timestamp,
) -> Result<Option<ChallengeToken>, Error> {
    match (token.flow, &body.challenge_token) {
        (Flow::Standalone, None) => Ok(None),
        (Flow::Standalone, Some(_)) => Err(Error::TokenMismatch),
        (Flow::StepUp, None) => Err(Error::InvalidChallengeToken),
        (Flow::StepUp, Some(text)) => {
            let step = passcode_jwt::read(keys, text).map_err(|_| Error::InvalidChallengeToken)?;
            step.validate(&app.id, now)?;
            let is_same = step.challenge(keyring) == Some(token.id);
            is_same.then_some(Some(step)).ok_or(Error::TokenMismatch)
        }
    }
}

#[derive(OpenApi)]
#[openapi(paths(handle))]
struct Api;

/// The endpoint's part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    with_browser_routes(Api::openapi(), Some("/v1/session/login/otp/check"))
}
