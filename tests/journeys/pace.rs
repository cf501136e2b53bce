//! A user of PACE's: a PIN or a password for a code, the code for what it allows; the ways it can go
//! wrong, then the way it goes. The tokens are the development issuer's own.

use crate::idempotency::{KEY, Seen, a_hundred_times, seen};
use passcode_testkit::{PASSWORD, PIN, TestWorld, USER_ID};
use passcode_tests::{deployed::PACE_SCOPES, stack::Client};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use std::time::Duration;

/// The demo user's mailbox.
const MAILBOX: &str = "ada@example.com";

/// The demo user with a token.
struct User {
    client: Client,
    token: String,
}

impl User {
    async fn start() -> Self {
        let client = Client::start().await;
        let token = token(&client, PACE_SCOPES).await;
        Self { client, token }
    }

    fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.client.request(method, path, false).bearer_auth(&self.token)
    }

    async fn create(&self, secrets: Value) -> (u16, Value) {
        self.client.send(self.request("POST", "/user/otp").json(&secrets)).await
    }

    async fn code(&self) -> String {
        let (status, body) = self.create(json!({ "pin": PIN })).await;
        assert_eq!(status, 201, "{body}");
        body["otp"].as_str().expect("a code").to_owned()
    }

    async fn verify(&self, otp: &str) -> u16 {
        let body = json!({ "otp": otp });
        self.client.send(self.request("POST", "/user/otp/verify").json(&body)).await.0
    }

    async fn mail(&self) -> u16 {
        self.client.send(self.request("POST", "/user/otp/sendmail")).await.0
    }

    /// Asks for a code with an `Idempotency-Key`.
    fn create_once(&self, secrets: &Value) -> RequestBuilder {
        self.request("POST", "/user/otp").json(secrets).header("idempotency-key", KEY)
    }

    async fn change_pin(&self, pin: &str, otp: &str) -> (u16, Value) {
        let body = json!({ "data": { "type": "pin", "attributes": { "pin": pin, "otp": otp } } });
        let request = self.request("PUT", "/user/pin").body(body.to_string());
        self.client.send(request.header("content-type", "application/vnd.api+json")).await
    }
}

pub(crate) async fn token(client: &Client, scope: &str) -> String {
    token_of(client, USER_ID, scope).await
}

async fn token_of(client: &Client, user: &str, scope: &str) -> String {
    let body = json!({ "sub": user, "scope": scope });
    let (_, body) = client.post("/_local/token", body).await;
    body["access_token"].as_str().expect("a token").to_owned()
}

fn code_of(body: &Value) -> &str {
    body["errors"][0]["code"].as_str().unwrap_or("none")
}

#[tokio::test]
async fn a_token_that_is_missing_changed_too_narrow_or_expired_is_a_401() {
    let mut user = User::start().await;
    let good = user.token.clone();
    let (head, signature) = good.rsplit_once('.').expect("a signature");
    let narrow = token(&user.client, "user:otp:verify").await;
    let made_up = [
        (String::new(), "unauthorized"),
        ("made-up".to_owned(), "unauthorized"),
        (format!("{head}.{}", signature.chars().rev().collect::<String>()), "unauthorized"),
        (narrow, "insufficient-scope"),
    ];
    for (token, code) in made_up {
        user.token = token;
        let (status, body) = user.create(json!({ "pin": PIN })).await;
        assert_eq!((status, code_of(&body)), (401, code));
    }
    user.token = good;
    assert_eq!(user.create(json!({ "pin": PIN })).await.0, 201);
    // The issuer's clock may be a minute off.
    user.client.stack.clock.advance(Duration::from_mins(62));
    let (status, body) = user.create(json!({ "pin": PIN })).await;
    assert_eq!((status, code_of(&body)), (401, "unauthorized"));
}

#[tokio::test]
async fn wrong_codes_spend_the_attempts_and_then_the_right_one_is_refused() {
    let user = User::start().await;
    let code = user.code().await;
    for _ in 0..5 {
        assert_eq!(user.verify(&TestWorld::wrong(&code)).await, 404);
    }
    assert_eq!(user.verify(&code).await, 404);
}

#[tokio::test]
async fn the_right_code_works_once_and_a_new_one_ends_it() {
    let user = User::start().await;
    let code = user.code().await;
    assert_eq!(user.verify(&code).await, 204);
    assert_eq!(user.verify(&code).await, 404);
    let (old, new) = (user.code().await, user.code().await);
    assert_eq!(user.verify(&old).await, 404);
    assert_eq!(user.verify(&new).await, 204);
}

