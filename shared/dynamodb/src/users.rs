//! The user table: key `user` (app and id); attributes `document` and, where there is one,
//! `username`.
//!
//! A username is an item of its own: key `@`, app and name; attribute `id`, of the user it leads
//! to. It is written together with that user, both or none, and counts only as long as that user
//! goes by that name: what a rename leaves behind leads nowhere, and gives way to whoever wants it.

use crate::{Item, client, failed, malformed};
use aws_sdk_dynamodb::{
    Client,
    error::{BuildError, SdkError},
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        AttributeValue, CancellationReason, ConditionCheck, Delete, Put,
        ReturnValuesOnConditionCheckFailure, TransactWriteItem,
    },
};
use aws_types::SdkConfig;
use passcode_domain::{
    AppId, User, UserId, Username,
    ports::{DeleteUsers, LoadUsers, StoreError, StoreUserError, StoreUsers},
};

const KEY: &str = "user";
pub(crate) const DOCUMENT: &str = "document";
const USERNAME: &str = "username";
const ID: &str = "id";

/// How often a name is asked for while others ask for it too.
const MAX_TRIES: u32 = 8;

/// The table of users.
#[derive(Clone, Debug)]
pub struct UserTable {
    client: Client,
    table: String,
}

impl UserTable {
    /// The table with this name.
    #[must_use]
    pub fn new(aws: &SdkConfig, table: String) -> Self {
        Self { client: client(aws), table }
    }

    async fn get(&self, key: AttributeValue) -> Result<Option<Item>, StoreError> {
        let request = self.client.get_item().table_name(&self.table).key(KEY, key);
        let answer = request.consistent_read(true).send().await;
        Ok(answer.map_err(|error| failed(&error))?.item)
    }

    async fn store_unnamed(&self, user: &User) -> Result<(), StoreError> {
        let request = self.client.put_item().table_name(&self.table);
        let request = request.set_item(Some(item(user)?)).send();
        request.await.map(drop).map_err(|error| failed(&error))
    }

    /// Stores a user and the name that leads there. A `holder`, whom the name has led to, must not
    /// go by it any more.
    async fn store_named(
        &self,
        user: &User,
        name: &Username,
        holder: Option<&UserId>,
    ) -> Result<(), NotWritten> {
        let writes = [
            Some(self.alias(user, name, holder.unwrap_or(&user.id))),
            Some(self.document(user)?),
            holder.map(|holder| self.not_going_by(&user.app, holder, name)),
        ];
        let writes = writes.into_iter().flatten().collect::<Result<Vec<_>, _>>();
        let writes = writes.map_err(|error| StoreError::Unavailable(error.into()))?;
        let request = self.client.transact_write_items().set_transact_items(Some(writes));
        request.send().await.map(drop).map_err(|error| NotWritten::of(&error))
    }

