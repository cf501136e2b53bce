//! The builds that are measured, by turns, in one run; and the tables that each of them works on.

use crate::lambda::Environment;
use aws_sdk_dynamodb::{Client as DynamoDb, types::AttributeValue};
use passcode::template::{self, Function, Template};
use passcode_tests::{
    aws::{aws_at, make_table, make_tables},
    event::root,
    stack::Client,
};
use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

/// A build of the functions: a folder with `<function>/bootstrap` in it.
pub(crate) struct Build {
    /// What it is called in the report.
    pub(crate) name: &'static str,
    folder: PathBuf,
}

/// The tables of counters and their keys, of this release and of the one before: a build uses the one
/// that it knows, and finds it under the name of its variable.
const COUNTERS: [(&str, &str, &str); 2] =
    [("COUNTER_TABLE", "CounterTable", "counter"), ("THROTTLE_TABLE", "ThrottleTable", "gauge")];

impl Build {
    pub(crate) fn new(name: &'static str, folder: PathBuf) -> Self {
        Self { name, folder }
    }

    /// The program of a function.
    pub(crate) fn bootstrap(&self, function: &str) -> PathBuf {
        self.folder.join(function).join("bootstrap")
    }

    /// The environment of a function that works on tables of a DynamoDB whose names begin with a prefix.
    pub(crate) fn environment(
        client: &Client,
        function: &str,
        (url, prefix): (&str, &str),
    ) -> Environment {
        let mut environment = client.stack.environment(function);
        let tables: Vec<String> =
            the_template().tables.into_iter().map(|table| table.name).collect();
        for value in environment.values_mut().filter(|value| tables.contains(value)) {
            value.insert_str(0, prefix);
        }
        for (variable, name, _) in COUNTERS {
            environment.insert(variable.to_owned(), format!("{prefix}{name}"));
        }
        environment.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), url.to_owned());
        environment
    }

    /// Makes these tables, with the demo app in them: the stack's, or the one in the build's `app.json`
    /// where a build does not read what the stack has stored.
    pub(crate) async fn make_tables(&self, client: &Client, (url, prefix): (&str, &str)) {
        make_tables(url, prefix).await;
        let database = DynamoDb::new(&aws_at(url));
        let known = the_template().tables;
        for (_, name, key) in COUNTERS {
            if known.iter().all(|table| table.name != name) {
                make_table(&database, &format!("{prefix}{name}"), &[key]).await;
            }
        }
        let mut app = demo_app(client).await;
        if let Ok(document) = fs::read_to_string(self.folder.join("app.json")) {
            app.insert("document".to_owned(), AttributeValue::S(document));
        }
        let put = database.put_item().table_name(format!("{prefix}AppTable")).set_item(Some(app));
        put.send().await.expect("the app is stored");
    }
}

async fn demo_app(client: &Client) -> HashMap<String, AttributeValue> {
    let database = DynamoDb::new(&aws_at(&client.stack.dynamodb));
    let id = AttributeValue::S("demo".to_owned());
    let read = database.get_item().table_name("AppTable").key("app", id).send().await;
    read.expect("the app is read").item.expect("the stack has a demo app")
}

/// The template's functions, by name.
pub(crate) fn functions() -> Vec<Function> {
    let mut functions = the_template().functions;
    functions.sort_by(|one, other| one.name.cmp(&other.name));
    functions
}

fn the_template() -> Template {
    template::read(&root().join("template.yaml")).expect("template.yaml is good")
}

/// The bytes that deflate makes of a file; a zip adds some hundred.
pub(crate) fn compressed(path: &Path) -> u64 {
    let output = std::process::Command::new("gzip").args(["-9", "-c"]).arg(path).output();
    output.expect("gzip").stdout.len() as u64
}
