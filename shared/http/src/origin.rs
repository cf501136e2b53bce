//! The IP address that a request is limited by.

use crate::{Request, RequestExt as _, header_text};
use lambda_http::request::RequestContext;
use std::net::IpAddr;

/// What an authenticated server tells of its own caller.
pub const CLIENT_IP: &str = "passcode-client-ip";

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
