//! Boot of `zap-otp-generate`.

use passcode_runtime::{Settings, SystemClock, serve, warm_up};
use zap_otp_generate::{boot, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let deps = boot(&Settings::from_env(), SystemClock)?;
    warm_up(&deps.keyring, &deps.ledgers).await;
    serve("zap-otp-generate", &deps.clock, |request| handle(&deps, request)).await
}
