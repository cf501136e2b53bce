//! DynamoDB on this machine: an embedded emulator, with the tables of the template.

use super::in_home;
use crate::template::{Table, Template};
use dynoxide::Database;
use serde_json::{Value, json};
use std::{error::Error, path::Path};

/// Opens the database in a file or in memory, and creates the missing tables.
pub(super) fn open(home: Option<&Path>, template: &Template) -> Result<Database, Box<dyn Error>> {
    let database = match in_home(home, "dynamodb.sqlite")? {
        Some(path) => Database::new(&path.to_string_lossy())
            .map_err(|error| format!("{}: {error}; remove .local to start anew", path.display()))?,
        None => Database::memory()?,
    };
    for table in &template.tables {
        if database.get_table_metadata(&table.name)?.is_none() {
            create(&database, table)?;
        }
    }
    Ok(database)
}

fn create(database: &Database, table: &Table) -> Result<(), Box<dyn Error>> {
    let attributes = table.keys.iter();
    let attributes = attributes.map(|key| json!({ "AttributeName": key, "AttributeType": "S" }));
    let schema = table.keys.iter().zip(["HASH", "RANGE"]);
    let schema = schema.map(|(key, kind)| json!({ "AttributeName": key, "KeyType": kind }));
    let definition = json!({
        "TableName": table.name,
        "AttributeDefinitions": attributes.collect::<Vec<_>>(),
        "KeySchema": schema.collect::<Vec<_>>(),
        "BillingMode": "PAY_PER_REQUEST",
    });
    database.create_table(request(definition)?)?;
    if let Some(ttl) = &table.ttl {
        let specification = json!({
            "TableName": table.name,
            "TimeToLiveSpecification": { "AttributeName": ttl, "Enabled": true },
        });
        database.update_time_to_live(request(specification)?)?;
    }
    Ok(())
}

fn request<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, serde_json::Error> {
    serde_json::from_value(value)
}
