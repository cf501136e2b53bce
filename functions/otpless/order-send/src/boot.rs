//! The function's adapters, by name: on Lambda and on one machine the same.

use crate::Deps;
use passcode_dynamodb::{AppTable, CountedLedgers};
use passcode_runtime::{BadSetting, CachedApps, SecretKeyring, Settings, SystemEntropy, aws};
use passcode_ses::SesCourier;
use passcode_sns::SnsCourier;

/// What the function works with, for real.
pub type Adapters<C> = Deps<
    CachedApps<AppTable>,
    CountedLedgers,
    SecretKeyring,
    C,
    SystemEntropy,
    SnsCourier,
    SesCourier,
>;

/// The adapters that settings describe, with a clock.
pub fn boot<C>(settings: &Settings, clock: C) -> Result<Adapters<C>, BadSetting> {
    let aws = aws::config(settings)?;
    Ok(Deps {
        apps: CachedApps::new(AppTable::new(&aws, settings.require("APP_TABLE")?)),
        ledgers: CountedLedgers::new(
            &aws,
            settings.require("CHALLENGE_TABLE")?,
            settings.require("COUNTER_TABLE")?,
        ),
        keyring: SecretKeyring::new(&aws, settings.require("KEYRING_SECRET")?),
        clock,
        entropy: SystemEntropy,
        sms: SnsCourier::new(&aws),
        email: SesCourier::new(&aws, settings.require("EMAIL_FROM")?),
    })
}
