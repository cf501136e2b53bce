//! ZAP: answers as `{success, data}` or `{success, error}`, callers that administer the site, codes
//! found again by the identity they were sent to.

use futures_util::future::join_all;
use lambda_http::http::{HeaderName, HeaderValue, StatusCode, header};
use passcode_domain::{
    Address, App, AppId, ChallengeId, EmailAddress, Keyring, PhoneNumber, Timestamp, User,
    Username, World,
    action::{
        send::{Delivery, Refusal, SendOptions, Sent},
        transact::Failure,
    },
    guard::Origin,
    ports::{Cause, Clock as _, LoadApps, LoadUsers, ReadTokens, StoreError, TokenError},
};
use passcode_http::{
    Answer, Caller, ContractError, IdempotencyError, Idempotent, InvalidClientIp, Media, RETRY,
    Record, RefusedSend, Request, body, id, tenant,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{borrow::Cow, future::Future, sync::Arc, time::Duration};
use utoipa::ToSchema;

/// What an administrator's access token must allow.
pub const SCOPE: &str = "otp:admin";

/// How long an OTP can be sent again and verified. Each of its codes lives ten minutes at most.
pub const LIFE: Duration = Duration::from_hours(1);

/// Names the challenges whose codes went out, as OTPless prints them: an OTP can be verified by its
/// id as well.
pub const CHALLENGE_ID: HeaderName = HeaderName::from_static("passcode-challenge-id");

/// An issuer that did not answer is not asked again sooner.
const ISSUER_RETRY: Duration = Duration::from_secs(10);

/// The body of every success.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ZapSuccess)]
pub struct SuccessBody {
    /// Always true.
    #[schema(example = true)]
    success: bool,
    /// What was done.
    #[schema(example = "OTP Generated")]
    data: &'static str,
}

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ZapError)]
pub struct ErrorBody {
    /// Always false.
    #[schema(example = false)]
    success: bool,
    /// What is wrong, with the name of the field, and never its value.
    #[schema(example = "`email` is not a valid e-mail address", value_type = String)]
    error: Cow<'static, str>,
}

/// A success.
#[must_use]
pub fn success(data: &'static str) -> Answer {
    Answer::json(StatusCode::OK, &SuccessBody { success: true, data })
}

