//! Demo data: made at the start of a local stack, and nowhere else.

use super::Stack;
use aws_types::SdkConfig;
use passcode_domain::{
    App, EmailAddress, PhoneNumber,
    app::{EmailSender, SecretHash},
    ports::{Entropy as _, LoadApps as _, LoadUsers as _, StoreApps as _, StoreUsers as _},
    user::{HashedSecret, User},
};
use passcode_dynamodb::{AppTable, UserTable};
use passcode_runtime::{SystemEntropy, aws};
use std::error::Error;

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
        ..App::new(CLIENT_ID.parse()?, "Demo")
    };
    if apps.load_app(&app.id).await?.is_none() {
        apps.store_app(&app).await?;
    }
    Ok(())
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
