//! The session table: key `user` and `session`; attributes `document`, `version`, `writer` and `expires_at`
//! as in the challenge table. The sessions of a user stand together, so that a list of them is one query.

use crate::{
    Item, client, failed,
    ledgers::{document, loaded, new_writer, put},
    malformed,
};
use aws_sdk_dynamodb::{Client, types::AttributeValue};
use aws_types::SdkConfig;
use passcode_domain::{
    Session, SessionKey, UserKey,
    ports::{ListSessions, LoadSessions, Loaded, StoreError, StoreSessions},
};

const USER: &str = "user";
const SESSION: &str = "session";
const DOCUMENT: &str = "document";

/// The table of sessions.
#[derive(Clone, Debug)]
pub struct SessionTable {
    client: Client,
    table: String,
}

impl SessionTable {
    /// The table with this name.
    #[must_use]
    pub fn new(aws: &SdkConfig, table: String) -> Self {
        Self { client: client(aws), table }
    }
}

impl LoadSessions for SessionTable {
    async fn load_session(&self, key: &SessionKey) -> Result<Loaded<Session>, StoreError> {
        let request = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(USER, AttributeValue::S(key.user.to_string()))
            .key(SESSION, AttributeValue::S(key.session.to_string()))
            .consistent_read(true);
        let answer = request.send().await.map_err(|error| failed(&error))?;
        loaded(answer.item.as_ref(), DOCUMENT)
    }
}

impl ListSessions for SessionTable {
    async fn list_sessions(
        &self,
        user: &UserKey,
    ) -> Result<Vec<(SessionKey, Session)>, StoreError> {
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#user = :user")
            .expression_attribute_names("#user", USER)
            .expression_attribute_values(":user", AttributeValue::S(user.to_string()))
            .consistent_read(true);
        let mut pages = request.into_paginator().items().send();
        let mut sessions = Vec::new();
        while let Some(item) = pages.next().await {
            sessions.push(session(*user, &item.map_err(|error| failed(&error))?)?);
        }
        Ok(sessions)
    }
}

fn session(user: UserKey, item: &Item) -> Result<(SessionKey, Session), StoreError> {
    let unreadable = || malformed("a stored session cannot be read");
    let id = item.get(SESSION).and_then(|id| id.as_s().ok()?.parse().ok());
    let session = id.map(|session| SessionKey { user, session }).ok_or_else(unreadable)?;
    Ok((session, loaded(Some(item), DOCUMENT)?.item.ok_or_else(unreadable)?))
}

impl StoreSessions for SessionTable {
    async fn store_session(
        &self,
        key: &SessionKey,
        session: &Session,
        seen: u64,
    ) -> Result<u64, StoreError> {
        let names = [(USER, key.user.to_string()), (SESSION, key.session.to_string())];
        let writer = new_writer()?;
        let stored = (DOCUMENT, session);
        let item = document(&names, stored, session.expires_at(), seen + 1, &writer)?;
        put(&self.client, &self.table, item, seen, &writer).await
    }
}
