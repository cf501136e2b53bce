//! The guard: rules across subjects that keep an app's messages few enough, and out of the hands of
//! whoever is paid for them. Every rule has a name, a default, a setting of the app's and a mode: it
//! is enforced, or only recorded, or off.
//!
//! Every rule has one shape: how many more messages it allows here and now ([`rules`]), and what it
//! answers otherwise. A message that all of them allow is [reserved](reservation) in each counter it
//! counts in before it is sent, so that no limit is exceeded by one message, however many callers there
//! are.
//!
//! *Limits* say when to come back. *Detectors* look at messages whose codes never came back. They block the
//! IP address that those came from; where they went, each IP address gets fewer, and only where that is not
//! enough newcomers are refused. A subject that has verified before is no newcomer.

pub mod counter;
pub mod guessing;
mod reservation;
pub mod rules;
mod sending;
mod verdict;

pub use counter::{Counter, Counters, Field, Slot};
pub use reservation::{CountedIn, Reservation, VerifyCount};
pub use rules::{Finding, GuardRefusal, Terms, Throttled};
pub use sending::{Origin, Sending, SubjectHistory};
pub use verdict::Verdict;
