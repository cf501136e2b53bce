//! Boot of `rollout-otp-verify`.

use passcode_runtime::{Settings, SystemClock, serve, warm_up};
use rollout_otp_verify::{boot, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let deps = boot(&Settings::from_env(), SystemClock)?;
    warm_up(&deps.keyring, &deps.ledgers).await;
    serve("rollout-otp-verify", &deps.clock, |request| handle(&deps, request)).await
}
