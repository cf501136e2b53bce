//! `POST /auth/v1/initiate/otp`: the code goes out, for an auth request or straight to an address.
//! A second call for the same `requestId` is a resend; one without is a request of its own.

mod boot;

pub use boot::boot;
use lambda_http::http::StatusCode;
use otpless_contract::{
    self as otpless, EmailField, Error, ErrorBody, LengthField, SendExpiryField, addresses,
    authenticate, brings_credentials, parse_request_id, request_id,
};
use passcode_domain::{
    App, ChallengeId, Channel, Keyring,
    action::{
        open::Open,
        send::{self, SendOptions, SendTarget, SendWorld},
    },
    guard::Origin,
    ports::{Clock as _, Entropy, LoadKeyring},
};
use passcode_http::{
    Answer, Begun, Caller, Media, Record, Request, body, filled, forwarded_origin, page,
    peer_origin, whole, with_client_ip, with_idempotency,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use utoipa::{OpenApi, ToSchema};

/// The function, and its package.
pub const NAME: &str = env!("CARGO_PKG_NAME");

/// Where the code shall go.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InitiateRequest {
    /// An auth request that `create` made. Its holder needs no credentials.
    #[schema(
        example = "ARID_6YWXI4CRMNWX4ZR2G5VGSNS2YKPQH5JZ7L3M3VKX5QHZ2W4T6BOA",
        pattern = "^ARID_[A-Z2-7]{51}[AQ]$"
    )]
    request_id: Option<String>,
    /// The phone number with its country code. Without `requestId`.
    #[schema(example = "+14155550100")]
    #[serde(default, deserialize_with = "filled")]
    phone_number: Option<String>,
    /// The e-mail address. Without `requestId`.
    #[schema(value_type = Option<EmailField>)]
    #[serde(default, deserialize_with = "filled")]
    email: Option<String>,
    /// The channels to try, in order: `SMS` for a phone number, `EMAIL` for an e-mail address, in any
    /// case. `WHATSAPP`, `VIBER` and `VOICE_CALL` do not exist here and are skipped beside one that does.
    #[schema(value_type = Vec<InitiateChannel>, required, example = json!(["SMS"]), min_items = 1)]
    channels: Option<Vec<String>>,
    /// Digits of the code: 4 or 6. Heeded from callers with credentials only.
    #[schema(value_type = Option<LengthField>)]
    #[serde(default, deserialize_with = "whole")]
    otp_length: Option<u64>,
    /// Seconds that the code lives: at least 30, and at most 600 of it count.
    #[schema(value_type = Option<SendExpiryField>)]
    #[serde(default, deserialize_with = "whole")]
    expiry: Option<u32>,
    /// What the Android app is recognised by: 11 characters at the end of the text message.
    #[schema(example = "FA+9qCX9VSu", pattern = "^([A-Za-z0-9+/]{11})?$")]
    #[serde(default, deserialize_with = "filled")]
    otp_hash: Option<String>,
    /// The caller's own data: texts by name. Nothing of it is kept.
    #[expect(dead_code, reason = "its type is checked, and nothing of it is kept")]
    metadata: Option<BTreeMap<String, String>>,
    /// The language of the message (BCP 47); the app's where absent.
    #[schema(example = "de")]
    #[serde(default, deserialize_with = "filled")]
    locale: Option<String>,
}

/// A channel of the contract, in any case.
#[derive(Debug, ToSchema)]
#[schema(
    example = "SMS",
    pattern = "^([Ss][Mm][Ss]|[Ee][Mm][Aa][Ii][Ll]|[Ww][Hh][Aa][Tt][Ss][Aa][Pp][Pp]|[Vv][Ii][Bb][Ee][Rr]|[Vv][Oo][Ii][Cc][Ee]_[Cc][Aa][Ll][Ll])$"
)]
pub struct InitiateChannel(#[expect(dead_code, reason = "its schema is what it is for")] String);

/// The request whose code went out.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InitiateResponse {
    /// Its id.
    #[schema(example = "ARID_6YWXI4CRMNWX4ZR2G5VGSNS2YKPQH5JZ7L3M3VKX5QHZ2W4T6BOA")]
    request_id: String,
}

