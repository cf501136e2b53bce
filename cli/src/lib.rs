//! The `passcode` command as a library, so that tests can run the same stack that people do.

pub mod local;
pub mod openapi;
pub mod template;
