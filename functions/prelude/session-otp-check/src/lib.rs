//! `POST /v1/session/otp/check`: the code comes back with the verification token, and a proof goes
//! out. The older path, `/login/otp/check`, begins the session at once. Of the contract's functions that know an app's origins this one may do the least, so it also
//! answers requests for paths under `/v1/session` that no other route takes.

mod boot;

pub use boot::boot;
use lambda_http::http::StatusCode;
use passcode_domain::{
    Address, App, ChallengeId, Keyring, PresentedCode, SigningKeys, Timestamp, World,
    action::{
        session as sessions,
        verify::{self, Outcome, Verification, VerifyTarget},
    },
    ports::{
        Clock as _, CountVerified, LoadApps, LoadKeyring, LoadLedgers, LoadSessions,
        LoadSigningKeys, StoreLedgers, StoreSessions,
    },
    secret::{
        dpop::DpopProof,
        proof::ChallengeToken,
        token::{Flow, VerificationToken},
    },
    session::{Opening, Refreshed},
    value::id::CredentialId,
};
use passcode_http::{Answer, Media, Record, Request, body};
use prelude_contract::{
    self as prelude, Error, ErrorBody, dpop,
    session::{self, SessionOf, SessionResponse},
    with_browser_routes,
};
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema};

/// The function, and its package.
pub const NAME: &str = env!("CARGO_PKG_NAME");

/// The end of the older path.
const OLDER_PATH: &str = "/login/otp/check";

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
            pattern = "^[A-Z2-7]{51}[AQ]\\.([A-Z2-7]{27}[AQ]|[A-Z2-7]{78}[AEIMQUY4])$"),
        ("DPoP" = Option<String>, Header, description = "A proof (RFC 9449) of the session's key, named by the challenge token's `jti`, in a step-up of a session that has one"),
    ),
    request_body = CheckRequest,
    responses(
        (status = 200, description = "Verified, for the first and only time", body = CheckResponse, headers(
            ("Set-Cookie" = String, description = "`__passcode-device_{app_id}`: the device token, for 90 days"),
            ("Passcode-Device" = String, description = "The same token"),
        )),
        (status = 400, description = "`bad_request`, `bad_check_code` (wrong or expired), `invalid_verification_token`, `expired_challenge_token`, `invalid_challenge_token`, `token_mismatch`, `invalid_dpop_proof`, `missing_dpop_proof` or `dpop_key_mismatch`", body = ErrorBody),
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
            Sessions: LoadSessions + StoreSessions,
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
            Sessions: LoadSessions + StoreSessions,
            Counters: CountVerified,
            Keyring: LoadKeyring,
            SigningKeys: LoadSigningKeys,
        >,
{
    let body: CheckRequest = body(request, &[Media::Json]).await?;
    let now = world.clock().now();
    let keyring = world.keyring().keyring().await?;
    // Before the code is looked at: a right one is used up, and what it leads to has to be signed.
    let read = |keys: &SigningKeys| step(&body, app, &keyring, keys, now);
    let (keys, step) = prelude::verified_signature(world, read).await?;
    let present = |keyring: &Keyring| prelude::present(request, app, keyring);
    // The challenge token tells of its challenge; so a browser may have several step-ups, and no cookie.
    let (keyring, token) = match &step {
        Some((_, id)) => (keyring, VerificationToken::new(*id, Flow::StepUp)),
        None => prelude::verified_token(world, present).await?,
    };
    if step.is_none() && token.flow == Flow::StepUp {
        return Err(Error::InvalidChallengeToken);
    }
    let step = step.map(|(step, _)| step);
    let next = next((request, app), token, step, now)?;
    record.challenge(token.id, &keyring);
    let code = PresentedCode::parse(&body.code).map_err(|_| Error::BadCheckCode)?;
    let target = VerifyTarget::Owned(token.id, &app.id);
    let verification = verify::verify(world, target, &code).await?;
    record.verification(&verification);
    let is_repeat = is_repeat(&verification)?;
    let proven = Proven { request, app, keyring: &keyring, keys: &keys, token };
    // A challenge that was given up has proven no address.
    let address = verification.address.ok_or(Error::TokenReused)?;
    let answer = match next {
        Next::Token(step) => proven.prove(&address, step.map(|step| *step), world.clock().now())?,
        Next::Session(proof) => {
            let opening = proven.opening(world, address, *proof)?;
            let begun = if is_repeat {
                sessions::begin_again(world, &keyring, &opening).await?
            } else {
                sessions::begin(world, &keyring, &opening).await?
            };
            proven.respond(&opening, begun, world.clock().now())?
        }
    };
    let now = world.clock().now();
    Ok(prelude::remember(answer, app, &keyring, *token.id.subject(), now))
}

/// Whether a right code has come once more, since the client has lost the answer; an error for any other code
/// than a right one.
fn is_repeat(verification: &Verification) -> Result<bool, Error> {
    match verification.outcome {
        Outcome::Verified(_) => Ok(false),
        Outcome::AlreadyUsed if verification.is_repeat => Ok(true),
        Outcome::AlreadyUsed => Err(Error::TokenReused),
        // The published clients start again on this, and on nothing else. That others have
        // locked the subject is not the caller's to know.
        Outcome::Exhausted if verification.is_spent => Err(Error::RateLimited(None)),
        Outcome::Incorrect | Outcome::Expired | Outcome::Exhausted | Outcome::NotFound => {
            Err(Error::BadCheckCode)
        }
    }
}

/// What a right code leads to.
enum Next {
    /// A challenge token: of a step-up, or for `login/finalize`.
    Token(Option<Box<ChallengeToken>>),
    /// A session, bound to the key of the proof if there is one.
    Session(Box<Option<DpopProof>>),
}

fn next(
    (request, app): (&Request, &App),
    token: VerificationToken,
    step: Option<ChallengeToken>,
    now: Timestamp,
) -> Result<Next, Error> {
    match step {
        Some(step) => {
            dpop::check_step(request, &step, now)?;
            Ok(Next::Token(Some(Box::new(step))))
        }
        None if !request.uri().path().ends_with(OLDER_PATH) => Ok(Next::Token(None)),
        // Here nothing asks for the secret.
        None if token.code_challenge.is_some() => Err(Error::BadRequest(
            "with a `code_challenge`, use `otp/check` and `login/finalize`".into(),
        )),
        // Nobody signs in to an app that is blocked, whatever codes are out.
        None if app.blocked => Err(Error::AuthBlocked),
        None => Ok(Next::Session(Box::new(dpop::proof(request, now)?))),
    }
}

/// A request whose code has proven an address, now or before.
struct Proven<'a> {
    request: &'a Request,
    app: &'a App,
    keyring: &'a Keyring,
    keys: &'a SigningKeys,
    token: VerificationToken,
}

