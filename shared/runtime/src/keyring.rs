//! The keyring in Secrets Manager: read at the start, and again every few minutes, so that a
//! rotation reaches warm functions.

use aws_sdk_secretsmanager::{Client, config};
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_types::SdkConfig;
use passcode_aws::CallFailed;
use passcode_domain::{
    Keyring,
    ports::{Cause, LoadKeyring},
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The longest that reading the keyring holds a request, retries included.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a keyring that was read is used.
const LIFE: Duration = Duration::from_mins(5);

/// How long it is used even by those who ask for a newer one.
const MIN_LIFE: Duration = Duration::from_secs(5);

/// The keyring secret.
#[derive(Debug)]
pub struct SecretKeyring {
    client: Client,
    secret: String,
    read: Mutex<Option<(Instant, Arc<Keyring>)>>,
}

impl SecretKeyring {
    /// The secret with this name or ARN.
    #[must_use]
    pub fn new(aws: &SdkConfig, secret: String) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CALL_TIMEOUT / 3)
            .operation_attempt_timeout(CALL_TIMEOUT / 2)
            .operation_timeout(CALL_TIMEOUT)
            .build();
        let config = config::Builder::from(aws)
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .build();
        Self { client: Client::from_conf(config), secret, read: Mutex::new(None) }
    }

    async fn fetch(&self) -> Result<Arc<Keyring>, Cause> {
        let request = self.client.get_secret_value().secret_id(&self.secret).send();
        let answer = request.await.map_err(|error| CallFailed::of(&error))?;
        let keyring = Keyring::from_secret(answer.secret_string().unwrap_or_default())?;
        Ok(Arc::new(keyring))
    }

    fn cached(&self) -> Option<(Instant, Arc<Keyring>)> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A keyring that is out of date is better than none: it is used on while Secrets Manager does
    /// not answer.
    async fn younger_than(&self, age: Duration) -> Result<Arc<Keyring>, Cause> {
        let cached = self.cached();
        if let Some((read_at, keyring)) = &cached
            && read_at.elapsed() < age
        {
            return Ok(keyring.clone());
        }
        let keyring = match (self.fetch().await, cached) {
            (Ok(keyring), _) => keyring,
            (Err(_), Some((_, stale))) => stale,
            (Err(cause), None) => return Err(cause),
        };
        let entry = Some((Instant::now(), keyring.clone()));
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = entry;
        Ok(keyring)
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
