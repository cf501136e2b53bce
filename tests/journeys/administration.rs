//! What an administrator does: apps, users and keys, by the commands' own words, on a running stack.

use passcode::{output::Output, place::Place};
use passcode_domain::{
    User, app::SecretHash, ports::LoadUsers as _, secret::password::HashedSecret,
};
use passcode_dynamodb::UserTable;
use passcode_runtime::aws;
use passcode_testkit::{PIN, TestWorld, USER_ID};
use passcode_tests::{command, stack::Client};
use serde_json::{Value, json};
use std::path::PathBuf;

const PHONE: &str = "+14155550100";

/// Runs `passcode …`. The secret is the answer to every prompt.
async fn run(client: &Client, line: &str, secret: &str) -> Result<Output, String> {
    command::run(&Place::of(&client.stack), line, secret).await
}

pub(crate) async fn passcode(client: &Client, line: &str) -> Output {
    run(client, line, "").await.unwrap_or_else(|error| panic!("{line}: {error}"))
}

async fn stored(client: &Client, id: &str) -> Option<User> {
    let aws = aws::config(&client.stack.settings("")).expect("settings");
    let (app, id) = ("demo".parse().expect("an id"), id.parse().expect("an id"));
    UserTable::new(&aws, "UserTable".into()).load_user(&app, &id).await.expect("no error")
}

/// A file that is gone when the test is.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, text: &str) -> Self {
        // In letters that no secret of the tests is made of: its name is printed, and the output is searched for the secrets.
        let process = data_encoding::BASE32_NOPAD.encode(&std::process::id().to_le_bytes());
        let name = format!("passcode-{process}-{name}");
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).expect("written");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_with_the_reason() {
    let client = Client::start().await;
    passcode(&client, "user create demo eve --username eve").await;
    for (line, secret, reason) in [
        ("user create nope bob", "", "no app is named nope"),
        ("user create demo eve", "", "demo has a user eve already"),
        ("user create demo bob --username EVE", "", "another user of demo goes by eve"),
        ("user create demo bob --username ADA", "", "another user of demo goes by ada"),
        ("user create demo bob --email bob", "", "not a valid e-mail address"),
        ("user show demo bob", "", "no user of demo has the id bob"),
        ("user set-pin demo bob", "1793", "no user of demo has the id bob"),
        ("user set-pin demo eve", "1234", "no series"),
        ("user set-pin demo eve", "", "exactly 4 digits"),
        ("user set-password demo eve", "short", "8 to 256 characters"),
        ("user import demo users.txt", "", ".csv, .jsonl or .ndjson"),
        ("user delete demo bob", "", "no user of demo has the id bob"),
        ("user unlock demo bob", "", "no user of demo has the id bob"),
    ] {
        let error = run(&client, line, secret).await.expect_err(line);
        assert!(error.contains(reason), "{line}: {error}");
        assert!(secret.is_empty() || !error.contains(secret), "{line}: {error}");
    }
    assert_eq!(stored(&client, "bob").await, None);
    assert_eq!(stored(&client, "eve").await.expect("she is there").pin, None);
}

#[tokio::test]
async fn a_user_is_made_given_a_pin_and_a_password_and_removed() {
    let client = Client::start().await;
    let line = "user create demo bob --email bob@example.com --phone +14155550101 --username Bob";
    let made = passcode(&client, line).await;
    assert_eq!((&made.json["username"], &made.json["pin"]), (&json!("bob"), &json!(false)));
    for (line, secret) in [
        ("user set-pin demo bob", "1793"),
        ("user set-pin demo bob", "2846"),
        ("user set-password demo bob", "correct horse"),
    ] {
        let output = run(&client, line, secret).await.expect(line);
        assert!(!format!("{output:?}").contains(secret), "{output:?}");
    }
    let bob = stored(&client, "bob").await.expect("he is there");
    let matches = |hash: &Option<HashedSecret>, secret| hash.as_ref().map(|h| h.matches(secret));
    assert_eq!(matches(&bob.pin, "1793"), Some(false), "the last one counts");
    assert_eq!(matches(&bob.pin, "2846"), Some(true));
    assert_eq!(matches(&bob.password, "correct horse"), Some(true));
    let shown = passcode(&client, "user show demo bob").await;
    assert_eq!((&shown.json["pin"], &shown.json["phone"]), (&json!(true), &json!("+14155550101")));
    passcode(&client, "user delete demo bob").await;
    assert_eq!(stored(&client, "bob").await, None);
    passcode(&client, "user create demo bob-2 --username bob").await;
}

