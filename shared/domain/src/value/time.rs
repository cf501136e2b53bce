//! Moments and spans. The domain never asks what time it is: `now` is an argument.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A moment, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment `millis` milliseconds after the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole UTC days since the Unix epoch.
    #[must_use]
    pub const fn days(self) -> u64 {
        self.0 / 86_400_000
    }

    /// Whole seconds since the Unix epoch, rounded up: a TTL never comes early.
    #[must_use]
    pub const fn as_seconds_ceil(self) -> u64 {
        self.0.div_ceil(1000)
    }

    /// The span from `self` to `later`; zero if `later` has passed.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        Duration::from_millis(later.0.saturating_sub(self.0))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }
}

/// A span that limits and detectors look back over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// 60 minutes.
    Hour,
    /// 24 hours.
    Day,
}

impl Window {
    /// How long it is.
    #[must_use]
    pub const fn span(self) -> Duration {
        match self {
            Self::Hour => Duration::from_hours(1),
            Self::Day => Duration::from_hours(24),
        }
    }
}
