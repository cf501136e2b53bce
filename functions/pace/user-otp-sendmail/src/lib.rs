//! `POST /user/otp/sendmail`: a code is mailed to the user. A second call while that code is good is
//! a resend.

mod boot;

pub use boot::boot;
use lambda_http::http::StatusCode;
use pace_contract::{self as pace, Caller, Endpoint, Error, PaceErrors};
use passcode_domain::{
    Address, Addresses, Channel, EmailAddress, Keyring, Lookup,
    action::{
        open::Open,
        send::{self, SendOptions, SendTarget, SendWorld, Sent},
    },
    ports::{Clock as _, Entropy, LoadKeyring, LoadUsers, ReadTokens},
};
use passcode_http::{
    Answer, Begun, Caller as Shown, RETRY, Record, RefusedSend, Request, with_idempotency_in,
};
use std::time::Duration;
use utoipa::OpenApi;

/// The function, and its package.
pub const NAME: &str = env!("CARGO_PKG_NAME");

const ENDPOINT: Endpoint = Endpoint { scopes: &["user:otp:create"], offers: &pace::JSON };

/// How long a code can be sent anew before the next one is another challenge's.
const LIFE: Duration = Duration::from_mins(15);

/// Serves one request.
#[utoipa::path(
    post,
    path = "/user/otp/sendmail",
    operation_id = "pace-user-otp-sendmail",
    tag = "PACE",
    summary = "Mail a code to the user",
    security(("bearer" = ["user:otp:create"])),
    responses(
        (status = 204, description = "Mailed; or there is nobody to mail it to, which is not told"),
        (status = 401, description = "`unauthorized`, `insufficient-scope`, `missing-linked-identity` or `app-blocked`", body = PaceErrors, content_type = "application/vnd.api+json",
            headers(("WWW-Authenticate" = String, description = "What the token lacks"))),
        (status = 404, description = "No app has this host, or it has no issuer", body = PaceErrors, content_type = "application/vnd.api+json"),
        (status = 406, description = "`Accept` admits neither JSON nor JSON:API", body = PaceErrors, content_type = "application/vnd.api+json"),
        (status = 422, description = "`invalid-request`: a malformed `Idempotency-Key`; or `idempotency-key-reused`: it came with another body", body = PaceErrors, content_type = "application/vnd.api+json"),
        (status = 429, description = "Too soon, too often, or too many wrong codes", body = PaceErrors, content_type = "application/vnd.api+json",
            headers(("Retry-After" = u64, description = "Seconds until it is possible again"))),
        (status = 500, description = "No message, or one whose fate is unknown; try again", body = PaceErrors, content_type = "application/vnd.api+json",
            headers(("Retry-After" = u64, description = "Seconds to wait"))),
    )
)]
pub async fn handle<W>(world: &W, request: &Request, record: &mut Record) -> Result<Answer, Error>
where
    W: SendWorld<Users: LoadUsers, Tokens: ReadTokens, Keyring: LoadKeyring>,
{
    let caller = pace::admit(world, request, record, &ENDPOINT).await?;
    let keyring = world.keyring().keyring().await?;
    let pending = match caller.idempotent().begin(world, &keyring, record).await? {
        Begun::Proceed(pending) => pending,
        Begun::Answered(answer) => return Ok(answer),
    };
    let sent = Box::pin(send(world, &caller, &keyring, record)).await;
    let answered = sent.map(|()| Answer::empty(StatusCode::NO_CONTENT));
    Ok(pending.settle(world, answered, record).await)
}

async fn send<W>(
    world: &W,
    caller: &Caller<'_>,
    keyring: &Keyring,
    record: &mut Record,
) -> Result<(), Error>
where
    W: SendWorld<Users: LoadUsers>,
{
    let user = world.users().load_user(&caller.app.id, &caller.user).await?;
    let email = user.and_then(|user| user.email);
    let (open, options) = plan(caller, email, keyring, world.entropy());
    let target = SendTarget::Identity(&open, &caller.app);
    let delivery = send::send(world, keyring, target, &options).await?;
    record.delivery(&delivery, keyring);
    match delivery.sent {
        // As if it had gone out; the log alone knows better.
        Sent::Sent(..) | Sent::ToTestAddress(..) | Sent::Concealed(..) => Ok(()),
        Sent::Refused(refusal) => {
            let (at, caller) = (world.clock().now(), Shown::WithCredentials);
            Err(Error::Send(RefusedSend { refusal, at, caller }, LIFE))
        }
        Sent::AppBlocked => Err(Error::Blocked),
        Sent::Undeliverable(cause) => Err(Error::Unavailable(RETRY, cause)),
        Sent::Unknown(_, cool_down, cause) => Err(Error::Unavailable(cool_down, cause)),
    }
}

/// The challenge about the user, and the channel to the registered mailbox. Without one, everything
/// but the message happens all the same.
fn plan(
    caller: &Caller<'_>,
    email: Option<EmailAddress>,
    keyring: &Keyring,
    entropy: &impl Entropy,
) -> (Open, SendOptions) {
    let channels = email.iter().map(|_| Channel::Email).collect();
    let options = SendOptions { channels, ..SendOptions::default() };
    let is_reachable = email.is_some();
    let user = Address::User(caller.user.clone());
    let addresses = Addresses::new(user, email.map(Address::Email));
    let open = Open::new(&caller.app, keyring, entropy, addresses, LIFE);
    let open = open.found_by(Lookup::Identity);
    (if is_reachable { open } else { open.concealed() }, options)
}

#[derive(OpenApi)]
#[openapi(paths(handle))]
struct Api;

/// The endpoint's part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    with_idempotency_in(Api::openapi(), "PaceErrors", pace::MEDIA)
}
