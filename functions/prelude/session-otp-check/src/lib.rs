//! `POST /v1/session/otp/check`: the code comes back with the verification token, and a proof goes
//! out. Of the contract's functions that know an app's origins this one may do the least, so it also
//! answers requests for paths under `/v1/session` that no other route takes.

mod boot;

pub use boot::boot;
use lambda_http::http::StatusCode;
use passcode_domain::{
    App, AppId, ChallengeId, Keyring, PresentedCode, SigningKeys, Timestamp,
    ports::{
        Clock, CountGauges, Entropy, LoadApps, LoadKeyring, LoadLedgers, LoadSigningKeys,
        StoreLedgers,
    },
    proof::ChallengeToken,
    transact::Ports,
    verification_token::{Flow, VerificationToken},
    verify::{self, Outcome, Target, Verification},
};
use passcode_http::{Answer, Media, Record, Request, body};
use prelude_contract::{self as prelude, ErrorBody, Refusal, with_browser_routes};
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
        (status = 200, description = "Verified, for the first and only time", body = CheckResponse),
        (status = 400, description = "`bad_request`, `bad_check_code` (wrong or expired), `invalid_verification_token`, `expired_challenge_token`, `invalid_challenge_token` or `token_mismatch`", body = ErrorBody),
        (status = 403, description = "`auth_blocked` or `origin_not_allowed`", body = ErrorBody),
        (status = 409, description = "`token_reused`: verified before", body = ErrorBody),
        (status = 429, description = "`rate_limited`: no attempts are left; start again", body = ErrorBody),
        (status = 500, description = "`internal`: nothing was decided; try again", body = ErrorBody),
    )
)]
pub async fn handle<A, L, K, G, C, E>(deps: &Deps<A, L, K, G, C, E>, request: Request) -> Answer
where
    A: LoadApps,
    L: LoadLedgers + StoreLedgers + CountGauges,
    K: LoadKeyring,
    G: LoadSigningKeys,
    C: Clock,
    E: Entropy,
{
    match prelude::admit(&request, &deps.apps, deps.default_app.as_ref()).await {
        Err(answer) => answer,
        Ok(visitor) => visitor.show(check(deps, &request, &visitor.app).await),
    }
}

async fn check<A, L, K, G, C, E>(
    deps: &Deps<A, L, K, G, C, E>,
    request: &Request,
    app: &App,
) -> Answer
where
    L: LoadLedgers + StoreLedgers + CountGauges,
    K: LoadKeyring,
    G: LoadSigningKeys,
    C: Clock,
    E: Entropy,
{
    let record = Record::default().app(&app.id);
    let body: CheckRequest = match body(request, &[Media::Json]).await {
        Ok(body) => body,
        Err(error) => return Refusal::from(&error).answer(record),
    };
    let now = deps.clock.now();
    let present = |keyring: &Keyring| prelude::present(request, app, keyring);
    let token = match prelude::vouched(&deps.keyring, &record, present).await {
        Ok((_, token)) => token,
        Err(answer) => return answer,
    };
    // Before the code is looked at: a right one is used up, and its proof has to be signed.
    let read = |keys: &SigningKeys| read(token, &body, app, keys, now);
    let (keys, step) = match prelude::vouched_by_signature(&deps.signing, &record, read).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let record = record.challenge(token.id);
    let Ok(code) = PresentedCode::parse(&body.code) else {
        return Refusal::BadCheckCode.answer(record);
    };
    let ports = Ports { ledgers: &deps.ledgers, clock: &deps.clock, entropy: &deps.entropy };
    let target = Target::Owned(token.id, &app.id);
    match verify::verify(ports, &deps.keyring, target, &code).await {
        Ok(Verification { outcome, trace, is_spent, .. }) => {
            let record = Record { outcome: outcome.as_str(), ..record.trace(trace) };
            match outcome {
                Outcome::Verified(credential) => {
                    let now = deps.clock.now();
                    let proof = proof(app, credential.as_str(), token.id, step, now);
                    proven(&keys, &proof, record)
                }
                Outcome::AlreadyUsed => Refusal::TokenReused.answer(record),
                // The published clients start again on this, and on nothing else. That others have
                // locked the subject is not the caller's to know.
                Outcome::Exhausted if is_spent => Refusal::RateLimited(None).answer(record),
                Outcome::Incorrect | Outcome::Expired | Outcome::Exhausted | Outcome::NotFound => {
                    Refusal::BadCheckCode.answer(record)
                }
            }
        }
        Err(failure) => prelude::failed(&failure, record),
    }
}

/// In a step-up the challenge token that belongs to the verification token.
fn read(
    token: VerificationToken,
    body: &CheckRequest,
    app: &App,
    keys: &SigningKeys,
    now: Timestamp,
) -> Result<Option<ChallengeToken>, Refusal> {
    match (token.flow, &body.challenge_token) {
        (Flow::Standalone, None) => Ok(None),
        (Flow::Standalone, Some(_)) => Err(Refusal::TokenMismatch),
        (Flow::StepUp, None) => Err(Refusal::InvalidChallengeToken),
        (Flow::StepUp, Some(text)) => {
            let step =
                passcode_jwt::read(keys, text).map_err(|_| Refusal::InvalidChallengeToken)?;
            step.believe(&app.id, now)?;
            let is_same = step.challenge_id == token.id;
            is_same.then_some(Some(step)).ok_or(Refusal::TokenMismatch)
        }
    }
}

fn proof(
    app: &App,
    credential: &str,
    id: ChallengeId,
    step: Option<ChallengeToken>,
    now: Timestamp,
) -> ChallengeToken {
    match step {
        Some(step) => step.proven(now),
        None => ChallengeToken::of_login(&app.id, credential, id, now),
    }
}

fn proven(keys: &SigningKeys, proof: &ChallengeToken, record: Record) -> Answer {
    match passcode_jwt::sign(keys, proof) {
        Ok(challenge_token) => {
            Answer::json(StatusCode::OK, &CheckResponse { challenge_token }, record)
        }
        Err(error) => prelude::keyless(&error.into(), record),
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
