//! `POST /auth/otp/v1/send`: the older generation's send. The caller may name its order; the same
//! order sent again is the same message.

mod boot;

pub use boot::boot;
use lambda_http::http::StatusCode;
use otpless_contract::{
    self as otpless, EmailField, Error, ErrorBody, LengthField, SendExpiryField, addresses,
    order::{OrderRef, OrderResponse, international, order_id},
};
use passcode_domain::{
    Addresses, App, Channel, Keyring, World,
    action::{
        open::Open,
        order,
        send::{self, Delivery, Refusal, SendOptions, SendTarget, SendWorld, Sent},
    },
    guard::Origin,
    ledger::order::OrderId,
    ports::{Clock as _, LoadKeyring, LoadLedgers, StoreLedgers},
};
use passcode_http::{
    Answer, Begun, Caller, Record, Request, filled, forwarded_origin, whole, with_client_ip,
    with_idempotency,
};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};
use utoipa::{OpenApi, ToSchema};

/// The function, and its package.
pub const NAME: &str = env!("CARGO_PKG_NAME");

/// Where the code shall go.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderSendRequest {
    /// The phone number with its country code. Without `email`.
    #[schema(example = "+14155550100")]
    #[serde(default, deserialize_with = "filled")]
    phone_number: Option<String>,
    /// The e-mail address. Without `phoneNumber`.
    #[schema(value_type = Option<EmailField>)]
    #[serde(default, deserialize_with = "filled")]
    email: Option<String>,
    /// The caller's own name for this send: at most 64 characters. Sent again, it is the same send.
    #[schema(example = "order-42", pattern = "^[!-~]{0,64}$")]
    #[serde(default, deserialize_with = "filled")]
    order_id: Option<String>,
    /// `SMS`, `EMAIL`, both in the order in which to try them, with a comma, or `ALL`, in any case;
    /// an e-mail address alone is reached by e-mail whatever stands here. `WHATSAPP`, `VIBER` and
    /// `VOICE_CALL` do not exist here and are skipped beside one that does.
    #[schema(
        default = "SMS",
        example = "SMS",
        pattern = "^( *([Ss][Mm][Ss]|[Ee][Mm][Aa][Ii][Ll]|[Aa][Ll][Ll]|[Ww][Hh][Aa][Tt][Ss][Aa][Pp][Pp]|[Vv][Ii][Bb][Ee][Rr]|[Vv][Oo][Ii][Cc][Ee]_[Cc][Aa][Ll][Ll]) *(, *([Ss][Mm][Ss]|[Ee][Mm][Aa][Ii][Ll]|[Aa][Ll][Ll]|[Ww][Hh][Aa][Tt][Ss][Aa][Pp][Pp]|[Vv][Ii][Bb][Ee][Rr]|[Vv][Oo][Ii][Cc][Ee]_[Cc][Aa][Ll][Ll]) *)*)?$"
    )]
    #[serde(default, deserialize_with = "filled")]
    channel: Option<String>,
    /// Digits of the code: 4 or 6.
    #[schema(value_type = Option<LengthField>, default = 6)]
    #[serde(default, deserialize_with = "whole")]
    otp_length: Option<u64>,
    /// Seconds that the code lives: at least 30, and at most 600 of it count.
    #[schema(value_type = Option<SendExpiryField>)]
    #[serde(default, deserialize_with = "whole")]
    expiry: Option<u32>,
    /// What the Android app is recognised by: 11 characters at the end of the text message.
    #[schema(example = "FA+9qCX9VSu", pattern = "^([A-Za-z0-9+/]{11})?$")]
    #[serde(default, deserialize_with = "filled")]
    hash: Option<String>,
    /// The same under its newer name, which counts where both are given.
    #[schema(example = "FA+9qCX9VSu", pattern = "^([A-Za-z0-9+/]{11})?$")]
    #[serde(default, deserialize_with = "filled")]
    otp_hash: Option<String>,
    /// The app's template for the message.
    #[serde(default, deserialize_with = "filled")]
    template_id: Option<String>,
}

/// Serves one request.
#[utoipa::path(
    post,
    path = "/auth/otp/v1/send",
    operation_id = "otpless-order-send",
    tag = "OTPless, older generation",
    summary = "Send a code for an order",
    request_body = OrderSendRequest,
    security(("clientId" = [], "clientSecret" = [])),
    responses(
        (status = 200, description = "A courier took the message, now or for this order before", body = OrderResponse),
        (status = 400, description = "7021, 7101 to 7106, 7113, 7115, 7116, 7121, 7158 or 7172", body = ErrorBody),
        (status = 401, description = "7002, 7012 or 7019; 7025 or 7035 by the guard", body = ErrorBody),
        (status = 429, description = "7022: failures or open requests; 7020, 7023 or 7024 by the guard", body = ErrorBody),
        (status = 503, description = "No message, or one whose fate is unknown; try again", body = ErrorBody),
    )
)]
pub async fn handle<W>(world: &W, request: &Request, record: &mut Record) -> Result<Answer, Error>
where
    W: SendWorld<Keyring: LoadKeyring>,
{
    let (app, body) = otpless::accept(world, request, record, field_error).await?;
    let keyring = world.keyring().keyring().await?;
    let order = parse(body, &app, forwarded_origin(request)?, &keyring)?;
    let pending = match otpless::idempotent(request, Some(&app), None)
        .begin(world, &keyring, record)
        .await?
    {
        Begun::Proceed(pending) => pending,
        Begun::Answered(answer) => return Ok(answer),
    };
    let sent = Box::pin(send(world, &app, &keyring, order, record)).await;
    Ok(pending.settle(world, sent, record).await)
}

