//! `POST /v1/otp`: a code goes out to a user. While an OTP waits for its code, another call for the
//! same address is a resend of it.

mod boot;

pub use boot::boot;
use passcode_domain::{
    Addresses, App, Lookup, UserId, World,
    action::{
        open::Open,
        send::{self, SendTarget, SendWorld},
    },
    ports::{Clock as _, LoadKeyring, LoadUsers, ReadTokens},
};
use passcode_http::{
    Answer, Begun, Record, Request, forwarded_origin, with_client_ip, with_idempotency,
};
use serde::Deserialize;
use utoipa::{OpenApi, ToSchema};
use zap_contract::{self as zap, Error, ErrorBody, LIFE, Recipient, SendOutcome, SuccessBody};

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
pub async fn handle<W>(world: &W, request: &Request, record: &mut Record) -> Result<Answer, Error>
where
    W: SendWorld<Users: LoadUsers, Tokens: ReadTokens, Keyring: LoadKeyring>,
{
    let (app, body) = zap::accept(world, request, record).await?;
    let origin = forwarded_origin(request)?;
    let recipients = recipients(world, body, &app).await?;
    let keyring = world.keyring().keyring().await?;
    let pending = match zap::idempotent(request, &app).begin(world, &keyring, record).await? {
        Begun::Proceed(pending) => pending,
        Begun::Answered(answer) => return Ok(answer),
    };
    let (app, keyring, known) = (&app, &keyring, record.clone());
    let generate = |Recipient { field, address }| {
        let record = known.clone();
        async move {
            let options = zap::send_options(&address, origin);
            let addresses = Addresses::new(address, None);
            let open = Open::new(app, keyring, world.entropy(), addresses, LIFE);
            let open = open.found_by(Lookup::Identity);
            let target = SendTarget::Identity(&open, app);
            let sent = send::send(world, keyring, target, &options).await;
            SendOutcome::of(field, sent, record, keyring, world.clock().now())
        }
    };
    let sent = zap::send_all(recipients, "OTP Generated", keyring, record, generate);
    let answer: Result<Answer, Error> = Ok(Box::pin(sent).await);
    Ok(pending.settle(world, answer, record).await)
}

/// Whom the code goes to.
async fn recipients<W>(world: &W, body: GenerateRequest, app: &App) -> Result<Vec<Recipient>, Error>
where
    W: World<Users: LoadUsers>,
{
    let user = body.user_id.parse::<UserId>();
    let user = user.map_err(|_| Error::malformed("userId", "no user id"))?;
    let named = zap::recipients(body.email.as_deref(), body.phone_number.as_deref())?;
    if !named.is_empty() {
        return Ok(named);
    }
    let user = world.users().load_user(&app.id, &user).await?;
    let address = user.and_then(|user| zap::registered(user).into_iter().next());
    let nobody = || Error::malformed("userId", "nobody with a registered address");
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
