//! The built binaries under AWS's own Runtime Interface Emulator, each with the environment that
//! `template.yaml` gives it, against a stack in memory: a wrong variable name or a missing setting
//! fails here.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use passcode_testkit::USER_ID;
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

    /// Hands an event to the function; status and body.
    async fn call(&self, event: &Event) -> (u16, Value) {
        let reply = self.reply(event).await;
        let status = reply["statusCode"].as_u64().unwrap_or_else(|| panic!("{reply}"));
        let body = reply["body"].as_str().unwrap_or_default();
        (u16::try_from(status).expect("a status"), serde_json::from_str(body).unwrap_or_default())
    }

    /// Hands an event to the function. The emulator takes a moment to listen.
    async fn reply(&self, event: &Event) -> Value {
        let answer = loop {
            let request = self.http.post(&self.invoke).body(event.0.to_string());
            match request.send().await {
                Ok(answer) => break answer,
                Err(error) if error.is_connect() => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        };
        answer.json().await.expect("a reply in JSON")
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

/// A token of the development issuer's for the demo user.
async fn bearer(client: &Client, scope: &str) -> String {
    let wish = json!({ "sub": USER_ID, "scope": scope });
    let (_, token) = client.post("/_local/token", wish).await;
    format!("Bearer {}", token["access_token"].as_str().expect("a token"))
}

#[tokio::test]
#[ignore = "needs built functions in LAMBDA_FOLDER and the emulator in RIE; .ci/run has both"]
async fn prelude_works_in_the_built_functions() {
    let client = Client::start().await;
    let create = Emulated::start(&client, "prelude-session-otp-create").await;
    let check = Emulated::start(&client, "prelude-session-otp-check").await;
    let retry = Emulated::start(&client, "prelude-session-otp-retry").await;
    let step_up = Emulated::start(&client, "prelude-stepup-request").await;
    let keys = Emulated::start(&client, "prelude-jwks").await;
    let origin = "http://localhost:3000";
    let event = |function, case| Event::recorded(function, case).header("origin", origin);

    let request = event("prelude-stepup-request", "request");
    assert_eq!(step_up.call(&request).await.0, 401, "a token that no issuer signed");
    let request = request.header("authorization", bearer(&client, "openid").await.as_str());
    let (status, review) = step_up.call(&request).await;
    assert_eq!((status, &review["status"]), (200, &json!("review")), "{review}");
    let challenge = &review["challenge_token"];
    let ask = event("prelude-session-otp-create", "step-up");
    assert_eq!(create.call(&ask).await.1["code"], "invalid_challenge_token");
    let ask = ask.json(&json!({ "challenge_token": challenge }));
    let asked = create.reply(&ask).await;
    assert_eq!(asked["statusCode"], 204, "{asked}");
    let token = asked["headers"]["x-verification-token"].as_str().expect("a token");
    let cookie = asked["cookies"][0].as_str().expect("a cookie");
    assert!(cookie.starts_with(&format!("__verification-login_demo={token};")), "{cookie}");
    let next = event("prelude-session-otp-retry", "header").header("x-verification-token", token);
    assert_eq!(retry.call(&next).await.1["code"], "rate_limited");
    let wrong = event("prelude-session-otp-check", "step-up").header("x-verification-token", token);
    let body = |code: &str| json!({ "code": code, "challenge_token": challenge });
    assert_eq!(check.call(&wrong.clone().json(&body("000000"))).await.1["code"], "bad_check_code");
    let right = wrong.json(&body(&client.last_code("+14155550100").await));
    let (status, proof) = check.call(&right).await;
    assert_eq!(status, 200, "{proof}");
    assert_eq!(check.call(&right).await.0, 409);
    let (_, published) = keys.call(&event("prelude-jwks", "keys")).await;
    let set: JwkSet = serde_json::from_value(published).expect("keys");
    let key = DecodingKey::from_jwk(&set.keys[0]).expect("a key");
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&["demo"]);
    let proof = proof["challenge_token"].as_str().expect("a proof");
    assert!(jsonwebtoken::decode::<Value>(proof, &key, &validation).is_ok());
}

#[tokio::test]
#[ignore = "needs built functions in LAMBDA_FOLDER and the emulator in RIE; .ci/run has both"]
async fn pace_works_in_the_built_functions() {
    let client = Client::start().await;
    let create = Emulated::start(&client, "pace-user-otp-create").await;
    let verify = Emulated::start(&client, "pace-user-otp-verify").await;
    let mail = Emulated::start(&client, "pace-user-otp-sendmail").await;
    let update = Emulated::start(&client, "pace-user-pin-update").await;
    let scope = "user:otp:create user:otp:verify user:users.pin:update";
    let bearer = bearer(&client, scope).await;
    let event =
        |function, case| Event::recorded(function, case).header("authorization", bearer.as_str());
    let ask = event("pace-user-otp-create", "pin");
    assert_eq!(create.call(&ask.clone().json(&json!({ "pin": "9999" }))).await.0, 422);
    let (status, first) = create.call(&ask).await;
    assert_eq!(status, 201, "{first}");
    let present =
        |otp: &Value| event("pace-user-otp-verify", "verify").json(&json!({ "otp": otp }));
    assert_eq!(verify.call(&present(&json!("000000"))).await.0, 404);
    assert_eq!(verify.call(&present(&first["otp"])).await.0, 204);
    assert_eq!(verify.call(&present(&first["otp"])).await.0, 404, "used");
    assert_eq!(mail.call(&event("pace-user-otp-sendmail", "sendmail")).await.0, 204);
    let mailed = client.last_code("ada@example.com").await;
    let change = |pin: &str, otp: &str| {
        let data = json!({ "type": "pin", "attributes": { "pin": pin, "otp": otp } });
        event("pace-user-pin-update", "update").json(&json!({ "data": data }))
    };
    assert_eq!(update.call(&change("1234", &mailed)).await.0, 406);
    assert_eq!(update.call(&change("2806", "000000")).await.0, 403);
    assert_eq!(update.call(&change("2806", &mailed)).await.0, 200);
    assert_eq!(create.call(&ask).await.0, 422, "the PIN before");
    assert_eq!(create.call(&ask.json(&json!({ "pin": "2806" }))).await.0, 201);
}

#[tokio::test]
#[ignore = "needs built functions in LAMBDA_FOLDER and the emulator in RIE; .ci/run has both"]
async fn zap_works_in_the_built_functions() {
    let client = Client::start().await;
    let generate = Emulated::start(&client, "zap-otp-generate").await;
    let verify = Emulated::start(&client, "zap-otp-verify").await;
    let resend = Emulated::start(&client, "zap-otp-resend").await;
    let request = Event::recorded("zap-otp-generate", "email");
    let stranger = request.clone().header("authorization", "Bearer nobody");
    assert_eq!(generate.call(&stranger).await.0, 401);
    assert_eq!(generate.call(&request).await.1["data"], "OTP Generated");
    assert_eq!(resend.call(&Event::recorded("zap-otp-resend", "email")).await.0, 429);
    let present = |identity: &str, otp: &str| {
        let body = json!({ "otp": otp, "identity": identity });
        Event::recorded("zap-otp-verify", "email").json(&body)
    };
    assert_eq!(verify.call(&present("ada", "000000")).await.0, 400);
    let code = client.last_code("ada@example.com").await;
    assert_eq!(verify.call(&present("ada", &code)).await.1["data"], "OTP verified");
    assert_eq!(verify.call(&present("ada@example.com", &code)).await.0, 400, "used");
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
