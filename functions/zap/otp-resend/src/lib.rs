//! `POST /v1/otp/resend`: the next code of an OTP goes out. The code before it stops working, spent
//! attempts stay spent.

mod boot;

pub use boot::boot;
use passcode_domain::{
    Address, App, SubjectKey, Username, World,
    action::send::{self, SendTarget, SendWorld},
    ports::{Clock as _, LoadKeyring, LoadUsers, ReadTokens},
};
use passcode_http::{
    Answer, Begun, Record, Request, Way, forwarded_origin, with_choice, with_client_ip,
    with_idempotency,
};
use serde::Deserialize;
use utoipa::{OpenApi, ToSchema};
use zap_contract::{self as zap, Error, ErrorBody, Recipient, SendOutcome, SuccessBody};

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
pub async fn handle<W>(world: &W, request: &Request, record: &mut Record) -> Result<Answer, Error>
where
    W: SendWorld<Users: LoadUsers, Tokens: ReadTokens, Keyring: LoadKeyring>,
{
    let (app, body) = zap::accept(world, request, record).await?;
    let origin = forwarded_origin(request)?;
    let places = places(world, body, &app).await?;
    let keyring = world.keyring().keyring().await?;
    let pending = match zap::idempotent(request, &app).begin(world, &keyring, record).await? {
        Begun::Proceed(pending) => pending,
        Begun::Answered(answer) => return Ok(answer),
    };
    let (app, keyring, known) = (&app, &keyring, record.clone());
    let resend = |(field, addresses): Place| {
        let record = known.clone();
        async move {
            let mut outcome = SendOutcome::nothing_open(field, record.clone());
            for address in addresses {
                let subject = SubjectKey::of_address(keyring, &app.id, &address);
                let options = zap::send_options(&address, origin);
                let target = SendTarget::Named(subject, app);
                let sent = send::send(world, keyring, target, &options).await;
                let now = world.clock().now();
                outcome = SendOutcome::of(field, sent, record.clone(), keyring, now);
                if !outcome.is_nothing_open() {
                    break;
                }
            }
            outcome
        }
    };
    let sent = zap::send_all(places, "OTP ReSent", keyring, record, resend);
    let answer: Result<Answer, Error> = Ok(Box::pin(sent).await);
    Ok(pending.settle(world, answer, record).await)
}

/// A field, and the addresses at which its OTP may be open, in order.
type Place = (&'static str, Vec<Address>);

/// Whose OTPs are sent again.
async fn places<W>(world: &W, body: ResendRequest, app: &App) -> Result<Vec<Place>, Error>
where
    W: World<Users: LoadUsers>,
{
    let named = zap::recipients(body.email.as_deref(), body.phone_number.as_deref())?;
    let Some(name) = body.username else {
        let missing = "one of `email`, `phoneNumber` and `username` is required";
        let place = |Recipient { field, address }| (field, vec![address]);
        let places: Vec<_> = named.into_iter().map(place).collect();
        return if places.is_empty() { Err(Error::Request(missing.into())) } else { Ok(places) };
    };
    if !named.is_empty() {
        let either = "give either `username` or an address, not both";
        return Err(Error::Request(either.into()));
    }
    let name = name.parse::<Username>();
    let name = name.map_err(|_| Error::malformed("username", "no username"))?;
    Ok(vec![("username", zap::registered_of(world, &app.id, &name).await?)])
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
