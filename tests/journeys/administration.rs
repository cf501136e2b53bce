//! What an administrator does: users and keys, by the commands' own words, on a running stack.

use clap::Parser;
use passcode::{keys, place::Place, told::Told, users};
use passcode_domain::{
    ports::LoadUsers as _,
    user::{HashedSecret, User},
};
use passcode_dynamodb::UserTable;
use passcode_runtime::aws;
use passcode_tests::stack::Client;
use serde_json::json;
use std::path::PathBuf;

const PHONE: &str = "+14155550100";

#[derive(Parser)]
enum Line {
    User(users::Arguments),
    Keys(keys::Arguments),
}

/// Carries out `passcode …`. Whoever is asked for a secret answers with this one.
async fn told(client: &Client, line: &str, secret: &str) -> Result<Told, String> {
    let words = ["passcode"].into_iter().chain(line.split_whitespace());
    let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
    let place = Place::of(&client.stack);
    let ask = |_: &str| Ok(secret.to_owned());
    let told = match &line {
        Line::User(arguments) => users::act(arguments, &place, &ask).await,
        Line::Keys(arguments) => keys::act(arguments, &place).await,
    };
    told.map_err(|error| error.to_string())
}

async fn passcode(client: &Client, line: &str) -> Told {
    told(client, line, "").await.unwrap_or_else(|error| panic!("{line}: {error}"))
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
        let name = format!("passcode-{}-{name}", std::process::id());
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
    ] {
        let error = told(&client, line, secret).await.expect_err(line);
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
        let told = told(&client, line, secret).await.expect(line);
        assert!(!format!("{told:?}").contains(secret), "{told:?}");
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
    assert_eq!(passcode(&client, "keys show").await.json, rotated.json);
    assert!(told(&client, "keys show --secret x", "").await.is_err(), "of a deployed stack only");
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
