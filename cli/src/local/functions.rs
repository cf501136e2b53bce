//! Every function with its own adapters. Only the clock is that of the local stack.

use super::{LocalClock, Stack};
use axum::http::StatusCode;
use passcode_http::{Answer, Record};
use passcode_runtime::{BadSetting, Consumer, Function, Settings};
use serde_json::Value;
use std::{future::Future, pin::Pin, sync::Arc};
use utoipa::openapi::OpenApi;

/// Serves the events of a function. An event that is no request is an error.
pub type Handler = Arc<dyn Fn(Value) -> Pin<Box<dyn Future<Output = Served> + Send>> + Send + Sync>;

/// An answer, and what the log says of its request, or of each thing that an event tells.
type Served = Result<(Answer, Vec<Record>), serde_json::Error>;

/// A function: how it is named, booted and documented.
pub struct Deployable {
    /// Its name.
    pub name: &'static str,
    /// Makes its adapters.
    pub boot: fn(&Settings, LocalClock) -> Result<Function, BadSetting>,
    /// Its part of the OpenAPI document.
    pub openapi: fn() -> OpenApi,
}

macro_rules! deployables {
    ($($function:ident),+ $(,)?) => {
        [$(Deployable {
            name: $function::NAME,
            boot: $function::boot,
            openapi: $function::openapi,
        }),+]
    };
}

/// Every function that answers requests, in the order of the document. The one besides them is `delivery-receipts`.
pub const FUNCTIONS: [Deployable; 25] = deployables![
    otpless_auth_create,
    otpless_auth_status,
    otpless_order_resend,
    otpless_order_send,
    otpless_order_verify,
    otpless_otp_initiate,
    otpless_otp_verify,
    rollout_otp_verify,
    pace_user_otp_create,
    pace_user_otp_sendmail,
    pace_user_otp_verify,
    pace_user_pin_update,
    pace_user_secret_check,
    prelude_jwks,
    prelude_login_finalize,
    prelude_session_list,
    prelude_session_otp_check,
    prelude_session_otp_create,
    prelude_session_otp_retry,
    prelude_session_refresh,
    prelude_session_revoke,
    prelude_stepup_request,
    zap_otp_generate,
    zap_otp_resend,
    zap_otp_verify,
];

/// The handler of a function of the template.
pub(super) fn in_process(stack: &Stack, name: &str) -> Result<Handler, String> {
    in_process_with(stack, name, &stack.settings(name))
}

/// The same with other settings than the stack's.
pub fn in_process_with(stack: &Stack, name: &str, settings: &Settings) -> Result<Handler, String> {
    let refused = |error| format!("template.yaml: {name}: {error}");
    if name == delivery_receipts::NAME {
        let booted = delivery_receipts::boot(settings, stack.clock.clone());
        return booted.map(receipts).map_err(refused);
    }
    let function = FUNCTIONS.iter().find(|function| function.name == name);
    let function = function.ok_or_else(|| format!("template.yaml: no crate is named {name}"))?;
    (function.boot)(settings, stack.clock.clone()).map(handler).map_err(refused)
}

/// The handler of the function that consumes receipts: it answers as a request would be whether it has.
fn receipts(consumer: Consumer) -> Handler {
    let consumer = Arc::new(consumer);
    Arc::new(move |event| {
        let consumer = consumer.clone();
        Box::pin(async move {
            let (records, result) = consumer.consume(&event).await;
            let status = match result {
                Ok(()) => StatusCode::OK,
                Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            Ok((Answer::empty(status), records))
        })
    })
}

fn handler(function: Function) -> Handler {
    let function = Arc::new(function);
    Arc::new(move |event| {
        let function = function.clone();
        Box::pin(async move {
            let request = passcode_http::event::request(event)?;
            let (answer, record) = function.handle(&request).await;
            Ok((answer, vec![record]))
        })
    })
}
