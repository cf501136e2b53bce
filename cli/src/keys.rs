//! `passcode keys`: shows which keys codes are made with, and rotates them, on the local stack or a
//! deployed one. A key is told by its id; no secret is shown.

use crate::{
    place::Place,
    told::{self, Told},
};
use aws_sdk_secretsmanager::Client;
use aws_types::SdkConfig;
use clap::Subcommand;
use data_encoding::HEXLOWER;
use passcode_aws::CallFailed;
use passcode_domain::{Keyring, SigningKeys, keyring::KeyId, ports::Entropy as _};
use passcode_runtime::SystemEntropy;
use serde_json::json;
use std::{error::Error, process::ExitCode};

/// The logical ids of the secrets in `template.yaml`.
const KEYRING: &str = "KeyringSecret";
const SIGNING: &str = "SigningSecret";

/// What to do, and where.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    place: Place,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the ids of the current and the previous key, of codes and of signatures.
    Show,
    /// Make a new key the current one, and the one before the previous, for codes and for signatures.
    /// Codes and tokens that are out keep working; warm functions follow within five minutes.
    ///
    /// Do not rotate twice within 20 minutes. Codes and tokens work as long as their key is the current
    /// or the previous one; they live for up to 15 minutes, and a warm function goes on making them
    /// with the key before for up to 5. Those of older keys are refused as expired.
    ///
    /// Ids of challenges and credentials do not change: they hang on the root, which stays.
    Rotate,
}

/// Does it.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    told::run(act(arguments, &arguments.place), arguments.json)
}

/// Does it at a place.
pub async fn act(arguments: &Arguments, place: &Place) -> Result<Told, Box<dyn Error>> {
    let aws = place.aws()?;
    let client = Client::new(&aws);
    let keyring = place.resource(&aws, KEYRING).await?;
    let signing = place.resource(&aws, SIGNING).await?;
    let mut secrets =
        [read(&client, &keyring, place).await?, read(&client, &signing, place).await?];
    if let Action::Show = arguments.action {
        return shown(&secrets);
    }
    let new = || HEXLOWER.encode(&SystemEntropy.bytes::<32>());
    secrets = [Keyring::rotated(&secrets[0], &new())?, SigningKeys::rotated(&secrets[1], &new())?];
    for (id, secret) in [&keyring, &signing].into_iter().zip(&secrets) {
        let put = client.put_secret_value().secret_id(id).secret_string(secret).send().await;
        put.map_err(|error| {
            format!("{id}: Secrets Manager: {}; {}", CallFailed::of(&error), place.hint())
        })?;
    }
    let told = shown(&secrets)?;
    Ok(Told { text: format!("{}\n\n{ROTATED}", told.text), ..told })
}

/// The keyring of a place.
pub(crate) async fn keyring(aws: &SdkConfig, place: &Place) -> Result<Keyring, Box<dyn Error>> {
    let id = place.resource(aws, KEYRING).await?;
    Ok(Keyring::from_secret(&read(&Client::new(aws), &id, place).await?)?)
}

async fn read(client: &Client, id: &str, place: &Place) -> Result<String, Box<dyn Error>> {
    let answer = client.get_secret_value().secret_id(id).send().await;
    let failed = |error| format!("Secrets Manager: {}; {}", CallFailed::of(&error), place.hint());
    Ok(answer.map_err(failed)?.secret_string().unwrap_or_default().to_owned())
}

const ROTATED: &str = "\
Codes and tokens that are out keep working. Warm functions follow within five minutes.
Wait 20 minutes before rotating again: it ends those of the keys that are now the previous ones.";

/// The ids of the keys of a keyring secret and of a signing secret.
fn shown([keyring, signing]: &[String; 2]) -> Result<Told, Box<dyn Error>> {
    let (keyring, signing) = (Keyring::from_secret(keyring)?, SigningKeys::from_secret(signing)?);
    let mut ids = signing.seeds().map(|(id, _)| id);
    let signing = (ids.next(), ids.next());
    let codes = (Some(keyring.current_id()), keyring.previous_id());
    let id = |id: Option<&KeyId>| {
        id.map_or_else(|| "none: not rotated yet".to_owned(), ToString::to_string)
    };
    let text = format!(
        "codes       current {}, previous {}\nsignatures  current {}, previous {}",
        id(codes.0),
        id(codes.1),
        id(signing.0),
        id(signing.1)
    );
    let json = json!({
        "current": codes.0,
        "previous": codes.1,
        "signing": { "current": signing.0, "previous": signing.1 },
    });
    Ok(Told::new(text, json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_shown_and_no_secret() {
        let secret = r#"{"root":"a-secret-of-at-least-32-characters"}"#;
        let told = shown(&[secret.to_owned(), secret.to_owned()]).expect("keys");
        assert!(told.text.contains("previous none") && told.json["previous"].is_null());
        let rotated = Keyring::rotated(secret, &"b".repeat(32)).expect("a keyring");
        let told = shown(&[rotated.clone(), rotated]).expect("keys");
        for previous in [&told.json["previous"], &told.json["signing"]["previous"]] {
            assert_eq!(previous.as_str().map(str::len), Some(8));
        }
        assert_ne!(told.json["current"], told.json["signing"]["current"]);
        assert!(!format!("{told:?}").contains("secret"), "{told:?}");
    }
}
