//! Ledgers, apps and users: in memory, in the embedded DynamoDB, in AWS's DynamoDB Local.

use crate::peer::{answering, losing_the_first_answer, silent};
use aws_sdk_dynamodb::types::AttributeValue;
use passcode::{
    local::Stack,
    template::{self, Template},
};
use passcode_domain::{
    Addresses, App, ChallengeId, Ledger, PresentedCode, SessionId, SessionKey, User, UserKey,
    World,
    action::{
        Failure,
        open::Open,
        send::{self, SendTarget, Sent},
        session as sessions,
        verify::{self, Outcome, VerifyTarget},
    },
    ports::{
        Entropy as _, LoadApps as _, LoadKeyring as _, LoadLedgers, LoadUsers as _, StoreError,
        StoreLedgers as _, StoreUserError, StoreUsers as _,
    },
    secret::refresh::RefreshToken,
    session::{Refresh, RefreshRefusal},
    value::id::ItemKey,
};
use passcode_dynamodb::{
    AppTable, CALL_TIMEOUT, ChallengeTable, CounterTable, SessionTable, UserChanges, UserTable,
};
use passcode_runtime::{Adapters, SystemClock, SystemEntropy};
use passcode_testkit::{
    FakeApps, FakeClock, FakeCounters, FakeEntropy, FakeKeyring, FakeLedgers, FakeSessions,
    FakeUsers, TestWorld, conformance, demo_app,
};
use passcode_tests::{
    aws::{aws_at, make_tables},
    event::root,
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

fn the_template() -> Template {
    template::read(&root().join("template.yaml")).expect("template.yaml is good")
}

pub(crate) async fn embedded() -> Stack {
    let observer = Arc::new(|_: &str, _: &passcode_runtime::Observed| {});
    Stack::in_memory(&the_template(), observer).await.expect("the stack starts")
}

fn user_table(url: &str) -> UserTable {
    UserTable::new(&aws_at(url), "UserTable".to_owned())
}

fn session_table(url: &str) -> SessionTable {
    SessionTable::new(&aws_at(url), "SessionTable".to_owned())
}

pub(crate) fn counter_table(url: &str) -> CounterTable {
    CounterTable::new(&aws_at(url), "CounterTable".to_owned())
}

pub(crate) fn challenge_table(url: &str) -> ChallengeTable {
    ChallengeTable::new(&aws_at(url), "ChallengeTable".to_owned())
}

#[tokio::test]
async fn the_fakes_keep_the_promises() {
    conformance::ledgers(&FakeLedgers::default(), &FakeEntropy::default()).await;
    conformance::sessions(&FakeSessions::default(), &FakeEntropy::default()).await;
    conformance::counters(&FakeCounters::default(), &FakeEntropy::default()).await;
    conformance::apps(&FakeApps::default()).await;
    conformance::users(&FakeUsers::default()).await;
    let both = FakeUsers::default();
    conformance::changes(&both.ledgers, &both, &both, &FakeEntropy::default()).await;
    conformance::clock(&FakeClock::default()).await;
    conformance::entropy(&FakeEntropy::default());
}

#[tokio::test]
async fn clock_and_entropy_keep_the_promises() {
    conformance::clock(&SystemClock).await;
    conformance::entropy(&SystemEntropy);
}

#[tokio::test]
async fn a_throttled_store_is_unavailable_and_is_tried_again() {
    const THROTTLED: &str =
        r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}"#;
    let (url, asked) = answering(400, THROTTLED).await;
    let loaded = challenge_table(&url).load::<Ledger>(&ItemKey::from_bytes([1; 16])).await;
    let Err(StoreError::Unavailable(cause)) = loaded else { panic!("{loaded:?}") };
    let named = "refused, ProvisionedThroughputExceededException, status 400";
    assert_eq!(cause.to_string(), named);
    assert_eq!(asked.load(Ordering::SeqCst), 3, "three tries");
}

