#![doc = include_str!("../README.md")]

pub mod action;
pub mod app;
pub mod guard;
pub mod ledger;
pub mod message;
pub mod ports;
pub mod secret;
pub mod session;
pub mod value;

pub use app::{
    App,
    policy::Policy,
    user::{User, UserChange},
};
pub use ledger::{Challenge, Ledger, Lookup};
pub use message::{AppError, ValidApp};
pub use ports::World;
pub use secret::{
    code::{Code, PresentedCode},
    keyring::Keyring,
    signing::SigningKeys,
};
pub use session::Session;
pub use value::{
    address::{Address, Addresses, Channel, EmailAddress, PhoneNumber},
    caller::CallerClass,
    id::{AppId, ChallengeId, SessionId, SessionKey, SubjectKey, UserId, UserKey, Username},
    time::Timestamp,
};
