//! `POST /auth/otp/{otpChallengeId}`.

use crate::shared::lets_pages_read;
use crate::shared::request_id;
use passcode_domain::{App, ChallengeId};

use passcode_testkit::{FakeEntropy, FakeKeyring, Fault, TestWorld, demo_app, schedule::block_on};
use passcode_tests::event::{Event, Reply, reply};
use rollout_otp_verify::handle;
use serde_json::json;
use std::time::Duration;

fn call(world: &TestWorld, event: &Event) -> Reply {
    reply(event, async |request, record| handle(world, request, record).await)
}

fn recorded(case: &str) -> Event {
    Event::recorded("rollout-otp-verify", case)
}

pub(crate) fn present(world: &TestWorld, id: ChallengeId, code: &str) -> Reply {
    let event = recorded("json").challenge(&request_id(id)).json(&json!({ "otp": code }));
    call(world, &event)
}

fn check_refused(reply: &Reply) {
    assert_eq!((reply.status, &reply.json["ok"]), (400, &json!(false)), "{reply:?}");
    assert_eq!(reply.json.as_object().unwrap().len(), 2);
    let errors = reply.json["errors"].as_array().unwrap();
    assert!(errors.len() == 1 && errors[0]["message"].as_str().is_some_and(|m| !m.is_empty()));
}

