//! OTPless: errors as `{message, errorCode, description}`, servers known by `clientId` and
//! `clientSecret`, requests known by an `ARID_` id.

pub mod order;

use lambda_http::http::StatusCode;
use passcode_domain::{
    Address, Addresses, App, AppId, ChallengeId, Channel, EmailAddress, Keyring, PhoneNumber,
    Timestamp, World,
    action::{
        send::{Delivery, Refusal, SendOptions, Sent},
        transact::Failure,
    },
    app::{
        guard::{Rule, Scope},
        policy::MAX_CHALLENGE_SECONDS,
    },
    ports::{Cause, LoadApps, StoreError},
};
use passcode_http::{
    Answer, BodyError, Caller, ContractError, IdempotencyError, Idempotent, InvalidClientIp, Media,
    RETRY, Record, RefusedSend, Request, body, header_text, id,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{borrow::Cow, sync::Arc, time::Duration};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, SchemaFormat, Type, schema::AnyOfBuilder},
};

/// A challenge id as OTPless prints it.
#[must_use]
pub fn request_id(id: ChallengeId, keyring: &Keyring) -> String {
    id::REQUEST_ID.print(id, keyring)
}

/// Reads an id that OTPless printed.
pub fn parse_request_id(text: &str, keyring: &Keyring) -> Result<ChallengeId, Error> {
    id::REQUEST_ID.parse(text, keyring).ok_or(Error::RequestId)
}

/// A field with an e-mail address, in the document: an empty text is none.
#[derive(Debug)]
pub struct EmailField;

impl PartialSchema for EmailField {
    fn schema() -> RefOr<Schema> {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let email = text().format(Some(SchemaFormat::Custom("email".into()))).max_length(Some(320));
        let either = AnyOfBuilder::new().item(email).item(text().max_length(Some(0)));
        RefOr::T(either.examples(["user@example.com"]).build().into())
    }
}

impl ToSchema for EmailField {
    fn name() -> Cow<'static, str> {
        "OtplessEmail".into()
    }
}

/// A field with the digits of a code, in the document: 4 or 6, as a number or as a text.
#[derive(Debug)]
pub struct LengthField;

impl PartialSchema for LengthField {
    fn schema() -> RefOr<Schema> {
        let number = whole_number(4, 6).multiple_of(Some(2_u8));
        number_or_text(number, "^[46]?$", 6)
    }
}

impl ToSchema for LengthField {
    fn name() -> Cow<'static, str> {
        "OtplessLength".into()
    }
}

/// A field with the seconds that a code lives, in the document.
#[derive(Debug)]
pub struct SendExpiryField;

impl PartialSchema for SendExpiryField {
    fn schema() -> RefOr<Schema> {
        let number = whole_number(MIN_SEND_EXPIRY, MAX_CHALLENGE_SECONDS);
        number_or_text(number, &seconds_pattern("[3-9][0-9]"), 300)
    }
}

impl ToSchema for SendExpiryField {
    fn name() -> Cow<'static, str> {
        "OtplessSendExpiry".into()
    }
}

/// A field with the seconds that an auth request lives, in the document.
#[derive(Debug)]
pub struct ExpiryField;

impl PartialSchema for ExpiryField {
    fn schema() -> RefOr<Schema> {
        let number = whole_number(MIN_EXPIRY, MAX_CHALLENGE_SECONDS);
        number_or_text(number, &seconds_pattern("[6-9][0-9]"), 300)
    }
}

impl ToSchema for ExpiryField {
    fn name() -> Cow<'static, str> {
        "OtplessExpiry".into()
    }
}

fn whole_number(least: u32, most: u32) -> ObjectBuilder {
    let number = ObjectBuilder::new().schema_type(Type::Integer);
    number.minimum(Some(least)).maximum(Some(most))
}

/// A whole number, as such or in a text: the vendor's server client writes texts.
fn number_or_text(number: ObjectBuilder, pattern: &str, example: u32) -> RefOr<Schema> {
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
    let either = AnyOfBuilder::new().item(number).item(text);
    RefOr::T(either.examples([example]).build().into())
}

/// The texts of up to [`MAX_CHALLENGE_SECONDS`], those of two digits by a pattern of their own, and the
/// empty one.
fn seconds_pattern(two_digits: &str) -> String {
    format!(
        "^({two_digits}|[1-9][0-9]{{2,3}}|[1-7][0-9]{{4}}|8[0-5][0-9]{{3}}|86[0-3][0-9]{{2}}|86400)?$"
    )
}

