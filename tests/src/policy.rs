//! What the policies of functions allow, as SAM's translator expands them, and what a call of a service
//! needs. Evaluators of others take a resource for an ARN, and a text message's is a phone number.

use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
};

/// The account and the Region that expanded names are given.
const HOME: &str = "eu-west-1:123456789012";

/// One action on one pattern of resources.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// The action, perhaps with wildcards.
    pub action: String,
    /// The pattern of the resources.
    pub resource: String,
    /// Whether it is every resource but those of the pattern.
    pub is_inverse: bool,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let but = if self.is_inverse { "all-but:" } else { "" };
        write!(f, "{} {but}{}", self.action, self.resource)
    }
}

impl Permission {
    /// Whether it allows a call.
    #[must_use]
    pub fn allows(&self, call: &Call) -> bool {
        matches(&self.action.to_lowercase(), &call.action.to_lowercase())
            && matches(&self.resource, &call.resource) != self.is_inverse
    }
}

/// What a call of a service needs: one of these, or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The action.
    pub action: String,
    /// The resource: an ARN, or the phone number of a text message.
    pub resource: String,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.action, self.resource)
    }
}

/// What a role may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Its own permissions.
    pub permissions: BTreeSet<Permission>,
    /// The managed policies beside them, by ARN.
    pub managed: BTreeSet<String>,
}

/// Reads the policies of every function from the template as SAM's translator has expanded it.
///
/// # Panics
///
/// Where the file is missing, or holds what this does not understand: a condition, a denial, a function
/// of `CloudFormation`'s.
#[must_use]
pub fn read(expanded: &Path) -> BTreeMap<String, Policy> {
    let text = std::fs::read_to_string(expanded)
        .unwrap_or_else(|error| panic!("{}: {error}", expanded.display()));
    policies(&serde_json::from_str(&text).expect("JSON"))
}

fn policies(template: &Value) -> BTreeMap<String, Policy> {
    let resources = template["Resources"].as_object().expect("resources");
    let functions = resources.values().filter(|is| is["Type"] == "AWS::Lambda::Function");
    functions
        .map(|function| {
            let properties = &function["Properties"];
            let name = properties["Code"]["S3Key"].as_str().expect("a name in place of the code");
            let role = properties["Role"]["Fn::GetAtt"][0].as_str().expect("a role of its own");
            (name.to_owned(), policy(&resources[role]["Properties"], template))
        })
        .collect()
}

fn policy(role: &Value, template: &Value) -> Policy {
    let managed = list(&role["ManagedPolicyArns"]);
    let managed = managed.into_iter().map(|arn| name(arn, template)).collect();
    let documents = list(&role["Policies"]).into_iter().map(|policy| &policy["PolicyDocument"]);
    let statements = documents.flat_map(|document| list(&document["Statement"]));
    let permissions = statements.flat_map(|statement| permissions(statement, template)).collect();
    Policy { permissions, managed }
}

fn permissions(statement: &Value, template: &Value) -> Vec<Permission> {
    let known = ["Sid", "Effect", "Action", "Resource", "NotResource"];
    let fields = statement.as_object().expect("a statement");
    let unknown: Vec<_> = fields.keys().filter(|field| !known.contains(&&***field)).collect();
    assert!(unknown.is_empty(), "teach policy.rs what {unknown:?} means: {statement}");
    assert_eq!(statement["Effect"], "Allow", "teach policy.rs denials: {statement}");
    let mut permissions = Vec::new();
    for action in list(&statement["Action"]) {
        for (field, is_inverse) in [("Resource", false), ("NotResource", true)] {
            let resources = list(&statement[field]);
            permissions.extend(resources.into_iter().map(|resource| Permission {
                action: action.as_str().expect("an action").to_owned(),
                resource: name(resource, template),
                is_inverse,
            }));
        }
    }
    permissions
}

/// One, several or none.
fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(several) => several.iter().collect(),
        one => vec![one],
    }
}

/// A resource's name in a policy. A deployed table has a name of `CloudFormation`'s; here that is its logical
/// id, as on the local stack.
fn name(value: &Value, template: &Value) -> String {
    let arn_of = |id: &str| {
        let kind = template["Resources"][id]["Type"].as_str().unwrap_or_default();
        match kind {
            "AWS::DynamoDB::Table" => table(id),
            "AWS::SecretsManager::Secret" => secret(id),
            "AWS::Logs::LogGroup" => format!("arn:aws:logs:{HOME}:log-group:{id}:*"),
            _ => panic!("teach policy.rs the ARN of {id}, a {kind:?}"),
        }
    };
    if let Some(text) = value.as_str() {
        return text.to_owned();
    }
    if let Some(text) = value["Fn::Sub"].as_str() {
        let (region, account) = HOME.split_once(':').expect("a Region and an account");
        let pseudo = [("Partition", "aws"), ("Region", region), ("AccountId", account)];
        let put =
            |text: String, (name, is): (&str, &str)| text.replace(&format!("${{AWS::{name}}}"), is);
        let text = pseudo.into_iter().fold(text.to_owned(), put);
        let ids = template["Resources"].as_object().into_iter().flat_map(|all| all.keys());
        let text = ids.fold(text, |text, id| {
            let text = text.replace(&format!("${{{id}}}"), id);
            if text.contains(&format!("${{{id}.Arn}}")) {
                return text.replace(&format!("${{{id}.Arn}}"), &arn_of(id));
            }
            text
        });
        assert!(!text.contains("${"), "teach policy.rs what {text} is");
        return text;
    }
    let id = value["Ref"].as_str().or_else(|| value["Fn::GetAtt"][0].as_str());
    arn_of(id.unwrap_or_else(|| panic!("teach policy.rs what {value} is")))
}

