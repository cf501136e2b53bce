//! Prelude: a browser asks for a code, presents it, and holds a proof; a signed-in user steps up.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use passcode_domain::ports::Clock as _;
use passcode_testkit::{TestWorld, USER_ID};
use passcode_tests::stack::Client;
use reqwest::Response;
use serde_json::{Value, json};
use std::time::Duration;

const PHONE: &str = "+14155550100";
const EMAIL: &str = "ada@example.com";
const ORIGIN: &str = "http://localhost:3000";

/// A page of the demo app's, with what it remembers.
struct Browser<'a> {
    client: &'a Client,
    token: Option<String>,
}

impl<'a> Browser<'a> {
    const fn of(client: &'a Client) -> Self {
        Self { client, token: None }
    }

    async fn post(&self, path: &str, body: Option<&Value>) -> Response {
        let request = self.client.request("POST", path, false).header("origin", ORIGIN);
        let request = match &self.token {
            Some(token) => request.header("x-verification-token", token),
            None => request,
        };
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        request.send().await.expect("an answer")
    }

    /// Asks for a code; the status.
    async fn ask(&mut self, body: Value) -> u16 {
        let answer = self.post("/v1/session/otp", Some(&body)).await;
        let token = answer.headers().get("x-verification-token");
        self.token = token.and_then(|token| token.to_str().ok()).map(str::to_owned);
        answer.status().as_u16()
    }

    async fn check(&self, body: Value) -> (u16, Value) {
        told(self.post("/v1/session/otp/check", Some(&body)).await).await
    }

    async fn retry(&self) -> (u16, Value) {
        told(self.post("/v1/session/otp/retry", None).await).await
    }
}

async fn told(answer: Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

fn phone() -> Value {
    json!({ "identifier": { "type": "phone_number", "value": PHONE } })
}

/// The claims of a proof, verified with nothing but the published keys.
async fn claims(client: &Client, proof: &str) -> Value {
    let keys = client.request("GET", "/.well-known/jwks.json", false).send().await;
    let keys: JwkSet = keys.expect("an answer").json().await.expect("keys");
    let header = jsonwebtoken::decode_header(proof).expect("a header");
    let key = keys.find(&header.kid.expect("a kid")).expect("it is published");
    let key = DecodingKey::from_jwk(key).expect("a key");
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&["demo"]);
    jsonwebtoken::decode(proof, &key, &validation).expect("it is valid").claims
}

#[tokio::test]
async fn wrong_codes_spend_the_attempts_and_then_one_starts_again() {
    let client = Client::start().await;
    let mut browser = Browser::of(&client);
    assert_eq!(browser.ask(phone()).await, 204);
    let code = client.last_code(PHONE).await;
    let wrong = browser.check(json!({ "code": TestWorld::wrong(&code) })).await;
    assert_eq!((wrong.0, &wrong.1["code"]), (400, &json!("bad_check_code")));
    for _ in 0..4 {
        assert_eq!(browser.check(json!({ "code": TestWorld::wrong(&code) })).await, wrong);
    }
    let exhausted = browser.check(json!({ "code": code })).await;
    assert_eq!((exhausted.0, &exhausted.1["code"]), (429, &json!("rate_limited")));
    assert_eq!(browser.ask(phone()).await, 429, "after a challenge's attempts there is a pause");
    client.pass_cool_down();
    assert_eq!(browser.ask(phone()).await, 204);
    let code = client.last_code(PHONE).await;
    client.stack.clock.advance(Duration::from_secs(601));
    assert_eq!(browser.check(json!({ "code": code })).await, wrong, "expired");
}

#[tokio::test]
async fn the_right_code_is_a_proof_once() {
    let client = Client::start().await;
    let mut browser = Browser::of(&client);
    let email = json!({ "identifier": { "type": "email_address", "value": EMAIL } });
    assert_eq!(browser.ask(email).await, 204);
    let body = json!({ "code": client.last_code(EMAIL).await });
    let (status, proof) = browser.check(body.clone()).await;
    assert_eq!(status, 200);
    let claims = claims(&client, proof["challenge_token"].as_str().expect("a proof")).await;
    assert_eq!(
        (&claims["current_step"], &claims["purpose"]),
        (&json!("completed"), &json!("login"))
    );
    assert_eq!((&claims["aud"], &claims["grant_mode"]), (&json!("demo"), &json!("session-start")));
    let (status, again) = browser.check(body.clone()).await;
    let again = self::claims(&client, again["challenge_token"].as_str().expect("a proof")).await;
    assert_eq!((status, &again["jti"]), (200, &claims["jti"]), "the answer may have been lost");
    client.stack.clock.advance(Duration::from_mins(1));
    let (status, again) = browser.check(body).await;
    assert_eq!((status, &again["code"]), (409, &json!("token_reused")));
}

