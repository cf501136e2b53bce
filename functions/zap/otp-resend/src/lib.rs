//! `POST /v1/otp/resend`: the next code of an OTP goes out. The code before it stops working, spent
//! attempts stay spent.

mod boot;

pub use boot::boot;
use passcode_domain::{
    Address, App, AppId, SubjectKey,
    ports::{
        Clock, CountGauges, EmailCourier, Entropy, LoadApps, LoadGauges, LoadKeyring, LoadLedgers,
        LoadUsers, ReadTokens, SmsCourier, StoreLedgers,
    },
    send::{self, Couriers, Target},
    transact::Ports,
    user::Username,
};
use passcode_http::{
    Answer, Record, Request, Way, told_ip, with_choice, with_client_ip, with_idempotency,
};
use serde::Deserialize;
use utoipa::{OpenApi, ToSchema};
use zap_contract::{self as zap, ErrorBody, Recipient, Refusal, SuccessBody, Told};

/// The function, and its package.
pub const NAME: &str = env!("CARGO_PKG_NAME");

/// Whose OTP: an e-mail address, a phone number, both, or the name of a user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ZapResendRequest)]
pub struct ResendRequest {
    /// The e-mail address that the OTP was generated for.
    #[schema(example = "adminuser@zap.com", format = "email", max_length = 320)]
    email: Option<String>,
    /// The phone number that the OTP was generated for.
    #[schema(
        example = "+2348011111111",
        pattern = "^\\+[ .()-]*([0-9][ .()-]*){7,}$",
        max_length = 33
    )]
    phone_number: Option<String>,
    /// The user at whose registered address an OTP is open, e-mail first. Instead of the others.
    #[schema(example = "ada", pattern = "^[!-*,-?A-~][!-?A-~]*$", max_length = 64)]
    username: Option<String>,
}

/// Serves one request.
#[utoipa::path(
    post,
    path = "/v1/otp/resend",
    operation_id = "zap-otp-resend",
    tag = "ZAP",
    summary = "Send the next code",
    request_body = ResendRequest,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "A courier took each message", body = SuccessBody, headers(
            ("Passcode-Challenge-Id" = String, description = "The OTP's challenge, as `ARID_…`; with both addresses, the e-mail's first, then a comma"),
        )),
        (status = 400, description = "A missing or malformed field, no OTP that is open there, or no JSON", body = ErrorBody),
        (status = 401, description = "No administrator's key or token", body = ErrorBody, headers(
            ("WWW-Authenticate" = String, description = "`Bearer`"),
        )),
        (status = 403, description = "A token without the scope `otp:admin`, or a blocked app", body = ErrorBody, headers(
            ("WWW-Authenticate" = String, description = "The scope, where it is missing"),
        )),
        (status = 429, description = "Cool-down, send count, failures or open OTPs of an address", body = ErrorBody, headers(
            ("Retry-After" = u64, description = "Seconds"),
        )),
        (status = 500, description = "No message, or one whose fate is unknown; try again", body = ErrorBody, headers(
            ("Retry-After" = u64, description = "Seconds"),
        )),
    )
)]
pub async fn handle<A, U, T, L, K, C, E, S, M>(
    deps: &Deps<A, U, T, L, K, C, E, S, M>,
    request: Request,
) -> Answer
where
    A: LoadApps,
    U: LoadUsers,
    T: ReadTokens,
    L: LoadLedgers + StoreLedgers + LoadGauges + CountGauges,
    K: LoadKeyring,
    C: Clock,
    E: Entropy,
    S: SmsCourier,
    M: EmailCourier,
{
    let default = deps.default_app.as_ref();
    let accepted =
        zap::accept::<ResendRequest>(&request, &deps.apps, &deps.tokens, default, deps.clock.now());
    let (app, record, body) = match accepted.await {
        Ok(accepted) => accepted,
        Err(answer) => return answer,
    };
    let ip = match told_ip(&request) {
        Ok(ip) => ip,
        Err(error) => return Refusal::from(error).answer(record),
    };
    let places = match places(body, &app, &deps.users, &record).await {
        Ok(places) => places,
        Err(answer) => return answer,
    };
    let keyring = match deps.keyring.keyring().await {
        Ok(keyring) => keyring,
        Err(cause) => return zap::keyless(&cause, record),
    };
    let ports = Ports { ledgers: &deps.ledgers, clock: &deps.clock, entropy: &deps.entropy };
    let (app, keyring, record) = (&app, &keyring, &record);
    let resend = |(field, addresses): Place| async move {
        let mut told = Told::nothing_open(field, record.clone());
        for address in addresses {
            let subject = SubjectKey::of_address(keyring, &app.id, &address);
            let couriers = Couriers { sms: &deps.sms, email: &deps.email };
            let (target, wish) = (Target::Named(subject, app), zap::wish(&address, ip));
            let sent = send::send(ports, keyring, &deps.apps, couriers, target, &wish).await;
            told = Told::of(field, sent, record.clone(), deps.clock.now());
            if !told.is_nothing_open() {
                break;
            }
        }
        told
    };
    let work = zap::send_all(places, "OTP ReSent", resend);
    zap::idempotent(&request, app).run(keyring, ports, work).await
}

/// A field, and the addresses at which its OTP may be open, in order.
type Place = (&'static str, Vec<Address>);

/// Whose OTPs are sent again.
async fn places(
    body: ResendRequest,
    app: &App,
    users: &impl LoadUsers,
    record: &Record,
) -> Result<Vec<Place>, Answer> {
    let refused = |refusal: Refusal| refusal.answer(record.clone());
    let named = zap::recipients(body.email.as_deref(), body.phone_number.as_deref());
    let named = named.map_err(refused)?;
    let Some(name) = body.username else {
        let missing = "one of `email`, `phoneNumber` and `username` is required";
        let place = |Recipient { field, address }| (field, vec![address]);
        let places: Vec<_> = named.into_iter().map(place).collect();
        let missing = || refused(Refusal::Request(missing.into()));
        return if places.is_empty() { Err(missing()) } else { Ok(places) };
    };
    if !named.is_empty() {
        let either = "give either `username` or an address, not both";
        return Err(refused(Refusal::Request(either.into())));
    }
    let malformed = |_| refused(Refusal::malformed("username", "no username"));
    let name: Username = name.parse().map_err(malformed)?;
    let addresses = zap::registered_of(&app.id, users, &name).await;
    let addresses = addresses.map_err(|error| zap::userless(&error, record.clone()))?;
    Ok(vec![("username", addresses)])
}

#[derive(OpenApi)]
#[openapi(paths(handle))]
struct Api;

/// The endpoint's part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let ways: [Way<'_>; 3] = [
        ("email", &["username"]),
        ("phoneNumber", &["username"]),
        ("username", &["email", "phoneNumber"]),
    ];
    let api = with_choice(Api::openapi(), "ZapResendRequest", &ways);
    with_client_ip(with_idempotency(api, "ZapError"))
}
