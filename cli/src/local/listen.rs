//! The addresses where the stack listens, and the host names of requests that it accepts.

use axum::http::HeaderMap;
use std::{
    error::Error,
    io,
    net::{IpAddr, Ipv4Addr},
};
use tokio::net::TcpListener;

/// The listeners of each port; the first of each is on loopback.
#[derive(Debug)]
pub(super) struct Listeners {
    pub(super) api: Vec<TcpListener>,
    pub(super) dynamodb: Vec<TcpListener>,
    pub(super) sink: Vec<TcpListener>,
    /// The address in addition to loopback.
    pub(super) address: Option<IpAddr>,
}

impl Listeners {
    /// Binds three ports on loopback and on the address.
    pub(super) async fn bind(first: u16, address: Option<IpAddr>) -> Result<Self, Box<dyn Error>> {
        let address = address.filter(|address| *address != Ipv4Addr::LOCALHOST);
        if address.is_some_and(|address| address.is_unspecified()) {
            return Err("--listen takes one address of this machine, not all of them".into());
        }
        let addresses = [Some(Ipv4Addr::LOCALHOST.into()), address];
        let mut ports = [Vec::new(), Vec::new(), Vec::new()];
        for (offset, listeners) in (0..).zip(&mut ports) {
            let port = first.checked_add(offset).filter(|port| *port > 0);
            let port = port.ok_or("--port must be 1 to 65533")?;
            for address in addresses.into_iter().flatten() {
                listeners.push(take(address, port, first).await?);
            }
        }
        let [api, dynamodb, sink] = ports;
        Ok(Self { api, dynamodb, sink, address })
    }

    /// Three free ports on loopback.
    pub(super) async fn free() -> io::Result<Self> {
        let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        Ok(Self {
            api: vec![free().await?],
            dynamodb: vec![free().await?],
            sink: vec![free().await?],
            address: None,
        })
    }

    /// The URLs on loopback: API, DynamoDB, sink.
    pub(super) fn urls(&self) -> io::Result<[String; 3]> {
        let url = |listeners: &[TcpListener]| {
            listeners[0].local_addr().map(|address| format!("http://{address}"))
        };
        Ok([url(&self.api)?, url(&self.dynamodb)?, url(&self.sink)?])
    }
}

async fn take(address: IpAddr, port: u16, first: u16) -> Result<TcpListener, String> {
    TcpListener::bind((address, port)).await.map_err(|error| {
        if error.kind() == io::ErrorKind::AddrNotAvailable {
            return format!("{address} is no address of this machine; is Docker running?");
        }
        let free = if first < 60_000 { first + 100 } else { 9100 };
        format!("port {port} cannot be used ({error}); try --port {free}")
    })
}

/// Whether the host of a request is a name of this machine. A web site that lets its own name
/// resolve to this machine (DNS rebinding) sends that name.
pub(super) fn names_this_machine(headers: &HeaderMap, address: Option<IpAddr>) -> bool {
    let host = headers.get("host").and_then(|host| host.to_str().ok());
    let Some(host) = host else { return false };
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(name, "localhost" | "127.0.0.1") || address.is_some_and(|own| name == in_url(own))
}

/// An address as it is written in a URL.
pub(super) fn in_url(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_one_line_that_says_what_to_do() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let port = taken.local_addr().expect("an address").port();
        let error = Listeners::bind(port, None).await.expect_err("it is taken").to_string();
        assert!(error.starts_with(&format!("port {port} cannot be used")), "{error}");
        assert!(error.contains("try --port") && !error.contains('\n'), "{error}");
        let error = Listeners::bind(0, None).await.expect_err("no port").to_string();
        assert_eq!(error, "--port must be 1 to 65533");
    }

    #[tokio::test]
    async fn an_address_that_cannot_be_listened_on_is_one_line_that_says_why() {
        let bind = |address: [u8; 4]| Listeners::bind(9000, Some(address.into()));
        let error = bind([0, 0, 0, 0]).await.expect_err("all addresses").to_string();
        assert_eq!(error, "--listen takes one address of this machine, not all of them");
        // An address of documentation (RFC 5737) is nobody's.
        let error = take([192, 0, 2, 1].into(), 0, 9000).await.expect_err("not this machine's");
        assert_eq!(error, "192.0.2.1 is no address of this machine; is Docker running?");
    }

    #[test]
    fn an_address_of_ipv6_is_named_in_brackets() {
        let headers = HeaderMap::from_iter([(
            axum::http::header::HOST,
            axum::http::HeaderValue::from_static("[fd00::1]:9000"),
        )]);
        let address: IpAddr = "fd00::1".parse().expect("an address");
        assert!(names_this_machine(&headers, Some(address)));
        assert!(!names_this_machine(&headers, None));
    }
}
