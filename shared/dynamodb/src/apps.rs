//! The app table: key `app`, attribute `document`.

use crate::{Item, client, failed};
use aws_sdk_dynamodb::{Client, types::AttributeValue};
use aws_types::SdkConfig;
use passcode_domain::{
    App, AppId,
    message::ValidApp,
    ports::{DeleteApps, ListApps, LoadApps, StoreApps, StoreError},
};
use std::sync::Arc;

const KEY: &str = "app";
const DOCUMENT: &str = "document";

/// The table of apps.
#[derive(Clone, Debug)]
pub struct AppTable {
    client: Client,
    table: String,
}

impl AppTable {
    /// The table with this name.
    #[must_use]
    pub fn new(aws: &SdkConfig, table: String) -> Self {
        Self { client: client(aws), table }
    }
}

impl LoadApps for AppTable {
    async fn load_app(&self, id: &AppId) -> Result<Option<Arc<App>>, StoreError> {
        let key = AttributeValue::S(id.as_str().to_owned());
        let answer = self.client.get_item().table_name(&self.table).key(KEY, key).send().await;
        let Some(item) = answer.map_err(|error| failed(&error))?.item else { return Ok(None) };
        Ok(Some(Arc::new(App::from_stored(id, text(&item, DOCUMENT)))))
    }
}

impl ListApps for AppTable {
    async fn list_apps(&self) -> Result<Vec<App>, StoreError> {
        let (mut apps, mut start) = (Vec::new(), None);
        loop {
            let scan = self.client.scan().table_name(&self.table).set_exclusive_start_key(start);
            let page = scan.send().await.map_err(|error| failed(&error))?;
            for item in page.items.unwrap_or_default() {
                // Only ids are stored as keys.
                let Ok(id) = text(&item, KEY).parse() else { continue };
                apps.push(App::from_stored(&id, text(&item, DOCUMENT)));
            }
            start = page.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                break;
            }
        }
        apps.sort_by(|one, other| one.id.as_str().cmp(other.id.as_str()));
        Ok(apps)
    }
}

fn text<'a>(item: &'a Item, attribute: &str) -> &'a str {
    item.get(attribute).and_then(|value| value.as_s().ok()).map_or("", String::as_str)
}

impl StoreApps for AppTable {
    async fn store_app(&self, app: &ValidApp) -> Result<(), StoreError> {
        let app = app.as_ref();
        let document =
            serde_json::to_string(app).map_err(|error| StoreError::Unavailable(error.into()))?;
        let request = self
            .client
            .put_item()
            .table_name(&self.table)
            .item(KEY, AttributeValue::S(app.id.as_str().to_owned()))
            .item(DOCUMENT, AttributeValue::S(document));
        request.send().await.map(drop).map_err(|error| failed(&error))
    }
}

impl DeleteApps for AppTable {
    async fn delete_app(&self, id: &AppId) -> Result<(), StoreError> {
        let key = AttributeValue::S(id.as_str().to_owned());
        let request = self.client.delete_item().table_name(&self.table).key(KEY, key);
        request.send().await.map(drop).map_err(|error| failed(&error))
    }
}