#[tokio::test]
async fn settings_that_break_a_promise_are_dropped_however_they_were_stored() {
    let stack = embedded().await;
    let client = aws_sdk_dynamodb::Client::new(&aws_at(&stack.dynamodb));
    let apps = AppTable::new(&aws_at(&stack.dynamodb), "AppTable".to_owned());
    for (document, part) in [
        (
            r#"{"id":"shop","name":"Shop","secrets":[],"policy":{"code_seconds":86400}}"#,
            "policy.code_seconds",
        ),
        (r#"{"id":"shop","name":"Shop","secrets":[],"templates":{"t":"sms = hi"}}"#, "templates.t"),
        (r#"{"id":"demo","name":"Shop","secrets":[]}"#, "id"),
        (r#"{"id":"shop","name":"Shop","secrets":[],"typo":1}"#, "typo"),
        ("demo-secret", "document"),
    ] {
        let value = |text: &str| AttributeValue::S(text.to_owned());
        let item = client.put_item().table_name("AppTable").item("app", value("shop"));
        item.item("document", value(document)).send().await.expect("stored by hand");
        let loaded = apps.load_app(&"shop".parse().expect("an id")).await;
        let app = loaded.expect("no error").expect("it is there");
        assert_eq!(
            (app.dropped_parts.as_slice(), app.validate()),
            (&[part.to_owned()][..], Ok(()))
        );
    }
}

#[tokio::test]
async fn the_embedded_dynamodb_keeps_the_promises() {
    let stack = embedded().await;
    conformance::ledgers(&challenge_table(&stack.dynamodb), &SystemEntropy).await;
    conformance::sessions(&session_table(&stack.dynamodb), &SystemEntropy).await;
    conformance::counters(&counter_table(&stack.dynamodb), &SystemEntropy).await;
    let apps = AppTable::new(&aws_at(&stack.dynamodb), "AppTable".to_owned());
    conformance::apps(&apps).await;
    conformance::users(&user_table(&stack.dynamodb)).await;
    check_changes(&stack.dynamodb).await;
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_a_success_and_no_conflict() {
    let stack = embedded().await;
    let lossy = losing_the_first_answer(stack.dynamodb.clone()).await;
    let world = TestWorld::default();
    let key = ItemKey::from_bytes([9; 16]);
    let ledger = Ledger::new(world.app.id.clone());
    let stored = challenge_table(&lossy).store(&key, &ledger, 0).await;
    assert_eq!(stored.expect("the retry recognises its own write"), 1);
    let direct = challenge_table(&stack.dynamodb);
    assert_eq!(direct.load::<Ledger>(&key).await.expect("loads").version, 1);
    let again = direct.store(&key, &ledger, 0).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "somebody else's write stays a conflict");
}

#[tokio::test]
async fn a_store_that_never_answers_holds_a_request_for_a_bounded_time() {
    let (url, asked) = silent().await;
    let began = Instant::now();
    let loaded = challenge_table(&url).load::<Ledger>(&ItemKey::from_bytes([1; 16])).await;
    assert!(matches!(loaded, Err(StoreError::Unavailable(_))));
    assert!(began.elapsed() < CALL_TIMEOUT + Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(asked.load(Ordering::SeqCst) > 1, "reading is tried again");
}

type Stored = TestWorld<ChallengeTable, CounterTable>;

/// A world whose tables are these. Its app is its own: the failures of one storm must not lock the
/// subject of the next.
fn stored(url: &str) -> Stored {
    let id = data_encoding::BASE32_NOPAD.encode(&SystemEntropy.bytes::<16>());
    let app = App { id: id.parse().expect("an app id"), ..demo_app() };
    TestWorld::on(app, challenge_table(url), counter_table(url))
}

/// Opens and sends a challenge, and returns it with its code.
async fn sent(world: &Stored) -> (ChallengeId, String) {
    let addresses = Addresses::from(TestWorld::phone());
    let life = Duration::from_mins(5);
    let opening = Open::new(&world.app, world.keys(), &SystemEntropy, addresses, life);
    let target = SendTarget::Ordered(&opening, &world.app);
    let options = TestWorld::options(passcode_domain::Channel::Sms);
    let sent = send::send(world, world.keys(), target, &options).await;
    let Sent::Sent(id, _) = sent.expect("the store answers").sent else {
        panic!("the message goes out");
    };
    (id, world.last_code())
}

/// The same tables for callers who wait in earnest after a conflict.
fn waiting(
    world: &Stored,
) -> impl World<Ledgers = ChallengeTable, Counters = CounterTable, Keyring = FakeKeyring> + Send + use<>
{
    Adapters {
        apps: (),
        users: (),
        ledgers: world.ledgers.clone(),
        sessions: (),
        counters: world.counters.clone(),
        tokens: (),
        keyring: world.keyring.clone(),
        signing_keys: (),
        couriers: (),
        clock: SystemClock,
    }
}

/// Callers present codes at the same moment.
async fn present(
    world: &Stored,
    id: ChallengeId,
    codes: Vec<String>,
) -> Vec<Result<Outcome, Failure>> {
    let present = |code: String| {
        let world = waiting(world);
        tokio::spawn(async move {
            let presented = PresentedCode::parse(&code).expect("a code");
            let verified = verify::verify(&world, VerifyTarget::Held(id), &presented).await;
            verified.map(|verification| verification.outcome)
        })
    };
    let callers: Vec<_> = codes.into_iter().map(present).collect();
    let mut outcomes = Vec::new();
    for caller in callers {
        outcomes.push(caller.await.expect("no panic"));
    }
    outcomes
}

/// `tasks` callers present codes at the same moment, every fourth the right one.
async fn storm(url: &str, tasks: usize) -> Vec<Result<Outcome, Failure>> {
    let world = stored(url);
    let (id, code) = sent(&world).await;
    let wrong = TestWorld::wrong(&code);
    let codes = (0..tasks).map(|n| if n % 4 == 0 { &code } else { &wrong }.clone());
    present(&world, id, codes.collect()).await
}

/// At most one success and five revealed outcomes; and a success unless wrong codes came first.
fn check_storm(outcomes: &[Result<Outcome, Failure>]) {
    let count = |wanted: fn(&Outcome) -> bool| {
        outcomes.iter().filter(|outcome| outcome.as_ref().is_ok_and(wanted)).count()
    };
    let verified = count(|outcome| matches!(outcome, Outcome::Verified(_)));
    let incorrect = count(|outcome| matches!(outcome, Outcome::Incorrect));
    assert!(verified <= 1, "{verified} successes");
    assert!(verified + incorrect <= 5, "{verified} + {incorrect} revealed outcomes");
    assert!(verified == 1 || incorrect == 5, "{verified} + {incorrect}: {outcomes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_callers_share_one_success_and_the_attempts() {
    let stack = embedded().await;
    for _ in 0..4 {
        check_storm(&storm(&stack.dynamodb, 64).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_right_codes_are_one_success() {
    let stack = embedded().await;
    let world = stored(&stack.dynamodb);
    let (id, code) = sent(&world).await;
    let outcomes = present(&world, id, vec![code; 64]).await;
    let is_success = |outcome: &&Result<_, _>| matches!(outcome, Ok(Outcome::Verified(_)));
    assert_eq!(outcomes.iter().filter(is_success).count(), 1);
}

/// 64 clients refresh a session at the same moment: all of them get the one next token, as two tabs do; and a
/// token that was spent before ends the session for all.
async fn check_refreshes(url: &str) {
    let world = TestWorld::default();
    let world = Arc::new(Adapters {
        apps: (),
        users: (),
        ledgers: (),
        sessions: session_table(url),
        counters: (),
        tokens: (),
        keyring: world.keyring.clone(),
        signing_keys: (),
        couriers: (),
        clock: SystemClock,
    });
    let (keys, app) = (TestWorld::default(), demo_app());
    let [user, session] = [(); 2].map(|()| SystemEntropy.bytes::<16>());
    let key =
        SessionKey { user: UserKey::from_bytes(user), session: SessionId::from_bytes(session) };
    let opening = conformance::a_session(&keys, key);
    let begun = sessions::begin(&*world, keys.keys(), &opening).await.expect("an outcome");
    let first = begun.expect("it begins").token;
    let refresh = |token: RefreshToken| {
        let (world, app) = (world.clone(), app.id.clone());
        tokio::spawn(async move {
            let keyring = world.keyring().keyring().await.expect("a keyring");
            let refresh = Refresh { token, proof: None, step_up: None };
            sessions::refresh(&*world, &keyring, &app, &refresh).await
        })
    };
    let callers: Vec<_> = (0..64).map(|_| refresh(first.clone())).collect();
    let mut next = Vec::new();
    for caller in callers {
        match caller.await.expect("no panic") {
            Ok(refreshed) => next.push(refreshed.expect("the session lives").refreshed.token),
            // It may also be that somebody is asked to come back.
            Err(Failure::Contended) => {}
            Err(failure) => panic!("{failure}"),
        }
    }
    assert!(!next.is_empty() && next.iter().all(|token| *token == next[0]), "{}", next.len());
    let second = refresh(next[0].clone()).await.expect("no panic").expect("an outcome");
    let second = second.expect("it lives").refreshed.token;
    let spent = refresh(first).await.expect("no panic").expect("an outcome");
    assert_eq!(spent.err(), Some(RefreshRefusal::Reused));
    let over = refresh(second).await.expect("no panic").expect("an outcome");
    assert_eq!(
        over.err(),
        Some(RefreshRefusal::NotFound),
        "for the one who has the last token too"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_refreshes_are_one_and_a_spent_token_ends_the_session() {
    check_refreshes(&embedded().await.dynamodb).await;
}

async fn check_changes(url: &str) {
    let changes = UserChanges::new(&aws_at(url), "ChallengeTable".into(), "UserTable".into());
    let (ledgers, users) = (challenge_table(url), user_table(url));
    conformance::changes(&ledgers, &users, &changes, &SystemEntropy).await;
}

/// Users that all want one name, which another has just given up: one gets it, and it leads there.
async fn check_name_rush(url: &str, name: &str) {
    let users = user_table(url);
    let user = |id: &str| User::new("rush".parse().expect("an id"), id.parse().expect("an id"));
    let named = |id: &str| User { username: Some(name.parse().expect("a name")), ..user(id) };
    users.store_user(&named("first")).await.expect("the name is free");
    users.store_user(&user("first")).await.expect("it is given up");
    let callers: Vec<_> = (0..16)
        .map(|n| {
            let (users, user) = (users.clone(), named(&format!("user-{n}")));
            tokio::spawn(async move { (users.store_user(&user).await, user) })
        })
        .collect();
    let mut winners = Vec::new();
    for caller in callers {
        match caller.await.expect("no panic") {
            (Ok(()), user) => winners.push(user),
            // A rush may also end without an answer, but never with two winners.
            (Err(StoreUserError::NameTaken | StoreUserError::Store(_)), _) => {}
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    let (winner, name) = (&winners[0], name.parse().expect("a name"));
    let found = users.load_user_by_name(&winner.app, &name).await.expect("no error");
    assert_eq!(found.as_ref(), Some(winner));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_want_a_name_one_gets_it() {
    let stack = embedded().await;
    for name in ["ada.l", "eve", "x"] {
        check_name_rush(&stack.dynamodb, name).await;
    }
}

#[tokio::test]
async fn a_user_document_that_is_another_users_is_refused() {
    let stack = embedded().await;
    let client = aws_sdk_dynamodb::Client::new(&aws_at(&stack.dynamodb));
    for (document, what) in [
        (r#"{"app":"demo","id":"eve"}"#, "another user"),
        (r#"{"app":"shop","id":"ada"}"#, "another app"),
        (r#"{"app":"demo","id":"ada","pin":"1793"}"#, "a PIN in clear"),
    ] {
        let value = |text: &str| AttributeValue::S(text.to_owned());
        let item = client.put_item().table_name("UserTable").item("user", value("demo/ada"));
        item.item("document", value(document)).send().await.expect("stored by hand");
        let [app, id] = ["demo", "ada"];
        let (app, id) = (app.parse().expect("an id"), id.parse().expect("an id"));
        let loaded = user_table(&stack.dynamodb).load_user(&app, &id).await;
        let Err(StoreError::Unavailable(cause)) = loaded else { panic!("{what}: {loaded:?}") };
        assert!(!cause.to_string().contains("1793"), "{what}: {cause}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs AWS's DynamoDB Local at DYNAMODB_LOCAL_URL; .ci/run starts it"]
async fn awss_dynamodb_local_keeps_the_promises() {
    let url = std::env::var("DYNAMODB_LOCAL_URL").expect("DYNAMODB_LOCAL_URL");
    make_tables(&url, "").await;
    conformance::ledgers(&challenge_table(&url), &SystemEntropy).await;
    conformance::sessions(&session_table(&url), &SystemEntropy).await;
    check_refreshes(&url).await;
    conformance::counters(&counter_table(&url), &SystemEntropy).await;
    crate::guard::check(&url).await;
    crate::capacity::check(&url).await;
    conformance::apps(&AppTable::new(&aws_at(&url), "AppTable".to_owned())).await;
    conformance::users(&user_table(&url)).await;
    check_changes(&url).await;
    check_name_rush(&url, "given-up").await;
    let lossy = losing_the_first_answer(url.clone()).await;
    let ledger = Ledger::new(TestWorld::default().app.id.clone());
    let key = ItemKey::from_bytes([9; 16]);
    assert_eq!(challenge_table(&lossy).store(&key, &ledger, 0).await.expect("stored"), 1);
    for _ in 0..4 {
        check_storm(&storm(&url, 64).await);
    }
}
