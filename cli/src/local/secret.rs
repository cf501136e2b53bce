//! The keyring secret of this machine. Kept beside the tables, since nothing in them can be found
//! without it.

use super::in_home;
use data_encoding::HEXLOWER;
use passcode_domain::{Keyring, ports::Entropy as _};
use passcode_runtime::SystemEntropy;
use std::{error::Error, fs, path::Path};

/// The secret that was made before, or a new one.
pub(super) fn load(home: Option<&Path>) -> Result<String, Box<dyn Error>> {
    let Some(path) = in_home(home, "keyring.json")? else { return Ok(generate()) };
    if path.exists() {
        let secret = fs::read_to_string(&path)?;
        let checked = Keyring::from_secret(&secret);
        checked
            .map_err(|error| format!("{}: {error}; remove .local to start anew", path.display()))?;
        return Ok(secret);
    }
    let secret = generate();
    fs::write(&path, &secret)?;
    Ok(secret)
}

fn generate() -> String {
    let root = HEXLOWER.encode(&SystemEntropy.bytes::<32>());
    serde_json::json!({ "root": root }).to_string()
}
