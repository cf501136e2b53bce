//! What a caller asks for, by what it was told before.

use crate::{
    book::{Book, Held},
    schedule::{Begin, Code, Want},
    wrong,
};
use passcode_testkit::{PIN, USER_ID};
use passcode_tests::event::Event;
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{LazyLock, Mutex, PoisonError},
};

/// A request, and what it is about.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) function: &'static str,
    pub(crate) event: Event,
    /// Whose address, or the user.
    pub(crate) address: String,
    /// What the caller holds, and asks about.
    pub(crate) held: Option<Held>,
    pub(crate) code: Option<String>,
}

/// The address of somebody, by the channel that is asked for.
pub(crate) fn address(who: usize) -> String {
    match who % 6 {
        0 => "+14155550100".to_owned(),
        1 => "ada@example.com".to_owned(),
        n if n % 2 == 0 => format!("+1415555010{n}"),
        n => format!("a{n}@example.com"),
    }
}

fn recorded(function: &'static str, case: &'static str) -> Event {
    static READ: LazyLock<Mutex<BTreeMap<(&str, &str), Event>>> = LazyLock::new(Mutex::default);
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    read.entry((function, case)).or_insert_with(|| Event::recorded(function, case)).clone()
}

/// What is asked for, or, where callers have not been told what they need for it, what tells them.
pub(crate) fn wanted(book: &Book, begin: &Begin) -> Option<(Begin, Wanted)> {
    let chain = std::iter::successors(Some(begin.want), |want| before(*want));
    let mut tried = chain.map(|want| Begin { want, ..*begin });
    tried.find_map(|begin| Some((begin, request(book, &begin)?)))
}

/// What comes before it.
const fn before(want: Want) -> Option<Want> {
    match want {
        Want::VerifyByServer | Want::VerifyByHolder => Some(Want::Initiate),
        Want::Initiate | Want::Status => Some(Want::Create),
        Want::VerifyOrder | Want::ResendOrder => Some(Want::SendOrder),
        Want::Refresh | Want::SignOut | Want::ListSessions => Some(Want::SignIn),
        Want::SignIn => Some(Want::CheckInBrowser),
        Want::CheckInBrowser | Want::RetryInBrowser => Some(Want::AskInBrowser),
        Want::VerifyUser | Want::ChangePin => Some(Want::MailToUser),
        Want::VerifyNamed | Want::Resend => Some(Want::Generate),
        _ => None,
    }
}

/// The event that asks for it. `None` where callers have not been told what they need for it.
fn request(book: &Book, begin: &Begin) -> Option<Wanted> {
    let (function, case) = function(begin.want);
    let held = match begin.want {
        Want::Initiate | Want::VerifyByServer | Want::VerifyByHolder | Want::Status => {
            Some(book.held(|held| matches!(held, Held::Request { .. }), begin.which)?)
        }
        Want::ResendOrder | Want::VerifyOrder => {
            Some(book.held(|held| matches!(held, Held::Order { .. }), begin.which)?)
        }
        Want::RetryInBrowser | Want::CheckInBrowser => {
            Some(book.held(|held| matches!(held, Held::Token { .. }), begin.which)?)
        }
        Want::SignIn => Some(book.held(|held| matches!(held, Held::Proof { .. }), begin.which)?),
        Want::Refresh | Want::SignOut | Want::ListSessions => {
            Some(book.held(|held| matches!(held, Held::Refresh { .. }), begin.which)?)
        }
        _ => None,
    };
    if begin.want == Want::Resend && !book.is_named(&self::address(begin.who)) {
        return None;
    }
    let address = match (&held, begin.want) {
        (Some(held), _) => held.address().to_owned(),
        (
            None,
            Want::MailToUser
            | Want::VerifyUser
            | Want::IssueToUser
            | Want::ChangePin
            | Want::CheckSecret
            | Want::StepUp,
        ) => USER_ID.to_owned(),
        (None, _) => self::address(begin.who),
    };
    let needs_code = matches!(
        begin.want,
        Want::VerifyByServer
            | Want::VerifyByHolder
            | Want::VerifyOrder
            | Want::CheckInBrowser
            | Want::VerifyUser
            | Want::ChangePin
            | Want::VerifyNamed
    );
    let code = if needs_code { Some(code(book, begin, held.as_ref(), &address)?) } else { None };
    let event = recorded(function, case);
    let event = filled(event, begin, held.as_ref(), &address, code.as_deref());
    let event = match begin.key {
        Some(key) => event.header("idempotency-key", format!("a-key-of-a-caller-{key}").as_str()),
        None => event,
    };
    Some(Wanted { function, event, address, held, code })
}

fn code(book: &Book, begin: &Begin, held: Option<&Held>, address: &str) -> Option<String> {
    let codes = book.codes(held, begin.want, address);
    match begin.code {
        Code::Last => codes.last().cloned(),
        Code::Earlier => codes.iter().rev().nth(1).cloned(),
        Code::OfOther => book.code_of_other(address),
        Code::Wrong => codes.last().map(|code| wrong(code)),
    }
}

