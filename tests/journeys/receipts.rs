//! What became of messages: reported by recorded events, told by the status, and mended by the next channel.

use passcode_tests::stack::Client;
use serde_json::{Value, json};

const PHONE: &str = "+14155550100";
const EMAIL: &str = "ada@example.com";

/// A request whose code has gone out on the first of these channels.
async fn sent(client: &Client, channels: &[&str]) -> String {
    let body = json!({ "phoneNumber": PHONE, "email": EMAIL, "channels": channels });
    let (status, body) = client.post("/auth/v1/initiate/otp", body).await;
    assert_eq!(status, 200, "{body}");
    body["requestId"].as_str().expect("an id").to_owned()
}

/// Lets a recorded event report of the newest message for an address.
async fn report(client: &Client, to: &str, event: &str) -> (u16, Value) {
    let id = client.messages(to).await.first().expect("a message").id.clone();
    client.post("/_local/receipts", json!({ "id": id, "event": event })).await
}

async fn deliveries(client: &Client, id: &str) -> Vec<(String, String)> {
    let (_, body) = client.status(id).await;
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let all = body["auths"][0]["deliveries"].as_array().expect("deliveries").iter();
    all.map(|one| (text(&one["method"]), text(&one["status"]))).collect()
}

fn known(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(method, status)| ((*method).to_owned(), (*status).to_owned())).collect()
}

#[tokio::test]
async fn a_receipt_of_nothing_and_an_unknown_event_are_refused() {
    let client = Client::start().await;
    let id = sent(&client, &["EMAIL"]).await;
    let nothing = json!({ "id": "1", "event": "email-bounced" });
    assert_eq!(client.post("/_local/receipts", nothing).await.0, 400);
    let (status, body) = report(&client, EMAIL, "text-delivered").await;
    let message = body["message"].as_str().expect("a message");
    assert!(status == 400 && message.contains("email-bounced"), "{message}");
    assert_eq!(deliveries(&client, &id).await, known(&[("EMAIL", "SENT")]));
}

#[tokio::test]
async fn the_status_tells_what_became_of_each_message() {
    let client = Client::start().await;
    let id = sent(&client, &["EMAIL"]).await;
    for (event, status) in [
        ("email-delayed", "DELAYED"),
        ("email-answered-automatically", "UNDELIVERED"),
        ("email-delivered", "DELIVERED"),
        ("email-delayed", "DELIVERED"),
        ("email-complained", "COMPLAINED"),
    ] {
        assert_eq!(report(&client, EMAIL, event).await.0, 200, "{event}");
        assert_eq!(deliveries(&client, &id).await, known(&[("EMAIL", status)]), "{event}");
    }
    let code = client.last_code(EMAIL).await;
    assert_eq!(client.verify(&id, &code).await.0, 200, "it has arrived");
    assert_eq!(deliveries(&client, &id).await, known(&[("EMAIL", "COMPLAINED")]));
}

#[tokio::test]
async fn what_bounces_is_sent_on_the_next_channel_by_itself() {
    let client = Client::start().await;
    let id = sent(&client, &["EMAIL", "SMS"]).await;
    let lost = client.last_code(EMAIL).await;
    for _ in 0..2 {
        assert_eq!(report(&client, EMAIL, "email-bounced").await.0, 200);
        assert_eq!(client.messages(PHONE).await.len(), 1, "once, however often it is reported");
    }
    let expected = known(&[("EMAIL", "BOUNCED"), ("SMS", "SENT")]);
    assert_eq!(deliveries(&client, &id).await, expected);
    assert_eq!(report(&client, PHONE, "text-delivered").await.0, 200);
    let code = client.last_code(PHONE).await;
    assert!(code == lost || client.verify(&id, &lost).await.0 == 400, "it is replaced");
    assert_eq!(client.verify(&id, &code).await.0, 200);
    let expected = known(&[("EMAIL", "BOUNCED"), ("SMS", "DELIVERED")]);
    assert_eq!(deliveries(&client, &id).await, expected);
}

#[tokio::test]
async fn a_text_that_failed_may_be_asked_for_again_at_once() {
    let client = Client::start().await;
    let id = sent(&client, &["SMS"]).await;
    assert_eq!(client.initiate(&id, "SMS").await.0, 429, "cool-down");
    assert_eq!(report(&client, PHONE, "text-unknown-error").await.0, 200);
    assert_eq!(client.initiate(&id, "SMS").await.0, 429, "it may have arrived");
    assert_eq!(report(&client, PHONE, "text-opted-out").await.0, 200);
    assert_eq!(client.initiate(&id, "SMS").await.0, 200);
    let expected = known(&[("SMS", "FAILED"), ("SMS", "SENT")]);
    assert_eq!(deliveries(&client, &id).await, expected);
}

#[tokio::test]
async fn a_text_that_failed_is_mailed_by_itself() {
    let client = Client::start().await;
    let id = sent(&client, &["SMS", "EMAIL"]).await;
    assert_eq!(report(&client, PHONE, "text-opted-out").await.0, 200);
    let expected = known(&[("SMS", "FAILED"), ("EMAIL", "SENT")]);
    assert_eq!(deliveries(&client, &id).await, expected);
    let code = client.last_code(EMAIL).await;
    assert_eq!(client.verify(&id, &code).await.0, 200);
}
