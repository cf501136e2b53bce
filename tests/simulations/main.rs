//! Attacks and ordinary traffic, played against the product's own use-cases and clock. What happens
//! when is drawn from a seed, so that every run is the same. Each prints its figures:
//!
//! ```text
//! cargo test --package passcode-tests --test simulations -- --nocapture
//! ```
//!
//! In memory they run at full size; the ones that are `ignored` run on AWS's DynamoDB Local, at the
//! size that they name.

mod dice;
mod guessing;
mod ordinary;
mod pumping;
mod stage;
