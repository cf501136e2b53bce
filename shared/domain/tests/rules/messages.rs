//! What messages say, in every language.

use passcode_domain::{
    App, ChallengeId, Code, SubjectKey,
    message::{self, LANGUAGES, TemplateError, Text, segments},
};
use passcode_testkit::{TestWorld, demo_app};
use std::time::Duration;

fn code() -> Code {
    let world = TestWorld::default();
    let keyring = world.keys();
    let id = ChallengeId::new(SubjectKey::from_bytes([1; 16]), [2; 16]);
    Code::derive(keyring.code_key(keyring.current_id()).unwrap(), id, &[3; 16], 1, 6)
}

fn text<'a>(app: &'a App, code: &'a Code, locale: Option<&'a str>) -> Text<'a> {
    Text {
        app,
        template: None,
        scope: None,
        app_hash: None,
        locale,
        code,
        life: Duration::from_mins(10),
    }
}

#[test]
fn segments_are_counted_as_the_networks_do() {
    let cases = [
        ("a".repeat(160), 1),
        ("a".repeat(161), 2),
        ("€".repeat(80), 1),
        ("€".repeat(81), 2),
        ("ж".repeat(70), 1),
        ("ж".repeat(71), 2),
        ("😀".repeat(35), 1),
        ("😀".repeat(36), 2),
        ("a".repeat(307), 3),
    ];
    for (text, expected) in cases {
        assert_eq!(segments(&text), expected, "{text}");
    }
}

#[test]
fn every_text_message_fits_one_segment_and_ends_with_the_autofill_line() {
    let code = code();
    let mut app = demo_app();
    for (name, host) in
        [("Demo", "example.com"), ("A brand of thirty letters long", "sign-in.example.org")]
    {
        app.name = name.into();
        app.host = Some(host.into());
        for (language, _) in LANGUAGES {
            let sms = message::sms(&text(&app, &code, Some(language)));
            assert_eq!(segments(&sms.text), 1, "{language}: {}", sms.text);
            let last = sms.text.lines().last().unwrap();
            assert_eq!(last, format!("@{host} #{}", code.reveal()));
            assert!(sms.text.contains(name), "{language}: {}", sms.text);
        }
    }
}

/// What a code is asked for, as it was told in each language where the app says nothing.
const NEUTRAL: [(&str, &str); 6] = [
    ("en", "to confirm an action, not to sign in"),
    ("de", "zum Bestätigen, nicht zum Anmelden"),
    ("es", "para confirmar, no para entrar"),
    ("fr", "pour confirmer, pas pour se connecter"),
    ("hi", "sign-in nahin"),
    ("pt", "para confirmar, nunca para entrar"),
];

fn for_transfer<'a>(app: &'a App, code: &'a Code, locale: &'a str) -> Text<'a> {
    Text { scope: Some("transfer"), ..text(app, code, Some(locale)) }
}

#[test]
fn a_step_ups_message_says_in_every_language_that_its_code_is_not_for_signing_in() {
    let (app, code) = (demo_app(), code());
    for (language, action) in NEUTRAL {
        let sms = message::sms(&for_transfer(&app, &code, language)).text;
        assert!(sms.contains(action), "{language}: {sms}");
        assert_eq!(segments(&sms), 1, "{language}: {sms}");
        assert_eq!(sms.lines().last(), Some(&*format!("@example.com #{}", code.reveal())));
        assert_ne!(sms, message::sms(&text(&app, &code, Some(language))).text, "{language}");
        let email = message::email(&for_transfer(&app, &code, language));
        let of_sign_in = message::email(&text(&app, &code, Some(language)));
        assert_ne!(email.subject, of_sign_in.subject, "{language}");
        assert!(email.subject.contains("Demo") && !email.subject.contains(code.reveal()));
        let action = if language == "hi" {
            "साइन इन के लिए नहीं"
        } else {
            action
        };
        assert!(email.text.contains(action) && email.html.contains(action), "{language}");
    }
}

#[test]
fn a_step_ups_message_names_what_the_app_says_that_the_code_allows() {
    let code = code();
    let mut app = demo_app();
    let texts = &mut app.step_up.get_mut("transfer").unwrap().text;
    texts.insert("en".into(), "to transfer money".into());
    texts.insert("de".into(), "zum Überweisen".into());
    assert_eq!(app.validate(), Ok(()));
    for (locale, expected) in
        [("en", "Demo code to transfer money."), ("de-AT", "zum Überweisen."), ("es", NEUTRAL[2].1)]
    {
        let sms = message::sms(&for_transfer(&app, &code, locale)).text;
        assert!(sms.contains(expected), "{locale}: {sms}");
        let text = message::email(&for_transfer(&app, &code, locale)).text;
        assert!(text.contains(expected.trim_end_matches('.')), "{locale}: {text}");
    }
    let other = Text { scope: Some("gone"), ..text(&app, &code, None) };
    assert!(message::sms(&other).text.contains(NEUTRAL[0].1), "a scope that is no more");
}

#[test]
fn what_a_step_ups_code_allows_is_never_left_out_and_fits_one_segment() {
    let code = Code::try_from("4829153076".to_owned()).unwrap();
    for name in ["Demo", "A brand of thirty letters long", "Żółw i Gęś", "डेमो दुकान"]
    {
        for host in [None, Some("sign-in.example.org")] {
            let mut app = App { name: name.into(), host: host.map(str::to_owned), ..demo_app() };
            for length in 1..=100 {
                let action = "x".repeat(length);
                let texts = &mut app.step_up.get_mut("transfer").unwrap().text;
                *texts = LANGUAGES.map(|(id, _)| (id.to_owned(), action.clone())).into();
                let messages =
                    LANGUAGES.map(|(id, _)| message::sms(&for_transfer(&app, &code, id)).text);
                let fits = |sms: &String| sms.contains(&action) && segments(sms) == 1;
                assert!(messages.iter().all(fits) || app.validate().is_err(), "{name} {length}");
                assert!(length > 10 || app.validate().is_ok(), "{name} {length}");
            }
        }
    }
}