fn table(name: &str) -> String {
    format!("arn:aws:dynamodb:{HOME}:table/{name}")
}

fn secret(name: &str) -> String {
    format!("arn:aws:secretsmanager:{HOME}:secret:{name}")
}

/// Whether a pattern is a text: `*` is any characters, `?` is one.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = &pattern[1..];
            text.char_indices().any(|(at, _)| matches(rest, &text[at..])) || matches(rest, "")
        }
        Some(first) => text.chars().next().is_some_and(|begins| {
            (first == '?' || first == begins)
                && matches(&pattern[first.len_utf8()..], &text[begins.len_utf8()..])
        }),
    }
}

/// What a request to a service needs. `target` is the header `X-Amz-Target`.
///
/// # Errors
///
/// Where the operation is not known here.
pub fn calls(service: &str, target: &str, path: &str, body: &[u8]) -> Result<Vec<Call>, String> {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default();
    match service {
        "dynamodb" => of_dynamodb(operation, &json),
        "secretsmanager" => {
            let id = json["SecretId"].as_str().unwrap_or_default();
            let resource = if id.starts_with("arn:") { id.to_owned() } else { secret(id) };
            Ok(vec![Call { action: format!("secretsmanager:{operation}"), resource }])
        }
        "sns" => {
            let form = String::from_utf8_lossy(body);
            let form = reqwest::Url::parse(&format!("form:?{form}")).map_err(|e| e.to_string())?;
            let form: BTreeMap<_, _> = form.query_pairs().into_owned().collect();
            let action = form.get("Action").ok_or("no action of SNS")?;
            let resource = ["PhoneNumber", "TopicArn", "TargetArn"];
            let resource = resource.iter().find_map(|field| form.get(*field)).cloned();
            let resource = resource.unwrap_or_else(|| "*".to_owned());
            Ok(vec![Call { action: format!("sns:{action}"), resource }])
        }
        "ses" if path == "/v2/email/outbound-emails" => {
            let from = json["FromEmailAddress"].as_str().unwrap_or_default();
            let from = from.rsplit('<').next().unwrap_or_default().trim_end_matches('>');
            let set = json["ConfigurationSetName"].as_str();
            let set = set.map(|name| format!("arn:aws:ses:{HOME}:configuration-set/{name}"));
            let resources = [Some(format!("arn:aws:ses:{HOME}:identity/{from}")), set];
            let call = |resource| Call { action: "ses:SendEmail".to_owned(), resource };
            Ok(resources.into_iter().flatten().map(call).collect())
        }
        _ => Err(format!("teach policy.rs what {service} {operation} {path} needs")),
    }
}

