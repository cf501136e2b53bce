//! What the PACE functions share: whose request it is, which media types it may name, and errors in
//! the form of JSON:API.

use headers_accept::Accept;
use lambda_http::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    request::RequestContext,
};
use mediatype::{
    MediaType, Name, media_type,
    names::{APPLICATION, JSON as SUFFIX},
};
use passcode_domain::{
    App, Timestamp, UserId, World,
    action::{send::Refusal, transact::Failure},
    app::Issuer,
    ports::{Cause, Clock as _, LoadApps, ReadTokens, StoreError, TokenError},
    secret::{pin::PinError, proof::Bearer},
};
use passcode_http::{
    Answer, BodyError, ContractError, IdempotencyError, Idempotent, Media, RETRY, Record,
    RefusedSend, Request, RequestExt as _, body, tenant,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{borrow::Cow, sync::Arc, time::Duration};
use utoipa::ToSchema;

/// The media type of every error, and of the documents of `/user/pin`.
pub const MEDIA: &str = "application/vnd.api+json";

/// Tells which challenge a code is of, for a service that verifies it by id.
pub const CHALLENGE_ID: HeaderName = HeaderName::from_static("passcode-challenge-id");

const DOCUMENT: MediaType<'static> =
    MediaType::from_parts(APPLICATION, Name::new_unchecked("vnd.api"), Some(SUFFIX), &[]);

/// What an endpoint that answers in plain JSON, or not at all, may answer in: its errors are
/// documents all the same.
pub static JSON: [MediaType<'static>; 3] =
    [media_type!(APPLICATION / JSON), media_type!(APPLICATION / JSON; CHARSET = UTF_8), DOCUMENT];

/// What an endpoint that answers in documents alone may answer in.
pub static DOCUMENTS: [MediaType<'static>; 1] = [DOCUMENT];

/// The body of every PACE error (JSON:API, error objects).
#[derive(Debug, Serialize, ToSchema)]
pub struct PaceErrors {
    /// What is wrong: one error.
    #[schema(value_type = Vec<PaceError>, min_items = 1, max_items = 1)]
    errors: [PaceError; 1],
}

/// One error.
#[derive(Debug, Serialize, ToSchema)]
pub struct PaceError {
    /// The id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "KPvBqhJ2joEEJ2w=")]
    id: Option<String>,
    /// The kind of error, in the same words every time.
    #[schema(example = "The request is not valid")]
    title: &'static str,
    /// What is wrong with this request.
    #[schema(value_type = String, example = "Give a pin, a password or both")]
    detail: Cow<'static, str>,
    /// The status, as a text.
    #[schema(example = "422")]
    status: String,
    /// The kind of error, for programs.
    #[schema(example = "invalid-request")]
    code: &'static str,
    /// Which part of the request is at fault, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<PaceErrorSource>,
}

/// A part of a request.
#[derive(Debug, Serialize, ToSchema)]
pub struct PaceErrorSource {
    /// The path to a field of the body (RFC 6901).
    #[schema(value_type = String, example = "/pin")]
    pointer: Cow<'static, str>,
}

/// Why a request is refused.
#[derive(Debug)]
pub enum Error {
    /// 401: no access token.
    NoToken,
    /// 401: an access token that speaks for nobody.
    BadToken,
    /// 401: an access token without this scope.
    Scope(&'static str),
    /// 401: a user who is not linked with a third party.
    LinkedIdentity,
    /// 401: the app is blocked.
    Blocked,
    /// 403: no code that changes anything.
    Code,
    /// 404: no such app; or no such code, for whatever reason.
    NotFound,
    /// 406: the caller takes none of these media types.
    NotAcceptable,
    /// 406: a PIN that is easily guessed.
    WeakPin(PinError),
    /// 409: the same request under this key is being served; come back after the wait. Or, without a
    /// wait, it was answered with a code that is good no more.
    Conflict(Option<Duration>),
    /// 415: a body of another media type than this.
    ContentType(&'static str),
    /// 422: a body that cannot be read, or an `Idempotency-Key`.
    Body(String),
    /// 422: a field of the body, by its pointer, and what it has to be.
    Field(Cow<'static, str>, &'static str),
    /// 422: a key that came with another body.
    OtherBody,
    /// 422: a wrong PIN or password, or none to compare it with.
    Secret,
    /// 429: too much for this user; come back after the wait.
    TooMany(Duration),
    /// 429: too many wrong PINs or passwords; no wait helps.
    Locked,
    /// The rules have refused a send: the error that says why. A challenge that has had all of its
    /// messages gives way to a new one when it ends: after this time, if not before.
    Send(RefusedSend, Duration),
    /// 500: nothing was decided; come back after the wait.
    Unavailable(Duration, Cause),
}

impl From<Cause> for Error {
    fn from(cause: Cause) -> Self {
        Self::Unavailable(RETRY, cause)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Unavailable(RETRY, failure.into())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(RETRY, error.into())
    }
}

impl From<IdempotencyError> for Error {
    fn from(error: IdempotencyError) -> Self {
        match error {
            IdempotencyError::Malformed(why) => Self::Body(why),
            IdempotencyError::Conflict(wait) => Self::Conflict(wait),
            IdempotencyError::OtherBody => Self::OtherBody,
            IdempotencyError::Failed(failure) => failure.into(),
        }
    }
}

impl Error {
    /// The error of a field of the body.
    #[must_use]
    pub const fn field(pointer: &'static str, must: &'static str) -> Self {
        Self::Field(Cow::Borrowed(pointer), must)
    }

    fn of_send(refused: &RefusedSend, life: Duration) -> Self {
        match refused.refusal {
            Refusal::Exhausted(Some(until))
            | Refusal::CoolingDown(until)
            | Refusal::TooMany(until) => Self::TooMany(refused.wait(until)),
            Refusal::Throttled(full) => Self::TooMany(refused.wait(full.until)),
            // Rules block text messages, and none is sent here.
            Refusal::Exhausted(None) | Refusal::SendsExhausted | Refusal::Blocked(_) => {
                Self::TooMany(life)
            }
            // Of a challenge that is opened in the same step, none of these is true.
            Refusal::NotFound
            | Refusal::Expired
            | Refusal::AlreadyUsed
            | Refusal::AlreadySent
            | Refusal::NeverSent
            | Refusal::NoAddress(_) => Self::NotFound,
        }
    }

    fn of_body(error: &BodyError, takes: Media) -> Self {
        match error {
            BodyError::Media(_) => Self::ContentType(takes.name()),
            BodyError::Type(field) => {
                Self::Field(format!("/{field}").into(), "The field has a value of the wrong type")
            }
            BodyError::TooLarge | BodyError::Syntax(_) | BodyError::Fields(_) => {
                Self::Body(error.to_string())
            }
        }
    }

    /// Status, code and title, which go together.
    fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        const DENIED: StatusCode = StatusCode::UNAUTHORIZED;
        const NOT_ACCEPTABLE: StatusCode = StatusCode::NOT_ACCEPTABLE;
        const INVALID: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;
        match self {
            Self::NoToken | Self::BadToken => {
                (DENIED, "unauthorized", "The access token is missing or not valid")
            }
            Self::Scope(_) => {
                (DENIED, "insufficient-scope", "The access token does not reach this far")
            }
            Self::LinkedIdentity => {
                (DENIED, "missing-linked-identity", "The user is not linked with a third party")
            }
            Self::Blocked => (DENIED, "app-blocked", "The app is blocked"),
            Self::Code => (StatusCode::FORBIDDEN, "otp:invalid", "The OTP is not valid"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "Resource not found"),
            Self::NotAcceptable => {
                (NOT_ACCEPTABLE, "not-acceptable", "No media type of the answer is accepted")
            }
            Self::WeakPin(_) => (NOT_ACCEPTABLE, "pin-not-secure", "The PIN is not secure"),
            Self::Conflict(_) => {
                (StatusCode::CONFLICT, "idempotency-conflict", "The same request came before")
            }
            Self::ContentType(_) => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "The media type of the body is not supported",
            ),
            Self::Body(_) | Self::Field(..) => {
                (INVALID, "invalid-request", "The request is not valid")
            }
            Self::OtherBody => (
                INVALID,
                "idempotency-key-reused",
                "The idempotency key belongs to another request",
            ),
            Self::Secret => (INVALID, "invalid-secret", "The PIN or password is not valid"),
            Self::TooMany(_) | Self::Locked => {
                (StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests")
            }
            Self::Send(refused, life) => Self::of_send(refused, *life).kind(),
            Self::Unavailable(..) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal server error")
            }
        }
    }

    fn detail(&self) -> Cow<'static, str> {
        let text = match self {
            Self::NoToken => "Send an access token of the user's: `Authorization: Bearer …`",
            Self::BadToken => "Get a new access token from the issuer",
            Self::Scope(scope) => {
                return format!("The access token needs the scope `{scope}`").into();
            }
            Self::LinkedIdentity => {
                "The user has to sign in with a third party as well before this is possible"
            }
            Self::Blocked => "Nothing is served in the name of this app",
            Self::Code => "It is wrong, or it has expired or was used before; get a new one",
            Self::NotFound => "There is nothing here for this request",
            Self::NotAcceptable => "Let `Accept` admit the media types of this endpoint",
            Self::WeakPin(error) => return error.to_string().into(),
            Self::Conflict(Some(_)) => {
                "It is being served under this `Idempotency-Key`; come back after `Retry-After` seconds"
            }
            Self::Conflict(None) => {
                "Its code was used, replaced or has expired; get a new one under another `Idempotency-Key`"
            }
            Self::ContentType(media) => {
                return format!("The `Content-Type` must be {media}").into();
            }
            Self::Body(what) => return what.clone().into(),
            Self::Field(_, must) => must,
            Self::OtherBody => "This `Idempotency-Key` came with another body",
            Self::Secret => "Neither the password nor the PIN is the user's",
            Self::TooMany(_) => "Come back after `Retry-After` seconds",
            Self::Locked => {
                "Too many were wrong: verify a mailed code, or have an administrator unlock the user"
            }
            Self::Send(refused, life) => return Self::of_send(refused, *life).detail(),
            Self::Unavailable(..) => "Nothing was decided; try again",
        };
        text.into()
    }

    fn pointer(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Field(pointer, _) => Some(pointer.clone()),
            Self::WeakPin(_) => Some("/data/attributes/pin".into()),
            _ => None,
        }
    }

    /// What a 401 says of the token (RFC 6750 §3).
    fn challenge(&self) -> Option<String> {
        match self {
            Self::NoToken | Self::LinkedIdentity | Self::Blocked => Some("Bearer".to_owned()),
            Self::BadToken => Some("Bearer error=\"invalid_token\"".to_owned()),
            Self::Scope(scope) => {
                Some(format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\""))
            }
            _ => None,
        }
    }

    fn wait(&self) -> Option<Duration> {
        match self {
            Self::TooMany(wait) | Self::Unavailable(wait, _) => Some(*wait),
            Self::Conflict(wait) => *wait,
            Self::Send(refused, life) => Self::of_send(refused, *life).wait(),
            _ => None,
        }
    }
}

