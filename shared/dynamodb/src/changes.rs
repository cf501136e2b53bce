//! A user and the ledger whose code allows the change, written in one transaction.

use crate::{UserTable, client, failed, ledgers, users};
use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        AttributeValue, CancellationReason, Put, ReturnValuesOnConditionCheckFailure,
        TransactWriteItem, builders::PutBuilder,
    },
};
use aws_types::SdkConfig;
use passcode_domain::{
    AppId, Ledger, User, UserChange, UserId, Username,
    ports::{ChangeUsers, LoadUsers, StoreError},
    value::id::ItemKey,
};

/// The table of users, who change together with ledgers.
#[derive(Clone, Debug)]
pub struct UserChanges {
    client: Client,
    ledgers: String,
    table: String,
    users: UserTable,
}

impl UserChanges {
    /// The tables with these names.
    #[must_use]
    pub fn new(aws: &SdkConfig, ledgers: String, users: String) -> Self {
        let table = users.clone();
        Self { client: client(aws), ledgers, table, users: UserTable::new(aws, users) }
    }

    fn ledger(&self, key: &ItemKey, ledger: &Ledger, seen: u64) -> Result<PutBuilder, StoreError> {
        let (condition, values) = ledgers::condition(seen);
        let item = ledgers::item(key, ledger, seen + 1, &ledgers::new_writer()?)?;
        Ok(Put::builder()
            .table_name(&self.ledgers)
            .set_item(Some(item))
            .condition_expression(condition)
            .set_expression_attribute_values(values))
    }

    fn user(&self, change: &UserChange, before: String) -> Result<PutBuilder, StoreError> {
        Ok(Put::builder()
            .table_name(&self.table)
            .set_item(Some(users::item(&change.after)?))
            .condition_expression(format!("{} = :before", users::DOCUMENT))
            .expression_attribute_values(":before", AttributeValue::S(before))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld))
    }

    async fn write(&self, puts: [Result<PutBuilder, StoreError>; 2]) -> Result<(), NotWritten> {
        let mut writes = Vec::new();
        for put in puts {
            let put = put?.build().map_err(|error| StoreError::Unavailable(error.into()))?;
            writes.push(TransactWriteItem::builder().put(put).build());
        }
        // The client gives every try of one call the same request token, so a retry of what was
        // written is a success.
        let request = self.client.transact_write_items().set_transact_items(Some(writes));
        request.send().await.map(drop).map_err(|error| NotWritten::of(&error))
    }
}

impl LoadUsers for UserChanges {
    async fn load_user(&self, app: &AppId, id: &UserId) -> Result<Option<User>, StoreError> {
        self.users.load_user(app, id).await
    }

    async fn load_user_by_name(
        &self,
        app: &AppId,
        name: &Username,
    ) -> Result<Option<User>, StoreError> {
        self.users.load_user_by_name(app, name).await
    }
}

impl ChangeUsers for UserChanges {
    async fn change_user(
        &self,
        key: &ItemKey,
        ledger: &Ledger,
        seen: u64,
        change: &UserChange,
    ) -> Result<u64, StoreError> {
        let ours = serde_json::to_string(&change.before)
            .map_err(|error| StoreError::Unavailable(error.into()))?;
        let write = |before| [self.ledger(key, ledger, seen), self.user(change, before)];
        match self.write(write(ours)).await {
            Err(NotWritten::SpeltOtherwise(stored)) if is_spelling_of(&stored, &change.before) => {
                self.write(write(stored)).await.map_err(StoreError::from)?;
            }
            written => written.map_err(StoreError::from)?,
        }
        Ok(seen + 1)
    }
}

/// Why nothing was written.
enum NotWritten {
    /// The ledger has changed, or somebody else was writing at the same moment.
    Conflict,
    /// The user's stored document is this one.
    SpeltOtherwise(String),
    /// Something else.
    Failed(StoreError),
}

impl From<StoreError> for NotWritten {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl From<NotWritten> for StoreError {
    fn from(not_written: NotWritten) -> Self {
        match not_written {
            NotWritten::Conflict | NotWritten::SpeltOtherwise(_) => Self::Conflict,
            NotWritten::Failed(error) => error,
        }
    }
}

/// Whether a stored document is the user that was loaded, in whatever order and spacing: it may have
/// been written by hand, or by another version of this.
fn is_spelling_of(stored: &str, user: &User) -> bool {
    serde_json::from_str::<User>(stored).is_ok_and(|stored| stored == *user)
}

impl NotWritten {
    /// Reads the reasons, which come in the order of the writes: ledger, user.
    fn of(error: &SdkError<TransactWriteItemsError>) -> Self {
        let reasons = match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                cancelled.cancellation_reasons()
            }
            _ => return Self::Failed(failed(error)),
        };
        let is = |reason: &CancellationReason, code| reason.code() == Some(code);
        match reasons {
            [ledger, user]
                if is(user, "ConditionalCheckFailed") && !is(ledger, "ConditionalCheckFailed") =>
            {
                let stored = user.item().and_then(|item| item.get(users::DOCUMENT)?.as_s().ok());
                stored.map_or(Self::Conflict, |stored| Self::SpeltOtherwise(stored.clone()))
            }
            reasons
                if reasons.iter().any(|reason| {
                    is(reason, "ConditionalCheckFailed") || is(reason, "TransactionConflict")
                }) =>
            {
                Self::Conflict
            }
            _ => Self::Failed(failed(error)),
        }
    }
}
