//! Who calls: a page of an origin that the app allows (the Fetch standard's CORS protocol, with
//! credentials, so never with a wildcard), or something that is no browser and names no origin.

use super::{Refusal, storeless};
use crate::{Answer, Record, Request, contract::tenant, header_text};
use http::{HeaderValue, Method, StatusCode, header};
use passcode_domain::{App, AppId, ports::LoadApps};
use std::sync::Arc;

/// Seconds that a browser remembers the answer to its preflight.
const PREFLIGHT_SECONDS: HeaderValue = HeaderValue::from_static("600");

const METHODS: HeaderValue = HeaderValue::from_static("POST");

const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "accept, authorization, content-type, dpop, idempotency-key, user-agent, x-verification-token",
);

const ANSWER_HEADERS: HeaderValue =
    HeaderValue::from_static("x-verification-token, retry-after, ratelimit, ratelimit-policy");

/// A caller of an app.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The app.
    pub app: Arc<App>,
    /// The origin of the calling page, which the app allows.
    origin: Option<HeaderValue>,
}

/// Lets a caller in. Preflights, and callers that are not let in, are answered here.
pub async fn admit(
    request: &Request,
    apps: &impl LoadApps,
    default: Option<&AppId>,
) -> Result<Visitor, Answer> {
    let app = tenant::app_of(request, apps, default).await;
    let app = app.map_err(|error| storeless(&error, Record::default()))?;
    let nobody = Refusal::BadRequest("no app is known by this host".into());
    let app = app.ok_or_else(|| nobody.answer(Record::default()))?;
    let record = Record::default().app(&app.id);
    let origin = request.headers().get(header::ORIGIN).cloned();
    if origin.as_ref().is_some_and(|origin| !is_allowed(&app, request, origin)) {
        let vary = HeaderValue::from_static("origin");
        return Err(Refusal::OriginNotAllowed.answer(record).header(header::VARY, vary));
    }
    let visitor = Visitor { app, origin };
    if request.method() == Method::OPTIONS {
        return Err(visitor.preflight(record));
    }
    Ok(visitor)
}

/// A page may call its own host, and the app's list says which others may.
fn is_allowed(app: &App, request: &Request, origin: &HeaderValue) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    let own = header_text(request, "host").map(|host| format!("https://{host}"));
    own.as_deref() == Some(origin) || app.allows_origin(origin)
}

impl Visitor {
    /// Lets the page read an answer.
    #[must_use]
    pub fn show(&self, answer: Answer) -> Answer {
        let answer = answer.header(header::VARY, HeaderValue::from_static("origin"));
        match &self.origin {
            None => answer,
            Some(origin) => answer
                .header(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone())
                .header(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"))
                .header(header::ACCESS_CONTROL_EXPOSE_HEADERS, ANSWER_HEADERS),
        }
    }

    fn preflight(&self, record: Record) -> Answer {
        let record = Record { outcome: "preflight", ..record };
        self.show(Answer::empty(StatusCode::NO_CONTENT, record))
            .header(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS)
            .header(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS)
            .header(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS)
    }
}
