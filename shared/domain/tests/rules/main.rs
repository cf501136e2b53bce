//! The rules of a challenge, as tables, properties and interleavings. Refusals come first.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod apps;
mod guard;
mod identity;
mod interleavings;
mod messages;
mod properties;
mod receipts;
mod refusals;
mod reservations;
mod stored;
mod suppression;
