//! What messages say, in every language.

use fluent_bundle::FluentResource;
use passcode_domain::{
    App, ChallengeId, Code, SubjectKey,
    message::{self, LANGUAGES, TemplateError, Text, segments},
};
use passcode_testkit::{TestWorld, demo_app};
use std::{collections::BTreeSet, time::Duration};

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
        receipt_tag: "TAG",
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

/// How long codes live in the tests, in seconds.
const LIVES: [u64; 5] = [30, 60, 120, 300, 600];

/// The number of a life, where every language writes it in digits. One minute and two are words in some.
fn number(seconds: u64) -> Option<String> {
    let number = if seconds < 60 { seconds } else { seconds / 60 };
    (number > 2).then(|| number.to_string())
}

/// A code whose digits are in no number of [`LIVES`].
fn code_of(digits: usize) -> Code {
    Code::try_from("48962748"[..digits].to_owned()).unwrap()
}

/// Fluent writes what it does not find in braces, and the marks of bidirectional text are invisible.
fn is_plain(text: &str) -> bool {
    let is_mark = |c| matches!(c, '{' | '}' | '\u{200e}'..='\u{200f}' | '\u{2066}'..='\u{2069}');
    !text.contains(is_mark)
}

#[test]
fn every_language_has_the_messages_of_english() {
    let keys = |source: &str| -> Vec<String> {
        let lines =
            source.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
        lines.filter_map(|line| Some(line.split_once(" =")?.0.to_owned())).collect()
    };
    let english = keys(LANGUAGES[0].1);
    for (language, source) in LANGUAGES {
        assert!(FluentResource::try_new(source.to_owned()).is_ok(), "{language}");
        assert_eq!(keys(source), english, "{language}");
        for (id, placeables) in [
            ("sms", ["{ $brand }", "{ $code }", "{ life }"]),
            ("sms-short", ["{ $brand }", "{ $code }", "{ life-short }"]),
            // The validation of an app's settings counts on this form.
            ("sms-step-up-short", ["= { $brand }: { $code } ", "{ $action }", ""]),
        ] {
            let line = source.lines().find(|line| line.starts_with(&format!("{id} =")));
            let holds_all = line.is_some_and(|line| placeables.iter().all(|p| line.contains(p)));
            assert!(holds_all, "{language}: {id}");
        }
    }
    assert_eq!(LANGUAGES.map(|(language, _)| language).iter().collect::<BTreeSet<_>>().len(), 20);
}

/// The text messages of an app in a language: one for each of [`LIVES`].
fn texts_of(app: &App, code: &Code, language: &str) -> [String; 5] {
    LIVES.map(|seconds| {
        let life = Duration::from_secs(seconds);
        message::sms(&Text { life, ..text(app, code, Some(language)) }).text
    })
}

fn check_text(app: &App, code: &Code, sms: &str) {
    assert_eq!(segments(sms), 1, "{sms}");
    let (body, last) = sms.rsplit_once("\n\n").unwrap_or((sms, ""));
    assert!(body.contains(&app.name) && body.contains(code.reveal()) && is_plain(body), "{sms}");
    let autofill = app.host.as_ref().map(|host| format!("@{host} #{}", code.reveal()));
    assert_eq!(last, autofill.unwrap_or_default(), "{sms}");
}

/// Checks every text message of an app whose code has so many digits.
fn check_texts(app: &App, digits: usize) {
    let code = code_of(digits);
    for (language, _) in LANGUAGES {
        let texts = texts_of(app, &code, language);
        for (sms, seconds) in texts.iter().zip(LIVES) {
            check_text(app, &code, sms);
            assert!(number(seconds).is_none_or(|number| sms.contains(&number)), "{sms}");
            assert!(!sms.contains(" min)"), "{language}: symbols instead of words: {sms}");
        }
        assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), 5, "{texts:?}");
    }
}

/// Checks the text message of a step-up in every language.
fn check_step_ups(app: &App, digits: usize) {
    let code = code_of(digits);
    for (language, _) in LANGUAGES {
        check_text(app, &code, &message::sms(&for_transfer(app, &code, language)).text);
    }
}

#[test]
fn every_text_message_names_app_code_and_life_in_one_segment_and_ends_with_the_autofill_line() {
    for length in 1..=12 {
        for host in [None, Some("example.com".to_owned())] {
            let app = App { name: "Brand & Sons"[..length].into(), host, ..demo_app() };
            for digits in 4..=8 {
                check_texts(&app, digits);
                check_step_ups(&app, digits);
            }
        }
    }
}

