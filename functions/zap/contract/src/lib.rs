//! ZAP: answers as `{success, data}` or `{success, error}`, callers that administer the site, codes
//! found again by the identity they were sent to.

use futures_util::future::join_all;
use lambda_http::http::{HeaderName, HeaderValue, StatusCode, header};
use passcode_domain::{
    Address, App, AppId, ChallengeId, Channel, EmailAddress, PhoneNumber, Timestamp,
    ports::{Cause, LoadApps, LoadUsers, ReadTokens, StoreError, TokenError},
    send::{self, Delivery, Sent, Wish},
    transact::Failure,
    user::{User, Username},
};
use passcode_http::{
    Answer, Caller, Idempotent, InvalidClientIp, Media, RETRY, Record, Refused, Request, body, id,
    tenant,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{borrow::Cow, future::Future, net::IpAddr, sync::Arc, time::Duration};
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
pub fn success(data: &'static str, record: Record) -> Answer {
    Answer::json(StatusCode::OK, &SuccessBody { success: true, data }, record)
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
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
    /// 500: the message that this field asks for did not go out, or nobody knows whether it did.
    Undelivered(&'static str, Duration),
    /// 500: something outside has failed, and nothing was decided.
    Failed(Duration),
}

impl From<InvalidClientIp> for Refusal {
    fn from(error: InvalidClientIp) -> Self {
        Self::Request(error.to_string().into())
    }
}

impl Refusal {
    /// A field whose value is none of its kind.
    #[must_use]
    pub fn malformed(field: &str, why: impl std::fmt::Display) -> Self {
        Self::Request(format!("`{field}` is {why}").into())
    }

    fn of_send(field: &'static str, refused: send::Refusal, now: Timestamp) -> Self {
        use send::Refusal as Refused;
        match refused {
            Refused::CoolingDown(until)
            | Refused::TooMany(until)
            | Refused::Exhausted(Some(until)) => Self::TooMany(field, now.until(until)),
            Refused::Throttled(full) => Self::TooMany(field, now.until(full.until)),
            Refused::Blocked(_) => Self::Guarded(field),
            // By then the challenge has ended, and the next one begins to count anew.
            Refused::SendsExhausted => Self::TooMany(field, LIFE),
            Refused::NotFound
            | Refused::Expired
            | Refused::AlreadyUsed
            | Refused::Exhausted(None)
            | Refused::AlreadySent
            | Refused::NeverSent
            | Refused::NoAddress(_) => Self::NothingOpen(field),
        }
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::Request(_) | Self::Otp | Self::NothingOpen(_) => StatusCode::BAD_REQUEST,
            Self::Caller => StatusCode::UNAUTHORIZED,
            Self::Scope | Self::Blocked | Self::Guarded(_) => StatusCode::FORBIDDEN,
            Self::InFlight(_) => StatusCode::CONFLICT,
            Self::OtherBody => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooMany(..) => StatusCode::TOO_MANY_REQUESTS,
            Self::Undelivered(..) | Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    const fn wait(&self) -> Option<Duration> {
        match self {
            Self::TooMany(_, wait) | Self::Undelivered(_, wait) | Self::Failed(wait) => Some(*wait),
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
            Self::Undelivered(field, _) => {
                format!("no courier has confirmed the message for `{field}`; try again later")
                    .into()
            }
            Self::Failed(_) => "an error occurred processing the request; try again later".into(),
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
            | Self::Undelivered(..)
            | Self::Failed(_) => None,
        }
        .map(HeaderValue::from_static)
    }

    /// The answer.
    #[must_use]
    pub fn answer(&self, record: Record) -> Answer {
        let answer = refuse(self.status(), self.text(), self.wait(), record);
        match self.www_authenticate() {
            Some(scheme) => answer.header(header::WWW_AUTHENTICATE, scheme),
            None => answer,
        }
    }
}

fn refuse(
    status: StatusCode,
    error: Cow<'static, str>,
    wait: Option<Duration>,
    record: Record,
) -> Answer {
    let outcome = match (record.outcome, status.is_server_error()) {
        ("", true) => "unavailable",
        ("", false) => "refused",
        (outcome, _) => outcome,
    };
    let body = ErrorBody { success: false, error };
    let answer = Answer::json(status, &body, Record { outcome, ..record });
    match wait {
        Some(wait) => answer.retry_after(wait),
        None => answer,
    }
}

/// The answer to a use-case that reached no outcome.
#[must_use]
pub fn failed(failure: &Failure, record: Record) -> Answer {
    Refusal::Failed(RETRY).answer(record.error(failure))
}

/// The answer when the keyring could not be read.
#[must_use]
pub fn keyless(cause: &Cause, record: Record) -> Answer {
    Refusal::Failed(RETRY).answer(record.cause(cause))
}

/// The answer when the users could not be read.
#[must_use]
pub fn userless(error: &StoreError, record: Record) -> Answer {
    Refusal::Failed(RETRY).answer(record.error(error))
}

/// An administrator's request: the app, the record of it, and its body in JSON. Everything that
/// keeps it from being one is answered here.
pub async fn accept<T: DeserializeOwned>(
    request: &Request,
    apps: &impl LoadApps,
    tokens: &impl ReadTokens,
    default: Option<&AppId>,
    now: Timestamp,
) -> Result<(Arc<App>, Record, T), Answer> {
    let app = authenticate(request, apps, tokens, default, now).await?;
    let record = Record::default().app(&app.id);
    let refused = |what: Cow<'static, str>| Refusal::Request(what).answer(record.clone());
    // Elsewhere a body without a media type is taken for JSON; this contract asks for one.
    if !request.headers().contains_key(header::CONTENT_TYPE) {
        return Err(refused("the Content-Type must be application/json".into()));
    }
    match body(request, &[Media::Json]).await {
        Ok(body) => Ok((app, record, body)),
        Err(error) => Err(refused(error.to_string().into())),
    }
}

/// The app whose administrator makes a request, with a key of the app's or a token of its issuer.
async fn authenticate(
    request: &Request,
    apps: &impl LoadApps,
    tokens: &impl ReadTokens,
    default: Option<&AppId>,
    now: Timestamp,
) -> Result<Arc<App>, Answer> {
    let app = tenant::app_of(request, apps, default).await;
    let app =
        app.map_err(|error| Refusal::Failed(RETRY).answer(Record::default().error(&error)))?;
    let (Some(app), Some(presented)) = (app, tenant::bearer_token(request)) else {
        return Err(Refusal::Caller.answer(Record::of("denied")));
    };
    let record = Record::default().app(&app.id);
    let denied = Record { outcome: "denied", ..record.clone() };
    if !app.accepts_admin_key(presented) {
        match check_token(&app, tokens, presented, now).await {
            Ok(None) => {}
            Ok(Some(refusal)) => return Err(refusal.answer(denied)),
            Err(error @ TokenError::Invalid(_)) => {
                return Err(Refusal::Caller.answer(denied.error(&error)));
            }
            Err(error @ TokenError::Unavailable(_)) => {
                return Err(Refusal::Failed(ISSUER_RETRY).answer(record.error(&error)));
            }
        }
    }
    if app.blocked { Err(Refusal::Blocked.answer(denied)) } else { Ok(app) }
}

/// What speaks against a token. Only what looks like one is shown to the issuer's keys: a mistyped
/// key shall not have them fetched.
async fn check_token(
    app: &App,
    tokens: &impl ReadTokens,
    presented: &str,
    now: Timestamp,
) -> Result<Option<Refusal>, TokenError> {
    let looks_like_one = presented.matches('.').count() == 2;
    let Some(issuer) = app.issuer.as_ref().filter(|_| looks_like_one) else {
        return Ok(Some(Refusal::Caller));
    };
    let bearer = tokens.read_token(issuer, presented, now).await?;
    Ok((!bearer.scopes.contains(SCOPE)).then_some(Refusal::Scope))
}

/// An administrator's request that may come with an `Idempotency-Key`.
#[must_use]
pub fn idempotent<'a>(request: &'a Request, app: &'a App) -> Idempotent<'a> {
    let credential = tenant::bearer_token(request);
    Idempotent {
        request,
        app: Some(&app.id),
        credential,
        has_secret: false,
        refuse: |refused, _, record| refuse_key(refused, record),
    }
}

fn refuse_key(refused: Refused, record: Record) -> Answer {
    match refused {
        Refused::Malformed(why) => Refusal::Request(why.into()).answer(record),
        Refused::Conflict(wait) => Refusal::InFlight(wait).answer(record),
        Refused::OtherBody => Refusal::OtherBody.answer(record),
        Refused::Failed(failure) => failed(&failure, record),
    }
}

/// Reads a field with an e-mail address.
pub fn email(field: &'static str, text: &str) -> Result<Address, Refusal> {
    let email = EmailAddress::parse(text).map_err(|why| Refusal::malformed(field, why))?;
    Ok(Address::Email(email))
}

/// Reads a field with a phone number: `+`, then at most 15 digits with the country code.
pub fn phone(field: &'static str, text: &str) -> Result<Address, Refusal> {
    let phone = PhoneNumber::parse(text).map_err(|why| Refusal::malformed(field, why))?;
    Ok(Address::Phone(phone))
}

/// A user's registered addresses, e-mail first.
#[must_use]
pub fn registered(user: User) -> Vec<Address> {
    let email = user.email.map(Address::Email);
    email.into_iter().chain(user.phone.map(Address::Phone)).collect()
}

/// The registered addresses of whoever goes by a name; none where nobody does.
pub async fn registered_of(
    app: &AppId,
    users: &impl LoadUsers,
    name: &Username,
) -> Result<Vec<Address>, StoreError> {
    let user = users.load_user_by_name(app, name).await?;
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
pub fn recipients(email: Option<&str>, phone: Option<&str>) -> Result<Vec<Recipient>, Refusal> {
    let email = email.map(|text| self::email("email", text)).transpose()?;
    let phone = phone.map(|text| self::phone("phoneNumber", text)).transpose()?;
    let named = [("email", email), ("phoneNumber", phone)];
    let recipient = |(field, address): (_, Option<_>)| Some(Recipient { field, address: address? });
    Ok(named.into_iter().filter_map(recipient).collect())
}

/// A wish for one message to an address, everything else by the app's policy; from whoever has
/// this IP address.
#[must_use]
pub fn wish(address: &Address, ip: Option<IpAddr>) -> Wish {
    let channels = vec![address.channel()];
    Wish { channels, ip, ..Wish::default() }
}

/// What is to be told of one message.
#[derive(Debug)]
pub struct Told {
    field: &'static str,
    result: Result<ChallengeId, Refusal>,
    /// Why the rules refuse it, and when they did.
    refused: Option<(send::Refusal, Timestamp)>,
    record: Record,
}

impl Told {
    /// No OTP waits where a field leads.
    #[must_use]
    pub const fn nothing_open(field: &'static str, record: Record) -> Self {
        Self { field, result: Err(Refusal::NothingOpen(field)), refused: None, record }
    }

    /// Whether no OTP waits there.
    #[must_use]
    pub const fn is_nothing_open(&self) -> bool {
        matches!(self.result, Err(Refusal::NothingOpen(_)))
    }

    /// What came of a send.
    #[must_use]
    pub fn of(
        field: &'static str,
        sent: Result<Delivery, Failure>,
        record: Record,
        now: Timestamp,
    ) -> Self {
        match sent {
            Ok(delivery) => Self::of_delivery(field, delivery, record, now),
            Err(failure) => {
                let result = Err(Refusal::Undelivered(field, RETRY));
                Self { field, result, refused: None, record: record.error(&failure) }
            }
        }
    }

    fn of_delivery(
        field: &'static str,
        delivery: Delivery,
        record: Record,
        now: Timestamp,
    ) -> Self {
        let record = record.delivery(&delivery);
        let gone = |outcome, id, channel: Channel, record: Record| {
            (Ok(id), Record { outcome, ..record.challenge(id).channel(channel) })
        };
        let refused = match &delivery.sent {
            Sent::Refused(refused) => Some((*refused, now)),
            _ => None,
        };
        let (result, record) = match delivery.sent {
            Sent::Sent(id, channel) => gone("sent", id, channel, record),
            // As if it had gone out; the log alone knows better.
            Sent::Tested(id, channel) => gone("tested", id, channel, record),
            Sent::Concealed(id, channel) => gone("concealed", id, channel, record),
            Sent::Refused(refused) => (Err(Refusal::of_send(field, refused, now)), record),
            Sent::AppBlocked => (Err(Refusal::Blocked), record),
            Sent::Undeliverable(cause) => {
                (Err(Refusal::Undelivered(field, RETRY)), record.cause(&cause))
            }
            Sent::Unknown(channel, cool_down, cause) => {
                let record = record.channel(channel).cause(&cause);
                (Err(Refusal::Undelivered(field, cool_down)), record)
            }
        };
        Self { field, result, refused, record }
    }
}

/// Sends to every recipient at the same time, and answers with `data` where each message went out.
pub async fn send_all<R, F: Future<Output = Told>>(
    recipients: Vec<R>,
    data: &'static str,
    send: impl Fn(R) -> F,
) -> Answer {
    let told = join_all(recipients.into_iter().map(send)).await;
    let ids: Vec<_> = told.iter().filter_map(|told| told.result.as_ref().ok().copied()).collect();
    if ids.len() < told.len() {
        return not_all(told);
    }
    let record = told.into_iter().next().map(|told| told.record).unwrap_or_default();
    with_ids(success(data, record), &ids)
}

/// The answer where a message did not go out: the gravest status, and what came of each message, so
/// that nobody takes one for both.
fn not_all(told: Vec<Told>) -> Answer {
    let refusals = || told.iter().filter_map(|told| told.result.as_ref().err());
    let status = refusals().map(Refusal::status).max().unwrap_or_default();
    let wait = refusals().filter_map(Refusal::wait).max();
    let text = |told: &Told| match &told.result {
        Ok(_) => format!("the message for `{}` was sent", told.field).into(),
        Err(refusal) => refusal.text(),
    };
    let texts: Vec<_> = told.iter().map(text).collect();
    let sent: Vec<_> = told.iter().filter_map(|told| told.result.as_ref().ok().copied()).collect();
    // Of several limits, the one that holds for longest.
    let refused = told.iter().filter_map(|told| told.refused);
    let refused = refused.max_by_key(|(refused, _)| refused.until());
    let record = told.into_iter().find(|told| told.result.is_err()).map(|told| told.record);
    let answer = refuse(status, texts.join("; ").into(), wait, record.unwrap_or_default());
    let answer = if sent.is_empty() { answer } else { with_ids(answer, &sent) };
    match refused.filter(|_| status == StatusCode::TOO_MANY_REQUESTS) {
        Some((refused, now)) => answer.rate_limit(Caller::WithCredentials, &refused, now),
        None => answer,
    }
}

/// Names the challenges whose codes went out.
fn with_ids(answer: Answer, ids: &[ChallengeId]) -> Answer {
    let ids: Vec<_> = ids.iter().map(|id| id::REQUEST_ID.print(*id)).collect();
    // An id is made of letters and digits.
    match HeaderValue::from_str(&ids.join(", ")) {
        Ok(ids) => answer.header(CHALLENGE_ID, ids),
        Err(_) => answer,
    }
}
