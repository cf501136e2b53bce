//! Demo data: made at the start of a local stack, and nowhere else.

use super::Stack;
use passcode_domain::{
    App,
    app::{EmailSender, SecretHash},
    ports::{LoadApps as _, StoreApps as _},
};
use passcode_dynamodb::AppTable;
use passcode_runtime::aws;
use std::error::Error;

/// The demo app's `clientId`.
pub(super) const CLIENT_ID: &str = "demo";

/// The demo app's `clientSecret`.
pub(super) const CLIENT_SECRET: &str = "demo-secret";

/// Makes what is not there yet.
pub(super) async fn create(stack: &Stack) -> Result<(), Box<dyn Error>> {
    let config = aws::config(&stack.settings(""))?;
    let apps = AppTable::new(&config, stack.table("AppTable")?);
    let app = App {
        secrets: vec![SecretHash::of(CLIENT_SECRET)],
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
