//! The keyring: every key of the product but those that sign, derived from one stored secret.
//!
//! The secret is a JSON object. A deployment begins with `{"root": "<random text>"}`; a rotation
//! adds `current` (the new secret) and `previous` (the one before, `root` at first). Sub-keys come
//! from HKDF-SHA-256 (RFC 5869), one label each. The index key hangs on `root` and never rotates,
//! since it names what is stored; code keys rotate, and the previous one still verifies.

use crate::value::{
    address::Address,
    bytes,
    id::{
        AppId, ChallengeId, CredentialId, ItemKey, MalformedId, SessionId, SubjectKey, UserId,
        UserKey,
    },
};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt;
use thiserror::Error;

/// Secrets shorter than this are refused: they would be guessable.
const MIN_SECRET_LENGTH: usize = 32;

/// One block of SHA-256, the longest key HMAC takes as it is.
type Key = [u8; 64];

/// The id of a keyring secret, kept beside whatever was derived from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(String);

impl KeyId {
    /// The id of a secret, which tells nothing of it.
    pub(crate) fn derive(secret: &str, label: &str) -> Result<Self, KeyringError> {
        Ok(Self(bytes::encode(&derive::<5>(secret, label)?)))
    }

    /// The id as text: the `kid` of tokens.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The key that codes are derived under.
pub struct CodeKey(Key);

impl CodeKey {
    /// HMAC-SHA-256 (RFC 2104) of the parts, one after the other. The caller keeps them of fixed
    /// length, so that no two inputs run together.
    pub(crate) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = keyed(&self.0);
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

struct Generation {
    id: KeyId,
    code: CodeKey,
    cookie: Key,
}

/// The keys in force: the index key, and the code keys of the current and the previous secret.
pub struct Keyring {
    index: Key,
    current: Generation,
    previous: Option<Generation>,
}

/// Why a stored secret is no keyring. Nothing of the secret is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyringError {
    /// Not the JSON object described at the top of this module.
    #[error("the keyring secret is not a JSON object with a text `root`")]
    Malformed,
    /// A secret of fewer than 32 characters.
    #[error("a keyring secret is shorter than 32 characters")]
    TooShort,
}

/// A stored secret.
#[derive(Deserialize)]
pub(crate) struct Secret {
    pub(crate) root: String,
    current: Option<String>,
    pub(crate) previous: Option<String>,
}

impl Secret {
    pub(crate) fn parse(json: &str) -> Result<Self, KeyringError> {
        serde_json::from_str(json).map_err(|_| KeyringError::Malformed)
    }

    /// The text in force: the root until the first rotation.
    pub(crate) fn current(&self) -> &str {
        self.current.as_deref().unwrap_or(&self.root)
    }
}

impl Keyring {
    /// Derives the keys from the stored secret.
    pub fn from_secret(json: &str) -> Result<Self, KeyringError> {
        let secret = Secret::parse(json)?;
        Ok(Self {
            index: derive(&secret.root, "passcode index")?,
            current: Generation::from_secret(secret.current())?,
            previous: secret.previous.as_deref().map(Generation::from_secret).transpose()?,
        })
    }

    /// The id of the key that new challenges use.
    #[must_use]
    pub const fn current_id(&self) -> &KeyId {
        &self.current.id
    }

    /// The code key with an id, while it lives.
    #[must_use]
    pub fn code_key(&self, id: &KeyId) -> Option<&CodeKey> {
        self.generations()
            .find(|generation| generation.id == *id)
            .map(|generation| &generation.code)
    }

    fn generations(&self) -> impl Iterator<Item = &Generation> {
        [Some(&self.current), self.previous.as_ref()].into_iter().flatten()
    }

    /// 128-bit HMACs of the parts under the cookie keys, the current one first. Each part is
    /// preceded by its length, so no two lists of parts run together.
    pub(crate) fn cookie_macs(&self, parts: &[&[u8]]) -> impl Iterator<Item = [u8; 16]> {
        self.generations().map(move |generation| short_mac(&generation.cookie, parts))
    }

    /// A 128-bit HMAC of the parts under the index key. Each part is preceded by its length, so no
    /// two lists of parts run together.
    pub(crate) fn index_mac(&self, parts: &[&str]) -> [u8; 16] {
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        self.index_mac_of(&parts)
    }

    /// The same, of bytes.
    pub(crate) fn index_mac_of(&self, parts: &[&[u8]]) -> [u8; 16] {
        short_mac(&self.index, parts)
    }

    /// The half of a printed id that would tell what two ids have in common, masked with an HMAC over the
    /// other half. Masked again, it is what it was.
    pub(crate) fn masked(&self, what: &str, half: [u8; 16], other: &[u8; 16]) -> [u8; 16] {
        let mut masked = self.index_mac_of(&[what.as_bytes(), other]);
        masked.iter_mut().zip(half).for_each(|(byte, half)| *byte ^= half);
        masked
    }