    /// The name leads to the user, if it led nowhere, there, or to the `holder`.
    fn alias(
        &self,
        user: &User,
        name: &Username,
        holder: &UserId,
    ) -> Result<TransactWriteItem, BuildError> {
        let put = Put::builder()
            .table_name(&self.table)
            .item(KEY, name_key(&user.app, name))
            .item(ID, text(user.id.as_str()))
            .condition_expression(format!("attribute_not_exists({ID}) OR {ID} = :holder"))
            .expression_attribute_values(":holder", text(holder.as_str()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        Ok(TransactWriteItem::builder().put(put.build()?).build())
    }

    fn document(&self, user: &User) -> Result<Result<TransactWriteItem, BuildError>, StoreError> {
        let put = Put::builder().table_name(&self.table).set_item(Some(item(user)?));
        Ok(put.build().map(|put| TransactWriteItem::builder().put(put).build()))
    }

    fn not_going_by(
        &self,
        app: &AppId,
        holder: &UserId,
        name: &Username,
    ) -> Result<TransactWriteItem, BuildError> {
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .key(KEY, key(app, holder))
            .condition_expression(format!(
                "attribute_not_exists({USERNAME}) OR {USERNAME} <> :name"
            ))
            .expression_attribute_values(":name", text(name.as_str()));
        Ok(TransactWriteItem::builder().condition_check(check.build()?).build())
    }
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

/// An app's id holds no `/`, so no two pairs run together.
fn key(app: &AppId, id: &UserId) -> AttributeValue {
    text(&format!("{}/{}", app.as_str(), id.as_str()))
}

/// An app's id holds no `@` either, so no name is taken for a user.
fn name_key(app: &AppId, name: &Username) -> AttributeValue {
    text(&format!("@{}/{}", app.as_str(), name.as_str()))
}

pub(crate) fn item(user: &User) -> Result<Item, StoreError> {
    let document =
        serde_json::to_string(user).map_err(|error| StoreError::Unavailable(error.into()))?;
    let mut item = Item::from([
        (KEY.to_owned(), key(&user.app, &user.id)),
        (DOCUMENT.to_owned(), AttributeValue::S(document)),
    ]);
    // Beside the document as well: whoever wants the name has to be able to ask for it.
    item.extend(user.username.iter().map(|name| (USERNAME.to_owned(), text(name.as_str()))));
    Ok(item)
}

/// Why a user was not stored under a name.
enum NotWritten {
    /// The name leads to this user.
    LeadsTo(UserId),
    /// The user whom it leads to still goes by it.
    Taken,
    /// Somebody else was writing at the same moment.
    Collision,
    /// Something else.
    Failed(StoreError),
}

impl From<StoreError> for NotWritten {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl NotWritten {
    /// Reads the reasons, which come in the order of the writes: name, user, holder.
    fn of(error: &SdkError<TransactWriteItemsError>) -> Self {
        let reasons = match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                cancelled.cancellation_reasons()
            }
            _ => &[],
        };
        let is = |reason: &CancellationReason, code| reason.code() == Some(code);
        match reasons {
            [_, _, holder] if is(holder, "ConditionalCheckFailed") => Self::Taken,
            [name, ..] if is(name, "ConditionalCheckFailed") => {
                name.item().and_then(leads_to).map_or(Self::Collision, Self::LeadsTo)
            }
            reasons if reasons.iter().any(|reason| is(reason, "TransactionConflict")) => {
                Self::Collision
            }
            _ => Self::Failed(failed(error)),
        }
    }
}

/// The user whom a name leads to.
fn leads_to(alias: &Item) -> Option<UserId> {
    alias.get(ID)?.as_s().ok()?.parse().ok()
}

impl LoadUsers for UserTable {
    async fn load_user(&self, app: &AppId, id: &UserId) -> Result<Option<User>, StoreError> {
        let Some(item) = self.get(key(app, id)).await? else { return Ok(None) };
        let document = item.get(DOCUMENT).and_then(|value| value.as_s().ok());
        document
            .and_then(|document| serde_json::from_str(document).ok())
            .filter(|user: &User| (&user.app, &user.id) == (app, id))
            .map(Some)
            .ok_or(malformed("a user's document is not that user"))
    }

    async fn load_user_by_name(
        &self,
        app: &AppId,
        name: &Username,
    ) -> Result<Option<User>, StoreError> {
        let Some(alias) = self.get(name_key(app, name)).await? else {
            // A name that leads somewhere costs a second read; time must not tell which names do.
            self.get(name_key(app, name)).await?;
            return Ok(None);
        };
        let id = leads_to(&alias).ok_or(malformed("a username leads to no user id"))?;
        let user = self.load_user(app, &id).await?;
        Ok(user.filter(|user| user.username.as_ref() == Some(name)))
    }
}

impl StoreUsers for UserTable {
    async fn store_user(&self, user: &User) -> Result<(), StoreUserError> {
        let Some(name) = &user.username else { return Ok(self.store_unnamed(user).await?) };
        let mut holder = None;
        for _ in 0..MAX_TRIES {
            match self.store_named(user, name, holder.as_ref()).await {
                Ok(()) => return Ok(()),
                Err(NotWritten::Taken) => return Err(StoreUserError::NameTaken),
                Err(NotWritten::LeadsTo(id)) => holder = Some(id).filter(|id| *id != user.id),
                Err(NotWritten::Collision) => {}
                Err(NotWritten::Failed(error)) => return Err(error.into()),
            }
        }
        Err(StoreError::Unavailable("a username kept changing hands".into()).into())
    }
}

impl DeleteUsers for UserTable {
    async fn delete_user(&self, app: &AppId, id: &UserId) -> Result<(), StoreError> {
        let Some(user) = self.load_user(app, id).await? else { return Ok(()) };
        let delete = |key| Delete::builder().table_name(&self.table).key(KEY, key);
        let alias = user.username.iter().map(|name| {
            delete(name_key(app, name))
                .condition_expression(format!("attribute_not_exists({ID}) OR {ID} = :id"))
                .expression_attribute_values(":id", text(id.as_str()))
        });
        let deletes = alias
            .chain([delete(key(app, id))])
            .map(|delete| Ok(TransactWriteItem::builder().delete(delete.build()?).build()));
        let deletes: Result<Vec<_>, BuildError> = deletes.collect();
        let deletes = deletes.map_err(|error| StoreError::Unavailable(error.into()))?;
        let request = self.client.transact_write_items().set_transact_items(Some(deletes));
        request.send().await.map(drop).map_err(|error| failed(&error))
    }
}
