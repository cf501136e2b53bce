//! Every error code that the contracts document, each provoked over HTTP; and what another app's
//! ids, codes and tokens are worth.

use passcode_domain::{
    App,
    ports::{LoadApps as _, StoreApps as _},
};
use passcode_dynamodb::AppTable;
use passcode_runtime::aws;
use passcode_testkit::{PIN, TestWorld, USER_ID};
use passcode_tests::stack::Client;
use serde_json::{Value, json};
use std::time::Duration;

const PHONE: &str = "+14155550100";
const OTHER: &str = "+919876543210";

/// A stack with two more apps like the demo app: `eve`, and `mute`, which is blocked.
async fn start() -> Client {
    let client = Client::start().await;
    let aws = aws::config(&client.stack.settings("otpless-auth-create")).expect("settings");
    let apps = AppTable::new(&aws, "AppTable".into());
    let demo = apps.load_app(&"demo".parse().expect("an id")).await.expect("loads");
    let demo = demo.expect("the demo app");
    for (id, blocked) in [("eve", false), ("mute", true)] {
        let app = App { id: id.parse().expect("an id"), blocked, ..(*demo).clone() };
        apps.store_app(&app.validated().expect("valid")).await.expect("stored");
    }
    client
}

fn at(request: reqwest::RequestBuilder, app: &str) -> reqwest::RequestBuilder {
    request.header("host", format!("{app}.passcode.example"))
}

async fn bearer(client: &Client, scope: &str) -> String {
    let (_, token) = client.post("/_local/token", json!({ "sub": USER_ID, "scope": scope })).await;
    token["access_token"].as_str().expect("a token").to_owned()
}

/// Posts as an app's server; the error code.
async fn otpless(client: &Client, app: &str, path: &str, body: &Value) -> String {
    let request = client.request("POST", path, false);
    let request = request.header("clientId", app).header("clientSecret", "demo-secret");
    let (_, body) = client.send(request.json(body)).await;
    body["errorCode"].as_str().unwrap_or("none").to_owned()
}

#[tokio::test]
async fn otpless_says_what_is_wrong_with_a_request() {
    let client = start().await;
    let (create, initiate) = ("/auth/v1/create", "/auth/v1/initiate/otp");
    let (send, verify, status) = ("/auth/otp/v1/send", "/auth/v1/verify/otp", "/auth/v1/status");
    let made_up = format!("ARID_{}", "A".repeat(52));
    for (path, body, code) in [
        (create, json!([]), "7101"),
        (create, json!({ "phoneNumber": "12", "countryCode": "1" }), "7102"),
        (initiate, json!({ "phoneNumber": PHONE, "channels": ["WHATSAPP"] }), "7103"),
        (create, json!({ "email": "ada" }), "7104"),
        (initiate, json!({ "email": "ada@example.com", "channels": ["SMS"] }), "7105"),
        (create, json!({}), "7106"),
        (verify, json!({ "requestId": made_up, "otp": "" }), "7112"),
        (create, json!({ "email": "ada@example.com", "expiry": 59 }), "7113"),
        (verify, json!({ "requestId": "x", "otp": "123456" }), "7114"),
        (initiate, json!({ "phoneNumber": PHONE, "channels": ["SMS"], "otpLength": 5 }), "7116"),
        (initiate, json!({ "requestId": "x", "channels": ["SMS"] }), "7119"),
        (send, json!({ "phoneNumber": PHONE, "hash": "short" }), "7121"),
        (create, json!({ "email": "ada@example.com", "tid": "nowhere" }), "7158"),
        (status, json!({ "requestId": made_up }), "7168"),
    ] {
        assert_eq!(otpless(&client, "demo", path, &body).await, code, "{path} {body}");
    }
    let body = json!({ "email": "ada@example.com" });
    assert_eq!(otpless(&client, "", create, &body).await, "7012");
    assert_eq!(otpless(&client, "nobody", create, &body).await, "7002");
    assert_eq!(otpless(&client, "mute", create, &body).await, "7019");
}

