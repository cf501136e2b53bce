//! `POST /auth/v1/create`: an auth request for a phone number or an e-mail address. Nothing is
//! sent; the answer's `requestId` is what `initiate`, `verify` and `status` take.

mod boot;

pub use boot::boot;
use lambda_http::http::StatusCode;
use otpless_contract::{
    self as otpless, EmailField, Error, ErrorBody, ExpiryField, addresses, request_id,
};
use passcode_domain::{
    Addresses, App, Channel, Keyring, PhoneNumber, World,
    action::open::{self, Open},
    app::policy::MAX_CHALLENGE_SECONDS,
    ports::{LoadApps, LoadKeyring, LoadLedgers, StoreLedgers},
};
use passcode_http::{Answer, Begun, Record, Request, filled, whole, with_choice, with_idempotency};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::{OpenApi, ToSchema};

/// The function, and its package.
pub const NAME: &str = env!("CARGO_PKG_NAME");

/// Whom to authenticate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateRequest {
    /// The phone number without its country code. Required without `email`.
    #[schema(example = "9876543210")]
    #[serde(default, deserialize_with = "filled")]
    phone_number: Option<String>,
    /// The country dial code. Required with `phoneNumber`.
    #[schema(example = "91")]
    #[serde(default, deserialize_with = "filled")]
    country_code: Option<String>,
    /// The e-mail address. Required without `phoneNumber`.
    #[schema(value_type = Option<EmailField>)]
    #[serde(default, deserialize_with = "filled")]
    email: Option<String>,
    /// Seconds that the auth request lives.
    #[schema(value_type = Option<ExpiryField>, default = 900)]
    #[serde(default, deserialize_with = "whole")]
    expiry: Option<u32>,
    /// The app's template for the messages of this auth request.
    #[schema(example = "your-template-id")]
    #[serde(default, deserialize_with = "filled")]
    tid: Option<String>,
}

/// The auth request.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateResponse {
    /// Its id.
    #[schema(example = "ARID_6YWXI4CRMNWX4ZR2G5VGSNS2YKPQH5JZ7L3M3VKX5QHZ2W4T6BOA")]
    request_id: String,
}

/// Serves one request.
#[utoipa::path(
    post,
    path = "/auth/v1/create",
    operation_id = "otpless-auth-create",
    tag = "OTPless",
    summary = "Create an auth request; nothing is sent",
    request_body = CreateRequest,
    security(("clientId" = [], "clientSecret" = [])),
    responses(
        (status = 200, description = "The auth request is created", body = CreateResponse),
        (status = 400, description = "7101, 7102, 7104, 7106, 7113 or 7158", body = ErrorBody),
        (status = 401, description = "7002, 7012 or 7019", body = ErrorBody),
        (status = 429, description = "7022: too many open requests for this identity", body = ErrorBody),
        (status = 503, description = "Nothing was created; try again", body = ErrorBody),
    )
)]
pub async fn handle<W>(world: &W, request: &Request, record: &mut Record) -> Result<Answer, Error>
where
    W: World<Apps: LoadApps, Ledgers: LoadLedgers + StoreLedgers, Keyring: LoadKeyring>,
{
    let (app, body) = otpless::accept(world, request, record, field_error).await?;
    let keyring = world.keyring().keyring().await?;
    let (addresses, life, template) = parse(body, &app)?;
    let open = Open::new(&app, &keyring, world.entropy(), addresses, life).with_template(template);
    let pending = match otpless::idempotent(request, Some(&app), None)
        .begin(world, &keyring, record)
        .await?
    {
        Begun::Proceed(pending) => pending,
        Begun::Answered(answer) => return Ok(answer),
    };
    let created = create(world, &keyring, &open, record).await;
    Ok(pending.settle(world, created, record).await)
}

async fn create<W>(
    world: &W,
    keyring: &Keyring,
    open: &Open,
    record: &mut Record,
) -> Result<Answer, Error>
where
    W: World<Ledgers: LoadLedgers + StoreLedgers>,
{
    open::open(world, keyring, open).await?;
    record.outcome = "created";
    record.challenge(open.id, keyring);
    let body = CreateResponse { request_id: request_id(open.id, keyring) };
    Ok(Answer::json(StatusCode::OK, &body))
}

type Parsed = (Addresses, Duration, Option<String>);

fn parse(body: CreateRequest, app: &App) -> Result<Parsed, Error> {
    let phone = body.phone_number.map(|national| {
        let code = body.country_code.ok_or(Error::Phone)?;
        PhoneNumber::parse_national(&code, &national).map_err(|_| Error::Phone)
    });
    let addresses = addresses(phone, body.email.as_deref(), Channel::Sms)?;
    let expiry = body.expiry.unwrap_or(otpless::DEFAULT_EXPIRY);
    if !(otpless::MIN_EXPIRY..=MAX_CHALLENGE_SECONDS).contains(&expiry) {
        return Err(Error::Expiry);
    }
    if body.tid.as_ref().is_some_and(|tid| !app.templates.contains_key(tid)) {
        return Err(Error::Template);
    }
    Ok((addresses, Duration::from_secs(expiry.into()), body.tid))
}

fn field_error(field: &str) -> Option<Error> {
    match field {
        "phoneNumber" | "countryCode" => Some(Error::Phone),
        "email" => Some(Error::Email),
        "expiry" => Some(Error::Expiry),
        "tid" => Some(Error::Template),
        _ => None,
    }
}

#[derive(OpenApi)]
#[openapi(paths(handle))]
struct Api;

/// The endpoint's part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let api = with_choice(Api::openapi(), "CreateRequest", &[("phoneNumber", &[]), ("email", &[])]);
    with_idempotency(api, "ErrorBody")
}
