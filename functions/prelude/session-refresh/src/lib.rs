//! `POST /v1/session/refresh`: the refresh token is spent, and the client gets the next one and an access
//! token; with the proof of a step-up, one that has the scope.

mod boot;

pub use boot::boot;
use passcode_domain::{
    App, SessionId, SigningKeys, Timestamp, World,
    action::session as sessions,
    ports::{Clock as _, LoadApps, LoadKeyring, LoadSessions, LoadSigningKeys, StoreSessions},
    secret::proof::Purpose,
    session::{Refresh, RefreshRefusal, StepUpGrant},
};
use passcode_http::{Answer, Media, Record, Request, body};
use prelude_contract::{
    self as prelude, Error, ErrorBody, dpop,
    session::{self, SessionOf, SessionResponse},
    with_browser_routes,
};
use serde::Deserialize;
use utoipa::{
    OpenApi, ToSchema,
    openapi::{RefOr, Required},
};

/// The function, and its package.
pub const NAME: &str = env!("CARGO_PKG_NAME");

/// The path in the OpenAPI document.
const PATH: &str = "/v1/session/refresh";

/// What shall be granted. The body may be empty.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = PreludeRefreshRequest)]
pub struct RefreshRequest {
    /// The challenge token of a step-up that has no step left.
    #[schema(example = "eyJhbGciOiJFZERTQSIsInR5cCI6InByb29mK2p3dCJ9...")]
    step_up_token: Option<String>,
}

/// Serves one request.
#[utoipa::path(
    post,
    path = "/v1/session/refresh",
    operation_id = "prelude-session-refresh",
    tag = "Prelude",
    summary = "Refresh a session",
    params(
        ("DPoP" = Option<String>, Header, description = "A proof (RFC 9449) of the session's key, if it is bound to one"),
        ("X-Refresh-Token" = Option<String>, Header, description = "The refresh token; the cookie's where absent",
            pattern = "^[A-Z2-7]{83}[AQ]$"),
    ),
    request_body = RefreshRequest,
    responses(
        (status = 200, description = "The session", body = SessionResponse),
        (status = 400, description = "`bad_request`, `invalid_dpop_proof`, `missing_dpop_proof`, `dpop_key_mismatch`, `expired_challenge_token`, `invalid_challenge_token`, `step_not_completed` or `token_mismatch`", body = ErrorBody),
        (status = 401, description = "`unauthorized`: the session is over, or was never there; sign in again", body = ErrorBody),
        (status = 403, description = "`auth_blocked` or `origin_not_allowed`", body = ErrorBody),
        (status = 409, description = "`token_reused`: the step-up was granted before", body = ErrorBody),
        (status = 429, description = "`rate_limited`: too many step-ups were granted within minutes", body = ErrorBody),
        (status = 500, description = "`internal`: try again with the same token", body = ErrorBody),
    )
)]
pub async fn handle<W>(world: &W, request: &Request, record: &mut Record) -> Result<Answer, Error>
where
    W: World<
            Apps: LoadApps,
            Sessions: LoadSessions + StoreSessions,
            Keyring: LoadKeyring,
            SigningKeys: LoadSigningKeys,
        >,
{
    let caller = match prelude::admit(world, request, record).await {
        Ok(caller) => caller,
        Err(answer) => return Ok(answer),
    };
    let answered = refresh(world, request, &caller.app, record).await;
    Ok(caller.respond(answered, request, record))
}

async fn refresh<W>(
    world: &W,
    request: &Request,
    app: &App,
    record: &mut Record,
) -> Result<Answer, Error>
where
    W: World<
            Sessions: LoadSessions + StoreSessions,
            Keyring: LoadKeyring,
            SigningKeys: LoadSigningKeys,
        >,
{
    if app.blocked {
        return Err(Error::AuthBlocked);
    }
    let body = if request.body().is_empty() {
        RefreshRequest::default()
    } else {
        body(request, &[Media::Json]).await?
    };
    let now = world.clock().now();
    let proof = dpop::proof(request, now)?;
    let keyring = world.keyring().keyring().await?;
    let token = prelude::presented_refresh_token(request, app, &keyring);
    let token = token.ok_or(Error::Unauthorized)?;
    let session = token.key.session;
    let read = |keys: &SigningKeys| step_up(&body, app, session, keys, now);
    let (keys, step_up) = prelude::verified_signature(world, read).await?;
    let refresh = Refresh { token, proof, step_up };
    // A keyring that somebody has rotated since it was read knows no token of the next one.
    let refreshed = match sessions::refresh(world, &keyring, &app.id, &refresh).await? {
        Err(RefreshRefusal::NotFound) => {
            let newer = world.keyring().refreshed().await?;
            sessions::refresh(world, &newer, &app.id, &refresh).await?
        }
        decided => decided,
    };
    let refreshed = refreshed.map_err(|refusal| refused(refusal, request, record))?;
    record.outcome = "refreshed";
    let user = &refreshed.session.user;
    let of = SessionOf { app, user, keyring: &keyring, keys: &keys };
    session::respond(request, &of, &refreshed.refreshed, world.clock().now())
}

/// The step-up that shall be granted, if there is one: proven in this session.
fn step_up(
    body: &RefreshRequest,
    app: &App,
    session: SessionId,
    keys: &SigningKeys,
    now: Timestamp,
) -> Result<Option<StepUpGrant>, Error> {
    let Some(text) = &body.step_up_token else { return Ok(None) };
    let token = passcode_jwt::read(keys, text).map_err(|_| Error::InvalidChallengeToken)?;
    token.validate_proof(&app.id, Purpose::StepUp, now)?;
    if token.sid != Some(session.to_string()) {
        return Err(Error::TokenMismatch);
    }
    let scope = token.scope.ok_or(Error::InvalidChallengeToken)?;
    let user = token.sub.parse().map_err(|_| Error::InvalidChallengeToken)?;
    Ok(Some(StepUpGrant { user, jti: token.jti, scope, mode: token.grant_mode }))
}

fn refused(refusal: RefreshRefusal, request: &Request, record: &mut Record) -> Error {
    match refusal {
        // A browser that was cleared has lost the key and kept the cookie: its user signs in again.
        RefreshRefusal::OtherKey if !prelude::holds_refresh_token(request) => Error::Unauthorized,
        RefreshRefusal::NotFound => Error::Unauthorized,
        RefreshRefusal::Reused => {
            record.outcome = "reused";
            Error::Unauthorized
        }
        RefreshRefusal::NoProof => Error::MissingDpopProof,
        RefreshRefusal::OtherKey => Error::DpopKeyMismatch,
        RefreshRefusal::ReplayedProof => {
            Error::InvalidDpopProof("it was used before, or later ones were".into())
        }
        RefreshRefusal::StepUpOfOther => Error::TokenMismatch,
        RefreshRefusal::StepUpReused => Error::TokenReused,
        RefreshRefusal::TooManyStepUps => Error::RateLimited(None),
    }
}

#[derive(OpenApi)]
#[openapi(paths(handle))]
struct Api;

/// The endpoint's part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut api = Api::openapi();
    let post = api.paths.paths.get_mut(PATH).and_then(|item| item.post.as_mut());
    if let Some(RefOr::T(body)) = post.and_then(|post| post.request_body.as_mut()) {
        body.required = Some(Required::False);
    }
    session::with_session_response(with_browser_routes(api, None), PATH)
}
