//! `POST /auth/otp/v1/send`: the older generation's send. The caller may name its order; the same
//! order sent again is the same message.

mod boot;

pub use boot::{Adapters, boot};
use lambda_http::http::StatusCode;
use passcode_domain::{
    App, Channel,
    open::Open,
    order::{self, OrderId},
    ports::{
        Clock, EmailCourier, Entropy, LoadApps, LoadKeyring, LoadLedgers, SmsCourier, StoreLedgers,
        Throttle,
    },
    send::{self, Couriers, Delivery, Refusal as Refused, Sent, Target, Wish},
    transact::Ports,
};
use passcode_http::{
    Answer, Record, Request,
    contract::{
        otpless::{self, EmailField, ErrorBody, Refusal, addresses},
        otpless_order::{self, OrderRef, OrderResponse, order_id},
    },
    filled, told_ip, whole, with_client_ip, with_idempotency,
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
    /// `SMS`, `EMAIL` or `ALL`; an e-mail address alone is reached by e-mail whatever stands here.
    #[schema(default = "SMS", example = "SMS", pattern = "^(SMS|EMAIL|ALL)?$")]
    #[serde(default, deserialize_with = "filled")]
    channel: Option<String>,
    /// Digits of the code: 4 or 6.
    #[schema(value_type = Option<u8>, minimum = 4, maximum = 6, multiple_of = 2, default = 6, example = 6)]
    #[serde(default, deserialize_with = "whole")]
    otp_length: Option<u64>,
    /// Seconds that the code lives: at least 30, and at most 600 of it count.
    #[schema(minimum = 30, maximum = 86400, example = 300)]
    #[serde(default, deserialize_with = "whole")]
    expiry: Option<u32>,
    /// What the Android app is recognised by: 11 characters at the end of the text message.
    #[schema(example = "FA+9qCX9VSu", pattern = "^([A-Za-z0-9+/]{11})?$")]
    #[serde(default, deserialize_with = "filled")]
    hash: Option<String>,
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
    L: LoadLedgers + StoreLedgers + Throttle,
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
    let order = match parse(body, &app) {
        Ok(order) => order.for_ip(told_ip(&request)),
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
                otpless::deliver(delivery, record, deps.clock.now(), |_, record| told(record))
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

impl Order {
    fn for_ip(self, ip: Option<IpAddr>) -> Self {
        Self { wish: Wish { ip, ..self.wish }, ..self }
    }
}

fn parse(body: OrderSendRequest, app: &App) -> Result<Order, Refusal> {
    let has_both = body.phone_number.is_some() && body.email.is_some();
    let is_phone = match (body.channel.as_deref(), body.phone_number.is_some()) {
        (None | Some("SMS" | "ALL"), is_phone) => is_phone,
        (Some("EMAIL"), is_phone) if has_both || !is_phone => false,
        (Some(_), true) => return Err(Refusal::PhoneChannel),
        (Some(_), false) => return Err(Refusal::EmailChannel),
    };
    let first = if is_phone { Channel::Sms } else { Channel::Email };
    let phone = otpless_order::international(body.phone_number);
    let addresses = addresses(phone, body.email.as_deref(), first)?;
    let length = otpless::otp_length(body.otp_length)?;
    let expiry = otpless::send_expiry(body.expiry)?;
    if body.hash.as_ref().is_some_and(|hash| !is_app_hash(hash)) {
        return Err(Refusal::AppHash);
    }
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
    let mut channels = vec![first];
    let other = if is_phone { Channel::Email } else { Channel::Sms };
    if body.channel.as_deref() == Some("ALL") && addresses.on(other).is_some() {
        channels.push(other);
    }
    Ok(Order {
        wish: Wish { channels, length, code_seconds: expiry, locale: None, ip: None },
        addresses,
        life: Duration::from_secs(expiry.unwrap_or(otpless::DEFAULT_EXPIRY).into()),
        template: body.template_id,
        app_hash: body.hash,
        given_id: body.order_id,
        name,
    })
}

/// Android's SMS retriever: 11 characters of base64.
fn is_app_hash(text: &str) -> bool {
    text.len() == 11 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b))
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
        "hash" => Some(Refusal::AppHash),
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
