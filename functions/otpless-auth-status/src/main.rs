//! Boot of `otpless-auth-status`.

use otpless_auth_status::{Deps, handle};
use passcode_dynamodb::{AppTable, ChallengeTable};
use passcode_runtime::{CachedApps, Settings, SystemClock, aws, connect, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let settings = Settings::from_env();
    let aws = aws::config(&settings)?;
    let deps = Deps {
        apps: CachedApps::new(AppTable::new(&aws, settings.require("APP_TABLE")?)),
        ledgers: ChallengeTable::new(&aws, settings.require("CHALLENGE_TABLE")?),
        clock: SystemClock,
    };
    connect(&deps.ledgers).await;
    serve("otpless-auth-status", &deps.clock, |request| handle(&deps, request)).await
}