#[test]
fn a_long_brand_or_host_leaves_room_for_the_life_in_symbols_and_then_for_the_code() {
    for (name, host, lives_told) in [
        ("Żółw i Gęsie", "example.com", 5),
        ("A brand of thirty letters long", "sign-in.example.org", 5),
        ("Demo", "a-host-of-forty-letters.shop.example.com", 5),
        ("Żółw i Gęś: długie wycieczki 2", "example.com", 1),
    ] {
        let mut app = App { name: name.into(), host: Some(host.into()), ..demo_app() };
        app.step_up.clear();
        assert_eq!(app.validate(), Ok(()));
        let code = code_of(8);
        for (language, _) in LANGUAGES {
            let texts = texts_of(&app, &code, language);
            for sms in &texts {
                check_text(&app, &code, sms);
            }
            let told = texts.iter().collect::<BTreeSet<_>>().len();
            assert_eq!(told, lives_told, "{language}: {texts:?}");
        }
    }
}

/// That a step-up's code is not for signing in, as it is told in each language where the app says
/// nothing: with room for it, and with little.
const NOT_TO_SIGN_IN: [(&str, [&str; 2]); 20] = [
    ("en", ["not to sign in"; 2]),
    ("ar", ["لا لتسجيل الدخول", "لا للدخول"]),
    ("de", ["nicht zum Anmelden"; 2]),
    ("es", ["no para entrar"; 2]),
    ("fr", ["pas pour se connecter"; 2]),
    ("he", ["לא לכניסה"; 2]),
    ("hi", ["साइन इन के लिए नहीं", "sign-in nahin"]),
    ("id", ["bukan untuk masuk"; 2]),
    ("it", ["non per accedere"; 2]),
    ("ja", ["ログイン用ではありません"; 2]),
    ("ko", ["로그인용 아님"; 2]),
    ("nl", ["niet om in te loggen"; 2]),
    ("pl", ["nie do logowania"; 2]),
    ("pt", ["nunca para entrar"; 2]),
    ("ru", ["не для входа", "не входа"]),
    ("th", ["ไม่ใช่เพื่อเข้าสู่ระบบ", "ไม่ใช่ล็อกอิน"]),
    ("tr", ["giriş için değil", "giriş değil"]),
    ("uk", ["не для входу", "не входу"]),
    ("vi", ["không phải để đăng nhập", "khong de dang nhap"]),
    ("zh", ["不可用于登录"; 2]),
];

fn for_transfer<'a>(app: &'a App, code: &'a Code, locale: &'a str) -> Text<'a> {
    Text { scope: Some("transfer"), ..text(app, code, Some(locale)) }
}

#[test]
fn a_step_ups_message_says_in_every_language_that_its_code_is_not_for_signing_in() {
    let (app, code) = (demo_app(), code());
    assert_eq!(
        NOT_TO_SIGN_IN.map(|(language, _)| language),
        LANGUAGES.map(|(language, _)| language)
    );
    for (language, [long, short]) in NOT_TO_SIGN_IN {
        let sms = message::sms(&for_transfer(&app, &code, language)).text;
        assert!(sms.contains(long) || sms.contains(short), "{language}: {sms}");
        assert_ne!(sms, message::sms(&text(&app, &code, Some(language))).text, "{language}");
        let email = message::email(&for_transfer(&app, &code, language));
        let of_sign_in = message::email(&text(&app, &code, Some(language)));
        assert_ne!(email.subject, of_sign_in.subject, "{language}");
        assert!(email.subject.contains("Demo") && !email.subject.contains(code.reveal()));
        assert!(email.text.contains("Demo") && email.text.contains(long), "{language}");
        assert!(email.html.contains(long), "{language}");
    }
}

