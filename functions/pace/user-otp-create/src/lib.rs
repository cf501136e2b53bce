//! `POST /user/otp`: a PIN or a password for a code. The code is handed to the caller, who presents
//! it, or lets another service of the company present it, as proof of the user's consent. The same
//! request under the same `Idempotency-Key` is told the same code, while that is good.

mod boot;
mod secret;

pub use boot::boot;
use lambda_http::http::{HeaderValue, StatusCode};
use pace_contract::{self as pace, Caller, Endpoint, PaceErrors, Refusal};
use passcode_domain::{
    Address, Addresses, AppId, Channel, Keyring,
    challenge::Lookup,
    issue::{self, Issued, IssuedCode},
    open::Open,
    ports::{
        Clock, Entropy, LoadApps, LoadKeyring, LoadLedgers, LoadUsers, ReadTokens, StoreLedgers,
    },
    transact::Ports,
    user::HashedSecret,
};
use passcode_http::{
    Answer, Idempotent, Media, Record, Request, id, with_choice, with_idempotency_in,
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
pub async fn handle<A, U, T, L, K, C, E>(
    deps: &Deps<A, U, T, L, K, C, E>,
    request: Request,
) -> Answer
where
    A: LoadApps,
    U: LoadUsers,
    T: ReadTokens,
    L: LoadLedgers + StoreLedgers,
    K: LoadKeyring,
    C: Clock,
    E: Entropy,
{
    let (default_app, now) = (deps.default_app.as_ref(), deps.clock.now());
    let known = Caller::of(&request, &ENDPOINT, &deps.apps, &deps.tokens, default_app, now).await;
    let caller = match known {
        Ok(caller) => caller,
        Err(answer) => return answer,
    };
    issue_once(deps, &caller).await.unwrap_or_else(|refused| refused)
}

async fn issue_once<A, U, T, L, K, C, E>(
    deps: &Deps<A, U, T, L, K, C, E>,
    caller: &Caller<'_>,
) -> Result<Answer, Answer>
where
    U: LoadUsers,
    L: LoadLedgers + StoreLedgers,
    K: LoadKeyring,
    C: Clock,
    E: Entropy,
{
    let UserOtpRequest { pin, password } = caller.body(Media::Json).await?;
    let presented = Presented::of(password, pin).map_err(|refusal| caller.refuse(&refusal))?;
    let keyring = deps.keyring.keyring().await.map_err(|cause| caller.fail(cause.as_ref()))?;
    let ports = Ports { ledgers: &deps.ledgers, clock: &deps.clock, entropy: &deps.entropy };
    let work =
        async { issue(deps, caller, &keyring, &presented).await.unwrap_or_else(|refused| refused) };
    let tell = async |code| {
        let issued = issue::tell_again(ports, &deps.keyring, code).await?;
        Ok(issued.map(|issued| hand_over(&issued, record_of(caller))))
    };
    let idempotent = Idempotent { has_secret: true, ..caller.idempotent() };
    Ok(idempotent.run_telling(&keyring, ports, work, tell).await)
}

async fn issue<A, U, T, L, K, C, E>(
    deps: &Deps<A, U, T, L, K, C, E>,
    caller: &Caller<'_>,
    keyring: &Keyring,
    presented: &Presented,
) -> Result<Answer, Answer>
where
    U: LoadUsers,
    L: LoadLedgers + StoreLedgers,
    C: Clock,
    E: Entropy,
{
    let app = &caller.app;
    let user = deps.users.load_user(&app.id, &caller.user).await;
    let user = user.map_err(|error| caller.fail(&error))?;
    let shown = presented.comparisons(user.as_ref(), HashedSecret::matches);
    let addresses = Addresses::new(Address::User(caller.user.clone()), None);
    let life = Duration::from_secs(app.policy.code_seconds.into());
    let open = Open::new(app, keyring, &deps.entropy, addresses, life);
    let open = open.found_by(Lookup::Identity);
    let ports = Ports { ledgers: &deps.ledgers, clock: &deps.clock, entropy: &deps.entropy };
    let record = record_of(caller);
    let issued = issue::issue(ports, keyring, app, &open, &shown).await;
    Ok(match issued.map_err(|failure| caller.fail(&failure))? {
        Issued::Issued(issued) => hand_over(&issued, record),
        Issued::Incorrect => {
            let failed_verifies = Some(app.policy.failed_verifies);
            let record = Record { outcome: "incorrect", failed_verifies, ..record };
            caller.refuse_as(&Refusal::Secret, record)
        }
        Issued::Exhausted(until) => {
            let refusal = Refusal::TooMany(deps.clock.now().until(until));
            caller.refuse_as(&refusal, Record { outcome: "exhausted", ..record })
        }
        Issued::Locked => {
            caller.refuse_as(&Refusal::Locked, Record { outcome: "exhausted", ..record })
        }
    })
}

fn record_of(caller: &Caller<'_>) -> Record {
    caller.record.clone().channel(Channel::Caller)
}

fn hand_over(issued: &IssuedCode, record: Record) -> Answer {
    let otp = issued.code.reveal().to_owned();
    let body = UserOtpResponse { otp, expires_at: pace::date_time(issued.expires_at) };
    let record = Record { outcome: "issued", ..record.challenge(issued.id.challenge) };
    let answer = Answer::json(StatusCode::CREATED, &body, record).telling(issued.id);
    match HeaderValue::try_from(id::REQUEST_ID.print(issued.id.challenge)) {
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
