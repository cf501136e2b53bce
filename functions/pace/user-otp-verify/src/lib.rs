//! `POST /user/otp/verify`: the code comes back.

mod boot;

pub use boot::boot;
use lambda_http::http::StatusCode;
use pace_contract::{self as pace, Endpoint, Error, PaceErrors};
use passcode_domain::{
    Address, PresentedCode, SubjectKey, World,
    action::verify::{self, Outcome, VerifyTarget},
    ports::{CountVerified, LoadApps, LoadKeyring, LoadLedgers, ReadTokens, StoreLedgers},
};
use passcode_http::{Answer, Media, Record, Request};
use serde::Deserialize;
use utoipa::{OpenApi, ToSchema};

/// The function, and its package.
pub const NAME: &str = env!("CARGO_PKG_NAME");

const ENDPOINT: Endpoint = Endpoint { scopes: &["user:otp:verify"], offers: &pace::JSON };

/// The code, and of which kinds it may be.
#[derive(Deserialize, ToSchema)]
pub struct UserOtpVerification {
    /// The digits, as a text.
    #[schema(value_type = String, required, example = "526271", pattern = "^[ -]*([A-Za-z0-9][ -]*){1,10}$", max_length = 32)]
    otp: Option<String>,
    /// The kinds of code that are good; every kind where absent or empty.
    types: Option<Vec<OtpType>>,
}

/// The kinds of code that there are.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OtpType {
    /// One that was made to sign in with.
    Login,
    /// One that was given for a PIN or a password, or mailed.
    Account,
    /// One that an authenticator app has computed. None is good here.
    Totp,
    /// One that a registered device has computed. None is good here.
    DeviceTotp,
}

impl OtpType {
    /// Whether codes of this kind are made here.
    const fn is_made_here(self) -> bool {
        match self {
            Self::Login | Self::Account => true,
            Self::Totp | Self::DeviceTotp => false,
        }
    }
}

/// Serves one request.
#[utoipa::path(
    post,
    path = "/user/otp/verify",
    operation_id = "pace-user-otp-verify",
    tag = "PACE",
    summary = "Verify the user's code",
    request_body = UserOtpVerification,
    security(("bearer" = ["user:otp:verify"])),
    responses(
        (status = 204, description = "Verified, for the first and only time"),
        (status = 401, description = "`unauthorized`, `insufficient-scope`, `missing-linked-identity` or `app-blocked`", body = PaceErrors, content_type = "application/vnd.api+json",
            headers(("WWW-Authenticate" = String, description = "What the token lacks"))),
        (status = 404, description = "The code is wrong, or there is none, or none any more", body = PaceErrors, content_type = "application/vnd.api+json"),
        (status = 406, description = "`Accept` admits neither JSON nor JSON:API", body = PaceErrors, content_type = "application/vnd.api+json"),
        (status = 415, description = "The body is not `application/json`", body = PaceErrors, content_type = "application/vnd.api+json"),
        (status = 422, description = "`invalid-request`", body = PaceErrors, content_type = "application/vnd.api+json"),
        (status = 500, description = "Nothing was decided; try again", body = PaceErrors, content_type = "application/vnd.api+json",
            headers(("Retry-After" = u64, description = "Seconds to wait"))),
    )
)]
pub async fn handle<W>(world: &W, request: &Request, record: &mut Record) -> Result<Answer, Error>
where
    W: World<
            Apps: LoadApps,
            Ledgers: LoadLedgers + StoreLedgers,
            Counters: CountVerified,
            Tokens: ReadTokens,
            Keyring: LoadKeyring,
        >,
{
    let caller = pace::admit(world, request, record, &ENDPOINT).await?;
    let code = parse(caller.body(Media::Json).await?)?;
    let keyring = world.keyring().keyring().await?;
    let app = &caller.app.id;
    let subject = SubjectKey::of_address(&keyring, app, &Address::User(caller.user));
    let verification = verify::verify(world, VerifyTarget::Named(subject, app), &code).await?;
    record.verification(&verification);
    record.challenge = verification.id.map(|id| id.log_id(&keyring));
    match verification.outcome {
        Outcome::Verified(_) => Ok(Answer::empty(StatusCode::NO_CONTENT)),
        Outcome::Incorrect
        | Outcome::Expired
        | Outcome::Exhausted
        | Outcome::AlreadyUsed
        | Outcome::NotFound => Err(Error::NotFound),
    }
}

/// The code of a request. What can be nobody's code, and what is asked for among kinds of which
/// there is none, is not found, and costs nothing.
fn parse(body: UserOtpVerification) -> Result<PresentedCode, Error> {
    let otp = body.otp.filter(|otp| !otp.trim().is_empty());
    let otp = otp.ok_or(Error::field("/otp", "The field is required"))?;
    let types = body.types.unwrap_or_default();
    if !types.is_empty() && !types.iter().any(|kind| kind.is_made_here()) {
        return Err(Error::NotFound);
    }
    PresentedCode::parse(&otp).map_err(|_| Error::NotFound)
}

#[derive(OpenApi)]
#[openapi(paths(handle))]
struct Api;

/// The endpoint's part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}
