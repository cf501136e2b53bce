//! A function as Lambda runs it: a process with Lambda's environment and nothing else of this
//! machine's, and a Runtime API that hands it one event after the other.

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderName, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::any,
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    sync::{
        Mutex,
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    },
    task::JoinHandle,
};

/// The variables of a function.
pub(crate) type Environment = BTreeMap<String, String>;

/// A running function with a Runtime API of its own. It ends when this is dropped.
pub(crate) struct Instance {
    process: Child,
    server: JoinHandle<()>,
    events: UnboundedSender<Value>,
    calls: UnboundedReceiver<Call>,
    /// From the start of the process to its first poll of the Runtime API.
    pub(crate) started_in: Duration,
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Instance {
    /// Starts a program, such as a function's `bootstrap` or an interpreter with its script, and waits
    /// for its first poll.
    pub(crate) async fn start(program: &[&Path], environment: &Environment) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let (events, queue) = unbounded_channel();
        let (tell, mut calls) = unbounded_channel();
        let api = RuntimeApi { tell, queue: Arc::new(Mutex::new(queue)) };
        let routes = Router::new().fallback(any(answer)).with_state(api);
        let server = tokio::spawn(async move { drop(axum::serve(listener, routes).await) });
        let began = Instant::now();
        let process = Command::new(program[0])
            .args(&program[1..])
            .env_clear()
            .envs(environment)
            .env("AWS_LAMBDA_RUNTIME_API", &address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "measured")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the function starts");
        let started_in = match next(&mut calls).await {
            Call::Next(at) => at - began,
            other => panic!("{}: {other:?} instead of a poll", program[0].display()),
        };
        Self { process, server, events, calls, started_in }
    }

    /// Hands an event to the function, and waits until it has answered and polls again.
    pub(crate) async fn invoke(&mut self, event: Value) -> Value {
        self.events.send(event).expect("the Runtime API runs");
        let reply = match next(&mut self.calls).await {
            Call::Response(reply) => reply,
            other => panic!("{other:?} instead of a response"),
        };
        let poll = next(&mut self.calls).await;
        assert!(matches!(poll, Call::Next(_)), "{poll:?} instead of a poll");
        reply
    }

    /// The processor time that the process has used, of all its threads (`proc(5)`, `schedstat`).
    pub(crate) fn processor_time(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.id())).expect("/proc");
        let nanoseconds = tasks.map(|task| {
            let text = fs::read_to_string(task.expect("a task").path().join("schedstat"));
            let first = text.ok().and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
            first.expect("nanoseconds")
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    /// The bytes of memory that it holds.
    pub(crate) fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).expect("/proc");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        let kilobytes = line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok());
        kilobytes.expect("a number") * 1024
    }

    fn id(&self) -> u32 {
        self.process.id().expect("it runs")
    }
}

/// The next call of a function, which may have ended instead.
async fn next(calls: &mut UnboundedReceiver<Call>) -> Call {
    let call = tokio::time::timeout(Duration::from_mins(1), calls.recv()).await;
    call.expect("the function calls its Runtime API").expect("the Runtime API runs")
}

/// What a function has asked of its Runtime API.
#[derive(Debug)]
enum Call {
    Next(Instant),
    Response(Value),
    /// An error, or a call that is none of the Runtime API's.
    Other(#[expect(dead_code, reason = "shown where it was not expected")] String),
}

#[derive(Clone)]
struct RuntimeApi {
    tell: UnboundedSender<Call>,
    queue: Arc<Mutex<UnboundedReceiver<Value>>>,
}

async fn answer(State(api): State<RuntimeApi>, uri: Uri, body: Bytes) -> Response {
    let call = match uri.path().rsplit('/').next() {
        Some("next") => Call::Next(Instant::now()),
        Some("response") => Call::Response(serde_json::from_slice(&body).unwrap_or_default()),
        _ => Call::Other(format!("{uri} {}", String::from_utf8_lossy(&body))),
    };
    let is_poll = matches!(call, Call::Next(_));
    // Whoever has ended the measurement no longer listens.
    let _ = api.tell.send(call);
    if !is_poll {
        return StatusCode::ACCEPTED.into_response();
    }
    let Some(event) = api.queue.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let header = HeaderName::from_static;
    let headers = [
        (header("lambda-runtime-aws-request-id"), "8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
        (header("lambda-runtime-deadline-ms"), "4102444800000"),
        (
            header("lambda-runtime-invoked-function-arn"),
            "arn:aws:lambda:eu-west-1:123456789012:function:f",
        ),
    ];
    (headers, event.to_string()).into_response()
}
