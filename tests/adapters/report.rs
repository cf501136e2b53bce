//! `passcode report` of a deployed stack: its log group is found by the stack's output, and read to the last page.

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::any};
use clap::Parser as _;
use passcode::report::{self, Arguments};
use passcode_tests::aws::aws_at;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

const STACK: &str = r#"
<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">
  <DescribeStacksResult><Stacks><member>
    <StackName>passcode</StackName>
    <CreationTime>2026-11-20T09:00:00Z</CreationTime>
    <StackStatus>UPDATE_COMPLETE</StackStatus>
    <Outputs><member><OutputKey>Logs</OutputKey><OutputValue>passcode-Logs-1A2B</OutputValue></member></Outputs>
  </member></Stacks></DescribeStacksResult>
</DescribeStacksResponse>"#;

/// The requests to the log group.
type Asked = Arc<Mutex<Vec<Value>>>;

/// `CloudFormation`, and a log group with two pages.
async fn account(State(asked): State<Asked>, headers: HeaderMap, body: Bytes) -> String {
    let Some(target) = headers.get("x-amz-target") else { return STACK.to_owned() };
    assert_eq!(target, "Logs_20140328.FilterLogEvents");
    assert_eq!(headers["content-type"], "application/x-amz-json-1.1");
    let input: Value = serde_json::from_slice(&body).expect("JSON");
    let line = |outcome: &str| {
        let aws = json!({ "Timestamp": 1_795_165_200_000_u64 });
        let line = json!({ "_aws": aws, "function": "f", "app": "shop", "outcome": outcome, "status": 200,
            "durationMicros": 9, "channel": "sms", "country": "US" });
        json!({ "message": format!("{line}\n") })
    };
    let is_first = input["nextToken"].is_null();
    asked.lock().expect("no panic while it is held").push(input);
    let page = if is_first {
        json!({ "events": [line("sent"), line("sent")], "nextToken": "more" })
    } else {
        json!({ "events": [line("verified")] })
    };
    page.to_string()
}

#[tokio::test]
async fn the_log_group_of_a_stack_is_read_to_the_last_page() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let asked = Asked::default();
    let app = Router::new().fallback(any(account)).with_state(asked.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let line = Line::try_parse_from("report --stack passcode --since 7d".split_whitespace());
    let arguments = line.expect("arguments").arguments;
    let told = report::of_stack(&arguments, &aws_at(&url)).await.expect("a report");
    assert_eq!(told.json["requests"], 3);
    let row = &told.json["messages"][0];
    assert_eq!((&row["sent"], &row["verified"]), (&json!(2), &json!(1)));
    let asked = asked.lock().expect("no panic while it is held");
    assert_eq!(asked[0]["logGroupName"], "passcode-Logs-1A2B");
    assert!(asked[0]["startTime"].as_u64().is_some_and(|at| at > 1_700_000_000_000), "{asked:?}");
    assert_eq!((asked.len(), &asked[1]["nextToken"]), (2, &json!("more")));
}

#[test]
fn a_file_or_a_stack_is_named_and_not_both() {
    for line in ["report", "report week.jsonl --stack passcode", "report week.jsonl --since 7d"] {
        assert!(Line::try_parse_from(line.split_whitespace()).is_err(), "{line}");
    }
    assert!(Line::try_parse_from(["report", "week.jsonl"]).is_ok());
}
