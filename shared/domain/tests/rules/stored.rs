//! Stored forms across versions. While functions move to a new version one by one, two versions serve the
//! same subjects. So each reads what the other has stored, and goes on with it. `stored/` has what a version
//! before this one has stored.

use passcode_domain::{
    Addresses, App, ChallengeId, Channel, Ledger, Session, Timestamp, User,
    action::{open, send::SendOptions, verify::Outcome},
    app::session::SessionPolicy,
    guard::Origin,
    ledger::UnsentChallenge,
    ports::{Clock as _, LoadLedgers as _, StoreLedgers as _},
    session::{Device, Opening},
    value::{
        address::Address,
        id::{SessionId, SessionKey, UserKey},
    },
};
use passcode_testkit::{TestWorld, ada, demo_app, schedule::block_on};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{fmt::Debug, fs, path::PathBuf, time::Duration};

/// A ledger, with what its challenge waits for.
#[derive(Debug, Serialize, Deserialize)]
struct Sent {
    id: ChallengeId,
    code: String,
    now: Timestamp,
    ledger: Value,
}

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/rules/stored", &format!("{name}.json")].iter().collect()
}

fn stored<T: DeserializeOwned>(name: &str) -> T {
    let text = fs::read_to_string(path(name)).expect("a record");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// An app whose settings differ from the default ones, also within other settings.
fn app() -> App {
    let mut app = demo_app();
    app.policy.max_attempts = 4;
    app.policy.failed_verifies.per_hour = 50;
    app.session.access_seconds = 90;
    app
}

#[test]
#[ignore = "records what this version stores: before a change of a stored form"]
fn record() {
    let write = |name, item: Value| {
        fs::write(path(name), format!("{item:#}\n")).expect("it can be written");
    };
    let world = TestWorld::of(app());
    let [phone, email] = [Address::Phone(TestWorld::phone()), Address::Email(TestWorld::email())];
    let opening =
        world.opening(Addresses::new(phone.clone(), Some(email)), Duration::from_mins(15));
    let id = opening.id;
    block_on(open::open(&world, world.keys(), &opening)).expect("it is opened");
    let unsent: Value = serde_json::from_str(&world.ledgers.dump()).expect("the only item");
    write("unsent", unsent);
    let options = SendOptions {
        origin: Origin::from(Some("192.0.2.1".parse().expect("an address"))),
        ..TestWorld::options(Channel::Sms)
    };
    block_on(world.send(id, &options)).expect("it is sent");
    let code = world.last_code();
    block_on(world.verify(id, &TestWorld::wrong(&code))).expect("it is tried");
    let ledger = block_on(world.ledgers.load::<Ledger>(&(*id.subject()).into()));
    let ledger = json!(ledger.expect("the store answers").item);
    write("ledger", json!(Sent { id, code, now: world.clock.now(), ledger }));
    write("app", json!(*world.app));
    write("user", json!(User { username: Some("ada".parse().expect("a name")), ..ada() }));
    let opening = Opening {
        key: SessionKey {
            user: UserKey::from_bytes([1; 16]),
            session: SessionId::from_bytes([2; 16]),
        },
        app: world.app.id.clone(),
        user: ada().id,
        address: phone,
        policy: SessionPolicy { access_seconds: 90, ..SessionPolicy::default() },
        nonce: [7; 16],
        device: Device { system: "Linux".to_owned(), ..Device::default() },
        proof: None,
    };
    write("session", json!(Session::begin(&opening, world.clock.now())));
}

/// Every struct of a stored item with a field more, as a later version may add one. Maps have keys that are
/// values, and an address is one of several kinds: what is added to those is a change that takes two versions,
/// one that reads it and then one that stores it.
fn grown(item: &Value) -> Value {
    const NO_STRUCTS: [&str; 7] =
        ["failures", "messages", "to", "or", "address", "window", "step_up"];
    fn grow(item: &Value, is_struct: bool) -> Value {
        let Value::Object(fields) = item else {
            let Value::Array(items) = item else { return item.clone() };
            return items.iter().map(|item| grow(item, true)).collect();
        };
        let inner = |(name, field): (&String, &Value)| {
            (name.clone(), grow(field, !NO_STRUCTS.contains(&name.as_str())))
        };
        let mut grown: serde_json::Map<_, _> = fields.iter().map(inner).collect();
        if is_struct {
            grown.insert("of_a_later_version".to_owned(), json!({ "it": ["is", 1, null] }));
        }
        grown.into()
    }
    grow(item, true)
}

/// What is read of a record is the same with fields of a later version in it, and loses nothing of the record.
fn is_read_across_versions<T>(stored: &Value) -> T
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let read: T = serde_json::from_value(stored.clone()).expect("what a version before stored");
    assert_eq!(json!(read), *stored, "what is stored again lost something");
    let later = grown(stored);
    assert_ne!(later, *stored);
    let later: T = serde_json::from_value(later).expect("what a version after stores");
    assert_eq!(later, read);
    read
}

#[test]
fn what_the_version_before_or_after_has_stored_is_read() {
    is_read_across_versions::<UnsentChallenge>(&stored("unsent"));
    is_read_across_versions::<Session>(&stored("session"));
    is_read_across_versions::<User>(&stored("user"));
    is_read_across_versions::<Ledger>(&stored::<Sent>("ledger").ledger);
}

/// A setting that cannot be divided is on the safe side as a whole: see `app/stored.rs`.
#[test]
fn an_app_of_the_version_after_loses_only_what_is_new() {
    let (document, demo) = (stored::<Value>("app"), app().id);
    let before = App::from_stored(&demo, &document.to_string());
    assert_eq!(before, app());
    let added = "of_a_later_version";
    for at in ["", "/policy", "/policy/failed_verifies", "/session", "/browser", "/guard", "/sms"] {
        let mut later = document.clone();
        later.pointer_mut(at).expect("a setting")[added] = json!({ "it": 1 });
        let mut read = App::from_stored(&demo, &later.to_string());
        let dropped = std::mem::take(&mut read.dropped_parts);
        assert!(dropped.is_empty() || dropped.len() == 1 && dropped[0].ends_with(added), "{at}");
        assert_eq!(read, before, "{at}");
    }
    let mut later = document;
    later["issuer"][added] = json!(1);
    let read = App::from_stored(&demo, &later.to_string());
    assert_eq!((read.issuer, read.dropped_parts), (None, vec!["issuer".to_owned()]));
}

/// The wrong code that the other version has counted counts, and its message's code is right.
#[test]
fn a_challenge_that_the_version_before_or_after_has_sent_is_verified() {
    let sent: Sent = stored("ledger");
    let cases = [(2, "verified"), (3, "exhausted")];
    for (ledger, (wrong, last)) in
        [sent.ledger.clone(), grown(&sent.ledger)].iter().flat_map(|l| cases.map(|case| (l, case)))
    {
        let world = TestWorld::of(app());
        assert_eq!(world.clock.now(), sent.now);
        let ledger: Ledger = serde_json::from_value(ledger.clone()).expect("a ledger");
        let key = (*sent.id.subject()).into();
        block_on(world.ledgers.store(&key, &ledger, 0)).expect("it is stored");
        for _ in 0..wrong {
            let tried = block_on(world.verify(sent.id, &TestWorld::wrong(&sent.code)));
            assert_eq!(tried.expect("a decision"), Outcome::Incorrect);
        }
        let right = block_on(world.verify(sent.id, &sent.code)).expect("a decision");
        assert_eq!(right.as_str(), last, "one was tried before, of four");
    }
}
