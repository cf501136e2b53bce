//! A search through every byte that the product emits or keeps.

use passcode_domain::{App, app::SecretHash, ports::StoreApps as _};
use passcode_dynamodb::AppTable;
use passcode_runtime::aws;
use passcode_testkit::World;
use passcode_tests::stack::Client;
use serde_json::json;
use std::time::Duration;

/// Codes of ten digits, so that no other number is one by chance.
async fn with_long_codes(client: &Client) {
    let aws = aws::config(&client.stack.settings("otpless-auth-create")).expect("settings");
    let mut app = App::new("demo".parse().expect("an id"), "Demo");
    app.secrets = vec![SecretHash::of("demo-secret")];
    app.host = Some("example.com".into());
    app.policy.code_length = 10;
    AppTable::new(&aws, "AppTable".into()).store_app(&app).await.expect("stored");
}

async fn everything_stored(client: &Client) -> String {
    let aws = aws::config(&client.stack.settings("otpless-auth-create")).expect("settings");
    let dynamodb = aws_sdk_dynamodb::Client::new(&aws);
    let mut all = String::new();
    for table in ["ChallengeTable", "AppTable", "UserTable"] {
        let items = dynamodb.scan().table_name(table).send().await.expect("a scan").items;
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
        client.stack.clock.advance(Duration::from_secs(30));
        client.initiate(&id, channel).await;
        let code = client.last_code(to).await;
        client.verify(&id, &codes[codes.len() - 1]).await;
        client.verify(&id, &World::wrong(&code)).await;
        assert_eq!(client.verify(&id, &code).await.0, 200);
        client.verify(&id, &code).await;
        client.status(&id).await;
        codes.push(code);
    }
    let wrong = client.request("POST", "/auth/v1/create", false).header("clientId", "demo");
    client.send(wrong.header("clientSecret", "wrong-secret").body("ada@example.com")).await;

    let stored = everything_stored(&client).await;
    let (heard, logged) = client.emitted();
    assert_eq!(logged.lines().count(), 17, "one line a request: {logged}");
    assert!(codes.iter().all(|code| code.len() == 10));
    for code in &codes {
        for (place, text) in [("tables", &stored), ("answers", &heard), ("logs", &logged)] {
            assert!(!text.contains(code.as_str()), "a code in the {place}");
        }
    }
    for secret in ["demo-secret", "wrong-secret", "ada@example.com", "4155550100"] {
        assert!(!logged.contains(secret), "{secret} in the logs: {logged}");
    }
    for secret in ["demo-secret", "demo-admin", "1793\"", "correct horse"] {
        assert!(!stored.contains(secret), "{secret} in the tables");
    }
    for line in logged.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        for field in ["requestId", "function", "outcome", "app", "status", "durationMicros"] {
            assert!(!line[field].is_null(), "{field} in {line}");
        }
    }
}
