//! ZAP: an administrator generates, the user types, the administrator verifies; and the same OTP
//! through the other contracts.

use passcode_testkit::World;
use passcode_tests::stack::Client;
use serde_json::{Value, json};
use std::time::Duration;

const USER: &str = "63fcedad5ab92b52bfbf5125";
const EMAIL: &str = "ada@example.com";
const PHONE: &str = "+14155550100";

/// Posts as the demo app's administrator.
async fn post(client: &Client, path: &str, body: Value) -> (u16, Value) {
    let request = client.request("POST", path, false).bearer_auth("demo-admin");
    client.send(request.json(&body)).await
}

async fn generate(client: &Client, body: Value) {
    let generated = json!({ "success": true, "data": "OTP Generated" });
    assert_eq!(post(client, "/v1/otp/", body).await, (200, generated));
}

async fn verify(client: &Client, identity: &str, otp: &str) -> (u16, Value) {
    post(client, "/v1/otp/verify", json!({ "otp": otp, "identity": identity })).await
}

fn refused() -> (u16, Value) {
    let error = "the OTP is not valid, or not valid any more";
    (400, json!({ "success": false, "error": error }))
}

fn verified() -> (u16, Value) {
    (200, json!({ "success": true, "data": "OTP verified" }))
}

#[tokio::test]
async fn who_is_no_administrator_gets_nothing_sent() {
    let client = Client::start().await;
    let body = json!({ "userId": USER, "email": EMAIL });
    let token = json!({ "sub": "admin", "scope": "user:otp:create" });
    let (_, token) = client.post("/_local/token", token).await;
    let token = token["access_token"].as_str().expect("a token").to_owned();
    for (credential, status) in [("", 401), ("demo-secret", 401), ("a.b.c", 401), (&token, 403)] {
        for path in ["/v1/otp", "/v1/otp/", "/v1/otp/resend", "/v1/otp/verify"] {
            let request = client.request("POST", path, true).bearer_auth(credential);
            assert_eq!(client.send(request.json(&body)).await.0, status, "{credential} {path}");
        }
    }
    assert!(client.messages(EMAIL).await.is_empty());
}

#[tokio::test]
async fn wrong_expired_exhausted_and_used_codes_are_refused_alike() {
    let client = Client::start().await;
    let body = json!({ "userId": USER, "email": EMAIL });
    generate(&client, body.clone()).await;
    let code = client.last_code(EMAIL).await;
    assert_eq!(verify(&client, EMAIL, &World::wrong(&code)).await, refused(), "wrong");
    assert_eq!(verify(&client, PHONE, &code).await, refused(), "somebody else's");
    client.stack.clock.advance(Duration::from_secs(601));
    assert_eq!(verify(&client, EMAIL, &code).await, refused(), "expired");

    generate(&client, body.clone()).await;
    let code = client.last_code(EMAIL).await;
    for _ in 0..4 {
        assert_eq!(verify(&client, EMAIL, &World::wrong(&code)).await, refused());
    }
    assert_eq!(verify(&client, EMAIL, &code).await, refused(), "exhausted");

    client.stack.clock.advance(Duration::from_mins(1));
    generate(&client, body).await;
    let code = client.last_code(EMAIL).await;
    assert_eq!(verify(&client, EMAIL, &code).await, verified());
    assert_eq!(verify(&client, EMAIL, &code).await, refused(), "used");
}

#[tokio::test]
async fn a_resend_is_held_back_and_the_code_before_it_fails() {
    let client = Client::start().await;
    let both = json!({ "email": EMAIL, "phoneNumber": PHONE });
    let resend = async |body: Value| post(&client, "/v1/otp/resend", body).await;
    assert_eq!(resend(both.clone()).await.0, 400, "nothing is open");
    generate(&client, json!({ "userId": USER, "email": EMAIL, "phoneNumber": PHONE })).await;
    assert_eq!(resend(both.clone()).await.0, 429, "cool-down");
    let old = client.last_code(EMAIL).await;
    client.pass_cool_down();
    let sent = (200, json!({ "success": true, "data": "OTP ReSent" }));
    assert_eq!(resend(both).await, sent);
    client.stack.clock.advance(Duration::from_mins(1));
    assert_eq!(resend(json!({ "username": "ada" })).await, sent);
    assert_eq!(client.messages(EMAIL).await.len(), 3);
    assert_eq!(client.messages(PHONE).await.len(), 2);
    assert_eq!(verify(&client, EMAIL, &old).await, refused());
    assert_eq!(verify(&client, "ada", &client.last_code(EMAIL).await).await, verified());
    assert_eq!(verify(&client, PHONE, &client.last_code(PHONE).await).await, verified());
}

#[tokio::test]
async fn an_otp_reaches_an_email_address_a_phone_and_a_registered_user() {
    let client = Client::start().await;
    for (body, to, identity) in [
        (json!({ "userId": USER, "email": EMAIL }), EMAIL, "Ada@Example.com"),
        (
            json!({ "UserId": "new", "phoneNumber": "+2348011111111" }),
            "+2348011111111",
            "+2348011111111",
        ),
        (json!({ "userId": USER, "phoneNumber": PHONE }), PHONE, "ada"),
        (json!({ "userId": USER }), EMAIL, "ada"),
    ] {
        generate(&client, body).await;
        let code = client.last_code(to).await;
        assert_eq!(verify(&client, identity, &code).await, verified(), "{identity}");
    }
}

#[tokio::test]
async fn an_administrators_token_is_as_good_as_the_key() {
    let client = Client::start().await;
    let token = json!({ "sub": "admin", "scope": "openid otp:admin" });
    let (_, token) = client.post("/_local/token", token).await;
    let token = token["access_token"].as_str().expect("a token").to_owned();
    let post = async |path: &str, body: Value| {
        let request = client.request("POST", path, false).bearer_auth(&token);
        client.send(request.json(&body)).await
    };
    assert_eq!(post("/v1/otp", json!({ "userId": USER, "phoneNumber": PHONE })).await.0, 200);
    let code = client.last_code(PHONE).await;
    let body = json!({ "otp": code, "identity": PHONE });
    assert_eq!(post("/v1/otp/verify", body).await, verified());
    let (_, logged) = client.emitted();
    for secret in [token.as_str(), &code, "4155550100"] {
        assert!(!logged.contains(secret), "{secret} in the log: {logged}");
    }
}

#[tokio::test]
async fn its_id_verifies_it_through_the_other_contracts() {
    let client = Client::start().await;
    for (body, to) in [
        (json!({ "userId": USER, "email": EMAIL }), EMAIL),
        (json!({ "userId": USER, "phoneNumber": PHONE }), PHONE),
    ] {
        let request = client.request("POST", "/v1/otp", false).bearer_auth("demo-admin");
        let answer = request.json(&body).send().await.expect("an answer");
        let id = answer.headers()["passcode-challenge-id"].to_str().expect("text").to_owned();
        let code = client.last_code(to).await;
        if to == EMAIL {
            assert_eq!(client.verify(&id, &World::wrong(&code)).await.0, 400);
            assert_eq!(client.verify(&id, &code).await.1["ok"], true, "Rollout");
        } else {
            let body = json!({ "requestId": id, "otp": code });
            let (_, body) = client.post("/auth/v1/verify/otp", body).await;
            assert_eq!(body["isOTPVerified"], true, "OTPless");
        }
        assert_eq!(verify(&client, to, &code).await, refused(), "used");
        let (status, body) = client.status(&id).await;
        assert_eq!((status, &body["errorCode"]), (404, &json!("7168")), "no success is told by it");
    }
}
