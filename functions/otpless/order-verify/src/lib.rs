//! `POST /auth/otp/v1/verify`: the older generation's verify. The caller repeats whom the order is
//! about, and a code that is refused is a 200 that says so.

mod boot;

pub use boot::boot;
use lambda_http::http::StatusCode;
use otpless_contract::{
    self as otpless, EmailField, Error, ErrorBody, addresses,
    order::{self, OrderRef},
};
use passcode_domain::{
    App, Channel, Keyring, PresentedCode, SubjectKey, World,
    action::verify::{self, Outcome, VerifyTarget},
    ports::{CountVerified, LoadApps, LoadKeyring, LoadLedgers, StoreLedgers},
};
use passcode_http::{Answer, Record, Request, filled};
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema};

/// The function, and its package.
pub const NAME: &str = env!("CARGO_PKG_NAME");

/// The code, the order, and whom it is about.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderVerifyRequest {
    /// The id that `send` was given, or gave.
    #[schema(example = "order-42", pattern = "^[!-~]{1,64}$")]
    order_id: String,
    /// The digits, as a text.
    #[schema(value_type = String, required, example = "123456", pattern = "\\S")]
    otp: Option<String>,
    /// The phone number that the code was sent to. Without `email`.
    #[schema(example = "+14155550100")]
    #[serde(default, deserialize_with = "filled")]
    phone_number: Option<String>,
    /// The e-mail address that the code was sent to. Without `phoneNumber`.
    #[schema(value_type = Option<EmailField>)]
    #[serde(default, deserialize_with = "filled")]
    email: Option<String>,
}

/// Whether the code is right.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderVerifyResponse {
    /// Whether the code is right.
    #[serde(rename = "isOTPVerified")]
    is_otp_verified: bool,
    /// Why not, if not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "Incorrect OTP!")]
    reason: Option<&'static str>,
}

/// Serves one request.
#[utoipa::path(
    post,
    path = "/auth/otp/v1/verify",
    operation_id = "otpless-order-verify",
    tag = "OTPless, older generation",
    summary = "Verify a code of an order",
    request_body = OrderVerifyRequest,
    security(("clientId" = [], "clientSecret" = [])),
    responses(
        (status = 200, description = "Whether the code is right", body = OrderVerifyResponse),
        (status = 400, description = "7101, 7102, 7104, 7106 or 7112", body = ErrorBody),
        (status = 401, description = "7002, 7012 or 7019", body = ErrorBody),
        (status = 503, description = "Nothing was decided; try again", body = ErrorBody),
    )
)]
pub async fn handle<W>(world: &W, request: &Request, record: &mut Record) -> Result<Answer, Error>
where
    W: World<
            Apps: LoadApps,
            Ledgers: LoadLedgers + StoreLedgers,
            Counters: CountVerified,
            Keyring: LoadKeyring,
        >,
{
    let (app, body) = otpless::accept(world, request, record, field_error).await?;
    let keyring = world.keyring().keyring().await?;
    let (order, otp, subject) = parse(body, &app, &keyring)?;
    let id = order.resolve(world, &keyring, &app.id).await?;
    let Some(id) = id.filter(|id| *id.subject() == subject) else {
        return Ok(answer(&Outcome::NotFound, record));
    };
    record.challenge(id, &keyring);
    // What can be nobody's code is wrong, and costs nothing.
    let Ok(code) = PresentedCode::parse(&otp) else {
        return Ok(answer(&Outcome::Incorrect, record));
    };
    let verification = verify::verify(world, VerifyTarget::Owned(id, &app.id), &code).await?;
    record.verification(&verification);
    Ok(answer(&verification.outcome, record))
}

/// The order, the code as it was typed, and the subject that the caller says it is about.
fn parse(
    body: OrderVerifyRequest,
    app: &App,
    keyring: &Keyring,
) -> Result<(OrderRef, String, SubjectKey), Error> {
    let order = OrderRef::parse(&body.order_id, keyring)?;
    let otp = body.otp.filter(|otp| !otp.trim().is_empty()).ok_or(Error::EmptyOtp)?;
    let phone = order::international(body.phone_number);
    let addresses = addresses(phone, body.email.as_deref(), Channel::Sms)?;
    Ok((order, otp, SubjectKey::of_address(keyring, &app.id, addresses.primary())))
}

fn answer(outcome: &Outcome, record: &mut Record) -> Answer {
    record.outcome = outcome.as_str();
    let reason = match outcome {
        Outcome::Verified(_) => None,
        Outcome::Incorrect => Some("Incorrect OTP!"),
        Outcome::Expired => Some("OTP expired!"),
        Outcome::Exhausted => Some("Too many incorrect OTPs!"),
        Outcome::AlreadyUsed => Some("OTP already verified!"),
        Outcome::NotFound => Some("No OTP was sent for this order!"),
    };
    let body = OrderVerifyResponse { is_otp_verified: reason.is_none(), reason };
    Answer::json(StatusCode::OK, &body)
}

fn field_error(field: &str) -> Option<Error> {
    match field {
        "phoneNumber" => Some(Error::Phone),
        "email" => Some(Error::Email),
        "otp" => Some(Error::EmptyOtp),
        _ => None,
    }
}

#[derive(OpenApi)]
#[openapi(paths(handle))]
struct Api;

/// The endpoint's part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}