/// An app whose name and host leave the least room for what a code allows is the last to be valid.
#[test]
fn what_the_code_of_a_step_up_allows_is_told_to_every_valid_app() {
    let code = Code::try_from("4829153076".to_owned()).unwrap();
    for letter in ["x", "ж"] {
        for length in 1..=30 {
            let name = letter.repeat(length);
            let app = App { name, host: Some("a.example".into()), ..demo_app() };
            assert!(app.validate().is_ok() || (letter, length > 20) == ("ж", true), "{length}");
            for (language, words) in NOT_TO_SIGN_IN {
                let sms = message::sms(&for_transfer(&app, &code, language)).text;
                let is_told = segments(&sms) == 1 && words.iter().any(|words| sms.contains(words));
                assert!(is_told || app.validate().is_err(), "{language}: {sms}");
            }
        }
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
    for (locale, expected) in [
        ("en", "Demo code to transfer money."),
        ("de-AT", "zum Überweisen."),
        ("es", "para confirmar, no para entrar"),
    ] {
        let sms = message::sms(&for_transfer(&app, &code, locale)).text;
        assert!(sms.contains(expected), "{locale}: {sms}");
        let text = message::email(&for_transfer(&app, &code, locale)).text;
        assert!(text.contains(expected.trim_end_matches('.')), "{locale}: {text}");
    }
    let other = Text { scope: Some("gone"), ..text(&app, &code, None) };
    assert!(
        message::sms(&other).text.contains("to confirm an action, not to sign in"),
        "a scope that is no more"
    );
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

/// The parts of an e-mail in a language: what to do, the code, how long it lives, and the warning.
fn parts_of(app: &App, code: &Code, language: &str, life: Duration) -> [String; 4] {
    let email = message::email(&Text { life, ..text(app, code, Some(language)) });
    assert!(!email.subject.contains(code.reveal()), "{language}: the subject tells the code");
    let parts: Vec<_> = email.text.lines().filter(|line| !line.is_empty()).collect();
    for part in [email.subject.as_str()].iter().chain(&parts) {
        assert!(email.html.contains(part) && !part.contains(['{', '}']), "{language}: {part}");
    }
    for named in [&email.subject, &email.text, &email.html] {
        assert!(named.contains(&app.name), "{language}: {named}");
    }
    parts.iter().map(ToString::to_string).collect::<Vec<_>>().try_into().unwrap()
}

#[test]
fn every_e_mail_names_the_app_the_code_its_life_and_the_warning() {
    let (app, code) = (demo_app(), code_of(6));
    for (language, _) in LANGUAGES {
        let mut lives = BTreeSet::new();
        for seconds in LIVES {
            let life = Duration::from_secs(seconds);
            let [intro, digits, expiry, warning] = parts_of(&app, &code, language, life);
            assert!(intro.contains("Demo") && !warning.is_empty(), "{language}: {intro}");
            assert_eq!(digits, code.reveal());
            assert!(number(seconds).is_none_or(|number| expiry.contains(&number)), "{expiry}");
            lives.insert(expiry);
        }
        assert_eq!(lives.len(), LIVES.len(), "{language}: {lives:?}");
    }
}

#[test]
fn an_e_mail_runs_as_its_language_does_and_its_code_from_left_to_right() {
    let (app, code) = (demo_app(), code());
    for (language, _) in LANGUAGES {
        let is_rtl = ["ar", "he"].contains(&language);
        let direction = if is_rtl { "rtl" } else { "ltr" };
        for scope in [None, Some("transfer")] {
            let email = message::email(&Text { scope, ..text(&app, &code, Some(language)) });
            let html = format!("<html lang=\"{language}\" dir=\"{direction}\">");
            assert!(email.html.contains(&html), "{language}: {}", email.html);
            assert!(email.html.contains(&format!("<div class=\"card\" dir=\"{direction}\">")));
            let digits = format!("dir=\"ltr\">{}</div>", code.reveal());
            assert!(email.html.contains(&digits), "{language}: {}", email.html);
            for part in [&email.subject, &email.text] {
                let brands =
                    (part.matches("Demo").count(), part.matches("\u{2068}Demo\u{2069}").count());
                assert_eq!(brands, (1, usize::from(is_rtl)), "{language}: {part}");
            }
        }
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
    assert!(says(&app, Some("")).contains("is your"));
    app.locale = Some("fr".into());
    assert!(says(&app, None).contains("est votre code"));
    assert!(says(&app, Some("es-MX")).contains("es tu clave"));
    assert!(says(&app, Some("nb")).contains("est votre code"));
}

#[test]
fn a_locale_is_spoken_in_its_language_whatever_follows() {
    let (app, code) = (demo_app(), code());
    let says = |locale| message::sms(&text(&app, &code, Some(locale))).text;
    for (locale, language) in [
        ("pt-BR", "pt"),
        ("zh-Hant-TW", "zh"),
        ("zh_CN", "zh"),
        ("AR-eg-u-nu-latn", "ar"),
        ("iw", "he"),
        ("iw-IL", "he"),
        ("in_ID", "id"),
        ("nb", "en"),
        ("deu", "en"),
    ] {
        assert_eq!(says(locale), says(language), "{locale}");
    }
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
fn numbers_take_the_plural_forms_of_the_language() {
    let (app, code) = (demo_app(), code());
    for (language, seconds, expected) in [
        ("ar", 60, "دقيقة واحدة"),
        ("ar", 120, "دقيقتين"),
        ("ar", 180, "3 دقائق"),
        ("ar", 600, "10 دقائق"),
        ("ar", 30, "30 ثانية"),
        ("he", 60, "דקה אחת"),
        ("he", 120, "שתי דקות"),
        ("he", 600, "10 דקות"),
        ("pl", 60, "1 minutę"),
        ("pl", 120, "2 minuty"),
        ("pl", 300, "5 minut."),
        ("pl", 31, "31 sekund."),
        ("pl", 32, "32 sekundy"),
        ("ru", 60, "1 минуту"),
        ("ru", 240, "4 минуты"),
        ("ru", 300, "5 минут."),
        ("ru", 31, "31 секунду"),
        ("ru", 32, "32 секунды"),
        ("ru", 30, "30 секунд."),
        ("uk", 60, "1 хвилину"),
        ("uk", 240, "4 хвилини"),
        ("uk", 300, "5 хвилин."),
        ("uk", 31, "31 секунду"),
        ("uk", 32, "32 секунди"),
        ("uk", 30, "30 секунд."),
    ] {
        let [.., expiry, _] = parts_of(&app, &code, language, Duration::from_secs(seconds));
        assert!(expiry.contains(expected), "{language}: {expiry}");
    }
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
