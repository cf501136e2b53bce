//! The journeys of `tests/cloud` on a stack in memory: what differs there is AWS.

use crate::pace;
use aws_sdk_dynamodb::types::AttributeValue;
use passcode::{place::Place, template};
use passcode_runtime::aws;
use passcode_tests::{
    deployed::{self, Deployed, PACE_SCOPES},
    event::root,
    stack::Client,
};
use std::collections::{BTreeMap, BTreeSet};

/// The functions that have answered a request with a success.
fn served(client: &Client) -> BTreeSet<String> {
    let (_, logged) = client.emitted();
    let lines = logged.lines().filter_map(|line| serde_json::from_str(line).ok());
    let lines =
        lines.filter(|line: &serde_json::Value| line["status"].as_u64().unwrap_or(500) < 300);
    lines.map(|line| line["function"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Every item of every table.
async fn stored(client: &Client) -> BTreeMap<String, BTreeSet<String>> {
    let aws = aws::config(&client.stack.settings("")).expect("settings");
    let dynamodb = aws_sdk_dynamodb::Client::new(&aws);
    let mut stored = BTreeMap::new();
    for table in
        template::read(&root().join("template.yaml")).expect("template.yaml is good").tables
    {
        let scan = dynamodb.scan().table_name(&table.name).send().await.expect("a scan");
        let printed = |item: std::collections::HashMap<String, AttributeValue>| {
            format!("{:?}", BTreeMap::from_iter(item))
        };
        let items = scan.items.unwrap_or_default().into_iter().map(printed).collect();
        stored.insert(table.name, items);
    }
    stored
}

fn on(client: &Client, url: &str, token: Option<String>) -> Deployed {
    let (place, clock) = (Place::of(&client.stack), client.stack.clock.clone());
    Deployed { place, url: url.to_owned(), clock, token }
}

#[tokio::test(flavor = "multi_thread")]
async fn journeys_for_any_stack_pass_here_use_every_function_and_leave_nothing_behind() {
    let client = Client::start().await;
    let token = pace::token(&client, PACE_SCOPES).await;
    let before = stored(&client).await;
    let url = client.stack.api.replace("127.0.0.1", "*.localhost");
    let report = deployed::journeys(&on(&client, &url, Some(token))).await.expect("it ends");
    assert_eq!((&*report.failed, &*report.skipped), (&[][..], &[][..]), "{report}");
    assert!(report.deleted > 0 && report.requests > 40 && report.emails == 2, "{report}");
    for (table, items) in stored(&client).await {
        let left: Vec<_> = items.difference(&before[&table]).collect();
        assert!(left.is_empty(), "{table}: {left:#?}");
    }
    let template = template::read(&root().join("template.yaml")).expect("template.yaml is good");
    let routed = template.functions.into_iter().filter(|function| !function.routes.is_empty());
    let served = served(&client);
    let missing: Vec<_> = routed.map(|it| it.name).filter(|name| !served.contains(name)).collect();
    assert!(missing.is_empty(), "no journey for any stack uses {missing:?}, but {served:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stack_has_no_hosts_for_is_told_and_not_run() {
    let client = Client::start().await;
    let report = deployed::journeys(&on(&client, &client.stack.api, None)).await.expect("it ends");
    assert_eq!((report.passed.len(), report.skipped.len(), &*report.failed), (3, 4, &[][..]));
    assert!(report.to_string().contains("not run  sign-in and step-up: the stack has no wildcard"));
}
