//! Journeys for any stack, deployed or local: by its API, its outputs and the commands of `passcode`, with an app
//! of their own, test addresses and SES's mailbox simulator. They move no clock and read no inbox.

use crate::{
    api::Api,
    browser::{Browser, Call, ORIGIN, claims, gives_session},
    command,
    dpop::ClientKey,
};
use aws_sdk_dynamodb::{Client, types::AttributeValue};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use passcode::{keys, local::LocalClock, place::Place};
use passcode_domain::{AppId, CallerClass, UserId, UserKey, guard::Sending, ports::Entropy as _};
use passcode_runtime::SystemEntropy;
use passcode_testkit::TestWorld;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    error::Error,
    fmt,
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Nothing is sent to these, and their codes are fixed.
const PHONE: (&str, &str) = ("+14155550199", "482915");
const EMAIL: (&str, &str) = ("codes@example.com", "739164");
/// SES takes messages to it, counts them for no quota, and delivers them nowhere.
const SIMULATOR: &str = "success@simulator.amazonses.com";
const PIN: &str = "1793";
const NEW_PIN: &str = "2806";

/// The scopes that an access token for PACE must have.
pub const PACE_SCOPES: &str = "user:otp:create user:otp:verify user:users.pin:update \
                               user:users.pin:check user:users.password:check";

/// The highest price of a request, in millionths of a dollar: HTTP API 1.00, Lambda 0.20 and 0.2 s of 1 GB,
/// 2.67, DynamoDB at most 5 reads and 5 writes, 3.75, and a log line, 0.25.
const PER_REQUEST: f64 = 7.87;
/// The same of an e-mail.
const PER_EMAIL: f64 = 160.0;

/// Every class of callers.
const CLASSES: [CallerClass; 4] =
    [CallerClass::Authenticated, CallerClass::User, CallerClass::Device, CallerClass::Anonymous];

/// Where journeys run.
pub struct Deployed {
    /// The stack, for the commands.
    pub place: Place,
    /// Where its API is; `*` in its host stands for the id of an app.
    pub url: String,
    /// Its time.
    pub clock: LocalClock,
    /// An access token of a user with [`PACE_SCOPES`], from an issuer that the stack can reach.
    pub token: Option<String>,
}

/// What the journeys did.
#[derive(Debug)]
pub struct Report {
    /// Those that passed.
    pub passed: Vec<&'static str>,
    /// Those that did not run, and why.
    pub skipped: Vec<(&'static str, &'static str)>,
    /// Those that failed; the panics say how.
    pub failed: Vec<&'static str>,
    /// How many requests there were.
    pub requests: usize,
    /// How many e-mails.
    pub emails: usize,
    /// How many items were stored and are deleted.
    pub deleted: usize,
}

impl Report {
    /// The most that it costs at the list prices of `cli/README.md`, in dollars.
    #[must_use]
    pub fn dollars(&self) -> f64 {
        let count = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
        (count(self.requests) * PER_REQUEST + count(self.emails) * PER_EMAIL) / 1e6
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in &self.passed {
            writeln!(f, "passed   {name}")?;
        }
        for name in &self.failed {
            writeln!(f, "FAILED   {name}")?;
        }
        for (name, why) in &self.skipped {
            writeln!(f, "not run  {name}: {why}")?;
        }
        let Self { requests, emails, deleted, .. } = self;
        writeln!(f, "{requests} requests, {emails} e-mails to SES's simulator, no text message")?;
        writeln!(f, "at most {:.4} dollars at list prices", self.dollars())?;
        write!(f, "{deleted} items deleted, and the app with its user; nothing is left")
    }
}

/// An app of the journeys, and what they need to know of it.
struct App {
    api: Api,
    admin_key: String,
    token: Option<String>,
    emails: AtomicUsize,
    /// The `sub` of access tokens that sessions were begun for.
    signed_in: Mutex<BTreeSet<String>>,
}

