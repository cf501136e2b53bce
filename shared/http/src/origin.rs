//! The IP address that a request is limited by.

use crate::{Request, RequestExt as _, header_text};
use lambda_http::request::RequestContext;
use std::net::IpAddr;
use thiserror::Error;
use utoipa::openapi::{
    KnownFormat, ObjectBuilder, OpenApi, Schema, SchemaFormat, Type,
    path::{ParameterBuilder, ParameterIn},
    schema::AnyOfBuilder,
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

/// What stands in the header is no IP address, or more than one. Without an address the rules that
/// count by it would not hold, so it is not ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("`Passcode-Client-IP` must be one IP address, without a port")]
pub struct InvalidClientIp;

/// The address of the person whom an authenticated server speaks for, if it tells. Its own address
/// is everybody's, and says nothing.
pub fn told_ip(request: &Request) -> Result<Option<IpAddr>, InvalidClientIp> {
    if !request.headers().contains_key(CLIENT_IP) {
        return Ok(None);
    }
    let text = header_text(request, CLIENT_IP).ok_or(InvalidClientIp)?;
    text.trim().parse().map(Some).map_err(|_| InvalidClientIp)
}

/// Adds the header to the operations of a contract that read it with [`told_ip`].
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
