//! Reads the facts, with the caller's credentials.

use super::facts::{
    Alarm, Aws, Concurrency, EventDestination, Facts, Grant, Identity, Keyring, Number, Read,
    Recovery, SenderId, Ses, SpendLimit, TimeToLive, Unread,
};
use crate::{
    call::{CLOUDWATCH, Caller, LAMBDA, SMS_VOICE},
    keys,
    place::{Deployed, Place},
};
use aws_smithy_types::DateTime;
use aws_types::SdkConfig;
use passcode_aws::CallFailed;
use passcode_domain::{
    App, Timestamp,
    ports::{ListApps as _, StoreError},
};
use passcode_dynamodb::AppTable;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error as _,
    time::Duration,
};

/// The tables whose items end by themselves, by their logical ids.
const ENDING: [&str; 3] = ["ChallengeTable", "CounterTable", "SessionTable"];
/// The tables that are kept.
const KEPT: [&str; 2] = ["AppTable", "UserTable"];

/// Reads everything of a stack.
pub async fn read(aws: &SdkConfig, place: &Place, now: Timestamp) -> Facts {
    let reader = Reader {
        aws,
        place,
        dynamodb: aws_sdk_dynamodb::Client::new(aws),
        sns: aws_sdk_sns::Client::new(aws),
        ses: aws_sdk_sesv2::Client::new(aws),
    };
    let deployed = reader.deployed().await;
    let apps = reader.apps().await;
    let mut facts = Facts {
        stack: place.stack().map(str::to_owned),
        region: aws.region().map(ToString::to_string).unwrap_or_default(),
        now,
        keyring: Err(Unread::NoStack),
        time_to_live: Vec::new(),
        aws: None,
        deployed,
        apps,
    };
    if let Some(stack) = place.stack() {
        let of_aws = Box::pin(reader.aws(stack, facts.deployed.as_ref().ok(), &facts.apps));
        let (keyring, time_to_live, of_aws) =
            tokio::join!(reader.keyring(), reader.time_to_live(), of_aws);
        (facts.keyring, facts.time_to_live, facts.aws) = (keyring, time_to_live, Some(of_aws));
    } else if facts.apps.is_ok() {
        (facts.keyring, facts.time_to_live) = tokio::join!(reader.keyring(), reader.time_to_live());
    }
    facts
}

struct Reader<'a> {
    aws: &'a SdkConfig,
    place: &'a Place,
    dynamodb: aws_sdk_dynamodb::Client,
    sns: aws_sdk_sns::Client,
    ses: aws_sdk_sesv2::Client,
}

/// Why a call has no answer.
fn unread(action: &'static str) -> impl Fn(CallFailed) -> Unread {
    move |failed| {
        if failed.is_denied() {
            Unread::Denied(action)
        } else {
            Unread::Failed(action, failed.to_string())
        }
    }
}

/// The answer of a call of an SDK, or why there is none.
macro_rules! answer {
    ($action:literal, $request:expr) => {
        $request.send().await.map_err(|error| unread($action)(CallFailed::of(&error)))
    };
}

/// The same, and none where what the call names does not exist.
macro_rules! existing {
    ($action:literal, $request:expr) => {
        match $request.send().await.map_err(|error| CallFailed::of(&error)) {
            Ok(answer) => Ok(Some(answer)),
            Err(failed) if failed.is_missing() => Ok(None),
            Err(failed) => Err(unread($action)(failed)),
        }
    };
}

