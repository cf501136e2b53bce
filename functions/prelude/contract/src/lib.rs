//! Prelude: browsers that hold a verification token between two requests, errors as `{code, type}`,
//! apps known by the host.

mod caller;
mod delivery;
pub mod dpop;
mod routes;
pub mod session;
mod token;

pub use caller::{BrowserCaller, admit};
pub use delivery::{ChallengeLost, even_out, sent};
pub use routes::with_browser_routes;
pub use token::{
    VERIFICATION_HEADER, forget_session, holds_refresh_token, is_known_device, issue, present,
    presented_refresh_token, remember,
};

use lambda_http::http::{HeaderValue, StatusCode, header};
use passcode_domain::{
    App, Keyring, SigningKeys, World,
    action::transact::Failure,
    ports::{Cause, LoadKeyring, LoadSigningKeys, StoreError},
    secret::proof::ProofError,
};
use passcode_http::{
    Answer, BodyError, ContractError, IdempotencyError, Idempotent, RETRY, RefusedSend, Request,
};
use serde::Serialize;
use std::{borrow::Cow, sync::Arc, time::Duration};
use utoipa::ToSchema;

/// What to do where a browser has not sent the cookie back.
const NO_VERIFICATION_TOKEN: &str = "no verification token came: send the `X-Verification-Token` of \
    the answer that sent the code, or its cookie. Browsers drop the cookie where the page belongs to \
    another site than this host, unless the app's `browser.cross_site_cookie` is set.";

/// The body of every Prelude error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PreludeError)]
pub struct ErrorBody {
    /// What is wrong.
    #[schema(
        example = "bad_request",
        pattern = "^(bad_request|expired_challenge_token|invalid_challenge_token|token_mismatch|invalid_verification_token|bad_check_code|invalid_dpop_proof|missing_dpop_proof|dpop_key_mismatch|step_not_completed|invalid_metadata|invalid_pagination_limit|invalid_pagination_offset|not_configured|not_found|unauthorized|scope_not_allowed|origin_not_allowed|auth_blocked|token_reused|idempotency_conflict|idempotency_key_reused|rate_limited|internal)$"
    )]
    code: &'static str,
    /// Its class.
    #[serde(rename = "type")]
    #[schema(
        example = "bad_request",
        pattern = "^(bad_request|unauthorized|forbidden|not_found|conflict|rate_limited|internal)$"
    )]
    class: &'static str,
    /// What to do about it, in words for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    message: Option<Cow<'static, str>>,
}

