//! Ledgers and apps in DynamoDB. One item a subject, one item an app; each holds its value as a
//! JSON document, so that what a rule decided is what is stored.

mod apps;
mod ledgers;

pub use apps::AppTable;
pub use ledgers::ChallengeTable;

use aws_sdk_dynamodb::{Client, config};
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_types::SdkConfig;
use passcode_domain::ports::StoreError;
use std::time::Duration;

/// The longest that one store call holds a request, retries included. DynamoDB answers in
/// milliseconds; a call that has not been answered after a third of this is tried again.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// A client with time-outs and retries set on purpose. Retrying is safe: a conditional write that
/// was already made is recognised by its writer.
fn client(aws: &SdkConfig) -> Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CALL_TIMEOUT / 3)
        .operation_attempt_timeout(CALL_TIMEOUT / 3)
        .operation_timeout(CALL_TIMEOUT)
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(3)
        .with_initial_backoff(Duration::from_millis(20));
    let config = config::Builder::from(aws).timeout_config(timeouts).retry_config(retries).build();
    Client::from_conf(config)
}

/// An error of the store, for the log.
fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Unavailable(error.into())
}