impl Reader<'_> {
    async fn deployed(&self) -> Read<Deployed> {
        let Some(stack) = self.place.stack() else { return Ok(Deployed::default()) };
        let deployed = self.place.deployed(self.aws, stack).await;
        deployed.cloned().map_err(unread("cloudformation:DescribeStacks"))
    }

    /// The name of a table or secret of the stack, given its logical id.
    async fn resource(&self, id: &'static str) -> Read<String> {
        match self.place.resource(self.aws, id).await {
            Ok(name) => Ok(name),
            Err(_) if self.deployed().await.is_ok() => Err(Unread::NoOutput(id)),
            Err(_) => Err(Unread::NoStack),
        }
    }

    async fn apps(&self) -> Read<Vec<App>> {
        let table = AppTable::new(self.aws, self.resource("AppTable").await?);
        table.list_apps().await.map_err(|error| store_failed(&error))
    }

    async fn keyring(&self) -> Read<Keyring> {
        if self.place.stack().is_none() {
            let keyring = keys::keyring(self.aws, self.place).await;
            let failed = |error: Box<dyn std::error::Error>| {
                Unread::Failed("secretsmanager:GetSecretValue", error.to_string())
            };
            return keyring.map(|_| Keyring { changed: None }).map_err(failed);
        }
        let id = self.resource("KeyringSecret").await?;
        let client = aws_sdk_secretsmanager::Client::new(self.aws);
        let secret =
            answer!("secretsmanager:DescribeSecret", client.describe_secret().secret_id(id))?;
        let changed = secret.last_changed_date.or(secret.created_date);
        Ok(Keyring { changed: changed.as_ref().map(at) })
    }

    async fn time_to_live(&self) -> Vec<(&'static str, Read<TimeToLive>)> {
        let mut found = Vec::new();
        for id in ENDING {
            found.push((id, self.time_to_live_of(id).await));
        }
        found
    }

    async fn time_to_live_of(&self, id: &'static str) -> Read<TimeToLive> {
        let table = self.resource(id).await?;
        let request = self.dynamodb.describe_time_to_live().table_name(&table);
        let found = answer!("dynamodb:DescribeTimeToLive", request)?.time_to_live_description;
        let on = found.filter(|found| {
            let status = found.time_to_live_status.as_ref().map(AsRef::as_ref);
            matches!(status, Some("ENABLED" | "ENABLING"))
        });
        Ok(TimeToLive { table, attribute: on.and_then(|found| found.attribute_name) })
    }

    async fn recovery(&self) -> Vec<(&'static str, Read<Recovery>)> {
        let mut found = Vec::new();
        for id in KEPT {
            found.push((id, self.recovery_of(id).await));
        }
        found
    }

    async fn recovery_of(&self, id: &'static str) -> Read<Recovery> {
        let table = self.resource(id).await?;
        let request = self.dynamodb.describe_continuous_backups().table_name(&table);
        let found = answer!("dynamodb:DescribeContinuousBackups", request)?;
        let found = found
            .continuous_backups_description
            .and_then(|found| found.point_in_time_recovery_description)
            .and_then(|found| found.point_in_time_recovery_status);
        Ok(Recovery { table, is_on: found.is_some_and(|status| status.as_str() == "ENABLED") })
    }

    async fn aws(&self, stack: &str, deployed: Option<&Deployed>, apps: &Read<Vec<App>>) -> Aws {
        let apps = apps.as_deref().unwrap_or_default();
        let output = deployed.and_then(|deployed| deployed.outputs.get("ConfigurationSet"));
        let sender = deployed.and_then(|deployed| deployed.parameters.get("EmailFrom"));
        // SES takes one such call a second, so what is asked of it is asked one by one.
        let email = async {
            (
                self.ses().await,
                self.senders(sender, apps).await,
                self.configuration_sets(output, apps).await,
            )
        };
        let alarms = async {
            let alarms = self.alarms(stack).await;
            (self.topics(alarms.as_deref().unwrap_or_default()).await, alarms)
        };
        let (
            (ses, senders, configuration_sets),
            (topics, alarms),
            recovery,
            concurrency,
            sms_sandbox,
            sms_attributes,
            spend_limit,
            numbers,
            sender_ids,
        ) = tokio::join!(
            email,
            alarms,
            self.recovery(),
            self.concurrency(),
            self.sms_sandbox(),
            self.sms_attributes(),
            self.spend_limit(),
            self.numbers(),
            self.sender_ids()
        );
        Aws {
            recovery,
            sms_sandbox,
            sms_attributes,
            spend_limit,
            numbers,
            sender_ids,
            ses,
            senders,
            configuration_sets,
            concurrency,
            alarms,
            topics,
        }
    }

    async fn sms_sandbox(&self) -> Read<bool> {
        let request = self.sns.get_sms_sandbox_account_status();
        // SNS asks End User Messaging in the caller's name.
        let found = answer!(
            "sns:GetSMSSandboxAccountStatus and sms-voice:DescribeAccountAttributes",
            request
        )?;
        Ok(found.is_in_sandbox)
    }

    async fn sms_attributes(&self) -> Read<BTreeMap<String, String>> {
        let request = self.sns.get_sms_attributes();
        let found = answer!("sns:GetSMSAttributes and sms-voice:DescribeSpendLimits", request)?;
        Ok(found.attributes.unwrap_or_default().into_iter().collect())
    }

    async fn spend_limit(&self) -> Read<SpendLimit> {
        let action = "sms-voice:DescribeSpendLimits";
        let caller = Caller::new(self.aws);
        let limits = caller.pages(SMS_VOICE, "DescribeSpendLimits", json!({}), "SpendLimits").await;
        let limits = limits.map_err(unread(action))?;
        let of_texts = limits.iter().find(|it| it["Name"] == "TEXT_MESSAGE_MONTHLY_SPEND_LIMIT");
        let amount = |field: &str| of_texts.and_then(|limit| limit[field].as_u64());
        match (amount("EnforcedLimit"), amount("MaxLimit")) {
            (Some(enforced), Some(most)) => Ok(SpendLimit { enforced, most }),
            _ => Err(Unread::Failed(action, "no limit of text messages in the answer".into())),
        }
    }

    async fn numbers(&self) -> Read<Vec<Number>> {
        let caller = Caller::new(self.aws);
        let found =
            caller.pages(SMS_VOICE, "DescribePhoneNumbers", json!({}), "PhoneNumbers").await;
        let mut numbers = Vec::new();
        for found in found.map_err(unread("sms-voice:DescribePhoneNumbers"))? {
            let arn = text(&found["PhoneNumberArn"]);
            numbers.push(Number {
                number: text(&found["PhoneNumber"]),
                country: text(&found["IsoCountryCode"]),
                kind: text(&found["NumberType"]),
                status: text(&found["Status"]),
                sends_texts: items(&found["NumberCapabilities"]).any(|it| it == "SMS"),
                rate: found["MessagingLimits"]["RateLimits"]["SMS"].as_u64(),
                created: seconds(&found["CreatedTimestamp"]),
                sns: self.grant(&arn).await,
                arn,
            });
        }
        Ok(numbers)
    }

    async fn sender_ids(&self) -> Read<Vec<SenderId>> {
        let caller = Caller::new(self.aws);
        let found = caller.pages(SMS_VOICE, "DescribeSenderIds", json!({}), "SenderIds").await;
        let mut sender_ids = Vec::new();
        for found in found.map_err(unread("sms-voice:DescribeSenderIds"))? {
            let arn = text(&found["SenderIdArn"]);
            sender_ids.push(SenderId {
                id: text(&found["SenderId"]),
                country: text(&found["IsoCountryCode"]),
                registered: found["Registered"].as_bool().unwrap_or_default(),
                sns: self.grant(&arn).await,
                arn,
            });
        }
        Ok(sender_ids)
    }

    /// What the resource policy of an origination identity grants to SNS.
    async fn grant(&self, arn: &str) -> Read<Grant> {
        let input = json!({ "ResourceArn": arn });
        let found = Caller::new(self.aws).post(SMS_VOICE, "GetResourcePolicy", &input).await;
        match found {
            Ok(found) => Ok(granted(found["Policy"].as_str().unwrap_or_default())),
            Err(failed) if failed.is_missing() => Ok(Grant::NoPolicy),
            Err(failed) => Err(unread("sms-voice:GetResourcePolicy")(failed)),
        }
    }

    async fn ses(&self) -> Read<Ses> {
        let found = answer!("ses:GetAccount", self.ses.get_account())?;
        let quota = found.send_quota;
        Ok(Ses {
            is_production: found.production_access_enabled,
            may_send: found.sending_enabled,
            standing: found.enforcement_status.unwrap_or_default(),
            per_day: quota.as_ref().map_or(0.0, |quota| quota.max24_hour_send),
            sent: quota.as_ref().map_or(0.0, |quota| quota.sent_last24_hours),
            per_second: quota.as_ref().map_or(0.0, |quota| quota.max_send_rate),
        })
    }

    /// The addresses that e-mails come from: the apps' own, and the deployment's for those that name
    /// none.
    async fn senders(
        &self,
        default: Option<&String>,
        apps: &[App],
    ) -> Vec<(String, Read<Option<Identity>>)> {
        let own = apps.iter().filter_map(|app| app.email.from.as_ref());
        let default =
            default.filter(|_| apps.is_empty() || apps.iter().any(|app| app.email.from.is_none()));
        let senders: BTreeSet<&str> = own.chain(default).map(|from| address(from)).collect();
        let mut found = Vec::new();
        for sender in senders {
            found.push((sender.to_owned(), self.identity(sender).await));
        }
        found
    }

    /// The identity that speaks for a sender: its address, its domain or one above that. The first that is
    /// sound, or else the first.
    async fn identity(&self, sender: &str) -> Read<Option<Identity>> {
        let domain = sender.rsplit('@').next().unwrap_or_default();
        let above = domain.match_indices('.').map(|(at, _)| &domain[at + 1..]);
        let domains = [domain].into_iter().chain(above).filter(|domain| domain.contains('.'));
        let mut first = None;
        for name in [sender].into_iter().chain(domains) {
            let request = self.ses.get_email_identity().email_identity(name);
            let Some(found) = existing!("ses:GetEmailIdentity", request)? else { continue };
            let dkim = found.dkim_attributes;
            let identity = Identity {
                name: name.to_owned(),
                verified: found.verified_for_sending_status,
                signs: dkim.as_ref().is_some_and(|dkim| dkim.signing_enabled),
                dkim: dkim
                    .and_then(|dkim| dkim.status)
                    .map_or_else(String::new, |status| status.as_str().to_owned()),
            };
            if identity.is_sound() {
                return Ok(Some(identity));
            }
            first.get_or_insert(identity);
        }
        Ok(first)
    }

    async fn configuration_sets(
        &self,
        default: Option<&String>,
        apps: &[App],
    ) -> Vec<(String, Read<Option<Vec<EventDestination>>>)> {
        let own = apps.iter().filter_map(|app| app.email.configuration_set.as_ref());
        let mut found = Vec::new();
        for name in own.chain(default).collect::<BTreeSet<_>>() {
            found.push((name.clone(), self.event_destinations(name).await));
        }
        found
    }

    async fn event_destinations(&self, set: &str) -> Read<Option<Vec<EventDestination>>> {
        let request =
            self.ses.get_configuration_set_event_destinations().configuration_set_name(set);
        let found = existing!("ses:GetConfigurationSetEventDestinations", request)?;
        let Some(found) = found else { return Ok(None) };
        let destinations = found.event_destinations.unwrap_or_default().into_iter();
        let destination = |found: aws_sdk_sesv2::types::EventDestination| EventDestination {
            enabled: found.enabled,
            events: found.matching_event_types.iter().map(|it| it.as_str().to_owned()).collect(),
        };
        Ok(Some(destinations.map(destination).collect()))
    }

    async fn concurrency(&self) -> Read<Concurrency> {
        let action = "lambda:GetAccountSettings";
        let path = "/2016-08-19/account-settings";
        let found = Caller::new(self.aws).get(LAMBDA, "GetAccountSettings", path).await;
        let limit = found.map_err(unread(action))?["AccountLimit"].take();
        let number = |field: &str| limit[field].as_u64();
        match (number("ConcurrentExecutions"), number("UnreservedConcurrentExecutions")) {
            (Some(all), Some(unreserved)) => Ok(Concurrency { all, unreserved }),
            _ => Err(Unread::Failed(action, "no limit in the answer".into())),
        }
    }

    async fn alarms(&self, stack: &str) -> Read<Vec<Alarm>> {
        let input = json!({ "AlarmNamePrefix": format!("{stack}-") });
        let caller = Caller::new(self.aws);
        let found = caller.pages(CLOUDWATCH, "DescribeAlarms", input, "MetricAlarms").await;
        let alarm = |found: Value| Alarm {
            name: text(&found["AlarmName"]),
            enabled: found["ActionsEnabled"].as_bool().unwrap_or(true),
            actions: items(&found["AlarmActions"]).map(str::to_owned).collect(),
        };
        let found = found.map_err(unread("cloudwatch:DescribeAlarms"))?;
        let own = |alarm: &Alarm| is_named_by(&alarm.name, stack);
        Ok(found.into_iter().map(alarm).filter(own).collect())
    }

    async fn topics(&self, alarms: &[Alarm]) -> Vec<(String, Read<u32>)> {
        let actions = alarms.iter().flat_map(|alarm| &alarm.actions);
        let topics: BTreeSet<_> = actions.filter(|arn| arn.contains(":sns:")).collect();
        let mut found = Vec::new();
        for topic in topics {
            found.push((topic.clone(), self.subscriptions(topic).await));
        }
        found
    }

    async fn subscriptions(&self, topic: &str) -> Read<u32> {
        let request = self.sns.get_topic_attributes().topic_arn(topic);
        let found = answer!("sns:GetTopicAttributes", request)?;
        let confirmed = found.attributes().and_then(|all| all.get("SubscriptionsConfirmed"));
        Ok(confirmed.and_then(|count| count.parse().ok()).unwrap_or_default())
    }
}

