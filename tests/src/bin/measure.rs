//! Measures the budgets on the built functions, side by side with a bare one in the same run:
//! `measure <folder of built functions> <bare function>`. Ends with an error where one that is counted
//! is missed; a time is only told, since machines are noisy.

use axum::{
    Router,
    body::Bytes,
    http::{HeaderName, Uri},
    routing::any,
};
use otpless_auth_create as create;
use passcode_domain::{
    App,
    guard::{Mode, Rule},
};
use passcode_testkit::{World, demo_app, schedule::block_on, unguarded};
use passcode_tests::{
    event::{Event, functions, root},
    stack::Client,
};
use prelude_session_otp_create as send;
use rollout_otp_verify as verify;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{
    net::TcpListener,
    process::Command,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

const STARTS: usize = 31;
const CALLS: u32 = 5000;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).map(PathBuf::from);
    let folder = arguments.next().expect("the folder of built functions");
    let bare = arguments.next().expect("the bare function");
    let client = Client::start().await;
    let mut missed = 0;
    let mut report = |what: &str, found: f64, unit: &str, budget: f64| {
        let verdict = if found <= budget { "ok" } else { "MISSED" };
        missed += u32::from(found > budget && unit == "MB");
        println!("  {what:<44} {found:>8.2} {unit:<6} budget {budget:>6.2}  {verdict}");
    };
    for (function, code) in &functions() {
        let bootstrap = folder.join(function).join("bootstrap");
        println!("{function}");
        let budget = if sends(code) { 3.0 } else { 2.5 };
        report("package, compressed", megabytes(compressed(&bootstrap)), "MB", budget);
        let (own, least) = starts(&client, function, &bootstrap, &bare).await;
        println!(
            "  {:<44} {:>8.2} ms     bare {:>8.2}",
            "start to first poll",
            millis(own),
            millis(least)
        );
        report(
            "start to first poll, against bare",
            own.as_secs_f64() / least.as_secs_f64(),
            "x",
            3.0,
        );
        let resident = resident_after_a_request(&client, function, &bootstrap).await;
        report("resident after the first request", megabytes(resident), "MB", 25.0);
    }
    println!("handlers without their network");
    for (what, spent) in
        [("create", create_call()), ("send", send_call()), ("verify", verify_call())]
    {
        report(what, spent.as_secs_f64() * 1e6, "us", 200.0);
    }
    println!("store calls: counted in `cargo test`, store_calls_stay_within_their_budget");
    assert!(missed == 0, "{missed} sizes are over their budget");
}

