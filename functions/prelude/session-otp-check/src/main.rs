//! Boot of `prelude-session-otp-check`.

use passcode_domain::ports::LoadSigningKeys as _;
use passcode_runtime::{Settings, SystemClock, serve, warm_up};
use prelude_session_otp_check::{boot, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let deps = boot(&Settings::from_env(), SystemClock)?;
    // A failure is not final: the first request tries again.
    let _ = tokio::join!(warm_up(&deps.keyring, &deps.ledgers), deps.signing.signing_keys());
    serve("prelude-session-otp-check", &deps.clock, |request| handle(&deps, request)).await
}
