//! Challenges that are opened under one contract and verified under another. Whoever has what a
//! contract asks for can use it; who has not gets nothing out of it, and spends nothing.

use passcode_runtime::aws;
use passcode_testkit::{PIN, USER_ID};
use passcode_tests::stack::Client;
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

const PHONE: &str = "+14155550100";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opener {
    OtplessRequest,
    OtplessOrder,
    Prelude,
    Pace,
    Zap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verifier {
    Rollout,
    Otpless,
    OtplessOrder,
    Prelude,
    Pace,
    Zap,
}

const OPENERS: [Opener; 5] =
    [Opener::OtplessRequest, Opener::OtplessOrder, Opener::Prelude, Opener::Pace, Opener::Zap];

/// Who can verify what. Ids lead to every challenge; a browser's token, a user and an identity lead
/// only to challenges that were opened to be found by them, so that guessing at somebody's address
/// cannot spend what others know by its id.
const TABLE: [(Verifier, [bool; 5]); 6] = [
    (Verifier::Rollout, [true, true, true, true, true]),
    (Verifier::Otpless, [true, true, true, true, true]),
    // The older generation wants the address repeated, and a user's code has none.
    (Verifier::OtplessOrder, [true, true, true, false, true]),
    (Verifier::Prelude, [false, false, true, false, false]),
    (Verifier::Pace, [false, false, false, true, false]),
    (Verifier::Zap, [false, false, false, false, true]),
];

/// What a caller holds after asking for a code.
struct Held {
    /// The challenge's bare id.
    id: String,
    /// A browser's token.
    token: String,
    code: String,
}

struct TestWorld {
    client: Client,
    access_token: String,
}

impl TestWorld {
    async fn start() -> Self {
        let client = Client::start().await;
        let wish = json!({ "sub": USER_ID, "scope": "user:otp:create user:otp:verify",
            "expires_in": 10_000_000 });
        let (_, token) = client.post("/_local/token", wish).await;
        let access_token = token["access_token"].as_str().expect("a token").to_owned();
        Self { client, access_token }
    }

    /// An answer's header and body.
    async fn ask(&self, request: reqwest::RequestBuilder, header: &str) -> (String, Value) {
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.status());
        let header = answer.headers().get(header).and_then(|value| value.to_str().ok());
        (header.unwrap_or_default().to_owned(), answer.json().await.unwrap_or_default())
    }

    async fn open(&self, opener: Opener) -> Held {
        // Whatever was sent before has cooled down and ended.
        self.client.stack.clock.advance(Duration::from_hours(25));
        let post = |path: &str, body: Value| self.client.request("POST", path, true).json(&body);
        let held = |id: String, code| Held { token: format!("{id}.AAAA"), id, code };
        let bare =
            |text: &str| text.trim_start_matches("ARID_").trim_start_matches("Otp_").to_owned();
        match opener {
            Opener::OtplessRequest => {
                let body = json!({ "phoneNumber": PHONE, "channels": ["SMS"] });
                let (_, body) = self.ask(post("/auth/v1/initiate/otp", body), "").await;
                let id = bare(body["requestId"].as_str().expect("an id"));
                held(id, self.client.last_code(PHONE).await)
            }
            Opener::OtplessOrder => {
                let request = post("/auth/otp/v1/send", json!({ "phoneNumber": PHONE }));
                let (_, body) = self.ask(request, "").await;
                let id = bare(body["orderId"].as_str().expect("an id"));
                held(id, self.client.last_code(PHONE).await)
            }
            Opener::Prelude => {
                let identifier = json!({ "type": "phone_number", "value": PHONE });
                let request = post("/v1/session/otp", json!({ "identifier": identifier }));
                let (token, _) = self.ask(request, "x-verification-token").await;
                let id = token.split('.').next().expect("an id").to_owned();
                Held { id, token, code: self.client.last_code(PHONE).await }
            }
            Opener::Pace => {
                let request = post("/user/otp", json!({ "pin": PIN }));
                let request = request.bearer_auth(&self.access_token);
                let (id, body) = self.ask(request, "passcode-challenge-id").await;
                held(bare(&id), body["otp"].as_str().expect("a code").to_owned())
            }
            Opener::Zap => {
                let request = post("/v1/otp", json!({ "userId": USER_ID, "phoneNumber": PHONE }));
                let request = request.bearer_auth("demo-admin");
                let (id, _) = self.ask(request, "passcode-challenge-id").await;
                held(bare(&id), self.client.last_code(PHONE).await)
            }
        }
    }

    /// Which counters count verified messages, and when.
    async fn verified_now(&self) -> BTreeSet<String> {
        let aws = aws::config(&self.client.stack.settings("")).expect("settings");
        let scan = aws_sdk_dynamodb::Client::new(&aws).scan().table_name("CounterTable");
        let items = scan.send().await.expect("a scan").items.unwrap_or_default();
        let slots = items.into_iter().flat_map(|item| {
            let key = format!("{:?}", item["counter"]);
            let slots = item.into_keys().filter(|name| name.starts_with('v'));
            slots.map(move |slot| format!("{key} {slot}")).collect::<Vec<_>>()
        });
        slots.collect()
    }

    async fn verify(&self, verifier: Verifier, held: &Held) -> bool {
        let Held { id, token, code } = held;
        let post = |path: &str, body: Value| self.client.request("POST", path, true).json(&body);
        let request = match verifier {
            Verifier::Rollout => post(&format!("/auth/otp/{id}"), json!({ "otp": code })),
            Verifier::Otpless => {
                let body = json!({ "requestId": format!("ARID_{id}"), "otp": code });
                post("/auth/v1/verify/otp", body)
            }
            Verifier::OtplessOrder => {
                let order = format!("Otp_{id}");
                let body = json!({ "orderId": order, "phoneNumber": PHONE, "otp": code });
                post("/auth/otp/v1/verify", body)
            }
            Verifier::Prelude => post("/v1/session/otp/check", json!({ "code": code }))
                .header("x-verification-token", token),
            Verifier::Pace => {
                post("/user/otp/verify", json!({ "otp": code })).bearer_auth(&self.access_token)
            }
            Verifier::Zap => {
                let body = json!({ "otp": code, "identity": PHONE });
                post("/v1/otp/verify", body).bearer_auth("demo-admin")
            }
        };
        let (status, body) = self.client.send(request).await;
        (200..300).contains(&status) && body["isOTPVerified"] != false
    }
}

