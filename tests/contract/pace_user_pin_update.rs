//! `PUT /user/pin`.

use crate::pace::{
    bearer, check_nothing_leaks, check_unavailable, code, create_with_pin, error, negotiates,
    pointer, presenting, refuses_bodies, refuses_strangers, to_second_app, verify, with_second_app,
};
use pace_user_pin_update::handle;
use passcode_domain::{
    Address, AppId, Ledger, PresentedCode, SubjectKey, User, UserChange, UserId, Username,
    action::{change_pin::change_pin, verify::Outcome},
    ports::{ChangeUsers, DeleteUsers as _, LoadUsers, StoreError},
    secret::password::HashedSecret,
    value::id::ItemKey,
};
use passcode_runtime::Adapters;
use passcode_testkit::{
    FakeKeyring, FakeUsers, Fault, PIN, TestWorld, USER_ID, ada,
    schedule::{Task, block_on, every_schedule, interleave},
};
use passcode_tests::event::{Event, Reply, Served, replied, served};
use serde_json::{Value, json};
use std::time::Duration;

const SCOPE: &str = "user:users.pin:update";

/// The PIN that Ada wants.
const NEW: &str = "2806";

/// Answers a request of a caller who is told that `users` is how it stands.
async fn answer_with<U>(world: &TestWorld, users: U, event: &Event) -> Served
where
    U: LoadUsers + ChangeUsers,
{
    let world = Adapters {
        apps: world.apps.clone(),
        users,
        ledgers: world.ledgers.clone(),
        sessions: (),
        counters: (),
        tokens: world.tokens.clone(),
        keyring: world.keyring.clone(),
        signing_keys: (),
        couriers: (),
        clock: world.clock.clone(),
    };
    served(event, async |request, record| handle(&world, request, record).await).await
}

fn call(world: &TestWorld, event: &Event) -> Reply {
    replied(event, block_on(answer_with(world, world.users.clone(), event)))
}

fn recorded() -> Event {
    Event::recorded("pace-user-pin-update", "update")
}

fn document(pin: &str, otp: &str) -> Value {
    json!({ "data": { "type": "pin", "attributes": { "pin": pin, "otp": otp } } })
}

fn update(world: &TestWorld, pin: &str, otp: &str) -> Reply {
    call(world, &recorded().json(&document(pin, otp)))
}

/// Which of the two PINs is Ada's.
fn pins_that_work(world: &TestWorld) -> [bool; 2] {
    [PIN, NEW].map(|pin| create_with_pin(world, pin).status == 201)
}

#[test]
fn strangers_are_refused() {
    refuses_strangers(&recorded(), SCOPE, call);
}

#[test]
fn media_types_are_agreed_on_before_anything_is_looked_at() {
    let world = TestWorld::default();
    negotiates(&recorded().body("{"), false, |event| call(&world, event));
    refuses_bodies(&recorded(), "application/vnd.api+json", |event| call(&world, event));
    assert_eq!(world.ledgers.take_calls(), (0, 0));
}

#[test]
fn what_is_missing_or_mistyped_is_pointed_at_and_spends_nothing() {
    let world = TestWorld::default();
    let attributes =
        |attributes: Value| json!({ "data": { "type": "pin", "attributes": attributes } });
    for (body, expected) in [
        (json!({}), "/data"),
        (json!({ "data": null }), "/data"),
        (json!({ "data": [] }), "/data"),
        (json!({ "data": "pin" }), "/data"),
        (json!({ "data": ["pin", { "pin": NEW, "otp": "123456" }] }), "/data"),
        (attributes(json!([NEW, "123456"])), "/data"),
        (json!({ "data": {} }), "/data/type"),
        (json!({ "data": { "type": 1 } }), "/data/type"),
        (json!({ "data": { "type": "pins", "attributes": {} } }), "/data/type"),
        (json!({ "data": { "type": "pin" } }), "/data/attributes"),
        (json!({ "data": { "type": "pin", "attributes": 5 } }), "/data"),
        (attributes(json!({})), "/data/attributes/pin"),
        (attributes(json!({ "pin": null, "otp": "123456" })), "/data/attributes/pin"),
        (attributes(json!({ "pin": 2806, "otp": "123456" })), "/data/attributes/pin"),
        (attributes(json!({ "pin": "", "otp": "123456" })), "/data/attributes/pin"),
        (attributes(json!({ "pin": NEW })), "/data/attributes/otp"),
        (attributes(json!({ "pin": NEW, "otp": " " })), "/data/attributes/otp"),
        (attributes(json!({ "pin": NEW, "otp": 123_456 })), "/data/attributes/otp"),
        (attributes(json!({ "pin": NEW, "otp": { "code": "123456" } })), "/data/attributes/otp"),
    ] {
        let reply = call(&world, &recorded().json(&body));
        assert_eq!(error(&reply), (422, "invalid-request"), "{body}");
        assert_eq!(pointer(&reply), expected, "{body}");
    }
    assert_eq!(world.ledgers.take_calls(), (0, 0));
}