/// Runs every journey that can run, and deletes what they have stored.
///
/// # Errors
///
/// Where the app cannot be made, or something cannot be deleted.
pub async fn journeys(deployed: &Deployed) -> Result<Report, Box<dyn Error>> {
    let id = format!("journeys-{}", HEXLOWER.encode(&SystemEntropy.bytes::<6>()));
    let app = match App::make(deployed, &id).await {
        Ok(app) => Arc::new(app),
        Err(error) => {
            let _ = run(deployed, &format!("app delete {id}")).await;
            return Err(error);
        }
    };
    let mut report = Report {
        passed: Vec::new(),
        skipped: Vec::new(),
        failed: Vec::new(),
        requests: 0,
        emails: 0,
        deleted: 0,
    };
    let has_hosts = deployed.url.contains('*');
    let no_host =
        (!has_hosts).then_some("the stack has no wildcard domain, so no host names the app");
    let no_token = no_host.or(app.token.is_none().then_some("there is no PASSCODE_TOKEN"));
    report.run("auth requests", None, auth_request(app.clone())).await;
    report.run("orders", None, order(app.clone())).await;
    report.run("e-mail to the simulator", None, simulator(app.clone())).await;
    report.run("sign-in and step-up", no_host, sign_in(app.clone())).await;
    report.run("sign-in of a mobile client", no_host, mobile(app.clone())).await;
    report.run("administrator's codes", no_host, administrator(app.clone())).await;
    report.run("user's codes and PIN", no_token, user(app.clone())).await;
    report.requests = app.api.requests();
    report.emails = app.emails.load(Ordering::Relaxed);
    report.deleted = app.delete(deployed).await?;
    Ok(report)
}

impl Report {
    async fn run(
        &mut self,
        name: &'static str,
        skip: Option<&'static str>,
        journey: impl Future<Output = ()> + Send + 'static,
    ) {
        if let Some(why) = skip {
            return self.skipped.push((name, why));
        }
        // A task of its own, so that a panic ends this journey and not the deletion.
        match tokio::spawn(journey).await {
            Ok(()) => self.passed.push(name),
            Err(_) => self.failed.push(name),
        }
    }
}

async fn run(deployed: &Deployed, line: &str) -> Result<Value, Box<dyn Error>> {
    let output = command::run(&deployed.place, line, PIN).await;
    Ok(output.map_err(|error| format!("passcode {line}: {error}"))?.json)
}

impl App {
    async fn make(deployed: &Deployed, id: &str) -> Result<Self, Box<dyn Error>> {
        // Rules whose counters nobody could find again are off.
        let off =
            ["sends_per_ip", "countries_per_ip", "unverified_per_ip_hour", "unverified_per_ip_day"]
                .into_iter()
                .chain([
                    "sends_per_country",
                    "unverified_per_country_hour",
                    "unverified_per_country_day",
                ])
                .chain(["prefix_concentration"])
                .map(|rule| format!("guard.{rule}.mode=off"));
        let mut settings: Vec<String> = off.collect();
        settings.extend([
            "guard.allowed_countries.countries=US".to_owned(),
            "policy.cool_down_seconds=0".to_owned(),
            format!("browser.origins={ORIGIN}"),
            r#"step_up.pay={"channel":"email","grant_mode":"single-use"}"#.to_owned(),
        ]);
        if let Some(token) = &deployed.token {
            let claims = claims(&json!(token));
            let (issuer, audience) = (text(&claims["iss"]), text(&claims["aud"]));
            settings.push(format!("issuer.url={issuer}"));
            settings.push(format!("issuer.audience={audience}"));
        }
        let create = format!("app create {id} --name Journeys {}", settings.join(" "));
        let made = run(deployed, &create).await?;
        let until = jiff::Zoned::now().date().saturating_add(jiff::Span::new().days(2));
        for (address, code) in [PHONE, EMAIL] {
            let line = format!("app test-address add {id} {address} --code {code} --until {until}");
            run(deployed, &line).await?;
        }
        let key = run(deployed, &format!("app rotate-admin-key {id}")).await?;
        if let Some(token) = &deployed.token {
            let user = text(&claims(&json!(token))["sub"]);
            run(deployed, &format!("user create {id} {user} --email {SIMULATOR}")).await?;
            run(deployed, &format!("user set-pin {id} {user}")).await?;
        }
        let url = deployed.url.replace('*', id);
        Ok(Self {
            api: Api::new(&url, deployed.clock.clone(), (id, &text(&made["clientSecret"]))),
            admin_key: text(&key["adminKey"]),
            token: deployed.token.clone(),
            emails: AtomicUsize::new(0),
            signed_in: Mutex::default(),
        })
    }