#[tokio::test]
async fn a_user_whose_pin_was_guessed_at_is_unlocked() {
    let client = Client::start().await;
    let setting = "policy.failure_wait_seconds=0 policy.max_failures=3";
    passcode(&client, &format!("app set demo {setting}")).await;
    let wish = json!({ "sub": USER_ID, "scope": "user:otp:create" });
    let (_, token) = client.post("/_local/token", wish).await;
    let token = token["access_token"].as_str().expect("a token").to_owned();
    let present = async |pin: &str| {
        let request = client.request("POST", "/user/otp", false).bearer_auth(&token);
        client.send(request.json(&json!({ "pin": pin }))).await.0
    };
    for status in [422, 422, 422, 429] {
        assert_eq!(present("1794").await, status);
    }
    assert_eq!(present(PIN).await, 429, "the right one too");
    let line = format!("user unlock demo {USER_ID}");
    assert_eq!(passcode(&client, &line).await.json, json!({ "unlocked": true }));
    assert_eq!(present(PIN).await, 201);
    assert_eq!(passcode(&client, &line).await.json, json!({ "unlocked": false }));
}

#[tokio::test]
async fn good_lines_of_a_file_are_stored_and_bad_ones_are_told() {
    let client = Client::start().await;
    let hash = String::from(HashedSecret::of("correct horse", [7; 16]));
    let text = format!(
        "id,username,email,phone,pin,password_hash\n\
         1,one,one@example.com,+14155550101,1793,\"{hash}\"\n\
         2,ONE,two@example.com,,1793,\n\
         3,ada,three@example.com,,1793,\n\
         4,four,four,4155550101,4321,hunter2hunter2\n\
         1,five,,,,\n\
         6,,,,,\n"
    );
    let file = Scratch::new("users.csv", &text);
    let line = format!("user import demo {}", file.0.display());
    let dry = passcode(&client, &format!("{line} --dry-run")).await;
    assert_eq!(dry.text, "would store 2, would refuse 4; nothing is stored", "{dry:?}");
    assert_eq!(stored(&client, "1").await, None, "a rehearsal stores nothing");

    let imported = passcode(&client, &line).await;
    assert_eq!(imported.text, "stored 2, refused 4");
    let faults = imported.json["faults"].as_array().expect("a list").iter();
    let fields: Vec<_> = faults.map(|f| format!("{}{}", f["line"], f["field"])).collect();
    let expected = ["3username", "4username", "5email", "5phone", "5pin", "5password_hash", "6id"];
    assert_eq!(fields.join(" ").replace('"', ""), expected.join(" "));
    for secret in ["1793", "4321", "hunter2", "4155550101"] {
        assert!(!format!("{imported:?}").contains(secret), "{imported:?}");
    }
    let one = stored(&client, "1").await.expect("stored");
    assert!(one.pin.is_some_and(|pin| pin.matches("1793")));
    assert!(one.password.is_some_and(|password| password.matches("correct horse")));
    assert!(stored(&client, "6").await.is_some() && stored(&client, "3").await.is_none());
}

#[tokio::test]
async fn a_file_imported_again_changes_what_it_names_and_nothing_else() {
    let client = Client::start().await;
    let id = "63fcedad5ab92b52bfbf5125";
    let before = stored(&client, id).await.expect("the demo user");
    let text = format!("{{\"id\":\"{id}\",\"username\":\"countess\",\"pin\":null}}\n");
    let file = Scratch::new("users.jsonl", &text);
    for _ in 0..2 {
        let line = format!("user import demo {}", file.0.display());
        assert_eq!(passcode(&client, &line).await.text, "stored 1, refused 0");
    }
    let after = stored(&client, id).await.expect("the demo user");
    assert_eq!(after.username, "countess".parse().ok());
    assert_eq!(User { username: before.username.clone(), ..after }, before);
}