/// Serves one request.
#[utoipa::path(
    post,
    path = "/auth/v1/initiate/otp",
    operation_id = "otpless-otp-initiate",
    tag = "OTPless",
    summary = "Send the code, or send the next one",
    request_body = InitiateRequest,
    security((), ("clientId" = [], "clientSecret" = [])),
    responses(
        (status = 200, description = "A courier took the message", body = InitiateResponse),
        (status = 400, description = "7021, 7101 to 7106, 7113, 7115, 7116, 7119, 7121 or 7172", body = ErrorBody),
        (status = 401, description = "7002, 7012 or 7019; 7025 or 7035 by the guard", body = ErrorBody),
        (status = 404, description = "7168", body = ErrorBody),
        (status = 429, description = "7022: cool-down, send count, failures or open requests; 7020, 7023 or 7024 by the guard", body = ErrorBody),
        (status = 503, description = "No message, or one whose fate is unknown; try again", body = ErrorBody),
    )
)]
pub async fn handle<W>(world: &W, request: &Request, record: &mut Record) -> Result<Answer, Error>
where
    W: SendWorld<Keyring: LoadKeyring>,
{
    let page = match page::admit(world, request, record).await {
        Ok(page) => page,
        Err(preflight) => return Ok(preflight),
    };
    let answered = initiate(world, request, record).await;
    Ok(page.respond(answered, request, record))
}

async fn initiate<W>(world: &W, request: &Request, record: &mut Record) -> Result<Answer, Error>
where
    W: SendWorld<Keyring: LoadKeyring>,
{
    let app = if brings_credentials(request) {
        Some(authenticate(world, request, record).await?)
    } else {
        // A holder of a `requestId` needs none.
        None
    };
    let body = body(request, &[Media::Json]).await;
    let body = body.map_err(|error| Error::of_body(&error, field_error))?;
    let keyring = world.keyring().keyring().await?;
    let origin = origin(request, app.as_ref())?;
    let (plan, options) = parse(body, app.as_ref(), &keyring, world.entropy())?;
    let options = SendOptions { origin, ..options };
    record.challenge(plan.id(), &keyring);
    let held = plan.held().map(|id| request_id(id, &keyring));
    let pending = match otpless::idempotent(request, app.as_deref(), held.as_deref())
        .begin(world, &keyring, record)
        .await?
    {
        Begun::Proceed(pending) => pending,
        Begun::Answered(answer) => return Ok(answer),
    };
    let sent = Box::pin(send(world, app.as_ref(), &keyring, &plan, &options, record)).await;
    Ok(pending.settle(world, sent, record).await)
}

async fn send<W>(
    world: &W,
    app: Option<&Arc<App>>,
    keyring: &Keyring,
    plan: &Plan,
    options: &SendOptions,
    record: &mut Record,
) -> Result<Answer, Error>
where
    W: SendWorld<Keyring: LoadKeyring>,
{
    let target = match plan {
        Plan::Existing(id) => SendTarget::Existing(*id, app),
        Plan::New(open, app) => SendTarget::Ordered(open, app),
    };
    let caller = match app {
        Some(_) => Caller::WithCredentials,
        None => Caller::WithoutCredentials,
    };
    let delivery = send::send(world, keyring, target, options).await?;
    let id = otpless::sent(delivery, caller, world.clock().now(), keyring, record)?;
    let body = InitiateResponse { request_id: request_id(id, keyring) };
    Ok(Answer::json(StatusCode::OK, &body))
}

/// Whose messages limits count. A server speaks for somebody else; whoever holds an id speaks for
/// themselves.
fn origin(request: &Request, app: Option<&Arc<App>>) -> Result<Origin, Error> {
    let forwarded = forwarded_origin(request)?;
    Ok(if app.is_some() { forwarded } else { peer_origin(request) })
}

