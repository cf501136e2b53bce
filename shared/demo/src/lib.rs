//! The demo app and its user Ada. `cargo local` writes them into a new stack, and the tests act on
//! them. Nothing that is deployed depends on this crate.

use passcode_domain::{
    App, Channel, EmailAddress, PhoneNumber, User,
    app::{Browser, Issuer, SecretHash, StepUp, guard::Guard},
    secret::{password::HashedSecret, proof::GrantMode},
    value::country::Country,
};
use std::collections::BTreeMap;

/// The app's `clientId`.
pub const CLIENT_ID: &str = "demo";

/// The app's `clientSecret`.
pub const CLIENT_SECRET: &str = "demo-secret";

/// The app's admin key.
pub const ADMIN_KEY: &str = "demo-admin";

/// The origin of the app's pages.
pub const ORIGIN: &str = "https://shop.example";

/// The URL of the issuer of the app's access tokens. The local stack has an issuer of its own.
pub const ISSUER: &str = "https://issuer.example";

/// The audience of the app's access tokens.
pub const AUDIENCE: &str = "passcode";

/// The id of the user.
pub const USER_ID: &str = "63fcedad5ab92b52bfbf5125";

/// The username of the user.
pub const USERNAME: &str = "ada";

/// The e-mail address of the user.
pub const EMAIL: &str = "ada@example.com";

/// The phone number of the user.
pub const PHONE: &str = "+14155550100";

/// The PIN of the user.
pub const PIN: &str = "1793";

/// The password of the user.
pub const PASSWORD: &str = "correct horse battery staple";

/// The countries of Ada's phone number and of the numbers in the examples of the contracts.
#[must_use]
pub fn countries() -> [Country; 4] {
    ["GR", "IN", "NG", "US"].map(parsed)
}

/// The app, with a secret, an admin key, an issuer, a page and two scopes of step-up.
#[must_use]
pub fn app() -> App {
    App {
        secrets: vec![SecretHash::of(CLIENT_SECRET)],
        admin_keys: vec![SecretHash::of(ADMIN_KEY)],
        host: Some("example.com".to_owned()),
        issuer: Some(Issuer {
            url: ISSUER.to_owned(),
            audience: AUDIENCE.to_owned(),
            jwks_url: None,
            linked_identity_claim: None,
        }),
        browser: Browser { origins: vec![ORIGIN.to_owned()], ..Browser::default() },
        step_up: BTreeMap::from([
            ("transfer".to_owned(), StepUp::new(Channel::Sms, GrantMode::SingleUse)),
            ("email:change".to_owned(), StepUp::new(Channel::Email, GrantMode::SessionBound)),
        ]),
        guard: Guard::default().with_countries(countries()),
        ..App::new(parsed(CLIENT_ID), "Demo")
    }
}

/// The user, with every address and secret. The salts are those of the PIN and of the password.
/// Two secrets are hashed with Argon2, which takes some tens of milliseconds.
#[must_use]
pub fn ada(salts: [[u8; 16]; 2]) -> User {
    let [pin, password] = salts;
    User {
        username: Some(parsed(USERNAME)),
        email: Some(email()),
        phone: Some(phone()),
        pin: Some(HashedSecret::of(PIN, pin)),
        password: Some(HashedSecret::of(PASSWORD, password)),
        ..User::new(parsed(CLIENT_ID), parsed(USER_ID))
    }
}

/// The e-mail address of the user.
#[must_use]
pub fn email() -> EmailAddress {
    EmailAddress::parse(EMAIL).unwrap_or_else(|error| unreachable!("{error}"))
}

/// The phone number of the user.
#[must_use]
pub fn phone() -> PhoneNumber {
    PhoneNumber::parse(PHONE).unwrap_or_else(|error| unreachable!("{error}"))
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| unreachable!("{text}: {error}"))
}
