//! Ids and keys: what apps, users, subjects, challenges and stored items are named by.

use super::bytes;
use serde::{Deserialize, Serialize};
use std::{fmt, ops::RangeInclusive, str::FromStr};
use thiserror::Error;

/// The name an app signs in with (`clientId`): 1 to 64 letters, digits, `-`, `_` or `.`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppId(String);

/// A text that names no app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an app id is 1 to 64 letters, digits, `-`, `_` or `.`")]
pub struct MalformedAppId;

impl AppId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AppId {
    /// What stands in a ledger that is made to be refused by its store.
    pub(crate) fn unnamed() -> Self {
        Self("-".to_owned())
    }
}

impl FromStr for AppId {
    type Err = MalformedAppId;

    fn from_str(text: &str) -> Result<Self, MalformedAppId> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let valid = (1..=64).contains(&text.len()) && text.bytes().all(allowed);
        valid.then(|| Self(text.to_owned())).ok_or(MalformedAppId)
    }
}

impl TryFrom<String> for AppId {
    type Error = MalformedAppId;

    fn try_from(text: String) -> Result<Self, MalformedAppId> {
        text.parse()
    }
}

impl From<AppId> for String {
    fn from(id: AppId) -> Self {
        id.0
    }
}

/// The app's id for a user, such as the `sub` of its tokens: 1 to 255 visible ASCII characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserId(String);

/// A text that names no user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a user id is 1 to 255 visible ASCII characters")]
pub struct MalformedUserId;

impl UserId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserId {
    type Err = MalformedUserId;

    fn from_str(text: &str) -> Result<Self, MalformedUserId> {
        is_visible(text, 1..=255).then(|| Self(text.to_owned())).ok_or(MalformedUserId)
    }
}

impl TryFrom<String> for UserId {
    type Error = MalformedUserId;

    fn try_from(text: String) -> Result<Self, MalformedUserId> {
        text.parse()
    }
}

impl From<UserId> for String {
    fn from(id: UserId) -> Self {
        id.0
    }
}

/// Some apps know their users by e-mail address.
impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserId(masked)")
    }
}

/// The name a user goes by within an app: 1 to 64 visible ASCII characters, in lower case whatever
/// was given. It holds no `@` and begins with no `+`, so that it is never taken for an address.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Username(String);

/// A text that nobody can go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a username is 1 to 64 visible ASCII characters, without `@` and without `+` in front")]
pub struct MalformedUsername;

impl Username {
    /// The name, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Username {
    type Err = MalformedUsername;

    fn from_str(text: &str) -> Result<Self, MalformedUsername> {
        let is_address = text.contains('@') || text.starts_with('+');
        let valid = is_visible(text, 1..=64) && !is_address;
        valid.then(|| Self(text.to_ascii_lowercase())).ok_or(MalformedUsername)
    }
}

impl TryFrom<String> for Username {
    type Error = MalformedUsername;

    fn try_from(text: String) -> Result<Self, MalformedUsername> {
        text.parse()
    }
}

impl From<Username> for String {
    fn from(name: Username) -> Self {
        name.0
    }
}

impl fmt::Debug for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Username(masked)")
    }
}

fn is_visible(text: &str, length: RangeInclusive<usize>) -> bool {
    length.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// The key of one subject's ledger: an HMAC of app and address under the keyring's index key, cut
/// to 128 bits. It tells nothing about the address to whoever lacks the keyring.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SubjectKey(#[serde(with = "crate::value::bytes")] pub(crate) [u8; 16]);

impl SubjectKey {
    /// A key from its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
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

/// The key of one stored item: a ledger's subject, or an HMAC that names an order, an unsent challenge or
/// an idempotent request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ItemKey([u8; 16]);

impl ItemKey {
    /// A key from its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl From<SubjectKey> for ItemKey {
    fn from(subject: SubjectKey) -> Self {
        Self(subject.0)
    }
}

impl fmt::Display for ItemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bytes::encode(&self.0))
    }
}

/// The key of one counter: an HMAC of app, dimension, value and caller class.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CounterKey(#[serde(with = "crate::value::bytes")] [u8; 16]);

impl CounterKey {
    /// A key from its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for CounterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bytes::encode(&self.0))
    }
}

impl fmt::Debug for CounterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CounterKey({self})")
    }
}

/// A text that is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a key")]
pub struct MalformedKey;

impl FromStr for CounterKey {
    type Err = MalformedKey;

    fn from_str(text: &str) -> Result<Self, MalformedKey> {
        bytes::decode(text).map(Self).ok_or(MalformedKey)
    }
}

/// 128 bits that name the subject and 128 random bits that name the challenge. Whoever holds an
/// id may verify; it cannot be guessed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChallengeId {
    pub(crate) subject: SubjectKey,
    pub(crate) random: [u8; 16],
}

impl ChallengeId {
    /// The id of the challenge `random` of a subject.
    #[must_use]
    pub const fn new(subject: SubjectKey, random: [u8; 16]) -> Self {
        Self { subject, random }
    }

