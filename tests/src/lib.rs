//! What the suites share: recorded events and how to change them, answers and how to read them,
//! the OpenAPI document they are held against, a running stack with a client for it, tables, what
//! functions may do, the commands of `passcode`, and journeys for any stack.

pub mod api;
pub mod aws;
pub mod browser;
pub mod command;
pub mod deployed;
pub mod dice;
pub mod document;
pub mod dpop;
pub mod emulator;
pub mod event;
pub mod functions;
pub mod gate;
pub mod policy;
pub mod stack;
