//! Pages that hold the id of a challenge and call with nothing else, where a contract's other callers
//! are servers and apps. Which pages may read the answers, the app of the called host says: it is
//! known before the challenge is, so an answer tells nothing of whether there is one. No cookie and
//! no credential of the browser's is looked at, so whoever has the id is served, from whichever page.

use crate::{
    Answer, ContractError, Record, Request,
    cors::{self, Cors},
    rendered, tenant,
};
use http::{HeaderValue, Method, header};
use passcode_domain::{World, ports::LoadApps};
use utoipa::openapi::{OpenApi, ResponseBuilder, ResponsesBuilder};

const CORS: Cors = Cors {
    methods: "POST",
    request_headers: "accept, content-type, idempotency-key",
    response_headers: "date, retry-after",
    has_credentials: false,
};

/// A caller that may be a page.
#[derive(Clone, Debug)]
pub struct Page {
    /// The origin of the page, if the app of the host lists it.
    origin: Option<HeaderValue>,
}

/// Who calls. A preflight is answered here.
pub async fn admit<W>(world: &W, request: &Request, record: &mut Record) -> Result<Page, Answer>
where
    W: World<Apps: LoadApps>,
{
    let page = Page { origin: listed_origin(world, request, record).await };
    if request.method() != Method::OPTIONS {
        return Ok(page);
    }
    record.outcome = "preflight";
    Err(CORS.preflight(page.origin.as_ref()))
}

impl Page {
    /// The answer to a request, which the page may read if the app lists its origin.
    #[must_use]
    pub fn respond<E: ContractError>(
        &self,
        answered: Result<Answer, E>,
        request: &Request,
        record: &mut Record,
    ) -> Answer {
        CORS.share(rendered(answered, request, record), self.origin.as_ref())
    }
}

/// The origin of the calling page, if the app of the host lists it. A store that does not answer costs
/// the page the answer, and nobody else.
async fn listed_origin<W>(world: &W, request: &Request, record: &mut Record) -> Option<HeaderValue>
where
    W: World<Apps: LoadApps>,
{
    let origin = request.headers().get(header::ORIGIN)?;
    match tenant::app_of(world, request).await {
        Ok(app) => {
            let app = app?;
            if request.method() == Method::OPTIONS {
                record.app(&app.id);
            }
            cors::is_allowed(&app, request, origin).then(|| origin.clone())
        }
        Err(error) => {
            record.error(&error);
            None
        }
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
