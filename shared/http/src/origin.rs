//! The IP address that a request is limited by.

use crate::{Request, RequestExt as _, header_text};
use lambda_http::request::RequestContext;
use std::net::IpAddr;
use utoipa::openapi::{
    ObjectBuilder, OpenApi, Type,
    path::{ParameterBuilder, ParameterIn},
};

/// What an authenticated server tells of its own caller.
const CLIENT_IP: &str = "passcode-client-ip";

/// The address of whoever makes the request: for browsers and phones, which call themselves. API
/// Gateway has seen it; no header of the caller's counts.
#[must_use]
pub fn own_ip(request: &Request) -> Option<IpAddr> {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => {
            context.http.source_ip.as_ref()?.parse().ok()
        }
        _ => None,
    }
}

/// The address of the person whom an authenticated server speaks for, if it tells. Its own address
/// is everybody's, and says nothing.
#[must_use]
pub fn told_ip(request: &Request) -> Option<IpAddr> {
    header_text(request, CLIENT_IP)?.trim().parse().ok()
}

/// Adds the header to the operations of a contract that read it with [`told_ip`].
#[must_use]
pub fn with_client_ip(mut api: OpenApi) -> OpenApi {
    let text = ObjectBuilder::new().schema_type(Type::String).build();
    let header = ParameterBuilder::new()
        .name("Passcode-Client-IP")
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "From a server with credentials: the IP address of the person it speaks for, which limits \
             are counted by. What is no IP address is as if it were not there.",
        ))
        .schema(Some(text))
        .build();
    for item in api.paths.paths.values_mut() {
        if let Some(post) = &mut item.post {
            post.parameters.get_or_insert_default().push(header.clone().into());
        }
    }
    api
}
