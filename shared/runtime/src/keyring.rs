//! The keyring in Secrets Manager: read at the start, and again every few minutes, so that a
//! rotation reaches warm functions.

use aws_sdk_secretsmanager::{Client, config};
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_types::SdkConfig;
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
        let answer = self.client.get_secret_value().secret_id(&self.secret).send().await?;
        let keyring = Keyring::from_secret(answer.secret_string().unwrap_or_default())?;
        Ok(Arc::new(keyring))
    }

    fn cached(&self) -> Option<(Instant, Arc<Keyring>)> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl LoadKeyring for SecretKeyring {
    /// A keyring that is out of date is better than none: it is used on while Secrets Manager does
    /// not answer, and asked for again with the next request.
    async fn keyring(&self) -> Result<Arc<Keyring>, Cause> {
        let cached = self.cached();
        if let Some((read_at, keyring)) = &cached
            && read_at.elapsed() < LIFE
        {
            return Ok(keyring.clone());
        }
        match (self.fetch().await, cached) {
            (Ok(keyring), _) => {
                let entry = Some((Instant::now(), keyring.clone()));
                *self.read.lock().unwrap_or_else(PoisonError::into_inner) = entry;
                Ok(keyring)
            }
            (Err(_), Some((_, stale))) => Ok(stale),
            (Err(cause), None) => Err(cause),
        }
    }
}
