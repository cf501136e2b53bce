//! `POST /auth/otp/v1/resend`: the next code of an order.

mod boot;

pub use boot::boot;
use lambda_http::http::StatusCode;
use otpless_contract::{
    self as otpless, Error, ErrorBody,
    order::{OrderRef, OrderResponse},
};
use passcode_domain::{
    App, Keyring,
    action::{
        send::{self, Refusal, SendOptions, SendTarget, SendWorld, Sent},
        status::{self, Status},
    },
    guard::Origin,
    ports::{Clock as _, LoadKeyring},
};
use passcode_http::{
    Answer, Begun, Caller, Record, Request, forwarded_origin, with_client_ip, with_idempotency,
};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::{OpenApi, ToSchema};

/// The function, and its package.
pub const NAME: &str = env!("CARGO_PKG_NAME");

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
        (status = 401, description = "7002, 7012 or 7019; 7025 or 7035 by the guard", body = ErrorBody),
        (status = 404, description = "7168", body = ErrorBody),
        (status = 429, description = "7022: cool-down, send count or failures; 7020, 7023 or 7024 by the guard", body = ErrorBody),
        (status = 503, description = "No message, or one whose fate is unknown; try again", body = ErrorBody),
    )
)]
pub async fn handle<W>(world: &W, request: &Request, record: &mut Record) -> Result<Answer, Error>
where
    W: SendWorld<Keyring: LoadKeyring>,
{
    let (app, body) =
        otpless::accept::<_, OrderResendRequest>(world, request, record, |_| None).await?;
    let keyring = world.keyring().keyring().await?;
    let origin = forwarded_origin(request)?;
    let order = OrderRef::parse(&body.order_id, &keyring)?;
    let pending = match otpless::idempotent(request, Some(&app), None)
        .begin(world, &keyring, record)
        .await?
    {
        Begun::Proceed(pending) => pending,
        Begun::Answered(answer) => return Ok(answer),
    };
    let sent = Box::pin(resend(world, &app, &keyring, &order, origin, record)).await;
    let answered =
        sent.map(|()| Answer::json(StatusCode::OK, &OrderResponse { order_id: body.order_id }));
    Ok(pending.settle(world, answered, record).await)
}

async fn resend<W>(
    world: &W,
    app: &Arc<App>,
    keyring: &Keyring,
    order: &OrderRef,
    origin: Origin,
    record: &mut Record,
) -> Result<(), Error>
where
    W: SendWorld<Keyring: LoadKeyring>,
{
    let id = order.resolve(world, keyring, &app.id).await?.ok_or(Error::NotFound)?;
    record.challenge(id, keyring);
    // By the channel, in the length and for the time of the order's first message.
    let options = SendOptions { origin, ..SendOptions::default() };
    let delivery = send::send(world, keyring, SendTarget::Again(id, app), &options).await?;
    // What was never sent is kept beside the ledger, where a resend does not look.
    if matches!(delivery.sent, Sent::Refused(Refusal::NotFound))
        && status::status(world, keyring, &app.id, id).await? == Status::NotSent
    {
        return Err(Error::NotStarted);
    }
    let now = world.clock().now();
    otpless::sent(delivery, Caller::WithCredentials, now, keyring, record).map(drop)
}

#[derive(OpenApi)]
#[openapi(paths(handle))]
struct Api;

/// The endpoint's part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    with_client_ip(with_idempotency(Api::openapi(), "ErrorBody"))
}
