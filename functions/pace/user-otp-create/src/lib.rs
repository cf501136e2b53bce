//! `POST /user/otp`: a PIN or a password for a code. The code is handed to the caller, who presents
//! it, or lets another service of the company present it, as proof of the user's consent. The same
//! request under the same `Idempotency-Key` is told the same code, while that is good.

mod boot;
mod secret;

pub use boot::boot;
use lambda_http::http::{HeaderValue, StatusCode};
use pace_contract::{self as pace, Caller, Endpoint, Error, PaceErrors};
use passcode_domain::{
    Address, Addresses, Channel, Keyring, Lookup, World,
    action::{
        issue::{self, Issued, IssuedCode},
        open::Open,
    },
    ports::{Clock as _, LoadApps, LoadKeyring, LoadLedgers, LoadUsers, ReadTokens, StoreLedgers},
    secret::password::HashedSecret,
};
use passcode_http::{
    AGAIN, Answer, Begun, Idempotent, Media, Record, Request, id, with_choice, with_idempotency_in,
};
use secret::Presented;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::{OpenApi, ToSchema};

/// The function, and its package.
pub const NAME: &str = env!("CARGO_PKG_NAME");

const ENDPOINT: Endpoint = Endpoint { scopes: &["user:otp:create"], offers: &pace::JSON };

/// What the user proves to be the user with: at least one of them, of which one has to be right.
#[derive(Deserialize, ToSchema)]
pub struct UserOtpRequest {
    /// The user's PIN. It is looked at second.
    #[schema(example = "1793", max_length = 1024)]
    pin: Option<String>,
    /// The user's password. It is looked at first.
    #[schema(example = "correct horse battery staple", max_length = 1024)]
    password: Option<String>,
}

/// A code, the user's only one from now on.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserOtpResponse {
    /// The digits.
    #[schema(example = "526271")]
    otp: String,
    /// When it ends.
    #[schema(example = "2026-11-20T09:10:00.000Z", format = DateTime)]
    expires_at: String,
}

/// Serves one request.
#[utoipa::path(
    post,
    path = "/user/otp",
    operation_id = "pace-user-otp-create",
    tag = "PACE",
    summary = "Get a code for a PIN or a password",
    request_body = UserOtpRequest,
    security(("bearer" = ["user:otp:create"])),
    responses(
        (status = 201, description = "A code; the one before no longer works", body = UserOtpResponse,
            headers(("Passcode-Challenge-Id" = String, description = "The challenge, for a service that verifies the code by id"))),
        (status = 401, description = "`unauthorized`, `insufficient-scope`, `missing-linked-identity` or `app-blocked`",
            body = PaceErrors, content_type = "application/vnd.api+json",
            headers(("WWW-Authenticate" = String, description = "What the token lacks"))),
        (status = 404, description = "No app has this host, or it has no issuer", body = PaceErrors, content_type = "application/vnd.api+json"),
        (status = 406, description = "`Accept` admits neither JSON nor JSON:API", body = PaceErrors, content_type = "application/vnd.api+json"),
        (status = 409, description = "`idempotency-conflict`: the same request under this `Idempotency-Key` is being served; or, without `Retry-After`, its code is good no more",
            body = PaceErrors, content_type = "application/vnd.api+json", headers(("Retry-After" = u64, description = "Seconds to wait"))),
        (status = 415, description = "The body is not `application/json`", body = PaceErrors, content_type = "application/vnd.api+json"),
        (status = 422, description = "`invalid-request`; or `invalid-secret`, which spends one of the user's failures; or `idempotency-key-reused`: this `Idempotency-Key` came with another body", body = PaceErrors, content_type = "application/vnd.api+json"),
        (status = 429, description = "Too many wrong secrets: a pause, with `Retry-After`; or, without it, the PIN or password is locked until an administrator unlocks it or a mailed code of the user's is verified", body = PaceErrors, content_type = "application/vnd.api+json",
            headers(("Retry-After" = u64, description = "Seconds until it is possible again"))),
        (status = 500, description = "Nothing was decided; try again", body = PaceErrors, content_type = "application/vnd.api+json",
            headers(("Retry-After" = u64, description = "Seconds to wait"))),
    )
)]
pub async fn handle<W>(world: &W, request: &Request, record: &mut Record) -> Result<Answer, Error>
where
    W: World<
            Apps: LoadApps,
            Users: LoadUsers,
            Ledgers: LoadLedgers + StoreLedgers,
            Tokens: ReadTokens,
            Keyring: LoadKeyring,
        >,
{
    let caller = pace::admit(world, request, record, &ENDPOINT).await?;
    let UserOtpRequest { pin, password } = caller.body(Media::Json).await?;
    let presented = Presented::of(password, pin)?;
    let keyring = world.keyring().keyring().await?;
    let idempotent = Idempotent { has_secret: true, ..caller.idempotent() };
    let pending = match idempotent.begin_or_code(world, &keyring, record).await? {
        Ok(Begun::Proceed(pending)) => pending,
        Ok(Begun::Answered(answer)) => return Ok(answer),
        Err(code) => {
            let issued = issue::tell_again(world, code).await?.ok_or(Error::Conflict(None))?;
            let answer = hand_over(&issued, &keyring, record);
            record.outcome = AGAIN;
            return Ok(answer);
        }
    };
    let issued = Box::pin(issue(world, &caller, &keyring, &presented, record)).await;
    Ok(pending.settle(world, issued, record).await)
}

