//! Boot of `otpless-otp-verify`.

use otpless_otp_verify::{Deps, handle};
use passcode_dynamodb::{AppTable, ChallengeTable};
use passcode_runtime::{
    CachedApps, SecretKeyring, Settings, SystemClock, SystemEntropy, aws, serve, warm_up,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let settings = Settings::from_env();
    let aws = aws::config(&settings)?;
    let deps = Deps {
        apps: CachedApps::new(AppTable::new(&aws, settings.require("APP_TABLE")?)),
        ledgers: ChallengeTable::new(&aws, settings.require("CHALLENGE_TABLE")?),
        keyring: SecretKeyring::new(&aws, settings.require("KEYRING_SECRET")?),
        clock: SystemClock,
        entropy: SystemEntropy,
    };
    warm_up(&deps.keyring, &deps.ledgers).await;
    serve("otpless-otp-verify", &deps.clock, |request| handle(&deps, request)).await
}