fn function(want: Want) -> (&'static str, &'static str) {
    match want {
        Want::Create => ("otpless-auth-create", "phone"),
        Want::Initiate => ("otpless-otp-initiate", "request"),
        Want::VerifyByServer => ("otpless-otp-verify", "verify"),
        Want::VerifyByHolder => ("rollout-otp-verify", "json"),
        Want::Status => ("otpless-auth-status", "current"),
        Want::SendOrder => ("otpless-order-send", "order"),
        Want::ResendOrder => ("otpless-order-resend", "order"),
        Want::VerifyOrder => ("otpless-order-verify", "order"),
        Want::AskInBrowser => ("prelude-session-otp-create", "phone"),
        Want::RetryInBrowser => ("prelude-session-otp-retry", "header"),
        Want::CheckInBrowser => ("prelude-session-otp-check", "header"),
        Want::SignIn => ("prelude-login-finalize", "request"),
        Want::Refresh => ("prelude-session-refresh", "header"),
        Want::SignOut => ("prelude-session-revoke", "client"),
        Want::ListSessions => ("prelude-session-list", "page"),
        Want::StepUp => ("prelude-stepup-request", "request"),
        Want::Keys => ("prelude-jwks", "keys"),
        Want::MailToUser => ("pace-user-otp-sendmail", "sendmail"),
        Want::VerifyUser => ("pace-user-otp-verify", "verify"),
        Want::IssueToUser => ("pace-user-otp-create", "pin"),
        Want::ChangePin => ("pace-user-pin-update", "update"),
        Want::CheckSecret => ("pace-user-secret-check", "pin"),
        Want::Generate => ("zap-otp-generate", "phone"),
        Want::Resend => ("zap-otp-resend", "email"),
        Want::VerifyNamed => ("zap-otp-verify", "email"),
    }
}

fn filled(
    event: Event,
    begin: &Begin,
    held: Option<&Held>,
    address: &str,
    code: Option<&str>,
) -> Event {
    let is_phone = address.starts_with('+');
    let text = held.map(Held::text).unwrap_or_default();
    match begin.want {
        Want::Create if is_phone => {
            event.json(&json!({ "phoneNumber": &address[2..], "countryCode": "1", "expiry": 900 }))
        }
        Want::Create => event.json(&json!({ "email": address, "expiry": 900 })),
        Want::Initiate => {
            let channel = if is_phone { "SMS" } else { "EMAIL" };
            event.json(&json!({ "requestId": text, "channels": [channel] }))
        }
        Want::VerifyByServer => event.json(&json!({ "requestId": text, "otp": code })),
        Want::VerifyByHolder => event.challenge(text).json(&json!({ "otp": code })),
        Want::Status => event.challenge(text),
        Want::SendOrder if is_phone => event.json(&json!({
            "phoneNumber": address, "orderId": order(begin), "channel": "SMS", "expiry": 600
        })),
        Want::SendOrder => event.json(&json!({
            "email": address, "orderId": order(begin), "channel": "EMAIL", "expiry": 600
        })),
        Want::ResendOrder => event.json(&json!({ "orderId": text })),
        Want::VerifyOrder if is_phone => {
            event.json(&json!({ "orderId": text, "otp": code, "phoneNumber": address }))
        }
        Want::VerifyOrder => event.json(&json!({ "orderId": text, "otp": code, "email": address })),
        Want::AskInBrowser => {
            let kind = if is_phone { "phone_number" } else { "email_address" };
            event.json(&json!({ "identifier": { "type": kind, "value": address } }))
        }
        Want::RetryInBrowser => event.header("x-verification-token", text),
        Want::CheckInBrowser => {
            event.header("x-verification-token", text).json(&json!({ "code": code }))
        }
        Want::SignIn => event.json(&json!({ "challenge_token": text })),
        Want::Refresh => event.header("x-refresh-token", text),
        Want::SignOut => {
            let mut event = event.header("x-refresh-token", text);
            if let Some(fields) = event.0.as_object_mut() {
                fields.remove("cookies");
            }
            event
        }
        Want::ListSessions => {
            let access = held.and_then(Held::access).unwrap_or_default();
            event.header("authorization", format!("Bearer {access}").as_str())
        }
        Want::VerifyUser => event.json(&json!({ "otp": code })),
        Want::IssueToUser => event.json(&json!({ "pin": PIN })),
        Want::ChangePin => {
            let attributes = json!({ "pin": PIN, "otp": code });
            event.json(&json!({ "data": { "type": "pin", "attributes": attributes } }))
        }
        Want::Generate if is_phone => {
            event.json(&json!({ "phoneNumber": address, "userId": USER_ID }))
        }
        Want::Generate => event.json(&json!({ "email": address, "userId": USER_ID })),
        Want::Resend if !is_phone => event.json(&json!({ "email": address })),
        Want::Resend => event.json(&json!({ "phoneNumber": address })),
        Want::VerifyNamed => event.json(&json!({ "otp": code, "identity": address })),
        _ => event,
    }
}

/// The name of an order: a server gives each address two.
pub(crate) fn order(begin: &Begin) -> String {
    format!("order-{}-{}", begin.who, begin.which % 2)
}
