//! The inbox: the messages that were sent, as JSON and as a page that updates itself.

use super::LocalClock;
use axum::{
    Json, Router,
    extract::Query,
    http::header,
    response::{
        Html, IntoResponse, Redirect,
        sse::{Event, KeepAlive, Sse},
    },
    routing::get,
};
use passcode_domain::{Timestamp, ports::Clock as _};
use serde::{Deserialize, Serialize};
use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::broadcast;
use tokio_stream::{Stream, StreamExt as _, wrappers::BroadcastStream};

/// The largest number of messages that are kept.
const MAX_MESSAGES: usize = 500;

/// A message that was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The id that the sender received.
    pub id: String,
    /// `sms` or `email`.
    pub channel: String,
    /// The recipient.
    pub to: String,
    /// The sender.
    pub from: String,
    /// Its subject, if it is an e-mail.
    pub subject: String,
    /// Its plain text.
    pub text: String,
    /// Its HTML, if it is an e-mail.
    pub html: String,
    /// When it was sent, by the clock of the stack (RFC 3339).
    pub at: String,
    /// What receipts of it name it by, if it is an e-mail.
    #[serde(skip)]
    pub receipt_tag: String,
}

/// The messages, newest last.
#[derive(Clone)]
pub(super) struct Inbox {
    messages: Arc<Mutex<VecDeque<Message>>>,
    news: broadcast::Sender<()>,
    clock: LocalClock,
}

impl Inbox {
    pub(super) fn new(clock: LocalClock) -> Self {
        Self { messages: Arc::default(), news: broadcast::channel(16).0, clock }
    }

    pub(super) fn add(&self, message: Message) {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        if messages.len() == MAX_MESSAGES {
            messages.pop_front();
        }
        messages.push_back(Message { at: time(self.clock.now()), ..message });
        drop(messages);
        // Nobody may be looking.
        let _ = self.news.send(());
    }

    fn newest_first(&self, to: Option<&str>) -> Vec<Message> {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |message: &&Message| to.is_none_or(|to| message.to == to);
        messages.iter().rev().filter(wanted).cloned().collect()
    }

    /// The message with an id.
    pub(super) fn find(&self, id: &str) -> Option<Message> {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.iter().find(|message| message.id == id).cloned()
    }

    /// One event now, and one for every change. At each, the page loads the messages.
    fn live(&self) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
        let changes = BroadcastStream::new(self.news.subscribe()).map(|_| ());
        tokio_stream::once(()).chain(changes).map(|()| Ok(Event::default().data("changed")))
    }
}

/// A time in RFC 3339.
pub(super) fn time(at: Timestamp) -> String {
    let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).map(|at| at.to_string()).unwrap_or_default()
}

#[derive(Deserialize)]
struct Filter {
    to: Option<String>,
}

pub(super) fn routes(inbox: Inbox) -> Router {
    let listed = inbox.clone();
    let list = move |Query(filter): Query<Filter>| async move {
        let to = filter.to.map(|to| to.replace(' ', "+"));
        Json(listed.newest_first(to.as_deref()))
    };
    let live = move || async move { Sse::new(inbox.live()).keep_alive(KeepAlive::default()) };
    Router::new()
        .route("/_local", get(|| async { Redirect::temporary("/_local/") }))
        .route("/_local/", get(page))
        .route("/_local/messages", get(list))
        .route("/_local/messages/live", get(live))
}

async fn page() -> impl IntoResponse {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                  connect-src 'self'; frame-src 'self'; img-src data:";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(include_str!("inbox.html")))
}
