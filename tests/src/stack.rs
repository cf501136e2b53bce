//! A stack in memory, and a client that remembers every byte it was answered.

use crate::{api::Api, emulator, gate};
use passcode::{
    local::{Message, Stack},
    template,
};
use passcode_domain::Policy;
use std::{
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};

/// A running stack, and its API as the demo app calls it.
pub struct Client {
    /// The stack.
    pub stack: Stack,
    /// The API.
    pub api: Api,
    logged: Arc<Mutex<Vec<u8>>>,
}

impl Deref for Client {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
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
        let stack = stack.expect("the stack starts");
        let api = Api::new(&stack.api, stack.clock.clone(), ("demo", "demo-secret"));
        Self { stack, api, logged }
    }

    /// Moves the clock past the cool-down after a first message. The demo app has the default policy.
    pub fn pass_cool_down(&self) {
        self.stack.clock.advance(Policy::default().cool_down(1));
    }

    /// The messages for an address, newest first.
    ///
    /// # Panics
    ///
    /// Where the inbox does not answer.
    pub async fn messages(&self, to: &str) -> Vec<Message> {
        let request = self.request("GET", "/_local/messages", false).query(&[("to", to)]);
        request.send().await.expect("an answer").json().await.expect("messages")
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
        let logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (self.heard(), String::from_utf8(logged).expect("log lines are text"))
    }
}
