//! The function's adapters, by port: on Lambda and on one machine the same.

use crate::{NAME, handle};
use passcode_domain::ports::Clock;
use passcode_runtime::{Adapters, BadSetting, Function, SecretSigningKeys, Settings, aws};

/// The function that settings describe, with a clock.
pub fn boot<C>(settings: &Settings, clock: C) -> Result<Function, BadSetting>
where
    C: Clock + Send + 'static,
{
    let aws = aws::config(settings)?;
    let world = Adapters {
        apps: (),
        users: (),
        ledgers: (),
        sessions: (),
        counters: (),
        tokens: (),
        keyring: (),
        signing_keys: SecretSigningKeys::new(&aws, settings.require("SIGNING_SECRET")?),
        couriers: (),
        clock,
    };
    Ok(Function::new(NAME, world, |world, request, record| {
        Box::pin(handle(world, request, record))
    }))
}
