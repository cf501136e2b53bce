//! What the suites share: recorded events and how to change them, answers and how to read them,
//! the OpenAPI document they are held against, a running stack with a client for it, tables, what
//! functions may do, and the commands of `passcode`.

pub mod aws;
pub mod command;
pub mod document;
pub mod dpop;
pub mod emulator;
pub mod event;
pub mod gate;
pub mod policy;
pub mod stack;
