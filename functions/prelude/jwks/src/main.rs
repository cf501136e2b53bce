//! Boot of `prelude-jwks`.

use passcode_domain::ports::LoadSigningKeys as _;
use passcode_runtime::{Settings, SystemClock, serve};
use prelude_jwks::{boot, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let deps = boot(&Settings::from_env(), SystemClock)?;
    // A failure is not final: the first request tries again.
    let _ = deps.signing.signing_keys().await;
    serve("prelude-jwks", &deps.clock, |request| handle(&deps, request)).await
}
