//! Client secrets and admin keys. They are generated here, shown once, and stored as hashes.

use crate::output::Output;
use data_encoding::BASE64URL_NOPAD;
use passcode_domain::{AppId, app::SecretHash, ports::Entropy as _};
use passcode_runtime::SystemEntropy;
use serde_json::json;

/// The name of the header that has a client secret.
pub(super) const CLIENT_SECRET: &str = "clientSecret";

/// The name of an admin key in the output.
pub(super) const ADMIN_KEY: &str = "adminKey";

/// Inserts the hash of a new secret. The previous secret stays valid, unless it is revoked at once.
pub(super) fn rotate(hashes: &mut Vec<SecretHash>, at_once: bool) -> String {
    let secret = BASE64URL_NOPAD.encode(&SystemEntropy.bytes::<32>());
    hashes.insert(0, SecretHash::of(&secret));
    hashes.truncate(if at_once { 1 } else { 2 });
    secret
}

/// The output for a new secret. `before` tells whether the previous one, if any, is revoked.
pub(super) fn output(id: &AppId, name: &str, secret: &str, before: Option<bool>) -> Output {
    let id = id.as_str();
    let note = match before {
        None => "",
        Some(false) => " The one before works until the next rotation.",
        Some(true) => " The one before stops working within a minute.",
    };
    Output::new(
        format!("clientId      {id}\n{name:<13} {secret}\n\nIt will not be shown again.{note}"),
        json!({ "clientId": id, name: secret }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_before_works_until_the_next_rotation_or_ends_at_once() {
        let mut hashes = Vec::new();
        let [first, second, third] = [false; 3].map(|at_once| rotate(&mut hashes, at_once));
        assert_eq!(hashes, [SecretHash::of(&third), SecretHash::of(&second)]);
        assert_ne!(first, second);
        assert_eq!(first.len(), 43, "256 bits");
        let last = rotate(&mut hashes, true);
        assert_eq!(hashes, [SecretHash::of(&last)]);
    }

    #[test]
    fn what_becomes_of_the_one_before_is_said() {
        let id = "shop".parse().expect("an id");
        for (before, end) in
            [(None, "shown again."), (Some(false), "next rotation."), (Some(true), "a minute.")]
        {
            let output = output(&id, ADMIN_KEY, "s3cret", before);
            assert!(output.text.ends_with(end), "{}", output.text);
            assert!(output.text.contains("\nadminKey      s3cret\n"), "{}", output.text);
            assert_eq!(output.json, json!({ "clientId": "shop", "adminKey": "s3cret" }));
        }
    }
}