#[tokio::test]
async fn otpless_says_what_a_request_has_come_to() {
    let client = start().await;
    let verify = async |id: &str, otp: &str| {
        let body = json!({ "requestId": id, "otp": otp });
        otpless(&client, "demo", "/auth/v1/verify/otp", &body).await
    };
    let create = json!({ "phoneNumber": "4155550100", "countryCode": "1" });
    let id = client.create(create.clone()).await;
    assert_eq!(client.status(&id).await.1["errorCode"], "7170");
    assert_eq!(client.initiate(&id, "SMS").await.0, 200);
    assert_eq!(client.initiate(&id, "SMS").await.1["errorCode"], "7022");
    let code = client.last_code(PHONE).await;
    let foreign = json!({ "requestId": id, "otp": code });
    assert_eq!(otpless(&client, "eve", "/auth/v1/verify/otp", &foreign).await, "7114");
    let foreign = json!({ "requestId": id });
    assert_eq!(otpless(&client, "eve", "/auth/v1/status", &foreign).await, "7168");
    assert_eq!(verify(&id, &TestWorld::wrong(&code)).await, "7118");
    assert_eq!(verify(&id, &code).await, "none", "another app has spent nothing");
    assert_eq!(verify(&id, &code).await, "7115");

    let id = client.create(create.clone()).await;
    client.initiate(&id, "SMS").await;
    let code = client.last_code(PHONE).await;
    for _ in 0..5 {
        verify(&id, &TestWorld::wrong(&code)).await;
    }
    assert_eq!(verify(&id, &code).await, "7021");

    client.pass_cool_down();
    let id = client.create(create).await;
    client.initiate(&id, "SMS").await;
    let code = client.last_code(PHONE).await;
    client.stack.clock.advance(Duration::from_secs(601));
    assert_eq!(verify(&id, &code).await, "7303");
    client.stack.clock.advance(Duration::from_mins(5));
    assert_eq!(client.status(&id).await.1["errorCode"], "7172");
}

#[tokio::test]
async fn prelude_has_a_code_for_every_refusal() {
    let client = start().await;
    let post = |path: &str| client.request("POST", path, false);
    let refused = async |request: reqwest::RequestBuilder| {
        let (_, body) = client.send(request).await;
        body["code"].as_str().unwrap_or("none").to_owned()
    };
    let (create, check) = ("/v1/session/otp", "/v1/session/otp/check");
    let phone = json!({ "identifier": { "type": "phone_number", "value": PHONE } });
    assert_eq!(refused(post(create).json(&json!({}))).await, "bad_request");
    let token = json!({ "challenge_token": "x.y.z" });
    assert_eq!(refused(post(create).json(&token)).await, "invalid_challenge_token");
    assert_eq!(refused(at(post(create), "mute").json(&phone)).await, "auth_blocked");
    let foreign = post(create).header("origin", "https://evil.example");
    assert_eq!(refused(foreign.json(&phone)).await, "origin_not_allowed");
    let code = json!({ "code": "123456" });
    assert_eq!(refused(post(check).json(&code)).await, "invalid_verification_token");

    let sent = post(create).json(&phone).send().await.expect("an answer");
    let token = sent.headers()["x-verification-token"].to_str().expect("text").to_owned();
    let with = |request: reqwest::RequestBuilder| request.header("x-verification-token", &token);
    let eve = at(with(post(check)), "eve").json(&code);
    assert_eq!(refused(eve).await, "invalid_verification_token", "another app's");
    assert_eq!(refused(with(post("/v1/session/otp/retry"))).await, "rate_limited");
    assert_eq!(refused(with(post(check)).json(&code)).await, "bad_check_code");
    let right = json!({ "code": client.last_code(PHONE).await });
    assert_eq!(refused(with(post(check)).json(&right)).await, "none");
    client.stack.clock.advance(Duration::from_mins(1));
    assert_eq!(refused(with(post(check)).json(&right)).await, "token_reused");

    let step_up = "/v1/session/stepup/request";
    let scope = json!({ "scope": "transfer" });
    assert_eq!(refused(post(step_up).json(&scope)).await, "unauthorized");
    let bearer = bearer(&client, "openid").await;
    let ask = |body: Value| post(step_up).bearer_auth(&bearer).json(&body);
    assert_eq!(refused(ask(json!({ "scope": "admin" }))).await, "scope_not_allowed");
    let (_, review) = client.send(ask(scope)).await;
    let challenge = json!({ "challenge_token": review["challenge_token"] });
    assert_eq!(refused(at(post(create), "eve").json(&challenge)).await, "token_mismatch");
    client.stack.clock.advance(Duration::from_mins(16));
    assert_eq!(refused(post(create).json(&challenge)).await, "expired_challenge_token");
}

