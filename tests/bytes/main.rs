//! Bytes: recorded events, stored documents and texts with random changes. Whatever comes, a function answers,
//! and a reader refuses or reads the same again; nothing panics, and nothing is told to be our fault.
//!
//! ```text
//! PASSCODE_SECONDS=60 cargo test --package passcode-tests --test bytes -- --ignored --nocapture
//! ```

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use lambda_http::http::Uri;
use passcode_domain::{
    App, EmailAddress, Ledger, PhoneNumber, PresentedCode, Session,
    secret::{
        refresh::RefreshToken,
        token::{Flow, VerificationToken},
    },
};
use passcode_http::id;
use passcode_testkit::{TestWorld, demo_app, schedule::block_on};
use passcode_tests::{
    dice::Dice,
    event::{Event, root},
    functions::{FUNCTIONS, serve},
};
use serde_json::Value;
use std::time::{Duration, Instant};

/// What is put in the place of something else, beside single bytes.
const PIECES: &[&str] = &[
    "",
    "\0",
    "\"",
    "{",
    "}",
    "[",
    "null",
    "true",
    "-1",
    "1e999",
    "0",
    "99999999999999999999",
    "+",
    "@",
    ".",
    "%00",
    "%",
    "=",
    "\u{202e}",
    "é",
    "🔑",
    "\\u0000",
    "\\ud800",
    "{{code}}",
    "{{",
    "eyJhbGciOiJub25lIn0.e30.",
];

fn index(dice: &Dice, end: usize) -> usize {
    usize::try_from(dice.below(end.max(1) as u64)).unwrap()
}

/// A text with some changes; it stays UTF-8, as all texts of an event are.
fn changed(text: &str, dice: &Dice) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=index(dice, 4) {
        let at = index(dice, chars.len() + 1);
        let end = (at + index(dice, 6)).min(chars.len());
        match dice.below(4) {
            0 => drop(chars.drain(at..end)),
            1 => drop(chars.splice(at..end, PIECES[index(dice, PIECES.len())].chars())),
            2 => {
                let copy = chars[at..end].repeat(1 + index(dice, 40));
                drop(chars.splice(at..at, copy));
            }
            _ => drop(
                chars.splice(at..end, char::from_u32(u32::try_from(dice.below(0x250)).unwrap())),
            ),
        }
    }
    chars.into_iter().collect()
}

/// Every recorded event of the functions that answer requests.
fn corpus() -> Vec<(&'static str, Value)> {
    let mut events = Vec::new();
    for function in FUNCTIONS {
        for entry in std::fs::read_dir(root().join("events").join(function)).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            events.push((*function, serde_json::from_str(&text).unwrap()));
        }
    }
    events
}

/// Texts in an event that a caller chooses.
fn chosen<'v>(event: &'v mut Value, dice: &Dice) -> Option<&'v mut Value> {
    match dice.below(5) {
        0 => {
            let headers = event["headers"].as_object_mut()?;
            let which = index(dice, headers.len());
            headers.values_mut().nth(which)
        }
        1 => event["cookies"].as_array_mut()?.first_mut(),
        2 => event.get_mut("rawQueryString"),
        3 => event.get_mut("rawPath"),
        _ => event.get_mut("body").filter(|body| body.is_string()),
    }
}

/// How often, or for how long.
#[derive(Clone, Copy)]
enum Effort {
    Tries(u64),
    For(Duration),
}

fn tries(effort: Effort, attempt: impl Fn(&Dice)) {
    let began = Instant::now();
    let mut n = 0;
    while match effort {
        Effort::Tries(tries) => n < tries,
        Effort::For(span) => began.elapsed() < span,
    } {
        attempt(&Dice::seeded(n * 0x2545_f491));
        n += 1;
    }
    println!("{n} tries");
}

