//! The built functions under AWS's own Runtime Interface Emulator, each with the environment that
//! `template.yaml` gives it: a wrong variable name or a missing setting fails here.
//!
//! With `LAMBDA_FOLDER` and `RIE` set, the journeys run against these instead of the handlers in this
//! process. The functions ask the machine for the time; `FAKETIME` names the library that
//! (preloaded) makes the machine say what the stack's clock says.

use lambda_http::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::SET_COOKIE};
use passcode::local::{Handler, LocalClock, Stack};
use passcode_domain::ports::Clock as _;
use passcode_http::{Answer, Record};
use passcode_runtime::SystemClock;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
};
use tokio::{
    process::{Child, Command},
    sync::{Mutex, MutexGuard},
};

fn setting(name: &str) -> PathBuf {
    PathBuf::from(std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set")))
}

/// A port that nobody listens on, and that nobody else in this process is given: from below those
/// that the system hands to connections, or one of them could take it before it is listened on.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const PORTS: Range<u16> = 12_000..32_000;
    let first = u16::try_from(std::process::id() % u32::from(PORTS.end - PORTS.start));
    loop {
        let n = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(first.unwrap_or_default());
        let port = PORTS.start + n % (PORTS.end - PORTS.start);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// What serves a stack's functions, where the built ones and the emulator are at hand.
#[must_use]
pub fn serve_by() -> Option<impl Fn(&Stack, &str) -> Result<Handler, String>> {
    let has = |name| std::env::var_os(name).is_some();
    (has("LAMBDA_FOLDER") && has("RIE")).then_some(|stack: &Stack, function: &str| {
        let clock = Some(stack.clock.clone());
        let function = Arc::new(Emulated::new(function, stack.environment(function), clock));
        let handler: Handler = Arc::new(move |event| {
            let function = function.clone();
            // What the function logs stays in the emulator.
            let record = Record { outcome: "emulated", ..Record::default() };
            Box::pin(async move { Ok((answer(&function.reply(&event).await), vec![record])) })
        });
        Ok(handler)
    })
}

/// A function under the emulator, which starts with its first event and ends when it is dropped.
pub struct Emulated {
    function: String,
    environment: BTreeMap<String, String>,
    clock: Option<LocalClock>,
    http: reqwest::Client,
    /// The emulator takes one event at a time.
    running: Mutex<Option<Running>>,
}

/// So often a function may fail to start.
const MAX_STARTS: u32 = 20;

struct Running {
    invoke: String,
    now: PathBuf,
    child: Child,
    /// Whether the function has ever replied.
    has_started: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.now);
    }
}

impl Emulated {
    /// A function with an environment; on a machine whose time is a clock's, where there is one.
    #[must_use]
    pub fn new(
        function: &str,
        environment: BTreeMap<String, String>,
        clock: Option<LocalClock>,
    ) -> Self {
        let function = function.to_owned();
        let http = reqwest::Client::new();
        Self { function, environment, clock, http, running: Mutex::default() }
    }

    /// Hands an event to the function.
    ///
    /// # Panics
    ///
    /// Where there is no reply.
    pub async fn reply(&self, event: &Value) -> Value {
        let mut running = self.running().await;
        let Running { invoke, now, child, has_started } = running.as_mut().expect("it runs");
        let mut starts = 0;
        self.set_clock(now);
        loop {
            match self.http.post(&*invoke).body(event.to_string()).send().await {
                // The function starts faster than the emulator listens for it, and ends over that. It
                // has not seen the event, and starts anew with the next.
                Ok(answer)
                    if answer.status() == StatusCode::BAD_GATEWAY
                        && !*has_started
                        && starts < MAX_STARTS =>
                {
                    starts += 1;
                }
                Ok(answer) => {
                    *has_started = true;
                    let status = answer.status();
                    let reply = answer.text().await.expect("a reply");
                    return serde_json::from_str(&reply)
                        .unwrap_or_else(|error| panic!("{}: {status}, {error}", self.function));
                }
                // The emulator takes a moment to listen.
                Err(error) if error.is_connect() => tokio::task::yield_now().await,
                Err(error) => panic!("{}: {error:?}", self.function),
            }
            let ended = child.try_wait().expect("the emulator's state");
            assert!(ended.is_none(), "{}: the emulator has ended: {ended:?}", self.function);
        }
    }

    async fn running(&self) -> MutexGuard<'_, Option<Running>> {
        let mut running = self.running.lock().await;
        if running.is_none() {
            *running = Some(self.start());
        }
        running
    }

    fn start(&self) -> Running {
        let (port, runtime_port) = (free_port(), free_port());
        let name = format!("passcode-{}-{port}.time", std::process::id());
        let now = std::env::temp_dir().join(name);
        let mut command = Command::new(setting("RIE"));
        command
            .arg("--runtime-interface-emulator-address")
            .arg(format!("127.0.0.1:{port}"))
            .arg("--runtime-api-address")
            .arg(format!("127.0.0.1:{runtime_port}"))
            .arg(setting("LAMBDA_FOLDER").join(&self.function).join("bootstrap"))
            .env_clear()
            .envs(&self.environment)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        if self.clock.is_some() {
            // Time-outs go by the monotonic clock, which stays the machine's.
            command
                .env("LD_PRELOAD", setting("FAKETIME"))
                .env("FAKETIME_TIMESTAMP_FILE", &now)
                .env("FAKETIME_NO_CACHE", "1")
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        let invoke = format!("http://127.0.0.1:{port}/2015-03-31/functions/function/invocations");
        self.set_clock(&now);
        Running {
            invoke,
            now,
            child: command.spawn().expect("the emulator starts"),
            has_started: false,
        }
    }

    fn set_clock(&self, now: &Path) {
        let Some(clock) = &self.clock else { return };
        let ahead = SystemClock.now().until(clock.now());
        // In one step: whoever reads a file that is being written ends over an empty one.
        let next = now.with_extension("next");
        std::fs::write(&next, format!("+{:.3}", ahead.as_secs_f64())).expect("written");
        std::fs::rename(&next, now).expect("in its place");
    }
}

/// A reply of payload format 2.0, as API Gateway answers with it. A function that consumes events replies
/// with nothing where it has.
fn answer(reply: &Value) -> Answer {
    if reply.is_null() {
        return Answer::empty(StatusCode::OK);
    }
    if reply.get("errorType").is_some() {
        return Answer::empty(StatusCode::INTERNAL_SERVER_ERROR);
    }
    let status = reply["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    let mut headers = HeaderMap::new();
    for (name, value) in reply["headers"].as_object().into_iter().flatten() {
        let name: HeaderName = name.parse().expect("a header's name");
        headers.insert(name, value.as_str().and_then(|value| value.parse().ok()).expect("text"));
    }
    for cookie in reply["cookies"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        headers.append(SET_COOKIE, HeaderValue::from_str(cookie).expect("a cookie"));
    }
    Answer {
        status: status.unwrap_or_else(|| panic!("no reply of a function: {reply}")),
        headers,
        body: reply["body"].as_str().unwrap_or_default().to_owned(),
        code: None,
    }
}
