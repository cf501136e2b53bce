//! Boot of `prelude-session-otp-check`.

use passcode_runtime::{Settings, SystemClock, serve, warm_up};
use prelude_session_otp_check::{boot, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let deps = boot(&Settings::from_env(), SystemClock)?;
    warm_up(&deps.keyring, &deps.ledgers).await;
    serve("prelude-session-otp-check", &deps.clock, |request| handle(&deps, request)).await
}
