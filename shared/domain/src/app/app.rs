//! Apps: the tenants. An app has credentials, a policy, senders and templates.

use super::{guard::Guard, policy::Policy, session::SessionPolicy};
use crate::{
    secret::{code::Code, pin, proof::GrantMode},
    value::{
        address::{Address, Channel, EmailAddress, PhoneNumber},
        id::AppId,
        time::Timestamp,
    },
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeMap, fmt};
use subtle::{Choice, ConstantTimeEq as _};

/// SHA-256 of a client secret. Secrets are generated with at least 128 random bits, so a plain
/// hash cannot be searched; the secret itself is shown once and never stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretHash(#[serde(with = "crate::value::bytes")] [u8; 32]);

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

/// Who signs the access tokens of an app's users (OpenID Connect Core, RFC 9068).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// The tokens' `iss`: an https URL, or one of this machine.
    pub url: String,
    /// The tokens' `aud`.
    pub audience: String,
    /// Where its keys are; asked of its discovery document where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<String>,
    /// A claim that a token must carry to show that its user is linked with a third party.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linked_identity_claim: Option<String>,
}

/// What a browser of an app's is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Browser {
    /// The origins whose pages may call (`https://shop.example`), each in full.
    pub origins: Vec<String>,
    /// Whether the cookie shall also travel from pages of other sites (`SameSite=None`), in a jar
    /// for each of them (`Partitioned`).
    pub cross_site_cookie: bool,
}

/// What it takes to be granted a scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepUp {
    /// Where the user's code goes: `sms` or `email`.
    pub channel: Channel,
    /// How far the proof reaches.
    pub grant_mode: GrantMode,
    /// What the code allows, by built-in language, as it follows "your code" in the message: "to
    /// transfer money". A language without one says that the code confirms an action.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub text: BTreeMap<String, String>,
}

impl StepUp {
    /// A step-up whose messages say that the code confirms an action.
    #[must_use]
    pub const fn new(channel: Channel, grant_mode: GrantMode) -> Self {
        Self { channel, grant_mode, text: BTreeMap::new() }
    }
}

/// An address for reviewers and automated tests: nothing is sent to it, and its code is fixed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestAddress {
    /// A phone number in E.164 form, or an e-mail address.
    pub address: String,
    /// Its code.
    pub code: Code,
    /// When it is an address like any other again.
    pub until: Timestamp,
}

impl TestAddress {
    fn is_of(&self, address: &Address) -> bool {
        match address {
            Address::Phone(phone) => phone.as_str() == self.address,
            Address::Email(email) => email.canonical() == self.address.to_ascii_lowercase(),
            Address::User(_) => false,
        }
    }

    fn is_valid(&self) -> bool {
        PhoneNumber::parse(&self.address).is_ok_and(|phone| phone.as_str() == self.address)
            || EmailAddress::parse(&self.address).is_ok()
    }

    /// A fixed code can be guessed at for as long as it stands, so it is not a short one.
    fn has_long_code(&self) -> bool {
        self.code.reveal().len() >= 6
    }

