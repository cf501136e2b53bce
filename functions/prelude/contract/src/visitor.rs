//! Who calls: a page of an origin that the app allows, or something that is no browser and names no
//! origin. Pages bring cookies, so an origin that is not allowed is refused, and not only kept from
//! reading the answer.

use crate::{Refusal, storeless};
use lambda_http::http::{HeaderValue, Method, header};
use passcode_domain::{App, AppId, ports::LoadApps};
use passcode_http::{
    Answer, Record, Request, RequestExt as _,
    cors::{self, Cors},
    tenant,
};
use std::sync::Arc;

/// What the published clients send and read, `Idempotency-Key` and `Retry-After`.
const CORS: Cors = Cors {
    methods: "GET, POST",
    request_headers: "accept, authorization, content-type, dpop, idempotency-key, user-agent, \
                      x-device-id, x-refresh-token, x-sdk-user-agent, x-verification-token",
    response_headers: "date, dpop-nonce, retry-after, x-refresh-token, \
                       x-refresh-token-expires-at, x-verification-token",
    has_credentials: true,
};

/// The path parameter of the route that takes what no other route of the contract does.
const UNROUTED: &str = "proxy";

/// A caller of an app.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The app.
    pub app: Arc<App>,
    /// The origin of the calling page, which the app allows.
    origin: Option<HeaderValue>,
}

/// Lets a caller in. Preflights, callers that are not let in, and requests for what is not served
/// here are answered here.
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
    if origin.as_ref().is_some_and(|origin| !cors::is_allowed(&app, request, origin)) {
        return Err(CORS.share(Refusal::OriginNotAllowed.answer(record), None));
    }
    let visitor = Visitor { app, origin };
    if request.method() == Method::OPTIONS {
        return Err(CORS.preflight(visitor.origin.as_ref(), record));
    }
    if is_unrouted(request) {
        return Err(visitor.show(Refusal::NotFound.answer(record)));
    }
    Ok(visitor)
}

/// Whether no route of the contract matches but the one that takes everything else.
fn is_unrouted(request: &Request) -> bool {
    request.path_parameters_ref().is_some_and(|parameters| parameters.first(UNROUTED).is_some())
}

impl Visitor {
    /// Lets the page read an answer.
    #[must_use]
    pub fn show(&self, answer: Answer) -> Answer {
        CORS.share(answer, self.origin.as_ref())
    }
}