/// The body of every OTPless error. A 5xx has only `message`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    /// The kind of error.
    #[schema(example = "Invalid Request")]
    pub message: &'static str,
    /// The code of the error table.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "7102", value_type = String, required = false)]
    pub error_code: Option<&'static str>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        example = "Request error: Invalid phone number",
        value_type = String,
        required = false
    )]
    pub description: Option<Cow<'static, str>>,
}

/// The rows of the error table.
#[derive(Debug)]
pub enum Error {
    /// 7101: a parameter is missing or malformed.
    Parameters(String),
    /// 7102.
    Phone,
    /// 7103: a channel that does not reach a phone number here.
    PhoneChannel,
    /// 7104.
    Email,
    /// 7105: a channel that does not reach an e-mail address here.
    EmailChannel,
    /// 7106: neither a phone number nor an e-mail address.
    PhoneOrEmail,
    /// 7112: no code.
    EmptyOtp,
    /// 7113.
    Expiry,
    /// 7114: an id that leads nowhere, where a code is verified.
    Token,
    /// 7115.
    AlreadyVerified,
    /// 7116: a code length that is neither 4 nor 6.
    Length,
    /// 7118: a wrong code.
    IncorrectOtp,
    /// 7303: the code has expired.
    OtpExpired,
    /// 7119: a malformed request id.
    RequestId,
    /// 7021: too many wrong codes; the request is over.
    Locked,
    /// 7121: a malformed Android app hash.
    AppHash,
    /// 7158: an unknown template id.
    Template,
    /// 7168, a 404: no such request.
    NotFound,
    /// 7170: nothing was sent yet. Not terminal.
    NotStarted,
    /// 7172: the request has expired.
    Expired,
    /// 7012, a 401: no credentials.
    CredentialsEmpty,
    /// 7002, a 401: wrong credentials.
    Credentials,
    /// 7019, a 401: the app is blocked.
    Blocked,
    /// 7025, a 401: text messages do not go to this country.
    Country,
    /// 7035, a 401: they do not go to numbers of this type.
    NumberType,
    /// 7020, a 429: too much, for no reason of the rows below; come back after the wait.
    General(Option<Duration>),
    /// 7022, a 429: too much for this identity; come back after the wait, if there is one.
    Identity(Option<Duration>),
    /// 7023, a 429: too much from this IP address.
    Ip(Option<Duration>),
    /// 7024, a 429: too much for this app.
    App(Option<Duration>),
    /// 7101 as a 409: the same request under this key is being served; ask again after the wait, if
    /// there is one.
    InFlight(Option<Duration>),
    /// 7101 as a 422: the key came with another body.
    OtherBody,
    /// The rules have refused a send: the row that says why.
    Send(RefusedSend),
    /// A 503 with only `message`: something outside has failed and nothing was revealed; come back after
    /// the wait.
    Unavailable(Duration, Cause),
}

impl From<InvalidClientIp> for Error {
    fn from(error: InvalidClientIp) -> Self {
        Self::Parameters(error.to_string())
    }
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
            IdempotencyError::Malformed(why) => Self::Parameters(why),
            IdempotencyError::Conflict(wait) => Self::InFlight(wait),
            IdempotencyError::OtherBody => Self::OtherBody,
            IdempotencyError::Failed(failure) => failure.into(),
        }
    }
}

impl Error {
    /// The row for a body that could not be read; `field_error` knows which field has its own row.
    #[must_use]
    pub fn of_body(error: &BodyError, field_error: fn(&str) -> Option<Self>) -> Self {
        let field = error.field().and_then(field_error);
        field.unwrap_or_else(|| Self::Parameters(error.to_string()))
    }

    /// The row for a send that the rules have refused.
    fn of_send(refused: &RefusedSend) -> Self {
        match refused.refusal {
            Refusal::NotFound => Self::NotFound,
            Refusal::Expired => Self::Expired,
            Refusal::AlreadyUsed => Self::AlreadyVerified,
            Refusal::NeverSent => Self::NotStarted,
            Refusal::Exhausted(None) => Self::Locked,
            Refusal::SendsExhausted | Refusal::AlreadySent => Self::Identity(None),
            Refusal::Exhausted(Some(until))
            | Refusal::CoolingDown(until)
            | Refusal::TooMany(until) => Self::Identity(Some(refused.wait(until))),
            Refusal::NoAddress(channel) => Self::wrong_channel(channel),
            Refusal::Throttled(full) => Self::of_rule(full.rule, Some(refused.wait(full.until))),
            Refusal::Blocked(rule) => Self::of_rule(rule, None),
        }
    }