#[tokio::test]
async fn a_code_is_refused_after_ten_minutes_and_a_second() {
    for (seconds, expected) in [(590, 204), (601, 404)] {
        let user = User::start().await;
        let code = user.code().await;
        user.client.stack.clock.advance(Duration::from_secs(seconds));
        assert_eq!(user.verify(&code).await, expected, "after {seconds} s");
    }
}

#[tokio::test]
async fn wrong_secrets_are_counted_and_the_right_one_is_worth_a_code() {
    let user = User::start().await;
    for secrets in [json!({ "pin": "1794" }), json!({ "password": PIN }), json!({ "pin": "0" })] {
        let (status, body) = user.create(secrets).await;
        assert_eq!((status, code_of(&body)), (422, "invalid-secret"));
    }
    let (status, body) = user.create(json!({ "password": PASSWORD, "pin": "0000" })).await;
    assert_eq!(status, 201, "{body}");
    let expires_at = body["expiresAt"].as_str().expect("a date");
    let shape: String =
        expires_at.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z");
    // Three wrong PINs so far, which the right password has not forgiven.
    for pause in [0, 0, 30, 60, 120, 240, 480] {
        user.client.stack.clock.advance(Duration::from_secs(pause));
        assert_eq!(user.create(json!({ "pin": "1794" })).await.0, 422);
    }
    assert_eq!(user.create(json!({ "pin": PIN })).await.0, 429);
    assert_eq!(user.create(json!({ "password": PASSWORD })).await.0, 201);
}

#[tokio::test]
async fn another_app_of_the_deployment_knows_neither_user_nor_code() {
    let user = User::start().await;
    let code = user.code().await;
    with_second_app(&user.client).await;
    let request = user.request("POST", "/user/otp/verify").header("host", "eve.localhost");
    let (status, body) = user.client.send(request.json(&json!({ "otp": code }))).await;
    assert_eq!((status, code_of(&body)), (404, "not-found"));
    let request = user.request("POST", "/user/otp").header("host", "eve.localhost");
    let (status, _) = user.client.send(request.json(&json!({ "pin": PIN }))).await;
    assert_eq!(status, 422);
    assert_eq!(user.verify(&code).await, 204);
}

/// An app that takes the tokens of the same issuer.
async fn with_second_app(client: &Client) {
    use passcode_domain::{
        App,
        ports::{LoadApps as _, StoreApps as _},
    };
    let settings = client.stack.settings("pace-user-otp-verify");
    let aws = passcode_runtime::aws::config(&settings).expect("settings");
    let apps = passcode_dynamodb::AppTable::new(&aws, "AppTable".into());
    let demo = apps.load_app(&"demo".parse().expect("an id")).await.expect("a table");
    let demo = (*demo.expect("the demo app")).clone();
    apps.store_app(&App { id: "eve".parse().expect("an id"), ..demo }.validated().expect("valid"))
        .await
        .expect("stored");
}

#[tokio::test]
async fn a_mailed_code_works_once_and_the_next_mail_waits_for_the_cool_down() {
    let user = User::start().await;
    assert_eq!(user.mail().await, 204);
    assert_eq!(user.mail().await, 429);
    let old = user.client.last_code(MAILBOX).await;
    user.client.pass_cool_down();
    assert_eq!(user.mail().await, 204);
    assert_eq!(user.client.messages(MAILBOX).await.len(), 2);
    let new = user.client.last_code(MAILBOX).await;
    assert_eq!(user.verify(&old).await, 404);
    assert_eq!(user.verify(&new).await, 204);
    assert_eq!(user.verify(&new).await, 404);
}

fn otp_of((status, _, body): &Seen) -> String {
    let body: Value = serde_json::from_slice(body).expect("JSON");
    assert_eq!(*status, 201, "{body}");
    body["otp"].as_str().expect("a code").to_owned()
}