async fn sent(client: &Client) -> (String, String) {
    let id = client.create(json!({ "phoneNumber": "4155550100", "countryCode": "1" })).await;
    assert_eq!(client.initiate(&id, "SMS").await.0, 200);
    (id, client.last_code(PHONE).await)
}

#[tokio::test]
async fn a_code_outlives_one_rotation() {
    let client = Client::start().await;
    let (id, code) = sent(&client).await;
    let before = passcode(&client, "keys show").await;
    assert!(before.json["previous"].is_null(), "{before:?}");
    let rotated = passcode(&client, "keys rotate").await;
    assert_eq!(rotated.json["previous"], before.json["current"]);
    assert_eq!(rotated.json["signing"]["previous"], before.json["signing"]["current"]);
    assert_eq!(passcode(&client, "keys show").await.json, rotated.json);
    // The function reads its keyring now, for the first time.
    assert_eq!(client.verify(&id, &code).await.0, 200);
}

#[tokio::test]
async fn two_rotations_end_a_code() {
    let client = Client::start().await;
    let (id, code) = sent(&client).await;
    passcode(&client, "keys rotate").await;
    passcode(&client, "keys rotate").await;
    assert_eq!(client.verify(&id, &code).await.0, 400);
}

#[tokio::test]
async fn what_cannot_be_done_to_an_app_is_refused_with_the_reason() {
    let client = Client::start().await;
    let until = "--until 2999-12-31";
    for (line, reason) in [
        ("app create demo --name Demo", "the app demo exists already"),
        ("app create a/b --name Demo", "an app id is 1 to 64 letters"),
        ("app create shop --name Shop colour=red", "`colour`: no such setting"),
        ("app create shop --name Shop issuer.url=https://id.example", "missing field `audience`"),
        ("app show shop", "no app is named shop; `passcode app create` makes one"),
        ("app set shop blocked=true", "no app is named shop"),
        ("app set demo host=shop.example browser.origins=*", "browser.origins must each be"),
        ("app rotate-secret shop", "no app is named shop"),
        ("app rotate-admin-key shop --now", "no app is named shop"),
        ("app test-address list shop", "no app is named shop"),
        (&format!("app test-address add shop a@b.example --code 1234 {until}"), "is named shop"),
        (&format!("app test-address add demo 4155550199 --code 1234 {until}"), "valid phone"),
        (&format!("app test-address add demo a@b.example --code 123 {until}"), "4 to 10 digits"),
        (&format!("app test-address add demo a@b.example {until}"), "--code <DIGITS>"),
        ("app test-address add demo a@b.example --code 1234", "--until <YYYY-MM-DD>"),
        ("app test-address add demo a@b.example --code 1234 --until soon", "as in 2026-12-31"),
        ("app test-address add demo a@b.example --code 1234 --until 2020-01-31", "is over"),
        ("app test-address remove demo a@b.example", "demo has no test address a@b.example"),
        ("app delete shop", "no app is named shop"),
    ] {
        let error = run(&client, line, "").await.expect_err(line);
        assert!(error.contains(reason), "{line}: {error}");
    }
    let demo = passcode(&client, "app show demo").await;
    assert_eq!(
        (&demo.json["host"], &demo.json["test_addresses"]),
        (&json!("example.com"), &json!([]))
    );
}

/// Stores an app's document as it is, as an edit by hand would.
async fn store_by_hand(client: &Client, id: &str, document: &Value) {
    use aws_sdk_dynamodb::types::AttributeValue::S;
    let aws = aws::config(&client.stack.settings("")).expect("settings");
    let table = aws_sdk_dynamodb::Client::new(&aws).put_item().table_name("AppTable");
    let item = table.item("app", S(id.to_owned())).item("document", S(document.to_string()));
    item.send().await.expect("stored");
}

