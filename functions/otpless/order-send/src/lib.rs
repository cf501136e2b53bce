//! `POST /auth/otp/v1/send`: the older generation's send. The caller may name its order; the same
//! order sent again is the same message.

mod boot;

pub use boot::{Adapters, boot};
use lambda_http::http::StatusCode;
use otpless_contract::order::{self as otpless_order, OrderRef, OrderResponse, order_id};
use otpless_contract::{
    self as otpless, EmailField, ErrorBody, LengthField, Refusal, SendExpiryField, addresses,
};
use passcode_domain::{
    App, Channel,
    open::Open,
    order::{self, OrderId},
    ports::{
        Clock, CountGauges, EmailCourier, Entropy, LoadApps, LoadGauges, LoadKeyring, LoadLedgers,
        SmsCourier, StoreLedgers,
    },
    send::{self, Couriers, Delivery, Refusal as Refused, Sent, Target, Wish},
    transact::Ports,
};
use passcode_http::{
    Answer, Caller, Record, Request, filled, told_ip, whole, with_client_ip, with_idempotency,
};
use serde::Deserialize;
use std::{net::IpAddr, time::Duration};
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
        (status = 401, description = "7002, 7012 or 7019", body = ErrorBody),
        (status = 429, description = "7022: failures or open requests", body = ErrorBody),
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
    let accepted = otpless::accept::<OrderSendRequest>(&request, &deps.apps, own_row).await;
    let (app, record, body) = match accepted {
        Ok(accepted) => accepted,
        Err(answer) => return answer,
    };
    let keyring = match deps.keyring.keyring().await {
        Ok(keyring) => keyring,
        Err(cause) => return otpless::keyless(&cause, record),
    };
    let order = told_ip(&request).map_err(Refusal::from).and_then(|ip| parse(body, &app, ip));
    let order = match order {
        Ok(order) => order,
        Err(refusal) => return refusal.answer(record),
    };
    let ports = Ports { ledgers: &deps.ledgers, clock: &deps.clock, entropy: &deps.entropy };
    let work = async {
        let open = Open::new(&app, &keyring, &deps.entropy, order.addresses, order.life);
        let open = open.with_template(order.template).with_app_hash(order.app_hash);
        let open = match &order.name {
            None => open,
            Some(name) => {
                match order::place(ports, &keyring, &app, name, open.id, order.life).await {
                    Ok(id) if id.subject() == open.id.subject() => open.with_id(id),
                    Ok(_) => return other_address().answer(record),
                    Err(failure) => return otpless::failed(&failure, record),
                }
            }
        };
        let order_id = order.given_id.unwrap_or_else(|| order_id(open.id));
        let told = |record| Answer::json(StatusCode::OK, &OrderResponse { order_id }, record);
        let record = record.challenge(open.id);
        let couriers = Couriers { sms: &deps.sms, email: &deps.email };
        let target = Target::Ordered(&open, &app);
        match send::send(ports, &keyring, &deps.apps, couriers, target, &order.wish).await {
            Ok(Delivery { sent: Sent::Refused(Refused::AlreadySent), .. }) => {
                told(Record { outcome: "already sent", ..record })
            }
            Ok(delivery) => {
                let (caller, now) = (Caller::WithCredentials, deps.clock.now());
                otpless::deliver(caller, delivery, record, now, |_, record| told(record))
            }
            Err(failure) => otpless::failed(&failure, record),
        }
    };
    otpless::idempotent(&request, Some(&app), None).run(&keyring, ports, work).await
}

/// A send, as it is asked for.
struct Order {
    addresses: passcode_domain::Addresses,
    wish: Wish,
    life: Duration,
    template: Option<String>,
    app_hash: Option<String>,
    /// The caller's own name for it, as given and as read.
    given_id: Option<String>,
    name: Option<OrderId>,
}

fn parse(body: OrderSendRequest, app: &App, ip: Option<IpAddr>) -> Result<Order, Refusal> {
    let channels = channels(&body, app.strict_channels)?;
    let first = channels.first().copied().unwrap_or(Channel::Sms);
    let phone = otpless_order::international(body.phone_number);
    let addresses = addresses(phone, body.email.as_deref(), first)?;
    let length = otpless::otp_length(body.otp_length)?;
    let expiry = otpless::send_expiry(body.expiry)?;
    let (hash, otp_hash) = (otpless::app_hash(body.hash)?, otpless::app_hash(body.otp_hash)?);
    if body.template_id.as_ref().is_some_and(|id| !app.templates.contains_key(id)) {
        return Err(Refusal::Template);
    }
    let name = match body.order_id.as_deref().map(OrderRef::parse).transpose()? {
        None => None,
        Some(OrderRef::Own(name)) => Some(name),
        Some(OrderRef::Made(_)) => {
            return Err(Refusal::Parameters(
                "`orderId` is one of ours; choose your own".to_owned(),
            ));
        }
    };
    Ok(Order {
        wish: Wish { channels, length, code_seconds: expiry, ip, ..Wish::default() },
        addresses,
        life: Duration::from_secs(expiry.unwrap_or(otpless::DEFAULT_EXPIRY).into()),
        template: body.template_id,
        app_hash: otp_hash.or(hash),
        given_id: body.order_id,
        name,
    })
}

/// The channels to try, of those that are listed and have an address.
fn channels(body: &OrderSendRequest, is_strict: bool) -> Result<Vec<Channel>, Refusal> {
    let (has_phone, has_email) = (body.phone_number.is_some(), body.email.is_some());
    let wrong = if has_phone { Refusal::PhoneChannel } else { Refusal::EmailChannel };
    let names =
        body.channel.as_deref().unwrap_or("SMS").split(',').map(|name| name.trim_matches(' '));
    let names = names.flat_map(|name| match name {
        all if all.eq_ignore_ascii_case("ALL") => vec!["SMS", "EMAIL"],
        name => vec![name],
    });
    let channels = otpless::channels(names, is_strict).ok_or_else(|| wrong.clone())?;
    if !has_phone {
        return Ok(vec![Channel::Email]);
    }
    let has_address = |channel: &Channel| *channel == Channel::Sms || has_email;
    let channels: Vec<_> = channels.into_iter().filter(has_address).collect();
    if channels.is_empty() { Err(wrong) } else { Ok(channels) }
}

fn other_address() -> Refusal {
    Refusal::Parameters("`orderId` belongs to another address".to_owned())
}

fn own_row(field: &str) -> Option<Refusal> {
    match field {
        "phoneNumber" => Some(Refusal::Phone),
        "email" => Some(Refusal::Email),
        "otpLength" => Some(Refusal::Length),
        "expiry" => Some(Refusal::Expiry),
        "hash" | "otpHash" => Some(Refusal::AppHash),
        "templateId" => Some(Refusal::Template),
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
