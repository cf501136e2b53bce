//! How long an app's sessions live. The numbers are copied into a session when it begins, so that editing
//! an app changes no session that is there.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The lives of an app's sessions, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionPolicy {
    /// The life of an access token, from 30 to 3,600. A session that is ended is over when its last access
    /// token is.
    pub access_seconds: u32,
    /// How long a session lives after its last refresh, at most `max_seconds`.
    pub idle_seconds: u32,
    /// How long a session lives, whatever happens: at most 400 days. Then its user signs in again.
    pub max_seconds: u32,
}

const DAY: u32 = 86_400;

impl Default for SessionPolicy {
    /// A user signs in again after 30 days (NIST SP 800-63B-4, AAL1).
    fn default() -> Self {
        Self { access_seconds: 60, idle_seconds: 14 * DAY, max_seconds: 30 * DAY }
    }
}

impl SessionPolicy {
    /// The error says what is wrong.
    pub(crate) fn validate(&self) -> Result<(), &'static str> {
        if !(30..=3600).contains(&self.access_seconds) {
            return Err("session.access_seconds must be 30 to 3600");
        }
        if !(self.access_seconds..=400 * DAY).contains(&self.max_seconds) {
            return Err("session.max_seconds must be access_seconds to 34560000");
        }
        if !(self.access_seconds..=self.max_seconds).contains(&self.idle_seconds) {
            return Err("session.idle_seconds must be access_seconds to max_seconds");
        }
        Ok(())
    }

    /// The life of an access token.
    #[must_use]
    pub const fn access(&self) -> Duration {
        Duration::from_secs(self.access_seconds as u64)
    }

    /// The life of a session after its last refresh.
    #[must_use]
    pub const fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_seconds as u64)
    }

    /// The life of a session.
    #[must_use]
    pub const fn max(&self) -> Duration {
        Duration::from_secs(self.max_seconds as u64)
    }
}
