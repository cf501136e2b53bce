//! Other sides that misbehave: a service with one answer, one that never answers, and a proxy that
//! loses the first answer.

use axum::{Router, http::StatusCode, routing::any};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

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
