//! `passcode doctor` against an account and a stack as AWS describes them: sound ones, and with one fault
//! planted.

mod recorded;

use crate::peer::MOTO;
use clap::Parser as _;
use passcode::{
    doctor::{
        self, Arguments, Report,
        checks::{self, Findings, Level},
        read,
    },
    place::Place,
};
use passcode_domain::Timestamp;
use passcode_tests::{aws::aws_at, event::root, stack::Client};
use recorded::{Call, Recorded};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    place: Place,
}

#[derive(clap::Parser)]
struct Doctor {
    #[command(flatten)]
    arguments: Arguments,
}

/// 20 November 2026.
const NOW: Timestamp = Timestamp::from_millis(1_795_132_800_000);

fn place() -> Place {
    Line::try_parse_from(["passcode", "--stack", "passcode"]).expect("arguments").place
}

async fn findings(recorded: Recorded) -> Findings {
    let (url, _) = recorded.serve().await;
    checks::run(&read::read(&aws_at(&url), &place(), NOW).await)
}

fn arguments(line: &str) -> Arguments {
    Doctor::try_parse_from(line.split_whitespace()).expect("arguments").arguments
}

/// Runs the command; what it reports, and what AWS was asked.
async fn acted(recorded: Recorded, line: &str) -> (Report, Vec<Call>) {
    let (url, calls) = recorded.serve().await;
    let report = doctor::act(&arguments(line), &place(), &aws_at(&url)).await;
    let calls = calls.lock().expect("no panic while it is held").clone();
    (report, calls)
}

#[tokio::test]
async fn nothing_is_found_where_everything_is_in_order() {
    let findings = findings(Recorded::sound()).await;
    assert!(findings.rows.iter().all(|row| row.level == Level::Ok), "{findings:#?}");
    assert_eq!((findings.rows.len(), findings.unchecked.len()), (19, 0), "{findings:#?}");
}

/// A fault.
#[derive(Debug, Deserialize)]
struct Planted {
    /// Where it is in the answers.
    at: String,
    /// What stands there; nothing where this is null.
    is: Value,
    /// The check that finds it.
    check: String,
    level: String,
    /// What the row says, or its next command.
    says: String,
}

const SMS_ATTRIBUTES: &str = "/sns GetSMSAttributes/attributes/entry";
const NUMBER: &str = "/sms-voice DescribePhoneNumbers/PhoneNumbers/0";
const SHOP: &str = "/dynamodb Scan/Items/1/document/S";

#[tokio::test]
async fn each_planted_fault_is_found_by_its_check_and_by_no_other() {
    let planted: Vec<Planted> =
        serde_json::from_str(include_str!("doctor/faults.json")).expect("faults");
    let mut found = BTreeSet::new();
    for Planted { at, is, check, level, says } in planted {
        let findings = findings(Recorded::sound().with(&at, is)).await;
        assert_eq!(findings.worst().as_str(), level, "{at}: {findings:#?}");
        let rows: Vec<_> = findings.rows.iter().filter(|row| row.level != Level::Ok).collect();
        assert!(rows.iter().all(|row| row.check == check), "{at}: {rows:#?}");
        assert!(rows.iter().all(|row| row.next.is_some()), "{at}: {rows:#?}");
        let is_said = |row: &&checks::Finding| {
            row.found.contains(&says) || row.next.as_ref().is_some_and(|next| next.contains(&says))
        };
        assert!(rows.iter().any(is_said), "{at}: {rows:#?}");
        found.insert(check);
    }
    let every: BTreeSet<_> =
        findings(Recorded::sound()).await.rows.iter().map(|row| row.check.to_owned()).collect();
    assert_eq!(found, every, "every check has a fault that it finds");
}

