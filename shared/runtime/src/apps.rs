//! A memory of apps, so that a warm function reads each app once a minute instead of once a
//! request. An edited app, a rotated secret or a block reaches every function within that minute.
//! That there is no such app is remembered for some seconds: made-up ids cost no more reads than
//! real ones, nor more time.

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

/// How long it is remembered that there is no such app.
const MISS_LIFE: Duration = Duration::from_secs(3);

/// How many apps are remembered at a time.
const MAX_APPS: usize = 1000;

/// Apps as another port loads them, remembered for a minute.
#[derive(Debug)]
pub struct CachedApps<A> {
    apps: A,
    known: Mutex<HashMap<AppId, Known>>,
}

/// What the table said when it was read: the app, or that there is none.
#[derive(Clone, Debug)]
struct Known {
    read_at: Instant,
    app: Option<Arc<App>>,
}

impl<A> CachedApps<A> {
    /// Remembers what `apps` loads.
    pub fn new(apps: A) -> Self {
        Self { apps, known: Mutex::default() }
    }

    fn recall(&self, id: &AppId) -> Option<Known> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(id)?.clone();
        let life = if known.app.is_some() { LIFE } else { MISS_LIFE };
        (known.read_at.elapsed() < life).then_some(known)
    }

    fn remember(&self, id: &AppId, app: Option<&Arc<App>>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_APPS {
            known.clear();
        }
        known.insert(id.clone(), Known { read_at: Instant::now(), app: app.cloned() });
    }
}

impl<A: LoadApps + Send> LoadApps for CachedApps<A> {
    async fn load_app(&self, id: &AppId) -> Result<Option<Arc<App>>, StoreError> {
        if let Some(known) = self.recall(id) {
            return Ok(known.app);
        }
        let loaded = self.apps.load_app(id).await?;
        self.remember(id, loaded.as_ref());
        Ok(loaded)
    }
}
