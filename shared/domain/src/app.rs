//! Apps: the tenants. An app has credentials, a policy, senders and templates.

use crate::{Policy, message, policy::PolicyError};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeMap, fmt, str::FromStr};
use subtle::{Choice, ConstantTimeEq as _};
use thiserror::Error;

/// The name an app signs in with (`clientId`): 1 to 64 letters, digits, `-`, `_` or `.`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppId(String);

/// A text that names no app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an app id is 1 to 64 letters, digits, `-`, `_` or `.`")]
pub struct MalformedAppId;

impl AppId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AppId {
    type Err = MalformedAppId;

    fn from_str(text: &str) -> Result<Self, MalformedAppId> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let valid = (1..=64).contains(&text.len()) && text.bytes().all(allowed);
        valid.then(|| Self(text.to_owned())).ok_or(MalformedAppId)
    }
}

impl TryFrom<String> for AppId {
    type Error = MalformedAppId;

    fn try_from(text: String) -> Result<Self, MalformedAppId> {
        text.parse()
    }
}

impl From<AppId> for String {
    fn from(id: AppId) -> Self {
        id.0
    }
}

/// SHA-256 of a client secret. Secrets are generated with at least 128 random bits, so a plain
/// hash cannot be searched; the secret itself is shown once and never stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretHash(#[serde(with = "crate::bytes")] [u8; 32]);

impl SecretHash {
    /// The hash of a secret.
    #[must_use]
    pub fn of(secret: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"passcode client secret\0");
        hash.update(secret.as_bytes());
        Self(hash.finalize().into())
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(masked)")
    }
}

/// How an app's text messages are sent (SNS `Publish` attributes).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmsSender {
    /// The name shown as sender, where the country allows one.
    pub sender_id: Option<String>,
    /// The number to send from, in E.164 form.
    pub origination_number: Option<String>,
    /// The most that one message may cost, in US dollars, as text (`"0.50"`).
    pub max_price: Option<String>,
    /// India's DLT entity id.
    pub entity_id: Option<String>,
    /// India's DLT template id.
    pub template_id: Option<String>,
}

/// How an app's e-mails are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmailSender {
    /// The verified `From`; the deployment's default where absent.
    pub from: Option<String>,
    /// The SES configuration set.
    pub configuration_set: Option<String>,
}

/// A tenant: its credentials, policy, senders and templates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// The id it signs in with.
    pub id: AppId,
    /// The brand that messages name; at most 30 characters.
    pub name: String,
    /// Hashes of the client secrets in force: the current one, and one more while rotating.
    pub secrets: Vec<SecretHash>,
    /// Hashes of the keys that its administrators call with.
    #[serde(default)]
    pub admin_keys: Vec<SecretHash>,
    /// A blocked app's server is refused everything, and nothing is sent in its name. Who holds an
    /// id can still verify a code that is out.
    #[serde(default)]
    pub blocked: bool,
    /// The language of its messages where a request names none (BCP 47).
    #[serde(default)]
    pub locale: Option<String>,
    /// The host that may fill in codes from its text messages (WICG origin-bound codes).
    #[serde(default)]
    pub host: Option<String>,
    /// The limits of its challenges.
    #[serde(default)]
    pub policy: Policy,
    /// How its text messages are sent.
    #[serde(default)]
    pub sms: SmsSender,
    /// How its e-mails are sent.
    #[serde(default)]
    pub email: EmailSender,
    /// Its own texts, by template id: Fluent sources that override the built-in messages.
    #[serde(default)]
    pub templates: BTreeMap<String, String>,
}

/// Why an app's settings are refused.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum AppError {
    /// A number of its policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Its brand or host does not fit a text message.
    #[error("{0}")]
    Text(&'static str),
    /// A template that does not parse, or whose message leaves the code out.
    #[error("template {id}: {cause}")]
    Template {
        /// The template's id.
        id: String,
        /// What is wrong with it.
        cause: message::TemplateError,
    },
}

impl App {
    /// An app with default settings and no secret yet.
    #[must_use]
    pub fn new(id: AppId, name: &str) -> Self {
        Self {
            id,
            name: name.to_owned(),
            secrets: Vec::new(),
            admin_keys: Vec::new(),
            blocked: false,
            locale: None,
            host: None,
            policy: Policy::default(),
            sms: SmsSender::default(),
            email: EmailSender::default(),
            templates: BTreeMap::new(),
        }
    }

    /// Checks the settings before they are stored.
    pub fn validate(&self) -> Result<(), AppError> {
        self.policy.validate()?;
        if self.name.is_empty() || self.name.chars().count() > 30 {
            return Err(AppError::Text("name must be 1 to 30 characters"));
        }
        if self.host.as_ref().is_some_and(|host| !is_host(host)) {
            return Err(AppError::Text("host must be a host name of at most 40 characters"));
        }
        if !message::fits_one_segment(self) {
            return Err(AppError::Text("name and host are too long for one text message"));
        }
        for (id, source) in &self.templates {
            message::check_template(source)
                .map_err(|cause| AppError::Template { id: id.clone(), cause })?;
        }
        Ok(())
    }

    /// Whether a presented secret is one of the app's. Looks at every hash, in constant time each.
    #[must_use]
    pub fn accepts_secret(&self, presented: &str) -> bool {
        let presented = SecretHash::of(presented);
        let any = |found: Choice, hash: &SecretHash| found | hash.0.ct_eq(&presented.0);
        self.secrets.iter().fold(Choice::from(0), any).into()
    }
}

fn is_host(text: &str) -> bool {
    text.len() <= 40
        && text.contains('.')
        && text.split('.').all(|label| {
            !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app() -> App {
        App::new("demo".parse().unwrap(), "Demo")
    }

    #[test]
    fn only_the_apps_own_secrets_are_accepted() {
        let mut app = app();
        assert!(!app.accepts_secret(""));
        app.secrets = vec![SecretHash::of("old"), SecretHash::of("new")];
        assert!(!app.accepts_secret("other") && !app.accepts_secret("ol"));
        assert!(app.accepts_secret("old") && app.accepts_secret("new"));
    }

    #[test]
    fn a_stored_app_holds_no_secret_in_clear() {
        let mut app = app();
        app.secrets = vec![SecretHash::of("demo-secret")];
        let stored = serde_json::to_string(&app).unwrap();
        assert!(!stored.contains("demo-secret"));
        assert_eq!(serde_json::from_str::<App>(&stored).unwrap(), app);
    }

    #[test]
    fn malformed_ids_are_refused() {
        for id in ["", "a b", "a/b", "é", &"a".repeat(65)] {
            assert_eq!(id.parse::<AppId>(), Err(MalformedAppId), "{id:?}");
        }
    }

    #[test]
    fn settings_that_break_a_message_are_refused() {
        let edits: [fn(&mut App); 6] = [
            |app| app.name = String::new(),
            |app| app.name = "x".repeat(31),
            |app| app.host = Some("no host".into()),
            |app| {
                app.name = "Żółw i Gęś na wycieczce razem".into();
                app.host = Some("a-rather-long-host-name.example.org".into());
            },
            |app| app.policy.max_attempts = 0,
            |app| {
                app.templates.insert("t".into(), "sms = No code here".into());
            },
        ];
        for edit in edits {
            let mut app = app();
            edit(&mut app);
            assert!(app.validate().is_err(), "{app:?}");
        }
        assert_eq!(app().validate(), Ok(()));
    }
}
