//! `Idempotency-Key` over HTTP: many clients at the same time, real threads, the real store.

use crate::pace;
use passcode_tests::{gate, stack::Client};
use reqwest::{RequestBuilder, header::HeaderMap};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};
use tokio::task::JoinSet;

const EMAIL: &str = "ada@example.com";
const PHONE: &str = "+14155550100";
pub(crate) const KEY: &str = "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"";

/// What a client can see of an answer, but for the date.
pub(crate) type Seen = (u16, Vec<(String, String)>, Vec<u8>);

pub(crate) async fn seen(request: RequestBuilder) -> Seen {
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let headers = of_ours(answer.headers());
    (status, headers, answer.bytes().await.expect("a body").to_vec())
}

fn of_ours(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &reqwest::header::HeaderValue| value.to_str().expect("text").to_owned();
    let pairs = headers.iter().map(|(name, value)| (name.to_string(), text(value)));
    pairs.filter(|(name, _)| name != "date").collect()
}

/// The answer that a patient client sees: where a machine is too busy for its store to answer in time,
/// it comes back, as it is told to.
async fn seen_in_the_end(request: RequestBuilder) -> Seen {
    for _ in 0..10 {
        let again = request.try_clone().expect("a body of bytes");
        let answer = seen(again).await;
        if answer.0 < 500 && answer.0 != 409 {
            return answer;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    seen(request).await
}

/// Sends a request a hundred times at the same time, and returns the one answer to all of them. Behind gates, where
/// every call goes through two servers more and permissions are the question, it is ten times.
pub(crate) async fn a_hundred_times(request: &RequestBuilder) -> Seen {
    let mut sending = JoinSet::new();
    for _ in 0..if gate::is_set() { 10 } else { 100 } {
        sending.spawn(seen_in_the_end(request.try_clone().expect("a body of bytes")));
    }
    let mut answers: BTreeSet<Seen> = sending.join_all().await.into_iter().collect();
    let answer = answers.pop_first().expect("an answer");
    assert_eq!(answers, BTreeSet::new(), "and the same to everybody: {answer:?}");
    answer
}

fn initiate(client: &Client, phone: &str) -> RequestBuilder {
    let request = client.request("POST", "/auth/v1/initiate/otp", true);
    request
        .json(&json!({ "phoneNumber": phone, "channels": ["SMS"] }))
        .header("idempotency-key", KEY)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_equal_requests_are_one_in_every_contract() {
    let client = Client::start().await;
    let (status, _, body) = a_hundred_times(&initiate(&client, PHONE)).await;
    assert_eq!(status, 200);
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    let id = body["requestId"].as_str().expect("a requestId");
    assert_eq!(client.messages(PHONE).await.len(), 1);
    assert_eq!(client.verify(id, &client.last_code(PHONE).await).await.0, 200);

    let identifier = json!({ "type": "email_address", "value": EMAIL });
    let ask = client.request("POST", "/v1/session/otp", false);
    let ask = ask.json(&json!({ "identifier": identifier })).header("idempotency-key", KEY);
    let (status, headers, body) = a_hundred_times(&ask).await;
    assert_eq!((status, body.len()), (204, 0));
    for name in ["set-cookie", "x-verification-token"] {
        assert!(headers.iter().any(|(found, _)| found == name), "{name}: {headers:?}");
    }
    assert_eq!(client.messages(EMAIL).await.len(), 1);

    let other = "+2348011111111";
    let generate = client.request("POST", "/v1/otp", false).bearer_auth("demo-admin");
    let generate = generate.json(&json!({ "userId": "ada", "phoneNumber": other }));
    let (status, headers, _) = a_hundred_times(&generate.header("idempotency-key", KEY)).await;
    assert_eq!(status, 200);
    assert!(headers.iter().any(|(name, _)| name == "passcode-challenge-id"), "{headers:?}");
    assert_eq!(client.messages(other).await.len(), 1);
}

#[tokio::test]
async fn a_key_is_one_requests_for_a_day() {
    let client = Client::start().await;
    let first = seen(initiate(&client, PHONE)).await;
    assert_eq!(first.0, 200);
    client.stack.clock.advance(Duration::from_hours(24) - Duration::from_secs(5));
    assert_eq!(seen(initiate(&client, PHONE)).await, first);
    assert_eq!(seen(initiate(&client, "+14155550101")).await.0, 422);
    client.stack.clock.advance(Duration::from_secs(5));
    let next = seen(initiate(&client, PHONE)).await;
    assert_eq!(next.0, 200);
    assert_ne!(next, first);
    assert_eq!(client.messages(PHONE).await.len(), 2);
}

#[tokio::test]
async fn what_sends_nothing_is_answered_again_as_well() {
    let client = Client::start().await;
    let create = client.request("POST", "/auth/v1/create", true);
    let create = create.json(&json!({ "email": EMAIL }));
    let bearer = pace::token(&client, "openid").await;
    let step_up = client.request("POST", "/v1/session/stepup/request", false).bearer_auth(bearer);
    let step_up = step_up.json(&json!({ "scope": "transfer" }));
    for request in [create, step_up] {
        let once = || request.try_clone().expect("a body of bytes").header("idempotency-key", KEY);
        let first = seen(once()).await;
        assert_eq!((first.0, seen(once()).await == first), (200, true), "{first:?}");
        let another = request.try_clone().expect("a body of bytes");
        assert_ne!(seen(another).await, first, "without its key it is another");
    }
}
