//! What the suites share: recorded events and how to change them, answers and how to read them,
//! and a running stack with a client for it.

pub mod event;
pub mod stack;
