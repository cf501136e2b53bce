//! Calls of services whose SDKs would take minutes to compile for one answer each: a JSON request
//! with the signature of `aws-sigv4`, sent by the SDK's own orchestrator, which knows time-outs,
//! retries and errors.

use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        identity::Identity,
        orchestrator::{HttpRequest, HttpResponse, OrchestratorError},
        result::SdkError,
    },
};
use aws_smithy_types::{
    body::SdkBody, error::metadata::ErrorMetadata, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_types::{SdkConfig, service_config::ServiceConfigKey};
use passcode_aws::CallFailed;
use passcode_domain::ports::Clock as _;
use passcode_runtime::SystemClock;
use serde_json::{Value, json};
use std::time::{Duration, UNIX_EPOCH};

/// A service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service {
    /// Its id, by which settings name its endpoint.
    id: &'static str,
    /// The first label of its host, and its name in signatures.
    host: &'static str,
    /// What stands before the operation in `X-Amz-Target`.
    target: &'static str,
    /// The media type of its JSON.
    media: &'static str,
}

const JSON_1_0: &str = "application/x-amz-json-1.0";
const JSON_1_1: &str = "application/x-amz-json-1.1";

/// AWS End User Messaging, which SNS sends text messages with.
pub(crate) const SMS_VOICE: Service = Service {
    id: "Pinpoint SMS Voice V2",
    host: "sms-voice",
    target: "PinpointSMSVoiceV2",
    media: JSON_1_0,
};
/// Metrics and alarms.
pub(crate) const CLOUDWATCH: Service = Service {
    id: "CloudWatch",
    host: "monitoring",
    target: "GraniteServiceVersion20100801",
    media: JSON_1_0,
};
/// Log groups.
pub(crate) const LOGS: Service =
    Service { id: "CloudWatch Logs", host: "logs", target: "Logs_20140328", media: JSON_1_1 };
/// Lambda, whose protocol is REST.
pub(crate) const LAMBDA: Service =
    Service { id: "Lambda", host: "lambda", target: "", media: JSON_1_0 };

/// A caller with credentials, in a Region.
#[derive(Debug)]
pub(crate) struct Caller<'a> {
    aws: &'a SdkConfig,
}

/// A request before it is signed.
#[derive(Clone, Debug)]
struct Request {
    method: &'static str,
    url: String,
    /// Of a JSON protocol: the operation, and the media type.
    target: Option<(String, &'static str)>,
    body: String,
}

type Answer = Result<Value, SdkError<ErrorMetadata, HttpResponse>>;

impl<'a> Caller<'a> {
    pub(crate) fn new(aws: &'a SdkConfig) -> Self {
        Self { aws }
    }

    /// An operation of a JSON protocol.
    pub(crate) async fn post(
        &self,
        service: Service,
        operation: &'static str,
        input: &Value,
    ) -> Result<Value, CallFailed> {
        let request = Request {
            method: "POST",
            url: format!("{}/", self.endpoint(service)),
            target: Some((format!("{}.{operation}", service.target), service.media)),
            body: input.to_string(),
        };
        self.send(service, operation, request).await
    }

    /// Every page of an operation that lists something in a field.
    pub(crate) async fn pages(
        &self,
        service: Service,
        operation: &'static str,
        mut input: Value,
        field: &str,
    ) -> Result<Vec<Value>, CallFailed> {
        let mut all = Vec::new();
        loop {
            let mut page = self.post(service, operation, &input).await?;
            all.extend(page[field].as_array_mut().map(std::mem::take).unwrap_or_default());
            match page["NextToken"].take() {
                Value::String(token) if !token.is_empty() => input["NextToken"] = token.into(),
                _ => return Ok(all),
            }
        }
    }

    /// An operation of a REST protocol.
    pub(crate) async fn get(
        &self,
        service: Service,
        operation: &'static str,
        path: &str,
    ) -> Result<Value, CallFailed> {
        let url = format!("{}{path}", self.endpoint(service));
        let request = Request { method: "GET", url, target: None, body: String::new() };
        self.send(service, operation, request).await
    }

    async fn send(
        &self,
        service: Service,
        operation: &'static str,
        request: Request,
    ) -> Result<Value, CallFailed> {
        let invoked = self.invoke(service, operation, request).await;
        invoked.map_err(|error| CallFailed::of(&error))
    }

