//! Who calls: a page of an origin that the app allows, or something that is no browser and names no
//! origin. Pages bring cookies, so an origin that is not allowed is refused, and not only kept from
//! reading the answer.

use crate::Error;
use lambda_http::http::{HeaderValue, Method, header};
use passcode_domain::{App, World, ports::LoadApps};
use passcode_http::{
    Answer, Record, Request, RequestExt as _,
    cors::{self, Cors},
    rendered, tenant,
};
use std::sync::Arc;

/// What the published clients send and read, `Idempotency-Key` and `Retry-After`.
const CORS: Cors = Cors {
    methods: "GET, POST",
    request_headers: "accept, authorization, content-type, dpop, idempotency-key, passcode-device, user-agent, \
                      x-device-id, x-refresh-token, x-sdk-user-agent, x-verification-token",
    response_headers: "date, dpop-nonce, passcode-device, retry-after, x-refresh-token, \
                       x-refresh-token-expires-at, x-verification-token",
    has_credentials: true,
};

/// The path parameter of the route that takes what no other route of the contract does.
const UNROUTED: &str = "proxy";

/// A caller of an app.
#[derive(Clone, Debug)]
pub struct BrowserCaller {
    /// The app.
    pub app: Arc<App>,
    /// The origin of the calling page, which the app allows.
    origin: Option<HeaderValue>,
}

/// Lets a caller in. Preflights, callers that are not let in, and requests for what is not served
/// here are answered here.
pub async fn admit<W>(
    world: &W,
    request: &Request,
    record: &mut Record,
) -> Result<BrowserCaller, Answer>
where
    W: World<Apps: LoadApps>,
{
    let app = match tenant::app_of(world, request).await {
        Ok(Some(app)) => app,
        Ok(None) => {
            let unknown = Error::BadRequest("no app is known by this host".into());
            return Err(rendered(Err(unknown), request, record));
        }
        Err(error) => return Err(rendered(Err(Error::from(error)), request, record)),
    };
    record.app(&app.id);
    let origin = request.headers().get(header::ORIGIN).cloned();
    if origin.as_ref().is_some_and(|origin| !cors::is_allowed(&app, request, origin)) {
        return Err(CORS.share(rendered(Err(Error::OriginNotAllowed), request, record), None));
    }
    let caller = BrowserCaller { app, origin };
    if request.method() == Method::OPTIONS {
        record.outcome = "preflight";
        return Err(CORS.preflight(caller.origin.as_ref()));
    }
    if is_unrouted(request) {
        return Err(caller.respond(Err(Error::NotFound), request, record));
    }
    Ok(caller)
}

/// Whether no route of the contract matches but the one that takes everything else.
fn is_unrouted(request: &Request) -> bool {
    request.path_parameters_ref().is_some_and(|parameters| parameters.first(UNROUTED).is_some())
}

impl BrowserCaller {
    /// The answer to a request, which the page may read.
    #[must_use]
    pub fn respond(
        &self,
        answered: Result<Answer, Error>,
        request: &Request,
        record: &mut Record,
    ) -> Answer {
        CORS.share(rendered(answered, request, record), self.origin.as_ref())
    }
}
