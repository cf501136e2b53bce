//! The user table: key `user` (app and id), attribute `document`.

use crate::{client, failed, malformed};
use aws_sdk_dynamodb::{Client, types::AttributeValue};
use aws_types::SdkConfig;
use passcode_domain::{
    AppId,
    ports::{LoadUsers, StoreError, StoreUsers},
    user::User,
};

const KEY: &str = "user";
const DOCUMENT: &str = "document";

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
}

/// An app's id holds no `/`, so no two pairs run together.
fn key(app: &AppId, id: &str) -> AttributeValue {
    AttributeValue::S(format!("{}/{id}", app.as_str()))
}

impl LoadUsers for UserTable {
    async fn load_user(&self, app: &AppId, id: &str) -> Result<Option<User>, StoreError> {
        let request = self.client.get_item().table_name(&self.table).key(KEY, key(app, id));
        let answer = request.send().await.map_err(|error| failed(&error))?;
        let Some(item) = answer.item else { return Ok(None) };
        let document = item.get(DOCUMENT).and_then(|value| value.as_s().ok());
        document
            .and_then(|document| serde_json::from_str(document).ok())
            .map(Some)
            .ok_or(malformed("a user's document is not a user"))
    }
}

impl StoreUsers for UserTable {
    async fn store_user(&self, user: &User) -> Result<(), StoreError> {
        let document =
            serde_json::to_string(user).map_err(|error| StoreError::Unavailable(error.into()))?;
        let request = self
            .client
            .put_item()
            .table_name(&self.table)
            .item(KEY, key(&user.app, &user.id))
            .item(DOCUMENT, AttributeValue::S(document));
        request.send().await.map(drop).map_err(|error| failed(&error))
    }
}
