//! What messages say. The built-in texts are Fluent sources in `messages/`, one file a language; an
//! app's template is a Fluent source too, and overrides whichever of them it names.

mod validation;

pub use validation::{AppError, ValidApp};

use crate::{
    app::{App, EmailSender, SmsSender, StepUp},
    secret::code::Code,
};
use askama::Template as _;
use fluent_bundle::{FluentArgs, FluentBundle, FluentResource};
use std::time::Duration;
use thiserror::Error;
use unic_langid::LanguageIdentifier;

/// The built-in languages; the first is spoken where no other fits.
pub const LANGUAGES: [(&str, &str); 6] = [
    ("en", include_str!("../../messages/en.ftl")),
    ("de", include_str!("../../messages/de.ftl")),
    ("es", include_str!("../../messages/es.ftl")),
    ("fr", include_str!("../../messages/fr.ftl")),
    ("hi", include_str!("../../messages/hi.ftl")),
    ("pt", include_str!("../../messages/pt.ftl")),
];

/// A text message, ready for a courier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sms {
    /// What it says.
    pub text: String,
    /// How it is sent.
    pub sender: SmsSender,
}

/// An e-mail, ready for a courier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    /// Never holds the code: subjects are shown on locked screens.
    pub subject: String,
    /// The plain part.
    pub text: String,
    /// The HTML part.
    pub html: String,
    /// How it is sent.
    pub sender: EmailSender,
    /// The app's id, for the provider's tags.
    pub app: String,
}

/// What a message is made from.
pub struct Text<'a> {
    /// Whose message it is.
    pub app: &'a App,
    /// The id of one of its templates.
    pub template: Option<&'a str>,
    /// The scope that the code is asked for, in a step-up.
    pub scope: Option<&'a str>,
    /// What an Android app is recognised by: the last word of its text messages.
    pub app_hash: Option<&'a str>,
    /// The language asked for; the app's where absent.
    pub locale: Option<&'a str>,
    /// The code.
    pub code: &'a Code,
    /// How long the code lives.
    pub life: Duration,
}

/// Why a template is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// It is not a Fluent source.
    #[error("it does not parse as Fluent")]
    Syntax,
    /// Its `sms` or `sms-step-up` message does not hold the code.
    #[error("its `sms` and `sms-step-up` messages must hold {{ $code }}")]
    NoCode,
}

/// Renders a text message. With the app's host set, its last line lets the phone fill in the code
/// (WICG origin-bound one-time codes). The longest built-in wording that fits one segment is taken.
#[must_use]
pub fn sms(text: &Text<'_>) -> Sms {
    let words = Words::of(text);
    // Android's SMS retriever reads the last line, and so does WebOTP: there is room for one.
    let autofill = match (text.app_hash, &text.app.host) {
        (Some(hash), _) => format!("\n\n{hash}"),
        (None, Some(host)) => format!("\n\n@{host} #{}", text.code.reveal()),
        (None, None) => String::new(),
    };
    if let Some(scope) = text.scope {
        return Sms {
            text: step_up_sms(words, text, scope, &autofill),
            sender: text.app.sms.clone(),
        };
    }
    let long = words.say("sms") + &autofill;
    let is_own = text.own_source().is_some_and(|source| defines(source, "sms"));
    let text_fits = is_own || segments(&long) == 1;
    let body = if text_fits { long } else { words.say("sms-short") + &autofill };
    Sms { text: body, sender: text.app.sms.clone() }
}

/// The text message of a step-up: the longest wording that fits one segment. What the code allows is
/// never left out; where there is no room for both, the line that fills in the code is.
fn step_up_sms(mut words: Words, text: &Text<'_>, scope: &str, autofill: &str) -> String {
    let own = text.app.step_up.get(scope);
    words.set_action(own, "step-up-action");
    let long = words.say("sms-step-up") + autofill;
    let is_own = text.own_source().is_some_and(|source| defines(source, "sms-step-up"));
    if is_own || segments(&long) == 1 {
        return long;
    }
    words.set_action(own, "step-up-action-short");
    let short = words.say("sms-step-up-short");
    let filled_in = format!("{short}{autofill}");
    if segments(&filled_in) == 1 { filled_in } else { short }
}

/// Renders an e-mail with a plain and an HTML part.
#[must_use]
pub fn email(text: &Text<'_>) -> Email {
    let mut words = Words::of(text);
    let (subject, intro) = match text.scope {
        Some(scope) => {
            words.set_action(text.app.step_up.get(scope), "step-up-action");
            ("email-step-up-subject", "email-step-up-intro")
        }
        None => ("email-subject", "email-intro"),
    };
    let html = Html {
        language: words.language,
        subject: words.say(subject),
        brand: &text.app.name,
        intro: words.say(intro),
        code: text.code.reveal(),
        expiry: words.say("email-expiry"),
        warning: words.say("email-warning"),
    };
    let plain = format!("{}\n\n{}\n\n{}\n{}\n", html.intro, html.code, html.expiry, html.warning);
    Email {
        // Writing into a String cannot fail, and the page has no fallible part.
        html: html.render().unwrap_or_else(|_| plain.clone()),
        text: plain,
        subject: html.subject,
        sender: text.app.email.clone(),
        app: text.app.id.as_str().to_owned(),
    }
}