    /// The key of the item that the parts name.
    pub(crate) fn item_key(&self, parts: &[&str]) -> ItemKey {
        ItemKey::from_bytes(self.index_mac(parts))
    }

    /// A key of 256 bits for what the parts name, made in the same way.
    pub(crate) fn index_key(&self, parts: &[&[u8]]) -> [u8; 32] {
        full_mac(&self.index, parts)
    }

    /// The id of the key before the current one, under which codes may still be out.
    #[must_use]
    pub fn previous_id(&self) -> Option<&KeyId> {
        self.previous.as_ref().map(|generation| &generation.id)
    }

    /// The secret after a rotation: `new` is current, what was current is the previous one, and
    /// what was the previous one is gone. `root` stays, and so does whatever else is in there.
    pub fn rotated(secret: &str, new: &str) -> Result<String, KeyringError> {
        let rotated = rotate(secret, new)?;
        // What would not be read must not be stored.
        Self::from_secret(&rotated)?;
        Ok(rotated)
    }
}

/// A secret with `new` as its current text, and the one before as the previous.
pub(crate) fn rotate(secret: &str, new: &str) -> Result<String, KeyringError> {
    let Secret { root, current, .. } = Secret::parse(secret)?;
    let mut fields: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(secret).map_err(|_| KeyringError::Malformed)?;
    fields.insert("previous".to_owned(), current.unwrap_or(root).into());
    fields.insert("current".to_owned(), new.into());
    Ok(serde_json::Value::Object(fields).to_string())
}

fn short_mac(key: &Key, parts: &[&[u8]]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&full_mac(key, parts)[..16]);
    half
}

fn full_mac(key: &Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = keyed(key);
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({})", self.current.id.0)
    }
}

impl Generation {
    fn from_secret(secret: &str) -> Result<Self, KeyringError> {
        Ok(Self {
            id: KeyId::derive(secret, "passcode key id")?,
            code: CodeKey(derive(secret, "passcode code")?),
            cookie: derive(secret, "passcode cookie")?,
        })
    }
}

pub(crate) fn derive<const N: usize>(secret: &str, label: &str) -> Result<[u8; N], KeyringError> {
    if secret.len() < MIN_SECRET_LENGTH {
        return Err(KeyringError::TooShort);
    }
    let mut key = [0; N];
    Hkdf::<Sha256>::new(None, secret.as_bytes())
        .expand(label.as_bytes(), &mut key)
        .map_err(|_| KeyringError::Malformed)?;
    Ok(key)
}

fn keyed(key: &Key) -> Hmac<Sha256> {
    Hmac::<Sha256>::new(key.into())
}

impl SubjectKey {
    /// The key of an address within an app. Equal for every spelling of the address.
    #[must_use]
    pub fn of_address(keyring: &Keyring, app: &AppId, address: &Address) -> Self {
        let kind = address.kind();
        let parts = ["subject", app.as_str(), kind, &address.canonical()];
        Self::from_bytes(keyring.index_mac(&parts))
    }

    /// The key of a subject that does not exist: work that is done for the subject that a name leads to
    /// is done for this one where the name leads to none, so that both take as long.
    #[must_use]
    pub fn of_unknown_name(keyring: &Keyring, app: &AppId, name: &str) -> Self {
        Self::from_bytes(keyring.index_mac(&["nobody", app.as_str(), name]))
    }
}

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
}

impl ChallengeId {
    /// The id as it is printed: 52 characters of base32. The half that names the subject is masked with
    /// an HMAC over the random half, so that two ids of one subject have nothing in common.
    #[must_use]
    pub fn print(self, keyring: &Keyring) -> String {
        bytes::encode(&self.masked(keyring).to_bytes())
    }

    /// Reads a printed id. Only the form is checked: any 256 bits are the id of some challenge.
    pub fn parse(text: &str, keyring: &Keyring) -> Result<Self, MalformedId> {
        Self::from_text(text).map(|id| id.masked(keyring))
    }

    /// What logs and provider tags name the challenge by: nobody can verify or ask with it.
    #[must_use]
    pub fn log_id(self, keyring: &Keyring) -> String {
        bytes::encode(&keyring.index_mac_of(&[b"log id", &self.to_bytes()])[..10])
    }

    fn masked(self, keyring: &Keyring) -> Self {
        let subject = keyring.masked("challenge id", self.subject.0, &self.random);
        Self { subject: SubjectKey(subject), random: self.random }
    }
}

