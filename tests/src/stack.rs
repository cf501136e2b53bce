//! A stack in memory, and a client that remembers every byte it was answered.

use crate::{emulator, gate};
use passcode::{
    local::{Message, Stack},
    template,
};
use passcode_domain::Policy;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};

/// A running stack and its client.
pub struct Client {
    /// The stack.
    pub stack: Stack,
    http: reqwest::Client,
    heard: Mutex<String>,
    logged: Arc<Mutex<Vec<u8>>>,
}

impl Client {
    /// Starts a stack on three free ports; its functions are the built ones under the emulator,
    /// where there is one, or run here behind gates, where there are policies.
    ///
    /// # Panics
    ///
    /// Where it does not start.
    pub async fn start() -> Self {
        let template = template::read(&crate::event::root().join("template.yaml"));
        let logged = Arc::new(Mutex::new(Vec::new()));
        let lines = logged.clone();
        let observer = Arc::new(move |_: &str, observed: &passcode_runtime::Observed| {
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.extend_from_slice(&observed.line);
        });
        let template = template.expect("template.yaml is good");
        let stack = match (emulator::serve_by(), gate::serve_by()) {
            (Some(serve_by), _) => Stack::in_memory_with(&template, observer, &serve_by).await,
            (None, Some(serve_by)) => Stack::in_memory_with(&template, observer, &serve_by).await,
            (None, None) => Stack::in_memory(&template, observer).await,
        };
        Self {
            stack: stack.expect("the stack starts"),
            http: reqwest::Client::new(),
            heard: Mutex::default(),
            logged,
        }
    }

    /// Moves the clock past the cool-down after a first message. The demo app has the default policy.
    pub fn pass_cool_down(&self) {
        self.stack.clock.advance(Policy::default().cool_down(1));
    }

    /// A request to the API, as the demo app's server where `is_server`.
    pub fn request(&self, method: &str, path: &str, is_server: bool) -> reqwest::RequestBuilder {
        let method = method.parse().expect("a method");
        let request = self.http.request(method, format!("{}{path}", self.stack.api));
        if is_server {
            request.header("clientId", "demo").header("clientSecret", "demo-secret")
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

    /// Posts as the demo app's server.
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

    /// The messages for an address, newest first.
    ///
    /// # Panics
    ///
    /// Where the inbox does not answer.
    pub async fn messages(&self, to: &str) -> Vec<Message> {
        let url = format!("{}/_local/messages", self.stack.api);
        let answer = self.http.get(url).query(&[("to", to)]).send().await.expect("an answer");
        answer.json().await.expect("messages")
    }

    /// The last code that was sent to an address.
    ///
    /// # Panics
    ///
    /// Where none was.
    pub async fn last_code(&self, to: &str) -> String {
        let messages = self.messages(to).await;
        let text = &messages.first().expect("a message").text;
        let digits = |word: &&str| word.len() >= 4 && word.bytes().all(|b| b.is_ascii_digit());
        text.split_whitespace().find(digits).expect("a code").to_owned()
    }

    /// Every byte that requests were answered, and every byte that functions logged.
    #[must_use]
    pub fn emitted(&self) -> (String, String) {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (heard, String::from_utf8(logged).expect("log lines are text"))
    }
}
