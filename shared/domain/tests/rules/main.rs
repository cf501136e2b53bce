//! The rules of a challenge, as tables, properties and interleavings. Refusals come first.

mod interleavings;
mod messages;
mod properties;
mod refusals;