impl Proven<'_> {
    /// Who has an address.
    fn user(&self, address: &Address) -> CredentialId {
        CredentialId::of_address(self.keyring, &self.app.id, address)
    }

    /// The answer with the proof: the step-up's, or that of an address.
    fn prove(
        &self,
        address: &Address,
        step: Option<ChallengeToken>,
        now: Timestamp,
    ) -> Result<Answer, Error> {
        let user = self.user(address);
        let of_login = || {
            let id = self.token.id.print(self.keyring);
            ChallengeToken::of_login(&self.app.id, user.as_str(), id, now)
                .with_code_challenge(self.token.code_challenge)
        };
        let proof = step.map_or_else(of_login, |step| step.proven(now));
        let challenge_token = passcode_jwt::sign(self.keys, &proof).map_err(Error::unsigned)?;
        Ok(Answer::json(StatusCode::OK, &CheckResponse { challenge_token }))
    }

    /// The session that the challenge begins.
    fn opening<W: World>(
        &self,
        world: &W,
        address: Address,
        proof: Option<DpopProof>,
    ) -> Result<Opening, Error> {
        let user = self.user(&address).as_str().parse().map_err(Error::unsigned)?;
        let of = (self.app, self.keyring, self.token.id);
        Ok(session::opening(world, self.request, of, (user, address, proof)))
    }

    /// The answer with the session.
    fn respond(
        &self,
        opening: &Opening,
        begun: Option<Refreshed>,
        now: Timestamp,
    ) -> Result<Answer, Error> {
        let Self { app, keyring, keys, .. } = *self;
        let of = SessionOf { app, user: &opening.user, keyring, keys };
        session::respond_first(self.request, &of, &begun.ok_or(Error::TokenReused)?, now)
    }
}

/// In a step-up the challenge token, and the challenge that it tells of.
fn step(
    body: &CheckRequest,
    app: &App,
    keyring: &Keyring,
    keys: &SigningKeys,
    now: Timestamp,
) -> Result<Option<(ChallengeToken, ChallengeId)>, Error> {
    let Some(text) = &body.challenge_token else { return Ok(None) };
    let step = passcode_jwt::read(keys, text).map_err(|_| Error::InvalidChallengeToken)?;
    step.validate(&app.id, now)?;
    let id = step.challenge(keyring).ok_or(Error::InvalidChallengeToken)?;
    Ok(Some((step, id)))
}

#[derive(OpenApi)]
#[openapi(paths(handle), components(schemas(SessionResponse)))]
struct Api;

/// The endpoint's part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    const OLDER: &str = "/v1/session/login/otp/check";
    session::with_session_response(with_browser_routes(Api::openapi(), Some(OLDER)), OLDER)
}
