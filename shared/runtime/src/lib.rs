//! What every function does at its start and around each request: settings, AWS configuration,
//! keyring, clock, entropy, the request log with its metrics, and the loop that serves.

mod apps;
pub mod aws;
mod function;
mod issuer;
mod keyring;
pub mod log;
mod serve;
mod settings;
mod system;

pub use apps::CachedApps;
pub use function::{Adapted, Adapters, Consumer, Function, Handling};
pub use issuer::HttpsIssuers;
pub use keyring::{CALL_TIMEOUT, SecretKeyring, SecretSigningKeys, StoredKeys};
pub use lambda_http::Error;
pub use serve::{Consumed, Observed, consume, observe, run, run_consumer};
pub use settings::{BadSetting, Settings};
pub use system::{SystemClock, SystemEntropy};
