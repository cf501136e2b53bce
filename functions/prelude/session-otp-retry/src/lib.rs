//! `POST /v1/session/otp/retry`: the next code of the browser's challenge goes out.

mod boot;

pub use boot::boot;
use lambda_http::http::StatusCode;
use passcode_domain::{
    App, Keyring, Timestamp,
    action::send::{self, SendOptions, SendTarget, SendWorld},
    ports::{Clock as _, LoadKeyring},
    secret::token::VerificationToken,
};
use passcode_http::{Answer, Begun, Record, Request, peer_origin, with_idempotency};
use prelude_contract::{self as prelude, ChallengeLost, Error, ErrorBody, with_browser_routes};
use std::sync::Arc;
use utoipa::OpenApi;

/// The function, and its package.
pub const NAME: &str = env!("CARGO_PKG_NAME");

/// Serves one request. It has no body: the verification token says everything.
#[utoipa::path(
    post,
    path = "/v1/session/otp/retry",
    operation_id = "prelude-session-otp-retry",
    tag = "Prelude",
    summary = "Send the next code",
    params(
        ("X-Verification-Token" = Option<String>, Header, description = "The verification token; the cookie's where absent",
            pattern = "^[A-Z2-7]{51}[AQ]\\.[A-Z2-7]{27}[AQ]$"),
    ),
    responses(
        (status = 204, description = "On its way, or so it shall seem (`conceal_blocks`)", headers(
            ("Set-Cookie" = String, description = "The same verification token again"),
            ("X-Verification-Token" = String, description = "The same verification token again"),
        )),
        (status = 400, description = "`invalid_verification_token`", body = ErrorBody),
        (status = 403, description = "`auth_blocked` or `origin_not_allowed`", body = ErrorBody),
        (status = 429, description = "`rate_limited`: cool-down or send count", body = ErrorBody),
        (status = 500, description = "`internal`: nothing was sent; try again", body = ErrorBody),
    )
)]
pub async fn handle<W>(world: &W, request: &Request, record: &mut Record) -> Result<Answer, Error>
where
    W: SendWorld<Keyring: LoadKeyring>,
{
    let began = world.clock().now();
    let caller = match prelude::admit(world, request, record).await {
        Ok(caller) => caller,
        Err(answer) => return Ok(answer),
    };
    let answered = retry(world, request, &caller.app, began, record).await;
    Ok(caller.respond(answered, request, record))
}

async fn retry<W>(
    world: &W,
    request: &Request,
    app: &Arc<App>,
    began: Timestamp,
    record: &mut Record,
) -> Result<Answer, Error>
where
    W: SendWorld<Keyring: LoadKeyring>,
{
    let read = |keyring: &Keyring| prelude::present(request, app, keyring);
    let (keyring, token) = prelude::verified_token(world, read).await?;
    record.challenge(token.id, &keyring);
    let credential = token.id.print(&keyring);
    let pending = match prelude::idempotent(request, app, Some(&credential))
        .begin(world, &keyring, record)
        .await?
    {
        Begun::Proceed(pending) => pending,
        Begun::Answered(answer) => return Ok(answer),
    };
    let options = SendOptions { origin: peer_origin(request), ..SendOptions::default() };
    let sent = Box::pin(send(world, app, &keyring, token, &options, record)).await;
    prelude::even_out(world, app, began).await;
    let answered =
        sent.map(|()| prelude::issue(Answer::empty(StatusCode::NO_CONTENT), app, &keyring, &token));
    Ok(pending.settle(world, answered, record).await)
}

async fn send<W>(
    world: &W,
    app: &Arc<App>,
    keyring: &Keyring,
    token: VerificationToken,
    options: &SendOptions,
    record: &mut Record,
) -> Result<(), Error>
where
    W: SendWorld,
{
    let delivery = send::send(world, keyring, SendTarget::Again(token.id, app), options).await?;
    let lost = ChallengeLost {
        missing: Error::InvalidVerificationToken,
        expired: Error::InvalidVerificationToken,
    };
    prelude::sent(delivery, lost, world.clock().now(), keyring, record)
}

#[derive(OpenApi)]
#[openapi(paths(handle))]
struct Api;

/// The endpoint's part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let api = with_idempotency(Api::openapi(), "PreludeError");
    with_browser_routes(api, Some("/v1/session/login/otp/retry"))
}