#[test]
fn a_poor_pin_is_refused_before_the_code_is_looked_at() {
    let world = TestWorld::default();
    let code = code(&world);
    world.ledgers.take_calls();
    for pin in ["280", "28061", "28o6", "2222", "2288", "1234", "9876"] {
        let reply = update(&world, pin, &code);
        assert_eq!(error(&reply), (406, "pin-not-secure"), "{pin}");
        assert_eq!(pointer(&reply), "/data/attributes/pin");
        assert!(!reply.text.contains(pin), "{}", reply.text);
    }
    assert_eq!(world.ledgers.take_calls(), (0, 0));
    assert_eq!(verify(&world, &presenting(&code)).status, 204);
}

#[test]
fn every_code_but_the_right_one_is_refused_alike_and_changes_nothing() {
    let world = TestWorld::default();
    let none = update(&world, NEW, "123456");
    let malformed = update(&world, NEW, "12.34");
    let spent = code(&world);
    let incorrect = update(&world, NEW, &TestWorld::wrong(&spent));
    for _ in 1..5 {
        update(&world, NEW, &TestWorld::wrong(&spent));
    }
    let exhausted = update(&world, NEW, &spent);
    let used = code(&world);
    assert_eq!(verify(&world, &presenting(&used)).status, 204);
    let already_used = update(&world, NEW, &used);
    let old = code(&world);
    world.clock.advance(Duration::from_mins(10));
    let expired = update(&world, NEW, &old);
    for (reply, outcome) in [
        (&none, "not found"),
        (&malformed, "refused"),
        (&incorrect, "incorrect"),
        (&exhausted, "exhausted"),
        (&already_used, "already used"),
        (&expired, "expired"),
    ] {
        assert_eq!((error(reply), reply.outcome), ((403, "otp:invalid"), outcome));
        assert_eq!(reply.text, none.text);
    }
    assert_eq!(pins_that_work(&world), [true, false]);
}

#[test]
fn nobody_changes_the_pin_of_another_user_or_in_another_app() {
    let world = TestWorld::default();
    with_second_app(&world);
    let code = code(&world);
    let event = recorded().json(&document(NEW, &code));
    let eve = bearer(event.clone(), &format!("eve|{SCOPE}"));
    for event in [eve, to_second_app(event)] {
        assert_eq!(error(&call(&world, &event)), (403, "otp:invalid"));
    }
    assert_eq!(verify(&world, &presenting(&code)).status, 204, "the code is still good");
    assert_eq!(pins_that_work(&world), [true, false]);
}

#[test]
fn a_user_who_is_gone_or_was_never_there_is_refused_alike() {
    let world = TestWorld::default();
    let code = code(&world);
    block_on(world.users.delete_user(&world.app.id, &USER_ID.parse().unwrap())).unwrap();
    for otp in [&code, &code, "123456"] {
        assert_eq!(error(&update(&world, NEW, otp)), (403, "otp:invalid"));
    }
    assert_eq!(pins_that_work(&world), [false, false], "nobody was made");
}

#[test]
fn failures_outside_leave_the_pin_and_the_code() {
    let world = TestWorld::default();
    let code = code(&world);
    for faults in [vec![Fault::Unavailable], vec![Fault::Conflict; 12]] {
        world.ledgers.fail_stores(faults);
        check_unavailable(&update(&world, NEW, &code));
    }
    world.users.set_down(true);
    check_unavailable(&update(&world, NEW, &code));
    world.users.set_down(false);
    let no_keys = TestWorld { keyring: FakeKeyring::none(), ..TestWorld::default() };
    check_unavailable(&update(&no_keys, NEW, &code));
    assert_eq!(verify(&world, &presenting(&code)).status, 204);
    assert_eq!(pins_that_work(&world), [true, false]);
}

/// Ada as she was before somebody changed her.
struct Stale(FakeUsers);

impl ChangeUsers for Stale {
    async fn change_user(
        &self,
        key: &ItemKey,
        ledger: &Ledger,
        seen: u64,
        change: &UserChange,
    ) -> Result<u64, StoreError> {
        self.0.change_user(key, ledger, seen, change).await
    }
}

impl LoadUsers for Stale {
    async fn load_user(&self, _: &AppId, _: &UserId) -> Result<Option<User>, StoreError> {
        Ok(Some(User { phone: None, ..ada() }))
    }

    async fn load_user_by_name(&self, _: &AppId, _: &Username) -> Result<Option<User>, StoreError> {
        Ok(None)
    }
}

