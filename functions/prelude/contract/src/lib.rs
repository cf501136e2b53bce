//! Prelude: browsers that hold a verification token between two requests, errors as `{code, type}`,
//! apps known by the host.

mod delivery;
mod routes;
mod token;
mod visitor;

pub use delivery::{Lost, deliver, even_out};
pub use routes::with_browser_routes;
pub use token::{VERIFICATION_HEADER, issue, present};
pub use visitor::{Visitor, admit};

use lambda_http::http::{HeaderValue, StatusCode, header};
use passcode_domain::{
    App, Keyring, SigningKeys,
    ports::{Cause, LoadKeyring, LoadSigningKeys, StoreError},
    proof::Disbelief,
    transact::Failure,
};
use passcode_http::{Answer, BodyError, Idempotent, RETRY, Record, Refused, Request};
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
        pattern = "^(bad_request|expired_challenge_token|invalid_challenge_token|token_mismatch|invalid_verification_token|bad_check_code|not_configured|not_found|unauthorized|scope_not_allowed|origin_not_allowed|auth_blocked|token_reused|idempotency_conflict|idempotency_key_reused|rate_limited|internal)$"
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
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
    /// The challenge was verified before.
    TokenReused,
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
    /// Something outside has failed, and nothing was revealed; try again after the wait.
    Internal(Duration),
}

impl Refusal {
    const fn row(&self) -> (StatusCode, &'static str, &'static str) {
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
            Self::Internal(_) => ((StatusCode::INTERNAL_SERVER_ERROR, "internal"), "internal"),
        };
        (status, code, class)
    }

    /// The answer. A record that has no outcome yet ends as refused, or as unavailable.
    #[must_use]
    pub fn answer(&self, record: Record) -> Answer {
        let (status, code, class) = self.row();
        let (message, wait) = match self {
            Self::BadRequest(message) => (Some(message.clone()), None),
            Self::MissingVerificationToken => (Some(NO_VERIFICATION_TOKEN.into()), None),
            Self::RateLimited(wait) | Self::InFlight(wait) => (None, *wait),
            Self::Internal(wait) => (None, Some(*wait)),
            _ => (None, None),
        };
        let outcome = match (record.outcome, self) {
            ("", Self::Internal(_)) => "unavailable",
            ("", Self::Unauthorized | Self::OriginNotAllowed) => "denied",
            ("", _) => "refused",
            (outcome, _) => outcome,
        };
        let body = ErrorBody { code, class, message };
        let answer = Answer::json(status, &body, Record { outcome, ..record });
        let answer = match self {
            // RFC 9110 §11.6.1.
            Self::Unauthorized => {
                answer.header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
            }
            _ => answer,
        };
        match wait {
            Some(wait) => answer.retry_after(wait),
            None => answer,
        }
    }
}

impl From<&BodyError> for Refusal {
    fn from(error: &BodyError) -> Self {
        Self::BadRequest(error.to_string().into())
    }
}

impl From<Disbelief> for Refusal {
    fn from(disbelief: Disbelief) -> Self {
        match disbelief {
            Disbelief::Expired => Self::ExpiredChallengeToken,
            Disbelief::Mismatch => Self::TokenMismatch,
            Disbelief::Completed => Self::InvalidChallengeToken,
        }
    }
}

/// Reads what the keyring must vouch for; once more with the keyring as it is stored now, when the
/// one in hand does not: somebody may have rotated it.
pub async fn vouched<T>(
    keys: &impl LoadKeyring,
    record: &Record,
    read: impl Fn(&Keyring) -> Result<T, Refusal>,
) -> Result<(Arc<Keyring>, T), Answer> {
    vouched_by(|| keys.keyring(), || keys.refreshed(), record, read).await
}

/// The same of what the signing keys must vouch for.
pub async fn vouched_by_signature<T>(
    keys: &impl LoadSigningKeys,
    record: &Record,
    read: impl Fn(&SigningKeys) -> Result<T, Refusal>,
) -> Result<(Arc<SigningKeys>, T), Answer> {
    vouched_by(|| keys.signing_keys(), || keys.refreshed_signing_keys(), record, read).await
}

async fn vouched_by<K, T, H, S>(
    in_hand: impl FnOnce() -> H,
    stored: impl FnOnce() -> S,
    record: &Record,
    read: impl Fn(&K) -> Result<T, Refusal>,
) -> Result<(Arc<K>, T), Answer>
where
    H: Future<Output = Result<Arc<K>, Cause>>,
    S: Future<Output = Result<Arc<K>, Cause>>,
{
    let keyless = |cause| keyless(&cause, record.clone());
    let keys = in_hand().await.map_err(keyless)?;
    let (keys, found) = match read(&keys) {
        Err(Refusal::InvalidVerificationToken | Refusal::InvalidChallengeToken) => {
            let keys = stored().await.map_err(keyless)?;
            let found = read(&keys);
            (keys, found)
        }
        found => (keys, found),
    };
    found.map(|found| (keys, found)).map_err(|refusal| refusal.answer(record.clone()))
}

/// A request that may come with an `Idempotency-Key`, from whoever shows this credential, if any.
#[must_use]
pub fn idempotent<'a>(
    request: &'a Request,
    app: &'a App,
    credential: Option<&'a str>,
) -> Idempotent<'a> {
    Idempotent {
        request,
        app: Some(&app.id),
        credential,
        has_secret: false,
        refuse: |refused, _, record| refuse(refused, record),
    }
}

fn refuse(refused: Refused, record: Record) -> Answer {
    match refused {
        Refused::Malformed(why) => Refusal::BadRequest(why.into()).answer(record),
        Refused::Conflict(wait) => Refusal::InFlight(wait).answer(record),
        Refused::OtherBody => Refusal::OtherBody.answer(record),
        Refused::Failed(failure) => failed(&failure, record),
    }
}

/// The answer to a use-case that reached no outcome.
#[must_use]
pub fn failed(failure: &Failure, record: Record) -> Answer {
    Refusal::Internal(RETRY).answer(record.error(failure))
}

/// The answer when the store did not.
#[must_use]
pub fn storeless(error: &StoreError, record: Record) -> Answer {
    Refusal::Internal(RETRY).answer(record.error(error))
}

/// The answer when the keyring, or an issuer's keys, could not be read.
#[must_use]
pub fn keyless(cause: &Cause, record: Record) -> Answer {
    Refusal::Internal(RETRY).answer(record.cause(cause))
}
