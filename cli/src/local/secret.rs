//! The secrets of the local stack. They are stored beside the tables, because no item of these can
//! be found without the keyring.

use super::in_home;
use data_encoding::HEXLOWER;
use passcode_domain::{Keyring, ports::Entropy as _};
use passcode_runtime::SystemEntropy;
use std::{
    error::Error,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// The secrets of the template.
#[derive(Clone)]
pub(super) struct LocalSecrets {
    keyring: LocalSecret,
    signing: LocalSecret,
}

impl LocalSecrets {
    /// Loads the stored secrets, or generates new ones.
    pub(super) fn load(home: Option<&Path>) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            keyring: LocalSecret::load(home, "keyring.json")?,
            signing: LocalSecret::load(home, "signing.json")?,
        })
    }

    /// The secret with a logical id.
    pub(super) fn find(&self, id: &str) -> Option<&LocalSecret> {
        match id {
            "KeyringSecret" => Some(&self.keyring),
            "SigningSecret" => Some(&self.signing),
            _ => None,
        }
    }
}

/// A secret, and the file where it is stored. A clone shares both.
#[derive(Clone)]
pub(super) struct LocalSecret {
    value: Arc<Mutex<String>>,
    path: Option<PathBuf>,
}

impl LocalSecret {
    /// Loads the secret from a file of this name, or generates a new one.
    pub(super) fn load(home: Option<&Path>, name: &str) -> Result<Self, Box<dyn Error>> {
        let path = in_home(home, name)?;
        let value = match &path {
            Some(path) if path.exists() => read(path)?,
            _ => {
                let new = generate();
                path.as_deref().map_or(Ok(()), |path| write(path, &new))?;
                new
            }
        };
        Ok(Self { value: Arc::new(Mutex::new(value)), path })
    }

    pub(super) fn get(&self) -> String {
        self.value.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the secret. A value that is no keyring is refused, because the next start would
    /// fail.
    pub(super) fn put(&self, secret: &str) -> Result<(), Box<dyn Error>> {
        Keyring::from_secret(secret)?;
        let mut value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        self.path.as_deref().map_or(Ok(()), |path| write(path, secret))?;
        secret.clone_into(&mut value);
        Ok(())
    }
}

fn read(path: &Path) -> Result<String, Box<dyn Error>> {
    let secret = fs::read_to_string(path)?;
    let checked = Keyring::from_secret(&secret);
    checked.map_err(|error| format!("{}: {error}; remove .local to start anew", path.display()))?;
    Ok(secret)
}

/// Writes a temporary file and renames it, so that a crash leaves the old or the new secret whole.
fn write(path: &Path, secret: &str) -> Result<(), Box<dyn Error>> {
    let beside = path.with_extension("json.new");
    let mut file = File::create(&beside)?;
    file.write_all(secret.as_bytes())?;
    file.sync_all()?;
    Ok(fs::rename(&beside, path)?)
}

fn generate() -> String {
    let root = HEXLOWER.encode(&SystemEntropy.bytes::<32>());
    serde_json::json!({ "root": root }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_kept_whole_or_not_at_all() {
        let home = std::env::temp_dir().join(format!("passcode-secret-{}", std::process::id()));
        let first = LocalSecret::load(Some(&home), "keyring.json").expect("made");
        assert!(first.put("{}").is_err(), "no keyring");
        let rotated = Keyring::rotated(&first.get(), &"n".repeat(32)).expect("rotated");
        assert_eq!(
            LocalSecret::load(Some(&home), "keyring.json").expect("read").get(),
            first.get()
        );
        first.put(&rotated).expect("kept");
        assert_eq!(first.get(), rotated);
        assert_eq!(LocalSecret::load(Some(&home), "keyring.json").expect("read").get(), rotated);
        let files = fs::read_dir(&home).expect("a folder").count();
        assert_eq!(files, 1, "nothing is left beside it");
        fs::remove_dir_all(&home).expect("removed");
    }
}