/// An item of a transaction needs the action that it would need alone; `TransactWriteItems` is none.
fn of_dynamodb(operation: &str, body: &Value) -> Result<Vec<Call>, String> {
    let call = |action: &str, name: &Value| {
        let resource = table(name.as_str().unwrap_or_default());
        Call { action: format!("dynamodb:{action}"), resource }
    };
    match operation {
        "GetItem" | "PutItem" | "UpdateItem" | "DeleteItem" => {
            Ok(vec![call(operation, &body["TableName"])])
        }
        "Query" | "Scan" => {
            let mut call = call(operation, &body["TableName"]);
            if let Some(index) = body["IndexName"].as_str() {
                call.resource = format!("{}/index/{index}", call.resource);
            }
            Ok(vec![call])
        }
        "BatchGetItem" | "BatchWriteItem" => {
            let tables = body["RequestItems"].as_object().into_iter().flat_map(|all| all.keys());
            Ok(tables.map(|name| call(operation, &name.as_str().into())).collect())
        }
        "TransactWriteItems" | "TransactGetItems" => {
            let items = body["TransactItems"].as_array().into_iter().flatten();
            let parts = items.filter_map(Value::as_object).flatten();
            let calls = parts.map(|(kind, item)| {
                let kind = if kind == "ConditionCheck" { "ConditionCheckItem" } else { kind };
                let action =
                    if kind.ends_with("Item") { kind.to_owned() } else { format!("{kind}Item") };
                call(&action, &item["TableName"])
            });
            Ok(calls.collect())
        }
        _ => Err(format!("teach policy.rs what DynamoDB's {operation} needs")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(statement: &Value) -> BTreeSet<Permission> {
        let policies = policies(&json!({ "Resources": {
            "F": { "Type": "AWS::Lambda::Function", "Properties": {
                "Code": { "S3Key": "f" }, "Role": { "Fn::GetAtt": ["R", "Arn"] } } },
            "R": { "Type": "AWS::IAM::Role", "Properties": {
                "ManagedPolicyArns": ["arn:aws:iam::aws:policy/A"],
                "Policies": [{ "PolicyDocument": { "Statement": [statement] } }] } },
            "T": { "Type": "AWS::DynamoDB::Table" },
            "S": { "Type": "AWS::SecretsManager::Secret" },
            "L": { "Type": "AWS::Logs::LogGroup" },
        } }));
        assert_eq!(policies["f"].managed, BTreeSet::from(["arn:aws:iam::aws:policy/A".to_owned()]));
        policies["f"].permissions.clone()
    }

    fn allowed(permissions: &BTreeSet<Permission>, action: &str, resource: &str) -> bool {
        let call = Call { action: action.to_owned(), resource: resource.to_owned() };
        permissions.iter().any(|permission| permission.allows(&call))
    }

    #[test]
    fn a_permission_is_its_action_on_its_resources_and_nothing_else() {
        let permissions = of(&json!({ "Effect": "Allow", "Action": ["dynamodb:GetItem", "x:Put*"],
            "Resource": [{ "Fn::GetAtt": ["T", "Arn"] }, { "Ref": "S" }, { "Fn::Sub": "${L.Arn}" }] }));
        assert_eq!(permissions.len(), 6);
        assert!(allowed(&permissions, "dynamodb:getitem", &table("T")));
        assert!(allowed(&permissions, "x:PutAll", &secret("S")));
        for (action, resource) in [
            ("dynamodb:GetItem", table("T2")),
            ("dynamodb:PutItem", table("T")),
            ("dynamodb:GetItem", format!("{}/index/i", table("T"))),
            ("y:x:PutAll", secret("S")),
        ] {
            assert!(!allowed(&permissions, action, &resource), "{action} {resource}");
        }
    }

    #[test]
    fn everything_but_topics_is_a_phone_number_and_no_topic() {
        let pattern = json!({ "Fn::Sub": "arn:${AWS::Partition}:sns:*:*:*" });
        let permissions =
            of(&json!({ "Effect": "Allow", "Action": "sns:Publish", "NotResource": pattern }));
        assert!(allowed(&permissions, "sns:Publish", "+14155550100"));
        assert!(!allowed(&permissions, "sns:Publish", "arn:aws:sns:eu-west-1:1:topic"));
        assert!(!allowed(&permissions, "sns:Subscribe", "+14155550100"));
    }

    #[test]
    #[should_panic(expected = "teach policy.rs what [\"Condition\"] means")]
    fn what_is_not_understood_is_not_skipped() {
        let _ =
            of(&json!({ "Effect": "Allow", "Action": "a:B", "Resource": "*", "Condition": {} }));
    }

    #[test]
    fn wildcards_are_any_characters_and_one() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "ac", true),
            ("a?c", "ac", false),
            ("a?c", "aéc", true),
            ("a*", "ba", false),
            ("a", "ab", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_call_needs_every_table_and_every_item_of_a_transaction() {
        let needs = |service, operation: &str, path, body: &str| -> Vec<String> {
            let calls = calls(service, operation, path, body.as_bytes()).expect("known");
            calls.iter().map(ToString::to_string).collect()
        };
        let item = |table: &str| json!({ "TableName": table });
        let body =
            json!({ "TransactItems": [{ "Put": item("A") }, { "ConditionCheck": item("B") }] });
        let expected = [
            format!("dynamodb:PutItem on {}", table("A")),
            format!("dynamodb:ConditionCheckItem on {}", table("B")),
        ];
        assert_eq!(needs("dynamodb", "D.TransactWriteItems", "/", &body.to_string()), expected);
        let body = json!({ "RequestItems": { "A": {}, "B": {} } });
        assert_eq!(needs("dynamodb", "D.BatchGetItem", "/", &body.to_string()).len(), 2);
        let body = "Action=Publish&PhoneNumber=%2B14155550100";
        assert_eq!(needs("sns", "", "/", body), ["sns:Publish on +14155550100"]);
        let body = json!({ "FromEmailAddress": "A <a@b.example>", "ConfigurationSetName": "c" });
        let expected = [
            format!("ses:SendEmail on arn:aws:ses:{HOME}:identity/a@b.example"),
            format!("ses:SendEmail on arn:aws:ses:{HOME}:configuration-set/c"),
        ];
        assert_eq!(needs("ses", "", "/v2/email/outbound-emails", &body.to_string()), expected);
        assert!(calls("dynamodb", "D.CreateTable", "/", b"{}").is_err());
        assert!(calls("s3", "", "/", b"").is_err());
    }
}