    /// Nor is it one of those that are guessed first: one digit over and over, or a series.
    fn has_trivial_code(&self) -> bool {
        let code = self.code.reveal().as_bytes();
        pin::is_series(code) || code.iter().all(|digit| *digit == code[0])
    }
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
    /// Whether a blocked caller sees success instead of the refusal.
    #[serde(default)]
    pub conceal_blocks: bool,
    /// Whether its server is refused, where it lists a channel of OTPless that does not exist here,
    /// also beside one that does.
    #[serde(default)]
    pub strict_channels: bool,
    /// Who signs the access tokens of its users.
    #[serde(default)]
    pub issuer: Option<Issuer>,
    /// What its browsers are allowed.
    #[serde(default)]
    pub browser: Browser,
    /// How long its sessions live.
    #[serde(default)]
    pub session: SessionPolicy,
    /// The scopes that its users can step up to.
    #[serde(default)]
    pub step_up: BTreeMap<String, StepUp>,
    /// Addresses that nothing is sent to.
    #[serde(default)]
    pub test_addresses: Vec<TestAddress>,
    /// The language of its messages where a request names none (BCP 47).
    #[serde(default)]
    pub locale: Option<String>,
    /// The host that may fill in codes from its text messages (WICG origin-bound codes).
    #[serde(default)]
    pub host: Option<String>,
    /// The limits of its challenges.
    #[serde(default)]
    pub policy: Policy,
    /// What keeps its messages few enough.
    #[serde(default)]
    pub guard: Guard,
    /// How its text messages are sent.
    #[serde(default)]
    pub sms: SmsSender,
    /// How its e-mails are sent.
    #[serde(default)]
    pub email: EmailSender,
    /// Its own texts, by template id: Fluent sources that override the built-in messages.
    #[serde(default)]
    pub templates: BTreeMap<String, String>,
    /// The paths of what was stored and could not be read: this release refuses it. Never stored.
    #[serde(skip)]
    pub dropped_parts: Vec<String>,
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
            conceal_blocks: false,
            strict_channels: false,
            issuer: None,
            browser: Browser::default(),
            session: SessionPolicy::default(),
            step_up: BTreeMap::new(),
            test_addresses: Vec::new(),
            locale: None,
            host: None,
            policy: Policy::default(),
            guard: Guard::default(),
            sms: SmsSender::default(),
            email: EmailSender::default(),
            templates: BTreeMap::new(),
            dropped_parts: Vec::new(),
        }
    }

    /// Checks who may call and with what: issuer, origins, scopes, test addresses. The error says what is
    /// wrong.
    pub(crate) fn validate_callers(&self) -> Result<(), &'static str> {
        let urls =
            self.issuer.iter().flat_map(|issuer| [Some(&issuer.url), issuer.jwks_url.as_ref()]);
        if !urls.flatten().all(|url| is_trusted_url(url)) {
            return Err("issuer.url and issuer.jwks_url must begin with https://");
        }
        if self.issuer.as_ref().is_some_and(|issuer| issuer.audience.is_empty()) {
            return Err("issuer.audience must not be empty");
        }
        if !self.browser.origins.iter().all(|origin| is_origin(origin)) {
            return Err(
                "browser.origins must each be a scheme and a host, as in https://shop.example",
            );
        }
        self.session.validate()?;
        if !self.step_up.keys().all(|scope| is_scope(scope)) {
            return Err("step_up: a scope is 1 to 128 letters, digits, `.`, `-`, `_` or `:`");
        }
        if self.step_up.values().any(|step| step.channel == Channel::Caller) {
            return Err("step_up: a channel must be sms or email");
        }
        if !self.test_addresses.iter().all(TestAddress::is_valid) {
            return Err(
                "test_addresses must each be a phone number in E.164 form or an e-mail address",
            );
        }
        if !self.test_addresses.iter().all(TestAddress::has_long_code) {
            return Err("test_addresses must each have a code of at least 6 digits");
        }
        if self.test_addresses.iter().any(TestAddress::has_trivial_code) {
            return Err("test_addresses: a code must be neither one digit repeated nor a series");
        }
        Ok(())
    }

    /// Whether a presented secret is one of the app's. Looks at every hash, in constant time each.
    #[must_use]
    pub fn accepts_secret(&self, presented: &str) -> bool {
        is_among(presented, &self.secrets)
    }

    /// The same for its administrators' keys.
    #[must_use]
    pub fn accepts_admin_key(&self, presented: &str) -> bool {
        is_among(presented, &self.admin_keys)
    }

    /// The entry of an address among those for tests.
    #[must_use]
    pub fn test_address(&self, address: &Address) -> Option<&TestAddress> {
        self.test_addresses.iter().find(|test| test.is_of(address))
    }

    /// Whether pages of an origin may call.
    #[must_use]
    pub fn allows_origin(&self, origin: &str) -> bool {
        self.browser.origins.iter().any(|allowed| allowed == origin)
    }
}

fn is_among(presented: &str, hashes: &[SecretHash]) -> bool {
    let presented = SecretHash::of(presented);
    let any = |found: Choice, hash: &SecretHash| found | hash.0.ct_eq(&presented.0);
    hashes.iter().fold(Choice::from(0), any).into()
}

/// Whether what a URL leads to is who it says: TLS vouches for it, or it is this machine.
#[must_use]
pub fn is_trusted_url(url: &str) -> bool {
    let is_text = url.bytes().all(|b| b.is_ascii_graphic());
    let is_secure = url.strip_prefix("https://").is_some_and(|rest| !rest.is_empty());
    is_text && (is_secure || is_local_url(url))
}

/// Whether a URL leads to this machine.
#[must_use]
pub fn is_local_url(url: &str) -> bool {
    let own = ["http://127.0.0.1:", "http://localhost:"];
    own.iter().any(|own| url.strip_prefix(own).is_some_and(begins_with_port))
}

/// Whether the rest of a URL is a port and a path. What else may stand behind a colon is a password,
/// and the host comes after it.
fn begins_with_port(rest: &str) -> bool {
    let port = rest.split('/').next().unwrap_or_default();
    !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
}

fn is_origin(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:[]".contains(&b);
        !rest.is_empty() && rest.bytes().all(allowed)
    })
}

/// What a scope of a step-up looks like (Prelude, `stepup/request`).
#[must_use]
pub fn is_scope(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b".-_:".contains(&b);
    (1..=128).contains(&text.len()) && text.bytes().all(allowed)
}

/// Whether a text holds nothing that is not seen, or that changes how the rest is seen: no character
/// of the Unicode categories Cc, Cf, Co, Cn, Zl and Zp, and of Zs only the space. It is those that
/// `str::escape_debug` escapes, beside quotation marks and the backslash.
pub(crate) fn is_visible(text: &str) -> bool {
    let quoted = |c: char| matches!(c, '"' | '\'' | '\\');
    // A combining mark is escaped at the beginning alone.
    let text: String = "a".chars().chain(text.chars().filter(|c| !quoted(*c))).collect();
    text.escape_debug().eq(text.chars())
}

pub(crate) fn is_host(text: &str) -> bool {
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
    fn only_tls_and_this_machine_vouch_for_a_url() {
        for (url, is_trusted) in [
            ("", false),
            ("https://", false),
            ("http://issuer.example", false),
            ("http://localhost.evil.example", false),
            ("http://localhost:pass@evil.example", false),
            ("http://127.0.0.1:@evil.example/", false),
            ("http://127.0.0.1:/", false),
            ("https://issuer.example/a b", false),
            ("http://localhost:9000", true),
            ("http://127.0.0.1:9000/_local", true),
            ("https://issuer.example/path", true),
        ] {
            assert_eq!(is_trusted_url(url), is_trusted, "{url}");
        }
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
}