#[tokio::test]
async fn what_only_looks_like_a_fault_is_none() {
    let looks = Recorded::sound()
        // Numbers of before 2024-09-24 need no policy. When a sender id was made, AWS does not say.
        .with("/sms-voice GetResourcePolicy", Value::Null)
        .with(&format!("{NUMBER}/CreatedTimestamp"), json!(1_700_000_000.0))
        .with("/sms-voice DescribeSenderIds/SenderIds", json!([]))
        .with(&format!("{SHOP}/guard/allowed_countries/countries"), json!(["DE", "US", "PR"]))
        // -1 is without a limit.
        .with("/ses GetAccount/SendQuota/Max24HourSend", json!(-1.0))
        // An address that is verified, of a domain that is signed.
        .with(
            "/ses GetEmailIdentity no-reply%40shop.example",
            json!({ "VerifiedForSendingStatus": true }),
        );
    let findings = findings(looks).await;
    assert!(findings.rows.iter().all(|row| row.level == Level::Ok), "{findings:#?}");
}

/// What AWS was asked to change.
fn changes(calls: &[Call]) -> Vec<(&str, &Value)> {
    let is_change = |call: &&Call| {
        let (_, operation) = call.name.split_once(' ').expect("an operation");
        ["Set", "Update", "Put"].iter().any(|verb| operation.starts_with(verb))
    };
    calls.iter().filter(is_change).map(|call| (call.name.as_str(), &call.input)).collect()
}

#[tokio::test]
async fn what_has_one_right_answer_is_changed_and_nothing_else() {
    let role = "arn:aws:iam::123456789012:role/passcode-SmsStatusRole-1A2B3C4D";
    let number = "arn:aws:sms-voice:eu-west-1:123456789012:phone-number/phone-1a2b3c4d";
    let faulty = Recorded::sound()
        .with(&format!("{SMS_ATTRIBUTES}/1/value"), json!(""))
        .with("/sms-voice GetResourcePolicy", Value::Null)
        .with(
            "/dynamodb DescribeTimeToLive passcode-SessionTable-1A2B3C4D",
            json!({ "TimeToLiveDescription": { "TimeToLiveStatus": "DISABLED" } }),
        )
        .with(
            "/dynamodb DescribeContinuousBackups passcode-UserTable-1A2B3C4D",
            json!({ "ContinuousBackupsDescription": { "ContinuousBackupsStatus": "ENABLED" } }),
        )
        // What somebody has to decide.
        .with("/ses GetAccount/SendingEnabled", json!(false))
        .with(&format!("{SHOP}/guard/spend_cap"), json!({}));
    let (report, calls) = acted(faulty.clone(), "doctor").await;
    assert_eq!((report.changes.len(), changes(&calls).len(), report.status()), (0, 0, 1));

    let (report, calls) = acted(faulty, "doctor --fix --monthly-spend-limit 800").await;
    assert!(report.changes.iter().all(Result::is_ok), "{:?}", report.changes);
    let changes = changes(&calls);
    let names: Vec<_> = changes.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        [
            "sms-voice PutResourcePolicy",
            "sms-voice PutResourcePolicy",
            "sns SetSMSAttributes",
            "dynamodb UpdateTimeToLive",
            "dynamodb UpdateContinuousBackups",
            "sns SetSMSAttributes"
        ]
    );
    let [grant, _, logging, ending, recovery, limit] = changes.as_slice() else { unreachable!() };
    let policy = grant.1["Policy"].as_str().expect("a policy");
    let policy: Value = serde_json::from_str(policy).expect("JSON");
    assert_eq!(grant.1["ResourceArn"], number);
    assert_eq!(
        policy["Statement"][0],
        json!({
            "Effect": "Allow",
            "Principal": { "Service": "sns.amazonaws.com" },
            "Action": "sms-voice:SendTextMessage",
            "Resource": number,
            "Condition": { "StringEquals": { "aws:SourceAccount": "123456789012" } },
        })
    );
    let attribute = |input: &Value, n: u8| {
        let field = |name: &str| input[format!("attributes.entry.{n}.{name}")].clone();
        (field("key"), field("value"))
    };
    let set = BTreeMap::from(
        [attribute(logging.1, 1), attribute(logging.1, 2)]
            .map(|(key, value)| (key.as_str().unwrap_or_default().to_owned(), value)),
    );
    assert_eq!(set["DeliveryStatusIAMRole"], role);
    assert_eq!(set["DeliveryStatusSuccessSamplingRate"], "100");
    assert_eq!(
        *ending.1,
        json!({
            "TableName": "passcode-SessionTable-1A2B3C4D",
            "TimeToLiveSpecification": { "AttributeName": "expires_at", "Enabled": true },
        })
    );
    assert_eq!(
        *recovery.1,
        json!({
            "TableName": "passcode-UserTable-1A2B3C4D",
            "PointInTimeRecoverySpecification": { "PointInTimeRecoveryEnabled": true },
        })
    );
    assert_eq!(attribute(limit.1, 1), (json!("MonthlySpendLimit"), json!("800")));
}

