//! A user and the ledger whose code allows the change, written in one transaction.

use crate::{client, failed, ledgers, users};
use aws_sdk_dynamodb::{
    Client,
    error::{BuildError, SdkError},
    operation::transact_write_items::TransactWriteItemsError,
    types::{AttributeValue, Put, TransactWriteItem, builders::PutBuilder},
};
use aws_types::SdkConfig;
use passcode_domain::{
    Ledger, SubjectKey,
    change_pin::Change,
    ports::{ChangeUsers, StoreError},
};

/// The tables of ledgers and of users.
#[derive(Clone, Debug)]
pub struct UserChanges {
    client: Client,
    ledgers: String,
    users: String,
}

impl UserChanges {
    /// The tables with these names.
    #[must_use]
    pub fn new(aws: &SdkConfig, ledgers: String, users: String) -> Self {
        Self { client: client(aws), ledgers, users }
    }

    fn ledger(
        &self,
        key: &SubjectKey,
        ledger: &Ledger,
        seen: u64,
    ) -> Result<PutBuilder, StoreError> {
        let (condition, values) = ledgers::condition(seen);
        let item = ledgers::item(key, ledger, seen + 1, &ledgers::new_writer()?)?;
        Ok(Put::builder()
            .table_name(&self.ledgers)
            .set_item(Some(item))
            .condition_expression(condition)
            .set_expression_attribute_values(values))
    }

    fn user(&self, change: &Change) -> Result<PutBuilder, StoreError> {
        let before = serde_json::to_string(&change.before)
            .map_err(|error| StoreError::Unavailable(error.into()))?;
        Ok(Put::builder()
            .table_name(&self.users)
            .set_item(Some(users::item(&change.after)?))
            .condition_expression(format!("{} = :before", users::DOCUMENT))
            .expression_attribute_values(":before", AttributeValue::S(before)))
    }
}

impl ChangeUsers for UserChanges {
    async fn change_user(
        &self,
        key: &SubjectKey,
        ledger: &Ledger,
        seen: u64,
        change: &Change,
    ) -> Result<u64, StoreError> {
        let puts = [self.ledger(key, ledger, seen)?, self.user(change)?];
        let writes = puts.map(|put| Ok(TransactWriteItem::builder().put(put.build()?).build()));
        let writes: Result<Vec<_>, BuildError> = writes.into_iter().collect();
        let writes = writes.map_err(|error| StoreError::Unavailable(error.into()))?;
        // The client gives every try of one call the same request token, so a retry of what was
        // written is a success.
        match self.client.transact_write_items().set_transact_items(Some(writes)).send().await {
            Ok(_) => Ok(seen + 1),
            Err(error) if is_conflict(&error) => Err(StoreError::Conflict),
            Err(error) => Err(failed(&error)),
        }
    }
}

fn is_conflict(error: &SdkError<TransactWriteItemsError>) -> bool {
    let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) =
        error.as_service_error()
    else {
        return false;
    };
    let conflicts = ["ConditionalCheckFailed", "TransactionConflict"];
    let mut codes = cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code());
    codes.any(|code| conflicts.contains(&code))
}