#[tokio::test]
async fn no_command_stores_what_cannot_be_read_again() {
    let client = Client::start().await;
    for (code, reason) in
        [("1234", "at least 6 digits"), ("111111", "one digit repeated"), ("345678", "a series")]
    {
        let line =
            format!("app test-address add demo a@b.example --code {code} --until 2999-12-31");
        let refused = run(&client, &line, "").await.expect_err(code);
        assert!(refused.contains(reason), "{refused}");
    }
    assert_eq!(passcode(&client, "app show demo").await.json["test_addresses"], json!([]));
    client.create(json!({ "email": "ada@example.com" })).await;
}

#[tokio::test]
async fn a_broken_app_is_served_shown_mended_and_deleted() {
    let client = Client::start().await;
    shop(&client).await;
    let document = json!({
        "id": "demo", "name": "Demo", "policy": { "max_attempts": 0 }, "colour": "red",
        "secrets": [SecretHash::of("demo-secret"), 7], "email": { "from": 1 },
        "test_addresses": [{ "address": "a@b.example", "code": "1234", "until": u64::MAX }],
    });
    store_by_hand(&client, "demo", &document).await;
    let id = client.create(json!({ "email": "ada@example.com" })).await;
    assert_eq!(client.initiate(&id, "EMAIL").await.0, 200);
    let code = client.last_code("ada@example.com").await;
    assert_eq!(client.verify(&id, &code).await.0, 200);
    let parts =
        json!(["colour", "email.from", "policy.max_attempts", "secrets[1]", "test_addresses[0]"]);
    let shown = passcode(&client, "app show demo").await;
    assert_eq!((&shown.json["dropped_parts"], &shown.json["secrets"]), (&parts, &json!(1)));
    let mended = passcode(&client, "app set demo policy.max_attempts=3").await;
    assert!(mended.text.contains("No longer stored"), "{}", mended.text);
    let shown = passcode(&client, "app show demo").await;
    assert_eq!(shown.json["dropped_parts"], Value::Null, "{}", shown.text);
    store_by_hand(&client, "demo", &json!("nothing of an app")).await;
    assert_eq!(passcode(&client, "app show demo").await.json["blocked"], true);
    passcode(&client, "app delete demo").await;
    assert!(run(&client, "app show demo", "").await.is_err(), "it is gone");
}

/// Makes an app, and an admin key of it.
async fn shop(client: &Client) -> String {
    let made = passcode(
        client,
        "app create shop --name Shop host=shop.example guard.allowed_countries.countries=US,CA",
    )
    .await;
    assert!(made.json["clientSecret"].is_string(), "{made:?}");
    assert_eq!(passcode(client, "app show shop").await.json["admin_keys"], 0);
    new_key(client, "").await
}

async fn new_key(client: &Client, flag: &str) -> String {
    let output = passcode(client, &format!("app rotate-admin-key shop {flag}")).await;
    let key = output.json["adminKey"].as_str().expect("a key").to_owned();
    assert!(output.text.contains(&key));
    let shown = passcode(client, "app show shop").await;
    assert!(!format!("{shown:?}").contains(&key), "once");
    key
}

/// Calls one of ZAP's endpoints at a host.
async fn zap(client: &Client, host: &str, key: &str, path: &str, body: &Value) -> (u16, Value) {
    let request = client.request("POST", path, false).header("host", host).bearer_auth(key);
    client.send(request.json(body)).await
}

#[tokio::test]
async fn an_admin_key_opens_the_hosts_that_name_its_app_and_no_others() {
    let client = Client::start().await;
    let first = shop(&client).await;
    let second = new_key(&client, "").await;
    let body = json!({ "userId": "42", "phoneNumber": PHONE });
    for (host, key, status) in [
        ("demo.passcode.example", first.as_str(), 401),
        ("nobody.passcode.example", &first, 401),
        ("127.0.0.1", &first, 401),
        ("shop.passcode.example", "demo-admin", 401),
        ("shop.passcode.example", "", 401),
        ("shop.passcode.example", &first, 200),
        ("shop.passcode.example", &second, 429),
        ("nobody.passcode.example", "demo-admin", 200),
    ] {
        let (found, body) = zap(&client, host, key, "/v1/otp", &body).await;
        assert_eq!(found, status, "{host} {body}");
    }
    // A function that has not read the app yet has nothing to forget.
    let third = new_key(&client, "--now").await;
    let body = json!({ "identity": PHONE, "otp": client.last_code(PHONE).await });
    for (key, status) in [(&first, 401), (&second, 401), (&third, 400)] {
        let host = "shop.passcode.example";
        assert_eq!(zap(&client, host, key, "/v1/otp/verify", &body).await.0, status);
    }
}

