//! Settings: environment variables, named in `template.yaml`. A missing one ends the start with
//! its name.

use std::{fmt, str::FromStr, sync::Arc};
use thiserror::Error;

/// A setting that a function cannot start with: its name, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the environment variable {0} {1}")]
pub struct BadSetting(pub &'static str, pub &'static str);

/// Where settings come from: the environment, or a table in the local stack and in tests.
#[derive(Clone)]
pub struct Settings(Arc<Lookup>);

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Settings {
    /// The environment of this process.
    #[must_use]
    pub fn from_env() -> Self {
        Self::new(|name| std::env::var(name).ok())
    }

    /// Settings that a function looks up.
    pub fn new(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    /// A setting that may be absent or empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    /// A setting that may be absent, read as a value.
    pub fn parsed<T: FromStr>(
        &self,
        name: &'static str,
        otherwise: &'static str,
    ) -> Result<Option<T>, BadSetting> {
        let value = self.get(name).map(|text| text.parse());
        value.transpose().map_err(|_| BadSetting(name, otherwise))
    }

    /// A setting that must be there.
    pub fn require(&self, name: &'static str) -> Result<String, BadSetting> {
        self.get(name).ok_or(BadSetting(name, "is not set"))
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Settings")
    }
}