#[tokio::test]
async fn a_change_that_is_refused_says_what_it_needs() {
    let off = json!({ "TimeToLiveDescription": { "TimeToLiveStatus": "DISABLED" } });
    let refused = Recorded::sound()
        .with("/dynamodb DescribeTimeToLive passcode-SessionTable-1A2B3C4D", off)
        .with("/dynamodb UpdateTimeToLive", json!({ "error": "AccessDeniedException" }));
    let (report, _) = acted(refused, "doctor --fix --monthly-spend-limit 2000").await;
    let needs = |needle: &str| {
        let faults = report.changes.iter().filter_map(|change| change.as_ref().err());
        faults.filter(|fault| fault.contains(needle)).count() == 1
    };
    assert!(needs("needs dynamodb:UpdateTimeToLive"), "{report:?}");
    assert!(needs("the quota allows 1000"), "{report:?}");
    assert_eq!((report.changes.len(), report.status()), (2, 1));
}

/// The actions of a statement of the policy in cli/README.md.
fn actions(page: &str, statement: &str) -> BTreeSet<String> {
    let policy = page.split("```json").skip(1).filter_map(|rest| rest.split("```").next());
    let policy = policy.map(|text| serde_json::from_str::<Value>(text).expect("JSON"));
    let statements = policy.flat_map(|it| it["Statement"].as_array().cloned().unwrap_or_default());
    let actions = statements
        .filter(|it| it["Sid"] == statement)
        .flat_map(|it| it["Action"].as_array().cloned().unwrap_or_default());
    actions.filter_map(|it| it.as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn the_page_lists_the_permissions_that_it_uses() {
    let page = std::fs::read_to_string(root().join("cli/README.md")).expect("a page");
    let off = json!({ "TimeToLiveDescription": {} });
    let faulty = Recorded::sound()
        .with(&format!("{SMS_ATTRIBUTES}/1/value"), json!(""))
        .with("/sms-voice GetResourcePolicy", Value::Null)
        .with("/dynamodb DescribeTimeToLive", off)
        .with("/dynamodb DescribeContinuousBackups", json!({}));
    let (_, calls) = acted(faulty, "doctor --fix").await;
    let action = |call: &Call| call.name.replace("monitoring", "cloudwatch").replace(' ', ":");
    let made: BTreeSet<_> = calls.iter().map(action).collect();
    // What AWS does in the caller's name.
    let behind = |actions: &[&str]| actions.iter().map(|it| (*it).to_owned()).collect();
    let behind_looking: BTreeSet<String> = behind(&["sms-voice:DescribeAccountAttributes"]);
    let behind_fixing: BTreeSet<String> =
        behind(&["iam:PassRole", "sms-voice:SetTextMessageSpendLimitOverride"]);
    let fixing: BTreeSet<_> =
        changes(&calls).iter().map(|(name, _)| name.replace(' ', ":")).collect();
    let looking: BTreeSet<_> = made.difference(&fixing).cloned().collect();
    assert_eq!(actions(&page, "Look"), &looking | &behind_looking);
    assert_eq!(actions(&page, "Fix"), &fixing | &behind_fixing);
}

#[tokio::test]
async fn the_stack_on_this_machine_is_in_order_and_one_that_is_not_there_is_told() {
    let client = Client::start().await;
    let place = Place::of(&client.stack);
    let look =
        async || checks::run(&read::read(&place.aws().expect("settings"), &place, NOW).await);
    let findings = look().await;
    let checks: Vec<_> = findings.rows.iter().map(|row| row.check).collect();
    assert_eq!(findings.worst(), Level::Ok, "{findings:#?}");
    assert_eq!(checks, ["stack", "time_to_live", "keyring", "app_spend_caps", "app_settings"]);

    let aws = aws_at("http://127.0.0.1:1");
    let place = Line::try_parse_from(["passcode"]).expect("arguments").place;
    let report = doctor::act(&arguments("doctor"), &place, &aws).await;
    let rows: Vec<_> = report.findings.rows.iter().map(|row| row.next.as_deref()).collect();
    assert_eq!((rows, report.status()), (vec![Some("cargo local")], 1));
}

/// A stack as moto makes it, without what the template switches on.
fn bare_template() -> Value {
    let tables = ["AppTable", "ChallengeTable", "CounterTable", "SessionTable", "UserTable"];
    let table = json!({
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": "app", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "app", "KeyType": "HASH" }],
        },
    });
    let resources: Map<_, _> =
        tables.map(|name| (name.to_owned(), table.clone())).into_iter().collect();
    let output = |name: &str| (name.to_owned(), json!({ "Value": { "Ref": name } }));
    let mut outputs: Map<_, _> = tables.map(output).into_iter().collect();
    let role = json!({ "Value": "arn:aws:iam::123456789012:role/passcode-SmsStatusRole" });
    outputs.insert("SmsStatusRole".into(), role);
    json!({ "Resources": resources, "Outputs": outputs })
}

#[tokio::test]
#[ignore = "needs moto's server at MOTO_URL; .ci/run starts it"]
async fn a_stack_of_moto_is_looked_at_and_fixed() {
    let _alone = MOTO.lock().await;
    let url = std::env::var("MOTO_URL").expect("MOTO_URL");
    let aws = aws_at(&url);
    let client = aws_sdk_cloudformation::Client::new(&aws);
    let made =
        client.create_stack().stack_name("passcode").template_body(bare_template().to_string());
    made.send().await.expect("the stack is made");
    let alarm = "Action=PutMetricAlarm&Version=2010-08-01&AlarmName=passcode-FailedVerifiesAlarm-1A2B\
        &Namespace=Passcode&MetricName=FailedVerifies&Statistic=Sum&Period=60&EvaluationPeriods=1&Threshold=1\
        &ComparisonOperator=GreaterThanThreshold";
    let scope = "AWS4-HMAC-SHA256 Credential=local/20261120/eu-west-1/monitoring/aws4_request, \
        SignedHeaders=host, Signature=0";
    let http = reqwest::Client::new();
    let put = http.post(&url).header("authorization", scope);
    let put = put.header("content-type", "application/x-www-form-urlencoded").body(alarm);
    assert!(put.send().await.expect("moto answers").status().is_success());

    let place = place();
    let report = doctor::act(&arguments("doctor"), &place, &aws).await;
    let levels = |report: &Report, check: &str| {
        let rows = report.findings.rows.iter().filter(|row| row.check == check);
        rows.map(|row| row.level).collect::<Vec<_>>()
    };
    let alarms = report.findings.rows.iter().find(|row| row.check == "alarms").expect("a row");
    assert!(alarms.found.contains("when an alarm of the stack rings"), "{alarms:?}");
    for (check, level, rows) in [
        ("time_to_live", Level::Warning, 3),
        ("recovery", Level::Failure, 2),
        ("sms_logging", Level::Warning, 1),
    ] {
        assert_eq!(levels(&report, check), vec![level; rows], "{check}: {report:#?}");
    }
    let report = doctor::act(&arguments("doctor --fix"), &place, &aws).await;
    assert_eq!(report.changes.iter().filter(|change| change.is_ok()).count(), 6, "{report:#?}");
    for check in ["time_to_live", "recovery", "sms_logging"] {
        assert_eq!(levels(&report, check), [Level::Ok], "{check}: {report:#?}");
    }
}
