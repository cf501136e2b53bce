//! Verification tokens on the wire: in a header of their own, and in a cookie named after the app.

use crate::Error;
use cookie::{Cookie, SameSite};
use lambda_http::http::{HeaderName, HeaderValue, header};
use passcode_domain::{App, AppId, Keyring, secret::token::VerificationToken};
use passcode_http::{Answer, Request, header_text};

/// The header that carries the token, to the browser and back.
pub const VERIFICATION_HEADER: &str = "x-verification-token";

fn cookie_name(app: &AppId) -> String {
    format!("__verification-login_{}", app.as_str())
}

/// Hands the token to the browser.
#[must_use]
pub fn issue(answer: Answer, app: &App, keyring: &Keyring, token: &VerificationToken) -> Answer {
    let text = token.print(keyring, &app.id);
    let cookie =
        Cookie::build((cookie_name(&app.id), text.as_str())).path("/").http_only(true).secure(true);
    let cookie = if app.browser.cross_site_cookie {
        cookie.same_site(SameSite::None).partitioned(true).build()
    } else {
        cookie.build()
    };
    // An app's id and a token are letters, digits, points and hyphens.
    let value = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
    answer
        .header(header::SET_COOKIE, value(&cookie.to_string()))
        .header(HeaderName::from_static(VERIFICATION_HEADER), value(&text))
}

/// The token that the browser presents: the header's, or else the cookie's, also under the name
/// with which a browser guarantees that no other host has set it.
pub fn present(
    request: &Request,
    app: &App,
    keyring: &Keyring,
) -> Result<VerificationToken, Error> {
    let header = header_text(request, VERIFICATION_HEADER).filter(|text| !text.is_empty());
    let text = match header {
        Some(text) => text.to_owned(),
        None => in_cookie(request, app).ok_or(Error::MissingVerificationToken)?,
    };
    let token = VerificationToken::parse(&text, keyring, &app.id);
    token.ok_or(Error::InvalidVerificationToken)
}

fn in_cookie(request: &Request, app: &App) -> Option<String> {
    let plain = cookie_name(&app.id);
    let host_only = format!("__Host-{}", plain.trim_start_matches("__"));
    let lines = request.headers().get_all(header::COOKIE).iter();
    let cookies: Vec<Cookie<'_>> = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| Cookie::split_parse(line).filter_map(Result::ok))
        .collect();
    let named = |name: &str| cookies.iter().find(|cookie| cookie.name() == name);
    named(&host_only).or_else(|| named(&plain)).map(|cookie| cookie.value().to_owned())
}
