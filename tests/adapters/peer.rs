//! Other sides: a service with one answer, one that never answers, a proxy that loses the first answer,
//! and one that adds up what DynamoDB bills.

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode},
    routing::any,
};
use serde_json::Value;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

/// Whoever uses moto has it alone: one of its tests begins with an empty one.
pub(crate) static MOTO: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    (listener, url)
}

/// A service that answers every request alike, and how many it got.
pub(crate) async fn answering(status: u16, body: &'static str) -> (String, Arc<AtomicUsize>) {
    let (listener, url) = listen().await;
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let answer = any(move || async move {
        counted.fetch_add(1, Ordering::SeqCst);
        (StatusCode::from_u16(status).expect("a status"), body)
    });
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    (url, count)
}

/// A service that takes every request and never answers, and how many it got.
pub(crate) async fn silent() -> (String, Arc<AtomicUsize>) {
    let (listener, url) = listen().await;
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            held.push(stream);
        }
    });
    (url, count)
}

/// A way to a service on which the answer of the first connection is lost, after the service has
/// done what it was asked.
pub(crate) async fn losing_the_first_answer(target: String) -> String {
    let (listener, url) = listen().await;
    let target = target.trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        let mut is_first = true;
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = TcpStream::connect(&target).await.expect("the service is there");
            if std::mem::take(&mut is_first) {
                tokio::spawn(async move {
                    let (mut reader, _writer) = near.split();
                    let (mut answer, mut request) = far.split();
                    let mut one = [0; 1];
                    tokio::select! {
                        _ = copy(&mut reader, &mut request) => {}
                        _ = answer.read(&mut one) => {}
                    }
                    let _ = near.shutdown().await;
                });
            } else {
                tokio::spawn(async move { copy_bidirectional(&mut near, &mut far).await });
            }
        }
    });
    url
}

/// The capacity units that a DynamoDB has billed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Units {
    /// Of reads.
    pub(crate) read: f64,
    /// Of writes.
    pub(crate) write: f64,
    /// Of transactions, which are billed twice.
    pub(crate) transactions: u32,
}

/// A way to a DynamoDB on which every answer says what it has consumed, and the sum of that.
pub(crate) async fn metering(target: String) -> (String, Arc<Mutex<Units>>) {
    let (listener, url) = listen().await;
    let units = Arc::new(Mutex::new(Units::default()));
    let (metered, client) = (units.clone(), reqwest::Client::new());
    let forward = any(move |headers: HeaderMap, body: Bytes| {
        let (target, client, metered) = (target.clone(), client.clone(), metered.clone());
        async move {
            let operation = headers["x-amz-target"].to_str().expect("a name").to_owned();
            let mut request: Value = serde_json::from_slice(&body).expect("JSON");
            request["ReturnConsumedCapacity"] = "TOTAL".into();
            // The signature no longer fits the body: neither DynamoDB on one machine looks at it.
            let kept = ["authorization", "content-type", "x-amz-target", "x-amz-date"];
            let sent =
                kept.iter().fold(client.post(&target), |sent, name| match headers.get(*name) {
                    Some(value) => sent.header(*name, value.as_bytes()),
                    None => sent,
                });
            let answer = sent.body(request.to_string()).send().await.expect("the service answers");
            let status = StatusCode::from_u16(answer.status().as_u16()).expect("a status");
            let answer = answer.text().await.expect("a body");
            let parsed: Value = serde_json::from_str(&answer).expect("JSON");
            let refused = if status.is_success() { 0.0 } else { 1.0 };
            let consumed = capacity(&parsed["ConsumedCapacity"]);
            let mut units = metered.lock().expect("no panic while it is held");
            if operation.contains("Get") {
                units.read += consumed;
            } else {
                // A write whose condition fails is billed as one that is made.
                units.write += consumed.max(refused);
            }
            units.transactions += u32::from(operation.contains("Transact"));
            (status, [("content-type", "application/x-amz-json-1.0")], answer)
        }
    });
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(forward)).await });
    (url, units)
}

/// Units of one table, or of several.
fn capacity(consumed: &Value) -> f64 {
    match consumed {
        Value::Array(tables) => tables.iter().map(capacity).sum(),
        table => table["CapacityUnits"].as_f64().unwrap_or_default(),
    }
}
