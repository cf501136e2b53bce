//! The function's adapters, by name: on Lambda and on one machine the same.

use crate::Deps;
use passcode_dynamodb::{AppTable, CountedLedgers, UserTable};
use passcode_jwt::IssuerTokens;
use passcode_runtime::{
    BadSetting, CachedApps, HttpsIssuers, SecretKeyring, Settings, SystemEntropy, aws,
};

/// What the function works with, for real.
pub type Adapters<C> = Deps<
    CachedApps<AppTable>,
    UserTable,
    IssuerTokens<HttpsIssuers>,
    CountedLedgers,
    SecretKeyring,
    C,
    SystemEntropy,
>;

/// The adapters that settings describe, with a clock.
pub fn boot<C>(settings: &Settings, clock: C) -> Result<Adapters<C>, BadSetting> {
    let aws = aws::config(settings)?;
    Ok(Deps {
        apps: CachedApps::new(AppTable::new(&aws, settings.require("APP_TABLE")?)),
        users: UserTable::new(&aws, settings.require("USER_TABLE")?),
        tokens: IssuerTokens::new(HttpsIssuers::default()),
        ledgers: CountedLedgers::new(
            &aws,
            settings.require("CHALLENGE_TABLE")?,
            settings.require("COUNTER_TABLE")?,
        ),
        keyring: SecretKeyring::new(&aws, settings.require("KEYRING_SECRET")?),
        clock,
        entropy: SystemEntropy,
        default_app: settings.parsed("DEFAULT_APP", "is no app id")?,
    })
}
