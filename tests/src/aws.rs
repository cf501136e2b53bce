//! Places that speak the services' protocols.

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType},
};
use passcode::template::{self, Table};
use passcode_runtime::{Settings, aws};

/// An AWS configuration in which every service is at one place.
///
/// # Panics
///
/// Never: every setting is there.
#[must_use]
pub fn aws_at(url: &str) -> aws_types::SdkConfig {
    let url = url.to_owned();
    aws::config(&Settings::new(move |name| match name {
        "AWS_REGION" => Some("eu-west-1".to_owned()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("local".to_owned()),
        "AWS_ENDPOINT_URL" => Some(url.clone()),
        _ => None,
    }))
    .expect("every setting is there")
}

/// Makes the template's tables anew in a DynamoDB, each name with something before it.
///
/// # Panics
///
/// Where they are not made.
pub async fn make_tables(url: &str, before: &str) {
    let client = Client::new(&aws_at(url));
    let template = template::read(&crate::event::root().join("template.yaml"));
    for Table { name, keys, .. } in template.expect("template.yaml is good").tables {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        make_table(&client, &format!("{before}{name}"), &keys).await;
    }
}

/// Makes a table anew, with a partition key of strings, and perhaps a sort key.
///
/// # Panics
///
/// Where it is not made.
pub async fn make_table(client: &Client, name: &str, keys: &[&str]) {
    let schema = keys.iter().zip([KeyType::Hash, KeyType::Range]).map(|(key, kind)| {
        let element = KeySchemaElement::builder().attribute_name(*key).key_type(kind);
        element.build().expect("a schema")
    });
    let attributes = keys.iter().map(|key| {
        let attribute = AttributeDefinition::builder().attribute_name(*key);
        attribute.attribute_type(ScalarAttributeType::S).build().expect("an attribute")
    });
    let _ = client.delete_table().table_name(name).send().await;
    let made = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_key_schema(Some(schema.collect()))
        .set_attribute_definitions(Some(attributes.collect()))
        .send();
    made.await.expect("the table is made");
}
