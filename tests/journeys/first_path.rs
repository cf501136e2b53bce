//! Create, send, verify, status: the ways it can go wrong, then the way it goes.

use passcode_testkit::World;
use passcode_tests::stack::Client;
use serde_json::{Value, json};

const PHONE: &str = "+14155550100";

async fn sent(client: &Client) -> (String, String) {
    let id = client.create(json!({ "phoneNumber": "4155550100", "countryCode": "1" })).await;
    let (status, body) = client.initiate(&id, "SMS").await;
    assert_eq!(status, 200, "{body}");
    let code = client.last_code(PHONE).await;
    (id, code)
}

#[tokio::test]
async fn wrong_codes_spend_the_attempts_and_then_the_right_one_is_refused() {
    let client = Client::start().await;
    let (id, code) = sent(&client).await;
    for _ in 0..5 {
        assert_eq!(client.verify(&id, &World::wrong(&code)).await.0, 400);
    }
    assert_eq!(client.verify(&id, &code).await.0, 400);
    assert_eq!(client.status(&id).await.1["auths"][0]["status"], "FAILED");
}

#[tokio::test]
async fn the_right_code_works_once() {
    let client = Client::start().await;
    let (id, code) = sent(&client).await;
    assert_eq!(client.verify(&id, &code).await.0, 200);
    assert_eq!(client.verify(&id, &code).await.0, 400);
    assert_eq!(client.status(&id).await.1["auths"][0]["status"], "SUCCESS");
}

#[tokio::test]
async fn a_code_is_refused_after_ten_minutes_and_a_second() {
    for (seconds, expected) in [(590, 200), (601, 400)] {
        let client = Client::start().await;
        let (id, code) = sent(&client).await;
        let moved = client.post("/_local/clock", json!({ "advance_seconds": seconds })).await;
        assert_eq!(moved.0, 200);
        assert_eq!(client.verify(&id, &code).await.0, expected, "after {seconds} s");
    }
}

#[tokio::test]
async fn after_a_resend_the_old_code_fails_and_spent_attempts_stay_spent() {
    let client = Client::start().await;
    let (id, old) = sent(&client).await;
    assert_eq!(client.initiate(&id, "SMS").await.0, 429, "cool-down");
    for _ in 0..3 {
        client.verify(&id, &World::wrong(&old)).await;
    }
    client.pass_cool_down();
    assert_eq!(client.initiate(&id, "SMS").await.0, 200);
    let new = client.last_code(PHONE).await;
    assert_eq!(client.verify(&id, &old).await.0, 400, "the fourth attempt");
    assert_eq!(client.verify(&id, &World::wrong(&new)).await.0, 400, "the fifth");
    assert_eq!(client.verify(&id, &new).await.0, 400, "none is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_callers_at_once_get_one_success() {
    let client = std::sync::Arc::new(Client::start().await);
    let (id, code) = sent(&client).await;
    let callers: Vec<_> = (0..32)
        .map(|_| {
            let (client, id, code) = (client.clone(), id.clone(), code.clone());
            tokio::spawn(async move { client.verify(&id, &code).await.0 })
        })
        .collect();
    let mut successes = 0;
    for caller in callers {
        successes += usize::from(caller.await.expect("no panic") == 200);
    }
    assert_eq!(successes, 1);
}

#[tokio::test]
async fn an_email_address_goes_the_same_way() {
    let client = Client::start().await;
    let id = client.create(json!({ "email": "ada@example.com" })).await;
    assert_eq!(client.status(&id).await.1["errorCode"], "7170");
    assert_eq!(client.initiate(&id, "EMAIL").await.0, 200);
    assert_eq!(client.status(&id).await.1["auths"][0]["status"], "PENDING");
    let code = client.last_code("ada@example.com").await;
    let (status, body) = client.verify(&id, &code).await;
    assert_eq!((status, &body["ok"]), (200, &Value::Bool(true)));
    assert!(body["credential"]["id"].as_str().is_some_and(|id| id.starts_with("cred_")));
    assert_eq!(client.status(&id).await.1["auths"][0]["identityValue"], "ada@example.com");
}

#[tokio::test]
async fn a_code_can_be_sent_without_creating_first() {
    let client = Client::start().await;
    let body = json!({ "phoneNumber": PHONE, "channels": ["SMS"], "otpLength": 4 });
    let (status, body) = client.post("/auth/v1/initiate/otp", body).await;
    assert_eq!(status, 200, "{body}");
    let code = client.last_code(PHONE).await;
    assert_eq!(code.len(), 4);
    assert_eq!(client.verify(body["requestId"].as_str().expect("an id"), &code).await.0, 200);
}

#[tokio::test]
async fn a_request_can_be_verified_by_its_server_as_well() {
    let client = Client::start().await;
    let (id, code) = sent(&client).await;
    let present = async |code: &str| {
        client.post("/auth/v1/verify/otp", json!({ "requestId": id, "otp": code })).await
    };
    assert_eq!(present(&World::wrong(&code)).await.1["errorCode"], "7118");
    assert_eq!(present(&code).await.1["isOTPVerified"], true);
    assert_eq!(present(&code).await.1["errorCode"], "7115");
    assert_eq!(client.verify(&id, &code).await.0, 400, "used, whoever asks");
}

#[tokio::test]
async fn an_order_goes_the_same_way() {
    let client = Client::start().await;
    let order = json!({ "orderId": "order-42", "phoneNumber": PHONE });
    for _ in 0..2 {
        assert_eq!(client.post("/auth/otp/v1/send", order.clone()).await.0, 200);
    }
    assert_eq!(client.messages(PHONE).await.len(), 1, "the same order is the same message");
    client.pass_cool_down();
    let resent = client.post("/auth/otp/v1/resend", json!({ "orderId": "order-42" })).await;
    assert_eq!(resent.0, 200);
    let code = client.last_code(PHONE).await;
    let verify = async |code: &str| {
        let body = json!({ "orderId": "order-42", "phoneNumber": PHONE, "otp": code });
        client.post("/auth/otp/v1/verify", body).await.1
    };
    assert_eq!(verify(&World::wrong(&code)).await["isOTPVerified"], false);
    assert_eq!(verify(&code).await, json!({ "isOTPVerified": true }));
}

#[tokio::test]
async fn a_client_that_fills_in_every_field_and_leaves_the_plus_out_is_understood() {
    let client = Client::start().await;
    let order = json!({
        "orderId": "", "phoneNumber": "14155550100", "email": "", "channel": "", "hash": "",
        "templateId": "", "otpLength": 6, "expiry": 120,
    });
    let (status, sent) = client.post("/auth/otp/v1/send", order).await;
    assert_eq!(status, 200, "{sent}");
    let code = client.last_code(PHONE).await;
    let body = json!({ "orderId": sent["orderId"], "otp": code, "email": "",
        "phoneNumber": "14155550100" });
    let verified = client.post("/auth/otp/v1/verify", body).await;
    assert_eq!(verified, (200, json!({ "isOTPVerified": true })));
    let mail = json!({ "email": "ada@example.com", "phoneNumber": "", "channel": "EMAIL" });
    assert_eq!(client.post("/auth/otp/v1/send", mail).await.0, 200);
    assert_eq!(client.messages("ada@example.com").await.len(), 1);
    client
        .create(json!({ "email": "ada@example.com", "phoneNumber": "", "countryCode": "" }))
        .await;
}