#[tokio::test]
async fn every_pair_of_contracts_does_what_the_table_says() {
    let world = TestWorld::start().await;
    for (column, opener) in OPENERS.into_iter().enumerate() {
        for (verifier, works) in TABLE {
            let held = world.open(opener).await;
            let verified = world.verify(verifier, &held).await;
            assert_eq!(verified, works[column], "{opener:?}, {verifier:?}");
            let by_id = world.verify(Verifier::Rollout, &held).await;
            assert_ne!(
                by_id, verified,
                "{opener:?}, {verifier:?}: used once, and not spent in vain"
            );
        }
    }
}

/// The guard allows more where messages are answered, and nobody is told when counting fails.
#[tokio::test]
async fn a_success_is_counted_whoever_verifies_it() {
    let world = TestWorld::start().await;
    for (opener, verifier) in [
        (Opener::OtplessRequest, Verifier::Rollout),
        (Opener::OtplessRequest, Verifier::Otpless),
        (Opener::OtplessOrder, Verifier::OtplessOrder),
        (Opener::Prelude, Verifier::Prelude),
        (Opener::Zap, Verifier::Zap),
    ] {
        let held = world.open(opener).await;
        // Slots of the day before make room.
        let before = world.verified_now().await;
        assert!(world.verify(verifier, &held).await, "{verifier:?}");
        let after = world.verified_now().await;
        assert!(
            after.is_superset(&before) && after.len() > before.len(),
            "{verifier:?}: {after:?}"
        );
    }
}

#[tokio::test]
async fn a_prelude_token_is_an_id_as_rollout_takes_them() {
    let world = TestWorld::start().await;
    let held = world.open(Opener::Prelude).await;
    assert_eq!(world.client.verify(&held.token, &held.code).await.0, 200);
}
