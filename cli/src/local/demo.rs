//! Writes the demo app and its user into a new local stack.

use super::{Stack, issuer};
use aws_types::SdkConfig;
use passcode_demo::{CLIENT_ID, USER_ID};
use passcode_domain::{
    App,
    app::{
        Browser, EmailSender, Issuer,
        guard::{Guard, Mode, Rule},
    },
    ports::{Entropy as _, LoadApps as _, LoadUsers as _, StoreApps as _, StoreUsers as _},
    value::money::Amount,
};
use passcode_dynamodb::{AppTable, UserTable};
use passcode_runtime::{SystemEntropy, aws};
use std::error::Error;

/// The origin of a page that somebody develops on this machine; it may call, as the demo app's own.
const DEVELOPMENT_ORIGIN: &str = "http://localhost:3000";

/// The ids of message templates in the examples of the contracts.
const TEMPLATES: [&str; 2] = ["your-template-id", "lcfg_01jqebhswje1ka1z7ahr9rfsgt"];

/// Creates the app and the user, if they do not exist.
pub(super) async fn create(stack: &Stack) -> Result<(), Box<dyn Error>> {
    let config = aws::config(&stack.settings(""))?;
    create_app(stack, &config).await?;
    create_user(stack, &config).await
}

async fn create_app(stack: &Stack, config: &SdkConfig) -> Result<(), Box<dyn Error>> {
    let apps = AppTable::new(config, stack.table("AppTable")?);
    let demo = passcode_demo::app();
    let app = App {
        email: EmailSender {
            from: Some("Demo <codes@example.com>".to_owned()),
            ..EmailSender::default()
        },
        issuer: demo.issuer.map(|issuer| Issuer { url: issuer::url(&stack.api), ..issuer }),
        browser: browser(stack, demo.browser),
        templates: TEMPLATES
            .map(|id| (id.to_owned(), "sms = { $brand }: { $code }".to_owned()))
            .into(),
        guard: guard(demo.guard),
        ..demo
    };
    // On another port the issuer and the page of the documentation have other URLs.
    let app = match apps.load_app(&app.id).await? {
        Some(known) if known.issuer == app.issuer => return Ok(()),
        Some(known) => App { issuer: app.issuer, browser: app.browser, ..(*known).clone() },
        None => app,
    };
    Ok(apps.store_app(&app.validated()?).await?)
}

/// Relaxes the guard for somebody who tries things out, who sends to the same number all day and
/// rarely verifies a code: detectors only record.
fn guard(mut guard: Guard) -> Guard {
    (guard.sends_per_address.per_hour, guard.sends_per_address.per_day) = (100, 100);
    // Nothing costs anything here. But every app should have a cap, so the demo shows one.
    guard.spend_cap.per_day = Some(Amount::from_millionths(1_000_000_000));
    for detector in Rule::DETECTORS {
        *guard.mode_mut(detector) = Mode::Shadow;
    }
    guard
}

/// Adds the origins of the stack's own pages, under both names of loopback.
fn browser(stack: &Stack, demo: Browser) -> Browser {
    let own = [stack.api.clone(), stack.api.replace("127.0.0.1", "localhost")];
    let others = [DEVELOPMENT_ORIGIN.to_owned()].into_iter().chain(own);
    Browser { origins: demo.origins.into_iter().chain(others).collect(), ..demo }
}

async fn create_user(stack: &Stack, config: &SdkConfig) -> Result<(), Box<dyn Error>> {
    let users = UserTable::new(config, stack.table("UserTable")?);
    let (app, id) = (CLIENT_ID.parse()?, USER_ID.parse()?);
    if users.load_user(&app, &id).await?.is_none() {
        let ada = passcode_demo::ada([SystemEntropy.bytes(), SystemEntropy.bytes()]);
        users.store_user(&ada).await?;
    }
    Ok(())
}