    /// The row for a rule of the guard.
    const fn of_rule(rule: Rule, wait: Option<Duration>) -> Self {
        match rule.scope() {
            Scope::Country => Self::Country,
            Scope::NumberType => Self::NumberType,
            Scope::Address => Self::Identity(wait),
            Scope::Origin => Self::Ip(wait),
            Scope::App => Self::App(wait),
            Scope::Neighbours => Self::General(wait),
        }
    }

    /// The row for a channel that does not reach the kind of address that there is.
    const fn wrong_channel(channel: Channel) -> Self {
        match channel {
            Channel::Sms => Self::EmailChannel,
            Channel::Email | Channel::Caller => Self::PhoneChannel,
        }
    }

    /// The row: status, kind of error, code and description.
    fn row(&self) -> Row {
        const BAD: (StatusCode, &str) = (StatusCode::BAD_REQUEST, "Invalid Request");
        const ACCESS: (StatusCode, &str) = (StatusCode::UNAUTHORIZED, "Access blocked");
        const TOO_MANY: (StatusCode, &str) = (StatusCode::TOO_MANY_REQUESTS, "Too Many Requests");
        const CONFLICT: (StatusCode, &str) = (StatusCode::CONFLICT, BAD.1);
        let (kind, code, text) = match self {
            Self::Parameters(what) => {
                return Row::of(BAD, "7101", format!("Request error: {what}"));
            }
            Self::Phone => (BAD, "7102", "Request error: Invalid phone number"),
            Self::PhoneChannel => {
                (BAD, "7103", "Request error: Invalid channel for a phone number; use SMS")
            }
            Self::Email => (BAD, "7104", "Request error: Invalid email"),
            Self::EmailChannel => {
                (BAD, "7105", "Request error: Invalid channel for an email; use EMAIL")
            }
            Self::PhoneOrEmail => (BAD, "7106", "Request error: Invalid phoneNumber or email"),
            Self::EmptyOtp => (BAD, "7112", "Request error: OTP is empty"),
            Self::Expiry => (BAD, "7113", "Request error: Invalid expiry"),
            Self::Token => (BAD, "7114", "Request error: Invalid token"),
            Self::AlreadyVerified => (BAD, "7115", "Request error: Already verified"),
            Self::Length => (BAD, "7116", "Request error: Invalid otpLength; use 4 or 6"),
            Self::IncorrectOtp => (BAD, "7118", "Request error: Incorrect OTP"),
            Self::OtpExpired => (BAD, "7303", "Request error: OTP expired"),
            Self::RequestId => (BAD, "7119", "Request error: Invalid request Id"),
            Self::AppHash => (BAD, "7121", "Request error: Invalid app hash"),
            Self::Locked => {
                (BAD, "7021", "Request error: Too many incorrect OTPs; create a new request")
            }
            Self::Template => (BAD, "7158", "Request error: Invalid template Id"),
            Self::NotFound => (
                (StatusCode::NOT_FOUND, BAD.1),
                "7168",
                "Request error: No data found for the request Id",
            ),
            Self::NotStarted => {
                (BAD, "7170", "Auth not started yet. Please initiate authentication first.")
            }
            Self::Expired => (BAD, "7172", "Request error: The request Id has expired"),
            Self::CredentialsEmpty => {
                (ACCESS, "7012", "Authorization error: Merchant credentials are empty")
            }
            Self::Credentials => (ACCESS, "7002", "Authorization error: Invalid credentials"),
            Self::Blocked => (
                (StatusCode::UNAUTHORIZED, "Merchant Blocked"),
                "7019",
                "Authorization error: This app is blocked",
            ),
            Self::Country => (ACCESS, "7025", "SMS to this country is not enabled"),
            Self::NumberType => (ACCESS, "7035", "SMS to this kind of number is not supported"),
            Self::General(_) => (TOO_MANY, "7020", "Too many requests"),
            Self::Identity(_) => (TOO_MANY, "7022", "Too many requests for this identity"),
            Self::Ip(_) => (TOO_MANY, "7023", "Too many requests from this IP"),
            Self::App(_) => (TOO_MANY, "7024", "Too many requests for this application"),
            Self::InFlight(_) => (
                CONFLICT,
                "7101",
                "Request error: the same request under this Idempotency-Key is being served, or its answer is told once",
            ),
            Self::OtherBody => (
                (StatusCode::UNPROCESSABLE_ENTITY, BAD.1),
                "7101",
                "Request error: this Idempotency-Key came with another body",
            ),
            Self::Send(refused) => return Self::of_send(refused).row(),
            Self::Unavailable(..) => {
                return Row {
                    status: StatusCode::SERVICE_UNAVAILABLE,
                    body: ErrorBody {
                        message: "Something went wrong. Please try again!",
                        error_code: None,
                        description: None,
                    },
                };
            }
        };
        Row::of(kind, code, text)
    }