/// Whether a function links the SDKs that send.
fn sends(code: &Path) -> bool {
    fs::read_to_string(code.join("src/boot.rs")).expect("boot.rs").contains("passcode_ses")
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

#[expect(clippy::cast_precision_loss, reason = "a size for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// The size that deflate makes of a file; a zip adds some hundred bytes.
fn compressed(path: &Path) -> u64 {
    let output = std::process::Command::new("gzip").args(["-9", "-c"]).arg(path).output();
    output.expect("gzip").stdout.len() as u64
}

/// A Runtime API that hands out one event, if any, and tells of every call.
struct RuntimeApi {
    address: String,
    calls: UnboundedReceiver<(String, Instant)>,
}

impl RuntimeApi {
    async fn serve(event: Option<Event>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let (tell, calls) = unbounded_channel();
        let event = std::sync::Arc::new(std::sync::Mutex::new(event));
        let answer = move |uri: Uri, _: Bytes| answer(tell.clone(), event.clone(), uri);
        tokio::spawn(
            async move { axum::serve(listener, Router::new().fallback(any(answer))).await },
        );
        Self { address, calls }
    }

    async fn until(&mut self, path: &str) -> Instant {
        loop {
            let (called, at) = self.calls.recv().await.expect("a call");
            if called.ends_with(path) {
                return at;
            }
        }
    }
}

type Events = std::sync::Arc<std::sync::Mutex<Option<Event>>>;

async fn answer(
    tell: UnboundedSender<(String, Instant)>,
    event: Events,
    uri: Uri,
) -> ([(HeaderName, &'static str); 3], String) {
    let _ = tell.send((uri.path().to_owned(), Instant::now()));
    let next = uri.path().ends_with("/next").then(|| event.lock().ok()?.take()).flatten();
    let body = match next {
        Some(event) => event.0.to_string(),
        None if uri.path().ends_with("/next") => std::future::pending().await,
        None => String::new(),
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
    (headers, body)
}

fn spawn(
    client: &Client,
    function: &str,
    program: &Path,
    api: &RuntimeApi,
) -> tokio::process::Child {
    let lambda = [
        ("AWS_LAMBDA_RUNTIME_API", api.address.as_str()),
        ("AWS_LAMBDA_FUNCTION_NAME", function),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
    ];
    let mut command = Command::new(program);
    command.env_clear().envs(client.stack.environment(function)).envs(lambda);
    command.stdout(Stdio::null()).kill_on_drop(true).spawn().expect("the function starts")
}

/// The time from start to first poll, the function's and the bare one's, by turns. Of many starts
/// the fourth fastest of each: what slows a start from outside only ever adds.
async fn starts(client: &Client, function: &str, own: &Path, bare: &Path) -> (Duration, Duration) {
    let mut spans = [Vec::new(), Vec::new()];
    for _ in 0..STARTS {
        for (program, spans) in [own, bare].into_iter().zip(&mut spans) {
            let mut api = RuntimeApi::serve(None).await;
            let began = Instant::now();
            let _child = spawn(client, function, program, &api);
            spans.push(api.until("/next").await - began);
        }
    }
    let [own, bare] = spans.map(|mut spans| {
        spans.sort();
        spans[3]
    });
    (own, bare)
}

async fn resident_after_a_request(client: &Client, function: &str, program: &Path) -> u64 {
    let events = fs::read_dir(root().join("events").join(function)).expect("events");
    let case = events.map(|entry| entry.expect("an event").path()).min().expect("an event");
    let case = case.file_stem().and_then(|stem| stem.to_str()).expect("a name");
    let mut api = RuntimeApi::serve(Some(Event::recorded(function, case))).await;
    let child = spawn(client, function, program, &api);
    api.until("/response").await;
    let status = format!("/proc/{}/status", child.id().expect("it runs"));
    let status = fs::read_to_string(status).expect("/proc");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    let kilobytes = line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok());
    kilobytes.expect("a number") * 1024
}

/// The mean time of a create, with every port faked.
fn create_call() -> Duration {
    let event = Event::recorded("otpless-auth-create", "phone");
    let world = World::default();
    let deps = create::Deps {
        apps: world.apps.clone(),
        ledgers: world.ledgers.clone(),
        keyring: world.keyring.clone(),
        clock: world.clock.clone(),
        entropy: world.entropy.clone(),
    };
    mean(|| event.request(), |request| drop(block_on(create::handle(&deps, request))))
}

/// The mean time of a send that every rule of the guard looks at, in an app that sends a message every
/// two seconds.
fn send_call() -> Duration {
    // Nobody types a code here, which the detectors would stop.
    let mut app = demo_app();
    for detector in Rule::DETECTORS {
        *app.guard.mode_mut(detector) = Mode::Shadow;
    }
    let world = World::of(app);
    let deps = send::Deps {
        apps: world.apps.clone(),
        ledgers: world.ledgers.clone(),
        keyring: world.keyring.clone(),
        signing: world.signing.clone(),
        clock: world.clock.clone(),
        entropy: world.entropy.clone(),
        sms: world.sms.clone(),
        email: world.email.clone(),
        default_app: Some(world.app.id.clone()),
    };
    let mut asked = 0;
    let next = || {
        asked += 1;
        world.clock.advance(Duration::from_secs(2));
        world.sms.forget();
        let number = format!("+1415{:03}{:04}", 200 + asked % 800, asked);
        let identifier = serde_json::json!({ "type": "phone_number", "value": number });
        let event = Event::recorded("prelude-session-otp-create", "phone");
        let mut event = event.json(&serde_json::json!({ "identifier": identifier }));
        let ip = format!("10.{}.{}.1", asked / 250, asked % 250);
        event.0["requestContext"]["http"]["sourceIp"] = ip.into();
        event.request()
    };
    mean(next, |request| {
        let answer = block_on(send::handle(&deps, request));
        assert_eq!(answer.status, 204, "the message went out");
    })
}

/// The mean time of a verify that looks at the code, with every port faked.
fn verify_call() -> Duration {
    // One subject is sent many codes.
    let world = World::of(App { guard: unguarded(), ..demo_app() });
    let deps = verify::Deps {
        apps: world.apps.clone(),
        ledgers: world.ledgers.clone(),
        keyring: world.keyring.clone(),
        clock: world.clock.clone(),
        entropy: world.entropy.clone(),
        default_app: Some(world.app.id.clone()),
    };
    let open = || {
        let (id, code) = world.open_and_send();
        Event::recorded("rollout-otp-verify", "json")
            .challenge(&id.to_string())
            .json(&serde_json::json!({ "otp": code }))
            .request()
    };
    mean(open, |request| {
        let answer = block_on(verify::handle(&deps, request));
        assert_eq!(answer.status, 200, "the code was looked at");
    })
}

fn mean<T>(mut prepare: impl FnMut() -> T, mut call: impl FnMut(T)) -> Duration {
    let mut spent = Duration::ZERO;
    for counted in 0..CALLS + 100 {
        let prepared = prepare();
        let began = Instant::now();
        call(prepared);
        // The first calls load patterns and fill caches, as a function's first request does.
        if counted >= 100 {
            spent += began.elapsed();
        }
    }
    spent / CALLS
}
