//! `POST /user/otp/sendmail`: a code is mailed to the user. A second call while that code is good is
//! a resend.

mod boot;

pub use boot::boot;
use lambda_http::http::StatusCode;
use pace_contract::{self as pace, Caller, Endpoint, PaceErrors, Refusal};
use passcode_domain::{
    Address, Addresses, AppId, ChallengeId, Channel, EmailAddress, Keyring,
    challenge::Lookup,
    open::Open,
    ports::{
        Clock, CountGauges, EmailCourier, Entropy, LoadApps, LoadGauges, LoadKeyring, LoadLedgers,
        LoadUsers, ReadTokens, StoreLedgers,
    },
    send::{self, Couriers, Delivery, Sent, Target, Unreached, Wish},
    transact::Ports,
};
use passcode_http::{Answer, RETRY, Record, Request, with_idempotency_in};
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
pub async fn handle<A, U, T, L, K, C, E, M>(
    deps: &Deps<A, U, T, L, K, C, E, M>,
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
    M: EmailCourier,
{
    let (default_app, now) = (deps.default_app.as_ref(), deps.clock.now());
    let known = Caller::of(&request, &ENDPOINT, &deps.apps, &deps.tokens, default_app, now).await;
    let caller = match known {
        Ok(caller) => caller,
        Err(answer) => return answer,
    };
    send_once(deps, &caller).await.unwrap_or_else(|refused| refused)
}

async fn send_once<A, U, T, L, K, C, E, M>(
    deps: &Deps<A, U, T, L, K, C, E, M>,
    caller: &Caller<'_>,
) -> Result<Answer, Answer>
where
    A: LoadApps,
    U: LoadUsers,
    L: LoadLedgers + StoreLedgers + LoadGauges + CountGauges,
    K: LoadKeyring,
    C: Clock,
    E: Entropy,
    M: EmailCourier,
{
    let keyring = deps.keyring.keyring().await.map_err(|cause| caller.fail(cause.as_ref()))?;
    let ports = Ports { ledgers: &deps.ledgers, clock: &deps.clock, entropy: &deps.entropy };
    let work = async { send(deps, caller, &keyring).await.unwrap_or_else(|refused| refused) };
    Ok(caller.idempotent().run(&keyring, ports, work).await)
}

async fn send<A, U, T, L, K, C, E, M>(
    deps: &Deps<A, U, T, L, K, C, E, M>,
    caller: &Caller<'_>,
    keyring: &Keyring,
) -> Result<Answer, Answer>
where
    A: LoadApps,
    U: LoadUsers,
    L: LoadLedgers + StoreLedgers + LoadGauges + CountGauges,
    C: Clock,
    E: Entropy,
    M: EmailCourier,
{
    let app = &caller.app;
    let user = deps.users.load_user(&app.id, &caller.user).await;
    let user = user.map_err(|error| caller.fail(&error))?;
    let (open, wish) = plan(caller, user.and_then(|user| user.email), keyring, &deps.entropy);
    let ports = Ports { ledgers: &deps.ledgers, clock: &deps.clock, entropy: &deps.entropy };
    let couriers = Couriers { sms: &Unreached, email: &deps.email };
    let target = Target::Identity(&open, app);
    let sent = send::send(ports, keyring, &deps.apps, couriers, target, &wish).await;
    let delivery = sent.map_err(|failure| caller.fail(&failure))?;
    Ok(deliver(caller, delivery, &deps.clock))
}

/// The challenge about the user, and the channel to the registered mailbox. Without one, everything
/// but the message happens all the same.
fn plan(
    caller: &Caller<'_>,
    email: Option<EmailAddress>,
    keyring: &Keyring,
    entropy: &impl Entropy,
) -> (Open, Wish) {
    let channels = email.iter().map(|_| Channel::Email).collect();
    let wish = Wish { channels, ..Wish::default() };
    let is_reachable = email.is_some();
    let user = Address::User(caller.user.clone());
    let addresses = Addresses::new(user, email.map(Address::Email));
    let open = Open::new(&caller.app, keyring, entropy, addresses, LIFE);
    let open = open.found_by(Lookup::Identity);
    (if is_reachable { open } else { open.concealed() }, wish)
}

fn deliver(caller: &Caller<'_>, delivery: Delivery, clock: &impl Clock) -> Answer {
    let record = caller.record.clone().delivery(&delivery);
    let done = |outcome, id: ChallengeId, channel| {
        let record = Record { outcome, ..record.clone().challenge(id).channel(channel) };
        Answer::empty(StatusCode::NO_CONTENT, record)
    };
    let refuse = |refusal: Refusal, record| caller.refuse_as(&refusal, record);
    match delivery.sent {
        Sent::Sent(id, channel) => done("sent", id, channel),
        // As if it had gone out; the log alone knows better.
        Sent::Tested(id, channel) => done("tested", id, channel),
        Sent::Concealed(id, channel) => done("concealed", id, channel),
        Sent::Refused(refused) => {
            let now = clock.now();
            let answer = refuse(Refusal::of_send(refused, now, LIFE), record);
            answer.rate_limit(passcode_http::Caller::WithCredentials, &refused, now)
        }
        Sent::AppBlocked => refuse(Refusal::Blocked, record),
        Sent::Undeliverable(cause) => refuse(Refusal::Unavailable(RETRY), record.cause(&cause)),
        Sent::Unknown(channel, cool_down, cause) => {
            refuse(Refusal::Unavailable(cool_down), record.channel(channel).cause(&cause))
        }
    }
}

#[derive(OpenApi)]
#[openapi(paths(handle))]
struct Api;

/// The endpoint's part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    with_idempotency_in(Api::openapi(), "PaceErrors", pace::MEDIA)
}