async fn send<W>(
    world: &W,
    app: &Arc<App>,
    keyring: &Keyring,
    order: Order,
    record: &mut Record,
) -> Result<Answer, Error>
where
    W: SendWorld<Keyring: LoadKeyring>,
{
    let open = Open::new(app, keyring, world.entropy(), order.addresses, order.life);
    let open = open.with_template(order.template).with_app_hash(order.app_hash);
    let open = match &order.name {
        None => open,
        Some(name) => place(world, app, keyring, name, open, order.life).await?,
    };
    record.challenge(open.id, keyring);
    let target = SendTarget::Ordered(&open, app);
    let delivery = send::send(world, keyring, target, &order.options).await?;
    match delivery {
        Delivery { sent: Sent::Refused(Refusal::AlreadySent), .. } => {
            record.outcome = "already sent";
        }
        delivery => {
            let now = world.clock().now();
            otpless::sent(delivery, Caller::WithCredentials, now, keyring, record)?;
        }
    }
    let order_id = order.given_id.unwrap_or_else(|| order_id(open.id, keyring));
    Ok(Answer::json(StatusCode::OK, &OrderResponse { order_id }))
}

/// Gives the challenge its order's name; or the id of the challenge that had it before.
async fn place<W>(
    world: &W,
    app: &App,
    keyring: &Keyring,
    name: &OrderId,
    open: Open,
    life: Duration,
) -> Result<Open, Error>
where
    W: World<Ledgers: LoadLedgers + StoreLedgers>,
{
    let id = order::place(world, keyring, &app.id, name, open.id, life).await?;
    let is_same = id.subject() == open.id.subject();
    is_same.then(|| open.with_id(id)).ok_or_else(other_address)
}

/// A send, as it is asked for.
struct Order {
    addresses: Addresses,
    options: SendOptions,
    life: Duration,
    template: Option<String>,
    app_hash: Option<String>,
    /// The caller's own name for it, as given and as read.
    given_id: Option<String>,
    name: Option<OrderId>,
}

fn parse(
    body: OrderSendRequest,
    app: &App,
    origin: Origin,
    keyring: &Keyring,
) -> Result<Order, Error> {
    let channels = channels(&body, app.strict_channels)?;
    let first = channels.first().copied().unwrap_or(Channel::Sms);
    let phone = international(body.phone_number);
    let addresses = addresses(phone, body.email.as_deref(), first)?;
    let length = otpless::otp_length(body.otp_length)?;
    let expiry = otpless::send_expiry(body.expiry)?;
    let (hash, otp_hash) = (otpless::app_hash(body.hash)?, otpless::app_hash(body.otp_hash)?);
    if body.template_id.as_ref().is_some_and(|id| !app.templates.contains_key(id)) {
        return Err(Error::Template);
    }
    let name = match body.order_id.as_deref().map(|id| OrderRef::parse(id, keyring)).transpose()? {
        None => None,
        Some(OrderRef::Own(name)) => Some(name),
        Some(OrderRef::Made(_)) => {
            return Err(Error::Parameters("`orderId` is one of ours; choose your own".to_owned()));
        }
    };
    Ok(Order {
        options: SendOptions {
            channels,
            length,
            max_length: Some(otpless::MAX_OTP_LENGTH),
            code_seconds: expiry,
            origin,
            ..SendOptions::default()
        },
        addresses,
        life: Duration::from_secs(expiry.unwrap_or(otpless::DEFAULT_EXPIRY).into()),
        template: body.template_id,
        app_hash: otp_hash.or(hash),
        given_id: body.order_id,
        name,
    })
}

/// The channels to try, of those that are listed and have an address.
fn channels(body: &OrderSendRequest, is_strict: bool) -> Result<Vec<Channel>, Error> {
    let (has_phone, has_email) = (body.phone_number.is_some(), body.email.is_some());
    let wrong = || if has_phone { Error::PhoneChannel } else { Error::EmailChannel };
    let names =
        body.channel.as_deref().unwrap_or("SMS").split(',').map(|name| name.trim_matches(' '));
    let names = names.flat_map(|name| match name {
        all if all.eq_ignore_ascii_case("ALL") => vec!["SMS", "EMAIL"],
        name => vec![name],
    });
    let channels = otpless::channels(names, is_strict).ok_or_else(wrong)?;
    if !has_phone {
        return Ok(vec![Channel::Email]);
    }
    let has_address = |channel: &Channel| *channel == Channel::Sms || has_email;
    let channels: Vec<_> = channels.into_iter().filter(has_address).collect();
    if channels.is_empty() { Err(wrong()) } else { Ok(channels) }
}

fn other_address() -> Error {
    Error::Parameters("`orderId` belongs to another address".to_owned())
}

fn field_error(field: &str) -> Option<Error> {
    match field {
        "phoneNumber" => Some(Error::Phone),
        "email" => Some(Error::Email),
        "otpLength" => Some(Error::Length),
        "expiry" => Some(Error::Expiry),
        "hash" | "otpHash" => Some(Error::AppHash),
        "templateId" => Some(Error::Template),
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