    fn count_email(&self) {
        self.emails.fetch_add(1, Ordering::Relaxed);
    }

    fn remember(&self, access: &str) {
        let user = text(&claims(&json!(access))["sub"]);
        self.signed_in.lock().unwrap_or_else(PoisonError::into_inner).insert(user);
    }

    /// Posts as the app's administrator.
    async fn administer(&self, path: &str, body: Value) -> (u16, Value) {
        let request = self.api.request("POST", path, false).bearer_auth(&self.admin_key);
        self.api.send(request.json(&body)).await
    }

    /// Deletes the app, its user, and every item that its journeys have stored; how many items those were.
    async fn delete(&self, deployed: &Deployed) -> Result<usize, Box<dyn Error>> {
        let (place, id): (_, AppId) = (&deployed.place, self.api.id.parse()?);
        let aws = place.aws()?;
        let keyring = keys::keyring(&aws, place).await?;
        let items = Items { client: Client::new(&aws), deleted: AtomicUsize::new(0) };
        // Ledgers, and challenges beside them, say whose they are.
        items
            .delete_where_ledger_names(&place.resource(&aws, "ChallengeTable").await?, &self.api.id)
            .await?;
        let sessions = place.resource(&aws, "SessionTable").await?;
        let signed_in = self.signed_in.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for user in signed_in {
            let user: UserId = user.parse()?;
            items.delete_sessions(&sessions, UserKey::of(&keyring, &id, &user)).await?;
        }
        let counters = place.resource(&aws, "CounterTable").await?;
        for class in CLASSES {
            let key = Sending::app_counter(&keyring, &id, class).to_string();
            items.delete(&counters, &[("counter", &key)]).await?;
        }
        if let Some(token) = &self.token {
            let user = text(&claims(&json!(token))["sub"]);
            run(deployed, &format!("user delete {} {user}", self.api.id)).await?;
        }
        run(deployed, &format!("app delete {}", self.api.id)).await?;
        Ok(items.deleted.into_inner())
    }
}

/// The items of tables.
struct Items {
    client: Client,
    deleted: AtomicUsize,
}

impl Items {
    async fn delete(&self, table: &str, key: &[(&str, &str)]) -> Result<(), Box<dyn Error>> {
        let key = key
            .iter()
            .map(|(name, value)| ((*name).to_owned(), AttributeValue::S((*value).to_owned())));
        let request = self.client.delete_item().table_name(table).set_key(Some(key.collect()));
        let request = request.return_values(aws_sdk_dynamodb::types::ReturnValue::AllOld);
        let answer = request.send().await?;
        self.deleted.fetch_add(usize::from(answer.attributes.is_some()), Ordering::Relaxed);
        Ok(())
    }

    async fn delete_where_ledger_names(
        &self,
        table: &str,
        app: &str,
    ) -> Result<(), Box<dyn Error>> {
        let names = format!("\"app\":\"{app}\"");
        let mut pages = self
            .client
            .scan()
            .table_name(table)
            .consistent_read(true)
            .projection_expression("subject")
            .filter_expression("contains(ledger, :app)")
            .expression_attribute_values(":app", AttributeValue::S(names))
            .into_paginator()
            .items()
            .send();
        while let Some(item) = pages.next().await {
            self.delete(table, &[("subject", string(&item?, "subject"))]).await?;
        }
        Ok(())
    }

    async fn delete_sessions(&self, table: &str, user: UserKey) -> Result<(), Box<dyn Error>> {
        let user = user.to_string();
        let request =
            self.client.query().table_name(table).key_condition_expression("#user = :user");
        let request = request.expression_attribute_names("#user", "user");
        let request = request.expression_attribute_values(":user", AttributeValue::S(user.clone()));
        for item in request.send().await?.items() {
            self.delete(table, &[("user", &user), ("session", string(item, "session"))]).await?;
        }
        Ok(())
    }
}

fn string<'i>(item: &'i std::collections::HashMap<String, AttributeValue>, name: &str) -> &'i str {
    item.get(name).and_then(|value| value.as_s().ok()).map_or("", String::as_str)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Create, send, send again, verify, ask; by the client and by the server.