impl UserKey {
    /// The key of a user of an app.
    #[must_use]
    pub fn of(keyring: &Keyring, app: &AppId, user: &UserId) -> Self {
        Self(keyring.index_mac(&["sessions", app.as_str(), user.as_str()]))
    }
}

impl SessionId {
    /// The id of the session that a verified challenge begins: always the same one, so that a challenge
    /// begins no second session.
    #[must_use]
    pub fn of_challenge(keyring: &Keyring, challenge: ChallengeId) -> Self {
        Self(keyring.index_mac_of(&[b"session", &challenge.to_bytes()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "first-secret-of-at-least-32-characters";
    const SECOND: &str = "second-secret-of-at-least-32-characters";
    const THIRD: &str = "third-secret-of-at-least-32-characters";

    fn keyring(json: &str) -> Keyring {
        Keyring::from_secret(json).unwrap()
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        for json in ["", "[]", "{}", r#"{"root":1}"#, r#"{"root":null}"#] {
            assert_eq!(Keyring::from_secret(json).err(), Some(KeyringError::Malformed), "{json}");
        }
        assert_eq!(Keyring::from_secret(r#"{"root":"short"}"#).err(), Some(KeyringError::TooShort));
    }

    #[test]
    fn a_rotation_keeps_the_index_and_the_previous_key() {
        let before = keyring(&format!(r#"{{"root":"{FIRST}"}}"#));
        let after =
            keyring(&format!(r#"{{"root":"{FIRST}","current":"{SECOND}","previous":"{FIRST}"}}"#));
        assert_eq!(before.index_mac(&["a"]), after.index_mac(&["a"]));
        assert_ne!(before.current_id(), after.current_id());
        assert!(after.code_key(before.current_id()).is_some());

        let last =
            keyring(&format!(r#"{{"root":"{FIRST}","current":"{THIRD}","previous":"{SECOND}"}}"#));
        assert!(last.code_key(before.current_id()).is_none());
    }

    #[test]
    fn printed_ids_of_one_subject_have_nothing_in_common_and_are_read_again() {
        let keyring = keyring(&format!(r#"{{"root":"{FIRST}"}}"#));
        let subject = SubjectKey::from_bytes([7; 16]);
        let ids = [[1; 16], [2; 16]].map(|random| ChallengeId::new(subject, random));
        let printed = ids.map(|id| id.print(&keyring));
        assert_ne!(printed[0][..25], printed[1][..25]);
        for (id, text) in ids.iter().zip(&printed) {
            assert_eq!(ChallengeId::parse(text, &keyring), Ok(*id));
            assert!(
                !text.contains(&subject.to_string()[..25]) && !text.contains(&id.log_id(&keyring))
            );
        }
        assert_ne!(ids[0].log_id(&keyring), ids[1].log_id(&keyring));
    }

    #[test]
    fn parts_never_run_together() {
        let keyring = keyring(&format!(r#"{{"root":"{FIRST}"}}"#));
        assert_ne!(keyring.index_mac(&["ab", "c"]), keyring.index_mac(&["a", "bc"]));
    }

    #[test]
    fn debug_output_hides_the_keys() {
        let shown = format!("{:?}", keyring(&format!(r#"{{"root":"{FIRST}"}}"#)));
        assert!(!shown.contains(FIRST) && shown.len() < 24, "{shown}");
    }

    #[test]
    fn what_is_no_keyring_is_not_rotated() {
        for (secret, new, expected) in [
            ("", SECOND, KeyringError::Malformed),
            (r#"{"current":"x"}"#, SECOND, KeyringError::Malformed),
            (r#"{"root":"short"}"#, SECOND, KeyringError::TooShort),
            (&format!(r#"{{"root":"{FIRST}"}}"#), "short", KeyringError::TooShort),
        ] {
            assert_eq!(Keyring::rotated(secret, new), Err(expected), "{secret} {new}");
        }
    }

    #[test]
    fn rotations_keep_the_root_and_drop_the_key_before_the_previous() {
        let first = format!(r#"{{"root":"{FIRST}","note":"kept"}}"#);
        let second = Keyring::rotated(&first, SECOND).unwrap();
        let third = Keyring::rotated(&second, THIRD).unwrap();
        let [begun, once, twice] = [&first, &second, &third].map(|json| keyring(json));
        assert!(begun.previous_id().is_none());
        assert_eq!(once.previous_id(), Some(begun.current_id()));
        assert_eq!(twice.previous_id(), Some(once.current_id()));
        assert!(twice.code_key(begun.current_id()).is_none(), "two rotations end a key");
        assert_eq!(begun.index_mac(&["a"]), twice.index_mac(&["a"]), "what is stored is found");
        assert!(third.contains(r#""note":"kept""#) && !third.contains("null"), "{third}");
        assert_eq!(once.current_id().to_string().len(), 8);
    }
}
