//! What a session has seen and shall not take again: the names of DPoP proofs and of step-up proofs.

use crate::value::{bytes, time::Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// So many names of proofs are kept. A client refreshes once a minute or less.
pub const MAX_PROOFS: usize = 8;

/// The names that were used, each until it is refused for its age anyway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct UsedNames(Vec<UsedName>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct UsedName(#[serde(with = "bytes")] [u8; 8], Timestamp);

impl UsedNames {
    /// Whether there are none.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a name was used.
    pub(super) fn has(&self, name: &str) -> bool {
        let hash = hash(name);
        self.0.iter().any(|UsedName(used, _)| *used == hash)
    }

    /// Remembers a name until a moment, and forgets those whose moment has come. Where there are too many,
    /// those that end first are forgotten; the latest moment of one that was forgotten early is returned.
    pub(super) fn add(
        &mut self,
        name: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Option<Timestamp> {
        self.0.retain(|UsedName(_, until)| *until > now);
        self.0.push(UsedName(hash(name), until));
        self.0.sort_by_key(|UsedName(_, until)| *until);
        let surplus = self.0.len().saturating_sub(MAX_PROOFS);
        self.0.drain(..surplus).next_back().map(|UsedName(_, until)| until)
    }
}

/// 64 bits: a name of one session's is compared with a handful of others of the same session.
fn hash(name: &str) -> [u8; 8] {
    let mut short = [0; 8];
    short.copy_from_slice(&Sha256::digest(name.as_bytes())[..8]);
    short
}