/// The contract's errors.
#[derive(Debug)]
pub enum Error {
    /// A field is missing or malformed.
    BadRequest(Cow<'static, str>),
    /// The challenge token was signed here, and its time is over.
    ExpiredChallengeToken,
    /// The challenge token was not signed here, or no step of it is left.
    InvalidChallengeToken,
    /// The challenge token is another app's, or not about the challenge of the verification token.
    TokenMismatch,
    /// The verification token was not made here, or leads nowhere.
    InvalidVerificationToken,
    /// No verification token came, neither in the header nor in the cookie.
    MissingVerificationToken,
    /// The code is wrong, or was right for too long: the two are not told apart.
    BadCheckCode,
    /// The challenge was verified before, or the challenge token has begun a session or granted a scope.
    TokenReused,
    /// A step of the challenge token is left.
    StepNotCompleted,
    /// The DPoP proof is malformed, or of another request, another time or a request before.
    InvalidDpopProof(Cow<'static, str>),
    /// The session is bound to a key, and no DPoP proof came.
    MissingDpopProof,
    /// The DPoP proof is of another key than the session's.
    DpopKeyMismatch,
    /// The page of a list is too long, or its length is no number.
    InvalidLimit,
    /// The caller's own data has too many or too long entries.
    InvalidMetadata,
    /// The place where a page of a list begins is no number.
    InvalidOffset,
    /// No bearer, or one whom the app's issuer does not know.
    Unauthorized,
    /// The app does not let anybody step up to the scope.
    ScopeNotAllowed,
    /// The app has no issuer, or nothing to step up to.
    NotConfigured,
    /// Nothing is served at this path with this method.
    NotFound,
    /// The page's origin is not among those that the app allows.
    OriginNotAllowed,
    /// The caller is blocked.
    AuthBlocked,
    /// Too much; it is possible again after the wait, if there is one.
    RateLimited(Option<Duration>),
    /// The same request under this key is being served; ask again after the wait, if there is one.
    InFlight(Option<Duration>),
    /// The key came with another body.
    OtherBody,
    /// The rules have refused a send: the error that says why, unless the challenge is lost.
    Send(RefusedSend),
    /// Something outside has failed, and nothing was revealed; try again after the wait.
    Internal(Duration, Cause),
}

impl From<Cause> for Error {
    fn from(cause: Cause) -> Self {
        Self::Internal(RETRY, cause)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Internal(RETRY, failure.into())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Internal(RETRY, error.into())
    }
}

impl From<IdempotencyError> for Error {
    fn from(error: IdempotencyError) -> Self {
        match error {
            IdempotencyError::Malformed(why) => Self::BadRequest(why.into()),
            IdempotencyError::Conflict(wait) => Self::InFlight(wait),
            IdempotencyError::OtherBody => Self::OtherBody,
            IdempotencyError::Failed(failure) => failure.into(),
        }
    }
}

impl Error {
    /// A token that could not be signed.
    #[must_use]
    pub fn unsigned(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Internal(RETRY, error.into())
    }

    fn row(&self) -> (StatusCode, &'static str, &'static str) {
        const BAD: (StatusCode, &str) = (StatusCode::BAD_REQUEST, "bad_request");
        const FORBIDDEN: (StatusCode, &str) = (StatusCode::FORBIDDEN, "forbidden");
        let ((status, class), code) = match self {
            Self::BadRequest(_) => (BAD, "bad_request"),
            Self::ExpiredChallengeToken => (BAD, "expired_challenge_token"),
            Self::InvalidChallengeToken => (BAD, "invalid_challenge_token"),
            Self::TokenMismatch => (BAD, "token_mismatch"),
            Self::InvalidVerificationToken | Self::MissingVerificationToken => {
                (BAD, "invalid_verification_token")
            }
            Self::BadCheckCode => (BAD, "bad_check_code"),
            Self::StepNotCompleted => (BAD, "step_not_completed"),
            Self::InvalidDpopProof(_) => (BAD, "invalid_dpop_proof"),
            Self::MissingDpopProof => (BAD, "missing_dpop_proof"),
            Self::DpopKeyMismatch => (BAD, "dpop_key_mismatch"),
            Self::InvalidLimit => (BAD, "invalid_pagination_limit"),
            Self::InvalidMetadata => (BAD, "invalid_metadata"),
            Self::InvalidOffset => (BAD, "invalid_pagination_offset"),
            Self::NotConfigured => (BAD, "not_configured"),
            Self::Unauthorized => ((StatusCode::UNAUTHORIZED, "unauthorized"), "unauthorized"),
            Self::NotFound => ((StatusCode::NOT_FOUND, "not_found"), "not_found"),
            Self::ScopeNotAllowed => (FORBIDDEN, "scope_not_allowed"),
            Self::OriginNotAllowed => (FORBIDDEN, "origin_not_allowed"),
            Self::AuthBlocked => (FORBIDDEN, "auth_blocked"),
            Self::InFlight(_) => ((StatusCode::CONFLICT, "conflict"), "idempotency_conflict"),
            Self::OtherBody => {
                ((StatusCode::UNPROCESSABLE_ENTITY, "bad_request"), "idempotency_key_reused")
            }
            Self::TokenReused => ((StatusCode::CONFLICT, "conflict"), "token_reused"),
            Self::RateLimited(_) => {
                ((StatusCode::TOO_MANY_REQUESTS, "rate_limited"), "rate_limited")
            }
            Self::Send(refused) => return delivery::error(refused).row(),
            Self::Internal(..) => ((StatusCode::INTERNAL_SERVER_ERROR, "internal"), "internal"),
        };
        (status, code, class)
    }

    fn message(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::BadRequest(message) | Self::InvalidDpopProof(message) => Some(message.clone()),
            Self::MissingVerificationToken => Some(NO_VERIFICATION_TOKEN.into()),
            Self::Send(refused) => delivery::error(refused).message(),
            _ => None,
        }
    }

    fn wait(&self) -> Option<Duration> {
        match self {
            Self::RateLimited(wait) | Self::InFlight(wait) => *wait,
            Self::Internal(wait, _) => Some(*wait),
            Self::Send(refused) => delivery::error(refused).wait(),
            _ => None,
        }
    }
}

impl ContractError for Error {
    fn answer(&self, _: &Request) -> Answer {
        let (status, code, class) = self.row();
        let body = ErrorBody { code, class, message: self.message() };
        let answer = Answer::json(status, &body);
        let answer = match self {
            // RFC 9110 §11.6.1.
            Self::Unauthorized => {
                answer.header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
            }
            Self::Send(refused) => answer.rate_limit(refused),
            _ => answer,
        };
        match self.wait() {
            Some(wait) => answer.retry_after(wait),
            None => answer,
        }
    }

