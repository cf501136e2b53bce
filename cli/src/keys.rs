//! `passcode keys`: shows which keys codes are made with, and rotates them, on the local stack or a
//! deployed one. A key is told by its id; no secret is shown.

use crate::{
    place::Place,
    told::{self, Told},
};
use aws_sdk_secretsmanager::{
    Client,
    types::{Filter, FilterNameStringType, SecretListEntry},
};
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

/// What to do, and where.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    place: Place,
    /// The keyring secret's name or ARN, where the stack's name leads to more than one. It is the
    /// stack's output `KeyringSecret`.
    #[arg(long, value_name = "ID", global = true, requires = "stack")]
    secret: Option<String>,
    /// The same of the secret that tokens are signed with: the stack's output `SigningSecret`.
    #[arg(long, value_name = "ID", global = true, requires = "stack")]
    signing_secret: Option<String>,
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
    let told = shown(&secrets)?;
    Ok(Told { text: format!("{}\n\n{ROTATED}", told.text), ..told })
}

/// The keyring of a place, whose secret has this name or ARN, or is found.
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

/// A secret of a deployed stack, found by the tags that its template's resources are given.
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

/// A filter compares beginnings, and each of two may match another tag.
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
