//! `POST /auth/v1/verify/otp`: the app's server presents the code that its user typed.

mod boot;

pub use boot::{Adapters, boot};
use lambda_http::http::StatusCode;
use otpless_contract::{self as otpless, ErrorBody, Refusal, parse_request_id, request_id};
use passcode_domain::{
    PresentedCode,
    ports::{Clock, CountGauges, Entropy, LoadApps, LoadKeyring, LoadLedgers, StoreLedgers},
    transact::Ports,
    verify::{self, Outcome, Target, Verification},
};
use passcode_http::{Answer, Record, Request};
use serde::{Deserialize, Serialize};
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
pub async fn handle<A, L, K, C, E>(deps: &Deps<A, L, K, C, E>, request: Request) -> Answer
where
    A: LoadApps,
    L: LoadLedgers + StoreLedgers + CountGauges,
    K: LoadKeyring,
    C: Clock,
    E: Entropy,
{
    let accepted = otpless::accept::<VerifyOtpRequest>(&request, &deps.apps, own_row).await;
    let (app, record, body) = match accepted {
        Ok(accepted) => accepted,
        Err(answer) => return answer,
    };
    let Some(otp) = body.otp.filter(|otp| !otp.trim().is_empty()) else {
        return Refusal::EmptyOtp.answer(record);
    };
    let Ok(id) = parse_request_id(&body.request_id.unwrap_or_default()) else {
        return Refusal::Token.answer(record);
    };
    let record = record.challenge(id);
    // What can be nobody's code is wrong, and costs nothing.
    let Ok(code) = PresentedCode::parse(&otp) else {
        return Refusal::IncorrectOtp.answer(record);
    };
    let ports = Ports { ledgers: &deps.ledgers, clock: &deps.clock, entropy: &deps.entropy };
    match verify::verify(ports, &deps.keyring, Target::Owned(id, &app.id), &code).await {
        Ok(Verification { outcome, trace, .. }) => {
            let record = Record { outcome: outcome.as_str(), ..record.trace(trace) };
            match outcome {
                Outcome::Verified(_) => verified(request_id(id), record),
                Outcome::Incorrect => Refusal::IncorrectOtp.answer(record),
                Outcome::Expired => Refusal::OtpExpired.answer(record),
                Outcome::Exhausted => Refusal::Locked.answer(record),
                Outcome::AlreadyUsed => Refusal::AlreadyVerified.answer(record),
                Outcome::NotFound => Refusal::Token.answer(record),
            }
        }
        Err(failure) => otpless::failed(&failure, record),
    }
}

fn verified(request_id: String, record: Record) -> Answer {
    let message = "OTP verified successfully";
    let body = VerifyOtpResponse { request_id, is_otp_verified: true, message };
    Answer::json(StatusCode::OK, &body, record)
}

fn own_row(field: &str) -> Option<Refusal> {
    match field {
        "requestId" => Some(Refusal::Token),
        "otp" => Some(Refusal::IncorrectOtp),
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