/// Checks an app's template before it is stored.
pub fn check_template(source: &str) -> Result<(), TemplateError> {
    const MARK: &str = "\u{2}code\u{3}";
    FluentResource::try_new(source.to_owned()).map_err(|_| TemplateError::Syntax)?;
    let mut words = Words::new(LANGUAGES[0], Some(source));
    words.args.set("code", MARK);
    words.args.set("brand", "Brand");
    words.args.set("minutes", 10);
    words.args.set("seconds", 600);
    words.args.set("action", "");
    let holds_code = |message| words.say(message).contains(MARK);
    let all = ["sms", "sms-step-up"].into_iter().all(holds_code);
    all.then_some(()).ok_or(TemplateError::NoCode)
}

/// Whether an app's name and host leave room for the longest code in one text message, in every
/// built-in language.
#[must_use]
pub fn fits_one_segment(app: &App) -> bool {
    let autofill = longest_autofill(app);
    let fits = |spoken| segments(&(Words::longest(spoken, app).say("sms-short") + &autofill)) == 1;
    LANGUAGES.into_iter().all(fits)
}

/// The same of the messages of a step-up: with what the app says that the code allows, together with
/// the line that fills in the code; and without that line where the built-in text says it.
#[must_use]
pub fn step_up_fits_one_segment(app: &App, step_up: &StepUp) -> bool {
    LANGUAGES.into_iter().all(|spoken| {
        let mut words = Words::longest(spoken, app);
        words.set_action(Some(step_up), "step-up-action-short");
        let short = words.say("sms-step-up-short");
        let is_own = step_up.text.contains_key(spoken.0);
        segments(&if is_own { short + &longest_autofill(app) } else { short }) == 1
    })
}

/// The last line of an app's text messages, with the longest code.
fn longest_autofill(app: &App) -> String {
    app.host.as_ref().map(|host| format!("\n\n@{host} #0123456789")).unwrap_or_default()
}

/// The number of SMS segments of a text (3GPP TS 23.038 and 23.040): 160 characters of GSM-7 or 70
/// UTF-16 units in one message, 153 or 67 in each of several.
#[must_use]
pub fn segments(text: &str) -> usize {
    const GSM_7: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
        ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
    const ESCAPED: &str = "^{}\\[~]|€\u{c}";
    let septets = |c: char| match c {
        c if GSM_7.contains(c) => Some(1),
        c if ESCAPED.contains(c) => Some(2),
        _ => None,
    };
    let (length, one, several) = match text.chars().map(septets).sum::<Option<usize>>() {
        Some(septets) => (septets, 160, 153),
        None => (text.encode_utf16().count(), 70, 67),
    };
    if length <= one { 1 } else { length.div_ceil(several) }
}

#[derive(askama::Template)]
#[template(path = "email.html")]
struct Html<'a> {
    language: &'static str,
    subject: String,
    brand: &'a str,
    intro: String,
    code: &'a str,
    expiry: String,
    warning: String,
}

impl Text<'_> {
    fn own_source(&self) -> Option<&str> {
        self.app.templates.get(self.template?).map(String::as_str)
    }
}

struct Words {
    language: &'static str,
    bundle: FluentBundle<FluentResource>,
    args: FluentArgs<'static>,
}

impl Words {
    fn of(text: &Text<'_>) -> Self {
        let wished = [text.locale, text.app.locale.as_deref()];
        let spoken = wished.into_iter().flatten().find_map(built_in).unwrap_or(LANGUAGES[0]);
        let mut words = Self::new(spoken, text.own_source());
        words.args.set("code", text.code.reveal().to_owned());
        words.args.set("brand", text.app.name.clone());
        words.args.set("minutes", text.life.as_secs() / 60);
        words.args.set("seconds", text.life.as_secs());
        words
    }

    fn new((language, source): (&'static str, &'static str), own: Option<&str>) -> Self {
        let id: LanguageIdentifier = language.parse().unwrap_or_default();
        let mut bundle = FluentBundle::new(vec![id]);
        // Isolation marks around placeables would cost segments and break autofill.
        bundle.set_use_isolating(false);
        for source in [Some(source), own].into_iter().flatten() {
            // A source with errors still yields the messages that parsed.
            let resource = FluentResource::try_new(source.to_owned()).unwrap_or_else(|(r, _)| r);
            bundle.add_resource_overriding(resource);
        }
        Self { language, bundle, args: FluentArgs::new() }
    }

    /// The words of a language about an app's longest code.
    fn longest(spoken: (&'static str, &'static str), app: &App) -> Self {
        let mut words = Self::new(spoken, None);
        words.args.set("code", "0".repeat((*crate::secret::code::LENGTHS.end()).into()));
        words.args.set("brand", app.name.clone());
        words
    }

    /// Sets what the code of a step-up allows: the app's text in this language, or a built-in one.
    fn set_action(&mut self, step_up: Option<&StepUp>, built_in: &str) {
        let own = step_up.and_then(|step_up| step_up.text.get(self.language));
        let action = own.map_or_else(|| self.say(built_in), Clone::clone);
        self.args.set("action", action);
    }

    /// A message's text. Every built-in language defines every message; a test says so.
    fn say(&self, id: &str) -> String {
        let pattern = self.bundle.get_message(id).and_then(|message| message.value());
        pattern.map_or_else(String::new, |pattern| {
            self.bundle.format_pattern(pattern, Some(&self.args), &mut Vec::new()).into_owned()
        })
    }
}

fn built_in(locale: &str) -> Option<(&'static str, &'static str)> {
    let wished: LanguageIdentifier = locale.parse().ok()?;
    LANGUAGES.into_iter().find(|(language, _)| wished.language.as_str() == *language)
}

fn defines(source: &str, id: &str) -> bool {
    source
        .lines()
        .any(|line| line.strip_prefix(id).is_some_and(|rest| rest.trim_start().starts_with('=')))
}
