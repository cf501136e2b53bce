//! Receipt tags: what leads a provider's report of a message back to the message, without a table.

use super::keyring::Keyring;
use crate::value::{
    bytes,
    id::{ChallengeId, SubjectKey},
};
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// The name of one message: its subject's key, and an HMAC of its challenge and generation. It is no id of a
/// challenge, so whoever reads a provider's events can neither verify nor ask with it; and nobody without the
/// keyring can make one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ReceiptTag {
    subject: SubjectKey,
    #[serde(with = "bytes")]
    message: [u8; 16],
}

/// A text that is no receipt tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a receipt tag")]
pub struct MalformedTag;

impl ReceiptTag {
    /// The tag of the message that carries the code of a generation.
    #[must_use]
    pub fn of(keyring: &Keyring, id: ChallengeId, generation: u32) -> Self {
        let parts: [&[u8]; 3] = [b"receipt", &id.to_bytes(), &generation.to_be_bytes()];
        Self { subject: id.subject, message: keyring.index_mac_of(&parts) }
    }

    /// Whose ledger holds the message.
    #[must_use]
    pub const fn subject(&self) -> &SubjectKey {
        &self.subject
    }

    /// The tag as it is printed: 52 characters of base32, of which two of one subject have nothing in common.
    #[must_use]
    pub fn print(self, keyring: &Keyring) -> String {
        bytes::encode(&self.masked(keyring).as_id().to_bytes())
    }

    /// Reads a printed tag. Only the form is checked: a tag that nobody has made names no message.
    pub fn parse(text: &str, keyring: &Keyring) -> Result<Self, MalformedTag> {
        let id = ChallengeId::from_text(text).map_err(|_| MalformedTag)?;
        Ok(Self { subject: id.subject, message: id.random }.masked(keyring))
    }

    const fn as_id(&self) -> ChallengeId {
        ChallengeId::new(self.subject, self.message)
    }

    fn masked(self, keyring: &Keyring) -> Self {
        let subject = keyring.masked("receipt tag", self.subject.0, &self.message);
        Self { subject: SubjectKey(subject), ..self }
    }
}

impl fmt::Debug for ReceiptTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReceiptTag(masked)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_leads_back_and_tells_nothing() {
        let of = |root: &str| Keyring::from_secret(&format!(r#"{{"root":"{root}"}}"#)).unwrap();
        let (keyring, other) = (of(&"k".repeat(32)), of(&"o".repeat(32)));
        let id = ChallengeId::new(SubjectKey([7; 16]), [9; 16]);
        let tags = [1, 2].map(|generation| ReceiptTag::of(&keyring, id, generation));
        let texts = tags.map(|tag| tag.print(&keyring));
        for (tag, text) in tags.iter().zip(&texts) {
            assert_eq!(ReceiptTag::parse(text, &keyring), Ok(*tag));
            assert_eq!(tag.subject(), id.subject());
            assert_ne!(ReceiptTag::parse(text, &other).unwrap().subject(), id.subject());
            // Read as an id, it is that of no challenge.
            assert_ne!(ChallengeId::parse(text, &keyring), Ok(id));
        }
        let shared = texts[0].bytes().zip(texts[1].bytes()).filter(|(a, b)| a == b).count();
        assert!(shared < 15, "{shared} of 52 characters of two tags of one subject are the same");
        for text in ["", "A", &"A".repeat(51), &"a".repeat(52), &format!("{}1", "A".repeat(51))] {
            assert_eq!(ReceiptTag::parse(text, &keyring), Err(MalformedTag), "{text}");
        }
    }
}
