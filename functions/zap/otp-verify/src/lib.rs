//! `POST /v1/otp/verify`: the code comes back, with the identity that it was sent to.

mod boot;

pub use boot::boot;
use passcode_domain::{
    Address, AppId, Keyring, PresentedCode, SubjectKey, Username, World,
    action::{
        transact::Failure,
        verify::{self, Outcome, Verification, VerifyTarget},
    },
    ports::{
        CountVerified, LoadApps, LoadKeyring, LoadLedgers, LoadUsers, ReadTokens, StoreLedgers,
    },
};
use passcode_http::{Answer, Record, Request};
use serde::Deserialize;
use utoipa::{OpenApi, ToSchema};
use zap_contract::{self as zap, Error, ErrorBody, SuccessBody};

/// The function, and its package.
pub const NAME: &str = env!("CARGO_PKG_NAME");

/// A user's e-mail address and phone number.
const MAX_ADDRESSES: usize = 2;

/// The code, and whose it is.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ZapVerifyRequest)]
pub struct VerifyRequest {
    /// The digits, as a text.
    #[schema(example = "123456", pattern = "^[ -]*([A-Za-z0-9][ -]*){1,10}$", max_length = 32)]
    otp: String,
    /// The e-mail address, the phone number with `+` and its country code, or the name of a user at
    /// whose registered address an OTP is open, e-mail first.
    #[schema(
        example = "adminuser@zap.com",
        pattern = "^([^@%!]+@[^@%!]+|\\+[0-9 .()-]{1,32}|[!-*,-?A-~][!-?A-~]{0,63})$",
        max_length = 320
    )]
    identity: String,
}

/// Serves one request.
#[utoipa::path(
    post,
    path = "/v1/otp/verify",
    operation_id = "zap-otp-verify",
    tag = "ZAP",
    summary = "Verify a code",
    request_body = VerifyRequest,
    security(("bearer" = [])),
    responses(
        (status = 200, description = "Verified, for the first and only time", body = SuccessBody),
        (status = 400, description = "A missing or malformed field, or no JSON; and, all alike, a wrong, expired, exhausted or used OTP and an identity without one", body = ErrorBody),
        (status = 401, description = "No administrator's key or token", body = ErrorBody, headers(
            ("WWW-Authenticate" = String, description = "`Bearer`"),
        )),
        (status = 403, description = "A token without the scope `otp:admin`, or a blocked app", body = ErrorBody, headers(
            ("WWW-Authenticate" = String, description = "The scope, where it is missing"),
        )),
        (status = 500, description = "Nothing was decided; try again", body = ErrorBody, headers(
            ("Retry-After" = u64, description = "Seconds"),
        )),
    )
)]
pub async fn handle<W>(world: &W, request: &Request, record: &mut Record) -> Result<Answer, Error>
where
    W: World<
            Apps: LoadApps,
            Users: LoadUsers,
            Ledgers: LoadLedgers + StoreLedgers,
            Counters: CountVerified,
            Tokens: ReadTokens,
            Keyring: LoadKeyring,
        >,
{
    let (app, body) = zap::accept::<_, VerifyRequest>(world, request, record).await?;
    let code = PresentedCode::parse(&body.otp);
    let code = code.map_err(|_| Error::malformed("otp", "not 1 to 10 letters or digits"))?;
    let keyring = world.keyring().keyring().await?;
    let subjects = identify(world, &body.identity, &keyring, &app.id).await?;
    let verification = present(world, &app.id, &subjects, &code).await?;
    record.verification(&verification);
    record.challenge = verification.id.map(|id| id.log_id(&keyring));
    match verification.outcome {
        Outcome::Verified(_) => Ok(zap::success("OTP verified")),
        Outcome::Incorrect
        | Outcome::Expired
        | Outcome::Exhausted
        | Outcome::AlreadyUsed
        | Outcome::NotFound => Err(Error::Otp),
    }
}

/// The subjects that an identity stands for. A name stands for two, as a user has two addresses at
/// most: where they are fewer, and where nobody goes by the name, the rest are nobody's, so that the
/// time of a refusal does not tell whose name there is.
async fn identify<W>(
    world: &W,
    identity: &str,
    keyring: &Keyring,
    app: &AppId,
) -> Result<Vec<SubjectKey>, Error>
where
    W: World<Users: LoadUsers>,
{
    let of = |address: &Address| SubjectKey::of_address(keyring, app, address);
    if identity.contains('@') {
        return Ok(vec![of(&zap::email("identity", identity)?)]);
    }
    if identity.starts_with('+') {
        return Ok(vec![of(&zap::phone("identity", identity)?)]);
    }
    let malformed = "neither an e-mail address nor a phone number nor a username";
    let name = identity.parse::<Username>();
    let name = name.map_err(|_| Error::malformed("identity", malformed))?;
    let addresses = zap::registered_of(world, app, &name).await?;
    let known = addresses.iter().map(of);
    let nobody = SubjectKey::of_unknown_name(keyring, app, name.as_str());
    Ok(known.chain([nobody; MAX_ADDRESSES]).take(MAX_ADDRESSES).collect())
}

/// Presents a code to one subject after the other, until it has been looked at: where an OTP still
/// waits, one guess is one attempt, and is tried nowhere else.
async fn present<W>(
    world: &W,
    app: &AppId,
    subjects: &[SubjectKey],
    code: &PresentedCode,
) -> Result<Verification, Failure>
where
    W: World<Ledgers: LoadLedgers + StoreLedgers, Counters: CountVerified, Keyring: LoadKeyring>,
{
    let mut first = Verification {
        outcome: Outcome::NotFound,
        id: None,
        address: None,
        is_repeat: false,
        trace: None,
        is_spent: false,
    };
    for (n, subject) in subjects.iter().enumerate() {
        let verification = verify::verify(world, VerifyTarget::Named(*subject, app), code).await?;
        match verification.outcome {
            Outcome::Verified(_) => return Ok(verification),
            Outcome::Incorrect => {
                for other in subjects.iter().skip(n + 1) {
                    verify::verify_nothing(world, other).await?;
                }
                return Ok(verification);
            }
            Outcome::Expired | Outcome::Exhausted | Outcome::AlreadyUsed | Outcome::NotFound => {
                if first.id.is_none() {
                    first = verification;
                }
            }
        }
    }
    Ok(first)
}

#[derive(OpenApi)]
#[openapi(paths(handle))]
struct Api;

/// The endpoint's part of the OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}
