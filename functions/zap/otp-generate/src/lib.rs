//! `POST /v1/otp`: a code goes out to a user. While an OTP waits for its code, another call for the
//! same address is a resend of it.

mod boot;

pub use boot::boot;
use passcode_domain::{
    Addresses, App, AppId,
    challenge::Lookup,
    open::Open,
    ports::{
        Clock, CountGauges, EmailCourier, Entropy, LoadApps, LoadGauges, LoadKeyring, LoadLedgers,
        LoadUsers, ReadTokens, SmsCourier, StoreLedgers,
    },
    send::{self, Couriers, Target},
    transact::Ports,
    user::UserId,
};
use passcode_http::{Answer, Record, Request, told_ip, with_client_ip, with_idempotency};
use serde::Deserialize;
use utoipa::{OpenApi, ToSchema};
use zap_contract::{self as zap, ErrorBody, LIFE, Recipient, Refusal, SuccessBody, Told};

/// The function, and its package.
pub const NAME: &str = env!("CARGO_PKG_NAME");

/// For whom, and where the code shall go. With both addresses, each gets an OTP of its own; without
/// any, the code goes to the user's registered one, e-mail first.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ZapGenerateRequest)]
pub struct GenerateRequest {
    /// The user; also spelt `UserId`. Nothing of it is kept.
    #[serde(alias = "UserId")]
    #[schema(example = "63fcedad5ab92b52bfbf5125", pattern = "^[!-~]+$", max_length = 255)]
    user_id: String,
    /// The e-mail address.
    #[schema(example = "adminuser@zap.com", format = "email", max_length = 320)]
    email: Option<String>,
    /// The phone number, with `+` and its country code.
    #[schema(
        example = "+2348011111111",
        pattern = "^\\+[ .()-]*([0-9][ .()-]*){7,}$",
        max_length = 33
    )]
    phone_number: Option<String>,
}

/// Serves one request, with the slash at the end of its path or without.
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
    let accepted = zap::accept::<GenerateRequest>(
        &request,
        &deps.apps,
        &deps.tokens,
        default,
        deps.clock.now(),
    );
    let (app, record, body) = match accepted.await {
        Ok(accepted) => accepted,
        Err(answer) => return answer,
    };
    let ip = match told_ip(&request) {
        Ok(ip) => ip,
        Err(error) => return Refusal::from(error).answer(record),
    };
    let recipients = match recipients(body, &app, &deps.users, &record).await {
        Ok(recipients) => recipients,
        Err(answer) => return answer,
    };
    let keyring = match deps.keyring.keyring().await {
        Ok(keyring) => keyring,
        Err(cause) => return zap::keyless(&cause, record),
    };
    let ports = Ports { ledgers: &deps.ledgers, clock: &deps.clock, entropy: &deps.entropy };
    let (app, keyring, record) = (&app, &keyring, &record);
    let generate = |Recipient { field, address }| async move {
        let (wish, addresses) = (zap::wish(&address, ip), Addresses::new(address, None));
        let open = Open::new(app, keyring, &deps.entropy, addresses, LIFE);
        let open = open.found_by(Lookup::Identity);
        let couriers = Couriers { sms: &deps.sms, email: &deps.email };
        let target = Target::Identity(&open, app);
        let sent = send::send(ports, keyring, &deps.apps, couriers, target, &wish).await;
        Told::of(field, sent, record.clone(), deps.clock.now())
    };
    let work = zap::send_all(recipients, "OTP Generated", generate);
    zap::idempotent(&request, app).run(keyring, ports, work).await
}

/// Whom the code goes to.
async fn recipients(
    body: GenerateRequest,
    app: &App,
    users: &impl LoadUsers,
    record: &Record,
) -> Result<Vec<Recipient>, Answer> {
    let refused = |refusal: Refusal| refusal.answer(record.clone());
    let user: UserId =
        body.user_id.parse().map_err(|_| refused(Refusal::malformed("userId", "no user id")))?;
    let named = zap::recipients(body.email.as_deref(), body.phone_number.as_deref());
    let named = named.map_err(refused)?;
    if !named.is_empty() {
        return Ok(named);
    }
    let user = users.load_user(&app.id, &user).await;
    let user = user.map_err(|error| zap::userless(&error, record.clone()))?;
    let address = user.and_then(|user| zap::registered(user).into_iter().next());
    let nobody = || refused(Refusal::malformed("userId", "nobody with a registered address"));
    Ok(vec![Recipient { field: "userId", address: address.ok_or_else(nobody)? }])
}

/// As the page of the contract has it, with a slash.
#[utoipa::path(
    post,
    path = "/v1/otp/",
    operation_id = "zap-otp-generate-slash",
    tag = "ZAP",
    summary = "Send a user a code",
    request_body = GenerateRequest,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "A courier took the message", body = SuccessBody, headers(
            ("Passcode-Challenge-Id" = String, description = "The OTP's challenge, as `ARID_…`; with both addresses, the e-mail's first, then a comma"),
        )),
        (status = 400, description = "A missing or malformed field, a user without an address, or no JSON", body = ErrorBody),
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
#[expect(dead_code, reason = "documents one of the two routes that `handle` serves")]
const fn with_slash() {}

/// Without the slash.
#[utoipa::path(
    post,
    path = "/v1/otp",
    operation_id = "zap-otp-generate",
    tag = "ZAP",
    summary = "Send a user a code",
    request_body = GenerateRequest,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "A courier took the message", body = SuccessBody, headers(
            ("Passcode-Challenge-Id" = String, description = "The OTP's challenge, as `ARID_…`; with both addresses, the e-mail's first, then a comma"),
        )),
        (status = 400, description = "A missing or malformed field, a user without an address, or no JSON", body = ErrorBody),
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
#[expect(dead_code, reason = "documents one of the two routes that `handle` serves")]
const fn without_slash() {}

#[derive(OpenApi)]
#[openapi(paths(with_slash, without_slash))]
struct Api;

/// The endpoint's part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    with_client_ip(with_idempotency(Api::openapi(), "ZapError"))
}
