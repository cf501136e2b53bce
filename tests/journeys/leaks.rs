//! A search through every byte that the product emits or keeps.

use crate::sessions::signed_in;
use passcode_domain::ports::{LoadApps as _, StoreApps as _};
use passcode_dynamodb::AppTable;
use passcode_runtime::aws;
use passcode_testkit::{PASSWORD, PIN, TestWorld, USER_ID};
use passcode_tests::{dpop::ClientKey, stack::Client};
use serde_json::json;

/// Codes of ten digits, so that no other number is one by chance.
async fn with_long_codes(client: &Client) {
    let aws = aws::config(&client.stack.settings("otpless-auth-create")).expect("settings");
    let apps = AppTable::new(&aws, "AppTable".into());
    let demo = apps.load_app(&"demo".parse().expect("an id")).await.expect("loads");
    let mut app = (*demo.expect("the demo app")).clone();
    app.policy.code_length = 10;
    apps.store_app(&app.validated().expect("valid")).await.expect("stored");
}

async fn everything_stored(client: &Client) -> String {
    stored_in(client, &["ChallengeTable", "AppTable", "UserTable"]).await
}

async fn stored_in(client: &Client, tables: &[&str]) -> String {
    let aws = aws::config(&client.stack.settings("otpless-auth-create")).expect("settings");
    let dynamodb = aws_sdk_dynamodb::Client::new(&aws);
    let mut all = String::new();
    for table in tables {
        let items = dynamodb.scan().table_name(*table).send().await.expect("a scan").items;
        let items = items.unwrap_or_default();
        assert!(!items.is_empty(), "{table} has items");
        all.extend(items.into_iter().map(|item| format!("{item:?}")));
    }
    all
}

#[tokio::test]
async fn codes_secrets_and_addresses_appear_only_where_they_must() {
    let client = Client::start().await;
    with_long_codes(&client).await;
    let mut codes = Vec::new();
    for (body, channel, to) in [
        (json!({ "phoneNumber": "4155550100", "countryCode": "1" }), "SMS", "+14155550100"),
        (json!({ "email": "ada@example.com" }), "EMAIL", "ada@example.com"),
    ] {
        let id = client.create(body).await;
        client.initiate(&id, channel).await;
        codes.push(client.last_code(to).await);
        let event = if channel == "SMS" { "text-delivered" } else { "email-delivered" };
        let message = client.messages(to).await[0].id.clone();
        let receipt = json!({ "id": message, "event": event });
        assert_eq!(client.post("/_local/receipts", receipt).await.0, 200);
        client.pass_cool_down();
        client.initiate(&id, channel).await;
        let code = client.last_code(to).await;
        client.verify(&id, &codes[codes.len() - 1]).await;
        client.verify(&id, &TestWorld::wrong(&code)).await;
        assert_eq!(client.verify(&id, &code).await.0, 200);
        client.verify(&id, &code).await;
        client.status(&id).await;
        codes.push(code);
    }
    let wrong = client.request("POST", "/auth/v1/create", false).header("clientId", "demo");
    client.send(wrong.header("clientSecret", "wrong-secret").body("ada@example.com")).await;

    let orders = [("order-of-bob@example.com", "+14155550100"), ("order-2", "+14155550101")];
    for (order, to) in orders {
        let body = json!({ "phoneNumber": to, "orderId": order });
        let send = client.request("POST", "/auth/otp/v1/send", true).json(&body);
        let send = send.header("idempotency-key", "a-key-of-the-callers-own");
        let (again, taken) = (send.try_clone().expect("a body of bytes"), order == "order-2");
        assert_eq!(client.send(send).await.0, if taken { 422 } else { 200 });
        assert_eq!(client.send(again).await.0, if taken { 422 } else { 200 });
    }
    codes.push(client.last_code("+14155550100").await);

    let stored = everything_stored(&client).await;
    let (heard, logged) = client.emitted();
    let alarms = logged.lines().filter(|line| line.contains("\"FailedVerifies\":")).count();
    assert_eq!(logged.lines().count(), 23 + alarms, "one line a request and receipt: {logged}");
    assert!(codes.iter().all(|code| code.len() == 10));
    for code in &codes {
        for (place, text) in [("tables", &stored), ("answers", &heard), ("logs", &logged)] {
            assert!(!text.contains(code.as_str()), "a code in the {place}");
        }
    }
    for secret in ["demo-secret", "wrong-secret", "ada@example.com", "4155550100"] {
        assert!(!logged.contains(secret), "{secret} in the logs: {logged}");
    }
    for secret in ["demo-secret", "demo-admin", "1793\"", "correct horse", "bob@", "a-key-of"] {
        assert!(!stored.contains(secret), "{secret} in the tables");
    }
    for line in logged.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let of_all = ["requestId", "function", "app"];
        // What is no request has no status, and what counts for an alarm has neither.
        let own: &[_] = match &line["function"] {
            _ if !line["FailedVerifies"].is_null() => &[],
            function if function == "delivery-receipts" => &["outcome", "durationMicros"],
            _ => &["outcome", "status", "durationMicros"],
        };
        for field in of_all.iter().chain(own) {
            assert!(!line[field].is_null(), "{field} in {line}");
        }
    }
}

