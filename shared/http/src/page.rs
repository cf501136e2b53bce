//! Pages that hold the id of a challenge and call with nothing else, where a contract's other callers
//! are servers and apps. Which pages may read the answers, the app of the called host says: it is
//! known before the challenge is, so an answer tells nothing of whether there is one. No cookie and
//! no credential of the browser's is looked at, so whoever has the id is served, from whichever page.

use crate::{
    Answer, Record, Request,
    cors::{self, Cors},
    tenant,
};
use http::{HeaderValue, Method, header};
use passcode_domain::{AppId, ports::LoadApps};
use utoipa::openapi::{OpenApi, ResponseBuilder, ResponsesBuilder};

const CORS: Cors = Cors {
    methods: "POST",
    request_headers: "accept, content-type, idempotency-key",
    response_headers: "date, retry-after",
    has_credentials: false,
};

/// Serves a request, and lets the page that makes it read the answer, if the app lists its origin.
/// Preflights are answered here.
pub async fn serve<F: Future<Output = Answer>>(
    request: Request,
    apps: &impl LoadApps,
    default: Option<&AppId>,
    handle: impl FnOnce(Request) -> F,
) -> Answer {
    let (origin, record) = listed_origin(&request, apps, default).await;
    if request.method() == Method::OPTIONS {
        return CORS.preflight(origin.as_ref(), record);
    }
    let mut answer = handle(request).await;
    answer.record.error = answer.record.error.or(record.error);
    CORS.share(answer, origin.as_ref())
}

/// The origin of the calling page, if the app of the host lists it, and what is known of the app. A
/// store that does not answer costs the page the answer, and nobody else.
async fn listed_origin(
    request: &Request,
    apps: &impl LoadApps,
    default: Option<&AppId>,
) -> (Option<HeaderValue>, Record) {
    let Some(origin) = request.headers().get(header::ORIGIN) else {
        return (None, Record::default());
    };
    match tenant::app_of(request, apps, default).await {
        Ok(Some(app)) => {
            let origin = cors::is_allowed(&app, request, origin).then(|| origin.clone());
            (origin, Record::default().app(&app.id))
        }
        Ok(None) => (None, Record::default()),
        Err(error) => (None, Record::default().error(&error)),
    }
}

/// Adds the preflights of an endpoint to the OpenAPI document.
#[must_use]
pub fn with_preflights(mut api: OpenApi) -> OpenApi {
    let allowed =
        ResponseBuilder::new().description("What the page may send, if its origin is listed");
    let responses = ResponsesBuilder::new().response("204", allowed.build()).build();
    for item in api.paths.paths.values_mut() {
        item.options = Some(cors::preflight_of(item.post.as_ref(), responses.clone()));
    }
    api
}
