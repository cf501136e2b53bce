//! Who asks.

use serde::{Deserialize, Serialize};

/// Who asks for a message. Each class has counters of its own, so that no class uses up what another has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallerClass {
    /// An app's server or administrator, or the holder of an id that one of them was given.
    Authenticated,
    /// A user of the app, by an access token.
    User,
    /// A device on which the subject was verified before.
    Device,
    /// A caller who has shown nothing but the address.
    Anonymous,
}
