//! Validation of an app's settings before any store: its texts, its numbers and its callers.

use super::{LANGUAGES, TemplateError, check_template, fits_one_segment, step_up_fits_one_segment};
use crate::{
    app::{
        app::{App, StepUp, is_host, is_visible},
        guard::GuardError,
        policy::PolicyError,
    },
    value::address::Channel,
};
use thiserror::Error;

/// An app whose settings keep every rule. Nothing else can be stored, so that whatever is accepted
/// can be read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidApp(App);

impl AsRef<App> for ValidApp {
    fn as_ref(&self) -> &App {
        &self.0
    }
}

/// Why an app's settings are refused.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum AppError {
    /// A number of its policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A number of its guard.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// Its brand or host does not fit a text message.
    #[error("{0}")]
    Text(&'static str),
    /// A template that does not parse, or whose message leaves the code out.
    #[error("template {id}: {cause}")]
    Template {
        /// The template's id.
        id: String,
        /// What is wrong with it.
        cause: TemplateError,
    },
}

impl App {
    /// The app as a store takes it, if its settings keep every rule.
    pub fn validated(&self) -> Result<ValidApp, AppError> {
        self.validate().map(|()| ValidApp(self.clone()))
    }

    /// Checks every rule of the settings.
    pub fn validate(&self) -> Result<(), AppError> {
        self.policy.validate()?;
        self.guard.validate()?;
        if self.name.is_empty() || self.name.chars().count() > 30 {
            return Err(AppError::Text("name must be 1 to 30 characters"));
        }
        if !is_visible(&self.name) {
            return Err(AppError::Text(
                "name must not hold control, bidirectional or other invisible characters",
            ));
        }
        if self.host.as_ref().is_some_and(|host| !is_host(host)) {
            return Err(AppError::Text("host must be a host name of at most 40 characters"));
        }
        if !fits_one_segment(self) {
            return Err(AppError::Text("name and host are too long for one text message"));
        }
        self.validate_callers().map_err(AppError::Text)?;
        self.step_up.values().try_for_each(|step| self.validate_text(step))?;
        for (id, source) in &self.templates {
            check_template(source).map_err(|cause| AppError::Template { id: id.clone(), cause })?;
        }
        Ok(())
    }

    fn validate_text(&self, step_up: &StepUp) -> Result<(), AppError> {
        let refuse = |what| Err(AppError::Text(what));
        for (language, text) in &step_up.text {
            if !LANGUAGES.iter().any(|(known, _)| known == language) {
                return refuse("step_up: a text's language must be a built-in one, such as en");
            }
            if !(1..=100).contains(&text.chars().count()) || !is_visible(text) {
                return refuse("step_up: a text must be 1 to 100 visible characters");
            }
        }
        if step_up.channel == Channel::Sms && !step_up_fits_one_segment(self, step_up) {
            return refuse("step_up: name, host and text are too long for one text message");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        app::{Issuer, TestAddress},
        secret::{code::Code, proof::GrantMode},
        value::{
            address::{Address, EmailAddress},
            time::Timestamp,
        },
    };

    fn app() -> App {
        App::new("demo".parse().unwrap(), "Demo")
    }

    fn issuer(url: &str) -> Issuer {
        let (url, audience) = (url.to_owned(), "api".to_owned());
        Issuer { url, audience, jwks_url: None, linked_identity_claim: None }
    }

    fn test_address(address: &str) -> TestAddress {
        with_code(address, "179317")
    }

    fn with_code(address: &str, code: &str) -> TestAddress {
        let code = Code::try_from(code.to_owned()).unwrap();
        TestAddress { address: address.to_owned(), code, until: Timestamp::from_millis(1) }
    }

    #[test]
    fn a_test_address_has_no_code_that_is_guessed_first() {
        let with_code =
            |code: &str| App { test_addresses: vec![with_code("ada@example.com", code)], ..app() };
        for code in [
            "1793",
            "17931",
            "000000",
            "111111",
            "9999999999",
            "123456",
            "654321",
            "890123",
            "210987",
            "0123456789",
            "12345678",
        ] {
            assert!(with_code(code).validate().is_err(), "{code}");
        }
        for code in ["179317", "123457", "111112", "1357911", "4829153076"] {
            assert_eq!(with_code(code).validate(), Ok(()), "{code}");
        }
    }

    #[test]
    fn a_name_shows_every_character_it_has() {
        let named = |name: String| App { name, ..app() };
        for c in "\u{0}\u{7}\n\r\t\u{7f}\u{85}\u{ad}\u{61c}\u{180e}\u{200b}\u{200e}\u{200f}\u{2028}\
            \u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2060}\u{2066}\u{2067}\u{2068}\u{2069}\
            \u{feff}\u{fff9}\u{e0001}\u{e000}"
            .chars()
        {
            assert!(named(format!("De{c}mo")).validate().is_err(), "{}", c.escape_unicode());
        }
        for name in ["Demo", "L'Été \"bis\" \\o/", "डेमो", "Żółw", "Demo 🦀", "演示", "O\u{301}ra"]
        {
            assert_eq!(named(name.to_owned()).validate(), Ok(()), "{name}");
        }
    }

    #[test]
    fn callers_are_known_by_whole_names() {
        let mut app = app();
        app.issuer = Some(issuer("https://issuer.example"));
        app.browser.origins = vec!["https://shop.example".into(), "http://localhost:3000".into()];
        app.test_addresses = vec![test_address("Ada@Example.com")];
        assert_eq!(app.validate(), Ok(()));
        assert!(app.allows_origin("https://shop.example"));
        for origin in ["https://shop.example.evil.example", "https://shop.exampl", "null", "*", ""]
        {
            assert!(!app.allows_origin(origin), "{origin}");
        }
        let ada = EmailAddress::parse("ada@example.com").unwrap();
        assert!(app.test_address(&Address::Email(ada)).is_some());
    }

    #[test]
    fn settings_that_break_a_message_are_refused() {
        let edits: [fn(&mut App); 12] = [
            |app| app.name = String::new(),
            |app| app.name = "x".repeat(31),
            |app| app.host = Some("no host".into()),
            |app| {
                app.name = "Żółw i Gęś na wycieczce razem".into();
                app.host = Some("a-rather-long-host-name.example.org".into());
            },
            |app| app.policy.max_attempts = 0,
            |app| app.issuer = Some(issuer("http://issuer.example")),
            |app| {
                let audience = String::new();
                app.issuer = Some(Issuer { audience, ..issuer("https://issuer.example") });
            },
            |app| app.browser.origins = vec!["*".into()],
            |app| app.browser.origins = vec!["https://shop.example/".into()],
            |app| {
                let step = StepUp::new(Channel::Caller, GrantMode::SingleUse);
                app.step_up.insert("transfer".into(), step);
            },
            |app| app.test_addresses = vec![test_address("4155550123")],
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
