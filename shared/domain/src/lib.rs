//! The domain of Passcode: one-time passcodes as pure decisions over a ledger.
//!
//! A *challenge* asks one *subject* for one proof. All open challenges and counters of a subject
//! are its [`Ledger`]; every rule is a function `(ledger, command, now) -> (ledger, outcome)`, and
//! [`transact`] is the only loop that loads, decides and stores. Time, randomness and keys are
//! arguments; AWS, HTTP and tokio are not dependencies of this crate.
//!
//! | to find | look in |
//! |---|---|
//! | what a rule decides | [`open`], [`send`], [`issue`], [`verify`], [`change_pin`], [`status`], [`cancel`], [`order`], [`idempotency`] |
//! | what is stored | [`ledger`], [`challenge`], [`failures`], [`message_times`], [`policy`], [`app`], [`user`], [`pin`], [`password`] |
//! | what is refused across subjects | [`guard`] |
//! | how a code comes to be | [`code`], [`keyring`], [`id`] |
//! | what callers hold between two requests | [`verification_token`], [`proof`], [`signing`] |
//! | what a message says | [`message`] |
//! | what an adapter must promise | [`ports`] |

pub mod address;
pub mod app;
mod bytes;
pub mod cancel;
pub mod challenge;
pub mod change_pin;
pub mod code;
pub mod failures;
pub mod guard;
pub mod id;
pub mod idempotency;
pub mod issue;
pub mod keyring;
pub mod ledger;
pub mod message;
pub mod message_times;
pub mod open;
pub mod order;
pub mod password;
pub mod pin;
pub mod policy;
pub mod ports;
pub mod proof;
pub mod send;
pub mod signing;
pub mod status;
pub mod subject;
pub mod time;
pub mod transact;
pub mod user;
pub mod verification_token;
pub mod verify;

pub use address::{Address, Addresses, Channel, EmailAddress, PhoneNumber};
pub use app::{App, AppId};
pub use challenge::Challenge;
pub use code::{Code, PresentedCode};
pub use id::ChallengeId;
pub use keyring::Keyring;
pub use ledger::Ledger;
pub use policy::Policy;
pub use signing::SigningKeys;
pub use subject::SubjectKey;
pub use time::Timestamp;
pub use user::{User, UserId, Username};