/// Whether a resource of a stack has been given this name: `STACK-RESOURCE-RANDOM`.
fn is_named_by(name: &str, stack: &str) -> bool {
    let rest = name.strip_prefix(stack).and_then(|rest| rest.strip_prefix('-'));
    rest.is_some_and(|rest| rest.split('-').count() == 2)
}

fn store_failed(error: &StoreError) -> Unread {
    let action = "dynamodb:Scan";
    let cause = error.source();
    match cause.and_then(|cause| cause.downcast_ref::<CallFailed>()) {
        Some(failed) => unread(action)(failed.clone()),
        None => Unread::Failed(action, error.to_string()),
    }
}

/// Whether a resource policy lets SNS send text messages.
fn granted(policy: &str) -> Grant {
    let Ok(policy) = serde_json::from_str::<Value>(policy) else { return Grant::NoPolicy };
    let statements = match &policy["Statement"] {
        Value::Array(statements) => statements.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    };
    let grants = |statement: &&Value| {
        let principal = &statement["Principal"];
        statement["Effect"] == "Allow"
            && (*principal == "*"
                || items(&principal["Service"]).any(|it| it == "sns.amazonaws.com"))
            && items(&statement["Action"])
                .any(|it| ["sms-voice:SendTextMessage", "sms-voice:*", "*"].contains(&it))
    };
    if statements.iter().any(grants) { Grant::Given } else { Grant::Withheld }
}