    async fn invoke(&self, service: Service, name: &'static str, request: Request) -> Answer {
        let unsendable = |cause: &str| SdkError::construction_failure(cause.to_owned());
        let provider =
            self.aws.credentials_provider().ok_or_else(|| unsendable("no credentials"))?;
        let identity: Identity =
            provider.provide_credentials().await.map_err(SdkError::construction_failure)?.into();
        let client = self.aws.http_client().ok_or_else(|| unsendable("no HTTP client"))?;
        let sleep = self.aws.sleep_impl().ok_or_else(|| unsendable("no timer"))?;
        let region = self.region().to_owned();
        let retries = self.aws.retry_config().cloned().unwrap_or_else(RetryConfig::standard);
        let timeouts = self.aws.timeout_config().cloned().unwrap_or_else(TimeoutConfig::disabled);
        Operation::builder()
            .service_name(service.host)
            .operation_name(name)
            .http_client(client)
            .sleep_impl(sleep)
            .endpoint_url(&self.endpoint(service))
            .timeout_config(timeouts)
            .standard_retry(&retries)
            .no_auth()
            .serializer(move |request: Request| signed(&request, &identity, &region, service.host))
            .deserializer(answer)
            .build()
            .invoke(request)
            .await
    }

    fn region(&self) -> &str {
        self.aws.region().map(AsRef::as_ref).unwrap_or_default()
    }

    /// Where a service is: an override for it, or for all services, or the Region's.
    fn endpoint(&self, service: Service) -> String {
        let own = self.aws.service_config().and_then(|config| {
            let key = ServiceConfigKey::builder()
                .service_id(service.id)
                .env("AWS_ENDPOINT_URL")
                .profile("endpoint_url")
                .build();
            config.load_config(key.ok()?)
        });
        let region = self.region();
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let url = own
            .or_else(|| self.aws.endpoint_url().map(str::to_owned))
            .unwrap_or_else(|| format!("https://{}.{region}.{suffix}", service.host));
        url.trim_end_matches('/').to_owned()
    }
}

fn signed(
    request: &Request,
    identity: &Identity,
    region: &str,
    name: &str,
) -> Result<HttpRequest, BoxError> {
    let mut headers = Vec::new();
    if let Some((target, media)) = &request.target {
        headers.push(("content-type", *media));
        headers.push(("x-amz-target", target.as_str()));
    }
    let now = UNIX_EPOCH + Duration::from_millis(SystemClock.now().as_millis());
    let parameters = v4::SigningParams::builder()
        .identity(identity)
        .region(region)
        .name(name)
        .time(now)
        .settings(SigningSettings::default())
        .build()?
        .into();
    let body = SignableBody::Bytes(request.body.as_bytes());
    let signable =
        SignableRequest::new(request.method, &request.url, headers.iter().copied(), body)?;
    let (instructions, _) = sign(signable, &parameters)?.into_parts();
    let mut signed = http::Request::builder().method(request.method).uri(&request.url);
    for (name, value) in headers {
        signed = signed.header(name, value);
    }
    let mut signed = signed.body(SdkBody::from(request.body.as_str()))?;
    instructions.apply_to_request_http1x(&mut signed);
    // The orchestrator puts the endpoint in front of the path.
    let path = signed.uri().path_and_query().cloned().ok_or("no path")?;
    *signed.uri_mut() = path.into();
    Ok(HttpRequest::try_from(signed)?)
}

/// The JSON of an answer, or the name of its error, which is in a header or in the body.
fn answer(response: &HttpResponse) -> Result<Value, OrchestratorError<ErrorMetadata>> {
    let body = response.body().bytes().unwrap_or_default();
    let body: Value = serde_json::from_slice(body).unwrap_or_else(|_| json!({}));
    if response.status().is_success() {
        return Ok(body);
    }
    let header = response.headers().get("x-amzn-errortype");
    let code = header.or(body["__type"].as_str()).or(body["code"].as_str());
    // `namespace#Name:url`
    let code = code.and_then(|code| code.rsplit('#').next()?.split(':').next());
    let mut error = ErrorMetadata::builder();
    if let Some(code) = code {
        error = error.code(code);
    }
    Err(OrchestratorError::operation(error.build()))
}
