//! Every function with its own adapters. Only the clock is that of the local stack.

use super::{LocalClock, Stack};
use passcode_http::{Answer, Request};
use passcode_runtime::{BadSetting, Settings};
use serde_json::Value;
use std::{future::Future, pin::Pin, sync::Arc};

/// Serves the events of a function. An event that is no request is an error.
pub type Handler = Arc<
    dyn Fn(Value) -> Pin<Box<dyn Future<Output = Result<Answer, serde_json::Error>> + Send>>
        + Send
        + Sync,
>;

type Build = fn(&Settings, LocalClock) -> Result<Handler, BadSetting>;

const FUNCTIONS: [(&str, Build); 21] = [
    ("otpless-auth-create", |settings, clock| {
        let deps = otpless_auth_create::boot(settings, clock)?;
        Ok(handler(deps, |deps, request| async move {
            otpless_auth_create::handle(&deps, request).await
        }))
    }),
    ("otpless-auth-status", |settings, clock| {
        let deps = otpless_auth_status::boot(settings, clock)?;
        Ok(handler(deps, |deps, request| async move {
            otpless_auth_status::handle(&deps, request).await
        }))
    }),
    ("otpless-order-resend", |settings, clock| {
        let deps = otpless_order_resend::boot(settings, clock)?;
        Ok(handler(deps, |deps, request| async move {
            otpless_order_resend::handle(&deps, request).await
        }))
    }),
    ("otpless-order-send", |settings, clock| {
        let deps = otpless_order_send::boot(settings, clock)?;
        Ok(handler(deps, |deps, request| async move {
            otpless_order_send::handle(&deps, request).await
        }))
    }),
    ("otpless-order-verify", |settings, clock| {
        let deps = otpless_order_verify::boot(settings, clock)?;
        Ok(handler(deps, |deps, request| async move {
            otpless_order_verify::handle(&deps, request).await
        }))
    }),
    ("otpless-otp-initiate", |settings, clock| {
        let deps = otpless_otp_initiate::boot(settings, clock)?;
        Ok(handler(deps, |deps, request| async move {
            otpless_otp_initiate::handle(&deps, request).await
        }))
    }),
    ("otpless-otp-verify", |settings, clock| {
        let deps = otpless_otp_verify::boot(settings, clock)?;
        Ok(handler(deps, |deps, request| async move {
            otpless_otp_verify::handle(&deps, request).await
        }))
    }),
    ("rollout-otp-verify", |settings, clock| {
        let deps = rollout_otp_verify::boot(settings, clock)?;
        Ok(handler(deps, |deps, request| async move {
            rollout_otp_verify::handle(&deps, request).await
        }))
    }),
    ("pace-user-otp-create", |settings, clock| {
        let deps = pace_user_otp_create::boot(settings, clock)?;
        Ok(handler(deps, |deps, request| async move {
            pace_user_otp_create::handle(&deps, request).await
        }))
    }),
    ("pace-user-otp-sendmail", |settings, clock| {
        let deps = pace_user_otp_sendmail::boot(settings, clock)?;
        Ok(handler(deps, |deps, request| async move {
            pace_user_otp_sendmail::handle(&deps, request).await
        }))
    }),
    ("pace-user-otp-verify", |settings, clock| {
        let deps = pace_user_otp_verify::boot(settings, clock)?;
        Ok(handler(deps, |deps, request| async move {
            pace_user_otp_verify::handle(&deps, request).await
        }))
    }),
    ("pace-user-pin-update", |settings, clock| {
        let deps = pace_user_pin_update::boot(settings, clock)?;
        Ok(handler(deps, |deps, request| async move {
            pace_user_pin_update::handle(&deps, request).await
        }))
    }),
    ("pace-user-secret-check", |settings, clock| {
        let deps = pace_user_secret_check::boot(settings, clock)?;
        Ok(handler(deps, |deps, request| async move {
            pace_user_secret_check::handle(&deps, request).await
        }))
    }),
    ("prelude-jwks", |settings, clock| {
        let deps = prelude_jwks::boot(settings, clock)?;
        Ok(handler(deps, |deps, request| async move { prelude_jwks::handle(&deps, request).await }))
    }),
    ("prelude-session-otp-check", |settings, clock| {
        let deps = prelude_session_otp_check::boot(settings, clock)?;
        Ok(handler(deps, |deps, request| async move {
            prelude_session_otp_check::handle(&deps, request).await
        }))
    }),
    ("prelude-session-otp-create", |settings, clock| {
        let deps = prelude_session_otp_create::boot(settings, clock)?;
        Ok(handler(deps, |deps, request| async move {
            prelude_session_otp_create::handle(&deps, request).await
        }))
    }),
    ("prelude-session-otp-retry", |settings, clock| {
        let deps = prelude_session_otp_retry::boot(settings, clock)?;
        Ok(handler(deps, |deps, request| async move {
            prelude_session_otp_retry::handle(&deps, request).await
        }))
    }),
    ("prelude-stepup-request", |settings, clock| {
        let deps = prelude_stepup_request::boot(settings, clock)?;
        Ok(handler(deps, |deps, request| async move {
            prelude_stepup_request::handle(&deps, request).await
        }))
    }),
    ("zap-otp-generate", |settings, clock| {
        let deps = zap_otp_generate::boot(settings, clock)?;
        Ok(handler(
            deps,
            |deps, request| async move { zap_otp_generate::handle(&deps, request).await },
        ))
    }),
    ("zap-otp-resend", |settings, clock| {
        let deps = zap_otp_resend::boot(settings, clock)?;
        Ok(handler(
            deps,
            |deps, request| async move { zap_otp_resend::handle(&deps, request).await },
        ))
    }),
    ("zap-otp-verify", |settings, clock| {
        let deps = zap_otp_verify::boot(settings, clock)?;
        Ok(handler(
            deps,
            |deps, request| async move { zap_otp_verify::handle(&deps, request).await },
        ))
    }),
];

/// The handler of a function of the template.
pub(super) fn in_process(stack: &Stack, name: &str) -> Result<Handler, String> {
    let known = FUNCTIONS.iter().find(|(function, _)| *function == name);
    let (_, build) = known.ok_or_else(|| format!("template.yaml: no crate is named {name}"))?;
    build(&stack.settings(name), stack.clock.clone())
        .map_err(|error| format!("template.yaml: {name}: {error}"))
}

fn handler<D, F>(deps: D, handle: impl Fn(Arc<D>, Request) -> F + Send + Sync + 'static) -> Handler
where
    D: Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let deps = Arc::new(deps);
    Arc::new(move |event| match passcode_http::event::request(event) {
        Ok(request) => {
            let handling = handle(deps.clone(), request);
            Box::pin(async move { Ok(handling.await) })
        }
        Err(error) => Box::pin(std::future::ready(Err(error))),
    })
}
