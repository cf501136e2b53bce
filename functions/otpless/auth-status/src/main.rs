//! Boot of `otpless-auth-status`.

use otpless_auth_status::{boot, handle};
use passcode_runtime::{Settings, SystemClock, connect, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let deps = boot(&Settings::from_env(), SystemClock)?;
    connect(&deps.ledgers).await;
    serve("otpless-auth-status", &deps.clock, |request| handle(&deps, request)).await
}