async fn issue<W>(
    world: &W,
    caller: &Caller<'_>,
    keyring: &Keyring,
    presented: &Presented,
    record: &mut Record,
) -> Result<Answer, Error>
where
    W: World<Users: LoadUsers, Ledgers: LoadLedgers + StoreLedgers>,
{
    let app = &caller.app;
    let user = world.users().load_user(&app.id, &caller.user).await?;
    let secrets = presented.comparisons(user.as_ref(), HashedSecret::matches);
    let addresses = Addresses::new(Address::User(caller.user.clone()), None);
    let life = Duration::from_secs(app.policy.code_seconds.into());
    let open = Open::new(app, keyring, world.entropy(), addresses, life);
    let open = open.found_by(Lookup::Identity);
    let issued = issue::issue(world, keyring, app, &open, &secrets).await?;
    record.channel = Some(Channel::Caller);
    match issued {
        Issued::Issued(issued) => Ok(hand_over(&issued, keyring, record)),
        Issued::Incorrect => {
            record.outcome = "incorrect";
            // A password is counted as if it had the four digits of a PIN.
            record.failed_verifies = Some((app.policy.failed_verifies, 4));
            Err(Error::Secret)
        }
        Issued::Exhausted(until) => {
            record.outcome = "exhausted";
            Err(Error::TooMany(world.clock().now().until(until)))
        }
        Issued::Locked => {
            record.outcome = "exhausted";
            Err(Error::Locked)
        }
    }
}

fn hand_over(issued: &IssuedCode, keyring: &Keyring, record: &mut Record) -> Answer {
    let otp = issued.code.reveal().to_owned();
    let body = UserOtpResponse { otp, expires_at: pace::date_time(issued.expires_at) };
    record.outcome = "issued";
    record.channel = Some(Channel::Caller);
    record.challenge(issued.id.challenge, keyring);
    let answer = Answer::json(StatusCode::CREATED, &body).telling(issued.id);
    match HeaderValue::try_from(id::REQUEST_ID.print(issued.id.challenge, keyring)) {
        Ok(id) => answer.header(pace::CHALLENGE_ID, id),
        Err(_) => answer,
    }
}

#[derive(OpenApi)]
#[openapi(paths(handle))]
struct Api;

/// The endpoint's part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let api = with_idempotency_in(Api::openapi(), "PaceErrors", pace::MEDIA);
    with_choice(api, "UserOtpRequest", &[("pin", &[]), ("password", &[])])
}
