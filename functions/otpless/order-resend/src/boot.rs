//! The function's adapters, by port: on Lambda and on one machine the same.

use crate::{NAME, handle};
use passcode_domain::ports::{Clock, Couriers};
use passcode_dynamodb::{AppTable, ChallengeTable, CounterTable};
use passcode_runtime::{Adapters, BadSetting, CachedApps, Function, SecretKeyring, Settings, aws};
use passcode_ses::SesCourier;
use passcode_sns::SnsCourier;

/// The function that settings describe, with a clock.
pub fn boot<C>(settings: &Settings, clock: C) -> Result<Function, BadSetting>
where
    C: Clock + Send + 'static,
{
    let aws = aws::config(settings)?;
    let world = Adapters {
        apps: CachedApps::new(AppTable::new(&aws, settings.require("APP_TABLE")?)),
        users: (),
        ledgers: ChallengeTable::new(&aws, settings.require("CHALLENGE_TABLE")?),
        sessions: (),
        counters: CounterTable::new(&aws, settings.require("COUNTER_TABLE")?),
        tokens: (),
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
