//! When messages went to a subject: what its cool-down and its limits count.

use crate::{
    Timestamp,
    guard::{Window, settings::MAX_PER_ADDRESS},
};
use serde::{Deserialize, Serialize};

/// Whether a message is handed to a courier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is; or it would be, were its address not listed for tests.
    Delivered,
    /// It is not: its caller is refused and shall not see it.
    Suppressed,
}

/// The messages of the last day that one class of callers has asked for, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MessageTimes {
    /// Those that went out, or may have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    delivered: Vec<Timestamp>,
    /// Those that were suppressed. They hold back other suppressed ones, as if they had gone out, and
    /// none that is delivered: whoever is blocked shuts nobody else out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suppressed: Vec<Timestamp>,
}

impl MessageTimes {
    /// The messages that count for one of this fate, oldest first.
    #[must_use]
    pub fn counted_for(&self, fate: Fate) -> Vec<Timestamp> {
        let mut counted = self.delivered.clone();
        if fate == Fate::Suppressed {
            counted.extend(&self.suppressed);
            counted.sort_unstable();
        }
        counted
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.delivered.is_empty() && self.suppressed.is_empty()
    }

    /// When none of them is in any window.
    pub(crate) fn ends_at(&self) -> Option<Timestamp> {
        let last = self.delivered.last().max(self.suppressed.last());
        last.map(|at| *at + Window::Day.span())
    }

    /// Remembers one more.
    pub(crate) fn remember(&mut self, fate: Fate, now: Timestamp) {
        self.prune(now);
        let times = match fate {
            Fate::Delivered => &mut self.delivered,
            Fate::Suppressed => &mut self.suppressed,
        };
        times.push(now);
        let surplus = times.len().saturating_sub(MAX_PER_ADDRESS as usize);
        times.drain(..surplus);
    }

    /// Forgets one that was claimed then and has certainly not gone out.
    pub(crate) fn forget(&mut self, at: Timestamp) {
        if let Some(position) = self.delivered.iter().rposition(|sent| *sent == at) {
            self.delivered.remove(position);
        }
    }

    /// Forgets those of more than a day ago, which are in no window.
    pub(crate) fn prune(&mut self, now: Timestamp) {
        let is_recent = |at: &Timestamp| *at + Window::Day.span() > now;
        self.delivered.retain(is_recent);
        self.suppressed.retain(is_recent);
    }
}
