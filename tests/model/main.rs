//! The product's own actions in an exhaustive checker: every order in which a few callers' port calls can
//! take effect, with lost answers, crashes, clocks that jump, rotated keys and edited apps. No decision is
//! written twice: a caller is the action itself, and its next step is found by running it from the
//! beginning with the answers that it has had.
//!
//! | file | what |
//! |---|---|
//! | `replay.rs` | the ports: an action runs until it needs an answer that it has not had yet |
//! | `tables.rs` | what a port call does to the world |
//! | `model.rs` | states, steps and properties, as `stateright` wants them |
//! | `scenarios.rs` | who calls, and what can go wrong: small ones here, large ones with `--ignored` |
//! | `mutations.rs` | worlds that break one promise each: the properties find every one |

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod model;
mod mutations;
mod replay;
mod scenarios;
mod tables;
