//! `POST /auth/v1/create`: an auth request for a phone number or an e-mail address. Nothing is
//! sent; the answer's `requestId` is what `initiate`, `verify` and `status` take.

mod boot;

pub use boot::{Adapters, boot};
use lambda_http::http::StatusCode;
use otpless_contract::{
    self as otpless, EmailField, ErrorBody, ExpiryField, Refusal, addresses, request_id,
};
use passcode_domain::{
    App, Channel, PhoneNumber,
    open::{self, Open, Opened},
    policy::MAX_CHALLENGE_SECONDS,
    ports::{Clock, Entropy, LoadApps, LoadKeyring, LoadLedgers, StoreLedgers},
    transact::Ports,
};
use passcode_http::{Answer, Record, Request, filled, whole, with_choice, with_idempotency};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::{OpenApi, ToSchema};

/// What the function works with.
pub struct Deps<A, L, K, C, E> {
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
}

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
pub async fn handle<A, L, K, C, E>(deps: &Deps<A, L, K, C, E>, request: Request) -> Answer
where
    A: LoadApps,
    L: LoadLedgers + StoreLedgers,
    K: LoadKeyring,
    C: Clock,
    E: Entropy,
{
    let accepted = otpless::accept::<CreateRequest>(&request, &deps.apps, own_row).await;
    let (app, record, body) = match accepted {
        Ok(accepted) => accepted,
        Err(answer) => return answer,
    };
    let keyring = match deps.keyring.keyring().await {
        Ok(keyring) => keyring,
        Err(cause) => return otpless::keyless(&cause, record),
    };
    let (addresses, life, template) = match parse(body, &app) {
        Ok(parsed) => parsed,
        Err(refusal) => return refusal.answer(record),
    };
    let command = Open::new(&app, &keyring, &deps.entropy, addresses, life);
    let command = command.with_template(template);
    let ports = Ports { ledgers: &deps.ledgers, clock: &deps.clock, entropy: &deps.entropy };
    let work = async {
        match open::open(ports, &app, &command).await {
            Ok(Opened::Opened) => {
                let body = CreateResponse { request_id: request_id(command.id) };
                let record = Record { outcome: "created", ..record };
                Answer::json(StatusCode::OK, &body, record.challenge(command.id))
            }
            Ok(Opened::TooMany(room_at)) => {
                Refusal::Identity(Some(deps.clock.now().until(room_at))).answer(record)
            }
            Err(failure) => otpless::failed(&failure, record),
        }
    };
    otpless::idempotent(&request, Some(&app), None).run(&keyring, ports, work).await
}

type Parsed = (passcode_domain::Addresses, Duration, Option<String>);

fn parse(body: CreateRequest, app: &App) -> Result<Parsed, Refusal> {
    let phone = body.phone_number.map(|national| {
        let code = body.country_code.ok_or(Refusal::Phone)?;
        PhoneNumber::parse_national(&code, &national).map_err(|_| Refusal::Phone)
    });
    let addresses = addresses(phone, body.email.as_deref(), Channel::Sms)?;
    let expiry = body.expiry.unwrap_or(otpless::DEFAULT_EXPIRY);
    if !(otpless::MIN_EXPIRY..=MAX_CHALLENGE_SECONDS).contains(&expiry) {
        return Err(Refusal::Expiry);
    }
    if body.tid.as_ref().is_some_and(|tid| !app.templates.contains_key(tid)) {
        return Err(Refusal::Template);
    }
    Ok((addresses, Duration::from_secs(expiry.into()), body.tid))
}

fn own_row(field: &str) -> Option<Refusal> {
    match field {
        "phoneNumber" | "countryCode" => Some(Refusal::Phone),
        "email" => Some(Refusal::Email),
        "expiry" => Some(Refusal::Expiry),
        "tid" => Some(Refusal::Template),
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
