//! What a session has seen and shall not take again: the names of DPoP proofs and of step-up proofs.

use crate::value::{bytes, time::Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// So many names are kept. A client refreshes once a minute or less, and a step-up takes a code.
pub const MAX_NAMES: usize = 8;

/// The names that were used, each until it is refused for its age anyway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct UsedNames(Vec<UsedName>);

/// The hash of a name, until when it could be used again, and the refresh that it was used for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct UsedName(#[serde(with = "bytes")] [u8; 8], Timestamp, u32);

impl UsedNames {
    /// Whether there are none.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one more would make an earlier one be forgotten.
    pub(super) fn are_full(&self, now: Timestamp) -> bool {
        self.0.iter().filter(|UsedName(_, until, _)| *until > now).count() >= MAX_NAMES
    }

    /// The refresh that a name was used for, if it was used.
    pub(super) fn used_for(&self, name: &str) -> Option<u32> {
        let hash = hash(name);
        self.0.iter().find(|UsedName(used, ..)| *used == hash).map(|UsedName(.., refresh)| *refresh)
    }

    /// Remembers a name until a moment, and forgets those whose moment has come. Where there are too many,
    /// those that end first are forgotten; the latest moment of one that was forgotten early is returned.
    pub(super) fn add(
        &mut self,
        name: &str,
        refresh: u32,
        until: Timestamp,
        now: Timestamp,
    ) -> Option<Timestamp> {
        self.0.retain(|UsedName(_, until, _)| *until > now);
        self.0.push(UsedName(hash(name), until, refresh));
        self.0.sort_by_key(|UsedName(_, until, _)| *until);
        let surplus = self.0.len().saturating_sub(MAX_NAMES);
        self.0.drain(..surplus).next_back().map(|UsedName(_, until, _)| until)
    }
}

/// 64 bits: a name of one session's is compared with a handful of others of the same session.
fn hash(name: &str) -> [u8; 8] {
    let mut short = [0; 8];
    short.copy_from_slice(&Sha256::digest(name.as_bytes())[..8]);
    short
}
