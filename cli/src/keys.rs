//! `passcode keys`: shows and rotates the keys of codes and of signatures, on the local stack or a
//! deployed one. Only the ids of keys are shown, never a secret.

use crate::{
    output::{self, Output},
    place::Place,
};
use aws_sdk_secretsmanager::{
    Client,
    types::{Filter, FilterNameStringType, SecretListEntry},
};
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

/// The arguments of `passcode keys`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    place: Place,
    /// The name or ARN of the keyring secret, if several match the name of the stack. It is the
    /// output `KeyringSecret` of the stack.
    #[arg(long, value_name = "ID", global = true, requires = "stack")]
    secret: Option<String>,
    /// The same for the signing secret: the output `SigningSecret` of the stack.
    #[arg(long, value_name = "ID", global = true, requires = "stack")]
    signing_secret: Option<String>,
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
    let client = Client::new(&place.aws()?);
    let keyring = secret_id(&client, KEYRING, arguments.secret.as_deref(), place).await?;
    let signing = secret_id(&client, SIGNING, arguments.signing_secret.as_deref(), place).await?;
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

/// The keyring of a stack. Its secret has this name or ARN, or is found by its tags.
pub(crate) async fn keyring(
    place: &Place,
    secret: Option<&str>,
) -> Result<Keyring, Box<dyn Error>> {
    let client = Client::new(&place.aws()?);
    let id = secret_id(&client, KEYRING, secret, place).await?;
    Ok(Keyring::from_secret(&read(&client, &id, place).await?)?)
}

async fn secret_id(
    client: &Client,
    logical_id: &str,
    given: Option<&str>,
    place: &Place,
) -> Result<String, Box<dyn Error>> {
    match (given, place.stack()) {
        (Some(secret), _) => Ok(secret.to_owned()),
        (None, Some(stack)) => find(client, logical_id, stack, place).await,
        (None, None) => Ok(logical_id.to_owned()),
    }
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

/// A secret of a deployed stack, found by the tags that AWS gives to its resources.
async fn find(
    client: &Client,
    logical_id: &str,
    stack: &str,
    place: &Place,
) -> Result<String, Box<dyn Error>> {
    let filter = |key, value: &str| Filter::builder().key(key).values(value).build();
    let request = client
        .list_secrets()
        .filters(filter(FilterNameStringType::TagKey, "aws:cloudformation:stack-name"))
        .filters(filter(FilterNameStringType::TagValue, stack));
    let mut found = Vec::new();
    let mut pages = request.into_paginator().send();
    while let Some(page) = pages.next().await {
        let failed =
            |error| format!("Secrets Manager: {}; {}", CallFailed::of(&error), place.hint());
        let secrets = page.map_err(failed)?.secret_list.unwrap_or_default();
        found.extend(secrets.into_iter().filter(|secret| is_of(secret, logical_id, stack)));
    }
    let names: Vec<_> = found.iter().filter_map(SecretListEntry::arn).collect();
    match names[..] {
        [one] => Ok(one.to_owned()),
        [] => Err(format!("no {logical_id} of a stack `{stack}` is in this region").into()),
        // A secret outlives its stack, so an earlier stack of that name may have left one.
        _ => Err(format!(
            "{} are each a {logical_id} of `{stack}`; say which with --secret or --signing-secret",
            names.join(", ")
        )
        .into()),
    }
}

/// Whether a secret has both tags. The filters match prefixes, and each may match another tag.
fn is_of(secret: &SecretListEntry, logical_id: &str, stack: &str) -> bool {
    let has = |key: &str, value: &str| {
        secret.tags().iter().any(|tag| (tag.key(), tag.value()) == (Some(key), Some(value)))
    };
    has("aws:cloudformation:stack-name", stack) && has("aws:cloudformation:logical-id", logical_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_secretsmanager::types::Tag;

    #[test]
    fn only_the_keyring_of_that_very_stack_is_found() {
        let secret = |stack: &str, id: &str| {
            let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
            SecretListEntry::builder()
                .tags(tag("aws:cloudformation:stack-name", stack))
                .tags(tag("aws:cloudformation:logical-id", id))
                .build()
        };
        assert!(!is_of(&secret("passcode-2", "KeyringSecret"), KEYRING, "passcode"));
        assert!(!is_of(&secret("passcode", "OtherSecret"), KEYRING, "passcode"));
        assert!(!is_of(&SecretListEntry::builder().build(), KEYRING, "passcode"));
        assert!(is_of(&secret("passcode", "KeyringSecret"), KEYRING, "passcode"));
    }

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
