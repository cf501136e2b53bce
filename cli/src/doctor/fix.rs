//! What `--fix` does: changes with one right answer, each by one call.

use super::{
    checks::{EXPIRES_AT, Fix},
    facts::SpendLimit,
};
use crate::call::{Caller, SMS_VOICE};
use aws_sdk_dynamodb::types::{PointInTimeRecoverySpecification, TimeToLiveSpecification};
use aws_types::SdkConfig;
use passcode_aws::CallFailed;
use serde_json::{Value, json};

/// Makes a change. The error says what it needs.
pub(super) async fn apply(aws: &SdkConfig, fix: &Fix) -> Result<(), String> {
    match fix {
        Fix::DeliveryLogging(role) => {
            let set =
                [("DeliveryStatusIAMRole", &**role), ("DeliveryStatusSuccessSamplingRate", "100")];
            set_attributes(aws, &set, "sns:SetSMSAttributes and iam:PassRole").await
        }
        Fix::TimeToLive(table) => {
            let client = aws_sdk_dynamodb::Client::new(aws);
            let specification =
                TimeToLiveSpecification::builder().enabled(true).attribute_name(EXPIRES_AT).build();
            let specification = specification.map_err(|error| error.to_string())?;
            let request = client.update_time_to_live().table_name(table);
            let made = request.time_to_live_specification(specification).send().await;
            made.map(drop)
                .map_err(|error| needs("dynamodb:UpdateTimeToLive", &CallFailed::of(&error)))
        }
        Fix::Recovery(table) => {
            let client = aws_sdk_dynamodb::Client::new(aws);
            let on =
                PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true);
            let on = on.build().map_err(|error| error.to_string())?;
            let request = client.update_continuous_backups().table_name(table);
            let made = request.point_in_time_recovery_specification(on).send().await;
            made.map(drop)
                .map_err(|error| needs("dynamodb:UpdateContinuousBackups", &CallFailed::of(&error)))
        }
        Fix::SnsGrant(arn) => {
            let input = json!({ "ResourceArn": arn, "Policy": policy(arn)?.to_string() });
            let made = Caller::new(aws).post(SMS_VOICE, "PutResourcePolicy", &input).await;
            made.map(drop).map_err(|failed| needs("sms-voice:PutResourcePolicy", &failed))
        }
    }
}

/// Sets what text messages may cost in a month, within the quota.
pub(super) async fn spend_limit(
    aws: &SdkConfig,
    dollars: u64,
    allowed: Option<SpendLimit>,
) -> Result<(), String> {
    if let Some(SpendLimit { most, .. }) = allowed.filter(|allowed| allowed.most < dollars) {
        return Err(format!(
            "--monthly-spend-limit {dollars}: the quota allows {most}; AWS Support raises it"
        ));
    }
    let action = "sns:SetSMSAttributes and sms-voice:SetTextMessageSpendLimitOverride";
    set_attributes(aws, &[("MonthlySpendLimit", &dollars.to_string())], action).await
}

async fn set_attributes(
    aws: &SdkConfig,
    attributes: &[(&str, &str)],
    action: &str,
) -> Result<(), String> {
    let mut request = aws_sdk_sns::Client::new(aws).set_sms_attributes();
    for (name, value) in attributes {
        request = request.attributes(*name, *value);
    }
    request.send().await.map(drop).map_err(|error| needs(action, &CallFailed::of(&error)))
}

fn needs(action: &str, failed: &CallFailed) -> String {
    if failed.is_denied() {
        format!("not changed: needs {action}")
    } else {
        format!("not changed ({action}): {failed}")
    }
}

/// A resource policy that lets SNS send from an origination identity, for its own account.
fn policy(arn: &str) -> Result<Value, String> {
    let account = arn.split(':').nth(4).filter(|account| !account.is_empty());
    let account = account.ok_or_else(|| format!("not changed: {arn} names no account"))?;
    Ok(json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "Service": "sns.amazonaws.com" },
            "Action": "sms-voice:SendTextMessage",
            "Resource": arn,
            "Condition": { "StringEquals": { "aws:SourceAccount": account } },
        }],
    }))
}
