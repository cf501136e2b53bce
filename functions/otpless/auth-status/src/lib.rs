//! `GET /auth/v2/status` and the older `POST /auth/v1/status`: how an auth request stands. It
//! spends nothing, so it may be polled.

mod boot;

pub use boot::boot;
use lambda_http::http::{Method, StatusCode};
use otpless_contract::{Error, ErrorBody, authenticate, parse_request_id};
use passcode_domain::{
    Address, Channel, Timestamp, World,
    action::status::{self, Details, Message, Status},
    ledger::receipt::DeliveryState,
    ports::{LoadApps, LoadKeyring, LoadLedgers},
};
use passcode_http::{Answer, Media, Record, Request, RequestExt as _, body};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

/// The function, and its package.
pub const NAME: &str = env!("CARGO_PKG_NAME");

/// Which auth request.
#[derive(Debug, Deserialize, ToSchema, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct StatusRequest {
    /// The id that `create` or `initiate` gave.
    #[param(value_type = String, required, pattern = "^ARID_[A-Z2-7]{51}[AQ]$")]
    #[schema(
        value_type = String,
        required,
        example = "ARID_6YWXI4CRMNWX4ZR2G5VGSNS2YKPQH5JZ7L3M3VKX5QHZ2W4T6BOA",
        pattern = "^ARID_[A-Z2-7]{51}[AQ]$"
    )]
    request_id: Option<String>,
}

/// How an auth request stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatusResponse {
    /// Its one factor.
    auths: [Auth; 1],
}

/// One factor of an auth request.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// `MOBILE` or `EMAIL`.
    #[schema(example = "MOBILE")]
    identity_type: &'static str,
    /// The phone number without `+`, or the e-mail address.
    #[schema(example = "14155550100")]
    identity_value: String,
    /// Always `OTP`.
    #[schema(example = "OTP")]
    channel: &'static str,
    /// How the last code was sent: `SMS` or `EMAIL`.
    methods: [&'static str; 1],
    /// `PENDING`, `SUCCESS` or `FAILED`.
    #[schema(example = "SUCCESS")]
    status: &'static str,
    /// Always `PRIMARY`.
    #[serde(rename = "type")]
    #[schema(example = "PRIMARY")]
    kind: &'static str,
    /// When it was verified, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1_781_091_069_000u64)]
    verified_timestamp: Option<u64>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<AuthError>,
    /// What is known of each message, oldest first. Passcode adds it to the contract.
    deliveries: Vec<Delivery>,
}

/// What is known of one message.
#[derive(Debug, Serialize, ToSchema)]
pub struct Delivery {
    /// `SMS` or `EMAIL`.
    #[schema(example = "SMS")]
    method: &'static str,
    /// `SENT` until the provider reports more: `DELAYED`, `DELIVERED`, `UNDELIVERED` (probably), `FAILED`
    /// (certainly), `BOUNCED` (there is no such address) or `COMPLAINED`.
    #[schema(example = "DELIVERED")]
    status: &'static str,
    /// When it came to this, in milliseconds since the Unix epoch.
    #[schema(example = 1_781_091_069_000u64)]
    timestamp: u64,
}

impl From<&Message> for Delivery {
    fn from(message: &Message) -> Self {
        let status = match message.receipt.map(|receipt| receipt.state) {
            None => "SENT",
            Some(DeliveryState::Delayed) => "DELAYED",
            Some(DeliveryState::Undelivered) => "UNDELIVERED",
            Some(DeliveryState::Delivered) => "DELIVERED",
            Some(DeliveryState::Failed) => "FAILED",
            Some(DeliveryState::Bounced) => "BOUNCED",
            Some(DeliveryState::Complained) => "COMPLAINED",
        };
        let at = message.receipt.map_or(message.at, |receipt| receipt.at);
        Self { method: method(message.channel), status, timestamp: at.as_millis() }
    }
}

/// Why a factor failed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthError {
    /// The code of the error table.
    #[schema(example = "7021")]
    error_code: &'static str,
    /// The kind of error.
    message: &'static str,
    /// What to do about it.
    description: &'static str,
}

/// How an auth request stands, in the older form.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OldStatusResponse {
    /// `PENDING`, `SUCCESS` or `DECLINE`.
    #[schema(example = "SUCCESS")]
    status: &'static str,
    /// What it means, unless it is a success.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    /// When it was verified, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<u64>,
    /// Who was verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    identities: Option<[Identity; 1]>,
}

