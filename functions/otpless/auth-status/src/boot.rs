//! The function's adapters, by name: on Lambda and on one machine the same.

use crate::Deps;
use passcode_dynamodb::{AppTable, ChallengeTable};
use passcode_runtime::{BadSetting, CachedApps, Settings, aws};

/// What the function works with, for real.
pub type Adapters<C> = Deps<CachedApps<AppTable>, ChallengeTable, C>;

/// The adapters that settings describe, with a clock.
pub fn boot<C>(settings: &Settings, clock: C) -> Result<Adapters<C>, BadSetting> {
    let aws = aws::config(settings)?;
    Ok(Deps {
        apps: CachedApps::new(AppTable::new(&aws, settings.require("APP_TABLE")?)),
        ledgers: ChallengeTable::new(&aws, settings.require("CHALLENGE_TABLE")?),
        clock,
    })
}