async fn auth_request(app: Arc<App>) {
    let api = &app.api;
    for by_server in [false, true] {
        let id = api.create(json!({ "phoneNumber": "4155550199", "countryCode": "1" })).await;
        for _ in 0..2 {
            let (status, body) = api.initiate(&id, "SMS").await;
            assert_eq!(status, 200, "{body}");
        }
        assert_eq!(api.status(&id).await.1["auths"][0]["status"], "PENDING");
        let verify = async |code: &str| {
            let body = json!({ "requestId": id, "otp": code });
            if by_server {
                api.post("/auth/v1/verify/otp", body).await
            } else {
                api.verify(&id, code).await
            }
        };
        assert_eq!(verify(&TestWorld::wrong(PHONE.1)).await.0, 400);
        let (status, body) = verify(PHONE.1).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(verify(PHONE.1).await.0, 400, "used");
        let (status, body) = api.post("/auth/v1/status", json!({ "requestId": id })).await;
        assert_eq!((status, &body["status"]), (200, &json!("SUCCESS")), "{body}");
    }
}

/// An order that the service names.
async fn order(app: Arc<App>) {
    let api = &app.api;
    let (status, sent) = api.post("/auth/otp/v1/send", json!({ "phoneNumber": PHONE.0 })).await;
    assert_eq!(status, 200, "{sent}");
    let order = json!({ "orderId": sent["orderId"] });
    let (status, body) = api.post("/auth/otp/v1/resend", order.clone()).await;
    assert_eq!(status, 200, "{body}");
    for (code, is_right) in [(&*TestWorld::wrong(PHONE.1), false), (PHONE.1, true)] {
        let body = json!({ "orderId": sent["orderId"], "phoneNumber": PHONE.0, "otp": code });
        let (_, body) = api.post("/auth/otp/v1/verify", body).await;
        assert_eq!(body["isOTPVerified"], is_right, "{body}");
    }
}

/// An e-mail that is sent, though nobody reads it.
async fn simulator(app: Arc<App>) {
    let api = &app.api;
    let id = api.create(json!({ "email": SIMULATOR })).await;
    app.count_email();
    let (status, body) = api.initiate(&id, "EMAIL").await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(api.status(&id).await.1["auths"][0]["status"], "PENDING");
    let refused = api.verify(&id, "12345").await;
    assert_eq!(refused.0, 400, "a code of another length is not its code: {refused:?}");
}

fn identifier((value, _): (&str, &str), kind: &str) -> Value {
    json!({ "identifier": { "type": kind, "value": value } })
}

/// A browser signs in, refreshes, steps up, lists its sessions and signs out.
async fn sign_in(app: Arc<App>) {
    let api = &app.api;
    let mut browser = Browser::of(api, Some(ClientKey::default()));
    let phone = identifier(PHONE, "phone_number");
    assert_eq!(browser.post("/v1/session/login/otp", phone).await.0, 204);
    let retry = Call::default();
    assert_eq!(browser.call("POST", "/v1/session/login/otp/retry", retry).await.0, 204);
    let wrong = json!({ "code": TestWorld::wrong(PHONE.1) });
    assert_eq!(browser.prove("/v1/session/login/otp/check", Some(wrong)).await.0, 400);
    let right = json!({ "code": PHONE.1 });
    let begun = browser.prove("/v1/session/login/otp/check", Some(right)).await;
    app.remember(&gives_session(&begun));
    let access = gives_session(&browser.prove("/v1/session/refresh", None).await);
    let list = Call { bearer: Some(&access), ..Call::default() };
    let (status, _, page) = browser.call("GET", "/v1/session/me/list", list).await;
    assert_eq!((status, &page["total"]), (200, &json!(1)), "{page}");
    let keys = api.send(api.request("GET", "/.well-known/jwks.json", false)).await;
    assert!(keys.1["keys"].as_array().is_some_and(|keys| !keys.is_empty()), "{keys:?}");
    assert_eq!(browser.prove("/v1/session/revoke", None).await.0, 204);
    assert_eq!(browser.prove("/v1/session/refresh", None).await.0, 401);
}

