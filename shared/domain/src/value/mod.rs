//! Values: plain types that every other floor uses. This floor imports nothing of the crate.

pub mod address;
pub(crate) mod bytes;
pub mod caller;
pub mod country;
pub mod id;
pub mod money;
pub mod time;
