//! `template.yaml` as tested code: what is deployed is what the functions are, and no function may
//! do more than its ports.

mod documentation;

use passcode::template;
use passcode_tests::event::{self, root};
use serde_yaml_ng::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// The actions that each port is.
const PORTS: [(&str, &[&str]); 11] = [
    ("ChangeUsers", &["dynamodb:PutItem"]),
    ("LoadUsers", &["dynamodb:GetItem"]),
    ("LoadApps", &["dynamodb:GetItem"]),
    ("LoadKeyring", &["secretsmanager:GetSecretValue"]),
    ("LoadSigningKeys", &["secretsmanager:GetSecretValue"]),
    ("LoadLedgers", &["dynamodb:GetItem"]),
    ("StoreLedgers", &["dynamodb:PutItem"]),
    ("LoadGauges", &["dynamodb:BatchGetItem"]),
    ("CountGauges", &["dynamodb:UpdateItem"]),
    ("SmsCourier", &["sns:Publish"]),
    ("EmailCourier", &["ses:SendEmail"]),
];

fn yaml() -> Value {
    let text = std::fs::read_to_string(root().join("template.yaml")).expect("template.yaml");
    serde_yaml_ng::from_str(&text).expect("YAML")
}

/// The actions that a statement grants: one, or a list.
fn actions_of(statement: &Value) -> Vec<&str> {
    match &statement["Action"] {
        Value::Sequence(actions) => actions.iter().filter_map(Value::as_str).collect(),
        action => action.as_str().into_iter().collect(),
    }
}

/// What `!Ref` names.
fn tagged(value: &Value) -> Option<&str> {
    match value {
        Value::Tagged(tagged) if tagged.tag == "Ref" => tagged.value.as_str(),
        _ => None,
    }
}

fn names_in(folder: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(root().join(folder)).expect(folder);
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect()
}

fn pascal(name: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('-').map(capital).collect()
}

fn functions() -> BTreeMap<String, Value> {
    let yaml = yaml();
    let crates = event::functions();
    let of = |name: &String| {
        yaml["Resources"][format!("{}Function", pascal(name))]["Properties"].clone()
    };
    crates.keys().map(|name| (name.clone(), of(name))).collect()
}

/// `cargo lambda watch` compares methods to the letter and knows no path that takes the rest: it
/// answers what no route takes by itself.
fn is_watched(route: &template::Route) -> bool {
    route.method != "ANY"
}

#[test]
fn crates_events_resources_and_the_router_have_the_same_names() {
    let template = template::read(&root().join("template.yaml")).expect("template.yaml is good");
    let deployed: BTreeSet<_> = template.functions.iter().map(|f| f.name.clone()).collect();
    assert_eq!(deployed, event::functions().into_keys().collect());
    assert_eq!(deployed, names_in("events"));
    for (name, properties) in functions() {
        assert_eq!(properties["CodeUri"], format!("target/lambda/{name}/"), "{name}");
    }
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    for function in &template.functions {
        for route in function.routes.iter().filter(|route| is_watched(route)) {
            let entry = format!(
                "[[workspace.metadata.lambda.watch.router.\"{}\"]]\nmethod = \"{}\"\nfunction = \"{}\"\n",
                route.path, route.method, function.name
            );
            assert!(manifest.contains(&entry), "Cargo.toml lacks {entry}");
        }
    }
    let routes = template.functions.iter().flat_map(|f| &f.routes);
    let routes = routes.filter(|route| is_watched(route)).count();
    assert_eq!(manifest.matches("[[workspace.metadata.lambda.watch.router.").count(), routes);
}

#[test]
fn a_policy_is_the_functions_ports_and_nothing_else() {
    let crates = event::functions();
    for (name, properties) in functions() {
        let source =
            |file| std::fs::read_to_string(crates[&name].join("src").join(file)).expect(file);
        let (boot, code) = (source("boot.rs"), source("lib.rs"));
        let mut granted = BTreeSet::new();
        for statement in properties["Policies"][0]["Statement"].as_sequence().expect("statements") {
            let sid = statement["Sid"].as_str().expect("a Sid");
            let port = PORTS.iter().find(|(port, _)| *port == sid);
            let (_, actions) = port.unwrap_or_else(|| panic!("{name}: {sid} is no port"));
            assert_eq!(actions_of(statement), *actions, "{name}: {sid}");
            let is_everything = statement["Resource"] == "*";
            assert_eq!(is_everything, sid == "SmsCourier", "{name}: {sid}");
            let secret = tagged(&statement["Resource"]);
            let expected = match sid {
                "LoadKeyring" => Some("KeyringSecret"),
                "LoadSigningKeys" => Some("SigningSecret"),
                _ => secret,
            };
            assert_eq!(secret, expected, "{name}: {sid}");
            assert!(granted.insert(sid.to_owned()), "{name}: {sid} twice");
        }
        for (port, _) in PORTS {
            let is_used =
                code.contains(&format!(": {port}")) || code.contains(&format!("+ {port}"));
            assert_eq!(granted.contains(port), is_used, "{name}: {port}");
        }
        for (sdk, port) in [("passcode_sns", "SmsCourier"), ("passcode_ses", "EmailCourier")] {
            assert_eq!(boot.contains(sdk), granted.contains(port), "{name}: {sdk}");
        }
    }
}

