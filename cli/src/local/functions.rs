//! Every function, with the adapters its `main.rs` gives it. Only the clock is this machine's own.

use super::{LocalClock, Stack};
use passcode_dynamodb::{AppTable, ChallengeTable};
use passcode_http::{Answer, Request};
use passcode_runtime::{BadSetting, CachedApps, SecretKeyring, Settings, SystemEntropy, aws};
use passcode_ses::SesCourier;
use passcode_sns::SnsCourier;
use std::{future::Future, pin::Pin, sync::Arc};

/// What serves a function's requests.
pub(super) type Handler =
    Arc<dyn Fn(Request) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync>;

type Build = fn(&Settings, LocalClock) -> Result<Handler, BadSetting>;

const FUNCTIONS: [(&str, Build); 5] = [
    ("otpless-auth-create", otpless_auth_create),
    ("otpless-auth-status", otpless_auth_status),
    ("otpless-otp-initiate", otpless_otp_initiate),
    ("otpless-otp-verify", otpless_otp_verify),
    ("rollout-otp-verify", rollout_otp_verify),
];

/// The handler of a function of the template.
pub(super) fn build(stack: &Stack, name: &str) -> Result<Handler, String> {
    let known = FUNCTIONS.iter().find(|(function, _)| *function == name);
    let (_, build) = known.ok_or_else(|| format!("template.yaml: no crate is named {name}"))?;
    build(&stack.settings(name), stack.clock.clone())
        .map_err(|error| format!("template.yaml: {name}: {error}"))
}

fn handler<D, F>(deps: D, handle: impl Fn(Arc<D>, Request) -> F + Send + Sync + 'static) -> Handler
where
    D: Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let deps = Arc::new(deps);
    Arc::new(move |request| Box::pin(handle(deps.clone(), request)))
}

fn otpless_auth_create(settings: &Settings, clock: LocalClock) -> Result<Handler, BadSetting> {
    use otpless_auth_create::{Deps, handle};
    let aws = aws::config(settings)?;
    let deps = Deps {
        apps: CachedApps::new(AppTable::new(&aws, settings.require("APP_TABLE")?)),
        ledgers: ChallengeTable::new(&aws, settings.require("CHALLENGE_TABLE")?),
        keyring: SecretKeyring::new(&aws, settings.require("KEYRING_SECRET")?),
        clock,
        entropy: SystemEntropy,
    };
    Ok(handler(deps, |deps, request| async move { handle(&deps, request).await }))
}

fn otpless_auth_status(settings: &Settings, clock: LocalClock) -> Result<Handler, BadSetting> {
    use otpless_auth_status::{Deps, handle};
    let aws = aws::config(settings)?;
    let deps = Deps {
        apps: CachedApps::new(AppTable::new(&aws, settings.require("APP_TABLE")?)),
        ledgers: ChallengeTable::new(&aws, settings.require("CHALLENGE_TABLE")?),
        clock,
    };
    Ok(handler(deps, |deps, request| async move { handle(&deps, request).await }))
}

fn otpless_otp_initiate(settings: &Settings, clock: LocalClock) -> Result<Handler, BadSetting> {
    use otpless_otp_initiate::{Deps, handle};
    let aws = aws::config(settings)?;
    let deps = Deps {
        apps: CachedApps::new(AppTable::new(&aws, settings.require("APP_TABLE")?)),
        ledgers: ChallengeTable::new(&aws, settings.require("CHALLENGE_TABLE")?),
        keyring: SecretKeyring::new(&aws, settings.require("KEYRING_SECRET")?),
        clock,
        entropy: SystemEntropy,
        sms: SnsCourier::new(&aws),
        email: SesCourier::new(&aws, settings.require("EMAIL_FROM")?),
    };
    Ok(handler(deps, |deps, request| async move { handle(&deps, request).await }))
}

fn otpless_otp_verify(settings: &Settings, clock: LocalClock) -> Result<Handler, BadSetting> {
    use otpless_otp_verify::{Deps, handle};
    let aws = aws::config(settings)?;
    let deps = Deps {
        apps: CachedApps::new(AppTable::new(&aws, settings.require("APP_TABLE")?)),
        ledgers: ChallengeTable::new(&aws, settings.require("CHALLENGE_TABLE")?),
        keyring: SecretKeyring::new(&aws, settings.require("KEYRING_SECRET")?),
        clock,
        entropy: SystemEntropy,
    };
    Ok(handler(deps, |deps, request| async move { handle(&deps, request).await }))
}

fn rollout_otp_verify(settings: &Settings, clock: LocalClock) -> Result<Handler, BadSetting> {
    use rollout_otp_verify::{Deps, handle};
    let aws = aws::config(settings)?;
    let deps = Deps {
        ledgers: ChallengeTable::new(&aws, settings.require("CHALLENGE_TABLE")?),
        keyring: SecretKeyring::new(&aws, settings.require("KEYRING_SECRET")?),
        clock,
        entropy: SystemEntropy,
    };
    Ok(handler(deps, |deps, request| async move { handle(&deps, request).await }))
}
