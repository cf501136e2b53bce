//! `POST /auth/v1/verify/otp`: the app's server presents the code that its user typed.

mod boot;

pub use boot::boot;
use lambda_http::http::StatusCode;
use otpless_contract::{self as otpless, Error, ErrorBody, parse_request_id, request_id};
use passcode_domain::{
    PresentedCode, World,
    action::verify::{self, Outcome, VerifyTarget},
    ports::{CountVerified, LoadApps, LoadKeyring, LoadLedgers, StoreLedgers},
};
use passcode_http::{Answer, Record, Request};
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema};

/// The function, and its package.
pub const NAME: &str = env!("CARGO_PKG_NAME");

/// The code, and what it is for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifyOtpRequest {
    /// The id that `create` or `initiate` gave.
    #[schema(
        value_type = String,
        required,
        example = "ARID_6YWXI4CRMNWX4ZR2G5VGSNS2YKPQH5JZ7L3M3VKX5QHZ2W4T6BOA",
        pattern = "^ARID_[A-Z2-7]{51}[AQ]$"
    )]
    request_id: Option<String>,
    /// The digits, as a text.
    #[schema(value_type = String, required, example = "123456", pattern = "^[ -]*([A-Za-z0-9][ -]*){1,10}$", max_length = 32)]
    otp: Option<String>,
}

/// The answer to the right code.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifyOtpResponse {
    /// The request that was verified.
    #[schema(example = "ARID_6YWXI4CRMNWX4ZR2G5VGSNS2YKPQH5JZ7L3M3VKX5QHZ2W4T6BOA")]
    request_id: String,
    /// Always true.
    #[serde(rename = "isOTPVerified")]
    is_otp_verified: bool,
    /// The same in words.
    #[schema(example = "OTP verified successfully")]
    message: &'static str,
}

/// Serves one request.
#[utoipa::path(
    post,
    path = "/auth/v1/verify/otp",
    operation_id = "otpless-otp-verify",
    tag = "OTPless",
    summary = "Verify a code",
    request_body = VerifyOtpRequest,
    security(("clientId" = [], "clientSecret" = [])),
    responses(
        (status = 200, description = "Verified, for the first and only time", body = VerifyOtpResponse),
        (status = 400, description = "7021, 7101, 7112, 7114, 7115, 7118 or 7303", body = ErrorBody),
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
    let accepted = otpless::accept::<_, VerifyOtpRequest>(world, request, record, field_error);
    let (app, body) = accepted.await?;
    let otp = body.otp.filter(|otp| !otp.trim().is_empty()).ok_or(Error::EmptyOtp)?;
    let keyring = world.keyring().keyring().await?;
    let id = parse_request_id(&body.request_id.unwrap_or_default(), &keyring);
    let id = id.map_err(|_| Error::Token)?;
    record.challenge(id, &keyring);
    // What can be nobody's code is wrong, and costs nothing.
    let code = PresentedCode::parse(&otp).map_err(|_| Error::IncorrectOtp)?;
    let verification = verify::verify(world, VerifyTarget::Owned(id, &app.id), &code).await?;
    record.verification(&verification);
    match verification.outcome {
        Outcome::Verified(_) => {
            let message = "OTP verified successfully";
            let request_id = request_id(id, &keyring);
            let body = VerifyOtpResponse { request_id, is_otp_verified: true, message };
            Ok(Answer::json(StatusCode::OK, &body))
        }
        Outcome::Incorrect => Err(Error::IncorrectOtp),
        Outcome::Expired => Err(Error::OtpExpired),
        Outcome::Exhausted => Err(Error::Locked),
        Outcome::AlreadyUsed => Err(Error::AlreadyVerified),
        Outcome::NotFound => Err(Error::Token),
    }
}

fn field_error(field: &str) -> Option<Error> {
    match field {
        "requestId" => Some(Error::Token),
        "otp" => Some(Error::IncorrectOtp),
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
