//! Boot of `pace-user-secret-check`.

use pace_user_secret_check::{boot, handle};
use passcode_runtime::{Settings, SystemClock, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let deps = boot(&Settings::from_env(), SystemClock)?;
    serve("pace-user-secret-check", &deps.clock, |request| handle(&deps, request)).await
}