/// Why a request is refused.
#[derive(Debug)]
pub enum Error {
    /// 401: nothing shows that an administrator of the app calls.
    Caller,
    /// 403: the access token does not allow it.
    Scope,
    /// 403: the app is blocked.
    Blocked,
    /// 403: a rule of the guard speaks against the message that this field asks for.
    Guarded(&'static str),
    /// 400: the body cannot be read, or a field of it is missing or malformed.
    Request(Cow<'static, str>),
    /// 400: the code is wrong, expired, used or exhausted, or there is none; which, is not told.
    Otp,
    /// 400: no OTP waits where this field leads.
    NothingOpen(&'static str),
    /// 409: the same request under this key is being served; ask again after the wait, if there is
    /// one.
    InFlight(Option<Duration>),
    /// 422: the key came with another body.
    OtherBody,
    /// 429: what this field names has had enough; come back after the wait.
    TooMany(&'static str, Duration),
    /// The rules have refused the message that this field asks for: the error that says why.
    Send(&'static str, RefusedSend),
    /// 500: the message that this field asks for did not go out, or nobody knows whether it did.
    Undelivered(&'static str, Duration, Cause),
    /// 500: something outside has failed, and nothing was decided.
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
            IdempotencyError::Malformed(why) => Self::Request(why.into()),
            IdempotencyError::Conflict(wait) => Self::InFlight(wait),
            IdempotencyError::OtherBody => Self::OtherBody,
            IdempotencyError::Failed(failure) => failure.into(),
        }
    }
}

impl From<InvalidClientIp> for Error {
    fn from(error: InvalidClientIp) -> Self {
        Self::Request(error.to_string().into())
    }
}

impl Error {
    /// A field whose value is none of its kind.
    #[must_use]
    pub fn malformed(field: &str, why: impl std::fmt::Display) -> Self {
        Self::Request(format!("`{field}` is {why}").into())
    }

    fn of_send(field: &'static str, refused: &RefusedSend) -> Self {
        match refused.refusal {
            Refusal::CoolingDown(until)
            | Refusal::TooMany(until)
            | Refusal::Exhausted(Some(until)) => Self::TooMany(field, refused.wait(until)),
            Refusal::Throttled(full) => Self::TooMany(field, refused.wait(full.until)),
            Refusal::Blocked(_) => Self::Guarded(field),
            // By then the challenge has ended, and the next one begins to count anew.
            Refusal::SendsExhausted => Self::TooMany(field, LIFE),
            Refusal::NotFound
            | Refusal::Expired
            | Refusal::AlreadyUsed
            | Refusal::Exhausted(None)
            | Refusal::AlreadySent
            | Refusal::NeverSent
            | Refusal::NoAddress(_) => Self::NothingOpen(field),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Request(_) | Self::Otp | Self::NothingOpen(_) => StatusCode::BAD_REQUEST,
            Self::Caller => StatusCode::UNAUTHORIZED,
            Self::Scope | Self::Blocked | Self::Guarded(_) => StatusCode::FORBIDDEN,
            Self::InFlight(_) => StatusCode::CONFLICT,
            Self::OtherBody => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooMany(..) => StatusCode::TOO_MANY_REQUESTS,
            Self::Send(field, refused) => Self::of_send(field, refused).status(),
            Self::Undelivered(..) | Self::Unavailable(..) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn wait(&self) -> Option<Duration> {
        match self {
            Self::TooMany(_, wait) | Self::Undelivered(_, wait, _) | Self::Unavailable(wait, _) => {
                Some(*wait)
            }
            Self::Send(field, refused) => Self::of_send(field, refused).wait(),
            Self::InFlight(wait) => *wait,
            Self::Caller
            | Self::Scope
            | Self::Blocked
            | Self::Guarded(_)
            | Self::Request(_)
            | Self::Otp
            | Self::NothingOpen(_)
            | Self::OtherBody => None,
        }
    }

    fn text(&self) -> Cow<'static, str> {
        match self {
            Self::Caller => "an administrator's key or access token is required".into(),
            Self::Scope => format!("the access token lacks the scope {SCOPE}").into(),
            Self::Blocked => "this app is blocked".into(),
            Self::Guarded(field) => format!("no message goes where `{field}` leads").into(),
            Self::Request(what) => what.clone(),
            Self::Otp => "the OTP is not valid, or not valid any more".into(),
            Self::NothingOpen(field) => {
                format!("no OTP is open for `{field}`; generate one first").into()
            }
            Self::InFlight(_) => {
                "the same request under this `Idempotency-Key` is being served, or its answer is told once".into()
            }
            Self::OtherBody => "this `Idempotency-Key` came with another body".into(),
            Self::TooMany(field, _) => {
                format!("too many requests for `{field}`; try again later").into()
            }
            Self::Send(field, refused) => Self::of_send(field, refused).text(),
            Self::Undelivered(field, ..) => {
                format!("no courier has confirmed the message for `{field}`; try again later")
                    .into()
            }
            Self::Unavailable(..) => "an error occurred processing the request; try again later".into(),
        }
    }

    /// What the caller is asked for (RFC 6750 §3).
    fn www_authenticate(&self) -> Option<HeaderValue> {
        match self {
            Self::Caller => Some("Bearer"),
            Self::Scope => Some(r#"Bearer error="insufficient_scope", scope="otp:admin""#),
            Self::Blocked
            | Self::Guarded(_)
            | Self::Request(_)
            | Self::Otp
            | Self::NothingOpen(_)
            | Self::InFlight(_)
            | Self::OtherBody
            | Self::TooMany(..)
            | Self::Send(..)
            | Self::Undelivered(..)
            | Self::Unavailable(..) => None,
        }
        .map(HeaderValue::from_static)
    }
}

impl ContractError for Error {
    fn answer(&self, _: &Request) -> Answer {
        let answer = refuse(self.status(), self.text(), self.wait());
        match self.www_authenticate() {
            Some(scheme) => answer.header(header::WWW_AUTHENTICATE, scheme),
            None => answer,
        }
    }

    fn outcome(&self) -> &'static str {
        if self.status().is_server_error() { "unavailable" } else { "refused" }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Undelivered(_, _, cause) | Self::Unavailable(_, cause) => Some(cause.as_ref()),
            _ => None,
        }
    }
}

fn refuse(status: StatusCode, error: Cow<'static, str>, wait: Option<Duration>) -> Answer {
    let answer = Answer::json(status, &ErrorBody { success: false, error });
    match wait {
        Some(wait) => answer.retry_after(wait),
        None => answer,
    }
}

/// An administrator's request: the app, and the request's body in JSON.
pub async fn accept<W, T: DeserializeOwned>(
    world: &W,
    request: &Request,
    record: &mut Record,
) -> Result<(Arc<App>, T), Error>
where
    W: World<Apps: LoadApps, Tokens: ReadTokens>,
{
    let app = authenticate(world, request, record).await?;
    // Elsewhere a body without a media type is taken for JSON; this contract asks for one.
    if !request.headers().contains_key(header::CONTENT_TYPE) {
        return Err(Error::Request("the Content-Type must be application/json".into()));
    }
    let body = body(request, &[Media::Json]).await;
    Ok((app, body.map_err(|error| Error::Request(error.to_string().into()))?))
}

/// The app whose administrator makes a request, with a key of the app's or a token of its issuer.
async fn authenticate<W>(
    world: &W,
    request: &Request,
    record: &mut Record,
) -> Result<Arc<App>, Error>
where
    W: World<Apps: LoadApps, Tokens: ReadTokens>,
{
    let app = tenant::app_of(world, request).await?;
    let (Some(app), Some(presented)) = (app, tenant::bearer_token(request)) else {
        record.outcome = "denied";
        return Err(Error::Caller);
    };
    record.app(&app.id);
    let denied = if app.accepts_admin_key(presented) {
        None
    } else {
        check_token(world, &app, presented, record).await?
    };
    match denied.or_else(|| app.blocked.then_some(Error::Blocked)) {
        None => Ok(app),
        Some(error) => {
            record.outcome = "denied";
            Err(error)
        }
    }
}

/// What speaks against a token. Only what looks like one is shown to the issuer's keys: a mistyped
/// key shall not have them fetched.
async fn check_token<W>(
    world: &W,
    app: &App,
    presented: &str,
    record: &mut Record,
) -> Result<Option<Error>, Error>
where
    W: World<Tokens: ReadTokens>,
{
    let looks_like_one = presented.matches('.').count() == 2;
    let Some(issuer) = app.issuer.as_ref().filter(|_| looks_like_one) else {
        return Ok(Some(Error::Caller));
    };
    match world.tokens().read_token(issuer, presented, world.clock().now()).await {
        Ok(bearer) => Ok((!bearer.scopes.contains(SCOPE)).then_some(Error::Scope)),
        Err(error @ TokenError::Invalid(_)) => {
            record.error(&error);
            Ok(Some(Error::Caller))
        }
        Err(error @ TokenError::Unavailable(_)) => {
            Err(Error::Unavailable(ISSUER_RETRY, error.into()))
        }
    }
}

/// An administrator's request that may come with an `Idempotency-Key`.
#[must_use]
pub fn idempotent<'a>(request: &'a Request, app: &'a App) -> Idempotent<'a> {
    let credential = tenant::bearer_token(request);
    Idempotent { request, app: Some(&app.id), credential, has_secret: false }
}

/// Reads a field with an e-mail address.
pub fn email(field: &'static str, text: &str) -> Result<Address, Error> {
    let email = EmailAddress::parse(text).map_err(|why| Error::malformed(field, why))?;
    Ok(Address::Email(email))
}

/// Reads a field with a phone number: `+`, then at most 15 digits with the country code.
pub fn phone(field: &'static str, text: &str) -> Result<Address, Error> {
    let phone = PhoneNumber::parse(text).map_err(|why| Error::malformed(field, why))?;
    Ok(Address::Phone(phone))
}

/// A user's registered addresses, e-mail first.
#[must_use]
pub fn registered(user: User) -> Vec<Address> {
    let email = user.email.map(Address::Email);
    email.into_iter().chain(user.phone.map(Address::Phone)).collect()
}

/// The registered addresses of the user who goes by a name; none where no user does.
pub async fn registered_of<W>(
    world: &W,
    app: &AppId,
    name: &Username,
) -> Result<Vec<Address>, StoreError>
where
    W: World<Users: LoadUsers>,
{
    let user = world.users().load_user_by_name(app, name).await?;
    Ok(user.map(registered).unwrap_or_default())
}

/// An address, and the field of a request that names it.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// The field.
    pub field: &'static str,
    /// The address.
    pub address: Address,
}

/// The recipients that `email` and `phoneNumber` name: each of them, where both are given.
pub fn recipients(email: Option<&str>, phone: Option<&str>) -> Result<Vec<Recipient>, Error> {
    let email = email.map(|text| self::email("email", text)).transpose()?;
    let phone = phone.map(|text| self::phone("phoneNumber", text)).transpose()?;
    let named = [("email", email), ("phoneNumber", phone)];
    let recipient = |(field, address): (_, Option<_>)| Some(Recipient { field, address: address? });
    Ok(named.into_iter().filter_map(recipient).collect())
}

/// One message to an address, everything else by the app's policy; for whoever has this IP address.
#[must_use]
pub fn send_options(address: &Address, origin: Origin) -> SendOptions {
    let channels = vec![address.channel()];
    SendOptions { channels, origin, ..SendOptions::default() }
}

/// What came of one message of a request.
#[derive(Debug)]
pub struct SendOutcome {
    field: &'static str,
    result: Result<ChallengeId, Error>,
    record: Record,
}

impl SendOutcome {
    /// No OTP waits where a field leads.
    #[must_use]
    pub const fn nothing_open(field: &'static str, record: Record) -> Self {
        Self { field, result: Err(Error::NothingOpen(field)), record }
    }

    /// Whether no OTP waits there.
    #[must_use]
    pub fn is_nothing_open(&self) -> bool {
        match &self.result {
            Err(Error::NothingOpen(_)) => true,
            Err(Error::Send(field, refused)) => {
                matches!(Error::of_send(field, refused), Error::NothingOpen(_))
            }
            _ => false,
        }
    }

    /// What came of a send.
    #[must_use]
    pub fn of(
        field: &'static str,
        sent: Result<Delivery, Failure>,
        mut record: Record,
        keyring: &Keyring,
        now: Timestamp,
    ) -> Self {
        let result = match sent {
            Ok(delivery) => {
                record.delivery(&delivery, keyring);
                sent_for(field, delivery.sent, now)
            }
            Err(failure) => Err(Error::Undelivered(field, RETRY, failure.into())),
        };
        Self { field, result, record }
    }
}

fn sent_for(field: &'static str, sent: Sent, at: Timestamp) -> Result<ChallengeId, Error> {
    match sent {
        // As if it had gone out; the log alone knows better.
        Sent::Sent(id, _) | Sent::ToTestAddress(id, _) | Sent::Concealed(id, _) => Ok(id),
        Sent::Refused(refusal) => {
            let caller = Caller::WithCredentials;
            Err(Error::Send(field, RefusedSend { refusal, at, caller }))
        }
        Sent::AppBlocked => Err(Error::Blocked),
        Sent::Undeliverable(cause) => Err(Error::Undelivered(field, RETRY, cause)),
        Sent::Unknown(_, cool_down, cause) => Err(Error::Undelivered(field, cool_down, cause)),
    }
}

/// Sends to every recipient at the same time, and answers with `data` where each message went out.
pub async fn send_all<R, F: Future<Output = SendOutcome>>(
    recipients: Vec<R>,
    data: &'static str,
    keyring: &Keyring,
    record: &mut Record,
    send: impl Fn(R) -> F,
) -> Answer {
    let outcomes = join_all(recipients.into_iter().map(send)).await;
    let ids: Vec<_> =
        outcomes.iter().filter_map(|sent| sent.result.as_ref().ok().copied()).collect();
    let is_complete = ids.len() == outcomes.len();
    let answer = if is_complete { success(data) } else { not_all(&outcomes) };
    // The log tells of the message that did not go out, or else of the first.
    let told = outcomes.into_iter().find(|sent| is_complete || sent.result.is_err());
    if let Some(SendOutcome { result, record: own, .. }) = told {
        *record = own;
        if let Err(error) = result {
            if record.outcome.is_empty() {
                record.outcome = error.outcome();
            }
            if let Some(cause) = error.cause() {
                record.error(cause);
            }
        }
    }
    if ids.is_empty() { answer } else { with_ids(answer, &ids, keyring) }
}

/// The answer where a message did not go out: the gravest status, and what came of each message, so
/// that nobody takes one for both.
fn not_all(outcomes: &[SendOutcome]) -> Answer {
    let errors = || outcomes.iter().filter_map(|sent| sent.result.as_ref().err());
    let status = errors().map(Error::status).max().unwrap_or_default();
    let wait = errors().filter_map(Error::wait).max();
    let text = |sent: &SendOutcome| match &sent.result {
        Ok(_) => format!("the message for `{}` was sent", sent.field).into(),
        Err(error) => error.text(),
    };
    let texts: Vec<_> = outcomes.iter().map(text).collect();
    let answer = refuse(status, texts.join("; ").into(), wait);
    // Of several limits, the one that holds for longest.
    let refused = errors().filter_map(|error| match error {
        Error::Send(_, refused) => Some(refused),
        _ => None,
    });
    let refused = refused.max_by_key(|refused| refused.refusal.until());
    match refused.filter(|_| status == StatusCode::TOO_MANY_REQUESTS) {
        Some(refused) => answer.rate_limit(refused),
        None => answer,
    }
}

/// Names the challenges whose codes went out.
fn with_ids(answer: Answer, ids: &[ChallengeId], keyring: &Keyring) -> Answer {
    let ids: Vec<_> = ids.iter().map(|id| id::REQUEST_ID.print(*id, keyring)).collect();
    // An id is made of letters and digits.
    match HeaderValue::from_str(&ids.join(", ")) {
        Ok(ids) => answer.header(CHALLENGE_ID, ids),
        Err(_) => answer,
    }
}
