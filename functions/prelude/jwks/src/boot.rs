//! The function's adapters, by name: on Lambda and on one machine the same.

use crate::Deps;
use passcode_runtime::{BadSetting, SecretSigningKeys, Settings, aws};

/// What the function works with, for real.
pub type Adapters<C> = Deps<SecretSigningKeys, C>;

/// The adapters that settings describe, with a clock.
pub fn boot<C>(settings: &Settings, clock: C) -> Result<Adapters<C>, BadSetting> {
    let aws = aws::config(settings)?;
    Ok(Deps { signing: SecretSigningKeys::new(&aws, settings.require("SIGNING_SECRET")?), clock })
}