/// The texts of a list, or the one text in its place.
fn items(value: &Value) -> impl Iterator<Item = &str> {
    let one = value.as_str();
    value.as_array().into_iter().flatten().filter_map(Value::as_str).chain(one)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A moment, in seconds since 1970 with a fraction.
fn seconds(value: &Value) -> Option<Timestamp> {
    let time = Duration::try_from_secs_f64(value.as_f64()?).ok()?;
    u64::try_from(time.as_millis()).ok().map(Timestamp::from_millis)
}

fn at(time: &DateTime) -> Timestamp {
    let millis = time.to_millis().ok().and_then(|millis| u64::try_from(millis).ok());
    Timestamp::from_millis(millis.unwrap_or_default())
}

/// The address of a `From`, which may have a name before it.
fn address(from: &str) -> &str {
    from.rsplit('<').next().unwrap_or_default().trim_end_matches('>').trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template;
    use std::path::Path;

    #[test]
    fn every_table_of_the_template_is_looked_at() {
        let path = template::find(Path::new(env!("CARGO_MANIFEST_DIR"))).expect("a template");
        let tables = template::read(&path).expect("a good template").tables;
        let (ending, kept): (Vec<_>, Vec<_>) = tables.iter().partition(|it| it.ttl.is_some());
        let names = |tables: Vec<&template::Table>| {
            tables.iter().map(|table| table.name.clone()).collect::<BTreeSet<_>>()
        };
        assert_eq!(names(ending), ENDING.map(str::to_owned).into());
        assert_eq!(names(kept), KEPT.map(str::to_owned).into());
        let ends =
            |ttl: Option<String>| ttl.is_none_or(|it| it == super::super::checks::EXPIRES_AT);
        assert!(tables.into_iter().all(|table| ends(table.ttl)));
    }

    #[test]
    fn a_policy_grants_sending_to_sns_or_it_does_not() {
        let with = |effect: &str, principal: &str, action: &str| {
            granted(&format!(
                r#"{{"Statement":[{{"Effect":"{effect}","Principal":{principal},"Action":{action}}}]}}"#
            ))
        };
        let sns = r#"{"Service":["sns.amazonaws.com","pinpoint.amazonaws.com"]}"#;
        let send = r#""sms-voice:SendTextMessage""#;
        assert_eq!(with("Allow", sns, send), Grant::Given);
        assert_eq!(
            with("Allow", r#"{"Service":"sns.amazonaws.com"}"#, r#"["sms-voice:*"]"#),
            Grant::Given
        );
        assert_eq!(with("Deny", sns, send), Grant::Withheld);
        assert_eq!(with("Allow", r#"{"AWS":"123456789012"}"#, send), Grant::Withheld);
        assert_eq!(with("Allow", sns, r#""sms-voice:DescribePhoneNumbers""#), Grant::Withheld);
        assert_eq!(granted(""), Grant::NoPolicy);
    }

    #[test]
    fn an_alarm_of_a_stack_is_no_alarm_of_a_stack_with_a_longer_name() {
        assert!(is_named_by("otp-FailedVerifiesAlarm-1A2B3C4D", "otp"));
        assert!(!is_named_by("otp-test-FailedVerifiesAlarm-1A2B3C4D", "otp"));
        assert!(is_named_by("otp-test-FailedVerifiesAlarm-1A2B3C4D", "otp-test"));
    }

    #[test]
    fn a_from_has_an_address() {
        assert_eq!(address("Demo <codes@example.com>"), "codes@example.com");
        assert_eq!(address("codes@example.com"), "codes@example.com");
    }
}
