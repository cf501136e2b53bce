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

const OUTPUTS: &str = "/cloudformation DescribeStacks/Stacks/member/Outputs/member";
const SMS_ATTRIBUTES: &str = "/sns GetSMSAttributes/attributes/entry";
const NUMBER: &str = "/sms-voice DescribePhoneNumbers/PhoneNumbers/0";
const SENDER_ID: &str = "/sms-voice DescribeSenderIds/SenderIds/0";
const IDENTITY: &str = "/ses GetEmailIdentity shop.example";
const EVENTS: &str =
    "/ses GetConfigurationSetEventDestinations ConfigurationSet-1A2B3C4D/EventDestinations";
const ALARM: &str = "/monitoring DescribeAlarms/MetricAlarms/0";
const DELHI: &str = "/dynamodb Scan/Items/0/document/S";
const SHOP: &str = "/dynamodb Scan/Items/1/document/S";

/// Every fault: where it is in the answers, what stands there, the check that finds it, how bad it is, and
/// what its row says.
fn planted() -> Vec<(String, Value, &'static str, Level, &'static str)> {
    use Level::{Failure, Warning};
    let at = |place: &str, field: &str| format!("{place}{field}");
    let denied = || json!({ "error": "AccessDeniedException" });
    let stack = "/cloudformation DescribeStacks/Stacks/member/StackStatus";
    vec![
        (stack.into(), json!("UPDATE_ROLLBACK_FAILED"), "stack", Failure, "has failed"),
        (stack.into(), json!("UPDATE_ROLLBACK_COMPLETE"), "stack", Warning, "is not in place"),
        ("/dynamodb Scan/Items".into(), json!([]), "stack", Warning, "app create"),
        (at(OUTPUTS, "/0/OutputValue"), json!("0.0.9"), "template", Warning, "sam deploy"),
        (at(OUTPUTS, "/0/OutputKey"), json!("Other"), "template", Warning, "sam deploy"),
        (
            "/sns GetSMSSandboxAccountStatus/IsInSandbox".into(),
            json!(true),
            "sms_sandbox",
            Failure,
            "at most 10 verified numbers",
        ),
        (
            at(SMS_ATTRIBUTES, "/0/value"),
            json!("1"),
            "sms_spend_limit",
            Failure,
            "--monthly-spend-limit 1000",
        ),
        (
            "/sms-voice DescribeSpendLimits/SpendLimits/0".into(),
            json!({ "Name": "TEXT_MESSAGE_MONTHLY_SPEND_LIMIT", "EnforcedLimit": 1, "MaxLimit": 1 }),
            "sms_spend_limit",
            Failure,
            "service-limit-increase",
        ),
        (
            at(SMS_ATTRIBUTES, "/0/value"),
            json!("20"),
            "sms_spend_limit",
            Warning,
            "in one day (25.00)",
        ),
        (
            "/sms-voice GetResourcePolicy".into(),
            Value::Null,
            "sms_identities",
            Failure,
            "SNS may not send from +18885550100",
        ),
        (
            "/sms-voice GetResourcePolicy/Policy/Statement/0/Principal".into(),
            json!({ "AWS": "arn:aws:iam::210987654321:root" }),
            "sms_identities",
            Failure,
            "does not name sns.amazonaws.com",
        ),
        (
            at(SHOP, "/sms/origination_number"),
            json!("+18885550199"),
            "sms_identities",
            Failure,
            "no number of this account",
        ),
        (
            at(NUMBER, "/MessagingLimits/RateLimits/SMS"),
            json!(1),
            "sms_rates",
            Warning,
            "sends_per_country.per_hour=3600",
        ),
        (
            at(SMS_ATTRIBUTES, "/1/value"),
            json!(""),
            "sms_logging",
            Warning,
            "passcode doctor --fix --stack passcode",
        ),
        (
            at(SMS_ATTRIBUTES, "/1/value"),
            json!("arn:aws:iam::123456789012:role/another"),
            "sms_logging",
            Warning,
            "somebody else's",
        ),
        (at(SMS_ATTRIBUTES, "/2/value"), json!("0"), "sms_logging", Warning, "does not log every"),
        (
            at(OUTPUTS, "/8/OutputKey"),
            json!("Other"),
            "sms_logging",
            Warning,
            "SmsReceipts=\"existing log groups\"",
        ),
        (
            "/ses GetAccount/ProductionAccessEnabled".into(),
            json!(false),
            "email_sandbox",
            Failure,
            "put-account-details",
        ),
        (
            "/ses GetAccount/SendingEnabled".into(),
            json!(false),
            "email_sandbox",
            Failure,
            "has stopped",
        ),
        (
            "/ses GetAccount/EnforcementStatus".into(),
            json!("PROBATION"),
            "email_sandbox",
            Warning,
            "reviews",
        ),
        (
            "/ses GetAccount/SendQuota/SentLast24Hours".into(),
            json!(45000.0),
            "email_quota",
            Warning,
            "45000 of the 50000",
        ),
        (
            "/ses GetAccount/SendQuota/SentLast24Hours".into(),
            json!(50000.0),
            "email_quota",
            Failure,
            "refuses every further one",
        ),
        (IDENTITY.into(), Value::Null, "email_senders", Failure, "create-email-identity"),
        (
            at(IDENTITY, "/VerifiedForSendingStatus"),
            json!(false),
            "email_senders",
            Failure,
            "not verified",
        ),
        (
            at(IDENTITY, "/DkimAttributes/SigningEnabled"),
            json!(false),
            "email_senders",
            Warning,
            "--signing-enabled",
        ),
        (
            at(IDENTITY, "/DkimAttributes/Status"),
            json!("FAILED"),
            "email_senders",
            Warning,
            "not in place: FAILED",
        ),
        (
            at(DELHI, "/email/from"),
            json!("codes@other.example"),
            "email_senders",
            Failure,
            "codes@other.example is no identity",
        ),
        (
            "/cloudformation DescribeStacks/Stacks/member/Parameters/member/0/ParameterValue"
                .into(),
            json!("no-reply@example.com"),
            "email_senders",
            Warning,
            "EmailFrom=ADDRESS",
        ),
        (
            "/ses GetConfigurationSetEventDestinations ConfigurationSet-1A2B3C4D".into(),
            Value::Null,
            "email_events",
            Failure,
            "no configuration set",
        ),
        (
            at(SHOP, "/email"),
            json!({ "configuration_set": "another" }),
            "email_events",
            Failure,
            "passcode app set shop email.configuration_set=",
        ),
        (at(EVENTS, "/0/Enabled"), json!(false), "email_events", Warning, "BOUNCE"),
        (
            at(EVENTS, "/0/MatchingEventTypes"),
            json!(["BOUNCE", "DELIVERY"]),
            "email_events",
            Warning,
            "of COMPLAINT",
        ),
        (
            "/lambda GetAccountSettings/AccountLimit/UnreservedConcurrentExecutions".into(),
            json!(10),
            "concurrency",
            Warning,
            "L-B99A9384",
        ),
        (
            "/lambda GetAccountSettings/AccountLimit/UnreservedConcurrentExecutions".into(),
            json!(0),
            "concurrency",
            Failure,
            "every request is refused",
        ),
        (
            "/dynamodb DescribeTimeToLive passcode-SessionTable-1A2B3C4D".into(),
            json!({ "TimeToLiveDescription": { "TimeToLiveStatus": "DISABLED" } }),
            "time_to_live",
            Warning,
            "SessionTable keeps its items",
        ),
        (
            "/dynamodb DescribeTimeToLive/TimeToLiveDescription/AttributeName".into(),
            json!("ttl"),
            "time_to_live",
            Warning,
            "AttributeName=ttl",
        ),
        (
            "/dynamodb DescribeContinuousBackups passcode-UserTable-1A2B3C4D".into(),
            json!({ "ContinuousBackupsDescription": {
                "PointInTimeRecoveryDescription": { "PointInTimeRecoveryStatus": "DISABLED" }
            } }),
            "recovery",
            Failure,
            "UserTable cannot be restored",
        ),
        (
            "/secretsmanager DescribeSecret/LastChangedDate".into(),
            json!(1_760_000_000.0),
            "keyring",
            Warning,
            "406 days old",
        ),
        (at(ALARM, "/AlarmActions"), json!([]), "alarms", Warning, "AlarmTopic=ARN"),
        (at(ALARM, "/ActionsEnabled"), json!(false), "alarms", Warning, "FailedVerifiesAlarm"),
        (
            "/monitoring DescribeAlarms/MetricAlarms".into(),
            json!([]),
            "alarms",
            Warning,
            "no alarm",
        ),
        (
            "/sns GetTopicAttributes/Attributes/entry/1/value".into(),
            json!("0"),
            "alarms",
            Warning,
            "sns subscribe",
        ),
        (
            at(SHOP, "/guard/spend_cap"),
            json!({}),
            "app_spend_caps",
            Warning,
            "passcode app set shop guard.spend_cap.per_day",
        ),
        (
            at(SHOP, "/guard/spend_cap/mode"),
            json!("shadow"),
            "app_spend_caps",
            Warning,
            "guard.spend_cap.mode=enforce",
        ),
        (
            at(SHOP, "/guard/allowed_countries/mode"),
            json!("shadow"),
            "app_countries",
            Warning,
            "go to every country",
        ),
        (at(NUMBER, "/Status"), json!("PENDING"), "app_countries", Failure, "sends to US"),
        (at(NUMBER, "/NumberCapabilities"), json!(["VOICE"]), "app_countries", Failure, "to US"),
        (at(SENDER_ID, "/Registered"), json!(false), "app_countries", Failure, "sends to AU"),
        (at(SHOP, "/sms/sender_id"), json!("STORE"), "app_countries", Failure, "sends to AU"),
        (
            at(SHOP, "/guard/allowed_countries/countries"),
            json!(["SG"]),
            "app_countries",
            Failure,
            "iso-country-code,Values=SG",
        ),
        (
            at(SHOP, "/guard/allowed_countries/countries"),
            json!(["CN"]),
            "app_countries",
            Failure,
            "AWS Support",
        ),
        (at(DELHI, "/sms"), json!({}), "app_countries", Warning, "sms.entity_id=ID"),
        (at(DELHI, "/templates"), json!(["a list"]), "app_settings", Warning, "app show delhi"),
        // What may not be read is said once, and hides nothing else.
        ("/ses GetAccount".into(), denied(), "email_sandbox", Warning, "needs ses:GetAccount"),
        (
            "/sms-voice DescribePhoneNumbers".into(),
            denied(),
            "sms_identities",
            Warning,
            "needs sms-voice:DescribePhoneNumbers",
        ),
        (
            "/sns GetSMSSandboxAccountStatus".into(),
            json!({ "error": "AuthorizationError" }),
            "sms_sandbox",
            Warning,
            "needs sns:GetSMSSandboxAccountStatus",
        ),
        (
            "/cloudformation DescribeStacks".into(),
            json!({ "error": "ValidationError" }),
            "stack",
            Failure,
            "describe-stacks --stack-name passcode",
        ),
    ]
}

#[tokio::test]
async fn each_planted_fault_is_found_by_its_check_and_by_no_other() {
    let mut found = BTreeSet::new();
    for (path, value, check, level, text) in planted() {
        let findings = findings(Recorded::sound().with(&path, value)).await;
        assert_eq!(findings.worst(), level, "{path}: {findings:#?}");
        let rows: Vec<_> = findings.rows.iter().filter(|row| row.level != Level::Ok).collect();
        assert!(rows.iter().all(|row| row.check == check), "{path}: {rows:#?}");
        assert!(rows.iter().all(|row| row.next.is_some()), "{path}: {rows:#?}");
        let says = |row: &&checks::Finding| {
            row.found.contains(text) || row.next.as_ref().is_some_and(|next| next.contains(text))
        };
        assert!(rows.iter().any(says), "{path}: {rows:#?}");
        found.insert(check);
    }
    let every: BTreeSet<_> =
        findings(Recorded::sound()).await.rows.iter().map(|row| row.check).collect();
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
    assert!(alarms.found.contains("passcode-FailedVerifiesAlarm-1A2B"), "{alarms:?}");
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
