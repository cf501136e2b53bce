//! `POST /auth/v1/initiate/otp`: the code goes out, for an auth request or straight to an address.
//! A second call for the same `requestId` is a resend; one without is a request of its own.

mod boot;

pub use boot::{Adapters, boot};
use lambda_http::http::StatusCode;
use passcode_domain::{
    App, ChallengeId, Channel, Keyring,
    open::Open,
    ports::{
        Clock, EmailCourier, Entropy, LoadApps, LoadKeyring, LoadLedgers, SmsCourier, StoreLedgers,
        Throttle,
    },
    send::{self, Couriers, Target, Wish},
    transact::Ports,
};
use passcode_http::{
    Answer, Media, Record, Request, body,
    contract::otpless::{
        self, EmailField, ErrorBody, Refusal, addresses, authenticate, brings_credentials,
        parse_request_id, request_id,
    },
    filled, own_ip, told_ip, whole, with_client_ip, with_idempotency,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use utoipa::{OpenApi, ToSchema};

/// What the function works with.
pub struct Deps<A, L, K, C, E, S, M> {
    /// Who may call.
    pub apps: A,
    /// Where challenges are kept.
    pub ledgers: L,
    /// The keys.
    pub keyring: K,
    /// The time.
    pub clock: C,
    /// The randomness.
    pub entropy: E,
    /// Sends text messages.
    pub sms: S,
    /// Sends e-mails.
    pub email: M,
}

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
    /// The channels to try, in order: `SMS` for a phone number, `EMAIL` for an e-mail address.
    #[schema(value_type = Vec<InitiateChannel>, required, example = json!(["SMS"]), min_items = 1)]
    channels: Option<Vec<String>>,
    /// Digits of the code: 4 or 6. Heeded from callers with credentials only.
    #[schema(value_type = Option<u8>, minimum = 4, maximum = 6, multiple_of = 2, example = 6)]
    #[serde(default, deserialize_with = "whole")]
    otp_length: Option<u64>,
    /// Seconds that the code lives: at least 30, and at most 600 of it count.
    #[schema(minimum = 30, maximum = 86400, example = 300)]
    #[serde(default, deserialize_with = "whole")]
    expiry: Option<u32>,
    /// The caller's own data: texts by name. Nothing of it is kept.
    #[expect(dead_code, reason = "its type is checked, and nothing of it is kept")]
    metadata: Option<BTreeMap<String, String>>,
    /// The language of the message (BCP 47); the app's where absent.
    #[schema(example = "de")]
    #[serde(default, deserialize_with = "filled")]
    locale: Option<String>,
}

/// A channel that exists here.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "UPPERCASE")]
pub enum InitiateChannel {
    /// For a phone number.
    Sms,
    /// For an e-mail address.
    Email,
}

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
        (status = 400, description = "7021, 7101 to 7106, 7113, 7115, 7116, 7119 or 7172", body = ErrorBody),
        (status = 401, description = "7002, 7012 or 7019", body = ErrorBody),
        (status = 404, description = "7168", body = ErrorBody),
        (status = 429, description = "7022: cool-down, send count, failures or open requests", body = ErrorBody),
        (status = 503, description = "No message, or one whose fate is unknown; try again", body = ErrorBody),
    )
)]
pub async fn handle<A, L, K, C, E, S, M>(
    deps: &Deps<A, L, K, C, E, S, M>,
    request: Request,
) -> Answer
where
    A: LoadApps,
    L: LoadLedgers + StoreLedgers + Throttle,
    K: LoadKeyring,
    C: Clock,
    E: Entropy,
    S: SmsCourier,
    M: EmailCourier,
{
    let app = match known_app(&request, &deps.apps).await {
        Ok(app) => app,
        Err(unknown) => return unknown.answer(),
    };
    let record = app.as_ref().map_or(Record::default(), |app| Record::default().app(&app.id));
    let body = match body(&request, &[Media::Json]).await {
        Ok(body) => body,
        Err(error) => return Refusal::of_body(&error, own_row).answer(record),
    };
    let keyring = match deps.keyring.keyring().await {
        Ok(keyring) => keyring,
        Err(cause) => return otpless::keyless(&cause, record),
    };
    let parsed = parse(body, app.as_ref(), &keyring, &deps.entropy);
    let (plan, wish) = match parsed {
        // A server speaks for somebody else; whoever holds an id speaks for themselves.
        Ok((plan, wish)) => {
            let ip = if app.is_some() { told_ip(&request) } else { own_ip(&request) };
            (plan, Wish { ip, ..wish })
        }
        Err(refusal) => return refusal.answer(record),
    };
    let (record, target, held) = match &plan {
        Plan::Existing(id) => {
            (record.challenge(*id), Target::Existing(*id, app.as_ref()), Some(id.to_string()))
        }
        Plan::New(open, app) => (record.challenge(open.id), Target::Ordered(open, app), None),
    };
    let ports = Ports { ledgers: &deps.ledgers, clock: &deps.clock, entropy: &deps.entropy };
    let couriers = Couriers { sms: &deps.sms, email: &deps.email };
    let work = async {
        match send::send(ports, &keyring, &deps.apps, couriers, target, &wish).await {
            Ok(delivery) => otpless::deliver(delivery, record, deps.clock.now(), |id, record| {
                let body = InitiateResponse { request_id: request_id(id) };
                Answer::json(StatusCode::OK, &body, record)
            }),
            Err(failure) => otpless::failed(&failure, record),
        }
    };
    otpless::idempotent(&request, app.as_deref(), held.as_deref()).run(&keyring, ports, work).await
}

