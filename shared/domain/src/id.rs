//! Challenge ids. An id names its subject's ledger and one challenge in it, so it leads straight
//! to the stored item without an index.

use crate::{SubjectKey, bytes};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use thiserror::Error;

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

    pub(crate) fn to_bytes(self) -> [u8; 32] {
        let mut all = [0; 32];
        all[..16].copy_from_slice(&self.subject.0);
        all[16..].copy_from_slice(&self.random);
        all
    }
}

/// 52 characters of base32; a contract may print a prefix before them.
impl fmt::Display for ChallengeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bytes::encode(&self.to_bytes()))
    }
}

impl fmt::Debug for ChallengeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChallengeId({self})")
    }
}

/// A text that is no challenge id, whatever the tables hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a challenge id")]
pub struct MalformedId;

impl FromStr for ChallengeId {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let all: [u8; 32] = bytes::decode(text).ok_or(MalformedId)?;
        let (subject, random) = all.split_at(16);
        let half = |bytes: &[u8]| bytes.try_into().map_err(|_| MalformedId);
        Ok(Self { subject: SubjectKey(half(subject)?), random: half(random)? })
    }
}

impl TryFrom<String> for ChallengeId {
    type Error = MalformedId;

    fn try_from(text: String) -> Result<Self, MalformedId> {
        text.parse()
    }
}

impl From<ChallengeId> for String {
    fn from(id: ChallengeId) -> Self {
        id.to_string()
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
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn no_other_text_reads_as_the_same_id(subject: [u8; 16], at in 0..52usize, by in 1..32u8) {
            let id = ChallengeId::new(SubjectKey(subject), subject);
            let mut text = id.to_string().into_bytes();
            let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
            let old = alphabet.iter().position(|c| *c == text[at]).unwrap();
            text[at] = alphabet[(old + usize::from(by)) % 32];
            let changed = String::from_utf8(text).unwrap().parse::<ChallengeId>();
            prop_assert_ne!(changed, Ok(id));
        }
    }

    #[test]
    fn malformed_ids_are_refused() {
        let long = "A".repeat(5000);
        for text in ["", "A", "ARID_A1B2C3D4E5F6", &"a".repeat(52), &"1".repeat(52), "é", &long] {
            assert_eq!(text.parse::<ChallengeId>(), Err(MalformedId));
        }
    }
}
