//! Answers, and the errors of contracts that become answers.

use crate::Record;
use headers_accept::Accept;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use lambda_http::{Body, Request, Response};
use mediatype::MediaType;
use passcode_domain::{
    Timestamp, action::send::Refusal, app::guard::Rule, guard::Throttled, ledger::MAX_LIVE,
    secret::code::CodeId,
};
use serde::Serialize;
use std::{error::Error, time::Duration};

/// What a limit allows.
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What is left of it.
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// What a function answers.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers. Nothing that Passcode answers may be stored by a cache.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
    /// Which code the body tells, where it tells one. Such a body is kept nowhere.
    pub code: Option<CodeId>,
}

impl Answer {
    /// An answer with a body of some media type.
    #[must_use]
    pub fn new(status: StatusCode, media: &'static str, body: String) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Self { status, headers, body, code: None }
    }

    /// An answer in JSON. The contracts' bodies are plain structs, which always serialise.
    #[must_use]
    pub fn json(status: StatusCode, body: &impl Serialize) -> Self {
        let body = serde_json::to_string(body).unwrap_or_default();
        Self::new(status, "application/json", body)
    }

    /// An answer without a body.
    #[must_use]
    pub fn empty(status: StatusCode) -> Self {
        let answer = Self::new(status, "", String::new());
        let mut headers = answer.headers;
        headers.remove(header::CONTENT_TYPE);
        Self { headers, ..answer }
    }

    /// Says that the body tells a code, and keeps it out of every store.
    #[must_use]
    pub fn telling(self, code: CodeId) -> Self {
        Self { code: Some(code), ..self }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Adds a cookie, beside those that are there.
    #[must_use]
    pub fn cookie(mut self, cookie: HeaderValue) -> Self {
        self.headers.append(header::SET_COOKIE, cookie);
        self
    }

    /// Says when to come back (RFC 9110 §10.2.3), in whole seconds, rounded up, at least one.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds(wait)))
    }
}

/// An error of a contract: how it is answered, and how it is logged.
pub trait ContractError {
    /// The answer.
    fn answer(&self, request: &Request) -> Answer;

    /// How the log says that the request ended, where nothing more exact is known.
    fn outcome(&self) -> &'static str;

    /// What has failed outside the domain, for the log.
    fn cause(&self) -> Option<&(dyn Error + 'static)>;
}

/// The answer to a request, whichever way it ended. An error says in the record how that was.
#[must_use]
pub fn rendered<E: ContractError>(
    answered: Result<Answer, E>,
    request: &Request,
    record: &mut Record,
) -> Answer {
    answered.unwrap_or_else(|error| {
        if record.outcome.is_empty() {
            record.outcome = error.outcome();
        }
        if let Some(cause) = error.cause() {
            record.error(cause);
        }
        error.answer(request)
    })
}

/// What a caller has shown of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A secret, an administrator's key or an access token.
    WithCredentials,
    /// Nothing, or no more than the id or the token of a challenge.
    WithoutCredentials,
}

/// A send that the rules have refused.
#[derive(Clone, Copy, Debug)]
pub struct RefusedSend {
    /// Why.
    pub refusal: Refusal,
    /// When.
    pub at: Timestamp,
    /// Who has asked for it.
    pub caller: Caller,
}

impl RefusedSend {
    /// The time from the refusal until another moment.
    #[must_use]
    pub fn wait(&self, until: Timestamp) -> Duration {
        self.at.until(until)
    }
}

impl Answer {
    /// Says which limit is used up, and when there is room again (IETF draft `ratelimit-headers`,
    /// -10), to callers with credentials. Others would learn quotas, and what limits count is not
    /// theirs alone: `Retry-After` is enough for them. How much an app may spend is nobody's business.
    #[must_use]
    pub fn rate_limit(self, refused: &RefusedSend) -> Self {
        if refused.caller == Caller::WithoutCredentials {
            return self;
        }
        let (name, quota, window, until) = match &refused.refusal {
            Refusal::Throttled(Throttled { rule, quota, window, until })
                if *rule != Rule::SpendCap =>
            {
                (rule.as_str(), *quota, Some(*window), *until)
            }
            Refusal::CoolingDown(until) => ("cool_down", 1, None, *until),
            Refusal::TooMany(until) => ("open_challenges", MAX_LIVE as u64, None, *until),
            Refusal::NotFound
            | Refusal::Expired
            | Refusal::AlreadyUsed
            | Refusal::Exhausted(_)
            | Refusal::SendsExhausted
            | Refusal::AlreadySent
            | Refusal::NeverSent
            | Refusal::NoAddress(_)
            | Refusal::Throttled(_)
            | Refusal::Blocked(_) => return self,
        };
        let window = window.map(|window| format!(";w={}", window.as_secs())).unwrap_or_default();
        let policy = format!("\"{name}\";q={quota}{window}");
        let limit = format!("\"{name}\";r=0;t={}", seconds(refused.wait(until)));
        // Names and numbers are letters, digits and underscores.
        let value =
            |text: String| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
        self.header(RATE_LIMIT_POLICY, value(policy)).header(RATE_LIMIT, value(limit))
    }
}

/// Whole seconds, rounded up, at least one.
fn seconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis().div_ceil(1000).max(1)).unwrap_or(u64::MAX)
}

impl From<Answer> for Response<Body> {
    fn from(answer: Answer) -> Self {
        let mut response = Response::new(Body::Text(answer.body));
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        response
    }
}

/// A header's value, if there is exactly one and it is readable.
#[must_use]
pub fn header_text<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let mut values = request.headers().get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// The media type that the request's `Accept` prefers among those offered; the first of them where
/// it names none (RFC 9110 §12.5.1).
#[must_use]
pub fn preferred<'a>(request: &Request, offered: &'a [MediaType<'a>]) -> &'a MediaType<'a> {
    // In one case: the parser tells `utf-8` from the `UTF-8` that is offered, and nothing else does.
    let accept = header_text(request, "accept").map(str::to_ascii_uppercase);
    let accept = accept.and_then(|text| text.parse::<Accept>().ok());
    accept.and_then(|accept| accept.negotiate(offered)).unwrap_or(&offered[0])
}
