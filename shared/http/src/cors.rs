//! Cross-origin requests from web pages (the CORS protocol of the Fetch standard): which origins may
//! call, and what the response headers tell their browsers.

use crate::{Answer, Request, header_text};
use http::{HeaderValue, StatusCode, header};
use passcode_domain::{App, secret::dpop::is_this_machine};
use utoipa::openapi::{
    RefOr, Responses,
    path::{Operation, OperationBuilder, ParameterIn},
};

/// Seconds that a browser remembers the answer to its preflight.
const PREFLIGHT_SECONDS: HeaderValue = HeaderValue::from_static("600");

/// What pages of other origins may do with the endpoints of a contract.
#[derive(Clone, Debug)]
pub struct Cors {
    /// The methods that they may use.
    pub methods: &'static str,
    /// The request headers that they may send, in lower case.
    pub request_headers: &'static str,
    /// The response headers that they may read, in lower case.
    pub response_headers: &'static str,
    /// Whether their requests bring cookies, and the response may be read all the same.
    pub has_credentials: bool,
}

impl Cors {
    /// Lets a page of this origin read an answer. Without an origin the answer only says that it
    /// depends on one, for caches.
    #[must_use]
    pub fn share(&self, answer: Answer, origin: Option<&HeaderValue>) -> Answer {
        let answer = answer.header(header::VARY, HeaderValue::from_static("origin"));
        let Some(origin) = origin else { return answer };
        let exposed = HeaderValue::from_static(self.response_headers);
        let answer = answer
            .header(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone())
            .header(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        if self.has_credentials {
            let credentials = HeaderValue::from_static("true");
            return answer.header(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, credentials);
        }
        answer
    }

    /// The answer to a preflight of this origin: what a page may send. Without an origin that may
    /// call it allows nothing.
    #[must_use]
    pub fn preflight(&self, origin: Option<&HeaderValue>) -> Answer {
        let answer = self.share(Answer::empty(StatusCode::NO_CONTENT), origin);
        if origin.is_none() {
            return answer;
        }
        answer
            .header(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(self.methods))
            .header(
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                HeaderValue::from_static(self.request_headers),
            )
            .header(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS)
    }
}

/// The preflight of an endpoint, in the OpenAPI document, with the parameters of its path.
#[must_use]
pub fn preflight_of(endpoint: Option<&Operation>, responses: Responses) -> Operation {
    let id = endpoint.and_then(|endpoint| endpoint.operation_id.as_deref()).unwrap_or_default();
    let tags = endpoint.and_then(|endpoint| endpoint.tags.clone());
    let parameters = endpoint.and_then(|endpoint| endpoint.parameters.as_ref());
    let in_path = parameters.into_iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Path => Some(parameter),
        _ => None,
    });
    OperationBuilder::new()
        .operation_id(Some(format!("{id}-preflight")))
        .tags(tags)
        .summary(Some("What a browser asks before a page of another origin calls"))
        .parameters(Some(in_path.cloned()))
        .responses(responses)
        .build()
}

/// Whether pages of an origin may call an app: those of the host that is called, and those that
/// the app's `browser.origins` lists.
#[must_use]
pub fn is_allowed(app: &App, request: &Request, origin: &HeaderValue) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    let host = header_text(request, "host").unwrap_or_default();
    let is_own = match origin.split_once("://") {
        Some(("https", page)) => page == host,
        // Only on this machine is a page of the API's own host loaded without TLS.
        Some(("http", page)) => page == host && is_this_machine(host),
        _ => false,
    };
    is_own || app.allows_origin(origin)
}
