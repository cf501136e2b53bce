//! Sessions on the wire: what a client is given when one begins or is refreshed, and who shows an access
//! token of one.

use crate::{
    Error,
    token::{forget_verification, hand_over_refresh_token, presented_refresh_token},
    verified_signature,
};
use cookie::time::{OffsetDateTime, format_description::well_known::Rfc3339};
use lambda_http::http::{HeaderName, HeaderValue, StatusCode, header};
use passcode_domain::{
    App, ChallengeId, Keyring, SessionId, SessionKey, SigningKeys, Timestamp, UserId, UserKey,
    World,
    action::session as sessions,
    ports::{Clock as _, Entropy as _, LoadKeyring, LoadSessions, LoadSigningKeys, StoreSessions},
    secret::{access::AccessToken, dpop::DpopProof, proof::Bearer},
    session::{Device, DeviceKind, Opening, Refreshed},
    value::address::Address,
};
use passcode_http::{Answer, Request, header_text, tenant};
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::{Content, HeaderBuilder, Object, OpenApi, Ref, ResponseBuilder, Type},
};

/// A session that has begun or was refreshed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PreludeSession)]
pub struct SessionResponse {
    /// A JWT (EdDSA) that the JWKS verifies.
    #[schema(example = "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCJ9...")]
    access_token: String,
    /// Seconds since the epoch when the access token ends.
    #[schema(example = 1_795_488_260)]
    expires_at: u64,
}

/// The header that says until when the refresh token is good.
const EXPIRES_HEADER: HeaderName = HeaderName::from_static("x-refresh-token-expires-at");

/// The session that a challenge begins, for a user of an app who has verified an address with it.
#[must_use]
pub fn opening<W: World>(
    world: &W,
    request: &Request,
    (app, keyring, challenge): (&App, &Keyring, ChallengeId),
    (user, address, proof): (UserId, Address, Option<DpopProof>),
) -> Opening {
    let session = SessionId::of_challenge(keyring, challenge);
    Opening {
        key: SessionKey { user: UserKey::of(keyring, &app.id, &user), session },
        app: app.id.clone(),
        user,
        address,
        policy: app.session,
        nonce: world.entropy().bytes(),
        device: device(request),
        proof,
    }
}

/// Whose session it is, and what signs for it.
#[derive(Debug)]
pub struct SessionOf<'a> {
    /// The app.
    pub app: &'a App,
    /// The user.
    pub user: &'a UserId,
    /// The keyring.
    pub keyring: &'a Keyring,
    /// The keys that sign.
    pub keys: &'a SigningKeys,
}

/// The answer that gives a client its access token and its next refresh token.
pub fn respond(
    request: &Request,
    of: &SessionOf<'_>,
    refreshed: &Refreshed,
    now: Timestamp,
) -> Result<Answer, Error> {
    let SessionOf { app, user, keyring, keys } = of;
    let host = header_text(request, "host").unwrap_or_default();
    let (session, times) = (refreshed.token.key.session, (now, refreshed.access_expires_at));
    let token = AccessToken::new((&app.id, host), (user, session), &refreshed.scopes, times);
    let access_token = passcode_jwt::sign_access_token(keys, &token).map_err(Error::unsigned)?;
    let body = SessionResponse { access_token, expires_at: token.exp };
    let life = now.until(refreshed.token_expires_at);
    let answer = Answer::json(StatusCode::OK, &body)
        .header(EXPIRES_HEADER, date_time(refreshed.token_expires_at));
    Ok(hand_over_refresh_token(answer, app, keyring, (&refreshed.token, life)))
}

/// The same for a session that has just begun: the verification token is done with.
pub fn respond_first(
    request: &Request,
    of: &SessionOf<'_>,
    refreshed: &Refreshed,
    now: Timestamp,
) -> Result<Answer, Error> {
    Ok(forget_verification(respond(request, of, refreshed, now)?, of.app))
}

/// What the answer of a path is in the OpenAPI document: a session.
#[must_use]
pub fn with_session_response(mut api: OpenApi, path: &str) -> OpenApi {
    let body = Content::new(Some(Ref::from_schema_name("PreludeSession")));
    let header = |description: &str| {
        HeaderBuilder::new()
            .schema(Some(Object::with_type(Type::String)))
            .description(Some(description))
            .build()
    };
    let response = ResponseBuilder::new()
        .description("The session; its access token lasts a minute, its refresh token until the next refresh")
        .content("application/json", body)
        .header("X-Refresh-Token", header("The refresh token"))
        .header("X-Refresh-Token-Expires-At", header("Until when it is good (ISO 8601)"))
        .header("Set-Cookie", header("`__Host-refresh_{app_id}`: the same token"))
        .build();
    if let Some(post) = api.paths.paths.get_mut(path).and_then(|item| item.post.as_mut()) {
        post.responses.responses.insert("200".to_owned(), response.into());
    }
    api
}

