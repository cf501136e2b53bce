//! The loop of a function: take an event, hand it to the handler, print its line, answer.

use crate::{BadSetting, Consumer, Function, Settings, SystemClock, log::Line};
use lambda_http::{
    Body, Error, LambdaEvent, aws_lambda_events::apigw::ApiGatewayV2httpResponse,
    http::header::SET_COOKIE, lambda_runtime, service_fn,
};
use passcode_domain::{Timestamp, ports::Cause};
use passcode_http::{Answer, CdnSecret, Record, event};
use serde_json::Value;
use std::{future::Future, io::Write as _, time::Instant};

/// An answer, and the line that its request leaves in the log.
#[derive(Debug)]
pub struct Observed {
    /// The answer.
    pub answer: Answer,
    /// What the line says.
    pub record: Record,
    /// The line, with its line break.
    pub line: Vec<u8>,
}

/// Observes a request while it is handled.
pub async fn observe(
    function: &str,
    request_id: &str,
    at: Timestamp,
    handling: impl Future<Output = (Answer, Record)>,
) -> Observed {
    let began = Instant::now();
    let (answer, record) = handling.await;
    let line = Line {
        function,
        request_id,
        status: Some(answer.status.as_u16()),
        at,
        took: began.elapsed(),
        record: &record,
    };
    Observed { line: line.print(), answer, record }
}

/// The setting that has the secret of a CDN before the API.
const CDN_SECRET: &str = "CDN_SECRET";

/// The life of a function on Lambda: boots it with the environment's settings, and serves its requests
/// until Lambda ends it.
pub fn run(boot: fn(&Settings, SystemClock) -> Result<Function, BadSetting>) -> Result<(), Error> {
    let settings = Settings::from_env();
    let function = boot(&settings, SystemClock)?;
    let cdn = settings.get(CDN_SECRET).map(CdnSecret::new);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        function.warm_up().await;
        serve(&function, cdn.as_ref()).await
    })
}

/// The same of a function that consumes events. An event that it could not consume is an error, so that Lambda
/// hands it over again.
pub fn run_consumer(
    boot: fn(&Settings, SystemClock) -> Result<Consumer, BadSetting>,
) -> Result<(), Error> {
    let consumer = &boot(&Settings::from_env(), SystemClock)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        consumer.warm_up().await;
        let service = service_fn(move |event: LambdaEvent<Value>| async move {
            let Consumed { lines, result, .. } =
                consume(consumer, &event.context.request_id, &event.payload).await;
            let _ = std::io::stdout().lock().write_all(&lines);
            result
        });
        lambda_runtime::run(service).await
    })
}

/// What came of an event.
#[derive(Debug)]
pub struct Consumed {
    /// What the lines say.
    pub records: Vec<Record>,
    /// One line for each, with its line break.
    pub lines: Vec<u8>,
    /// Why the event has to come again, where it has to.
    pub result: Result<(), Cause>,
}

/// Lets a function consume an event.
pub async fn consume(consumer: &Consumer, request_id: &str, event: &Value) -> Consumed {
    let (began, at) = (Instant::now(), consumer.now());
    let (records, result) = consumer.consume(event).await;
    let function = consumer.name;
    let line = |record| {
        Line { function, request_id, status: None, at, took: began.elapsed(), record }.print()
    };
    Consumed { lines: records.iter().flat_map(line).collect(), records, result }
}

async fn serve(function: &Function, cdn: Option<&CdnSecret>) -> Result<(), Error> {
    let service = service_fn(move |mut event: LambdaEvent<Value>| async move {
        if let Some(cdn) = cdn {
            cdn.resolve_viewer(&mut event.payload);
        }
        let request = event::request(event.payload)?;
        let id = &event.context.request_id;
        let handling = function.handle(&request);
        let observed = observe(function.name, id, function.now(), handling).await;
        // A log that cannot be written must not cost the caller its answer.
        let _ = std::io::stdout().lock().write_all(&observed.line);
        Ok::<_, Error>(respond(observed.answer))
    });
    lambda_runtime::run(service).await
}

/// An answer as API Gateway takes it (payload format 2.0).
fn respond(answer: Answer) -> ApiGatewayV2httpResponse {
    let mut response = ApiGatewayV2httpResponse::default();
    let mut headers = answer.headers;
    let cookies = headers.get_all(SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok());
    response.cookies = cookies.map(str::to_owned).collect();
    headers.remove(SET_COOKIE);
    response.status_code = answer.status.as_u16().into();
    response.headers = headers;
    response.body = Some(Body::Text(answer.body));
    response
}