#[tokio::test]
async fn an_app_that_is_made_and_set_up_serves_its_own_browsers() {
    let client = Client::start().await;
    shop(&client).await;
    let issuer = "issuer.url=https://id.example issuer.audience=api";
    let origins = "browser.origins=https://a.example,https://b.example";
    let set = passcode(&client, &format!("app set shop {issuer} {origins}")).await;
    assert_eq!(set.json["issuer"], json!({ "url": "https://id.example", "audience": "api" }));
    let mut shown = passcode(&client, "app show shop").await.json;
    assert_eq!(shown["warnings"], json!([]));
    shown.as_object_mut().expect("an object").remove("warnings");
    assert_eq!(shown, set.json);
    let body = json!({ "identifier": { "type": "phone_number", "value": PHONE } });
    for (host, origin, is_served) in [
        ("shop.passcode.example", "https://c.example", false),
        ("demo.passcode.example", "https://a.example", false),
        ("shop.passcode.example", "https://a.example", true),
        ("shop.passcode.example", "https://b.example", true),
    ] {
        let request = client.request("POST", "/v1/session/otp", false).header("host", host);
        let answer = request.header("origin", origin).json(&body).send().await.expect("an answer");
        let allowed = answer.headers().get("access-control-allow-origin");
        assert_eq!(allowed.is_some(), is_served, "{host} {origin} {}", answer.status());
    }
}

#[tokio::test]
async fn nothing_reaches_a_test_address_and_its_code_verifies() {
    let client = Client::start().await;
    let key = shop(&client).await;
    for line in ["+1(415)555-0199 --code 998877", "+14155550199 --code 424242"] {
        let line = format!("app test-address add shop {line} --until 2999-12-31");
        let output = passcode(&client, &line).await;
        let stored = output.json["test_addresses"].as_array().expect("a list");
        assert_eq!((stored.len(), &stored[0]["address"]), (1, &json!("+14155550199")));
        assert!(output.text.ends_with("until 2999-12-31"), "{}", output.text);
    }
    let (host, phone) = ("shop.passcode.example", "+14155550199");
    let body = json!({ "userId": "42", "phoneNumber": phone });
    assert_eq!(zap(&client, host, &key, "/v1/otp", &body).await.0, 200);
    assert!(client.messages(phone).await.is_empty());
    for (otp, status) in [("998877", 400), (&TestWorld::wrong("424242"), 400), ("424242", 200)] {
        let body = json!({ "identity": phone, "otp": otp });
        assert_eq!(zap(&client, host, &key, "/v1/otp/verify", &body).await.0, status, "{otp}");
    }
    // To another app it is an address like any other.
    let id = client.create(json!({ "phoneNumber": "4155550199", "countryCode": "1" })).await;
    assert_eq!(client.initiate(&id, "SMS").await.0, 200);
    assert_eq!(client.messages(phone).await.len(), 1);
    let removed = passcode(&client, &format!("app test-address remove shop {phone}")).await;
    assert_eq!(removed.text, "shop has no test addresses");
    assert_eq!(passcode(&client, "app test-address list shop").await.json, removed.json);
}

/// A log of messages to neighbours that nobody verifies, one a minute, the newest first.
fn pumped() -> Scratch {
    let line = |n: u32| {
        let (minute, to) = (n % 60, format!("+1415555{n:04}"));
        let at = format!("2026-11-20T{:02}:{minute:02}:00Z", 9 + n / 60);
        json!({ "at": at, "event": "send", "id": n.to_string(), "to": to, "ip": "192.0.2.1" })
    };
    let lines: Vec<String> = (0..90).rev().map(|n| line(n).to_string()).collect();
    Scratch::new("pumped.jsonl", &lines.join("\n"))
}