/// What a request asks for: the next message of a challenge whose id the caller holds, or a new challenge.
enum Plan {
    Existing(ChallengeId),
    New(Box<Open>, Arc<App>),
}

impl Plan {
    const fn id(&self) -> ChallengeId {
        match self {
            Self::Existing(id) => *id,
            Self::New(open, _) => open.id,
        }
    }

    /// The id that the caller has shown.
    const fn held(&self) -> Option<ChallengeId> {
        match self {
            Self::Existing(id) => Some(*id),
            Self::New(..) => None,
        }
    }
}

fn parse(
    body: InitiateRequest,
    app: Option<&Arc<App>>,
    keyring: &Keyring,
    entropy: &impl Entropy,
) -> Result<(Plan, SendOptions), Error> {
    if app.is_none() && body.request_id.is_none() {
        return Err(Error::CredentialsEmpty);
    }
    let is_email = body.phone_number.is_none() && body.email.is_some();
    let is_strict = app.is_some_and(|app| app.strict_channels);
    let names = body.channels.as_deref().unwrap_or_default();
    let mut channels = channels(names, is_strict, is_email)?;
    // Guesses are counted where the request's address is. Only a server knows that another address,
    // where they are not, is the same person's.
    if app.is_none() {
        channels.truncate(1);
    }
    let length = otpless::otp_length(body.otp_length)?;
    let expiry = otpless::send_expiry(body.expiry)?;
    // Only a server may ask for codes that are easier to guess than the app's policy has them.
    let length = length.filter(|_| app.is_some());
    let first = channels.first().copied().unwrap_or(Channel::Sms);
    let app_hash = otpless::app_hash(body.otp_hash)?;
    let options = SendOptions {
        channels,
        length,
        max_length: Some(otpless::MAX_OTP_LENGTH),
        code_seconds: expiry,
        locale: body.locale,
        app_hash,
        ..SendOptions::default()
    };
    let has_address = body.phone_number.is_some() || body.email.is_some();
    let plan = match (body.request_id, app) {
        (Some(_), _) if has_address => {
            let either = "give either `requestId` or an address, not both";
            return Err(Error::Parameters(either.to_owned()));
        }
        (Some(id), _) => Plan::Existing(parse_request_id(&id, keyring)?),
        (None, None) => return Err(Error::CredentialsEmpty),
        (None, Some(app)) => {
            let phone = otpless::international(body.phone_number);
            let addresses = addresses(phone, body.email.as_deref(), first)?;
            otpless::check_reachable(&addresses, &options)?;
            let life = Duration::from_secs(expiry.unwrap_or(otpless::DEFAULT_EXPIRY).into());
            let open = Open::new(app, keyring, entropy, addresses, life);
            Plan::New(Box::new(open), app.clone())
        }
    };
    Ok((plan, options))
}

/// The channels that are listed. Where one is unknown, or none is left, it is the wrong one for the
/// address that was given.
fn channels(names: &[String], is_strict: bool, is_email: bool) -> Result<Vec<Channel>, Error> {
    if names.is_empty() {
        return Err(Error::Parameters("`channels` must name SMS or EMAIL".to_owned()));
    }
    let wrong = if is_email { Error::EmailChannel } else { Error::PhoneChannel };
    otpless::channels(names.iter().map(String::as_str), is_strict).ok_or(wrong)
}

fn field_error(field: &str) -> Option<Error> {
    match field {
        "requestId" => Some(Error::RequestId),
        "phoneNumber" => Some(Error::Phone),
        "email" => Some(Error::Email),
        "otpLength" => Some(Error::Length),
        "expiry" => Some(Error::Expiry),
        "otpHash" => Some(Error::AppHash),
        _ => None,
    }
}

#[derive(OpenApi)]
#[openapi(paths(handle))]
struct Api;

/// The endpoint's part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    page::with_preflights(with_client_ip(with_idempotency(Api::openapi(), "ErrorBody")))
}
