//! An API, wherever it is, as an app's server and its clients call it.

use passcode::local::LocalClock;
use serde_json::{Value, json};
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

/// An API, and an app that calls it. It remembers every byte that it was answered.
pub struct Api {
    /// Where it is.
    pub url: String,
    /// Its time.
    pub clock: LocalClock,
    /// The app's `clientId`.
    pub id: String,
    secret: String,
    http: reqwest::Client,
    heard: Mutex<String>,
    requests: AtomicUsize,
}

impl Api {
    /// The API at a URL, for the app with these credentials.
    ///
    /// # Panics
    ///
    /// Where the URL is none.
    #[must_use]
    pub fn new(url: &str, clock: LocalClock, (id, secret): (&str, &str)) -> Self {
        let parsed: reqwest::Url = url.parse().expect("a URL");
        let mut http = reqwest::Client::builder();
        // Every name below `localhost` is this machine (RFC 6761 §6.3), but resolvers know few of them.
        if let Some(host) = parsed.host_str().filter(|host| host.ends_with(".localhost")) {
            let port = parsed.port_or_known_default().expect("a port");
            http = http.resolve(host, ([127, 0, 0, 1], port).into());
        }
        Self {
            url: url.to_owned(),
            clock,
            id: id.to_owned(),
            secret: secret.to_owned(),
            http: http.build().expect("a client"),
            heard: Mutex::default(),
            requests: AtomicUsize::new(0),
        }
    }

    /// A request, as the app's server where `is_server`.
    ///
    /// # Panics
    ///
    /// Where there is no such method.
    pub fn request(&self, method: &str, path: &str, is_server: bool) -> reqwest::RequestBuilder {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let method = method.parse().expect("a method");
        let request = self.http.request(method, format!("{}{path}", self.url));
        if is_server {
            request.header("clientId", &self.id).header("clientSecret", &self.secret)
        } else {
            request
        }
    }

    /// Sends a request; status and body, which is null where it is not JSON.
    ///
    /// # Panics
    ///
    /// Where there is no answer.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        let text = response.text().await.expect("a body");
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    /// Posts as the app's server.
    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.send(self.request("POST", path, true).json(&body)).await
    }

    /// The `requestId` of a new auth request.
    ///
    /// # Panics
    ///
    /// Where it is refused.
    pub async fn create(&self, body: Value) -> String {
        let (status, body) = self.post("/auth/v1/create", body).await;
        assert_eq!(status, 200, "{body}");
        body["requestId"].as_str().expect("a requestId").to_owned()
    }

    /// Sends the next code of an auth request.
    pub async fn initiate(&self, id: &str, channel: &str) -> (u16, Value) {
        let body = json!({ "requestId": id, "channels": [channel] });
        self.send(self.request("POST", "/auth/v1/initiate/otp", false).json(&body)).await
    }

    /// Presents a code.
    pub async fn verify(&self, id: &str, code: &str) -> (u16, Value) {
        let request = self.request("POST", &format!("/auth/otp/{id}"), false);
        self.send(request.json(&json!({ "otp": code }))).await
    }

    /// The status of an auth request.
    pub async fn status(&self, id: &str) -> (u16, Value) {
        self.send(self.request("GET", &format!("/auth/v2/status?requestId={id}"), true)).await
    }

    /// Every byte that requests were answered.
    #[must_use]
    pub fn heard(&self) -> String {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many requests there were.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}
