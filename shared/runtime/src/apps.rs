//! A memory of apps, so that a warm function reads each app once a minute instead of once a
//! request. An edited app, a rotated secret or a block reaches every function within that minute.
//! That there is no such app is remembered for some seconds: made-up ids cost no more reads than
//! real ones, nor more time.
//!
//! Parts of an app that could not be read leave a line in the log whenever they are read anew.

use crate::{SystemClock, log};
use passcode_domain::{
    App, AppId,
    ports::{Adapter, Clock as _, LoadApps, StoreError},
};
use std::{
    collections::HashMap,
    io::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

const LIFE: Duration = Duration::from_mins(1);

/// How long it is remembered that there is no such app.
const MISS_LIFE: Duration = Duration::from_secs(3);

/// How many apps are remembered at a time.
const MAX_APPS: usize = 1000;

/// Apps as another port loads them, remembered for a minute.
#[derive(Debug)]
pub struct CachedApps<A> {
    apps: A,
    default_app: Option<AppId>,
    cached: Mutex<HashMap<AppId, CachedApp>>,
    /// Where a line of the log goes.
    print: fn(&[u8]),
}

/// What the table said when it was read: the app, or that there is none.
#[derive(Clone, Debug)]
struct CachedApp {
    read_at: Instant,
    app: Option<Arc<App>>,
}

impl<A> CachedApps<A> {
    /// Remembers what `apps` loads.
    pub fn new(apps: A) -> Self {
        // A log that cannot be written must not cost the caller its answer.
        let print = |line: &[u8]| {
            let _ = std::io::stdout().lock().write_all(line);
        };
        Self { apps, default_app: None, cached: Mutex::default(), print }
    }

    /// Names the app that serves requests which name none.
    #[must_use]
    pub fn with_default(self, default_app: Option<AppId>) -> Self {
        Self { default_app, ..self }
    }

    fn recall(&self, id: &AppId) -> Option<CachedApp> {
        let cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner).get(id)?.clone();
        let life = if cached.app.is_some() { LIFE } else { MISS_LIFE };
        (cached.read_at.elapsed() < life).then_some(cached)
    }

    fn remember(&self, id: &AppId, app: Option<&Arc<App>>) {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if cached.len() >= MAX_APPS {
            cached.clear();
        }
        cached.insert(id.clone(), CachedApp { read_at: Instant::now(), app: app.cloned() });
    }
}

impl<A: LoadApps + Send> LoadApps for CachedApps<A> {
    async fn load_app(&self, id: &AppId) -> Result<Option<Arc<App>>, StoreError> {
        if let Some(cached) = self.recall(id) {
            return Ok(cached.app);
        }
        let loaded = self.apps.load_app(id).await?;
        if let Some(app) = loaded.as_deref().filter(|app| !app.dropped_parts.is_empty()) {
            (self.print)(&log::dropped_parts(app, SystemClock.now()));
        }
        self.remember(id, loaded.as_ref());
        Ok(loaded)
    }

    fn default_app(&self) -> Option<&AppId> {
        self.default_app.as_ref()
    }
}

impl<A: Adapter + Send> Adapter for CachedApps<A> {
    fn ports() -> Vec<&'static str> {
        A::ports()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use passcode_testkit::{FakeApps, schedule::block_on};
    use std::sync::atomic::{AtomicUsize, Ordering};

    static PRINTED: AtomicUsize = AtomicUsize::new(0);

    #[test]
    fn parts_that_cannot_be_read_are_logged_once_a_read_and_the_app_is_served() {
        let apps = FakeApps::default();
        let id: AppId = "shop".parse().unwrap();
        apps.put_document(&id, r#"{"id":"shop","name":"Shop","secrets":[],"colour":1}"#);
        let count = |_: &[u8]| {
            PRINTED.fetch_add(1, Ordering::SeqCst);
        };
        let cached = CachedApps { print: count, ..CachedApps::new(apps) };
        for _ in 0..3 {
            let app = block_on(cached.load_app(&id)).unwrap().expect("it is there");
            assert_eq!(app.dropped_parts, ["colour"]);
        }
        assert_eq!(PRINTED.load(Ordering::SeqCst), 1);
    }
}
