//! The built binaries under AWS's own Runtime Interface Emulator, each with the environment that
//! `template.yaml` gives it, against a stack in memory: a wrong variable name or a missing setting
//! fails here.

use passcode_tests::{event::Event, stack::Client};
use serde_json::{Value, json};
use std::{path::PathBuf, process::Stdio};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
};

fn setting(name: &str) -> PathBuf {
    PathBuf::from(std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set")))
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// A function under the emulator. It ends when it is dropped.
struct Emulated {
    invoke: String,
    http: reqwest::Client,
    _child: Child,
}

impl Emulated {
    async fn start(client: &Client, function: &str) -> Self {
        let (port, runtime_port) = (free_port().await, free_port().await);
        let bootstrap = setting("LAMBDA_FOLDER").join(function).join("bootstrap");
        let child = Command::new(setting("RIE"))
            .arg("--runtime-interface-emulator-address")
            .arg(format!("127.0.0.1:{port}"))
            .arg("--runtime-api-address")
            .arg(format!("127.0.0.1:{runtime_port}"))
            .arg(bootstrap)
            .env_clear()
            .envs(client.stack.environment(function))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the emulator starts");
        let invoke = format!("http://127.0.0.1:{port}/2015-03-31/functions/function/invocations");
        Self { invoke, http: reqwest::Client::new(), _child: child }
    }

    /// Hands an event to the function. The emulator takes a moment to listen.
    async fn call(&self, event: &Event) -> (u16, Value) {
        let answer = loop {
            let request = self.http.post(&self.invoke).body(event.0.to_string());
            match request.send().await {
                Ok(answer) => break answer,
                Err(error) if error.is_connect() => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        };
        let reply: Value = answer.json().await.expect("a reply in JSON");
        let status = reply["statusCode"].as_u64().unwrap_or_else(|| panic!("{reply}"));
        let body = reply["body"].as_str().unwrap_or_default();
        (u16::try_from(status).expect("a status"), serde_json::from_str(body).unwrap_or_default())
    }
}

#[tokio::test]
#[ignore = "needs built functions in LAMBDA_FOLDER and the emulator in RIE; .ci/run has both"]
async fn the_first_path_works_in_the_built_functions() {
    let client = Client::start().await;
    let create = Emulated::start(&client, "otpless-auth-create").await;
    let initiate = Emulated::start(&client, "otpless-otp-initiate").await;
    let status = Emulated::start(&client, "otpless-auth-status").await;
    let verify = Emulated::start(&client, "rollout-otp-verify").await;

    for (case, channel, to) in
        [("phone", "SMS", "+14155550100"), ("email", "EMAIL", "ada@example.com")]
    {
        let (code, body) = create.call(&Event::recorded("otpless-auth-create", case)).await;
        assert_eq!(code, 200, "{body}");
        let id = body["requestId"].as_str().expect("an id").to_owned();
        let current = Event::recorded("otpless-auth-status", "current").challenge(&id);
        let older = Event::recorded("otpless-auth-status", "older").challenge(&id);
        assert_eq!(status.call(&current).await.1["errorCode"], "7170");

        let send = Event::recorded("otpless-otp-initiate", "request").challenge(&id);
        let send = send.json(&json!({ "requestId": id, "channels": [channel] }));
        assert_eq!(initiate.call(&send).await.0, 200);
        assert_eq!(initiate.call(&send).await.0, 429, "cool-down");

        let wrong = Event::recorded("rollout-otp-verify", "json").challenge(&id);
        assert_eq!(verify.call(&wrong).await.0, 400);
        let right = client.last_code(to).await;
        let right = wrong.json(&json!({ "otp": right }));
        let (code, body) = verify.call(&right).await;
        assert_eq!((code, &body["ok"]), (200, &json!(true)));
        assert_eq!(verify.call(&right).await.0, 400, "used");
        assert_eq!(status.call(&current).await.1["auths"][0]["status"], "SUCCESS");
        assert_eq!(status.call(&older).await.1["status"], "SUCCESS");
    }
}

#[tokio::test]
#[ignore = "needs built functions in LAMBDA_FOLDER and the emulator in RIE; .ci/run has both"]
async fn an_order_works_in_the_built_functions() {
    let client = Client::start().await;
    let send = Emulated::start(&client, "otpless-order-send").await;
    let resend = Emulated::start(&client, "otpless-order-resend").await;
    let verify = Emulated::start(&client, "otpless-order-verify").await;
    let order = Event::recorded("otpless-order-send", "order");
    assert_eq!(send.call(&order).await, (200, json!({ "orderId": "order-42" })));
    assert_eq!(send.call(&order).await.0, 200, "the same message");
    assert_eq!(resend.call(&Event::recorded("otpless-order-resend", "order")).await.0, 429);
    let wrong = Event::recorded("otpless-order-verify", "order");
    assert_eq!(verify.call(&wrong).await.1["isOTPVerified"], false);
    let code = client.last_code("+14155550100").await;
    let body = json!({ "orderId": "order-42", "phoneNumber": "+14155550100", "otp": code });
    let right = wrong.json(&body);
    assert_eq!(verify.call(&right).await, (200, json!({ "isOTPVerified": true })));
}

#[tokio::test]
#[ignore = "needs built functions in LAMBDA_FOLDER and the emulator in RIE; .ci/run has both"]
async fn every_recorded_event_is_answered_and_so_is_a_broken_one() {
    let client = Client::start().await;
    let events = passcode_tests::event::root().join("events");
    for folder in std::fs::read_dir(events).expect("events").map(|entry| entry.expect("a folder")) {
        let function = folder.file_name().into_string().expect("a name");
        let emulated = Emulated::start(&client, &function).await;
        for file in std::fs::read_dir(folder.path()).expect("events") {
            let case = file.expect("a file").path();
            let case = case.file_stem().and_then(|stem| stem.to_str()).expect("a name");
            let (status, _) = emulated.call(&Event::recorded(&function, case)).await;
            assert!((200..500).contains(&status), "{function} {case}: {status}");
            let mut broken = Event::recorded(&function, case);
            broken.0["body"] = json!("***");
            broken.0["isBase64Encoded"] = json!(true);
            broken.0["headers"]["host"] = json!("a b");
            broken.0["headers"]["x-forwarded-proto"] = json!("://");
            let (status, _) = emulated.call(&broken).await;
            assert!((400..500).contains(&status), "{function} {case}, broken: {status}");
        }
    }
}
