//! Sessions: what a user's client has after the code, and the rules of refreshing and ending it.

#[expect(clippy::module_inception, reason = "the session itself, beside what it consists of")]
pub mod session;
mod used;

pub use session::{
    Device, DeviceKind, GRACE, Opening, Refresh, RefreshRefusal, Refreshed, Session, StepUpGrant,
};
pub use used::MAX_NAMES;
