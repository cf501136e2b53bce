//! The AWS configuration that all clients of a function share: region, credentials and endpoints
//! from settings, one HTTP client, one TLS provider.
//!
//! A Lambda function finds region and credentials in its environment, always. Reading just those
//! keeps the credential chain for other places (profiles, metadata service, SSO) out of the binary.
//! Services are trusted by the five roots of Amazon Trust Services, which are part of the binary:
//! reading the system's hundred and more would be most of a cold start. `AWS_CA_BUNDLE` names a
//! file of others, for partitions and proxies that need them.

use crate::{BadSetting, Settings};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::{
    Connector,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    behavior_version::BehaviorVersion,
    http::{HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn},
};
use aws_types::{
    SdkConfig,
    region::Region,
    service_config::{LoadServiceConfig, ServiceConfigKey},
};
use std::time::Duration;

/// The longest that any client waits for a connection. A client that gives an attempt of a call less time
/// gives up sooner.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Endpoint overrides such as `AWS_ENDPOINT_URL_DYNAMODB`.
#[derive(Debug)]
struct Endpoints(Settings);

impl LoadServiceConfig for Endpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_uppercase().replace([' ', '-'], "_");
        self.0.get(&format!("{}_{service}", key.env()))
    }
}

/// The configuration that some settings describe.
pub fn config(settings: &Settings) -> Result<SdkConfig, BadSetting> {
    let credentials = Credentials::new(
        settings.require("AWS_ACCESS_KEY_ID")?,
        settings.require("AWS_SECRET_ACCESS_KEY")?,
        settings.get("AWS_SESSION_TOKEN"),
        None,
        "settings",
    );
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(settings.require("AWS_REGION")?))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client(settings)?)
        .sleep_impl(TokioSleep::new())
        .service_config(Endpoints(settings.clone()));
    config.set_endpoint_url(settings.get("AWS_ENDPOINT_URL"));
    Ok(config.build())
}

/// The one connector of all clients. The SDK's own HTTP client makes a connector, with a TLS configuration
/// that parses the roots anew, for each client and once more for each time-out that they differ in.
fn http_client(settings: &Settings) -> Result<SharedHttpClient, BadSetting> {
    let connector = Connector::builder()
        .connector_settings(
            HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build(),
        )
        .sleep_impl(TokioSleep::new())
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(trust(settings)?)
        .build();
    let connector = SharedHttpConnector::new(connector);
    Ok(http_client_fn(move |_, _| connector.clone()))
}

const AMAZON_ROOTS: &[u8] = include_bytes!("../roots/amazon.pem");

fn trust(settings: &Settings) -> Result<TlsContext, BadSetting> {
    let bad = || BadSetting("AWS_CA_BUNDLE", "does not name a readable file of certificates");
    let roots = match settings.get("AWS_CA_BUNDLE") {
        Some(file) => std::fs::read(file).map_err(|_| bad())?,
        None => AMAZON_ROOTS.to_vec(),
    };
    let store = TrustStore::empty().with_pem_certificate(roots);
    TlsContext::builder().with_trust_store(store).build().map_err(|_| bad())
}