#[tokio::test]
async fn pace_has_a_status_for_every_refusal() {
    let client = start().await;
    let scopes = "user:otp:create user:otp:verify user:users.pin:update";
    let (token, less) = (bearer(&client, scopes).await, bearer(&client, "openid").await);
    let post = |path: &str| client.request("POST", path, false).bearer_auth(&token);
    let pin = json!({ "pin": PIN });
    let create = || post("/user/otp").json(&pin);
    for (request, status) in [
        (client.request("POST", "/user/otp", false).json(&pin), 401),
        (client.request("POST", "/user/otp", false).bearer_auth(less).json(&pin), 401),
        (at(create(), "mute"), 401),
        (create().header("accept", "text/html"), 406),
        (post("/user/otp").body(pin.to_string()).header("content-type", "text/plain"), 415),
        (post("/user/otp").json(&json!({})), 422),
        (post("/user/otp").json(&json!({ "pin": "1794" })), 422),
        (post("/user/otp/verify").json(&json!({ "otp": "123456" })), 404),
        (create(), 201),
        (post("/user/otp/sendmail"), 204),
        (post("/user/otp/sendmail"), 429),
    ] {
        let (found, body) = client.send(request).await;
        assert_eq!(found, status, "{body}");
        if status >= 400 {
            assert_eq!(body["errors"][0]["status"], status.to_string());
        }
    }
}

#[tokio::test]
async fn zap_names_the_field_and_another_apps_otp_is_none() {
    let client = start().await;
    let post = |path: &str, body: Value| {
        client.request("POST", path, false).bearer_auth("demo-admin").json(&body)
    };
    let to = |phone: &str| json!({ "userId": USER_ID, "phoneNumber": phone });
    for (request, status, part) in [
        (post("/v1/otp", json!({ "phoneNumber": PHONE })), 400, "userId"),
        (post("/v1/otp", to("12")), 400, "phoneNumber"),
        (post("/v1/otp", json!({ "userId": USER_ID, "email": "ada" })), 400, "email"),
        (client.request("POST", "/v1/otp", false).json(&to(PHONE)), 401, "administrator"),
        (at(post("/v1/otp", to(PHONE)), "mute"), 403, "blocked"),
        (post("/v1/otp/resend", json!({ "phoneNumber": OTHER })), 400, "phoneNumber"),
        (post("/v1/otp/verify", json!({ "identity": PHONE })), 400, "otp"),
    ] {
        let (found, body) = client.send(request).await;
        assert_eq!((found, &body["success"]), (status, &json!(false)), "{body}");
        assert!(body["error"].as_str().is_some_and(|error| error.contains(part)), "{body}");
    }
    assert_eq!(client.send(post("/v1/otp", to(PHONE))).await.0, 200);
    assert_eq!(client.send(post("/v1/otp", to(PHONE))).await.0, 429);
    let code = json!({ "identity": PHONE, "otp": client.last_code(PHONE).await });
    let foreign = at(post("/v1/otp/verify", code.clone()), "eve");
    assert_eq!(client.send(foreign).await.0, 400, "another app's");
    assert_eq!(client.send(post("/v1/otp/verify", code)).await.0, 200);
}

#[tokio::test]
async fn a_page_of_the_apps_reads_what_rollout_answers_and_another_page_does_not() {
    let client = start().await;
    let made_up = format!("/auth/otp/ARID_{}", "A".repeat(52));
    for (origin, is_allowed) in [("http://localhost:3000", true), ("https://evil.example", false)] {
        let request = client.request("POST", &made_up, false).header("origin", origin);
        let answer = request.json(&json!({ "otp": "123456" })).send().await.expect("an answer");
        assert_eq!(answer.status(), 400);
        let told = answer.headers().get("access-control-allow-origin");
        assert_eq!(told.is_some_and(|told| told == origin), is_allowed, "{origin}");
    }
}