#[tokio::test]
async fn a_request_with_a_key_is_told_its_code_until_that_is_used_and_nobody_guesses_by_the_key() {
    let mut user = User::start().await;
    let pin = json!({ "pin": PIN });
    let first = seen(user.create_once(&pin)).await;
    user.client.stack.clock.advance(Duration::from_mins(5));
    user.token = token(&user.client, PACE_SCOPES).await;
    assert_eq!(seen(user.create_once(&pin)).await, first, "the token is another, the user is not");
    let guess = json!({ "pin": "1794" });
    let (status, body) = user.client.send(user.create_once(&guess)).await;
    assert_eq!((status, code_of(&body)), (422, "idempotency-key-reused"));
    assert_eq!(user.verify(&otp_of(&first)).await, 204);
    let (status, headers, body) = seen(user.create_once(&pin)).await;
    assert_eq!((status, headers.iter().any(|(name, _)| name == "retry-after")), (409, false));
    assert!(!String::from_utf8_lossy(&body).contains(&otp_of(&first)));
    for _ in 0..10 {
        assert_eq!(user.client.send(user.create_once(&guess)).await.0, 422);
    }
    assert_eq!(user.client.send(user.create_once(&pin)).await.0, 422, "the key is spent");
    assert_eq!(user.create(pin).await.0, 201, "and no PIN was looked at");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_equal_requests_with_a_key_one_is_served_and_all_are_answered() {
    let user = User::start().await;
    let told = a_hundred_times(&user.create_once(&json!({ "pin": PIN }))).await;
    assert_eq!(user.verify(&otp_of(&told)).await, 204);
    let mail = user.request("POST", "/user/otp/sendmail").header("idempotency-key", KEY);
    assert_eq!(a_hundred_times(&mail).await.0, 204);
    assert_eq!(user.client.messages(MAILBOX).await.len(), 1);
    assert_eq!(user.verify(&user.client.last_code(MAILBOX).await).await, 204);
}

#[tokio::test]
async fn a_service_that_holds_the_challenge_verifies_the_code_by_it() {
    let user = User::start().await;
    let request = user.request("POST", "/user/otp").json(&json!({ "pin": PIN }));
    let answer = request.send().await.expect("an answer");
    let id = answer.headers()["passcode-challenge-id"].to_str().expect("text").to_owned();
    let body: Value = answer.json().await.expect("JSON");
    let code = body["otp"].as_str().expect("a code");
    assert_eq!(user.client.verify(&id, code).await.0, 200);
    assert_eq!(user.verify(code).await, 404, "used, whoever asks");
}

#[tokio::test]
async fn a_code_changes_the_pin_once() {
    let user = User::start().await;
    let code = user.code().await;
    let (status, body) = user.change_pin("1234", &code).await;
    assert_eq!((status, code_of(&body)), (406, "pin-not-secure"));
    let (status, body) = user.change_pin("2806", &TestWorld::wrong(&code)).await;
    assert_eq!((status, code_of(&body)), (403, "otp:invalid"));
    assert_eq!(user.create(json!({ "pin": "2806" })).await.0, 422, "nothing has changed");
    let (status, body) = user.change_pin("2806", &code).await;
    let expected = json!({ "data": { "type": "pin", "id": USER_ID } });
    assert_eq!((status, body), (200, expected));
    assert_eq!(user.change_pin("7351", &code).await.0, 403);
    assert_eq!(user.create(json!({ "pin": PIN })).await.0, 422, "the old PIN");
    assert_eq!(user.create(json!({ "pin": "2806" })).await.0, 201);
}

#[tokio::test]
async fn secrets_codes_tokens_and_addresses_are_not_logged() {
    let user = User::start().await;
    let code = user.code().await;
    user.verify(&TestWorld::wrong(&code)).await;
    user.change_pin("2806", &code).await;
    user.create(json!({ "password": PASSWORD })).await;
    user.mail().await;
    let mailed = user.client.last_code(MAILBOX).await;
    user.verify(&mailed).await;
    let (_, logged) = user.client.emitted();
    let alarms = logged.lines().filter(|line| line.contains("\"FailedVerifies\":")).count();
    assert_eq!(logged.lines().count(), 6 + alarms, "one line a request: {logged}");
    for secret in [USER_ID, PASSWORD, MAILBOX, &user.token, "\"2806\""] {
        assert!(!logged.contains(secret), "{secret} in the logs: {logged}");
    }
    for code in [code, mailed] {
        let is_word = |part: &str| part.contains(&format!("\"{code}\""));
        assert!(!is_word(&logged), "a code in the logs: {logged}");
    }
}

#[tokio::test]
async fn a_client_asks_what_is_set_before_it_asks_for_it() {
    let user = User::start().await;
    for path in ["/user/pin", "/user/password"] {
        assert_eq!(user.client.send(user.request("GET", path)).await, (200, Value::Null), "{path}");
    }
    let (status, set) = user.client.send(user.request("GET", "/user/pin-or-password")).await;
    assert_eq!((status, set), (200, json!({ "pin": true, "password": true })));
    let stranger = token_of(&user.client, "nobody", PACE_SCOPES).await;
    let request = user.client.request("GET", "/user/pin", false).bearer_auth(stranger);
    assert_eq!(user.client.send(request).await.0, 404);
}
