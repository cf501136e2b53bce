//! Boot of `rollout-otp-verify`.

use passcode_dynamodb::ChallengeTable;
use passcode_runtime::{SecretKeyring, Settings, SystemClock, SystemEntropy, aws, serve, warm_up};
use rollout_otp_verify::{Deps, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let settings = Settings::from_env();
    let aws = aws::config(&settings)?;
    let deps = Deps {
        ledgers: ChallengeTable::new(&aws, settings.require("CHALLENGE_TABLE")?),
        keyring: SecretKeyring::new(&aws, settings.require("KEYRING_SECRET")?),
        clock: SystemClock,
        entropy: SystemEntropy,
    };
    warm_up(&deps.keyring, &deps.ledgers).await;
    serve("rollout-otp-verify", &deps.clock, |request| handle(&deps, request)).await
}
