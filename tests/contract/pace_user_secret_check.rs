//! `GET /user/pin`, `/user/password` and `/user/pin-or-password`.

use crate::pace::{
    bearer, check_unavailable, error, negotiates, refuses_strangers, to_second_app, with_second_app,
};
use pace_user_secret_check::handle;
use passcode_domain::{User, ports::StoreUsers as _};
use passcode_testkit::{TestWorld, USER_ID, ada, schedule::block_on};
use passcode_tests::event::{Event, Reply, reply};
use serde_json::json;

const PIN: (&str, &str) = ("pin", "user:users.pin:check");
const PASSWORD: (&str, &str) = ("password", "user:users.password:check");
const EITHER: (&str, &str) = ("pin-or-password", "user:users.pin:check user:users.password:check");

fn call(world: &TestWorld, event: &Event) -> Reply {
    reply(event, async |request, record| handle(world, request, record).await)
}

fn recorded(case: &str) -> Event {
    Event::recorded("pace-user-secret-check", case)
}

/// A world in which Ada has set no more than this.
fn with(edit: impl FnOnce(&mut User)) -> TestWorld {
    let world = TestWorld::default();
    let mut user = ada();
    edit(&mut user);
    block_on(world.users.store_user(&user)).unwrap();
    world
}

#[test]
fn strangers_are_refused_before_anything_is_looked_at() {
    for (case, scopes) in [PIN, PASSWORD, EITHER] {
        let event = recorded(case);
        refuses_strangers(&event, scopes, call);
        negotiates(&event, true, |event| {
            let nobody = bearer(event.clone(), &format!("nobody|{scopes}"));
            call(&TestWorld::default(), &nobody)
        });
    }
}

#[test]
fn every_question_has_a_scope_of_its_own_and_the_third_needs_both() {
    for (case, scope) in [
        ("pin", PASSWORD.1),
        ("password", PIN.1),
        ("pin-or-password", PASSWORD.1),
        ("pin-or-password", PIN.1),
        ("pin", "user:users.pin:update"),
    ] {
        let event = bearer(recorded(case), &format!("{USER_ID}|{scope}"));
        let reply = call(&TestWorld::default(), &event);
        assert_eq!(error(&reply), (401, "insufficient-scope"), "{case} with {scope}");
        let lacking = if scope == PIN.1 { PASSWORD.1 } else { PIN.1 };
        let challenge = reply.header("www-authenticate").unwrap();
        assert!(challenge.contains(&format!("scope=\"{lacking}\"")), "{challenge}");
    }
}

#[test]
fn what_is_set_is_there_and_what_is_not_is_a_404() {
    for (world, pin, password) in [
        (TestWorld::default(), true, true),
        (with(|ada| ada.pin = None), false, true),
        (with(|ada| ada.password = None), true, false),
        (with(|ada| (ada.pin, ada.password) = (None, None)), false, false),
    ] {
        for (case, is_set) in [("pin", pin), ("password", password)] {
            let reply = call(&world, &recorded(case));
            if is_set {
                let told = (reply.status, reply.text.as_str(), reply.outcome);
                assert_eq!(told, (200, "", "set"), "{case}");
            } else {
                assert_eq!(
                    (error(&reply), reply.outcome),
                    ((404, "not-found"), "not set"),
                    "{case}"
                );
            }
        }
        let reply = call(&world, &recorded("pin-or-password"));
        assert_eq!((reply.status, reply.media.as_str()), (200, "application/json"));
        assert_eq!(reply.json, json!({ "pin": pin, "password": password }));
    }
}

#[test]
fn who_is_not_known_or_is_known_to_another_app_has_set_nothing() {
    let world = TestWorld::default();
    with_second_app(&world);
    let nobody = |case: &str, scope| bearer(recorded(case), &format!("nobody|{scope}"));
    for (case, scope) in [PIN, PASSWORD] {
        for event in [nobody(case, scope), to_second_app(recorded(case))] {
            assert_eq!(error(&call(&world, &event)), (404, "not-found"), "{case}");
        }
    }
    for event in [nobody(EITHER.0, EITHER.1), to_second_app(recorded(EITHER.0))] {
        let reply = call(&world, &event);
        assert_eq!(reply.json, json!({ "pin": false, "password": false }));
    }
}

#[test]
fn a_table_that_does_not_answer_is_no_answer() {
    let world = TestWorld::default();
    world.users.set_down(true);
    for (case, _) in [PIN, PASSWORD, EITHER] {
        check_unavailable(&call(&world, &recorded(case)));
    }
}

#[test]
fn a_base_path_may_stand_before_the_contracts_own() {
    let world = with(|ada| ada.password = None);
    for (case, status) in [("pin", 200), ("password", 404), ("pin-or-password", 200)] {
        let mut event = recorded(case);
        let path = format!("/api/user/{case}");
        event.0["rawPath"] = path.as_str().into();
        event.0["requestContext"]["http"]["path"] = path.into();
        assert_eq!(call(&world, &event).status, status, "{case}");
    }
}
