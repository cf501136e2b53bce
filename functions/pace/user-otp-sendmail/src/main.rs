//! Boot of `pace-user-otp-sendmail`.

use pace_user_otp_sendmail::{boot, handle};
use passcode_runtime::{Settings, SystemClock, serve, warm_up};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let deps = boot(&Settings::from_env(), SystemClock)?;
    warm_up(&deps.keyring, &deps.ledgers).await;
    serve("pace-user-otp-sendmail", &deps.clock, |request| handle(&deps, request)).await
}
