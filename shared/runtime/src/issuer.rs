//! The keys of issuers, over HTTPS: with the HTTP client that the AWS SDK brings along, and trusting
//! the system's certificates, which are read only when an issuer is first asked.

use aws_smithy_http_client::{
    Connector,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::{HttpConnector as _, HttpConnectorSettings};
use aws_smithy_runtime_api::http::Request;
use aws_smithy_types::byte_stream::ByteStream;
use passcode_domain::ports::Cause;
use passcode_jwt::FetchKeys;
use std::{sync::OnceLock, time::Duration};

/// The longest that one document holds a request.
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);

/// The largest document that is read, in bytes.
const MAX_DOCUMENT: usize = 256 * 1024;

/// Issuers on the internet, and on this machine.
#[derive(Debug, Default)]
pub struct HttpsIssuers {
    connector: OnceLock<Connector>,
}

impl HttpsIssuers {
    fn connector(&self) -> Result<&Connector, Cause> {
        if let Some(connector) = self.connector.get() {
            return Ok(connector);
        }
        let trust = TrustStore::empty().with_native_roots(true);
        let context = TlsContext::builder().with_trust_store(trust).build()?;
        let settings = HttpConnectorSettings::builder()
            .connect_timeout(FETCH_TIMEOUT)
            .read_timeout(FETCH_TIMEOUT)
            .build();
        let connector = Connector::builder()
            .connector_settings(settings)
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(context)
            .build();
        Ok(self.connector.get_or_init(|| connector))
    }

    async fn get(&self, url: &str) -> Result<Vec<u8>, Cause> {
        let answer = self.connector()?.call(Request::get(url)?).await?;
        let status = answer.status();
        if !status.is_success() {
            return Err(format!("the issuer answered {}", status.as_u16()).into());
        }
        let mut body = ByteStream::new(answer.into_body());
        let mut document = Vec::new();
        while let Some(chunk) = body.next().await {
            document.extend_from_slice(&chunk?);
            if document.len() > MAX_DOCUMENT {
                return Err("the issuer's document is too long".into());
            }
        }
        Ok(document)
    }
}

impl FetchKeys for HttpsIssuers {
    async fn fetch(&self, url: &str) -> Result<Vec<u8>, Cause> {
        tokio::time::timeout(FETCH_TIMEOUT, self.get(url)).await?
    }
}
