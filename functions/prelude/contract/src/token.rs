//! Verification, device and refresh tokens on the wire: each in a header of its own, and in a cookie named
//! after the app.

use crate::Error;
use cookie::{Cookie, SameSite};
use lambda_http::http::{HeaderName, HeaderValue, header};
use passcode_domain::{
    App, AppId, Keyring, SubjectKey, Timestamp,
    secret::{
        refresh::RefreshToken,
        token::{DEVICE_DAYS, DeviceToken, VerificationToken},
    },
};
use passcode_http::{Answer, Request, header_text};
use std::time::Duration;

/// The header that carries the token, to the browser and back.
pub const VERIFICATION_HEADER: &str = "x-verification-token";

/// The header that carries a device token, to the browser and back.
const DEVICE_HEADER: &str = "passcode-device";

/// The header that carries a refresh token, to the client and back.
const REFRESH_HEADER: &str = "x-refresh-token";

fn device_cookie_name(app: &AppId) -> String {
    format!("__passcode-device_{}", app.as_str())
}

fn refresh_cookie_name(app: &AppId) -> String {
    format!("__Host-refresh_{}", app.as_str())
}

fn cookie_name(app: &AppId) -> String {
    format!("__verification-login_{}", app.as_str())
}

/// Hands the token to the browser.
#[must_use]
pub fn issue(answer: Answer, app: &App, keyring: &Keyring, token: &VerificationToken) -> Answer {
    let text = token.print(keyring, &app.id);
    hand_over(answer, app, (VERIFICATION_HEADER, &cookie_name(&app.id)), &text, None)
}

/// Hands a device token to the browser in which a subject was verified just now.
#[must_use]
pub fn remember(
    answer: Answer,
    app: &App,
    keyring: &Keyring,
    subject: SubjectKey,
    now: Timestamp,
) -> Answer {
    let text = DeviceToken::new(subject, now).print(keyring, &app.id);
    let life = Duration::from_hours(24 * DEVICE_DAYS);
    hand_over(answer, app, (DEVICE_HEADER, &device_cookie_name(&app.id)), &text, Some(life))
}

/// Hands a refresh token to the client.
#[must_use]
pub(crate) fn hand_over_refresh_token(
    answer: Answer,
    app: &App,
    keyring: &Keyring,
    (token, life): (&RefreshToken, Duration),
) -> Answer {
    let name = refresh_cookie_name(&app.id);
    hand_over(answer, app, (REFRESH_HEADER, &name), &token.print(keyring), Some(life))
}

/// Puts a token into its header and its cookie.
fn hand_over(
    answer: Answer,
    app: &App,
    (header, name): (&'static str, &str),
    text: &str,
    life: Option<Duration>,
) -> Answer {
    let seconds = life.map(|life| i64::try_from(life.as_secs()).unwrap_or(i64::MAX));
    let cookie = cookie(app, name, text, seconds);
    answer.cookie(value(&cookie)).header(HeaderName::from_static(header), value(text))
}

/// Takes the verification token back, once it has led to a session.
#[must_use]
pub(crate) fn forget_verification(answer: Answer, app: &App) -> Answer {
    forget(answer, app, &cookie_name(&app.id))
}

/// Takes the refresh token back.
#[must_use]
pub fn forget_session(answer: Answer, app: &App) -> Answer {
    forget(answer, app, &refresh_cookie_name(&app.id))
}

fn forget(answer: Answer, app: &App, name: &str) -> Answer {
    answer.cookie(value(&cookie(app, name, "", Some(0))))
}

/// The refresh token that the client shows: the header's, or else the cookie's. Only its form is checked.
#[must_use]
pub fn presented_refresh_token(
    request: &Request,
    app: &App,
    keyring: &Keyring,
) -> Option<RefreshToken> {
    let read = |text: &str| RefreshToken::parse(text, keyring);
    let in_header = header_text(request, REFRESH_HEADER).and_then(read);
    in_header.or_else(|| in_cookies(request, &refresh_cookie_name(&app.id), read))
}

/// Whether the client has shown a refresh token by itself, and not only let its browser send the cookie.
#[must_use]
pub fn holds_refresh_token(request: &Request) -> bool {
    request.headers().contains_key(REFRESH_HEADER)
}

/// Whether the browser shows that a subject was verified in it before.
#[must_use]
pub fn is_known_device(
    request: &Request,
    app: &App,
    keyring: &Keyring,
    subject: SubjectKey,
    now: Timestamp,
) -> bool {
    let read = |text: &str| DeviceToken::parse(text, keyring, &app.id, subject, now);
    let header = header_text(request, DEVICE_HEADER);
    match header {
        Some(header) => read(header).is_some(),
        None => in_cookies(request, &device_cookie_name(&app.id), read).is_some(),
    }
}

/// A cookie, with what all cookies of the contract have in common.
fn cookie(app: &App, name: &str, text: &str, seconds: Option<i64>) -> String {
    let cookie = Cookie::build((name, text)).path("/").http_only(true).secure(true);
    let cookie = match seconds {
        Some(seconds) => cookie.max_age(cookie::time::Duration::seconds(seconds)),
        None => cookie,
    };
    let cookie = if app.browser.cross_site_cookie {
        cookie.same_site(SameSite::None).partitioned(true)
    } else {
        cookie
    };
    cookie.build().to_string()
}

/// An app's id and a token are letters, digits, points and hyphens.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

/// The token that the browser presents: the header's, or else the cookie's, also under the name
/// with which a browser guarantees that no other host has set it.
pub fn present(
    request: &Request,
    app: &App,
    keyring: &Keyring,
) -> Result<VerificationToken, Error> {
    let read = |text: &str| VerificationToken::parse(text, keyring, &app.id);
    let name = cookie_name(&app.id);
    match header_text(request, VERIFICATION_HEADER).filter(|text| !text.is_empty()) {
        Some(header) => read(header).ok_or(Error::InvalidVerificationToken),
        None if cookies(request, &name).is_empty() => Err(Error::MissingVerificationToken),
        None => in_cookies(request, &name, read).ok_or(Error::InvalidVerificationToken),
    }
}

/// What a cookie holds. Of several the last one that can be read counts:
/// a browser sends the older one first, and has two after the app's `browser.cross_site_cookie` was changed.
fn in_cookies<T>(request: &Request, name: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
    cookies(request, name).iter().rev().find_map(|cookie| read(cookie.value()))
}

/// The cookies of a name. Of a name without the prefix by which a browser vouches for the host, also those with
/// it, as the last ones; what was set with the prefix is read with it alone.
fn cookies<'r>(request: &'r Request, name: &str) -> Vec<Cookie<'r>> {
    let with_prefix = format!("__Host-{}", name.trim_start_matches("__"));
    let lines = request.headers().get_all(header::COOKIE).iter();
    let all: Vec<Cookie<'_>> = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| Cookie::split_parse(line).filter_map(Result::ok))
        .collect();
    let named = |name: &str| -> Vec<Cookie<'_>> {
        all.iter().filter(|cookie| cookie.name() == name).cloned().collect()
    };
    let plain = named(name);
    if name.starts_with("__Host-") { plain } else { [plain, named(&with_prefix)].concat() }
}