#[tokio::test]
async fn tokens_pins_and_passwords_appear_nowhere_either() {
    let client = Client::start().await;
    with_long_codes(&client).await;
    let scope = "openid otp:admin user:otp:create user:otp:verify user:users.pin:update";
    let wish = json!({ "sub": USER_ID, "scope": scope });
    let issued = client.request("POST", "/_local/token", false).json(&wish).send().await;
    let issued: serde_json::Value = issued.expect("an answer").json().await.expect("a token");
    let bearer = issued["access_token"].as_str().expect("a token");
    let post = |path: &str, body: serde_json::Value| {
        client.request("POST", path, false).bearer_auth(bearer).json(&body)
    };
    let mut codes = Vec::new();

    let review = client.send(post("/v1/session/stepup/request", json!({ "scope": "transfer" })));
    let challenge = review.await.1["challenge_token"].as_str().expect("a token").to_owned();
    let create = post("/v1/session/otp", json!({ "challenge_token": challenge }));
    let created = create.send().await.expect("an answer");
    let token = created.headers()["x-verification-token"].to_str().expect("text").to_owned();
    codes.push(client.last_code("+14155550100").await);
    for code in [TestWorld::wrong(&codes[0]), codes[0].clone()] {
        let body = json!({ "code": code, "challenge_token": challenge });
        let check = post("/v1/session/otp/check", body).header("x-verification-token", &token);
        client.send(check).await;
    }

    let secrets = [json!({ "pin": "9999" }), json!({ "pin": PIN, "password": PASSWORD })];
    for (key, secret) in ["a-key-of-hers", "a-key-of-hers-2"].iter().zip(secrets) {
        let mut told = Vec::new();
        for _ in 0..2 {
            let create = post("/user/otp", secret.clone()).header("idempotency-key", *key);
            let answer = create.send().await.expect("an answer");
            let body: serde_json::Value = answer.json().await.expect("JSON");
            told.extend(body["otp"].as_str().map(str::to_owned));
        }
        assert_eq!(told.first(), told.last(), "the same request is told the same code");
        codes.extend(told.pop());
    }
    let change = json!({ "data": { "type": "pin",
        "attributes": { "pin": "2806", "otp": codes[1] } } });
    let request = client.request("PUT", "/user/pin", false).bearer_auth(bearer);
    let request = request.header("content-type", "application/vnd.api+json");
    assert_eq!(client.send(request.body(change.to_string())).await.0, 200);

    let generate = client.request("POST", "/v1/otp", false).bearer_auth("demo-admin");
    client.send(generate.json(&json!({ "userId": USER_ID, "email": "ada@example.com" }))).await;
    codes.push(client.last_code("ada@example.com").await);
    let identity = json!({ "otp": codes[2], "identity": "ada@example.com" });
    assert_eq!(client.send(post("/v1/otp/verify", identity)).await.0, 200);

    let stored = everything_stored(&client).await;
    let (heard, logged) = client.emitted();
    for code in &codes {
        assert_eq!(code.len(), 10);
        for (place, text) in [("tables", &stored), ("answers", &heard), ("logs", &logged)] {
            assert!(!text.contains(code.as_str()), "a code in the {place}");
        }
    }
    let secrets = [bearer, &token, &challenge, "demo-admin", PASSWORD, "\"2806\"", "\"9999\""];
    for secret in secrets.into_iter().chain(["a-key-of-hers"]) {
        assert!(!logged.contains(secret) && !stored.contains(secret), "{secret}");
    }
    for address in ["ada@example.com", "4155550100"] {
        assert!(!logged.contains(address), "{address} in the logs: {logged}");
    }
}

#[tokio::test]
async fn tokens_of_sessions_are_in_no_table_and_no_log() {
    let client = Client::start().await;
    let (mut browser, access) = signed_in(&client, ClientKey::default()).await;
    let mut tokens = vec![access, browser.refresh_token.clone().expect("a token")];
    for _ in 0..2 {
        let (status, _, body) = browser.prove("/v1/session/refresh", None).await;
        assert_eq!(status, 200);
        tokens.push(body["access_token"].as_str().expect("a token").to_owned());
        tokens.push(browser.refresh_token.clone().expect("a token"));
    }
    let stored = stored_in(&client, &["ChallengeTable", "SessionTable"]).await;
    let logged = client.emitted().1;
    assert!(logged.contains("refreshed") && !logged.contains("4155550100"), "{logged}");
    for token in &tokens {
        // Neither the part that leads to the session nor the part that opens it.
        for part in [&token[..40], &token[token.len() - 24..]] {
            assert!(!stored.contains(part) && !logged.contains(part), "{token}");
        }
    }
}
