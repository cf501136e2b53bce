//! The challenge table: key `subject`; attributes `ledger` (the document of a ledger, or of an item beside
//! it), `version`, `writer` and `expires_at` (TTL, in seconds).
//!
//! A write succeeds only if the stored version is the one that was loaded. When an answer is lost
//! and the SDK tries again, the second try finds the version already moved; the item then carries
//! this write's own `writer`, and the write counts as the success it was.

use crate::{Item, client, failed, malformed};
use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::put_item::PutItemError,
    types::{AttributeValue, ReturnValuesOnConditionCheckFailure},
};
use aws_types::SdkConfig;
use passcode_domain::{
    ledger::Item as Stored,
    ports::{LoadLedgers, Loaded, StoreError, StoreLedgers},
    value::{id::ItemKey, time::Timestamp},
};
use serde::{Serialize, de::DeserializeOwned};

const KEY: &str = "subject";
const LEDGER: &str = "ledger";
const VERSION: &str = "version";
const WRITER: &str = "writer";
const TTL: &str = "expires_at";

/// The table of ledgers.
#[derive(Clone, Debug)]
pub struct ChallengeTable {
    client: Client,
    table: String,
}

impl ChallengeTable {
    /// The table with this name.
    #[must_use]
    pub fn new(aws: &SdkConfig, table: String) -> Self {
        Self { client: client(aws), table }
    }
}

impl LoadLedgers for ChallengeTable {
    async fn load<I: Stored>(&self, key: &ItemKey) -> Result<Loaded<I>, StoreError> {
        let request = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(KEY, AttributeValue::S(key.to_string()))
            .consistent_read(true);
        let answer = request.send().await.map_err(|error| failed(&error))?;
        loaded(answer.item.as_ref(), LEDGER)
    }
}

impl StoreLedgers for ChallengeTable {
    async fn store<I: Stored>(
        &self,
        key: &ItemKey,
        stored: &I,
        seen: u64,
    ) -> Result<u64, StoreError> {
        let writer = new_writer()?;
        let item = item(key, stored, seen + 1, &writer)?;
        put(&self.client, &self.table, item, seen, &writer).await
    }
}

/// Writes an item if the stored version is still the one that was seen.
pub(crate) async fn put(
    client: &Client,
    table: &str,
    item: Item,
    seen: u64,
    writer: &AttributeValue,
) -> Result<u64, StoreError> {
    let (condition, values) = condition(seen);
    let request = client
        .put_item()
        .table_name(table)
        .set_item(Some(item))
        .condition_expression(condition)
        .set_expression_attribute_values(values)
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    match request.send().await {
        Ok(_) => Ok(seen + 1),
        Err(error) if is_own(&error, writer) => Ok(seen + 1),
        Err(error) if is_conflict(&error) => Err(StoreError::Conflict),
        Err(error) => Err(failed(&error)),
    }
}

/// What an item holds in the attribute `document`, and its version.
pub(crate) fn loaded<T: DeserializeOwned>(
    item: Option<&Item>,
    document: &str,
) -> Result<Loaded<T>, StoreError> {
    let Some(item) = item else { return Ok(Loaded { item: None, version: 0 }) };
    let stored = item.get(document).and_then(|value| serde_json::from_str(value.as_s().ok()?).ok());
    let version = item.get(VERSION).and_then(|value| value.as_n().ok()?.parse().ok());
    match (stored, version) {
        (Some(stored), Some(version)) => Ok(Loaded { item: Some(stored), version }),
        _ => Err(malformed("a stored item cannot be read")),
    }
}

/// A ledger, or an item beside it, as it is stored.
pub(crate) fn item<I: Stored>(
    key: &ItemKey,
    stored: &I,
    version: u64,
    writer: &AttributeValue,
) -> Result<Item, StoreError> {
    let key = [(KEY, key.to_string())];
    document(&key, (LEDGER, stored), stored.expires_at(), version, writer)
}

/// An item with a key, a document under a name, a version, its writer and its end.
pub(crate) fn document<T: Serialize>(
    key: &[(&str, String)],
    (name, stored): (&str, &T),
    expires_at: Timestamp,
    version: u64,
    writer: &AttributeValue,
) -> Result<Item, StoreError> {
    let document =
        serde_json::to_string(stored).map_err(|error| StoreError::Unavailable(error.into()))?;
    let key = key.iter().map(|(name, value)| (*name, AttributeValue::S(value.clone())));
    let fields = [
        (name, AttributeValue::S(document)),
        (VERSION, number(version)),
        (WRITER, writer.clone()),
        (TTL, number(expires_at.as_seconds_ceil())),
    ];
    Ok(key.chain(fields).map(|(name, value)| (name.to_owned(), value)).collect())
}

/// That the stored version is still the one that was seen.
pub(crate) fn condition(seen: u64) -> (String, Option<Item>) {
    if seen == 0 {
        return (format!("attribute_not_exists({VERSION})"), None);
    }
    let values = Item::from([(":seen".to_owned(), number(seen))]);
    (format!("{VERSION} = :seen"), Some(values))
}

fn number(n: u64) -> AttributeValue {
    AttributeValue::N(n.to_string())
}

/// A name for one write. It only has to differ from every other write's.
pub(crate) fn new_writer() -> Result<AttributeValue, StoreError> {
    getrandom::u64()
        .map(|random| AttributeValue::S(format!("{random:016x}")))
        .map_err(|error| StoreError::Unavailable(error.to_string().into()))
}

/// Another version is stored, or a transaction that writes one is at work.
fn is_conflict(error: &SdkError<PutItemError>) -> bool {
    error.as_service_error().is_some_and(|error| {
        error.is_conditional_check_failed_exception() || error.is_transaction_conflict_exception()
    })
}

/// Whether a refused write has in fact been made, by an earlier try of this same call.
fn is_own(error: &SdkError<PutItemError>, writer: &AttributeValue) -> bool {
    let Some(PutItemError::ConditionalCheckFailedException(refused)) = error.as_service_error()
    else {
        return false;
    };
    refused.item().and_then(|item| item.get(WRITER)) == Some(writer)
}