/// A verified identity, in the older form.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the contract's names")]
pub struct Identity {
    /// `MOBILE` or `EMAIL`.
    identity_type: &'static str,
    /// The phone number without `+`, or the e-mail address.
    identity_value: String,
    /// Always `OTP`.
    channel: &'static str,
    /// How the code was sent: `SMS` or `EMAIL`.
    methods: [&'static str; 1],
    /// Always true.
    verified: bool,
    /// When, in milliseconds since the Unix epoch.
    verified_timestamp: u64,
}

/// Serves one request, of either generation.
pub async fn handle<W>(world: &W, request: &Request, record: &mut Record) -> Result<Answer, Error>
where
    W: World<Apps: LoadApps, Ledgers: LoadLedgers, Keyring: LoadKeyring>,
{
    let app = authenticate(world, request, record).await?;
    let is_old = request.method() == Method::POST;
    let id = if is_old { id_in_body(request).await? } else { id_in_query(request)? };
    let keyring = world.keyring().keyring().await?;
    let id = parse_request_id(&id, &keyring)?;
    record.challenge(id, &keyring);
    let standing = standing(status::status(world, &keyring, &app.id, id).await?)?;
    record.outcome = "status";
    Ok(if is_old { render_old(standing) } else { render(standing) })
}

async fn id_in_body(request: &Request) -> Result<String, Error> {
    let field_error = |field: &str| (field == "requestId").then_some(Error::RequestId);
    let body: Result<StatusRequest, _> = body(request, &[Media::Json]).await;
    let body = body.map_err(|error| Error::of_body(&error, field_error))?;
    body.request_id.ok_or(Error::RequestId)
}

fn id_in_query(request: &Request) -> Result<String, Error> {
    let query = request.query_string_parameters_ref();
    let id = query.and_then(|query| query.first("requestId"));
    id.map(str::to_owned).ok_or(Error::RequestId)
}

/// What both forms tell of a challenge that has been sent.
enum Standing {
    Pending(Details),
    Success(Details, Timestamp),
    Failed(Details),
}

fn standing(status: Status) -> Result<Standing, Error> {
    match status {
        Status::NotFound => Err(Error::NotFound),
        Status::Expired => Err(Error::Expired),
        Status::NotSent => Err(Error::NotStarted),
        Status::Pending(details) => Ok(Standing::Pending(details)),
        Status::Verified(details, at) => Ok(Standing::Success(details, at)),
        Status::Exhausted(details) | Status::Cancelled(details) => Ok(Standing::Failed(details)),
    }
}

fn render(standing: Standing) -> Answer {
    let auth = match standing {
        Standing::Pending(details) => auth(&details, "PENDING"),
        Standing::Success(details, at) => {
            Auth { verified_timestamp: Some(at.as_millis()), ..auth(&details, "SUCCESS") }
        }
        Standing::Failed(details) => Auth { error: Some(LOCKED), ..auth(&details, "FAILED") },
    };
    Answer::json(StatusCode::OK, &StatusResponse { auths: [auth] })
}

const LOCKED: AuthError = AuthError {
    error_code: "7021",
    message: "Verification failed",
    description: "Too many incorrect OTPs, or given up. Create a new request, now or later.",
};

fn render_old(standing: Standing) -> Answer {
    let told = |status, message| OldStatusResponse {
        status,
        message: Some(message),
        completed_at: None,
        identities: None,
    };
    let response = match standing {
        Standing::Pending(_) => {
            told("PENDING", "Authentication not completed, please try again later.")
        }
        Standing::Failed(_) => told("DECLINE", "Authentication failed."),
        Standing::Success(details, at) => verified(&details, at),
    };
    Answer::json(StatusCode::OK, &response)
}

fn verified(details: &Details, at: Timestamp) -> OldStatusResponse {
    let (identity_type, identity_value) = identity(details);
    let identity = Identity {
        identity_type,
        identity_value,
        channel: "OTP",
        methods: [method(details.channel)],
        verified: true,
        verified_timestamp: at.as_millis(),
    };
    OldStatusResponse {
        status: "SUCCESS",
        message: None,
        completed_at: Some(at.as_millis()),
        identities: Some([identity]),
    }
}

fn auth(details: &Details, status: &'static str) -> Auth {
    let (identity_type, identity_value) = identity(details);
    Auth {
        identity_type,
        identity_value,
        channel: "OTP",
        methods: [method(details.channel)],
        status,
        kind: "PRIMARY",
        verified_timestamp: None,
        error: None,
        deliveries: details.messages.iter().map(Delivery::from).collect(),
    }
}

fn identity(details: &Details) -> (&'static str, String) {
    // A channel is only ever used with an address of its kind.
    match details.addresses.on(details.channel).unwrap_or(details.addresses.primary()) {
        Address::Phone(phone) => ("MOBILE", phone.digits().to_owned()),
        Address::Email(email) => ("EMAIL", email.as_str().to_owned()),
        Address::User(user) => ("USER", user.as_str().to_owned()),
    }
}

const fn method(channel: Channel) -> &'static str {
    match channel {
        Channel::Sms => "SMS",
        Channel::Email => "EMAIL",
        Channel::Caller => "CALLER",
    }
}

/// The current form.
#[utoipa::path(
    get,
    path = "/auth/v2/status",
    operation_id = "otpless-auth-status",
    tag = "OTPless",
    summary = "How an auth request stands",
    params(StatusRequest),
    security(("clientId" = [], "clientSecret" = [])),
    responses(
        (status = 200, description = "How it stands", body = StatusResponse),
        (status = 400, description = "7119, 7170 (nothing sent yet; keep polling) or 7172", body = ErrorBody),
        (status = 401, description = "7002, 7012 or 7019", body = ErrorBody),
        (status = 404, description = "7168", body = ErrorBody),
        (status = 503, description = "Try again", body = ErrorBody),
    )
)]
#[expect(dead_code, reason = "documents one of the two routes that `handle` serves")]
const fn current() {}

/// The older form.
#[utoipa::path(
    post,
    path = "/auth/v1/status",
    operation_id = "otpless-auth-status-v1",
    tag = "OTPless",
    summary = "How an auth request stands, in the older form",
    request_body = StatusRequest,
    security(("clientId" = [], "clientSecret" = [])),
    responses(
        (status = 200, description = "How it stands", body = OldStatusResponse),
        (status = 400, description = "7101, 7119, 7170 (nothing sent yet; keep polling) or 7172", body = ErrorBody),
        (status = 401, description = "7002, 7012 or 7019", body = ErrorBody),
        (status = 404, description = "7168", body = ErrorBody),
        (status = 503, description = "Try again", body = ErrorBody),
    )
)]
#[expect(dead_code, reason = "documents one of the two routes that `handle` serves")]
const fn older() {}

#[derive(OpenApi)]
#[openapi(paths(current, older))]
struct Api;

/// The endpoints' part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}