/// A moment in ISO 8601, in whole seconds of UTC.
#[must_use]
pub fn print_time(at: Timestamp) -> String {
    let seconds = i64::try_from(at.as_millis() / 1000).unwrap_or(i64::MAX);
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok();
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}

fn date_time(at: Timestamp) -> HeaderValue {
    HeaderValue::try_from(print_time(at)).unwrap_or(HeaderValue::from_static(""))
}

/// Who shows an access token that was signed here, for this app, and is in force. `None` where the token is
/// of somebody else.
pub async fn own_bearer<W>(world: &W, request: &Request, app: &App) -> Result<Option<Bearer>, Error>
where
    W: World<SigningKeys: LoadSigningKeys>,
{
    let Some(token) = tenant::bearer_token(request) else { return Ok(None) };
    // A token that is not one of those is looked for among newer keys as well.
    let read = |keys: &SigningKeys| {
        passcode_jwt::read_access_token(keys, token).map_err(|_| Error::InvalidChallengeToken)
    };
    match verified_signature(world, read).await {
        Ok((_, token)) => match token.bearer(&app.id, world.clock().now()) {
            Some(bearer) => Ok(Some(bearer)),
            None => Err(Error::Unauthorized),
        },
        Err(Error::InvalidChallengeToken) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Ends the session of the refresh token that a client shows, if it shows one of another session than this one.
/// Whether there was one to end.
pub async fn end_presented<W>(
    world: &W,
    request: &Request,
    app: &App,
    but: Option<SessionKey>,
) -> Result<bool, Error>
where
    W: World<Sessions: LoadSessions + StoreSessions, Keyring: LoadKeyring>,
{
    let keyring = world.keyring().keyring().await?;
    let token = presented_refresh_token(request, app, &keyring);
    let Some(token) = token.filter(|token| Some(token.key) != but) else { return Ok(false) };
    if sessions::revoke(world, &keyring, &app.id, &token).await? {
        return Ok(true);
    }
    // A keyring that somebody has rotated since it was read knows no token of the next one.
    let newer = world.keyring().refreshed().await?;
    Ok(sessions::revoke(world, &newer, &app.id, &token).await?)
}

/// The key of the session that an access token of this app is of.
#[must_use]
pub fn session_of(bearer: &Bearer, app: &App, keyring: &Keyring) -> Option<SessionKey> {
    let session: SessionId = bearer.session.as_ref()?.parse().ok()?;
    Some(SessionKey { user: UserKey::of(keyring, &app.id, &bearer.user), session })
}

/// The device of a request, as far as its headers tell.
fn device(request: &Request) -> Device {
    let agent = header_text(request, header::USER_AGENT.as_str()).unwrap_or_default();
    let (system, kind) = SYSTEMS
        .iter()
        .find(|(word, ..)| agent.contains(word))
        .map_or(("", DeviceKind::Unknown), |(_, system, kind)| (system, *kind));
    let is_tablet = agent.contains("Android") && !agent.contains("Mobile");
    let kind = if is_tablet { DeviceKind::Tablet } else { kind };
    // Of a content delivery network in front of the API.
    let country = header_text(request, "cloudfront-viewer-country").unwrap_or_default();
    let is_country = country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase());
    let country = if is_country { country.to_owned() } else { String::new() };
    Device { kind, system: system.to_owned(), country }
}

/// Words of `User-Agent` headers, in the order in which they are looked for: many agents name others too.
const SYSTEMS: [(&str, &str, DeviceKind); 8] = [
    ("iPhone", "iOS", DeviceKind::Mobile),
    ("iPad", "iPadOS", DeviceKind::Tablet),
    ("Android", "Android", DeviceKind::Mobile),
    ("okhttp", "Android", DeviceKind::Mobile),
    ("Windows", "Windows", DeviceKind::Desktop),
    ("CrOS", "ChromeOS", DeviceKind::Desktop),
    ("Macintosh", "macOS", DeviceKind::Desktop),
    ("Linux", "Linux", DeviceKind::Desktop),
];
