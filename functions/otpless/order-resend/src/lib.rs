//! `POST /auth/otp/v1/resend`: the next code of an order.

mod boot;

pub use boot::{Adapters, boot};
use lambda_http::http::StatusCode;
use otpless_contract::order::{OrderRef, OrderResponse};
use otpless_contract::{self as otpless, ErrorBody, Refusal};
use passcode_domain::{
    ports::{
        Clock, CountGauges, EmailCourier, Entropy, LoadApps, LoadGauges, LoadKeyring, LoadLedgers,
        SmsCourier, StoreLedgers,
    },
    send::{self, Couriers, Target, Wish},
    transact::Ports,
};
use passcode_http::{Answer, Caller, RETRY, Request, told_ip, with_client_ip, with_idempotency};
use serde::Deserialize;
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

/// Which order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderResendRequest {
    /// The id that `send` was given, or gave.
    #[schema(example = "order-42", pattern = "^[!-~]{1,64}$")]
    order_id: String,
}

/// Serves one request.
#[utoipa::path(
    post,
    path = "/auth/otp/v1/resend",
    operation_id = "otpless-order-resend",
    tag = "OTPless, older generation",
    summary = "Send the next code of an order",
    request_body = OrderResendRequest,
    security(("clientId" = [], "clientSecret" = [])),
    responses(
        (status = 200, description = "A courier took the message", body = OrderResponse),
        (status = 400, description = "7021, 7101, 7115, 7170 or 7172", body = ErrorBody),
        (status = 401, description = "7002, 7012 or 7019", body = ErrorBody),
        (status = 404, description = "7168", body = ErrorBody),
        (status = 429, description = "7022: cool-down, send count or failures", body = ErrorBody),
        (status = 503, description = "No message, or one whose fate is unknown; try again", body = ErrorBody),
    )
)]
pub async fn handle<A, L, K, C, E, S, M>(
    deps: &Deps<A, L, K, C, E, S, M>,
    request: Request,
) -> Answer
where
    A: LoadApps,
    L: LoadLedgers + StoreLedgers + LoadGauges + CountGauges,
    K: LoadKeyring,
    C: Clock,
    E: Entropy,
    S: SmsCourier,
    M: EmailCourier,
{
    let accepted = otpless::accept::<OrderResendRequest>(&request, &deps.apps, |_| None).await;
    let (app, record, body) = match accepted {
        Ok(accepted) => accepted,
        Err(answer) => return answer,
    };
    let keyring = match deps.keyring.keyring().await {
        Ok(keyring) => keyring,
        Err(cause) => return otpless::keyless(&cause, record),
    };
    let ip = told_ip(&request).map_err(Refusal::from);
    let (order, ip) = match ip.and_then(|ip| Ok((OrderRef::parse(&body.order_id)?, ip))) {
        Ok(parsed) => parsed,
        Err(refusal) => return refusal.answer(record),
    };
    let ports = Ports { ledgers: &deps.ledgers, clock: &deps.clock, entropy: &deps.entropy };
    let work = async {
        let id = match order.resolve(&deps.ledgers, &keyring, &app.id, deps.clock.now()).await {
            Ok(Some(id)) => id,
            Ok(None) => return Refusal::NotFound.answer(record),
            Err(error) => return otpless::unavailable(RETRY, record.error(&error)),
        };
        let record = record.challenge(id);
        // By the channel, in the length and for the time of the order's first message.
        let wish = Wish { ip, ..Wish::default() };
        let couriers = Couriers { sms: &deps.sms, email: &deps.email };
        let target = Target::Again(id, &app);
        match send::send(ports, &keyring, &deps.apps, couriers, target, &wish).await {
            Ok(delivery) => {
                let (caller, now) = (Caller::WithCredentials, deps.clock.now());
                otpless::deliver(caller, delivery, record, now, |_, record| {
                    Answer::json(StatusCode::OK, &OrderResponse { order_id: body.order_id }, record)
                })
            }
            Err(failure) => otpless::failed(&failure, record),
        }
    };
    otpless::idempotent(&request, Some(&app), None).run(&keyring, ports, work).await
}

#[derive(OpenApi)]
#[openapi(paths(handle))]
struct Api;

/// The endpoint's part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    with_client_ip(with_idempotency(Api::openapi(), "ErrorBody"))
}
