//! `PUT /user/pin`: a code for a new PIN.

mod boot;
mod document;

pub use boot::boot;
use document::{PinDocument, PinUpdate};
use lambda_http::http::StatusCode;
use pace_contract::{self as pace, Caller, Endpoint, Error, PaceErrors};
use passcode_domain::{
    Address, Keyring, PresentedCode, SubjectKey, User, UserChange, World,
    action::{
        change_pin,
        transact::Failure,
        verify::{self, Outcome, Verification, VerifyTarget},
    },
    ports::{
        ChangeUsers, CountVerified, Entropy as _, LoadApps, LoadKeyring, LoadLedgers, LoadUsers,
        ReadTokens, StoreLedgers,
    },
    secret::{password::HashedSecret, pin},
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
pub async fn handle<W>(world: &W, request: &Request, record: &mut Record) -> Result<Answer, Error>
where
    W: World<
            Apps: LoadApps,
            Users: LoadUsers + ChangeUsers,
            Ledgers: LoadLedgers + StoreLedgers,
            Counters: CountVerified,
            Tokens: ReadTokens,
            Keyring: LoadKeyring,
        >,
{
    let caller = pace::admit(world, request, record, &ENDPOINT).await?;
    let (pin, code) = parse(caller.body(Media::JsonApi).await?)?;
    let keyring = world.keyring().keyring().await?;
    let user = world.users().load_user(&caller.app.id, &caller.user).await?;
    // Hashed for nobody as well, so that the time of an answer does not tell who is known.
    let pin = HashedSecret::of(&pin, world.entropy().bytes());
    let is_known = user.is_some();
    let verification = change(world, &caller, &keyring, user, pin, &code).await?;
    record.verification(&verification);
    record.challenge = verification.id.map(|id| id.log_id(&keyring));
    match verification.outcome {
        Outcome::Verified(_) if is_known => {
            Ok(pace::document(StatusCode::OK, &PinDocument::of(&caller.user)))
        }
        // A code of a user who is gone is used up, and there is nothing to change.
        Outcome::Verified(_)
        | Outcome::Incorrect
        | Outcome::Expired
        | Outcome::Exhausted
        | Outcome::AlreadyUsed
        | Outcome::NotFound => Err(Error::Code),
    }
}

/// Verifies the code and changes the PIN of the user, if there is one.
async fn change<W>(
    world: &W,
    caller: &Caller<'_>,
    keyring: &Keyring,
    user: Option<User>,
    pin: HashedSecret,
    code: &PresentedCode,
) -> Result<Verification, Failure>
where
    W: World<
            Users: ChangeUsers,
            Ledgers: LoadLedgers + StoreLedgers,
            Counters: CountVerified,
            Keyring: LoadKeyring,
        >,
{
    let app = &caller.app.id;
    let subject = SubjectKey::of_address(keyring, app, &Address::User(caller.user.clone()));
    let Some(before) = user else {
        return verify::verify(world, VerifyTarget::Named(subject, app), code).await;
    };
    let change = UserChange { after: User { pin: Some(pin), ..before.clone() }, before };
    change_pin::change_pin(world, app, subject, &change, code).await
}

/// The PIN and the code of a request. The PIN comes first: a poor one costs no attempt.
fn parse(body: PinUpdate) -> Result<(String, PresentedCode), Error> {
    let (pin, otp) = body.read()?;
    pin::check(&pin).map_err(Error::WeakPin)?;
    // What can be nobody's code is wrong, and costs nothing.
    let code = PresentedCode::parse(&otp).map_err(|_| Error::Code)?;
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
