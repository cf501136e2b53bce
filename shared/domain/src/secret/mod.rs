//! Secrets: the keyring, and what is derived from it or compared with constant time.

pub mod code;
pub mod keyring;
pub mod password;
pub mod pin;
pub mod proof;
pub mod signing;
pub mod token;
