//! E-mails of every function that sends them.

use crate::{administration::passcode, pace};
use passcode_tests::{deployed::PACE_SCOPES, stack::Client};
use serde_json::{Value, json};

/// Whoever sends with a configuration set needs a permission for it beside that for the sender.
#[tokio::test]
async fn every_function_sends_with_the_apps_configuration_set() {
    let client = Client::start().await;
    passcode(&client, "app set demo email.configuration_set=codes").await;
    let [request, order, login, zap, user] = [
        "request@example.com",
        "order@example.com",
        "login@example.com",
        "zap@example.com",
        "ada@example.com",
    ];
    let administrator = async |path: &str, body: Value| {
        let request = client.request("POST", path, false).bearer_auth("demo-admin");
        client.send(request.json(&body)).await.0
    };
    let identifier = json!({ "identifier": { "type": "email_address", "value": login } });

    let id = client.create(json!({ "email": request })).await;
    assert_eq!(client.initiate(&id, "EMAIL").await.0, 200);
    let sent = json!({ "orderId": "order-42", "email": order, "channel": "EMAIL" });
    assert_eq!(client.post("/auth/otp/v1/send", sent).await.0, 200);
    let create = client.request("POST", "/v1/session/otp", false).json(&identifier);
    let created = create.send().await.expect("an answer");
    assert_eq!(created.status(), 204);
    let token = created.headers()["x-verification-token"].to_str().expect("text").to_owned();
    let generated = json!({ "userId": "new", "email": zap });
    assert_eq!(administrator("/v1/otp", generated).await, 200);
    let bearer = pace::token(&client, PACE_SCOPES).await;
    let mail = client.request("POST", "/user/otp/sendmail", false).bearer_auth(bearer);
    assert_eq!(client.send(mail).await.0, 204);

    client.pass_cool_down();
    let resent = json!({ "orderId": "order-42" });
    assert_eq!(client.post("/auth/otp/v1/resend", resent).await.0, 200);
    let retry = client.request("POST", "/v1/session/otp/retry", false);
    assert_eq!(client.send(retry.header("x-verification-token", token)).await.0, 204);
    assert_eq!(administrator("/v1/otp/resend", json!({ "email": zap })).await, 200);

    for (to, expected) in [(request, 1), (order, 2), (login, 2), (zap, 2), (user, 1)] {
        assert_eq!(client.messages(to).await.len(), expected, "{to}");
    }
}
