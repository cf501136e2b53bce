//! Apps, the tenants, and their users: credentials, policy, guard settings, senders and templates.

#[expect(clippy::module_inception, reason = "the app itself, beside what belongs to it")]
pub mod app;
pub mod guard;
pub mod policy;
pub mod session;
mod stored;
pub mod user;

pub use app::*;
