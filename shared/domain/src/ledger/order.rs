//! Orders: a caller's own name for a challenge, given before the challenge has an id. The name leads to
//! the id through an item of its own, and makes a repeated send the same send.

use super::Item;
use crate::value::{id::ChallengeId, time::Timestamp};
use serde::{Deserialize, Serialize};
use std::{str::FromStr, time::Duration};
use thiserror::Error;

/// A caller's own name for a challenge: 1 to 64 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderId(String);

/// A text that names no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an order id is 1 to 64 visible characters")]
pub struct MalformedOrderId;

impl FromStr for OrderId {
    type Err = MalformedOrderId;

    fn from_str(text: &str) -> Result<Self, MalformedOrderId> {
        let valid = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        valid.then(|| Self(text.to_owned())).ok_or(MalformedOrderId)
    }
}

impl OrderId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The challenge that an order leads to, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The challenge.
    pub challenge: ChallengeId,
    /// When the name is free again.
    pub until: Timestamp,
}

impl Item for Order {
    fn expires_at(&self) -> Timestamp {
        self.until
    }
}

impl Order {
    /// Decides to which challenge an order leads: the one it led to before, or this one from now on.
    #[must_use]
    pub fn decide(
        stored: Option<Self>,
        challenge: ChallengeId,
        life: Duration,
        now: Timestamp,
    ) -> Self {
        let before = stored.filter(|order| now < order.until);
        before.unwrap_or(Self { challenge, until: now + life })
    }
}