/// The calling app, if the caller brings credentials. A holder of a `requestId` needs none.
async fn known_app(
    request: &Request,
    apps: &impl LoadApps,
) -> Result<Option<Arc<App>>, otpless::Unknown> {
    if brings_credentials(request) { authenticate(request, apps).await.map(Some) } else { Ok(None) }
}

enum Plan {
    Existing(ChallengeId),
    New(Box<Open>, Arc<App>),
}

fn parse(
    body: InitiateRequest,
    app: Option<&Arc<App>>,
    keyring: &Keyring,
    entropy: &impl Entropy,
) -> Result<(Plan, Wish), Refusal> {
    if app.is_none() && body.request_id.is_none() {
        return Err(Refusal::CredentialsEmpty);
    }
    let is_email = body.phone_number.is_none() && body.email.is_some();
    let mut channels = channels(body.channels.as_deref().unwrap_or_default(), is_email)?;
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
    let wish = Wish { channels, length, code_seconds: expiry, locale: body.locale, ip: None };
    let has_address = body.phone_number.is_some() || body.email.is_some();
    let plan = match (body.request_id, app) {
        (Some(_), _) if has_address => {
            let either = "give either `requestId` or an address, not both";
            return Err(Refusal::Parameters(either.to_owned()));
        }
        (Some(id), _) => Plan::Existing(parse_request_id(&id)?),
        (None, None) => return Err(Refusal::CredentialsEmpty),
        (None, Some(app)) => {
            let phone = otpless::international(body.phone_number);
            let addresses = addresses(phone, body.email.as_deref(), first)?;
            otpless::check_reachable(&addresses, &wish)?;
            let life = Duration::from_secs(expiry.unwrap_or(otpless::DEFAULT_EXPIRY).into());
            let open = Open::new(app, keyring, entropy, addresses, life);
            Plan::New(Box::new(open), app.clone())
        }
    };
    Ok((plan, wish))
}

/// The channels of the contract that exist here. The others are answered as the wrong channel for
/// the address that was given.
fn channels(names: &[String], is_email: bool) -> Result<Vec<Channel>, Refusal> {
    let wrong = if is_email { Refusal::EmailChannel } else { Refusal::PhoneChannel };
    let channel = |name: &String| match name.as_str() {
        "SMS" => Ok(Channel::Sms),
        "EMAIL" => Ok(Channel::Email),
        _ => Err(wrong.clone()),
    };
    if names.is_empty() {
        return Err(Refusal::Parameters("`channels` must name SMS or EMAIL".to_owned()));
    }
    let mut channels = Vec::new();
    for channel in names.iter().map(channel) {
        let channel = channel?;
        if !channels.contains(&channel) {
            channels.push(channel);
        }
    }
    Ok(channels)
}

fn own_row(field: &str) -> Option<Refusal> {
    match field {
        "requestId" => Some(Refusal::RequestId),
        "phoneNumber" => Some(Refusal::Phone),
        "email" => Some(Refusal::Email),
        "otpLength" => Some(Refusal::Length),
        "expiry" => Some(Refusal::Expiry),
        _ => None,
    }
}

#[derive(OpenApi)]
#[openapi(paths(handle))]
struct Api;

/// The endpoint's part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    with_client_ip(with_idempotency(Api::openapi(), "ErrorBody"))
}