#[tokio::test]
async fn a_retry_kills_the_code_before() {
    let client = Client::start().await;
    let mut browser = Browser::of(&client);
    assert_eq!(browser.ask(phone()).await, 204);
    let old = client.last_code(PHONE).await;
    assert_eq!(browser.retry().await.0, 429, "cool-down");
    client.pass_cool_down();
    assert_eq!(browser.retry().await.0, 204);
    let new = client.last_code(PHONE).await;
    assert_eq!(browser.check(json!({ "code": old })).await.1["code"], "bad_check_code");
    assert_eq!(browser.check(json!({ "code": new })).await.0, 200);
}

#[tokio::test]
async fn nobody_steps_up_without_the_users_own_token_and_code() {
    let client = Client::start().await;
    let mut browser = Browser::of(&client);
    let wish = json!({ "scope": "transfer", "metadata": { "amount": "20" } });
    let stranger = client.request("POST", "/v1/session/stepup/request", false);
    assert_eq!(client.send(stranger.json(&wish)).await.0, 401);
    let (_, token) =
        client.post("/_local/token", json!({ "sub": USER_ID, "scope": "openid" })).await;
    let request = |body: &Value| {
        let request = client.request("POST", "/v1/session/stepup/request", false);
        request.bearer_auth(token["access_token"].as_str().expect("a token")).json(body)
    };
    let (status, refused) = client.send(request(&json!({ "scope": "admin" }))).await;
    assert_eq!((status, &refused["code"]), (403, &json!("scope_not_allowed")));
    let (status, review) = client.send(request(&wish)).await;
    assert_eq!((status, &review["status"]), (200, &json!("review")));
    let challenge = &review["challenge_token"];
    assert_eq!(browser.ask(json!({ "challenge_token": "x.y.z" })).await, 400);
    assert_eq!(browser.ask(json!({ "challenge_token": challenge })).await, 204);
    let code = client.last_code(PHONE).await;
    let (_, refused) = browser.check(json!({ "code": code })).await;
    assert_eq!(refused["code"], "invalid_challenge_token");
    let (status, proof) =
        browser.check(json!({ "code": code, "challenge_token": challenge })).await;
    assert_eq!(status, 200);
    let claims = claims(&client, proof["challenge_token"].as_str().expect("a proof")).await;
    assert_eq!((&claims["sub"], &claims["scope"]), (&json!(USER_ID), &json!("transfer")));
    assert_eq!(claims["grant_mode"], "single-use");
    client.stack.clock.advance(Duration::from_mins(15));
    assert_eq!(browser.ask(json!({ "challenge_token": challenge })).await, 400, "expired");
}

#[tokio::test]
async fn browsers_get_what_the_fetch_standard_asks_for() {
    let client = Client::start().await;
    let preflight = |origin: &str| {
        let request = client.request("OPTIONS", "/v1/session/otp/check", false);
        request.header("origin", origin).header("access-control-request-method", "POST").send()
    };
    let allowed = preflight(ORIGIN).await.expect("an answer");
    assert_eq!(allowed.status(), 204);
    assert_eq!(allowed.headers()["access-control-allow-origin"], ORIGIN);
    assert_eq!(preflight("https://evil.example").await.expect("an answer").status(), 403);
    let browser = Browser::of(&client);
    let older = browser.post("/v1/session/login/otp", Some(&phone())).await;
    assert_eq!(older.status(), 204);
    assert_eq!(older.headers()["access-control-allow-credentials"], "true");
    let cookie = older.headers()["set-cookie"].to_str().expect("text").to_owned();
    let cookie = cookie.split(';').next().expect("a pair");
    let code = client.last_code(PHONE).await;
    let check = client.request("POST", "/v1/session/login/otp/check", false);
    let check = check.header("cookie", format!("theme=dark; {cookie}"));
    assert_eq!(client.send(check.json(&json!({ "code": code }))).await.0, 200, "by its cookie");
}

#[tokio::test]
async fn a_page_sees_unknown_routes_and_the_products_time() {
    let client = Client::start().await;
    client.stack.clock.advance(Duration::from_hours(24));
    for (method, path, status) in [
        ("GET", "/v1/session/me/profile", 404),
        ("POST", "/v1/session/stepup/continue", 404),
        ("GET", "/v1/session/otp/check", 404),
        ("OPTIONS", "/v1/session/password/login?target=all", 204),
        ("OPTIONS", "/v1/session/otp", 204),
    ] {
        let request = client.request(method, path, false).header("origin", ORIGIN);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), status, "{method} {path}");
        let headers = answer.headers();
        assert_eq!(headers["access-control-allow-origin"], ORIGIN, "{method} {path}");
        let readable = headers["access-control-expose-headers"].to_str().expect("text");
        assert!(readable.contains("date"), "{readable}");
        let date = headers["date"].to_str().expect("text");
        let date = jiff::fmt::rfc2822::parse(date).expect("a date").timestamp().as_second();
        let now = client.stack.clock.now().as_millis() / 1000;
        assert!(now.abs_diff(u64::try_from(date).expect("after 1970")) < 5, "{date}");
    }
    let elsewhere = client.request("GET", "/v1/sessions", false).header("origin", ORIGIN);
    let elsewhere = elsewhere.send().await.expect("an answer");
    assert_eq!(elsewhere.status(), 404);
    assert!(!elsewhere.headers().contains_key("access-control-allow-origin"));
}
