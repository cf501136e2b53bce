//! `template.yaml` as tested code: what is deployed is what the functions are, and no function may
//! do more than its ports.

mod alarms;
mod cloudwatch;
mod dashboard;
mod documentation;

use passcode::{
    local::{FUNCTIONS, LocalClock},
    template,
};
use passcode_runtime::Settings;
use passcode_tests::event::{self, root};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use yaml_serde::Value;

/// The action that each port is, and what it is allowed on.
const PORTS: [(&str, &str, &[&str]); 15] = [
    ("LoadApps", "dynamodb:GetItem", &["AppTable"]),
    ("LoadUsers", "dynamodb:GetItem", &["UserTable"]),
    ("ChangeUsers", "dynamodb:PutItem", &["ChallengeTable", "UserTable"]),
    ("LoadLedgers", "dynamodb:GetItem", &["ChallengeTable"]),
    ("StoreLedgers", "dynamodb:PutItem", &["ChallengeTable"]),
    ("LoadCounters", "dynamodb:BatchGetItem", &["CounterTable"]),
    ("ReserveCounters", "dynamodb:UpdateItem", &["CounterTable"]),
    ("CountVerified", "dynamodb:UpdateItem", &["CounterTable"]),
    ("LoadSessions", "dynamodb:GetItem", &["SessionTable"]),
    ("ListSessions", "dynamodb:Query", &["SessionTable"]),
    ("StoreSessions", "dynamodb:PutItem", &["SessionTable"]),
    ("LoadKeyring", "secretsmanager:GetSecretValue", &["KeyringSecret"]),
    ("LoadSigningKeys", "secretsmanager:GetSecretValue", &["SigningSecret"]),
    ("SmsCourier", "sns:Publish", &["everything but arn:${AWS::Partition}:sns:*:*:*"]),
    (
        "EmailCourier",
        "ses:SendEmail",
        &[
            "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:identity/*",
            "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:configuration-set/*",
        ],
    ),
];

fn yaml() -> Value {
    let text = std::fs::read_to_string(root().join("template.yaml")).expect("template.yaml");
    yaml_serde::from_str(&text).expect("YAML")
}

/// What `!Ref` names.
fn reference(value: &Value) -> Option<&str> {
    match value {
        Value::Tagged(tagged) if tagged.tag == "Ref" => tagged.value.as_str(),
        _ => None,
    }
}

/// What a statement is about: logical ids of resources, and ARNs.
fn resources_of(statement: &Value) -> Vec<String> {
    let name = |value: &Value| {
        let Value::Tagged(tagged) = value else { panic!("{value:?} names no resource") };
        let name = tagged.value.as_str().expect("a name");
        name.trim_end_matches(".Arn").to_owned()
    };
    match (&statement["Resource"], &statement["NotResource"]) {
        (Value::Sequence(several), Value::Null) => several.iter().map(name).collect(),
        (one, Value::Null) => vec![name(one)],
        (Value::Null, one) => vec![format!("everything but {}", name(one))],
        (some, others) => panic!("both {some:?} and all but {others:?}"),
    }
}

