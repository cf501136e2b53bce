//! Boot of `otpless-otp-verify`.

use otpless_otp_verify::{boot, handle};
use passcode_runtime::{Settings, SystemClock, serve, warm_up};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let deps = boot(&Settings::from_env(), SystemClock)?;
    warm_up(&deps.keyring, &deps.ledgers).await;
    serve("otpless-otp-verify", &deps.clock, |request| handle(&deps, request)).await
}