#[tokio::test]
async fn what_cannot_be_simulated_is_refused_with_the_reason() {
    let client = Client::start().await;
    let (log, empty) = (pumped(), Scratch::new("empty.jsonl", "\n"));
    let (log, empty) = (log.0.display(), empty.0.display());
    for (line, reason) in [
        ("guard simulate /nowhere.jsonl".to_owned(), "/nowhere.jsonl: "),
        (format!("guard simulate {empty}"), "no send is in it"),
        (format!("guard simulate {log} --app shop"), "no app is named shop"),
        (format!("guard simulate {log} --set host=shop.example"), "only settings of the guard"),
        (format!("guard simulate {log} --set guard.burst=0"), "burst must be 1 to 100"),
        (format!("guard simulate {log} --picture pumped.png"), "must be named .svg"),
    ] {
        let error = run(&client, &line, "").await.expect_err(&line);
        assert!(error.contains(reason), "{line}: {error}");
    }
    let text = "{\"at\":1,\"event\":\"send\",\"id\":\"c1\",\"to\":\"4155550100\"}\n{}\n";
    let bad = Scratch::new("bad.jsonl", text);
    let output = passcode(&client, &format!("guard simulate {}", bad.0.display())).await;
    assert_eq!(output.text, "2 lines cannot be read; nothing is simulated");
    let faults: Vec<_> = output.faults.iter().filter_map(|fault| fault.split(':').nth(2)).collect();
    assert_eq!(faults, [" at", " missing field `at`"]);
    assert!(!format!("{output:?}").contains("4155550100"), "{output:?}");
}

#[tokio::test]
async fn a_log_is_simulated_by_an_apps_guard_and_by_settings_that_are_not_stored() {
    let client = Client::start().await;
    let (log, picture) = (pumped(), Scratch::new("pumped.svg", ""));
    let line = format!("guard simulate {}", log.0.display());
    let refused = |output: &Output| {
        let rule = output.json["rules"].as_array().and_then(|rules| rules.last()).expect("rules");
        (rule["mode"].clone(), rule["refused"].clone(), output.json["together"]["refused"].clone())
    };
    let new = passcode(&client, &line).await;
    assert_eq!(refused(&new), (json!("enforce"), json!(70), json!(80)));
    let demo = passcode(&client, &format!("{line} --app demo")).await;
    assert_eq!(refused(&demo), (json!("shadow"), json!(70), json!(30)), "as the app has it");
    let before = passcode(&client, "app show demo").await.json;
    let settings = "--set guard.prefix_concentration.floor=25 --set guard.sends_per_ip.mode=off";
    let picture = picture.0.display();
    let line = format!("{line} --app demo {settings} --picture {picture}");
    let tried = passcode(&client, &line).await;
    assert_eq!(refused(&tried), (json!("shadow"), json!(40), json!(0)));
    assert_eq!(passcode(&client, "app show demo").await.json, before, "nothing is stored");
    let drawn = std::fs::read_to_string(picture.to_string()).expect("a picture");
    assert!(drawn.starts_with("<svg") && drawn.contains("prefix_concentration"));
}

/// Signs Ada in by her phone, without a key: the cookie of the session.
async fn signed_in(client: &Client) -> String {
    let identifier = json!({ "type": "phone_number", "value": PHONE });
    let login = client.request("POST", "/v1/session/login/otp", false);
    let sent = login.json(&json!({ "identifier": identifier })).send().await.expect("an answer");
    let cookie = |answer: &reqwest::Response| {
        let cookie = answer.headers()["set-cookie"].to_str().expect("text").to_owned();
        cookie.split(';').next().expect("a pair").to_owned()
    };
    let check = client.request("POST", "/v1/session/login/otp/check", false);
    let check = check.header("cookie", cookie(&sent));
    let code = json!({ "code": client.last_code(PHONE).await });
    let begun = check.json(&code).send().await.expect("an answer");
    assert_eq!(begun.status(), 200);
    client.pass_cool_down();
    cookie(&begun)
}

