//! Actions: what callers can do. Each loads, decides by a pure function, and stores.

pub mod change_pin;
pub mod idempotency;
pub mod issue;
pub mod open;
pub mod order;
pub mod receipt;
pub mod send;
pub mod session;
pub mod status;
pub mod transact;
pub mod verify;

pub use transact::Failure;
