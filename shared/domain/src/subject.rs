//! Whom a challenge is about: an address or a user, within an app.

use crate::{Address, AppId, Keyring, bytes};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The key of one subject's ledger: an HMAC of app and address under the keyring's index key, cut
/// to 128 bits. It tells nothing about the address to whoever lacks the keyring.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SubjectKey(#[serde(with = "bytes")] pub(crate) [u8; 16]);

impl SubjectKey {
    /// A key from its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The key of an address within an app. Equal for every spelling of the address.
    #[must_use]
    pub fn of_address(keyring: &Keyring, app: &AppId, address: &Address) -> Self {
        let kind = address.kind();
        Self(keyring.index_mac(&["subject", app.as_str(), kind, &address.canonical()]))
    }

    /// The key of a subject that nobody is: what is done for the one that a name leads to can be
    /// done for it, where the name leads to none.
    #[must_use]
    pub fn of_nobody(keyring: &Keyring, app: &AppId, name: &str) -> Self {
        Self(keyring.index_mac(&["nobody", app.as_str(), name]))
    }
}

impl fmt::Display for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bytes::encode(&self.0))
    }
}

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectKey({self})")
    }
}

/// The id of the credential that a verified subject is: the same for the same app and address
/// every time, and derived, so that no table holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialId(String);

impl CredentialId {
    /// The credential of an address within an app.
    #[must_use]
    pub fn of_address(keyring: &Keyring, app: &AppId, address: &Address) -> Self {
        let mac: [u8; 16] = match address {
            // No text is a phone number and an e-mail address; a user's id can be either.
            Address::User(user) => {
                keyring.index_mac(&["credential", app.as_str(), "user", user.as_str()])
            }
            Address::Phone(_) | Address::Email(_) => {
                keyring.index_mac(&["credential", app.as_str(), &address.canonical()])
            }
        };
        Self(format!("cred_{}", bytes::encode(&mac)))
    }

    /// The id as callers see it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
