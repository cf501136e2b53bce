//! `POST /auth/otp/v1/verify`: the older generation's verify. The caller repeats whom the order is
//! about, and a code that is refused is a 200 that says so.

mod boot;

pub use boot::{Adapters, boot};
use lambda_http::http::StatusCode;
use otpless_contract::order::{self as otpless_order, OrderRef};
use otpless_contract::{self as otpless, EmailField, ErrorBody, Refusal, addresses};
use passcode_domain::{
    App, ChallengeId, Channel, Keyring, PresentedCode, SubjectKey,
    ports::{Clock, CountGauges, Entropy, LoadApps, LoadKeyring, LoadLedgers, StoreLedgers},
    transact::Ports,
    verify::{self, Outcome, Target, Verification},
};
use passcode_http::{Answer, RETRY, Record, Request, filled};
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
pub async fn handle<A, L, K, C, E>(deps: &Deps<A, L, K, C, E>, request: Request) -> Answer
where
    A: LoadApps,
    L: LoadLedgers + StoreLedgers + CountGauges,
    K: LoadKeyring,
    C: Clock,
    E: Entropy,
{
    let accepted = otpless::accept::<OrderVerifyRequest>(&request, &deps.apps, own_row).await;
    let (app, record, body) = match accepted {
        Ok(accepted) => accepted,
        Err(answer) => return answer,
    };
    let keyring = match deps.keyring.keyring().await {
        Ok(keyring) => keyring,
        Err(cause) => return otpless::keyless(&cause, record),
    };
    let (order, otp, subject) = match parse(body, &app, &keyring) {
        Ok(parsed) => parsed,
        Err(refusal) => return refusal.answer(record),
    };
    let is_own = |id: &ChallengeId| *id.subject() == subject;
    let id = match order.resolve(&deps.ledgers, &keyring, &app.id, deps.clock.now()).await {
        Ok(Some(id)) if is_own(&id) => id,
        Ok(_) => return answer(&Outcome::NotFound, record),
        Err(error) => return otpless::unavailable(RETRY, record.error(&error)),
    };
    let record = record.challenge(id);
    // What can be nobody's code is wrong, and costs nothing.
    let Ok(code) = PresentedCode::parse(&otp) else {
        return answer(&Outcome::Incorrect, record);
    };
    let ports = Ports { ledgers: &deps.ledgers, clock: &deps.clock, entropy: &deps.entropy };
    match verify::verify(ports, &deps.keyring, Target::Owned(id, &app.id), &code).await {
        Ok(Verification { outcome, trace, .. }) => answer(&outcome, record.trace(trace)),
        Err(failure) => otpless::failed(&failure, record),
    }
}

/// The order, the code as it was typed, and the subject that the caller says it is about.
fn parse(
    body: OrderVerifyRequest,
    app: &App,
    keyring: &Keyring,
) -> Result<(OrderRef, String, SubjectKey), Refusal> {
    let order = OrderRef::parse(&body.order_id)?;
    let otp = body.otp.filter(|otp| !otp.trim().is_empty()).ok_or(Refusal::EmptyOtp)?;
    let phone = otpless_order::international(body.phone_number);
    let addresses = addresses(phone, body.email.as_deref(), Channel::Sms)?;
    Ok((order, otp, SubjectKey::of_address(keyring, &app.id, addresses.primary())))
}

fn answer(outcome: &Outcome, record: Record) -> Answer {
    let reason = match outcome {
        Outcome::Verified(_) => None,
        Outcome::Incorrect => Some("Incorrect OTP!"),
        Outcome::Expired => Some("OTP expired!"),
        Outcome::Exhausted => Some("Too many incorrect OTPs!"),
        Outcome::AlreadyUsed => Some("OTP already verified!"),
        Outcome::NotFound => Some("No OTP was sent for this order!"),
    };
    let body = OrderVerifyResponse { is_otp_verified: reason.is_none(), reason };
    Answer::json(StatusCode::OK, &body, Record { outcome: outcome.as_str(), ..record })
}

fn own_row(field: &str) -> Option<Refusal> {
    match field {
        "phoneNumber" => Some(Refusal::Phone),
        "email" => Some(Refusal::Email),
        "otp" => Some(Refusal::EmptyOtp),
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
