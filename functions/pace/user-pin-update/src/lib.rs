//! `PUT /user/pin`: a code for a new PIN.

mod boot;
mod document;

pub use boot::boot;
use document::{PinDocument, PinUpdate};
use lambda_http::http::StatusCode;
use pace_contract::{self as pace, Caller, Endpoint, PaceErrors, Refusal};
use passcode_domain::{
    Address, AppId, Keyring, PresentedCode, SubjectKey, User,
    change_pin::{self, Change},
    pin,
    ports::{
        ChangeUsers, Clock, Entropy, LoadApps, LoadKeyring, LoadLedgers, LoadUsers, ReadTokens,
        StoreLedgers,
    },
    transact::{Failure, Ports},
    user::HashedSecret,
    verify::{self, Outcome, Target, Verification},
};
use passcode_http::{Answer, Media, Record, Request};
use utoipa::OpenApi;

/// The function, and its package.
pub const NAME: &str = env!("CARGO_PKG_NAME");

const ENDPOINT: Endpoint =
    Endpoint { scopes: &["user:users.pin:update"], offers: &pace::DOCUMENTS };

/// Serves one request.
#[utoipa::path(
    put,
    path = "/user/pin",
    operation_id = "pace-user-pin-update",
    tag = "PACE",
    summary = "Change the user's PIN, with a code",
    request_body(content = PinUpdate, content_type = "application/vnd.api+json"),
    security(("bearer" = ["user:users.pin:update"])),
    responses(
        (status = 200, description = "The PIN is the new one, and the code is used", body = PinDocument, content_type = "application/vnd.api+json"),
        (status = 401, description = "`unauthorized`, `insufficient-scope`, `missing-linked-identity` or `app-blocked`", body = PaceErrors, content_type = "application/vnd.api+json",
            headers(("WWW-Authenticate" = String, description = "What the token lacks"))),
        (status = 403, description = "`otp:invalid`: the code is wrong, or there is none, or none any more", body = PaceErrors, content_type = "application/vnd.api+json"),
        (status = 404, description = "No app has this host, or it has no issuer", body = PaceErrors, content_type = "application/vnd.api+json"),
        (status = 406, description = "`pin-not-secure`, before the code is looked at; or `not-acceptable`, where `Accept` does not admit JSON:API", body = PaceErrors, content_type = "application/vnd.api+json"),
        (status = 415, description = "The body is not `application/vnd.api+json`", body = PaceErrors, content_type = "application/vnd.api+json"),
        (status = 422, description = "`invalid-request`", body = PaceErrors, content_type = "application/vnd.api+json"),
        (status = 500, description = "Nothing was decided or changed; try again", body = PaceErrors, content_type = "application/vnd.api+json",
            headers(("Retry-After" = u64, description = "Seconds to wait"))),
    )
)]
pub async fn handle<A, U, T, L, G, K, C, E>(
    deps: &Deps<A, U, T, L, G, K, C, E>,
    request: Request,
) -> Answer
where
    A: LoadApps,
    U: LoadUsers,
    T: ReadTokens,
    L: LoadLedgers + StoreLedgers,
    G: ChangeUsers,
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
    update(deps, &caller).await.unwrap_or_else(|refused| refused)
}

async fn update<A, U, T, L, G, K, C, E>(
    deps: &Deps<A, U, T, L, G, K, C, E>,
    caller: &Caller<'_>,
) -> Result<Answer, Answer>
where
    U: LoadUsers,
    L: LoadLedgers + StoreLedgers,
    G: ChangeUsers,
    K: LoadKeyring,
    C: Clock,
    E: Entropy,
{
    let body = caller.body::<PinUpdate>(Media::JsonApi).await?;
    let (pin, code) = parse(body).map_err(|refusal| caller.refuse(&refusal))?;
    let keyring = deps.keyring.keyring().await.map_err(|cause| caller.fail(cause.as_ref()))?;
    let user = deps.users.load_user(&caller.app.id, &caller.user).await;
    let user = user.map_err(|error| caller.fail(&error))?;
    // Hashed for nobody as well, so that the time of an answer does not tell who is known.
    let pin = HashedSecret::of(&pin, deps.entropy.bytes());
    let is_known = user.is_some();
    let changed = change(deps, caller, &keyring, user, pin, &code).await;
    let Verification { outcome, id, trace, .. } =
        changed.map_err(|failure| caller.fail(&failure))?;
    let record = Record { challenge: id, ..caller.record.clone().trace(trace) };
    let record = Record { outcome: outcome.as_str(), ..record };
    Ok(match outcome {
        Outcome::Verified(_) if is_known => {
            pace::document(StatusCode::OK, &PinDocument::of(&caller.user), record)
        }
        // A code of a user who is gone is used up, and there is nothing to change.
        Outcome::Verified(_)
        | Outcome::Incorrect
        | Outcome::Expired
        | Outcome::Exhausted
        | Outcome::AlreadyUsed
        | Outcome::NotFound => caller.refuse_as(&Refusal::Code, record),
    })
}

/// Verifies the code and changes the PIN of the user, if there is one.
async fn change<A, U, T, L, G, K, C, E>(
    deps: &Deps<A, U, T, L, G, K, C, E>,
    caller: &Caller<'_>,
    keyring: &Keyring,
    user: Option<User>,
    pin: HashedSecret,
    code: &PresentedCode,
) -> Result<Verification, Failure>
where
    L: LoadLedgers + StoreLedgers,
    G: ChangeUsers,
    K: LoadKeyring,
    C: Clock,
    E: Entropy,
{
    let app = &caller.app.id;
    let subject = SubjectKey::of_address(keyring, app, &Address::User(caller.user.clone()));
    let ports = Ports { ledgers: &deps.ledgers, clock: &deps.clock, entropy: &deps.entropy };
    let Some(before) = user else {
        let target = Target::Named(subject, app);
        return verify::verify_users(ports, &deps.keyring, target, code).await;
    };
    let change = Change { after: User { pin: Some(pin), ..before.clone() }, before };
    let changes = &deps.changes;
    change_pin::change_pin(ports, changes, &deps.keyring, app, subject, &change, code).await
}

/// The PIN and the code of a request. The PIN comes first: a poor one costs no attempt.
fn parse(body: PinUpdate) -> Result<(String, PresentedCode), Refusal> {
    let (pin, otp) = body.read()?;
    pin::check(&pin).map_err(Refusal::WeakPin)?;
    // What can be nobody's code is wrong, and costs nothing.
    let code = PresentedCode::parse(&otp).map_err(|_| Refusal::Code)?;
    Ok((pin, code))
}

#[derive(OpenApi)]
#[openapi(paths(handle))]
struct Api;

/// The endpoint's part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}