impl ContractError for Error {
    fn answer(&self, request: &Request) -> Answer {
        let (status, code, title) = self.kind();
        let error = PaceError {
            id: request_id(request).map(str::to_owned),
            title,
            detail: self.detail(),
            status: status.as_str().to_owned(),
            code,
            source: self.pointer().map(|pointer| PaceErrorSource { pointer }),
        };
        let answer = document(status, &PaceErrors { errors: [error] });
        let challenge = self.challenge().and_then(|text| HeaderValue::try_from(text).ok());
        let answer = match challenge {
            Some(challenge) => answer.header(header::WWW_AUTHENTICATE, challenge),
            None => answer,
        };
        let answer = match self.wait() {
            Some(wait) => answer.retry_after(wait),
            None => answer,
        };
        match self {
            Self::Send(refused, _) => answer.rate_limit(refused),
            _ => answer,
        }
    }

    fn outcome(&self) -> &'static str {
        match self.kind().0 {
            StatusCode::UNAUTHORIZED => "denied",
            StatusCode::INTERNAL_SERVER_ERROR => "unavailable",
            _ => "refused",
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unavailable(_, cause) => Some(cause.as_ref()),
            _ => None,
        }
    }
}

/// An answer in JSON:API.
#[must_use]
pub fn document(status: StatusCode, body: &impl Serialize) -> Answer {
    Answer::json(status, body).header(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA))
}

