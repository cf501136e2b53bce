//! What is stored of a subject, and the rules that need nothing else: the ledger with its challenges,
//! failures and messages; and the items that stand beside ledgers.

pub mod challenge;
pub mod failures;
#[expect(clippy::module_inception, reason = "the ledger itself, beside what it consists of")]
pub mod ledger;
pub mod order;
pub mod receipt;
pub mod request;
mod room;

pub use challenge::{Challenge, Lookup, UnsentChallenge};
pub use ledger::{Ledger, SUCCESS_RETENTION};
pub use room::{MAX_CHALLENGES, MAX_LIVE};

use crate::value::time::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

/// What one item of the challenge table holds. Every kind is loaded, decided on and stored by the same
/// loop.
pub trait Item: Serialize + DeserializeOwned + Clone + PartialEq + Send + Sync + 'static {
    /// When nothing in it matters any more, and the table may delete it.
    fn expires_at(&self) -> Timestamp;
}
