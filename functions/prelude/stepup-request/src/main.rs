//! Boot of `prelude-stepup-request`.

use passcode_domain::ports::LoadSigningKeys as _;
use passcode_runtime::{Settings, SystemClock, serve, warm_up};
use prelude_stepup_request::{boot, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let deps = boot(&Settings::from_env(), SystemClock)?;
    // A failure is not final: the first request tries again.
    let _ = tokio::join!(warm_up(&deps.keyring, &deps.ledgers), deps.signing.signing_keys());
    serve("prelude-stepup-request", &deps.clock, |request| handle(&deps, request)).await
}