    /// The subject whose ledger holds the challenge.
    #[must_use]
    pub const fn subject(&self) -> &SubjectKey {
        &self.subject
    }

    /// Reads 52 characters of base32.
    pub(crate) fn from_text(text: &str) -> Result<Self, MalformedId> {
        let all: [u8; 32] = bytes::decode(text).ok_or(MalformedId)?;
        let (subject, random) = all.split_at(16);
        let half = |bytes: &[u8]| bytes.try_into().map_err(|_| MalformedId);
        Ok(Self { subject: SubjectKey(half(subject)?), random: half(random)? })
    }

    pub(crate) fn to_bytes(self) -> [u8; 32] {
        let mut all = [0; 32];
        all[..16].copy_from_slice(&self.subject.0);
        all[16..].copy_from_slice(&self.random);
        all
    }
}

impl fmt::Debug for ChallengeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChallengeId(masked)")
    }
}

/// A text that is no challenge id, whatever the tables hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a challenge id")]
pub struct MalformedId;

/// The stored form: 52 characters of base32. What callers see is printed by [`ChallengeId::print`].
impl TryFrom<String> for ChallengeId {
    type Error = MalformedId;

    fn try_from(text: String) -> Result<Self, MalformedId> {
        Self::from_text(&text)
    }
}

impl From<ChallengeId> for String {
    fn from(id: ChallengeId) -> Self {
        bytes::encode(&id.to_bytes())
    }
}

/// What leads to all sessions of a user: an HMAC of app and user under the keyring's index key, cut to 128
/// bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserKey(pub(crate) [u8; 16]);

impl UserKey {
    /// A key from its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bytes::encode(&self.0))
    }
}

impl fmt::Debug for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserKey({self})")
    }
}

/// The id of a session: 128 bits that name it among its user's. Printed as the `sid` of access tokens, it
/// opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub(crate) [u8; 16]);

/// A text that is no session's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a session id")]
pub struct MalformedSessionId;

/// How a printed session id begins.
const SESSION: &str = "ses_";

impl SessionId {
    /// An id from its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SESSION}{}", bytes::encode(&self.0))
    }
}

impl FromStr for SessionId {
    type Err = MalformedSessionId;

    fn from_str(text: &str) -> Result<Self, MalformedSessionId> {
        let id = text.strip_prefix(SESSION).and_then(bytes::decode);
        id.map(Self).ok_or(MalformedSessionId)
    }
}

/// The key of one session's item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey {
    /// Whose session it is.
    pub user: UserKey,
    /// Which one.
    pub session: SessionId,
}

/// The id of the credential that a verified subject is: the same for the same app and address every
/// time, and derived, so that no table holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialId(pub(crate) String);

impl CredentialId {
    /// The id as callers see it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn an_id_survives_its_text(subject: [u8; 16], random: [u8; 16]) {
            let id = ChallengeId::new(SubjectKey(subject), random);
            prop_assert_eq!(ChallengeId::try_from(String::from(id)), Ok(id));
        }

        #[test]
        fn no_other_text_reads_as_the_same_id(subject: [u8; 16], at in 0..52usize, by in 1..32u8) {
            let id = ChallengeId::new(SubjectKey(subject), subject);
            let mut text = String::from(id).into_bytes();
            let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
            let old = alphabet.iter().position(|c| *c == text[at]).unwrap();
            text[at] = alphabet[(old + usize::from(by)) % 32];
            let changed = ChallengeId::try_from(String::from_utf8(text).unwrap());
            prop_assert_ne!(changed, Ok(id));
        }
    }

    #[test]
    fn malformed_ids_are_refused() {
        let long = "A".repeat(5000);
        for text in ["", "A", "ARID_A1B2C3D4E5F6", &"a".repeat(52), &"1".repeat(52), "é", &long] {
            assert_eq!(ChallengeId::from_text(text), Err(MalformedId));
        }
    }

    #[test]
    fn malformed_app_ids_are_refused() {
        for id in ["", "a b", "a/b", "é", &"a".repeat(65)] {
            assert_eq!(id.parse::<AppId>(), Err(MalformedAppId), "{id:?}");
        }
    }

    #[test]
    fn malformed_ids_and_names_are_refused() {
        for id in ["", "a b", "a\n", "é", "\u{7f}", &"a".repeat(256)] {
            assert_eq!(id.parse::<UserId>(), Err(MalformedUserId), "{id:?}");
        }
        for name in ["", "a b", "é", "ada@example.com", "@ada", "+14155550100", &"a".repeat(65)] {
            assert_eq!(name.parse::<Username>(), Err(MalformedUsername), "{name:?}");
        }
    }

    #[test]
    fn ids_differ_in_case_and_names_do_not() {
        let [lower, upper] = ["auth0|5f7c", "AUTH0|5F7C"].map(|id| id.parse::<UserId>().unwrap());
        assert_ne!(lower, upper);
        let [lower, upper] = ["ada.l/1", "Ada.L/1"].map(|name| name.parse::<Username>().unwrap());
        assert_eq!((&lower, upper.as_str()), (&upper, "ada.l/1"));
    }
}
