//! A memory of apps, so that a warm function reads each app once a minute instead of once a
//! request. An edited app, a rotated secret or a block reaches every function within that minute.

use passcode_domain::{
    App, AppId,
    ports::{LoadApps, StoreError},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

const LIFE: Duration = Duration::from_mins(1);

/// How many apps are remembered at a time.
const MAX_APPS: usize = 1000;

/// Apps as another port loads them, remembered for a minute. Only what exists is remembered, so
/// that made-up ids take no room and a new app works at once.
#[derive(Debug)]
pub struct CachedApps<A> {
    apps: A,
    known: Mutex<HashMap<AppId, (Instant, Arc<App>)>>,
}

impl<A> CachedApps<A> {
    /// Remembers what `apps` loads.
    pub fn new(apps: A) -> Self {
        Self { apps, known: Mutex::default() }
    }

    fn recall(&self, id: &AppId) -> Option<Arc<App>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(id).filter(|(read_at, _)| read_at.elapsed() < LIFE).map(|(_, app)| app.clone())
    }

    fn remember(&self, app: &Arc<App>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_APPS {
            known.clear();
        }
        known.insert(app.id.clone(), (Instant::now(), app.clone()));
    }
}

impl<A: LoadApps + Send> LoadApps for CachedApps<A> {
    async fn load_app(&self, id: &AppId) -> Result<Option<Arc<App>>, StoreError> {
        if let Some(app) = self.recall(id) {
            return Ok(Some(app));
        }
        let loaded = self.apps.load_app(id).await?;
        if let Some(app) = &loaded {
            self.remember(app);
        }
        Ok(loaded)
    }
}
