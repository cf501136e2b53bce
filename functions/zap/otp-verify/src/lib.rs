//! `POST /v1/otp/verify`: the code comes back, with the identity that it was sent to.

mod boot;

pub use boot::boot;
use passcode_domain::{
    Address, AppId, Keyring, PresentedCode, SubjectKey,
    ports::{
        Clock, CountGauges, Entropy, LoadApps, LoadKeyring, LoadLedgers, LoadUsers, ReadTokens,
        StoreLedgers,
    },
    transact::{Failure, Ports},
    user::Username,
    verify::{self, Outcome, Target, Verification},
};
use passcode_http::{Answer, Record, Request};
use serde::Deserialize;
use utoipa::{OpenApi, ToSchema};
use zap_contract::{self as zap, ErrorBody, Refusal, SuccessBody};

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
pub async fn handle<A, U, T, L, K, C, E>(
    deps: &Deps<A, U, T, L, K, C, E>,
    request: Request,
) -> Answer
where
    A: LoadApps,
    U: LoadUsers,
    T: ReadTokens,
    L: LoadLedgers + StoreLedgers + CountGauges,
    K: LoadKeyring,
    C: Clock,
    E: Entropy,
{
    let default = deps.default_app.as_ref();
    let accepted =
        zap::accept::<VerifyRequest>(&request, &deps.apps, &deps.tokens, default, deps.clock.now());
    let (app, record, body) = match accepted.await {
        Ok(accepted) => accepted,
        Err(answer) => return answer,
    };
    let Ok(code) = PresentedCode::parse(&body.otp) else {
        return Refusal::malformed("otp", "not 1 to 10 letters or digits").answer(record);
    };
    let keyring = match deps.keyring.keyring().await {
        Ok(keyring) => keyring,
        Err(cause) => return zap::keyless(&cause, record),
    };
    let identity = &body.identity;
    let subjects = match identify(identity, &keyring, &app.id, &deps.users, &record).await {
        Ok(subjects) => subjects,
        Err(answer) => return answer,
    };
    match present(deps, &app.id, &subjects, &code).await {
        Ok(Verification { outcome, id, trace, .. }) => {
            let record = Record { challenge: id, ..record.trace(trace) };
            let record = Record { outcome: outcome.as_str(), ..record };
            match outcome {
                Outcome::Verified(_) => zap::success("OTP verified", record),
                Outcome::Incorrect
                | Outcome::Expired
                | Outcome::Exhausted
                | Outcome::AlreadyUsed
                | Outcome::NotFound => Refusal::Otp.answer(record),
            }
        }
        Err(failure) => zap::failed(&failure, record),
    }
}

/// The subjects that an identity stands for. A name stands for two, as a user has two addresses at
/// most: where they are fewer, and where nobody goes by the name, the rest are nobody's, so that the
/// time of a refusal does not tell whose name there is.
async fn identify(
    identity: &str,
    keyring: &Keyring,
    app: &AppId,
    users: &impl LoadUsers,
    record: &Record,
) -> Result<Vec<SubjectKey>, Answer> {
    let refused = |refusal: Refusal| refusal.answer(record.clone());
    let of = |address: &Address| SubjectKey::of_address(keyring, app, address);
    if identity.contains('@') {
        return zap::email("identity", identity).map(|email| vec![of(&email)]).map_err(refused);
    }
    if identity.starts_with('+') {
        return zap::phone("identity", identity).map(|phone| vec![of(&phone)]).map_err(refused);
    }
    let malformed = "neither an e-mail address nor a phone number nor a username";
    let malformed = |_| refused(Refusal::malformed("identity", malformed));
    let name: Username = identity.parse().map_err(malformed)?;
    let addresses = zap::registered_of(app, users, &name).await;
    let addresses = addresses.map_err(|error| zap::userless(&error, record.clone()))?;
    let known = addresses.iter().map(of);
    let nobody = SubjectKey::of_nobody(keyring, app, name.as_str());
    Ok(known.chain([nobody; MAX_ADDRESSES]).take(MAX_ADDRESSES).collect())
}

/// Presents a code to one subject after the other, until it has been looked at: where an OTP still
/// waits, one guess is one attempt, and is tried nowhere else.
async fn present<A, U, T, L, K, C, E>(
    deps: &Deps<A, U, T, L, K, C, E>,
    app: &AppId,
    subjects: &[SubjectKey],
    code: &PresentedCode,
) -> Result<Verification, Failure>
where
    L: LoadLedgers + StoreLedgers + CountGauges,
    K: LoadKeyring,
    C: Clock,
    E: Entropy,
{
    let ports = Ports { ledgers: &deps.ledgers, clock: &deps.clock, entropy: &deps.entropy };
    let mut first =
        Verification { outcome: Outcome::NotFound, id: None, trace: None, is_spent: false };
    for (n, subject) in subjects.iter().enumerate() {
        let target = Target::Named(*subject, app);
        let verification = verify::verify(ports, &deps.keyring, target, code).await?;
        match verification.outcome {
            Outcome::Verified(_) => return Ok(verification),
            Outcome::Incorrect => {
                for other in subjects.iter().skip(n + 1) {
                    verify::nothing(ports, other).await?;
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