#[test]
fn what_is_no_code_is_refused_and_spends_nothing() {
    let world = TestWorld::default();
    let (id, code) = world.open_and_send();
    let event = || recorded("json").challenge(&request_id(id));
    let twice = format!(r#"{{"otp":"{code}","otp":"{code}"}}"#);
    let form = |body: &str| {
        event().header("content-type", "multipart/form-data; boundary=b").bytes(body.as_bytes())
    };
    let part = format!("--b\r\nContent-Disposition: form-data; name=\"otp\"\r\n\r\n{code}\r\n");
    let events = [
        event().body(""),
        event().body("{"),
        event().body("[]"),
        event().body(code.clone()),
        event().body(twice),
        event().json(&json!({})),
        event().json(&json!({ "otp": code.parse::<u32>().unwrap() })),
        event().json(&json!({ "otp": null })),
        event().json(&json!({ "otp": [code] })),
        event().json(&json!([code])),
        event().json(&json!({ "otp": "" })),
        event().json(&json!({ "otp": "12 34 56 78 90 1" })),
        event().json(&json!({ "otp": "1".repeat(9000) })),
        event().json(&json!({ "otp": "x".repeat(11_000) })),
        event().bytes(b"{\"otp\":\"\xff\"}"),
        event().header("content-type", "application/xml"),
        event().header("content-type", "text/plain").body(code.clone()),
        form(""),
        form("--b--\r\n"),
        form(&part),
        form(&format!("{part}{part}--b--\r\n")),
        form(&part.replace("otp", "code")),
        event().header("content-type", "multipart/form-data").body(part.clone()),
    ];
    world.ledgers.take_calls();
    for event in events {
        let reply = call(&world, &event);
        check_refused(&reply);
        assert!(!reply.text.contains(&code), "the answer repeats the code: {reply:?}");
    }
    assert_eq!(world.ledgers.take_calls(), (0, 0));
    assert_eq!(present(&world, id, &code).status, 200);
}

#[test]
fn fields_that_the_contract_does_not_know_are_skipped_however_often_they_come() {
    let part = |name: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    for is_form in [true, false] {
        let world = TestWorld::default();
        let (id, code) = world.open_and_send();
        let event = recorded("json").challenge(&request_id(id));
        let event = if is_form {
            let form = [part("a", "1"), part("otp", &code), part("a", "2"), "--b--\r\n".into()];
            event.header("content-type", "multipart/form-data; boundary=b").body(form.concat())
        } else {
            event.body(format!(r#"{{"a":1,"otp":"{code}","a":2}}"#))
        };
        assert_eq!(call(&world, &event).status, 200);
    }
}

#[test]
fn wrong_expired_exhausted_used_and_unknown_answer_alike() {
    let world = TestWorld::without_waits();
    let (wrong, code) = world.open_and_send();
    let incorrect = present(&world, wrong, &TestWorld::wrong(&code));
    let (used, code) = world.open_and_send();
    assert_eq!(present(&world, used, &code).status, 200);
    let (spent, right) = world.open_and_send();
    for _ in 0..5 {
        present(&world, spent, &TestWorld::wrong(&right));
    }
    let exhausted = present(&world, spent, &right);
    let already_used = present(&world, used, &code);
    let (old, code) = world.open_and_send();
    world.clock.advance(Duration::from_secs(601));
    let expired = present(&world, old, &code);
    let unsent = present(&world, world.open(), &code);
    let elsewhere = TestWorld { entropy: FakeEntropy::seeded(5), ..TestWorld::without_waits() };
    let unknown = present(&world, elsewhere.open(), &code);
    let malformed = |id: &str| call(&world, &recorded("json").challenge(id));
    let outcomes = [
        (&incorrect, "incorrect"),
        (&exhausted, "exhausted"),
        (&already_used, "already used"),
        (&expired, "expired"),
        (&unsent, "not found"),
        (&unknown, "not found"),
        (&malformed("ARID_A1B2C3D4E5F6"), "not found"),
        (&malformed(&"A".repeat(4000)), "not found"),
    ];
    for (reply, outcome) in outcomes {
        check_refused(reply);
        assert_eq!((&reply.text, reply.outcome), (&incorrect.text, outcome));
    }
}

#[test]
fn an_id_with_one_character_changed_is_unknown() {
    let world = TestWorld::default();
    let (id, code) = world.open_and_send();
    let text = request_id(id);
    for at in 5..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'Q' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        let event = recorded("json").challenge(&changed).json(&json!({ "otp": code }));
        assert_eq!(call(&world, &event).outcome, "not found", "{changed}");
    }
    assert_eq!(present(&world, id, &code).status, 200);
}

#[test]
fn failures_outside_are_a_503_and_the_caller_can_go_on() {
    let world = TestWorld::default();
    let (id, code) = world.open_and_send();
    for faults in [vec![Fault::Unavailable], vec![Fault::Conflict; 12]] {
        world.ledgers.fail_stores(faults);
        let reply = present(&world, id, &code);
        assert_eq!((reply.status, reply.retry_after.as_deref()), (503, Some("1")));
        assert_eq!((&reply.json["ok"], reply.outcome), (&json!(false), "unavailable"));
    }
    let no_keys = TestWorld { keyring: FakeKeyring::none(), ..TestWorld::default() };
    assert_eq!(present(&no_keys, id, &code).status, 503);
    assert_eq!(present(&world, id, &code).status, 200);
}

#[test]
fn the_code_is_taken_in_every_media_type_and_answered_in_the_one_accepted() {
    for (case, media) in [
        ("json", "application/json"),
        ("text", "text/plain; charset=utf-8"),
        ("form", "multipart/form-data; boundary=----passcode-form-boundary-7d1f0c4e"),
    ] {
        let world = TestWorld::default();
        let (id, code) = world.open_and_send();
        let event = recorded(case).challenge(&request_id(id));
        let refused = call(&world, &event);
        assert_eq!((refused.status, refused.media.as_str()), (400, media));
        assert!(refused.text.contains("not valid any more"), "{}", refused.text);

        let body = match case {
            "form" => event.clone().bytes(
                format!("--boundary\r\nContent-Disposition: form-data; name=\"otp\"\r\n\r\n{code}\r\n--boundary--\r\n")
                    .as_bytes(),
            ),
            _ => event.clone().json(&json!({ "otp": code })),
        };
        let verified = call(&world, &body);
        assert_eq!((verified.status, verified.media.as_str()), (200, media), "{case}");
        assert!(verified.text.contains("cred_"), "{}", verified.text);
        match case {
            "form" => assert!(verified.text.contains(
                "Content-Disposition: form-data; name=\"ok\"\r\nContent-Type: application/json\r\n\r\ntrue\r\n"
            ), "{}", verified.text),
            _ => assert_eq!(verified.json["ok"], true),
        }
    }
}

#[test]
fn accept_is_negotiated() {
    let world = TestWorld::default();
    for (accept, media) in [
        (None, "application/json"),
        (Some("*/*"), "application/json"),
        (Some("application/xml"), "application/json"),
        (Some("nonsense;;;"), "application/json"),
        (Some("text/*"), "text/plain; charset=utf-8"),
        (Some("text/plain;q=0.2, application/json;q=0.9"), "application/json"),
        (Some("text/plain, application/json;q=0.9"), "text/plain; charset=utf-8"),
    ] {
        let reply = call(&world, &recorded("json").header("accept", accept));
        assert_eq!(reply.media, media, "{accept:?}");
    }
}

#[test]
fn a_credential_is_the_same_for_the_same_app_and_address_and_no_other() {
    let world = TestWorld::default();
    let credential = |world: &TestWorld| {
        let (id, code) = world.open_and_send();
        let reply = present(world, id, &code);
        assert_eq!((reply.status, reply.json.as_object().unwrap().len()), (200, 2));
        reply.json["credential"]["id"].as_str().unwrap().to_owned()
    };
    let first = credential(&world);
    assert_eq!(first, credential(&world));
    let other = TestWorld::of(App { id: "other".parse().unwrap(), ..demo_app() });
    assert_ne!(first, credential(&other));
}

#[test]
fn an_id_is_the_same_challenge_bare_or_as_any_contract_printed_it() {
    let world = TestWorld::default();
    let (id, code) = world.open_and_send();
    let order = crate::shared::order_id(id);
    let wrong = json!({ "otp": TestWorld::wrong(&code) });
    let event = recorded("json").challenge(&order).json(&wrong);
    assert_eq!(call(&world, &event).outcome, "incorrect");
    let event = recorded("json").challenge(&id.print(world.keys())).json(&json!({ "otp": code }));
    assert_eq!(call(&world, &event).status, 200);
    assert_eq!(block_on(world.verify(id, &code)).unwrap().as_str(), "already used");
}

#[test]
fn pages_of_listed_origins_read_the_answers() {
    let page = |world: &TestWorld| {
        let (id, code) = world.open_and_send();
        recorded("page").challenge(&request_id(id)).json(&json!({ "otp": code }))
    };
    lets_pages_read(page, &recorded("preflight"), call);
    let world = TestWorld::default();
    let (id, code) = world.open_and_send();
    world.apps.set_down(true);
    let event = recorded("page").challenge(&request_id(id)).json(&json!({ "otp": code }));
    let reply = call(&world, &event);
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (200, None));
}

#[test]
fn a_page_cannot_tell_an_id_that_leads_nowhere_from_one_that_leads_somewhere() {
    let world = TestWorld::default();
    let known = world.open();
    let elsewhere = TestWorld::of(App { id: "eve".parse().unwrap(), ..demo_app() }).open();
    let ask = |id| call(&world, &recorded("page").challenge(&request_id(id)));
    let (known, elsewhere) = (ask(known), ask(elsewhere));
    assert_eq!(
        (known.status, &known.text, &known.headers),
        (400, &elsewhere.text, &elsewhere.headers)
    );
    assert_eq!(known.header("access-control-allow-origin"), Some("https://shop.example"));
}