#[test]
fn a_user_who_has_changed_meanwhile_keeps_everything() {
    let world = TestWorld::default();
    let code = code(&world);
    let event = recorded().json(&document(NEW, &code));
    let stale = Stale(world.users.clone());
    check_unavailable(&replied(&event, block_on(answer_with(&world, stale, &event))));
    let stored = block_on(world.users.load_user(&world.app.id, &USER_ID.parse().unwrap()));
    assert_eq!(stored.unwrap(), Some(ada()));
    assert_eq!(update(&world, NEW, &code).status, 200, "the code is still good");
}

#[test]
fn of_two_changes_with_one_code_one_is_made_in_every_schedule() {
    let hashes = ["2806", "7351"].map(|pin| HashedSecret::of(pin, [3; 16]));
    let count = every_schedule(|choose| {
        let world = TestWorld::default();
        let subject = Address::User(USER_ID.parse().unwrap());
        let subject = SubjectKey::of_address(world.keys(), &world.app.id, &subject);
        let code = code_without_hashing(&world);
        let presented = PresentedCode::parse(&code).unwrap();
        let users = hashes.each_ref().map(|hash| User { pin: Some(hash.clone()), ..ada() });
        let commands =
            users.each_ref().map(|after| UserChange { before: ada(), after: after.clone() });
        let tasks: Vec<Task<'_, Outcome>> = commands
            .iter()
            .map(|change| {
                let (world, presented) = (&world, &presented);
                let made = change_pin(world, &world.app.id, subject, change, presented);
                Box::pin(async { made.await.unwrap().outcome }) as Task<'_, Outcome>
            })
            .collect();
        let outcomes = interleave(tasks, choose);
        let won = |outcome: &Outcome| matches!(outcome, Outcome::Verified(_));
        let winner = outcomes.iter().position(won).unwrap();
        assert_eq!(outcomes[1 - winner], Outcome::AlreadyUsed);
        let stored = block_on(world.users.load_user(&world.app.id, &ada().id)).unwrap();
        assert_eq!(stored.as_ref(), Some(&users[winner]));
    });
    assert!(count > 10, "{count} schedules");
}

/// A code of Ada's, as a right secret gets it.
fn code_without_hashing(world: &TestWorld) -> String {
    use passcode_domain::{
        Addresses, Lookup,
        action::issue::{Issued, PresentedSecrets, issue},
    };
    let addresses = Addresses::new(Address::User(ada().id), None);
    let open = world.opening(addresses, Duration::from_mins(10)).found_by(Lookup::Identity);
    let shown = PresentedSecrets { pin: Some(true.into()), password: None };
    match block_on(issue(world, world.keys(), &world.app, &open, &shown)).unwrap() {
        Issued::Issued(issued) => issued.code.reveal().to_owned(),
        refused => panic!("{refused:?}"),
    }
}

#[test]
fn of_two_requests_with_one_code_one_changes_the_pin_wherever_the_other_comes_between() {
    for first_goes in 0..12 {
        let world = TestWorld::default();
        let code = code_without_hashing(&world);
        let events = [NEW, "7351"].map(|pin| recorded().json(&document(pin, &code)));
        let tasks: Vec<Task<'_, Served>> = events
            .iter()
            .map(|event| Box::pin(answer_with(&world, world.users.clone(), event)) as Task<'_, _>)
            .collect();
        let mut step = 0;
        let answers = interleave(tasks, |_| {
            step += 1;
            usize::from(step > first_goes)
        });
        let statuses = answers.iter().map(|answer| answer.status.as_u16());
        let mut statuses: Vec<_> = statuses.collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 403], "after {first_goes} steps of the first");
    }
}

#[test]
fn the_right_code_changes_the_pin_and_is_used_up() {
    let world = TestWorld::default();
    let code = code(&world);
    world.ledgers.take_calls();
    let event = recorded().json(&document(NEW, &code));
    let answer = block_on(answer_with(&world, world.users.clone(), &event));
    let changed = replied(&event, answer.clone());
    assert_eq!((changed.status, changed.outcome), (200, "verified"), "{changed:?}");
    assert_eq!(changed.media, "application/vnd.api+json");
    assert_eq!(changed.json, json!({ "data": { "type": "pin", "id": USER_ID } }));
    assert_eq!(world.ledgers.take_calls(), (1, 1));
    check_nothing_leaks(&world, &answer, &[&code, NEW, "ada@example.com"]);
    assert_eq!(error(&update(&world, "7351", &code)), (403, "otp:invalid"));
    assert_eq!(pins_that_work(&world), [false, true]);
    assert_eq!(verify(&world, &presenting(&code)).status, 404);
}

#[test]
fn another_writer_between_costs_a_second_look_and_nothing_else() {
    let world = TestWorld::default();
    let code = code(&world);
    world.ledgers.fail_stores([Fault::Conflict]);
    assert_eq!(update(&world, NEW, &code).status, 200);
    assert_eq!(pins_that_work(&world), [false, true]);
}
