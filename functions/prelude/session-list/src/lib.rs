//! `GET /v1/session/me/list`: the sessions of a user.

mod boot;

pub use boot::boot;
use lambda_http::{RequestExt as _, http::StatusCode};
use passcode_domain::{
    App, Session, SessionKey, World,
    action::session as sessions,
    ports::{Clock as _, ListSessions, LoadApps, LoadKeyring, LoadSigningKeys},
};
use passcode_http::{Answer, Record, Request};
use prelude_contract::{
    self as prelude, Error, ErrorBody, dpop,
    session::{self, print_time},
    with_browser_routes,
};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

/// The function, and its package.
pub const NAME: &str = env!("CARGO_PKG_NAME");

/// The length of a page where the request names none, and the longest.
const DEFAULT_LIMIT: usize = 10;
const MAX_LIMIT: usize = 100;

/// A page of a user's sessions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PreludeSessionList)]
pub struct ListResponse {
    /// The sessions, the one that was refreshed last first.
    sessions: Vec<ListedSession>,
    /// How many there are.
    total: usize,
    /// The length of the page that was asked for.
    limit: usize,
    /// How many come before the page.
    offset: usize,
}

/// A session, as its user is told of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PreludeListedSession)]
pub struct ListedSession {
    /// Its id: the `sid` of its access tokens.
    #[schema(example = "ses_AAAAAAAAAAAAAAAAAAAAAAAAAA")]
    id: String,
    /// The device, as far as it is known.
    #[schema(example = "iOS")]
    device_model: String,
    /// What the device is.
    #[schema(example = "mobile", pattern = "^(desktop|mobile|tablet|unknown)$")]
    device_type: &'static str,
    /// Empty: it is not kept.
    os_version: String,
    /// The country that it began in, where that is known.
    #[schema(example = "US", pattern = "^([A-Z]{2})?$")]
    country_code: String,
    /// When it began (ISO 8601).
    #[schema(example = "2026-11-24T00:00:00Z")]
    created_at: String,
    /// When it was last refreshed.
    #[schema(example = "2026-11-24T00:00:00Z")]
    last_seen_at: String,
    /// When it ends, if it is not refreshed before.
    #[schema(example = "2026-12-08T00:00:00Z")]
    expires_at: String,
}

/// Serves one request.
#[utoipa::path(
    get,
    path = "/v1/session/me/list",
    operation_id = "prelude-session-list",
    tag = "Prelude",
    summary = "List a user's sessions",
    params(
        ("DPoP" = Option<String>, Header, description = "A proof (RFC 9449) of the session's key. One that is there must be valid"),
        ("limit" = Option<usize>, Query, description = "The length of the page, 10 where absent", minimum = 1, maximum = 100),
        ("offset" = Option<usize>, Query, description = "How many come before it, none where absent", minimum = 0),
    ),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "A page of them", body = ListResponse),
        (status = 400, description = "`invalid_pagination_limit`, `invalid_pagination_offset`, `invalid_dpop_proof` or `dpop_key_mismatch`", body = ErrorBody),
        (status = 401, description = "`unauthorized`", body = ErrorBody),
        (status = 403, description = "`origin_not_allowed`", body = ErrorBody),
        (status = 500, description = "`internal`: try again", body = ErrorBody),
    )
)]
pub async fn handle<W>(world: &W, request: &Request, record: &mut Record) -> Result<Answer, Error>
where
    W: World<
            Apps: LoadApps,
            Sessions: ListSessions,
            Keyring: LoadKeyring,
            SigningKeys: LoadSigningKeys,
        >,
{
    let caller = match prelude::admit(world, request, record).await {
        Ok(caller) => caller,
        Err(answer) => return Ok(answer),
    };
    let answered = list(world, request, &caller.app, record).await;
    Ok(caller.respond(answered, request, record))
}

async fn list<W>(
    world: &W,
    request: &Request,
    app: &App,
    record: &mut Record,
) -> Result<Answer, Error>
where
    W: World<Sessions: ListSessions, Keyring: LoadKeyring, SigningKeys: LoadSigningKeys>,
{
    let bearer = session::own_bearer(world, request, app).await?.ok_or(Error::Unauthorized)?;
    let (limit, offset) = page(request)?;
    let keyring = world.keyring().keyring().await?;
    let own = session::session_of(&bearer, app, &keyring).ok_or(Error::Unauthorized)?;
    let all = sessions::list(world, own.user).await?;
    let this = all.iter().find(|(key, _)| *key == own).map(|(_, session)| session);
    dpop::check_bearer(request, this.ok_or(Error::Unauthorized)?, world.clock().now())?;
    let total = all.len();
    let sessions = all.into_iter().skip(offset).take(limit).map(listed).collect();
    record.outcome = "listed";
    Ok(Answer::json(StatusCode::OK, &ListResponse { sessions, total, limit, offset }))
}

/// The length of the page, and how many come before it.
fn page(request: &Request) -> Result<(usize, usize), Error> {
    let query = request.query_string_parameters();
    let number = |name: &str| query.first(name).map(str::parse::<usize>).transpose();
    let limit = number("limit").map_err(|_| Error::InvalidLimit)?.unwrap_or(DEFAULT_LIMIT);
    let offset = number("offset").map_err(|_| Error::InvalidOffset)?.unwrap_or_default();
    if (1..=MAX_LIMIT).contains(&limit) { Ok((limit, offset)) } else { Err(Error::InvalidLimit) }
}

fn listed((key, session): (SessionKey, Session)) -> ListedSession {
    ListedSession {
        id: key.session.to_string(),
        device_type: session.device.kind.as_str(),
        created_at: print_time(session.began_at),
        last_seen_at: print_time(session.refreshed_at),
        expires_at: print_time(session.ends_at()),
        device_model: session.device.system,
        os_version: String::new(),
        country_code: session.device.country,
    }
}

#[derive(OpenApi)]
#[openapi(paths(handle))]
struct Api;

/// The endpoint's part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    with_browser_routes(Api::openapi(), None)
}
