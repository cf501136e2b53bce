//! Demo data: made at the start of a local stack, and nowhere else.

use super::Stack;
use argon2::{Argon2, PasswordHasher as _};
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
    let app = CLIENT_ID.parse()?;
    if users.load_user(&app, USER_ID).await?.is_some() {
        return Ok(());
    }
    let user = User {
        app,
        id: USER_ID.to_owned(),
        email: Some(EmailAddress::parse("ada@example.com")?),
        phone: Some(PhoneNumber::parse("+14155550100")?),
        pin: Some(hash(PIN)?),
        password: Some(hash(PASSWORD)?),
    };
    Ok(users.store_user(&user).await?)
}

/// Argon2id with OWASP's parameters: 19 MiB, two passes, one lane.
fn hash(secret: &str) -> Result<HashedSecret, Box<dyn Error>> {
    let salt = SystemEntropy.bytes::<16>();
    let hash = Argon2::default().hash_password_with_salt(secret.as_bytes(), &salt);
    Ok(HashedSecret(hash.map_err(|error| error.to_string())?.to_string()))
}
