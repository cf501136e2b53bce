//! Keyring and signing keys in Secrets Manager: read at the start, and again every few minutes, so
//! that a rotation reaches warm functions.

use aws_sdk_secretsmanager::{Client, config};
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_types::SdkConfig;
use passcode_aws::CallFailed;
use passcode_domain::{
    Keyring, SigningKeys,
    ports::{Adapter, Cause, LoadKeyring, LoadSigningKeys},
    secret::keyring::KeyringError,
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The longest that reading a secret holds a request, retries included.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// How long keys that were read are used.
const LIFE: Duration = Duration::from_mins(5);

/// How long they are used even by those who ask for a newer one.
const MIN_LIFE: Duration = Duration::from_secs(5);

/// A secret that keys are derived from.
#[derive(Debug)]
pub struct StoredKeys<T> {
    client: Client,
    secret: String,
    derive: fn(&str) -> Result<T, KeyringError>,
    read: Mutex<Option<(Instant, Arc<T>)>>,
}

/// The keyring secret.
pub type SecretKeyring = StoredKeys<Keyring>;

/// The secret of the keys that sign.
pub type SecretSigningKeys = StoredKeys<SigningKeys>;

impl StoredKeys<Keyring> {
    /// The secret with this name or ARN.
    #[must_use]
    pub fn new(aws: &SdkConfig, secret: String) -> Self {
        Self::derived_by(Keyring::from_secret, aws, secret)
    }
}

impl StoredKeys<SigningKeys> {
    /// The secret with this name or ARN.
    #[must_use]
    pub fn new(aws: &SdkConfig, secret: String) -> Self {
        Self::derived_by(SigningKeys::from_secret, aws, secret)
    }
}

impl<T> StoredKeys<T> {
    fn derived_by(
        derive: fn(&str) -> Result<T, KeyringError>,
        aws: &SdkConfig,
        secret: String,
    ) -> Self {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(CALL_TIMEOUT / 2)
            .operation_timeout(CALL_TIMEOUT)
            .build();
        let config = config::Builder::from(aws)
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .build();
        Self { client: Client::from_conf(config), secret, derive, read: Mutex::new(None) }
    }

    async fn fetch(&self) -> Result<Arc<T>, Cause> {
        let request = self.client.get_secret_value().secret_id(&self.secret).send();
        let answer = request.await.map_err(|error| CallFailed::of(&error))?;
        let keys = (self.derive)(answer.secret_string().unwrap_or_default())?;
        Ok(Arc::new(keys))
    }

    fn cached(&self) -> Option<(Instant, Arc<T>)> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keys that are out of date are better than none: they are used on while Secrets Manager does
    /// not answer.
    async fn younger_than(&self, age: Duration) -> Result<Arc<T>, Cause> {
        let cached = self.cached();
        if let Some((read_at, keys)) = &cached
            && read_at.elapsed() < age
        {
            return Ok(keys.clone());
        }
        let keys = match (self.fetch().await, cached) {
            (Ok(keys), _) => keys,
            (Err(_), Some((_, stale))) => stale,
            (Err(cause), None) => return Err(cause),
        };
        let entry = Some((Instant::now(), keys.clone()));
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = entry;
        Ok(keys)
    }
}

impl LoadKeyring for SecretKeyring {
    async fn keyring(&self) -> Result<Arc<Keyring>, Cause> {
        self.younger_than(LIFE).await
    }

    async fn refreshed(&self) -> Result<Arc<Keyring>, Cause> {
        self.younger_than(MIN_LIFE).await
    }
}

impl LoadSigningKeys for SecretSigningKeys {
    async fn signing_keys(&self) -> Result<Arc<SigningKeys>, Cause> {
        self.younger_than(LIFE).await
    }

    async fn refreshed_signing_keys(&self) -> Result<Arc<SigningKeys>, Cause> {
        self.younger_than(MIN_LIFE).await
    }
}

impl Adapter for SecretKeyring {
    fn ports() -> Vec<&'static str> {
        vec!["LoadKeyring"]
    }

    async fn warm_up(&self) {
        let _ = self.keyring().await;
    }
}

impl Adapter for SecretSigningKeys {
    fn ports() -> Vec<&'static str> {
        vec!["LoadSigningKeys"]
    }

    async fn warm_up(&self) {
        let _ = self.signing_keys().await;
    }
}
