//! The function's adapters, by name: on Lambda and on one machine the same.

use crate::Deps;
use passcode_runtime::{BadSetting, SecretKeyring, Settings, aws};

/// What the function works with, for real.
pub type Adapters<C> = Deps<SecretKeyring, C>;

/// The adapters that settings describe, with a clock.
pub fn boot<C>(settings: &Settings, clock: C) -> Result<Adapters<C>, BadSetting> {
    let aws = aws::config(settings)?;
    Ok(Deps { keyring: SecretKeyring::new(&aws, settings.require("KEYRING_SECRET")?), clock })
}