/// A function answers whatever it is asked, and finds no fault of its own.
fn ask_anything(effort: Effort) {
    let (events, world) = (corpus(), TestWorld::default());
    tries(effort, |dice| {
        let (function, event) = &events[index(dice, events.len())];
        let mut event = event.clone();
        for _ in 0..=index(dice, 2) {
            if let Some(text) = chosen(&mut event, dice) {
                *text = changed(text.as_str().unwrap_or_default(), dice).into();
            }
        }
        // What is no URI never comes to a function: API Gateway refuses it.
        let [path, query] = ["rawPath", "rawQueryString"].map(|name| event[name].as_str());
        let uri = format!("https://a.example{}?{}", path.unwrap_or("/"), query.unwrap_or_default());
        if uri.parse::<Uri>().is_err() || passcode_http::event::request(event.clone()).is_err() {
            return;
        }
        let event = Event(event);
        let served = block_on(serve(function, &world, &event));
        let what = || format!("{function}: {} {:?}", event.0, served.record);
        let is_down = served.status.as_u16() >= 500 && served.record.error.is_some();
        assert!(!is_down, "{}", what());
        let is_json = served
            .headers
            .get("content-type")
            .is_some_and(|media| media.to_str().unwrap().contains("json"));
        assert!(!is_json || serde_json::from_str::<Value>(&served.body).is_ok(), "{}", what());
    });
}

/// What is read from a text is printed as a text that is read as the same.
fn read_anything(effort: Effort) {
    let world = TestWorld::default();
    let keys = world.keys();
    let (challenge, _) = world.open_and_send();
    let seeds = [
        "+14155550100".to_owned(),
        "+44 (0)20 7946-0123".to_owned(),
        "ada@example.com".to_owned(),
        "\"a b\"@[127.0.0.1]".to_owned(),
        "12 34-56".to_owned(),
        id::REQUEST_ID.print(challenge, keys),
        id::ORDER_ID.print(challenge, keys),
        challenge.print(keys),
        VerificationToken::new(challenge, Flow::Standalone).print(keys, &world.app.id),
        passcode_tests::dpop::ClientKey::default().prove("POST", "https://a.example/", "one", 1),
        "A".repeat(88),
    ];
    tries(effort, |dice| {
        let text = changed(&seeds[index(dice, seeds.len())], dice);
        if let Ok(phone) = PhoneNumber::parse(&text) {
            assert_eq!(PhoneNumber::parse(phone.as_str()).as_ref(), Ok(&phone), "{text:?}");
        }
        if let Ok(email) = EmailAddress::parse(&text) {
            assert_eq!(EmailAddress::parse(email.as_str()).as_ref(), Ok(&email), "{text:?}");
        }
        for format in [id::REQUEST_ID, id::ORDER_ID] {
            if let Some(read) = format.parse(&text, keys) {
                let again = format.parse(&format.print(read, keys), keys);
                assert_eq!(again, Some(read), "{text:?}");
            }
        }
        let token = VerificationToken::parse(&text, keys, &world.app.id);
        if let Some(token) = token {
            assert_eq!(token.id, challenge, "{text:?} is signed for another challenge");
        }
        // Any text of its length is one: whether there is such a session the table says.
        let _ = RefreshToken::parse(&text, keys);
        assert!(passcode_jwt::read(world.signing_keys(), &text).is_err(), "{text:?} is signed");
        let _ = (PresentedCode::parse(&text), passcode_jwt::read_proof(&text));
    });
}

/// What is stored may be anything: it is read or refused.
fn load_anything(effort: Effort) {
    let world = TestWorld::default();
    world.open_and_send();
    let (ledgers, app) = (world.ledgers.dump(), serde_json::to_string(&demo_app()).unwrap());
    let id = &world.app.id;
    tries(effort, |dice| {
        let read = App::from_stored(id, &changed(&app, dice));
        assert_eq!(read.id, *id);
        let text = changed(&ledgers, dice);
        if let Ok(ledger) = serde_json::from_str::<Ledger>(&text) {
            let stored = serde_json::to_string(&ledger).unwrap();
            assert_eq!(serde_json::from_str::<Ledger>(&stored).unwrap(), ledger);
        }
        drop(serde_json::from_str::<Session>(&text));
    });
}

#[test]
fn functions_answer_whatever_they_are_asked() {
    ask_anything(Effort::Tries(400));
}

#[test]
fn what_is_read_is_read_the_same_again() {
    read_anything(Effort::Tries(2_000));
}

#[test]
fn what_is_stored_is_read_or_refused() {
    load_anything(Effort::Tries(500));
}

#[test]
#[ignore = "PASSCODE_SECONDS for each part; .ci/run runs it"]
fn for_a_while() {
    let seconds = std::env::var("PASSCODE_SECONDS").expect("PASSCODE_SECONDS is set");
    let effort = Effort::For(Duration::from_secs(seconds.parse().unwrap()));
    ask_anything(effort);
    read_anything(effort);
    load_anything(effort);
}