/// The ports that a function has when it is booted with the environment that the template gives it.
/// `ReadTokens` is none of them that AWS grants: issuers are asked over the internet.
fn booted_ports(function: &template::Function) -> BTreeSet<String> {
    let environment = function.environment.clone();
    let settings = Settings::new(move |name| match name {
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" | "AWS_REGION" => Some("set".to_owned()),
        // What is empty in the template, whoever deploys it fills in.
        "EMAIL_FROM" => environment.get(name).map(|_| "set".to_owned()),
        _ => environment.get(name).cloned(),
    });
    let clock = LocalClock::default();
    let booted = match FUNCTIONS.iter().find(|deployed| deployed.name == function.name) {
        Some(deployed) => (deployed.boot)(&settings, clock).map(|it| (it.name, it.ports)),
        None => delivery_receipts::boot(&settings, clock).map(|it| (it.name, it.ports)),
    };
    let (name, ports) = booted.unwrap_or_else(|error| panic!("{}: {error}", function.name));
    assert_eq!(name, function.name);
    ports.into_iter().filter(|port| *port != "ReadTokens").map(str::to_owned).collect()
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

#[test]
fn crates_events_and_resources_have_the_same_names() {
    let template = template::read(&root().join("template.yaml")).expect("template.yaml is good");
    let deployed: BTreeSet<_> = template.functions.iter().map(|f| f.name.clone()).collect();
    assert_eq!(deployed, event::functions().into_keys().collect());
    assert_eq!(deployed, names_in("events"));
    for (name, properties) in functions() {
        assert_eq!(properties["CodeUri"], format!("target/lambda/{name}/"), "{name}");
    }
}

#[test]
fn the_template_says_which_version_it_is_of() {
    assert_eq!(yaml()["Outputs"]["Version"]["Value"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn a_permission_is_one_action_of_a_port_on_what_the_port_is_about() {
    let yaml = yaml();
    let permissions = &yaml["Resources"]["Logs"]["Metadata"]["Permissions"];
    let permissions = permissions.as_sequence().expect("permissions");
    assert_eq!(permissions.len(), PORTS.len());
    for (port, action, resources) in PORTS {
        let permission = permissions.iter().find(|permission| permission["Sid"] == port);
        let permission = permission.unwrap_or_else(|| panic!("{port} has no permission"));
        assert_eq!(
            (&permission["Effect"], &permission["Action"]),
            (&"Allow".into(), &action.into())
        );
        assert_eq!(resources_of(permission), resources, "{port}");
    }
}

#[test]
fn a_policy_is_the_functions_ports_and_nothing_else() {
    let yaml = yaml();
    let template = template::read(&root().join("template.yaml")).expect("template.yaml is good");
    let permissions = &yaml["Resources"]["Logs"]["Metadata"]["Permissions"];
    let permissions = permissions.as_sequence().expect("permissions");
    let properties = functions();
    for function in &template.functions {
        let name = &function.name;
        let policy = &properties[name]["Policies"];
        assert_eq!(policy["Version"], "2012-10-17", "{name}");
        let mut granted = BTreeSet::new();
        for statement in policy["Statement"].as_sequence().expect("statements") {
            assert!(permissions.contains(statement), "{name}: {statement:?}");
            let port = statement["Sid"].as_str().expect("a port");
            assert!(granted.insert(port.to_owned()), "{name}: {port} twice");
        }
        assert_eq!(granted, booted_ports(function), "{name}");
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
fn functions_log_to_one_group_for_a_time_that_is_set_and_are_traced_on_demand() {
    let yaml = yaml();
    let logging = &yaml["Globals"]["Function"]["LoggingConfig"];
    assert_eq!(logging["LogFormat"], "JSON");
    assert_eq!(reference(&logging["LogGroup"]), Some("Logs"));
    assert!(!yaml["Resources"]["Logs"]["Properties"]["RetentionInDays"].is_null());
    assert_eq!(reference(&yaml["Globals"]["Function"]["Tracing"]), Some("Tracing"));
    assert_eq!(yaml["Parameters"]["Tracing"]["Default"], "Disabled");
    for (name, properties) in functions() {
        for global in [
            "LoggingConfig",
            "Tracing",
            "Environment",
            "PermissionsBoundary",
            "DeploymentPreference",
        ] {
            assert!(properties[global].is_null(), "{name}: {global} is the same for all");
        }
    }
}

#[test]
fn tables_are_on_demand_free_of_charges_for_keys_and_forget_or_recover() {
    let yaml = yaml();
    assert_eq!(yaml["Parameters"]["TableKey"]["Default"], "");
    for (name, has_ttl) in [
        ("ChallengeTable", true),
        ("CounterTable", true),
        ("SessionTable", true),
        ("AppTable", false),
        ("UserTable", false),
    ] {
        let resource = &yaml["Resources"][name];
        let table = &resource["Properties"];
        assert_eq!(table["BillingMode"], "PAY_PER_REQUEST");
        let Value::Tagged(encryption) = &table["SSESpecification"] else { panic!("{name}") };
        assert_eq!((&encryption.value[0], encryption.tag == "If"), (&"HasTableKey".into(), true));
        assert_eq!(reference(&encryption.value[1]["KMSMasterKeyId"]), Some("TableKey"), "{name}");
        assert_eq!(reference(&encryption.value[2]), Some("AWS::NoValue"), "{name}");
        assert_eq!(table["TimeToLiveSpecification"]["Enabled"] == true, has_ttl, "{name}");
        let recovery = &table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"];
        assert_eq!(*recovery == true, !has_ttl, "{name}");
        assert_eq!(table["DeletionProtectionEnabled"] == true, !has_ttl, "{name}");
        assert_eq!(resource["DeletionPolicy"] == "Retain", !has_ttl, "{name}");
    }
}

#[test]
fn every_table_and_secret_is_found_by_an_output_of_its_name() {
    let yaml = yaml();
    let mut found = 0;
    for (id, resource) in yaml["Resources"].as_mapping().expect("resources") {
        if resource["Type"] == "AWS::DynamoDB::Table"
            || resource["Type"] == "AWS::SecretsManager::Secret"
        {
            let id = id.as_str().expect("a name");
            assert_eq!(reference(&yaml["Outputs"][id]["Value"]), Some(id));
            found += 1;
        }
    }
    assert_eq!(found, 7);
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
    assert!(passcode_domain::ledger::request::LONGEST_RUN > Duration::from_secs(seconds));
}

#[test]
fn every_recorded_event_is_a_route_of_its_function() {
    let template = template::read(&root().join("template.yaml")).expect("template.yaml is good");
    for function in template.functions.into_iter().filter(|function| !function.routes.is_empty()) {
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

/// The resources that hold data, with what they are kept by and what replaces them when it changes, as the
/// template had it when a stack may first have been made from it. `CloudFormation` replaces a table for another
/// `TableName`, `ImportSourceSpecification`, `KeySchema` or type of a key, a secret for another `Name`, and a
/// log group for another `LogGroupName`; anything, for another logical id or `Type`.
#[test]
fn no_change_of_the_template_replaces_what_holds_data() {
    let recorded =
        std::fs::read_to_string(root().join("tests/template/kept.yaml")).expect("a record");
    let recorded: Value = yaml_serde::from_str(&recorded).expect("YAML");
    let yaml = yaml();
    let mut found = yaml_serde::Mapping::new();
    for (id, resource) in yaml["Resources"].as_mapping().expect("resources") {
        let properties: &[&str] = match resource["Type"].as_str().expect("a type") {
            "AWS::DynamoDB::Table" => {
                &["TableName", "ImportSourceSpecification", "KeySchema", "AttributeDefinitions"]
            }
            "AWS::SecretsManager::Secret" => &["Name"],
            "AWS::Logs::LogGroup" => &["LogGroupName"],
            _ => continue,
        };
        let mut kept = yaml_serde::Mapping::new();
        for attribute in ["Type", "DeletionPolicy", "UpdateReplacePolicy"] {
            kept.insert(attribute.into(), resource[attribute].clone());
        }
        for property in properties {
            let value = &resource["Properties"][*property];
            if !value.is_null() {
                kept.insert((*property).into(), value.clone());
            }
        }
        found.insert(id.clone(), kept.into());
    }
    // One that is new is added to the record; none of those that are there changes or goes.
    for (id, kept) in recorded.as_mapping().expect("resources") {
        assert_eq!(found.remove(id).as_ref(), Some(kept), "{id:?} would be replaced or lost");
    }
    assert!(found.is_empty(), "tests/template/kept.yaml lacks {found:?}");
}
