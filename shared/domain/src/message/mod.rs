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
use unic_langid::{CharacterDirection, LanguageIdentifier};

/// The built-in languages; the first is spoken where no other fits.
pub const LANGUAGES: [(&str, &str); 20] = [
    ("en", include_str!("../../messages/en.ftl")),
    ("ar", include_str!("../../messages/ar.ftl")),
    ("de", include_str!("../../messages/de.ftl")),
    ("es", include_str!("../../messages/es.ftl")),
    ("fr", include_str!("../../messages/fr.ftl")),
    ("he", include_str!("../../messages/he.ftl")),
    ("hi", include_str!("../../messages/hi.ftl")),
    ("id", include_str!("../../messages/id.ftl")),
    ("it", include_str!("../../messages/it.ftl")),
    ("ja", include_str!("../../messages/ja.ftl")),
    ("ko", include_str!("../../messages/ko.ftl")),
    ("nl", include_str!("../../messages/nl.ftl")),
    ("pl", include_str!("../../messages/pl.ftl")),
    ("pt", include_str!("../../messages/pt.ftl")),
    ("ru", include_str!("../../messages/ru.ftl")),
    ("th", include_str!("../../messages/th.ftl")),
    ("tr", include_str!("../../messages/tr.ftl")),
    ("uk", include_str!("../../messages/uk.ftl")),
    ("vi", include_str!("../../messages/vi.ftl")),
    ("zh", include_str!("../../messages/zh.ftl")),
];

/// The most UTF-16 units in a built-in text of what the code of a step-up allows, where room is short;
/// a test says so.
const LONGEST_ACTION: usize = 37;

/// A code of the greatest length.
const LONGEST_CODE: &str = "0123456789";

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
    /// What the provider's reports of the message name it by, in a tag of its own.
    pub receipt_tag: String,
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
    /// What the provider's reports of the message name it by.
    pub receipt_tag: &'a str,
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
    let body = match text.scope {
        Some(scope) => step_up_sms(words, text, scope, &autofill),
        None => sign_in_sms(&words, text, &autofill),
    };
    Sms { text: body, sender: text.app.sms.clone() }
}

/// The text message of a sign-in. Where a long brand or host leaves no room for the words of the
/// language, symbols tell how long the code lives, or nothing does.
fn sign_in_sms(words: &Words, text: &Text<'_>, autofill: &str) -> String {
    let bare = bare(text.app, text.code.reveal());
    let timed = format!("{bare} ({}){autofill}", symbols(text.life));
    let own = |id| text.own_source().is_some_and(|source| defines(source, id));
    let said = |id| (words.say(id) + autofill, own(id));
    let wordings = [said("sms"), said("sms-short"), (timed, false)];
    let taken = wordings.into_iter().find(|(body, is_own)| *is_own || segments(body) == 1);
    taken.map_or_else(|| bare + autofill, |(body, _)| body)
}

/// The app and the code: what is left of a text message where there is room for nothing else.
fn bare(app: &App, code: &str) -> String {
    format!("{}: {code}", app.name)
}

/// A time in the symbols that every language has.
fn symbols(life: Duration) -> String {
    match life.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
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
    if words.direction() == "rtl" {
        // Marks (FSI and PDI) keep a brand in Latin letters from reordering the words around it. In
        // a text message they would cost room.
        words.args.set("brand", format!("\u{2068}{}\u{2069}", text.app.name));
    }
    let html = Html {
        language: words.language,
        direction: words.direction(),
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
        receipt_tag: text.receipt_tag.to_owned(),
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

/// Whether an app's name and host leave room for the longest code in one text message. Apps are
/// validated whenever they are read, so no language is parsed here: the shortest wording is the same
/// in all of them.
#[must_use]
pub fn fits_one_segment(app: &App) -> bool {
    segments(&(bare(app, LONGEST_CODE) + &longest_autofill(app))) == 1
}

/// The same of the messages of a step-up: with what the app says that the code allows, together with
/// the line that fills in the code; and without that line where the built-in text says it.
#[must_use]
pub fn step_up_fits_one_segment(app: &App, step_up: &StepUp) -> bool {
    let shortest = |action: &str| bare(app, LONGEST_CODE) + " " + action;
    let autofill = longest_autofill(app);
    let mut own = step_up.text.values().map(|action| shortest(action) + &autofill);
    let built_in = shortest(&"x".repeat(LONGEST_ACTION));
    segments(&built_in) == 1 && own.all(|text| segments(&text) == 1)
}

/// The last line of an app's text messages, with the longest code.
fn longest_autofill(app: &App) -> String {
    app.host.as_ref().map(|host| format!("\n\n@{host} #{LONGEST_CODE}")).unwrap_or_default()
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
    direction: &'static str,
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

    /// Where lines begin, as HTML's `dir` says it: `ltr` or `rtl`.
    fn direction(&self) -> &'static str {
        let is_rtl = |id: &LanguageIdentifier| id.character_direction() == CharacterDirection::RTL;
        if self.bundle.locales.iter().any(is_rtl) { "rtl" } else { "ltr" }
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

/// The built-in language of a locale, whatever its script and region are. Two languages are also known
/// by the codes that ISO 639 gave them before 1989, which old Java runtimes still send.
fn built_in(locale: &str) -> Option<(&'static str, &'static str)> {
    let wished = locale.split(['-', '_']).next()?.to_ascii_lowercase();
    let wished = match wished.as_str() {
        "iw" => "he",
        "in" => "id",
        language => language,
    };
    LANGUAGES.into_iter().find(|(language, _)| *language == wished)
}

fn defines(source: &str, id: &str) -> bool {
    source
        .lines()
        .any(|line| line.strip_prefix(id).is_some_and(|rest| rest.trim_start().starts_with('=')))
}