    fn outcome(&self) -> &'static str {
        match self {
            Self::Internal(..) => "unavailable",
            Self::Unauthorized | Self::OriginNotAllowed => "denied",
            _ => "refused",
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Internal(_, cause) => Some(cause.as_ref()),
            _ => None,
        }
    }
}

impl From<BodyError> for Error {
    fn from(error: BodyError) -> Self {
        Self::BadRequest(error.to_string().into())
    }
}

impl From<ProofError> for Error {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::Expired => Self::ExpiredChallengeToken,
            ProofError::Mismatch => Self::TokenMismatch,
            ProofError::Completed => Self::InvalidChallengeToken,
            ProofError::NotCompleted => Self::StepNotCompleted,
        }
    }
}

/// Reads what the keyring must verify; once more with the keyring as it is stored now, when the one in
/// hand does not verify it: somebody may have rotated it.
pub async fn verified_token<W, T>(
    world: &W,
    read: impl Fn(&Keyring) -> Result<T, Error>,
) -> Result<(Arc<Keyring>, T), Error>
where
    W: World<Keyring: LoadKeyring>,
{
    let keys = world.keyring();
    verified_by(|| keys.keyring(), || keys.refreshed(), read).await
}

/// The same of what the signing keys must verify.
pub async fn verified_signature<W, T>(
    world: &W,
    read: impl Fn(&SigningKeys) -> Result<T, Error>,
) -> Result<(Arc<SigningKeys>, T), Error>
where
    W: World<SigningKeys: LoadSigningKeys>,
{
    let keys = world.signing_keys();
    verified_by(|| keys.signing_keys(), || keys.refreshed_signing_keys(), read).await
}

async fn verified_by<K, T, H, S>(
    in_hand: impl FnOnce() -> H,
    stored: impl FnOnce() -> S,
    read: impl Fn(&K) -> Result<T, Error>,
) -> Result<(Arc<K>, T), Error>
where
    H: Future<Output = Result<Arc<K>, Cause>>,
    S: Future<Output = Result<Arc<K>, Cause>>,
{
    let keys = in_hand().await?;
    match read(&keys) {
        Err(Error::InvalidVerificationToken | Error::InvalidChallengeToken) => {
            let keys = stored().await?;
            let found = read(&keys)?;
            Ok((keys, found))
        }
        found => Ok((keys, found?)),
    }
}

/// A request that may come with an `Idempotency-Key`, from whoever shows this credential, if any.
#[must_use]
pub fn idempotent<'a>(
    request: &'a Request,
    app: &'a App,
    credential: Option<&'a str>,
) -> Idempotent<'a> {
    Idempotent { request, app: Some(&app.id), credential, has_secret: false }
}
