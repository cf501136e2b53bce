//! `passcode keys`: shows and rotates the keys of codes and of signatures, on the local stack or a
//! deployed one. Only the ids of keys are shown, never a secret.

use crate::{
    output::{self, Output},
    place::Place,
};
use aws_sdk_secretsmanager::Client;
use aws_types::SdkConfig;
use clap::Subcommand;
use data_encoding::HEXLOWER;
use passcode_aws::CallFailed;
use passcode_domain::{Keyring, SigningKeys, ports::Entropy as _, secret::keyring::KeyId};
use passcode_runtime::SystemEntropy;
use serde_json::json;
use std::{error::Error, process::ExitCode};

/// The logical ids of the secrets in `template.yaml`.
const KEYRING: &str = "KeyringSecret";
const SIGNING: &str = "SigningSecret";

/// The arguments of `passcode keys`.
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
    /// Show the ids of the current and the previous keys of codes and of signatures.
    Show,
    /// Create new current keys of codes and of signatures; the current ones become the previous
    /// ones. Codes and tokens that were issued stay valid. Running functions use the new keys
    /// within five minutes.
    ///
    /// Do not rotate twice within 20 minutes. A code or a token is valid while its key is the
    /// current or the previous one. It lives for up to 15 minutes, and a running function may use
    /// the old key for up to 5 minutes more. Codes and tokens of older keys are refused as expired.
    ///
    /// The ids of challenges and credentials do not change, because they are derived from the root
    /// key, which is never rotated.
    Rotate,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    output::run(act(arguments, &arguments.place), arguments.json)
}

/// Runs the command on a stack.
pub async fn act(arguments: &Arguments, place: &Place) -> Result<Output, Box<dyn Error>> {
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
    let output = shown(&secrets)?;
    Ok(Output { text: format!("{}\n\n{ROTATED}", output.text), ..output })
}

/// The keyring of a stack.
pub async fn keyring(aws: &SdkConfig, place: &Place) -> Result<Keyring, Box<dyn Error>> {
    let id = place.resource(aws, KEYRING).await?;
    Ok(Keyring::from_secret(&read(&Client::new(aws), &id, place).await?)?)
}

async fn read(client: &Client, id: &str, place: &Place) -> Result<String, Box<dyn Error>> {
    let answer = client.get_secret_value().secret_id(id).send().await;
    let failed = |error| format!("Secrets Manager: {}; {}", CallFailed::of(&error), place.hint());
    Ok(answer.map_err(failed)?.secret_string().unwrap_or_default().to_owned())
}

const ROTATED: &str = "\
Codes and tokens that were issued stay valid. Running functions use the new keys
within five minutes. Wait 20 minutes before you rotate again, because that
revokes what are now the previous keys.";

/// The ids of the keys of a keyring secret and of a signing secret.
fn shown([keyring, signing]: &[String; 2]) -> Result<Output, Box<dyn Error>> {
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
    Ok(Output::new(text, json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_shown_and_no_secret() {
        let secret = r#"{"root":"a-secret-of-at-least-32-characters"}"#;
        let output = shown(&[secret.to_owned(), secret.to_owned()]).expect("keys");
        assert!(output.text.contains("previous none") && output.json["previous"].is_null());
        let rotated = Keyring::rotated(secret, &"b".repeat(32)).expect("a keyring");
        let output = shown(&[rotated.clone(), rotated]).expect("keys");
        for previous in [&output.json["previous"], &output.json["signing"]["previous"]] {
            assert_eq!(previous.as_str().map(str::len), Some(8));
        }
        assert_ne!(output.json["current"], output.json["signing"]["current"]);
        assert!(!format!("{output:?}").contains("secret"), "{output:?}");
    }
}
