//! `POST /v1/session/login/finalize`: the proof of an address begins a session, bound to the key of the DPoP
//! proof beside it.

mod boot;

pub use boot::boot;
use passcode_domain::{
    App, SigningKeys, Timestamp, UserId, World,
    action::session as sessions,
    ports::{
        Clock as _, LoadApps, LoadKeyring, LoadLedgers, LoadSessions, LoadSigningKeys,
        StoreSessions,
    },
    secret::proof::{ChallengeToken, Purpose},
};
use passcode_http::{Answer, Media, Record, Request, body};
use prelude_contract::{
    self as prelude, Error, ErrorBody, dpop,
    session::{self, SessionOf, SessionResponse},
    with_browser_routes,
};
use serde::Deserialize;
use utoipa::{OpenApi, ToSchema};

/// The function, and its package.
pub const NAME: &str = env!("CARGO_PKG_NAME");

/// The path in the OpenAPI document.
const PATH: &str = "/v1/session/login/finalize";

/// The proof.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PreludeFinalizeRequest)]
pub struct FinalizeRequest {
    /// What `otp/check` answered.
    #[schema(example = "eyJhbGciOiJFZERTQSIsInR5cCI6InByb29mK2p3dCJ9...")]
    challenge_token: String,
    /// The secret whose hash `otp` was given as `code_challenge`, if it was given one.
    #[schema(
        example = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        pattern = "^[A-Za-z0-9._~-]{43,128}$"
    )]
    code_verifier: Option<String>,
}

/// Serves one request.
#[utoipa::path(
    post,
    path = "/v1/session/login/finalize",
    operation_id = "prelude-login-finalize",
    tag = "Prelude",
    summary = "Begin a session",
    params(
        ("DPoP" = Option<String>, Header, description = "A proof (RFC 9449) of the key that the session shall be bound to"),
        ("X-Refresh-Token" = Option<String>, Header, description = "The refresh token of an earlier session, which is ended"),
    ),
    request_body = FinalizeRequest,
    responses(
        (status = 200, description = "The session", body = SessionResponse),
        (status = 400, description = "`bad_request`, `expired_challenge_token`, `invalid_challenge_token`, `step_not_completed`, `token_mismatch` or `invalid_dpop_proof`", body = ErrorBody),
        (status = 403, description = "`auth_blocked` or `origin_not_allowed`", body = ErrorBody),
        (status = 409, description = "`token_reused`: the proof has begun a session before", body = ErrorBody),
        (status = 500, description = "`internal`: nothing was decided; try again", body = ErrorBody),
    )
)]
pub async fn handle<W>(world: &W, request: &Request, record: &mut Record) -> Result<Answer, Error>
where
    W: World<
            Apps: LoadApps,
            Ledgers: LoadLedgers,
            Sessions: LoadSessions + StoreSessions,
            Keyring: LoadKeyring,
            SigningKeys: LoadSigningKeys,
        >,
{
    let caller = match prelude::admit(world, request, record).await {
        Ok(caller) => caller,
        Err(answer) => return Ok(answer),
    };
    let answered = finalize(world, request, &caller.app, record).await;
    Ok(caller.respond(answered, request, record))
}

async fn finalize<W>(
    world: &W,
    request: &Request,
    app: &App,
    record: &mut Record,
) -> Result<Answer, Error>
where
    W: World<
            Ledgers: LoadLedgers,
            Sessions: LoadSessions + StoreSessions,
            Keyring: LoadKeyring,
            SigningKeys: LoadSigningKeys,
        >,
{
    if app.blocked {
        return Err(Error::AuthBlocked);
    }
    let body: FinalizeRequest = body(request, &[Media::Json]).await?;
    let now = world.clock().now();
    let proof = dpop::proof(request, now)?;
    let keyring = world.keyring().keyring().await?;
    let read = |keys: &SigningKeys| read(&body, app, keys, now);
    let (keys, token) = prelude::verified_signature(world, read).await?;
    let challenge = token.challenge(&keyring).ok_or(Error::InvalidChallengeToken)?;
    record.challenge(challenge, &keyring);
    let address = sessions::verified_address(world, &app.id, challenge).await?;
    let address = address.ok_or(Error::InvalidChallengeToken)?;
    let user: UserId = token.sub.parse().map_err(|_| Error::InvalidChallengeToken)?;
    let of = (app, &*keyring, challenge);
    let opening = session::opening(world, request, of, (user, address, proof));
    let begun = sessions::begin(world, &keyring, &opening).await?.ok_or(Error::TokenReused)?;
    record.outcome = "signed in";
    // The client may have kept the token of this session, and have lost the rest of the answer.
    session::end_presented(world, request, app, Some(opening.key)).await?;
    let of = SessionOf { app, user: &opening.user, keyring: &keyring, keys: &keys };
    session::respond_first(request, &of, &begun, world.clock().now())
}

/// The proof of an address, by whoever knows the secret that it is bound to.
fn read(
    body: &FinalizeRequest,
    app: &App,
    keys: &SigningKeys,
    now: Timestamp,
) -> Result<ChallengeToken, Error> {
    let token = passcode_jwt::read(keys, &body.challenge_token);
    let token = token.map_err(|_| Error::InvalidChallengeToken)?;
    token.validate_proof(&app.id, Purpose::Login, now)?;
    match (token.pkce_challenge, body.code_verifier.as_deref()) {
        (None, None) => Ok(token),
        (Some(bound), Some(verifier)) if bound.is_of(verifier) => Ok(token),
        (Some(_), None) => Err(Error::BadRequest("`code_verifier` is missing".into())),
        // Nor is an unbound proof taken from a client that expects a bound one (RFC 9700 §4.8.2).
        (Some(_) | None, Some(_)) => {
            Err(Error::BadRequest("`code_verifier` is not that of a `code_challenge`".into()))
        }
    }
}

#[derive(OpenApi)]
#[openapi(paths(handle))]
struct Api;

/// The endpoint's part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    session::with_session_response(with_browser_routes(Api::openapi(), None), PATH)
}
