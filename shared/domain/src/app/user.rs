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
#[serde(deny_unknown_fields)]
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
