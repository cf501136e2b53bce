//! Secrets: the keyring, and what is derived from it or compared with constant time.

pub mod access;
pub mod code;
pub mod dpop;
pub mod keyring;
pub mod password;
pub mod pin;
pub mod pkce;
pub mod proof;
pub mod receipt;
pub mod refresh;
pub mod signing;
pub mod token;
