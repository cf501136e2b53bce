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
    for Table { name, key, .. } in template.expect("template.yaml is good").tables {
        make_table(&client, &format!("{before}{name}"), &key).await;
    }
}

/// Makes a table anew, with a partition key of strings.
///
/// # Panics
///
/// Where it is not made.
pub async fn make_table(client: &Client, name: &str, key: &str) {
    let schema = KeySchemaElement::builder().attribute_name(key).key_type(KeyType::Hash);
    let attribute =
        AttributeDefinition::builder().attribute_name(key).attribute_type(ScalarAttributeType::S);
    let _ = client.delete_table().table_name(name).send().await;
    let made = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(schema.build().expect("a schema"))
        .attribute_definitions(attribute.build().expect("an attribute"))
        .send();
    made.await.expect("the table is made");
}
