//! Demo data: made at the start of a local stack, and nowhere else.

use super::{Stack, issuer};
use aws_types::SdkConfig;
use passcode_domain::{
    App, Channel, EmailAddress, PhoneNumber, User,
    app::{
        Browser, EmailSender, Issuer, SecretHash, StepUp,
        guard::{Guard, Mode, Rule},
    },
    ports::{Entropy as _, LoadApps as _, LoadUsers as _, StoreApps as _, StoreUsers as _},
    secret::{password::HashedSecret, proof::GrantMode},
    value::country::Country,
};
use passcode_dynamodb::{AppTable, UserTable};
use passcode_runtime::{SystemEntropy, aws};
use std::{collections::BTreeMap, error::Error};

/// The demo app's `clientId`.
pub(super) const CLIENT_ID: &str = "demo";

/// The demo app's `clientSecret`.
pub(super) const CLIENT_SECRET: &str = "demo-secret";

/// The demo app's admin key.
pub(super) const ADMIN_KEY: &str = "demo-admin";

/// The demo user's id.
pub(super) const USER_ID: &str = "63fcedad5ab92b52bfbf5125";

/// The demo user's name.
pub(super) const USERNAME: &str = "ada";

/// The demo user's PIN.
pub(super) const PIN: &str = "1793";

/// The demo user's password.
pub(super) const PASSWORD: &str = "correct horse battery staple";

/// The origins of demo pages that may call: that of the recorded events, and one to try things on.
const PAGES: [&str; 2] = ["https://shop.example", "http://localhost:3000"];

/// The templates that the contracts' own examples name.
const TEMPLATES: [&str; 2] = ["your-template-id", "lcfg_01jqebhswje1ka1z7ahr9rfsgt"];

/// Makes what is not there yet.
pub(super) async fn create(stack: &Stack) -> Result<(), Box<dyn Error>> {
    let config = aws::config(&stack.settings(""))?;
    create_app(stack, &config).await?;
    create_user(stack, &config).await
}

async fn create_app(stack: &Stack, config: &SdkConfig) -> Result<(), Box<dyn Error>> {
    let apps = AppTable::new(config, stack.table("AppTable")?);
    let app = App {
        secrets: vec![SecretHash::of(CLIENT_SECRET)],
        admin_keys: vec![SecretHash::of(ADMIN_KEY)],
        host: Some("example.com".to_owned()),
        email: EmailSender {
            from: Some("Demo <codes@example.com>".to_owned()),
            ..EmailSender::default()
        },
        issuer: Some(issuer(stack)),
        browser: browser(stack),
        templates: TEMPLATES
            .map(|id| (id.to_owned(), "sms = { $brand }: { $code }".to_owned()))
            .into(),
        step_up: step_up(),
        guard: guard(),
        ..App::new(CLIENT_ID.parse()?, "Demo")
    };
    // On another port the issuer has another name, and so has the documentation's page.
    let app = match apps.load_app(&app.id).await? {
        Some(known) if known.issuer == app.issuer => return Ok(()),
        Some(known) => App { issuer: app.issuer, browser: app.browser, ..(*known).clone() },
        None => app,
    };
    Ok(apps.store_app(&app.validated()?).await?)
}

/// Whoever tries things out rarely types a code, and sends to the same number all day: here what
/// looks like an attack is only recorded.
fn guard() -> Guard {
    let countries = ["GR", "IN", "NG", "US"].map(|text| text.parse().unwrap_or(Country::NONE));
    let mut guard = Guard::default().with_countries(countries);
    (guard.sends_per_address.per_hour, guard.sends_per_address.per_day) = (100, 100);
    for detector in Rule::DETECTORS {
        *guard.mode_mut(detector) = Mode::Shadow;
    }
    guard
}

fn issuer(stack: &Stack) -> Issuer {
    Issuer {
        url: issuer::url(&stack.api),
        audience: issuer::AUDIENCE.to_owned(),
        jwks_url: None,
        linked_identity_claim: None,
    }
}

/// Pages of the stack's own, under either of its names, may call as well.
fn browser(stack: &Stack) -> Browser {
    let own = [stack.api.clone(), stack.api.replace("127.0.0.1", "localhost")];
    let origins = PAGES.into_iter().map(str::to_owned).chain(own).collect();
    Browser { origins, ..Browser::default() }
}

fn step_up() -> BTreeMap<String, StepUp> {
    let scope =
        |name: &str, channel, grant_mode| (name.to_owned(), StepUp::new(channel, grant_mode));
    BTreeMap::from([
        scope("transfer", Channel::Sms, GrantMode::SingleUse),
        scope("email:change", Channel::Email, GrantMode::SessionBound),
    ])
}

async fn create_user(stack: &Stack, config: &SdkConfig) -> Result<(), Box<dyn Error>> {
    let users = UserTable::new(config, stack.table("UserTable")?);
    let hash = |secret| Some(HashedSecret::of(secret, SystemEntropy.bytes()));
    let ada = User {
        username: Some(USERNAME.parse()?),
        email: Some(EmailAddress::parse("ada@example.com")?),
        phone: Some(PhoneNumber::parse("+14155550100")?),
        ..User::new(CLIENT_ID.parse()?, USER_ID.parse()?)
    };
    if users.load_user(&ada.app, &ada.id).await?.is_none() {
        users.store_user(&User { pin: hash(PIN), password: hash(PASSWORD), ..ada }).await?;
    }
    Ok(())
}
