//! Attacks and ordinary traffic, played against the product's own use-cases and clock. What happens
//! when is drawn from a seed, so that every run is the same. Each prints its figures:
//!
//! ```text
//! cargo test --package passcode-tests --test simulations -- --nocapture
//! ```
//!
//! A replay of `passcode guard simulate` is held against the product in the same way.
//!
//! In memory they run at full size; the ones that are `ignored` run on AWS's DynamoDB Local, at the
//! size that they name.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod abuse;
mod growth;
mod guessing;
mod ordinary;
mod pumping;
mod replay;
mod stage;
