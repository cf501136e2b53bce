//! Users: people an app knows by an id of its own, with their registered addresses and what they
//! can prove themselves with.

use crate::{AppId, EmailAddress, PhoneNumber};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A hashed PIN or password, in the PHC string format (Argon2id, with salt and parameters).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HashedSecret(pub String);

impl fmt::Debug for HashedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashedSecret(masked)")
    }
}

/// A user of an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The app that knows the user.
    pub app: AppId,
    /// The app's id for the user.
    pub id: String,
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