#[tokio::test]
async fn an_administrator_sees_and_ends_a_users_sessions() {
    let client = Client::start().await;
    let refresh = async |cookie: &str| {
        let request = client.request("POST", "/v1/session/refresh", false);
        let answer = request.header("cookie", cookie).send().await.expect("an answer");
        answer.status().as_u16()
    };
    let nothing = passcode(&client, &format!("session list demo {PHONE}")).await;
    assert!(nothing.text.ends_with("has no session."), "{}", nothing.text);
    let (first, second) = (signed_in(&client).await, signed_in(&client).await);
    let listed = passcode(&client, &format!("session list demo {PHONE}")).await;
    let sessions = listed.json["sessions"].as_array().expect("a list");
    assert_eq!((sessions.len(), listed.text.lines().count()), (2, 3), "{}", listed.text);
    assert!(listed.text.lines().all(|line| line.len() <= 100), "{}", listed.text);
    let user = listed.json["user"].as_str().expect("a user");
    let by_sub = passcode(&client, &format!("session list demo {user}")).await;
    assert_eq!(by_sub.json, listed.json);
    let last = sessions[0]["id"].as_str().expect("an id");
    passcode(&client, &format!("session revoke demo {PHONE} --session {last}")).await;
    let gone = run(&client, &format!("session revoke demo {PHONE} --session {last}"), "").await;
    assert!(gone.expect_err("it is over").contains("has no session ses_"));
    assert_eq!((refresh(&second).await, refresh(&first).await), (401, 200));
    let ended = passcode(&client, &format!("session revoke demo {PHONE}")).await;
    assert_eq!(ended.json, json!({ "ended": 1 }));
    assert_eq!(refresh(&first).await, 401);
    for odd in ["session list nobody +14155550100", "session list demo +1", "session list demo a@"]
    {
        assert!(run(&client, odd, "").await.is_err(), "{odd}");
    }
}

#[tokio::test]
async fn an_administrator_sees_how_a_challenge_stands_and_no_code() {
    let client = Client::start().await;
    let id = client.create(json!({ "phoneNumber": "4155550100", "countryCode": "1" })).await;
    let show = async |id: &str| passcode(&client, &format!("challenge show demo {id}")).await;
    assert_eq!(show(&id).await.json, json!({ "state": "not sent" }));
    client.initiate(&id, "SMS").await;
    let code = client.last_code(PHONE).await;
    client.verify(&id, &TestWorld::wrong(&code)).await;
    let pending = show(&id).await;
    assert_eq!(pending.json["state"], "pending");
    assert_eq!(pending.json["attempts"], json!({ "wrong": 1, "max": 5 }));
    assert_eq!(pending.json["sends"][0]["channel"], "sms");
    assert_eq!(pending.text.lines().count(), 6, "{}", pending.text);
    let message = client.messages(PHONE).await[0].id.clone();
    let report = json!({ "id": message, "event": "text-delivered" });
    assert_eq!(client.post("/_local/receipts", report).await.0, 200);
    let delivered = show(&id).await;
    assert_eq!(delivered.json["sends"][0]["receipt"]["state"], "delivered");
    assert!(delivered.text.contains("delivered: it has arrived"), "{}", delivered.text);
    client.verify(&id, &code).await;
    let verified = show(id.trim_start_matches("ARID_")).await;
    assert_eq!(verified.json["state"], "verified");
    for output in [&pending, &verified] {
        for secret in [code.as_str(), "4155550100"] {
            assert!(!output.text.contains(secret), "{}", output.text);
            assert!(!output.json.to_string().contains(secret), "{}", output.json);
        }
    }
    let unknown = "ARID_ORTTY3PENRMEHZ4GFK6T3UGGSMKXBJT6KTWNE2MLMFWNVBRMI7UA";
    assert_eq!(show(unknown).await.json, json!({ "state": "not found" }));
    for odd in ["challenge show demo x", "challenge show nobody ARID_A"] {
        assert!(run(&client, odd, "").await.is_err(), "{odd}");
    }
}