    fn wait(&self) -> Option<Duration> {
        match self {
            Self::General(wait)
            | Self::Identity(wait)
            | Self::Ip(wait)
            | Self::App(wait)
            | Self::InFlight(wait) => *wait,
            Self::Unavailable(wait, _) => Some(*wait),
            Self::Send(refused) => Self::of_send(refused).wait(),
            _ => None,
        }
    }
}

/// One row of the error table.
struct Row {
    status: StatusCode,
    body: ErrorBody,
}

impl Row {
    fn of(
        (status, message): (StatusCode, &'static str),
        code: &'static str,
        text: impl Into<Cow<'static, str>>,
    ) -> Self {
        let body = ErrorBody { message, error_code: Some(code), description: Some(text.into()) };
        Self { status, body }
    }
}

impl ContractError for Error {
    fn answer(&self, _: &Request) -> Answer {
        let Row { status, body } = self.row();
        let answer = Answer::json(status, &body);
        let answer = match self.wait() {
            Some(wait) => answer.retry_after(wait),
            None => answer,
        };
        match self {
            Self::Send(refused) => answer.rate_limit(refused),
            _ => answer,
        }
    }

    fn outcome(&self) -> &'static str {
        match self {
            Self::Unavailable(..) => "unavailable",
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

/// Whether a request brings credentials, right or wrong.
#[must_use]
pub fn brings_credentials(request: &Request) -> bool {
    request.headers().contains_key("clientid") || request.headers().contains_key("clientsecret")
}

/// The app whose server makes a request, by its `clientId` and `clientSecret`.
pub async fn authenticate<W>(
    world: &W,
    request: &Request,
    record: &mut Record,
) -> Result<Arc<App>, Error>
where
    W: World<Apps: LoadApps>,
{
    let app = app_of(world, request).await;
    match &app {
        Ok(app) => record.app(&app.id),
        Err(Error::Unavailable(..)) => {}
        Err(_) => record.outcome = "denied",
    }
    app
}

async fn app_of<W>(world: &W, request: &Request) -> Result<Arc<App>, Error>
where
    W: World<Apps: LoadApps>,
{
    let given = |name| header_text(request, name).filter(|value| !value.is_empty());
    let (Some(id), Some(secret)) = (given("clientid"), given("clientsecret")) else {
        return Err(Error::CredentialsEmpty);
    };
    let id: AppId = id.parse().map_err(|_| Error::Credentials)?;
    let app = world.apps().load_app(&id).await?.ok_or(Error::Credentials)?;
    if !app.accepts_secret(secret) {
        return Err(Error::Credentials);
    }
    if app.blocked { Err(Error::Blocked) } else { Ok(app) }
}

/// A server's request: whose it is, and its body in JSON; `field_error` knows which field of the body
/// has its own row.
pub async fn accept<W, T: DeserializeOwned>(
    world: &W,
    request: &Request,
    record: &mut Record,
    field_error: fn(&str) -> Option<Error>,
) -> Result<(Arc<App>, T), Error>
where
    W: World<Apps: LoadApps>,
{
    let app = authenticate(world, request, record).await?;
    let body = body(request, &[Media::Json]).await;
    Ok((app, body.map_err(|error| Error::of_body(&error, field_error))?))
}

/// A request that may come with an `Idempotency-Key`: from an app's server, or else from whoever
/// holds the id of a request.
#[must_use]
pub fn idempotent<'a>(
    request: &'a Request,
    app: Option<&'a App>,
    held: Option<&'a str>,
) -> Idempotent<'a> {
    let secret = app.and_then(|_| header_text(request, "clientsecret"));
    Idempotent {
        request,
        app: app.map(|app| &app.id),
        credential: secret.or(held),
        has_secret: false,
    }
}

/// Seconds that a request lives, where the caller does not say.
pub const DEFAULT_EXPIRY: u32 = 900;

/// The shortest `expiry` of an auth request.
pub const MIN_EXPIRY: u32 = 60;

/// The shortest `expiry` of a send that leaves time to type a code: the contract's own example.
const MIN_SEND_EXPIRY: u32 = 30;

/// The `expiry` of a send, as far as the caller gives one.
pub fn send_expiry(expiry: Option<u32>) -> Result<Option<u32>, Error> {
    let allowed = MIN_SEND_EXPIRY..=MAX_CHALLENGE_SECONDS;
    match expiry {
        Some(seconds) if !allowed.contains(&seconds) => Err(Error::Expiry),
        expiry => Ok(expiry),
    }
}

/// The most digits that an `otpLength` can be.
pub const MAX_OTP_LENGTH: u8 = 6;

/// The `otpLength` of a send, as far as the caller gives one: 4 or 6.
pub const fn otp_length(length: Option<u64>) -> Result<Option<u8>, Error> {
    match length {
        None => Ok(None),
        Some(4) => Ok(Some(4)),
        Some(6) => Ok(Some(6)),
        Some(_) => Err(Error::Length),
    }
}

/// The contract's channels that do not exist here.
const ABSENT_CHANNELS: [&str; 3] = ["WHATSAPP", "VOICE_CALL", "VIBER"];

/// The channels that a caller lists, by their names in any case, each once. Those of the contract that
/// do not exist here are skipped, unless the caller wants to know. `None` where a name is no channel's,
/// or no channel is left.
pub fn channels<'a>(
    names: impl IntoIterator<Item = &'a str>,
    is_strict: bool,
) -> Option<Vec<Channel>> {
    let mut channels = Vec::new();
    for name in names {
        let channel = match name.to_ascii_uppercase().as_str() {
            "SMS" => Channel::Sms,
            "EMAIL" => Channel::Email,
            name if !is_strict && ABSENT_CHANNELS.contains(&name) => continue,
            _ => return None,
        };
        if !channels.contains(&channel) {
            channels.push(channel);
        }
    }
    (!channels.is_empty()).then_some(channels)
}