/// A mobile client redeems the proof of an address; its user steps up by the same address.
async fn mobile(app: Arc<App>) {
    let api = &app.api;
    let mut client = Browser::of(api, Some(ClientKey::default()));
    let mut login = identifier(EMAIL, "email_address");
    login["code_challenge"] = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".into();
    assert_eq!(client.post("/v1/session/otp", login).await.0, 204);
    let (status, _, mut proof) =
        client.post("/v1/session/otp/check", json!({ "code": EMAIL.1 })).await;
    assert_eq!(status, 200, "{proof}");
    proof["code_verifier"] = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into();
    let access = gives_session(&client.prove("/v1/session/login/finalize", Some(proof)).await);
    app.remember(&access);
    let scope = Some(json!({ "scope": "pay" }));
    let request = Call { body: scope, bearer: Some(&access), ..Call::default() };
    let (status, _, review) = client.call("POST", "/v1/session/stepup/request", request).await;
    assert_eq!(status, 200, "{review}");
    let token = &review["challenge_token"];
    assert_eq!(client.post("/v1/session/otp", json!({ "challenge_token": token })).await.0, 204);
    let jti = text(&claims(token)["jti"]);
    let body = Some(json!({ "code": EMAIL.1, "challenge_token": token }));
    let check = Call { body, jti: Some(&jti), is_proven: true, ..Call::default() };
    let (status, _, proof) = client.call("POST", "/v1/session/otp/check", check).await;
    assert_eq!(status, 200, "{proof}");
    let body = json!({ "step_up_token": proof["challenge_token"] });
    let granted = gives_session(&client.prove("/v1/session/refresh", Some(body)).await);
    assert_eq!(claims(&json!(granted))["scope"], "pay");
}

/// An administrator has a code sent, and again, and verifies it.
async fn administrator(app: Arc<App>) {
    let (email, code) = EMAIL;
    for (path, body) in [
        ("/v1/otp", json!({ "userId": "ada", "email": email })),
        ("/v1/otp/resend", json!({ "email": email })),
    ] {
        let (status, body) = app.administer(path, body).await;
        assert_eq!(status, 200, "{path} {body}");
    }
    for (otp, expected) in [(&*TestWorld::wrong(code), 400), (code, 200), (code, 400)] {
        let body = json!({ "otp": otp, "identity": email });
        let (status, body) = app.administer("/v1/otp/verify", body).await;
        assert_eq!(status, expected, "{body}");
    }
}

/// A user with an access token asks for codes, by PIN and by e-mail, and changes the PIN with one.
async fn user(app: Arc<App>) {
    let (api, token) = (&app.api, app.token.as_deref().unwrap_or_default());
    let request = |method, path| api.request(method, path, false).bearer_auth(token);
    assert_eq!(api.send(request("GET", "/user/pin")).await.0, 200);
    app.count_email();
    assert_eq!(api.send(request("POST", "/user/otp/sendmail")).await.0, 204);
    let create = async || {
        let (status, body) =
            api.send(request("POST", "/user/otp").json(&json!({ "pin": PIN }))).await;
        assert_eq!(status, 201, "{body}");
        text(&body["otp"])
    };
    let verify = json!({ "otp": create().await });
    for expected in [204, 404] {
        let (status, body) = api.send(request("POST", "/user/otp/verify").json(&verify)).await;
        assert_eq!(status, expected, "{body}");
    }
    let attributes = json!({ "pin": NEW_PIN, "otp": create().await });
    let body = json!({ "data": { "type": "pin", "attributes": attributes } }).to_string();
    let update = request("PUT", "/user/pin").header("content-type", "application/vnd.api+json");
    let (status, body) = api.send(update.body(body)).await;
    assert_eq!(status, 200, "{body}");
}

/// The `iss`, `aud` and `sub` of a token have to be texts.
#[must_use]
pub fn is_token(token: &str) -> bool {
    let claims =
        token.split('.').nth(1).and_then(|part| BASE64URL_NOPAD.decode(part.as_bytes()).ok());
    let claims: Option<Value> = claims.and_then(|claims| serde_json::from_slice(&claims).ok());
    claims.is_some_and(|claims| ["iss", "aud", "sub"].iter().all(|name| claims[*name].is_string()))
}