/// The id that API Gateway has given a request.
fn request_id(request: &Request) -> Option<&str> {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.request_id.as_deref(),
        _ => None,
    }
}

/// What an endpoint asks of every request.
pub struct Endpoint {
    /// The scopes that the access token needs, all of them.
    pub scopes: &'static [&'static str],
    /// The media types it may answer in.
    pub offers: &'static [MediaType<'static>],
}

/// A user's request.
pub struct Caller<'a> {
    request: &'a Request,
    /// The app that knows the user.
    pub app: Arc<App>,
    /// The user.
    pub user: UserId,
}

/// Whose request it is. App, token and `Accept` are looked at in this order.
pub async fn admit<'a, W>(
    world: &W,
    request: &'a Request,
    record: &mut Record,
    endpoint: &Endpoint,
) -> Result<Caller<'a>, Error>
where
    W: World<Apps: LoadApps, Tokens: ReadTokens>,
{
    let app = tenant::app_of(world, request).await?;
    let (app, issuer) = app.and_then(with_issuer).ok_or(Error::NotFound)?;
    record.app(&app.id);
    if app.blocked {
        return Err(Error::Blocked);
    }
    let token = tenant::bearer_token(request).ok_or(Error::NoToken)?;
    let bearer = match world.tokens().read_token(&issuer, token, world.clock().now()).await {
        Ok(bearer) => bearer,
        Err(TokenError::Invalid(_)) => return Err(Error::BadToken),
        Err(error @ TokenError::Unavailable(_)) => {
            return Err(Error::Unavailable(RETRY, error.into()));
        }
    };
    check_reach(&bearer, &issuer, endpoint.scopes)?;
    check_accept(request, endpoint.offers)?;
    Ok(Caller { request, app, user: bearer.user })
}

