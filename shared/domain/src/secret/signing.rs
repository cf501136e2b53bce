//! The keys that sign challenge tokens and proofs. They come from a stored secret of their own, in the
//! form of the [keyring](super::keyring)'s, so that only functions that deal in such tokens can read
//! it: whoever reads the keyring cannot sign a proof, and whoever reads this cannot derive a code.

use super::keyring::{KeyId, KeyringError, Secret, derive, rotate};
use std::fmt;

/// The secret half of an Ed25519 key pair (RFC 8032).
pub struct SigningSeed([u8; 32]);

impl SigningSeed {
    /// The 32 bytes, for the library that signs. They go nowhere else.
    #[must_use]
    pub const fn reveal(&self) -> &[u8; 32] {
        &self.0
    }
}

struct SigningKey {
    id: KeyId,
    seed: SigningSeed,
}

impl SigningKey {
    fn from_secret(secret: &str) -> Result<Self, KeyringError> {
        let id = KeyId::derive(secret, "passcode signing key id")?;
        Ok(Self { id, seed: SigningSeed(derive(secret, "passcode signing Ed25519")?) })
    }
}

/// The key that signs, and the one before, whose tokens are still believed.
pub struct SigningKeys {
    current: SigningKey,
    previous: Option<SigningKey>,
}

impl SigningKeys {
    /// Derives the keys from the stored secret.
    pub fn from_secret(json: &str) -> Result<Self, KeyringError> {
        let secret = Secret::parse(json)?;
        Ok(Self {
            current: SigningKey::from_secret(secret.current())?,
            previous: secret.previous.as_deref().map(SigningKey::from_secret).transpose()?,
        })
    }

    /// The stored secret after a rotation, as [`Keyring::rotated`](crate::Keyring::rotated).
    pub fn rotated(secret: &str, new: &str) -> Result<String, KeyringError> {
        let rotated = rotate(secret, new)?;
        Self::from_secret(&rotated)?;
        Ok(rotated)
    }

    /// The keys with their ids, the one that signs first.
    pub fn seeds(&self) -> impl Iterator<Item = (&KeyId, &SigningSeed)> {
        let all = [Some(&self.current), self.previous.as_ref()];
        all.into_iter().flatten().map(|key| (&key.id, &key.seed))
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKeys({})", self.current.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Keyring;

    const FIRST: &str = "first-secret-of-at-least-32-characters";
    const SECOND: &str = "second-secret-of-at-least-32-characters";

    fn ids(json: &str) -> Vec<String> {
        let keys = SigningKeys::from_secret(json).unwrap();
        keys.seeds().map(|(id, _)| id.to_string()).collect()
    }

    #[test]
    fn what_is_no_secret_is_refused_and_not_rotated() {
        for (secret, expected) in [
            ("", KeyringError::Malformed),
            ("{}", KeyringError::Malformed),
            (r#"{"root":"short"}"#, KeyringError::TooShort),
        ] {
            assert_eq!(SigningKeys::from_secret(secret).err(), Some(expected), "{secret}");
            assert!(secret.contains("short") || SigningKeys::rotated(secret, SECOND).is_err());
        }
        let secret = format!(r#"{{"root":"{FIRST}"}}"#);
        assert_eq!(SigningKeys::rotated(&secret, "short"), Err(KeyringError::TooShort));
    }

    #[test]
    fn the_key_before_stays_for_one_rotation_and_no_id_is_one_of_the_keyrings() {
        let first = format!(r#"{{"root":"{FIRST}"}}"#);
        let second = SigningKeys::rotated(&first, SECOND).unwrap();
        let third =
            SigningKeys::rotated(&second, "third-secret-of-at-least-32-characters").unwrap();
        let [one, two, three] = [&first, &second, &third].map(|json| ids(json));
        assert_eq!((one.len(), two.len(), three.len()), (1, 2, 2));
        assert_eq!((&two[1], &three[1]), (&one[0], &two[0]));
        assert!(!three.contains(&one[0]), "two rotations end a key");
        assert_ne!(Keyring::from_secret(&first).unwrap().current_id().as_str(), one[0]);
    }

    #[test]
    fn debug_output_shows_no_key() {
        let keys = SigningKeys::from_secret(&format!(r#"{{"root":"{FIRST}"}}"#)).unwrap();
        let shown = format!("{keys:?}");
        assert!(!shown.contains(FIRST) && shown.len() < 24, "{shown}");
    }
}