/// Android's SMS retriever: 11 characters of base64.
pub fn app_hash(text: Option<String>) -> Result<Option<String>, Error> {
    let is_hash = |text: &String| {
        text.len() == 11 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b))
    };
    if text.as_ref().is_some_and(|text| !is_hash(text)) {
        return Err(Error::AppHash);
    }
    Ok(text)
}

/// A phone number with its country code.
pub fn international(phone: Option<String>) -> Option<Result<PhoneNumber, Error>> {
    phone.map(|phone| PhoneNumber::parse(&phone).map_err(|_| Error::Phone))
}

/// The addresses of a request: a phone number, an e-mail address, or both, in which case the
/// request is about the one that `first` reaches.
pub fn addresses(
    phone: Option<Result<PhoneNumber, Error>>,
    email: Option<&str>,
    first: Channel,
) -> Result<Addresses, Error> {
    let phone = phone.transpose()?.map(Address::Phone);
    let email = email.map(EmailAddress::parse).transpose().map_err(|_| Error::Email)?;
    let email = email.map(Address::Email);
    let (primary, other) = match first {
        Channel::Sms | Channel::Caller => (phone, email),
        Channel::Email => (email, phone),
    };
    match (primary, other) {
        (Some(primary), other) => Ok(Addresses::new(primary, other)),
        (None, Some(only)) => Ok(Addresses::new(only, None)),
        (None, None) => Err(Error::PhoneOrEmail),
    }
}

/// Every channel that is asked for needs an address.
pub fn check_reachable(addresses: &Addresses, options: &SendOptions) -> Result<(), Error> {
    match options.channels.iter().find(|channel| addresses.on(**channel).is_none()) {
        Some(missing) => Err(Error::wrong_channel(*missing)),
        None => Ok(()),
    }
}

/// The challenge whose message is on its way, or shall seem so: the log alone knows better.
pub fn sent(
    delivery: Delivery,
    caller: Caller,
    now: Timestamp,
    keyring: &Keyring,
    record: &mut Record,
) -> Result<ChallengeId, Error> {
    record.delivery(&delivery, keyring);
    match delivery.sent {
        Sent::Sent(id, _) | Sent::ToTestAddress(id, _) | Sent::Concealed(id, _) => Ok(id),
        Sent::Refused(refusal) => Err(Error::Send(RefusedSend { refusal, at: now, caller })),
        Sent::AppBlocked => Err(Error::Blocked),
        Sent::Undeliverable(cause) => Err(Error::Unavailable(RETRY, cause)),
        Sent::Unknown(_, cool_down, cause) => Err(Error::Unavailable(cool_down, cause)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_has_a_row_that_says_when_to_come_back() {
        let wait = Some(Duration::from_secs(30));
        for (error, code) in [
            (Error::General(wait), "7020"),
            (Error::Identity(wait), "7022"),
            (Error::Ip(wait), "7023"),
            (Error::App(wait), "7024"),
        ] {
            let answer = error.answer(&Request::default());
            assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
            assert_eq!(answer.headers["retry-after"], "30");
            assert!(answer.body.contains(code) && answer.body.contains("Too Many Requests"));
        }
    }
}