impl Caller<'_> {
    /// The request's body, in the one media type that the endpoint takes.
    pub async fn body<T: DeserializeOwned>(&self, takes: Media) -> Result<T, Error> {
        if !self.request.headers().contains_key(header::CONTENT_TYPE) {
            return Err(Error::ContentType(takes.name()));
        }
        let read = body(self.request, &[takes]).await;
        read.map_err(|error| Error::of_body(&error, takes))
    }

    /// The request, which may come with an `Idempotency-Key`: the user's, whichever access token
    /// shows who that is.
    #[must_use]
    pub fn idempotent(&self) -> Idempotent<'_> {
        Idempotent {
            request: self.request,
            app: Some(&self.app.id),
            credential: Some(self.user.as_str()),
            has_secret: false,
        }
    }
}

fn with_issuer(app: Arc<App>) -> Option<(Arc<App>, Issuer)> {
    let issuer = app.issuer.clone()?;
    Some((app, issuer))
}

/// Whether a token allows what the endpoint does.
fn check_reach(
    bearer: &Bearer,
    issuer: &Issuer,
    scopes: &'static [&'static str],
) -> Result<(), Error> {
    if let Some(missing) = scopes.iter().find(|scope| !bearer.scopes.contains(**scope)) {
        return Err(Error::Scope(missing));
    }
    match &issuer.linked_identity_claim {
        Some(claim) if !bearer.claims.contains(claim) => Err(Error::LinkedIdentity),
        _ => Ok(()),
    }
}

/// Whether the caller takes any of the media types that there are. One that does not say takes all.
fn check_accept(request: &Request, offers: &[MediaType<'static>]) -> Result<(), Error> {
    let Some(accept) = request.headers().get(header::ACCEPT) else { return Ok(()) };
    // In one case: the parser tells `utf-8` from the `UTF-8` that is offered, and nothing else does.
    let accept = accept.to_str().ok().map(str::to_ascii_uppercase);
    let accept = accept.and_then(|text| text.parse::<Accept>().ok());
    let chosen = accept.as_ref().and_then(|accept| accept.negotiate(offers));
    chosen.map(drop).ok_or(Error::NotAcceptable)
}

/// A moment as JSON writes it: RFC 3339, in UTC, to the millisecond.
#[must_use]
pub fn date_time(moment: Timestamp) -> String {
    let millis = i64::try_from(moment.as_millis()).unwrap_or(i64::MAX);
    let moment = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    format!("{moment:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_to_the_millisecond_whatever_they_are() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_827_696_789, "2000-02-29T12:34:56.789Z"),
            (1_795_165_200_050, "2026-11-20T09:00:00.050Z"),
            (u64::MAX, "9999-12-30T22:00:00.999Z"),
        ] {
            assert_eq!(date_time(Timestamp::from_millis(millis)), text);
        }
    }
}
