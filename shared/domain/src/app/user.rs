//! Users: people an app knows by an id of its own, with their registered addresses and what they
//! can prove themselves with.

use crate::{
    secret::password::HashedSecret,
    value::{
        address::{EmailAddress, PhoneNumber},
        id::{AppId, UserId, Username},
    },
};
use serde::{Deserialize, Serialize};

/// A user of an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The app that knows the user.
    pub app: AppId,
    /// The app's id for the user.
    pub id: UserId,
    /// The name the user goes by; nobody else in the app has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<Username>,
    /// The registered e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailAddress>,
    /// The registered phone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<PhoneNumber>,
    /// The PIN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<HashedSecret>,
    /// The password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<HashedSecret>,
}

impl User {
    /// A user of whom nothing but the id is known.
    #[must_use]
    pub const fn new(app: AppId, id: UserId) -> Self {
        Self { app, id, username: None, email: None, phone: None, pin: None, password: None }
    }
}

/// A change of one user.
#[derive(Clone, Debug)]
pub struct UserChange {
    /// The user as loaded.
    pub before: User,
    /// The user as it shall be.
    pub after: User,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_user_is_read_strictly_and_shows_nothing() {
        let user = User {
            username: Some("Ada".parse().unwrap()),
            email: Some(EmailAddress::parse("ada@example.com").unwrap()),
            pin: Some(HashedSecret::decoy()),
            ..User::new("demo".parse().unwrap(), "ada-1".parse().unwrap())
        };
        let stored = serde_json::to_string(&user).unwrap();
        assert_eq!(serde_json::from_str::<User>(&stored).unwrap(), user);
        for odd in [
            stored.replace("ada-1", "ada 1"),
            stored.replace("\"ada\"", "\"@ada\""),
            stored.replace("$argon2id", "$argon2d"),
        ] {
            assert!(serde_json::from_str::<User>(&odd).is_err(), "{odd}");
        }
        let shown = format!("{user:?}");
        assert!(!shown.contains("ada") && !shown.contains("argon2"), "{shown}");
    }
}