#[test]
fn the_endpoints_of_services_are_variables_of_every_function_and_parameters_that_are_empty() {
    let yaml = yaml();
    let template = template::read(&root().join("template.yaml")).expect("template.yaml is good");
    for (variable, parameter) in
        [("AWS_ENDPOINT_URL_DYNAMODB", "DynamoDbEndpoint"), ("AWS_ENDPOINT_URL", "AwsEndpoint")]
    {
        let declared = &yaml["Globals"]["Function"]["Environment"]["Variables"][variable];
        let Value::Tagged(declared) = declared else { panic!("{variable} is not declared") };
        assert_eq!((&declared.tag.to_string()[..], &declared.value), ("!Ref", &parameter.into()));
        assert_eq!(yaml["Parameters"][parameter]["Default"], "", "{parameter}");
        for function in &template.functions {
            assert_eq!(function.environment[variable], "", "{}", function.name);
        }
    }
}

#[test]
fn every_function_keeps_its_logs_for_a_time_that_is_set() {
    let yaml = yaml();
    assert_eq!(yaml["Globals"]["Function"]["LoggingConfig"]["LogFormat"], "JSON");
    assert_eq!(yaml["Globals"]["Function"]["Tracing"], "Active");
    for (name, _) in functions() {
        let logs = &yaml["Resources"][format!("{}Logs", pascal(&name))];
        assert_eq!(logs["Type"], "AWS::Logs::LogGroup", "{name}");
        assert!(!logs["Properties"]["RetentionInDays"].is_null(), "{name}");
    }
}

#[test]
fn tables_are_encrypted_on_demand_and_forget_or_recover() {
    let yaml = yaml();
    for (name, has_ttl) in [
        ("ChallengeTable", true),
        ("ThrottleTable", true),
        ("AppTable", false),
        ("UserTable", false),
    ] {
        let table = &yaml["Resources"][name]["Properties"];
        assert_eq!(table["BillingMode"], "PAY_PER_REQUEST");
        assert_eq!(table["SSESpecification"]["SSEEnabled"], true);
        assert_eq!(table["TimeToLiveSpecification"]["Enabled"] == true, has_ttl, "{name}");
        let recovery = &table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"];
        assert_eq!(*recovery == true, !has_ttl, "{name}");
    }
}

#[test]
fn a_request_ends_before_its_functions_time_out() {
    use passcode_dynamodb::CALL_TIMEOUT as STORE;
    use passcode_runtime::CALL_TIMEOUT as KEYRING;
    let seconds = yaml()["Globals"]["Function"]["Timeout"].as_u64().expect("a time-out");
    // App, keyring, ledger, gauges, claim, one message on each channel, mark: each as slow as it
    // may be.
    let slowest =
        STORE + KEYRING + 4 * STORE + passcode_aws::SEND_TIMEOUT + passcode_aws::SEND_TIMEOUT;
    // With a key: whose turn it is, that it is this caller's, and what it was answered.
    let slowest = slowest + 3 * STORE;
    assert!(slowest < Duration::from_secs(seconds), "{slowest:?}");
    assert!(seconds < 30, "an HTTP API waits no longer");
    // What is taken over has ended.
    assert!(passcode_domain::idempotency::LONGEST_RUN > Duration::from_secs(seconds));
}

#[test]
fn the_alarm_listens_to_the_metric_of_wrong_codes() {
    use passcode_runtime::log::{ALARM_METRIC, NAMESPACE};
    let yaml = yaml();
    let alarm = &yaml["Resources"]["FailedVerifiesAlarm"]["Properties"];
    let query = alarm["Metrics"][0]["Expression"].as_str().expect("a query");
    assert!(
        query.contains(&format!("SUM({ALARM_METRIC}) FROM SCHEMA({NAMESPACE}, app)")),
        "{query}"
    );
    assert_eq!((&alarm["Threshold"], &alarm["Metrics"][0]["Period"]), (&100.into(), &3600.into()));
}

#[test]
fn every_recorded_event_is_a_route_of_its_function() {
    let template = template::read(&root().join("template.yaml")).expect("template.yaml is good");
    for function in template.functions {
        for file in names_in(&format!("events/{}", function.name)) {
            let case = file.trim_end_matches(".json");
            let event = passcode_tests::event::Event::recorded(&function.name, case);
            let keys: Vec<_> = function
                .routes
                .iter()
                .map(|route| format!("{} {}", route.method, route.path))
                .collect();
            let key = event.0["routeKey"].as_str().expect("a route key").to_owned();
            assert!(keys.contains(&key), "{}: {key}", function.name);
        }
    }
}
