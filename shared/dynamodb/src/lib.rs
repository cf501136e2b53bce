//! Ledgers, sessions, counters, apps and users in DynamoDB. One item a subject, a session, an app, a user; each holds its
//! value as a JSON document, so that what a rule decided is what is stored. A counter is an item of
//! numbers, which the store adds to.

mod adapter;
mod apps;
mod changes;
mod counters;
mod ledgers;
mod sessions;
mod users;

pub use adapter::{
    LedgerReader, ReceiptCounters, SessionList, SessionReader, UserSessions, VerifiedCounters,
};
pub use apps::AppTable;
pub use changes::UserChanges;
pub use counters::CounterTable;
pub use ledgers::ChallengeTable;
pub use sessions::SessionTable;
pub use users::UserTable;

use aws_sdk_dynamodb::{
    Client, config,
    error::{ProvideErrorMetadata, SdkError},
    types::AttributeValue,
};
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_types::SdkConfig;
use passcode_aws::CallFailed;
use passcode_domain::ports::StoreError;
use std::{collections::HashMap, time::Duration};

/// An item of any table.
type Item = HashMap<String, AttributeValue>;

/// The longest that one store call holds a request, retries included. DynamoDB answers in
/// milliseconds; a call that has not been answered after a third of this is tried again.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// A client with time-outs and retries set on purpose. Retrying is safe: a conditional write that
/// was already made is recognised by its writer.
fn client(aws: &SdkConfig) -> Client {
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(CALL_TIMEOUT / 3)
        .operation_timeout(CALL_TIMEOUT)
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(3)
        .with_initial_backoff(Duration::from_millis(20));
    let config = config::Builder::from(aws).timeout_config(timeouts).retry_config(retries).build();
    Client::from_conf(config)
}

/// A failed call, as the domain sees it.
fn failed<E: ProvideErrorMetadata>(error: &SdkError<E>) -> StoreError {
    StoreError::Unavailable(CallFailed::of(error).into())
}

/// An item that does not hold what it should. What it holds is not repeated.
fn malformed(what: &'static str) -> StoreError {
    StoreError::Unavailable(what.into())
}
