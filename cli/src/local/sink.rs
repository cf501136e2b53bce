//! The sink: it stands for SNS, SES and Secrets Manager, and puts messages into the inbox. It
//! speaks the wire protocols of these services, so the functions use their real SDK adapters. To
//! `DescribeStacks` of `CloudFormation` it answers with the outputs of this stack, whatever its name, so
//! that what is made for a deployed stack runs on it as well.

use super::{
    inbox::{Inbox, Message},
    listen::names_this_machine,
    secret::LocalSecrets,
};
use axum::{
    Json, Router,
    body::Bytes,
    extract::Request,
    http::{HeaderMap, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use data_encoding::HEXLOWER;
use passcode_domain::ports::Entropy as _;
use passcode_runtime::SystemEntropy;
use passcode_ses::RECEIPT_TAG;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

#[derive(Clone)]
struct Sink {
    inbox: Inbox,
    secrets: LocalSecrets,
    outputs: BTreeMap<String, String>,
}

pub(super) fn routes(
    inbox: Inbox,
    secrets: LocalSecrets,
    outputs: BTreeMap<String, String>,
    address: Option<IpAddr>,
) -> Router {
    let sink = Sink { inbox, secrets, outputs };
    Router::new()
        .fallback(move |uri, headers, body| async move { sink.answer(&uri, &headers, &body) })
        .layer(middleware::from_fn(move |request, next| no_pages(address, request, next)))
}

/// Refuses requests of web pages: those with an origin, or with a host that is no name of this
/// machine.
async fn no_pages(address: Option<IpAddr>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    if headers.contains_key(header::ORIGIN) || !names_this_machine(headers, address) {
        return StatusCode::FORBIDDEN.into_response();
    }
    next.run(request).await
}

impl Sink {
    fn answer(&self, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Response {
        let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok());
        match (uri.path(), target) {
            ("/v2/email/outbound-emails", _) => self.send_email(body),
            (_, Some("secretsmanager.GetSecretValue")) => self.get_secret_value(body),
            (_, Some("secretsmanager.PutSecretValue")) => self.put_secret_value(body),
            _ => self.query(body),
        }
    }

    /// The AWS Query protocol.
    fn query(&self, body: &Bytes) -> Response {
        let form: HashMap<String, String> = serde_urlencoded::from_bytes(body).unwrap_or_default();
        match form.get("Action").map(String::as_str) {
            Some("Publish") if form.contains_key("PhoneNumber") => self.publish(&form),
            Some("DescribeStacks") => self.describe_stacks(&form),
            _ => query_error("InvalidAction", "only Publish to a phone number is spoken here"),
        }
    }

    /// `DescribeStacks` of `CloudFormation`.
    fn describe_stacks(&self, form: &HashMap<String, String>) -> Response {
        let name = form.get("StackName").map_or("", String::as_str);
        let outputs = self.outputs.iter().map(|(key, value)| {
            format!(
                "<member><OutputKey>{key}</OutputKey><OutputValue>{value}</OutputValue></member>"
            )
        });
        let outputs: String = outputs.collect();
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return query_error("ValidationError", "a stack's name is letters, digits and `-`");
        }
        let xml = format!(
            "<DescribeStacksResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\">\
             <DescribeStacksResult><Stacks><member><StackName>{name}</StackName><CreationTime>\
             2026-11-20T09:00:00Z</CreationTime><StackStatus>CREATE_COMPLETE</StackStatus><Outputs>\
             {outputs}</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
        );
        ([(header::CONTENT_TYPE, "text/xml")], xml).into_response()
    }

    /// SNS `Publish`.
    fn publish(&self, form: &HashMap<String, String>) -> Response {
        let field = |name: &str| form.get(name).cloned().unwrap_or_default();
        let attribute = |wanted: &str| {
            (1..=10).find_map(|n| {
                let entry = format!("MessageAttributes.entry.{n}");
                (form.get(&format!("{entry}.Name"))? == wanted)
                    .then(|| form.get(&format!("{entry}.Value.StringValue")).cloned())?
            })
        };
        let from = ["AWS.SNS.SMS.SenderID", "AWS.MM.SMS.OriginationNumber"];
        let id = new_id();
        self.inbox.add(Message {
            id: id.clone(),
            channel: "sms".to_owned(),
            to: field("PhoneNumber"),
            from: from.into_iter().find_map(attribute).unwrap_or_default(),
            text: field("Message"),
            ..Message::default()
        });
        let xml = format!(
            "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult>\
             <MessageId>{id}</MessageId></PublishResult><ResponseMetadata><RequestId>{id}\
             </RequestId></ResponseMetadata></PublishResponse>"
        );
        ([(header::CONTENT_TYPE, "text/xml")], xml).into_response()
    }

    /// SES v2 `SendEmail`, in REST and JSON.
    fn send_email(&self, body: &Bytes) -> Response {
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |pointer: &str| {
            request.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let to = text("/Destination/ToAddresses/0");
        if to.is_empty() || text("/FromEmailAddress").is_empty() {
            let body = json!({ "message": "FromEmailAddress and ToAddresses are required" });
            let kind = [("x-amzn-errortype", "BadRequestException")];
            return (StatusCode::BAD_REQUEST, kind, Json(body)).into_response();
        }
        let id = new_id();
        self.inbox.add(Message {
            id: id.clone(),
            channel: "email".to_owned(),
            to,
            from: text("/FromEmailAddress"),
            subject: text("/Content/Simple/Subject/Data"),
            text: text("/Content/Simple/Body/Text/Data"),
            html: text("/Content/Simple/Body/Html/Data"),
            receipt_tag: receipt_tag(&request),
            ..Message::default()
        });
        Json(json!({ "MessageId": id })).into_response()
    }

    /// Secrets Manager `GetSecretValue`, in JSON 1.1.
    fn get_secret_value(&self, body: &Bytes) -> Response {
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        let id = &request["SecretId"];
        let Some(secret) = self.secrets.find(id.as_str().unwrap_or_default()) else {
            return secrets_error("ResourceNotFoundException", "there is no such secret");
        };
        let body = json!({ "ARN": id, "Name": id, "SecretString": secret.get() });
        json_1_1(StatusCode::OK, &body)
    }

    /// Secrets Manager `PutSecretValue`.
    fn put_secret_value(&self, body: &Bytes) -> Response {
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        let id = &request["SecretId"];
        let Some(secret) = self.secrets.find(id.as_str().unwrap_or_default()) else {
            return secrets_error("ResourceNotFoundException", "there is no such secret");
        };
        match secret.put(request["SecretString"].as_str().unwrap_or_default()) {
            Ok(()) => {
                let version = &request["ClientRequestToken"];
                json_1_1(StatusCode::OK, &json!({ "ARN": id, "Name": id, "VersionId": version }))
            }
            Err(error) => secrets_error("InvalidRequestException", &error.to_string()),
        }
    }
}

/// What receipts of an e-mail will name it by.
fn receipt_tag(request: &Value) -> String {
    let tags = request["EmailTags"].as_array().into_iter().flatten();
    let tag = tags.into_iter().find(|tag| tag["Name"] == RECEIPT_TAG);
    tag.and_then(|tag| tag["Value"].as_str()).unwrap_or_default().to_owned()
}

/// An error of Secrets Manager.
fn secrets_error(kind: &str, message: &str) -> Response {
    json_1_1(StatusCode::BAD_REQUEST, &json!({ "__type": kind, "message": message }))
}

fn json_1_1(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.1")], body.to_string())
        .into_response()
}

fn query_error(code: &str, message: &str) -> Response {
    let xml = format!(
        "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender\
         </Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    );
    (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "text/xml")], xml).into_response()
}

fn new_id() -> String {
    HEXLOWER.encode(&SystemEntropy.bytes::<12>())
}
