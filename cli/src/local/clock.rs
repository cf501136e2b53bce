//! The clock of the local stack: that of the machine, which can be moved forward.

use passcode_domain::{Timestamp, ports::Clock};
use passcode_runtime::SystemClock;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// A clock that all functions of the stack share.
#[derive(Clone, Debug, Default)]
pub struct LocalClock(Arc<AtomicU64>);

impl LocalClock {
    /// Moves the clock forward.
    pub fn advance(&self, span: Duration) {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let moved = |offset: u64| Some(offset.saturating_add(millis));
        // The closure always has a value to store.
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, moved);
    }
}

impl Clock for LocalClock {
    fn now(&self) -> Timestamp {
        SystemClock.now() + Duration::from_millis(self.0.load(Ordering::SeqCst))
    }

    async fn sleep(&self, span: Duration) {
        SystemClock.sleep(span).await;
    }
}
