//! The loop of a function: take an event, hand it to the handler, print its line, answer.

use crate::log::Line;
use lambda_http::{
    Body, Error, LambdaEvent, aws_lambda_events::apigw::ApiGatewayV2httpResponse,
    http::header::SET_COOKIE, lambda_runtime, service_fn,
};
use passcode_domain::{
    SubjectKey, Timestamp,
    ports::{Clock, LoadKeyring, LoadLedgers},
};
use passcode_http::{Answer, Request, event};
use serde_json::Value;
use std::{future::Future, io::Write as _, time::Instant};

/// An answer, and the line that its request leaves in the log.
#[derive(Debug)]
pub struct Observed {
    /// The answer.
    pub answer: Answer,
    /// The line, with its line break.
    pub line: Vec<u8>,
}

/// Hands a request to a handler and observes it.
pub async fn observe(
    function: &str,
    request_id: &str,
    at: Timestamp,
    handling: impl Future<Output = Answer>,
) -> Observed {
    let began = Instant::now();
    let answer = handling.await;
    let line = Line {
        function,
        request_id,
        status: answer.status.as_u16(),
        at,
        took: began.elapsed(),
        record: &answer.record,
    };
    Observed { line: line.print(), answer }
}

/// Opens the connections that every request needs, while Lambda still gives a starting function
/// its full share of a processor. A failure is not final: the first request tries again.
pub async fn warm_up(keyring: &impl LoadKeyring, ledgers: &impl LoadLedgers) {
    let _ = tokio::join!(keyring.keyring(), connect(ledgers));
}

/// Opens the connection to the ledgers alone, for a function that needs no key.
pub async fn connect(ledgers: &impl LoadLedgers) {
    let nobody = SubjectKey::from_bytes([0; 16]);
    let _ = ledgers.load(&nobody).await;
}

/// Serves a function's requests until Lambda ends it.
pub async fn serve<C, F, A>(function: &'static str, clock: &C, handle: F) -> Result<(), Error>
where
    C: Clock,
    F: Fn(Request) -> A + Sync,
    A: Future<Output = Answer> + Send,
{
    let handle = &handle;
    let service = service_fn(move |event: LambdaEvent<Value>| async move {
        let request = event::request(event.payload)?;
        let id = &event.context.request_id;
        // On the heap: a use-case is some kilobytes of state, and the runtime moves it around.
        let handling = Box::pin(handle(request));
        let observed = observe(function, id, clock.now(), handling).await;
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
