//! The `passcode` command as a library, so that tests can run the local stack and the commands.

pub mod apps;
mod ask;
mod call;
pub mod challenges;
pub mod doctor;
pub mod guard;
pub mod keys;
mod lines;
pub mod local;
pub mod openapi;
pub mod output;
pub mod place;
pub mod report;
pub mod sessions;
pub mod template;
mod time;
pub mod users;
