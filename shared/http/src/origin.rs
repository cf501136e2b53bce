//! Where a request comes from, as the rules of the guard count it.

use crate::{Request, RequestExt as _, header_text};
use lambda_http::request::RequestContext;
use passcode_domain::guard::Origin;
use thiserror::Error;
use utoipa::openapi::{
    KnownFormat, ObjectBuilder, OpenApi, Schema, SchemaFormat, Type,
    path::{ParameterBuilder, ParameterIn},
    schema::AnyOfBuilder,
};

/// What an authenticated server tells of its own caller.
const CLIENT_IP: &str = "passcode-client-ip";

/// The origin of whoever makes the request: for browsers and phones, which call themselves. API Gateway
/// has seen the IP address; no header of the caller's counts.
#[must_use]
pub fn peer_origin(request: &Request) -> Origin {
    let ip = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_ref(),
        _ => None,
    };
    Origin::from(ip.and_then(|ip| ip.parse().ok()))
}

/// What stands in the header is no IP address, or more than one. Without an address the rules that
/// count by it would not hold, so it is not ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("`Passcode-Client-IP` must be one IP address, without a port")]
pub struct InvalidClientIp;

/// The origin of the person whom an authenticated server speaks for, as far as the server says. Its own
/// IP address is everybody's, and says nothing.
pub fn forwarded_origin(request: &Request) -> Result<Origin, InvalidClientIp> {
    if !request.headers().contains_key(CLIENT_IP) {
        return Ok(Origin::default());
    }
    let text = header_text(request, CLIENT_IP).ok_or(InvalidClientIp)?;
    let ip = text.trim().parse().map_err(|_| InvalidClientIp)?;
    Ok(Origin::from(Some(ip)))
}

/// Adds the header to the operations of a contract that read it with [`forwarded_origin`].
#[must_use]
pub fn with_client_ip(mut api: OpenApi) -> OpenApi {
    let format = |format| {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(format)))
    };
    let address =
        AnyOfBuilder::new().item(format(KnownFormat::Ipv4)).item(format(KnownFormat::Ipv6)).build();
    let header = ParameterBuilder::new()
        .name("Passcode-Client-IP")
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "From a server with credentials: the IP address of the person it speaks for, which limits \
             are counted by.",
        ))
        .schema(Some(Schema::from(address)))
        .build();
    for item in api.paths.paths.values_mut() {
        if let Some(post) = &mut item.post {
            post.parameters.get_or_insert_default().push(header.clone().into());
        }
    }
    api
}
