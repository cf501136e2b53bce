//! `POST /v1/session/otp/retry`: the next code of the browser's challenge goes out.

mod boot;

pub use boot::boot;
use lambda_http::http::StatusCode;
use passcode_domain::{
    App, AppId, Keyring, Timestamp,
    ports::{
        Clock, CountGauges, EmailCourier, Entropy, LoadApps, LoadGauges, LoadKeyring, LoadLedgers,
        SmsCourier, StoreLedgers,
    },
    send::{self, Couriers, Target, Wish},
    transact::Ports,
};
use passcode_http::{Answer, Record, Request, own_ip, with_idempotency};
use prelude_contract::{self as prelude, ErrorBody, Lost, Refusal, with_browser_routes};
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
    let began = deps.clock.now();
    match prelude::admit(&request, &deps.apps, deps.default_app.as_ref()).await {
        Err(answer) => answer,
        Ok(visitor) => {
            let answer = retry(deps, &request, &visitor.app, began).await;
            visitor.show(answer)
        }
    }
}

async fn retry<A, L, K, C, E, S, M>(
    deps: &Deps<A, L, K, C, E, S, M>,
    request: &Request,
    app: &Arc<App>,
    began: Timestamp,
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
    let record = Record::default().app(&app.id);
    let read = |keyring: &Keyring| prelude::present(request, app, keyring);
    let (keyring, token) = match prelude::vouched(&deps.keyring, &record, read).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let record = record.challenge(token.id);
    let ports = Ports { ledgers: &deps.ledgers, clock: &deps.clock, entropy: &deps.entropy };
    let couriers = Couriers { sms: &deps.sms, email: &deps.email };
    let wish = Wish { ip: own_ip(request), ..Wish::default() };
    let target = Target::Again(token.id, app);
    let work = async {
        let sent = send::send(ports, &keyring, &deps.apps, couriers, target, &wish).await;
        prelude::even_out(app, &deps.clock, began).await;
        match sent {
            Ok(delivery) => {
                let lost = Lost {
                    missing: Refusal::InvalidVerificationToken,
                    expired: Refusal::InvalidVerificationToken,
                };
                prelude::deliver(delivery, record, deps.clock.now(), lost, |record| {
                    prelude::issue(
                        Answer::empty(StatusCode::NO_CONTENT, record),
                        app,
                        &keyring,
                        &token,
                    )
                })
            }
            Err(failure) => prelude::failed(&failure, record),
        }
    };
    prelude::idempotent(request, app, Some(&token.id.to_string())).run(&keyring, ports, work).await
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
