//! The function's adapters, by port: on Lambda and on one machine the same.

use crate::{NAME, handle};
use passcode_domain::ports::{Clock, Couriers};
use passcode_dynamodb::{AppTable, ChallengeTable, CounterTable, UserTable};
use passcode_jwt::IssuerTokens;
use passcode_runtime::{
    Adapters, BadSetting, CachedApps, Function, HttpsIssuers, SecretKeyring, Settings, aws,
};
use passcode_ses::SesCourier;
use passcode_sns::SnsCourier;

/// The function that settings describe, with a clock.
pub fn boot<C>(settings: &Settings, clock: C) -> Result<Function, BadSetting>
where
    C: Clock + Send + 'static,
{
    let aws = aws::config(settings)?;
    let world = Adapters {
        apps: CachedApps::new(AppTable::new(&aws, settings.require("APP_TABLE")?))
            .with_default(settings.parsed("DEFAULT_APP", "is no app id")?),
        users: UserTable::new(&aws, settings.require("USER_TABLE")?),
        ledgers: ChallengeTable::new(&aws, settings.require("CHALLENGE_TABLE")?),
        sessions: (),
        counters: CounterTable::new(&aws, settings.require("COUNTER_TABLE")?),
        tokens: IssuerTokens::new(HttpsIssuers::default()),
        keyring: SecretKeyring::new(&aws, settings.require("KEYRING_SECRET")?),
        signing_keys: (),
        couriers: Couriers::new(
            SnsCourier::new(&aws, settings.get("SMS_RECEIPTS").is_some()),
            SesCourier::new(
                &aws,
                settings.require("EMAIL_FROM")?,
                settings.get("CONFIGURATION_SET"),
            ),
        ),
        clock,
    };
    Ok(Function::new(NAME, world, |world, request, record| {
        Box::pin(handle(world, request, record))
    }))
}
