//! `POST /v1/session/revoke`: the client ends its session. `POST /v1/session/me/revoke`: a user ends sessions
//! of theirs, this one or others.

mod boot;

pub use boot::boot;
use lambda_http::{RequestExt as _, http::StatusCode};
use passcode_domain::{
    App, SessionId, SessionKey, World,
    action::session as sessions,
    ports::{
        Clock as _, ListSessions, LoadApps, LoadKeyring, LoadSessions, LoadSigningKeys,
        StoreSessions,
    },
};
use passcode_http::{Answer, Record, Request};
use prelude_contract::{self as prelude, Error, ErrorBody, dpop, session, with_browser_routes};
use utoipa::OpenApi;

/// The function, and its package.
pub const NAME: &str = env!("CARGO_PKG_NAME");

/// The end of the path by which a user ends sessions.
const OF_USER: &str = "/me/revoke";

/// Serves one request: of a client that ends its session.
#[utoipa::path(
    post,
    path = "/v1/session/revoke",
    operation_id = "prelude-session-revoke",
    tag = "Prelude",
    summary = "Sign out",
    params(
        ("DPoP" = Option<String>, Header, description = "A proof (RFC 9449) of the session's key. One that is there must be valid"),
        ("X-Refresh-Token" = Option<String>, Header, description = "The refresh token; the cookie's where absent"),
    ),
    responses(
        (status = 204, description = "The session is over, whether or not it was before", headers(
            ("Set-Cookie" = String, description = "`__Host-refresh_{app_id}` is deleted"),
        )),
        (status = 400, description = "`bad_request` or `invalid_dpop_proof`", body = ErrorBody),
        (status = 403, description = "`origin_not_allowed`", body = ErrorBody),
        (status = 500, description = "`internal`: try again", body = ErrorBody),
    )
)]
pub async fn handle<W>(world: &W, request: &Request, record: &mut Record) -> Result<Answer, Error>
where
    W: World<
            Apps: LoadApps,
            Sessions: LoadSessions + ListSessions + StoreSessions,
            Keyring: LoadKeyring,
            SigningKeys: LoadSigningKeys,
        >,
{
    let caller = match prelude::admit(world, request, record).await {
        Ok(caller) => caller,
        Err(answer) => return Ok(answer),
    };
    let answered = if request.uri().path().ends_with(OF_USER) {
        revoke_of_user(world, request, &caller.app, record).await
    } else {
        revoke(world, request, &caller.app, record).await
    };
    Ok(caller.respond(answered, request, record))
}

/// Ends the session of the refresh token. A session that is over is no error: its client forgets it then.
async fn revoke<W>(
    world: &W,
    request: &Request,
    app: &App,
    record: &mut Record,
) -> Result<Answer, Error>
where
    W: World<Sessions: LoadSessions + StoreSessions, Keyring: LoadKeyring>,
{
    dpop::proof(request, world.clock().now())?;
    let was_there = session::end_presented(world, request, app, None).await?;
    record.outcome = if was_there { "revoked" } else { "not found" };
    Ok(prelude::forget_session(Answer::empty(StatusCode::NO_CONTENT), app))
}

/// Ends sessions of a user.
#[utoipa::path(
    post,
    path = "/v1/session/me/revoke",
    operation_id = "prelude-session-revoke-me",
    tag = "Prelude",
    summary = "End sessions of a user",
    params(
        ("DPoP" = Option<String>, Header, description = "A proof (RFC 9449) of the session's key. One that is there must be valid"),
        ("target" = String, Query, description = "Which sessions end: `all`, `others`, `mine`, or one `session`", pattern = "^(all|others|mine|session)$"),
        ("session_id" = Option<String>, Query, description = "Which one, with the target `session`", pattern = "^ses_[A-Z2-7]{25}[AEIMQUY4]$"),
    ),
    security(("bearer" = [])),
    responses(
        (status = 204, description = "They are over"),
        (status = 400, description = "`bad_request`, `invalid_dpop_proof` or `dpop_key_mismatch`", body = ErrorBody),
        (status = 401, description = "`unauthorized`", body = ErrorBody),
        (status = 403, description = "`origin_not_allowed`", body = ErrorBody),
        (status = 404, description = "`not_found`: the user has no such session", body = ErrorBody),
        (status = 500, description = "`internal`: some may be over; try again", body = ErrorBody),
    )
)]
async fn revoke_of_user<W>(
    world: &W,
    request: &Request,
    app: &App,
    record: &mut Record,
) -> Result<Answer, Error>
where
    W: World<
            Sessions: LoadSessions + ListSessions + StoreSessions,
            Keyring: LoadKeyring,
            SigningKeys: LoadSigningKeys,
        >,
{
    let bearer = session::own_bearer(world, request, app).await?.ok_or(Error::Unauthorized)?;
    let keyring = world.keyring().keyring().await?;
    let own = session::session_of(&bearer, app, &keyring).ok_or(Error::Unauthorized)?;
    let keys = chosen(world, request, own).await?;
    for key in &keys {
        sessions::end(world, *key).await?;
    }
    record.outcome = "revoked";
    let answer = Answer::empty(StatusCode::NO_CONTENT);
    let is_own_over = keys.contains(&own);
    Ok(if is_own_over { prelude::forget_session(answer, app) } else { answer })
}

/// The sessions that shall end.
async fn chosen<W>(world: &W, request: &Request, own: SessionKey) -> Result<Vec<SessionKey>, Error>
where
    W: World<Sessions: LoadSessions + ListSessions>,
{
    let query = request.query_string_parameters();
    let target = query.first("target").unwrap_or_default();
    let id: Option<SessionId> = query.first("session_id").and_then(|id| id.parse().ok());
    match (target, id) {
        ("mine" | "all" | "others", _) | ("session", Some(_)) => {}
        ("session", None) => {
            return Err(Error::BadRequest("`session_id` is no session id".into()));
        }
        _ => return Err(Error::BadRequest("`target` must be all, others, mine or session".into())),
    }
    let all = sessions::list(world, own.user).await?;
    // A session that was ended ends no others, though its last access token lasts a little longer.
    let this = all.iter().find(|(key, _)| *key == own).map(|(_, session)| session);
    dpop::check_bearer(request, this.ok_or(Error::Unauthorized)?, world.clock().now())?;
    let is_chosen = |key: &SessionKey| match target {
        "mine" => *key == own,
        "others" => *key != own,
        "session" => Some(key.session) == id,
        _ => true,
    };
    let chosen: Vec<SessionKey> = all.into_iter().map(|(key, _)| key).filter(is_chosen).collect();
    if target == "session" && chosen.is_empty() { Err(Error::NotFound) } else { Ok(chosen) }
}

#[derive(OpenApi)]
#[openapi(paths(handle, revoke_of_user))]
struct Api;

/// The endpoints' part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    with_browser_routes(Api::openapi(), None)
}