#[test]
fn a_text_of_a_step_up_is_visible_and_in_a_language_there_is() {
    for (language, action) in
        [("xx", "to pay"), ("en-GB", "to pay"), ("en", ""), ("en", "to\u{202e}pay"), ("en", "a\nb")]
    {
        let mut app = demo_app();
        let texts = &mut app.step_up.get_mut("transfer").unwrap().text;
        texts.insert(language.to_owned(), action.to_owned());
        assert!(app.validate().is_err(), "{language} {action:?}");
    }
}

#[test]
fn every_language_defines_every_text() {
    let (app, code) = (demo_app(), code());
    for (language, _) in LANGUAGES {
        let email = message::email(&text(&app, &code, Some(language)));
        assert!(!email.subject.contains(code.reveal()), "{language}: the subject tells the code");
        assert!(email.subject.contains("Demo"), "{language}");
        let parts: Vec<_> = email.text.split_terminator('\n').filter(|l| !l.is_empty()).collect();
        assert_eq!(parts.len(), 4, "{language}: {parts:?}");
        assert!(parts[2].contains("10"), "{language}: {}", parts[2]);
        for part in parts {
            assert!(email.html.contains(part), "{language}: {part}");
        }
        assert!(email.html.contains(&format!("lang=\"{language}\"")));
    }
}

#[test]
fn the_language_is_the_requests_then_the_apps_then_english() {
    let code = code();
    let mut app = demo_app();
    let says = |app: &App, locale| message::sms(&text(app, &code, locale)).text;
    assert!(says(&app, None).contains("is your Demo code"));
    assert!(says(&app, Some("de-AT")).contains("ist dein Code"));
    assert!(says(&app, Some("xx")).contains("is your"));
    assert!(says(&app, Some("not a locale")).contains("is your"));
    app.locale = Some("fr".into());
    assert!(says(&app, None).contains("est votre code"));
    assert!(says(&app, Some("es-MX")).contains("es tu clave"));
}

#[test]
fn minutes_are_spelled_as_the_language_does_and_never_too_many() {
    let (app, code) = (demo_app(), code());
    let lasting = |seconds| {
        let life = Duration::from_secs(seconds);
        message::sms(&Text { life, ..text(&app, &code, None) }).text
    };
    assert!(lasting(60).contains("in 1 minute."));
    assert!(lasting(30).contains("in 30 seconds."));
    assert!(lasting(59).contains("in 59 seconds."));
    assert!(lasting(119).contains("in 1 minute."));
    assert!(lasting(600).contains("in 10 minutes."));
}

#[test]
fn a_brand_cannot_break_out_of_the_page() {
    let code = code();
    let app = App { name: "<script>alert(1)</script>".into(), ..demo_app() };
    let html = message::email(&text(&app, &code, None)).html;
    assert!(!html.contains("<script>"));
}

#[test]
fn a_template_overrides_what_it_names() {
    let code = code();
    let mut app = demo_app();
    app.templates.insert("short".into(), "sms = { $brand }! { $code }".into());
    let text = Text { template: Some("short"), ..text(&app, &code, None) };
    let sms = message::sms(&text).text;
    assert_eq!(sms, format!("Demo! {0}\n\n@example.com #{0}", code.reveal()));
    assert!(message::email(&text).subject.contains("Your Demo code"));
}

#[test]
fn templates_that_lose_the_code_are_refused() {
    assert_eq!(message::check_template("sms = hello"), Err(TemplateError::NoCode));
    assert_eq!(message::check_template("sms = { $code"), Err(TemplateError::Syntax));
    assert_eq!(message::check_template("email-subject = Hello"), Ok(()));
    assert_eq!(message::check_template("sms = { $code } for you"), Ok(()));
}

/// The relative luminance of a colour such as `#1f2937` (WCAG 2.2).
fn luminance(colour: &str) -> f64 {
    let channel = |at: usize| {
        let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

/// The value of a property in the first rule of a style sheet that starts like this.
fn property<'a>(css: &'a str, rule: &str, name: &str) -> Option<&'a str> {
    let body = css.split_once(&format!("{rule} {{"))?.1.split_once('}')?.0;
    let value = body.split(';').find_map(|line| line.trim().strip_prefix(&format!("{name}: ")))?;
    value.starts_with('#').then_some(value)
}

#[test]
fn the_mail_is_readable_in_light_and_in_dark() {
    let (app, code) = (demo_app(), code());
    let html = message::email(&text(&app, &code, None)).html;
    let (light, dark) = html.split_once("@media (prefers-color-scheme: dark)").unwrap();
    for css in [light, dark] {
        let page = property(css, "body", "background").unwrap();
        let card = property(css, ".card", "background").unwrap();
        let code = property(css, ".code", "background").unwrap();
        let words = property(css, "body", "color").unwrap();
        let digits = property(css, ".code", "color").unwrap();
        let small = property(css, ".small", "color").unwrap();
        for (front, back) in [(words, page), (words, card), (digits, code), (small, card)] {
            let (a, b) = (luminance(front), luminance(back));
            let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
            assert!(contrast >= 4.5, "{front} on {back}: {contrast:.1}");
        }
    }
}
