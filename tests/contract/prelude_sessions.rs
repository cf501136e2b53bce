//! What the endpoints of sessions have in common: a client with its key, from sign-in to sign-out.

use crate::prelude::{asked, call_check};
use passcode_domain::{
    SessionKey, UserKey,
    ports::Clock as _,
    secret::{access::AccessToken, refresh::RefreshToken},
};
use passcode_testkit::TestWorld;
use passcode_tests::{
    dpop::ClientKey,
    event::{Event, Reply, reply},
};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) fn call_finalize(world: &TestWorld, event: &Event) -> Reply {
    reply(event, async |request, record| {
        prelude_login_finalize::handle(world, request, record).await
    })
}

pub(crate) fn call_refresh(world: &TestWorld, event: &Event) -> Reply {
    reply(event, async |request, record| {
        prelude_session_refresh::handle(world, request, record).await
    })
}

pub(crate) fn call_revoke(world: &TestWorld, event: &Event) -> Reply {
    reply(event, async |request, record| {
        prelude_session_revoke::handle(world, request, record).await
    })
}

pub(crate) fn call_list(world: &TestWorld, event: &Event) -> Reply {
    reply(event, async |request, record| prelude_session_list::handle(world, request, record).await)
}

/// The URL of an event's request, as a client signs it.
pub(crate) fn url(event: &Event) -> String {
    format!("https://api.example.com{}", event.0["rawPath"].as_str().unwrap())
}

/// The product's time, in whole seconds.
pub(crate) fn seconds(world: &TestWorld) -> u64 {
    world.clock.now().as_millis() / 1000
}

/// A name that no proof has had before.
fn new_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("proof-{}", NEXT.fetch_add(1, Ordering::SeqCst))
}

/// An event with a proof of a client's key, signed now.
pub(crate) fn proven(world: &TestWorld, event: Event, key: &ClientKey) -> Event {
    proven_as(event, key, &new_name(), seconds(world))
}

/// An event with a proof that has a name and a time.
pub(crate) fn proven_as(event: Event, key: &ClientKey, jti: &str, iat: u64) -> Event {
    let method = event.0["requestContext"]["http"]["method"].as_str().unwrap().to_owned();
    let proof = key.prove(&method, &url(&event), jti, iat);
    event.header("dpop", proof.as_str())
}

/// The proof that Ada has her phone, as `otp/check` answers it.
pub(crate) fn proof_of_phone(world: &TestWorld) -> String {
    let (token, code) = asked(world);
    let event = Event::recorded("prelude-session-otp-check", "header");
    let event = event.header("x-verification-token", token.as_str());
    let reply = call_check(world, &event.json(&json!({ "code": code })));
    reply.json["challenge_token"].as_str().unwrap().to_owned()
}

pub(crate) fn finalizing(challenge_token: &str) -> Event {
    let body = json!({ "challenge_token": challenge_token });
    Event::recorded("prelude-login-finalize", "request").json(&body)
}

/// A client that has signed in, and what it holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SignedIn {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

/// What a client takes from an answer that gives it a session.
pub(crate) fn given(reply: &Reply) -> SignedIn {
    assert_eq!(reply.status, 200, "{reply:?}");
    SignedIn {
        access: reply.json["access_token"].as_str().unwrap().to_owned(),
        refresh: reply.header("x-refresh-token").unwrap().to_owned(),
    }
}

/// Signs Ada in, with the key if there is one.
pub(crate) fn sign_in(world: &TestWorld, key: Option<&ClientKey>) -> SignedIn {
    let event = finalizing(&proof_of_phone(world));
    let event = match key {
        Some(key) => proven(world, event, key),
        None => event,
    };
    given(&call_finalize(world, &event))
}

pub(crate) fn refreshing(token: &str) -> Event {
    Event::recorded("prelude-session-refresh", "header").header("x-refresh-token", token)
}

/// Refreshes with a proof of the key, if there is one.
pub(crate) fn refresh(world: &TestWorld, token: &str, key: Option<&ClientKey>) -> Reply {
    let event = refreshing(token);
    let event = match key {
        Some(key) => proven(world, event, key),
        None => event,
    };
    call_refresh(world, &event)
}

/// The claims of an access token, which is valid.
pub(crate) fn claims(world: &TestWorld, token: &str) -> AccessToken {
    passcode_jwt::read_access_token(world.signing_keys(), token).unwrap()
}

/// The key of the session that a refresh token is of.
pub(crate) fn session_key(world: &TestWorld, token: &str) -> SessionKey {
    RefreshToken::parse(token, world.keys()).unwrap().key
}

/// The key of the user that an access token is of.
pub(crate) fn user_key(world: &TestWorld, token: &str) -> UserKey {
    UserKey::of(world.keys(), &world.app.id, &claims(world, token).sub)
}

/// The cookies of an answer, by name, each with what follows the name.
pub(crate) fn cookies(reply: &Reply) -> Vec<&str> {
    reply.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap()).collect()
}

/// A body with a field more.
pub(crate) fn body_with(name: &str, value: impl Into<Value>) -> Value {
    let mut body = json!({});
    body[name] = value.into();
    body
}
