//! Boot of `prelude-session-otp-retry`.

use passcode_runtime::{Settings, SystemClock, serve, warm_up};
use prelude_session_otp_retry::{boot, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let deps = boot(&Settings::from_env(), SystemClock)?;
    warm_up(&deps.keyring, &deps.ledgers).await;
    serve("prelude-session-otp-retry", &deps.clock, |request| handle(&deps, request)).await
}
