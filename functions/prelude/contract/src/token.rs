//! Verification tokens and device tokens on the wire: each in a header of its own, and in a cookie named
//! after the app.

use crate::Error;
use cookie::{Cookie, CookieBuilder, SameSite};
use lambda_http::http::{HeaderName, HeaderValue, header};
use passcode_domain::{
    App, AppId, Keyring, SubjectKey, Timestamp,
    secret::token::{DEVICE_DAYS, DeviceToken, VerificationToken},
};
use passcode_http::{Answer, Request, header_text};

/// The header that carries the token, to the browser and back.
pub const VERIFICATION_HEADER: &str = "x-verification-token";

/// The header that carries a device token, to the browser and back.
pub const DEVICE_HEADER: &str = "passcode-device";

fn device_cookie_name(app: &AppId) -> String {
    format!("__passcode-device_{}", app.as_str())
}

fn cookie_name(app: &AppId) -> String {
    format!("__verification-login_{}", app.as_str())
}

/// Hands the token to the browser.
#[must_use]
pub fn issue(answer: Answer, app: &App, keyring: &Keyring, token: &VerificationToken) -> Answer {
    let text = token.print(keyring, &app.id);
    let cookie = cookie(app, Cookie::build((cookie_name(&app.id), text.as_str()))).build();
    answer
        .header(header::SET_COOKIE, value(&cookie.to_string()))
        .header(HeaderName::from_static(VERIFICATION_HEADER), value(&text))
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
    let age = cookie::time::Duration::days(i64::try_from(DEVICE_DAYS).unwrap_or(i64::MAX));
    let cookie = Cookie::build((device_cookie_name(&app.id), text.as_str())).max_age(age);
    let cookie = self::cookie(app, cookie).build();
    answer
        .header(header::SET_COOKIE, value(&cookie.to_string()))
        .header(HeaderName::from_static(DEVICE_HEADER), value(&text))
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
    let header = header_text(request, DEVICE_HEADER).map(str::to_owned);
    let text = header.or_else(|| in_cookie(request, &device_cookie_name(&app.id)));
    text.is_some_and(|text| DeviceToken::parse(&text, keyring, &app.id, subject, now).is_some())
}

/// What all cookies of the contract have in common.
fn cookie<'c>(app: &App, cookie: CookieBuilder<'c>) -> CookieBuilder<'c> {
    let cookie = cookie.path("/").http_only(true).secure(true);
    if app.browser.cross_site_cookie {
        cookie.same_site(SameSite::None).partitioned(true)
    } else {
        cookie
    }
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
    let header = header_text(request, VERIFICATION_HEADER).filter(|text| !text.is_empty());
    let named = || in_cookie(request, &cookie_name(&app.id));
    let text = header.map(str::to_owned).or_else(named).ok_or(Error::MissingVerificationToken)?;
    let token = VerificationToken::parse(&text, keyring, &app.id);
    token.ok_or(Error::InvalidVerificationToken)
}

fn in_cookie(request: &Request, plain: &str) -> Option<String> {
    let host_only = format!("__Host-{}", plain.trim_start_matches("__"));
    let lines = request.headers().get_all(header::COOKIE).iter();
    let cookies: Vec<Cookie<'_>> = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| Cookie::split_parse(line).filter_map(Result::ok))
        .collect();
    let named = |name: &str| cookies.iter().find(|cookie| cookie.name() == name);
    named(&host_only).or_else(|| named(plain)).map(|cookie| cookie.value().to_owned())
}
