//! Events of SES and SNS: each kind of them, in every order, twice, late, of nothing, and malformed.

use crate::shared::request_id;
use delivery_receipts::handle;
use passcode::local::{receipt_of_email, receipt_of_text};
use passcode_domain::{
    Address, Addresses, ChallengeId, Channel, Ledger, Timestamp,
    action::{
        open,
        send::{SendOptions, Sent},
    },
    ledger::receipt::{DeliveryState, Receipt},
    ports::{Cause, Clock as _, LoadLedgers as _},
    secret::receipt::ReceiptTag,
};
use passcode_http::Record;
use passcode_runtime::log::Line;
use passcode_testkit::{Fault, TestWorld, Verdict, schedule::block_on};
use passcode_tests::event::Event;
use serde_json::{Value, json};
use std::time::Duration;

type Expected = (&'static str, Option<DeliveryState>, Option<&'static str>);

/// Every recorded event of one e-mail: how the log says it ended, what is known of the message, and why.
const EMAILS: [(&str, Expected); 11] = [
    ("email-answered-automatically", ("undelivered", Some(DeliveryState::Undelivered), None)),
    ("email-bounced", ("bounced", Some(DeliveryState::Bounced), Some("no such mailbox"))),
    ("email-complained", ("complained", Some(DeliveryState::Complained), None)),
    ("email-delayed", ("delayed", Some(DeliveryState::Delayed), None)),
    ("email-delivered", ("delivered", Some(DeliveryState::Delivered), None)),
    ("email-mailbox-full", ("failed", Some(DeliveryState::Failed), Some("mailbox full"))),
    ("email-not-rendered", ("failed", Some(DeliveryState::Failed), Some("not rendered"))),
    ("email-not-spam", ("", None, None)),
    ("email-rejected", ("failed", Some(DeliveryState::Failed), Some("rejected"))),
    ("email-sent", ("", None, None)),
    ("email-suppressed", ("bounced", Some(DeliveryState::Bounced), Some("suppressed"))),
];

/// The same of one text message.
const TEXTS: [(&str, Expected); 7] = [
    ("text-control", ("", None, None)),
    ("text-delivered", ("delivered", Some(DeliveryState::Delivered), None)),
    ("text-invalid-number", ("failed", Some(DeliveryState::Failed), Some("invalid number"))),
    ("text-no-quota", ("failed", Some(DeliveryState::Failed), Some("no quota left"))),
    ("text-opted-out", ("failed", Some(DeliveryState::Failed), Some("opted out"))),
    ("text-sandbox", ("failed", Some(DeliveryState::Failed), Some("sandbox"))),
    ("text-unknown-error", ("undelivered", Some(DeliveryState::Undelivered), None)),
];

/// A world in which text messages are tracked, and a challenge with both addresses whose first message has gone
/// out on the first of these channels.
fn sent(channels: &[Channel]) -> (TestWorld, ChallengeId) {
    let world = TestWorld::default();
    world.couriers.sms.give_ids();
    let mut both = [Address::Email(TestWorld::email()), Address::Phone(TestWorld::phone())];
    both.sort_by_key(|address| address.channel() != channels[0]);
    let [about, other] = both;
    let opening = world.opening(Addresses::new(about, Some(other)), Duration::from_mins(15));
    block_on(open::open(&world, world.keys(), &opening)).unwrap();
    let options = SendOptions { channels: channels.to_vec(), ..SendOptions::default() };
    let sent = block_on(world.send(opening.id, &options)).unwrap().sent;
    assert!(matches!(sent, Sent::Sent(..)), "{sent:?}");
    (world, opening.id)
}

/// A recorded event, of the first message of a challenge.
fn event(world: &TestWorld, id: ChallengeId, case: &str) -> Value {
    let event = Event::recorded("delivery-receipts", case).0;
    if case.starts_with("text-") {
        return receipt_of_text(event, "message-1", world.clock.now().as_millis()).unwrap();
    }
    let tag = ReceiptTag::of(world.keys(), id, 1).print(world.keys());
    receipt_of_email(event, &tag, "2027-01-15T08:00:03Z")
}

fn consume(world: &TestWorld, event: &Value) -> (Vec<Record>, Result<(), Cause>) {
    let mut records = Vec::new();
    let result = block_on(handle(world, event, &mut records));
    for record in &records {
        let line = Line {
            function: delivery_receipts::NAME,
            request_id: "",
            status: None,
            at: world.clock.now(),
            took: Duration::ZERO,
            record,
        };
        let line = String::from_utf8(line.print()).unwrap();
        for secret in ["ada@", "4155550", "+1", "message-1", "ORTTY3"] {
            assert!(!line.contains(secret), "{secret} in {line}");
        }
    }
    (records, result)
}

/// The outcomes that the log says of an event that is consumed.
fn outcomes(world: &TestWorld, event: &Value) -> Vec<&'static str> {
    let (records, result) = consume(world, event);
    result.unwrap();
    records.iter().map(|record| record.outcome).collect()
}

fn receipt(world: &TestWorld, id: ChallengeId) -> Option<Receipt> {
    let loaded = block_on(world.ledgers.load::<Ledger>(&(*id.subject()).into())).unwrap();
    loaded.item.unwrap().message(id, 1).unwrap().receipt
}

#[test]
fn each_event_says_what_became_of_its_message() {
    for (channel, cases) in [(Channel::Email, &EMAILS[..]), (Channel::Sms, &TEXTS[..])] {
        for (case, (outcome, state, reason)) in cases {
            let (world, id) = sent(&[channel]);
            let (records, result) = consume(&world, &event(&world, id, case));
            result.unwrap();
            assert_eq!(receipt(&world, id).map(|receipt| receipt.state), *state, "{case}");
            let Some(record) = records.first() else {
                assert_eq!(*outcome, "", "{case}");
                continue;
            };
            assert_eq!((record.outcome, record.reason), (*outcome, *reason), "{case}");
            assert_eq!((record.channel, records.len()), (Some(channel), 1), "{case}");
            assert_eq!(record.app.as_ref(), Some(&world.app.id), "{case}");
            assert_eq!(record.challenge, Some(id.log_id(world.keys())), "{case}");
            let country = record.country.map(|country| country.as_str().to_owned());
            assert_eq!(country.as_deref(), (channel == Channel::Sms).then_some("US"), "{case}");
            // What keeps every message from arriving is an error of the log.
            let is_alarming = ["text-sandbox", "text-no-quota"].contains(case);
            assert_eq!(record.error.is_some(), is_alarming, "{case}");
        }
    }
}

#[test]
fn a_bounce_that_may_be_an_automatic_answer_is_no_failure() {
    let (world, id) = sent(&[Channel::Email, Channel::Sms]);
    for case in ["email-undetermined", "email-answered-automatically"] {
        outcomes(&world, &event(&world, id, case));
    }
    assert_eq!(receipt(&world, id).map(|receipt| receipt.state), Some(DeliveryState::Undelivered));
    assert!(world.couriers.sms.taken().is_empty());
}

#[test]
fn the_order_of_events_does_not_matter() {
    for (channel, cases) in [(Channel::Email, &EMAILS[..]), (Channel::Sms, &TEXTS[..])] {
        for (first, _) in cases {
            for (second, _) in cases {
                let end = |cases: &[&str]| {
                    let (world, id) = sent(&[channel]);
                    for case in cases {
                        outcomes(&world, &event(&world, id, case));
                    }
                    receipt(&world, id)
                };
                let once = end(&[first, second]);
                assert_eq!(once, end(&[second, first]), "{first} {second}");
                assert_eq!(once, end(&[second, first, first, second]), "{first} {second}");
            }
        }
    }
}

#[test]
fn an_event_that_comes_twice_is_noted_once() {
    for (case, _) in EMAILS.iter().chain(&TEXTS).filter(|(_, (outcome, ..))| !outcome.is_empty()) {
        let is_text = case.starts_with("text-");
        let (world, id) = sent(&[if is_text { Channel::Sms } else { Channel::Email }]);
        let event = event(&world, id, case);
        outcomes(&world, &event);
        let counters = world.counters.all();
        world.ledgers.take_calls();
        assert_eq!(outcomes(&world, &event), ["repeated"], "{case}");
        assert_eq!(world.ledgers.take_calls().1, 0, "{case}");
        assert_eq!(world.counters.all(), counters, "{case}");
    }
}

#[test]
fn an_event_of_a_challenge_that_is_over_is_noted_and_lets_nothing_be_sent() {
    for (case, channels) in [
        ("email-bounced", [Channel::Email, Channel::Sms]),
        ("text-opted-out", [Channel::Sms, Channel::Email]),
    ] {
        let (world, id) = sent(&channels);
        world.clock.advance(Duration::from_mins(16));
        assert_eq!(outcomes(&world, &event(&world, id, case)).len(), 1, "{case}");
        assert!(receipt(&world, id).unwrap().state.is_failure());
        assert_eq!(world.couriers.email.taken().len() + world.couriers.sms.taken().len(), 1);
    }
}

#[test]
fn an_event_that_comes_when_its_challenge_is_forgotten_changes_nothing() {
    for (case, channel, outcome) in
        [("email-bounced", Channel::Email, "unknown"), ("text-opted-out", Channel::Sms, "late")]
    {
        let (world, id) = sent(&[channel]);
        world.clock.advance(Duration::from_hours(30));
        world.ledgers.forget(world.clock.now());
        let before = world.ledgers.dump();
        let (records, result) = consume(&world, &event(&world, id, case));
        result.unwrap();
        assert_eq!(records[0].outcome, outcome);
        // Of a text message its item still tells the metrics whose it was.
        assert_eq!(records[0].app.is_some(), channel == Channel::Sms);
        assert_eq!(world.ledgers.dump(), before);
        // After three days that is forgotten, too.
        world.clock.advance(Duration::from_hours(48));
        world.ledgers.forget(world.clock.now());
        assert_eq!(outcomes(&world, &event(&world, id, case)), ["unknown"]);
    }
}

#[test]
fn an_event_of_a_message_that_is_not_ours_changes_nothing() {
    let (world, id) = sent(&[Channel::Email]);
    let before = world.ledgers.dump();
    let recorded = |case: &str| Event::recorded("delivery-receipts", case).0;
    assert_eq!(outcomes(&world, &recorded("text-opted-out")), ["unknown"]);
    // A tag is no id of a challenge, which callers know, and one letter more or less makes it another.
    let tag = ReceiptTag::of(world.keys(), id, 1).print(world.keys());
    for forged in [
        request_id(id),
        ReceiptTag::of(world.keys(), id, 2).print(world.keys()),
        tag[1..].to_owned(),
        format!("{tag}A"),
        tag.to_lowercase(),
        "ORTTY3PENRMEHZ4GFK6T3UGGSMKXBJT6KTWNE2MLMFWNVBRMI7UA".to_owned(),
        String::new(),
    ] {
        let event = receipt_of_email(recorded("email-bounced"), &forged, "2027-01-15T08:00:03Z");
        assert_eq!(outcomes(&world, &event), ["unknown"], "{forged}");
    }
    let mut untagged = recorded("email-bounced");
    untagged["detail"]["mail"]["tags"] = json!({});
    assert_eq!(outcomes(&world, &untagged).len(), 0, "the account sends other mail as well");
    assert_eq!(world.ledgers.dump(), before);
}

#[test]
fn what_is_no_event_of_theirs_is_an_error() {
    let (world, id) = sent(&[Channel::Email]);
    let before = world.ledgers.dump();
    let bounced = event(&world, id, "email-bounced");
    let changed = |pointer: &str, value: Value| {
        let mut event = bounced.clone();
        *event.pointer_mut(pointer).unwrap() = value;
        event
    };
    for event in [
        json!({}),
        json!(null),
        json!({ "awslogs": { "data": "ada@example.com" } }),
        json!({ "awslogs": {} }),
        changed("/source", "example.com".into()),
        changed("/detail", "ada@example.com".into()),
        changed("/detail/mail", json!(null)),
        changed("/detail/bounce/timestamp", "yesterday".into()),
    ] {
        let (records, result) = consume(&world, &event);
        let error = result.unwrap_err().to_string();
        assert!(!error.contains("ada"), "{error}");
        assert!(records.is_empty());
    }
    assert_eq!(world.ledgers.dump(), before);
}

#[test]
fn a_batch_of_logs_is_several_receipts() {
    let (world, id) = sent(&[Channel::Sms]);
    let mut outcomes = outcomes(&world, &event(&world, id, "text-several"));
    outcomes.sort_unstable();
    outcomes.dedup();
    assert!(outcomes.contains(&"repeated"), "{outcomes:?}");
    assert!(receipt(&world, id).is_some());
}

#[test]
fn an_event_that_could_not_be_noted_comes_again() {
    let (world, id) = sent(&[Channel::Email, Channel::Sms]);
    let event = event(&world, id, "email-bounced");
    world.ledgers.fail_stores([Fault::Unavailable]);
    let (records, result) = consume(&world, &event);
    assert!(result.is_err());
    assert_eq!((records[0].outcome, records[0].error.is_some()), ("unavailable", true));
    assert_eq!(receipt(&world, id), None);
    assert_eq!(outcomes(&world, &event), ["bounced", "sent"]);
}

#[test]
fn the_channel_that_the_request_named_next_takes_over_once() {
    for (case, channels) in [
        ("email-bounced", [Channel::Email, Channel::Sms]),
        ("email-rejected", [Channel::Email, Channel::Sms]),
        ("text-opted-out", [Channel::Sms, Channel::Email]),
        ("text-sandbox", [Channel::Sms, Channel::Email]),
    ] {
        let (world, id) = sent(&channels);
        let event = event(&world, id, case);
        let (records, result) = consume(&world, &event);
        result.unwrap();
        assert_eq!((records.len(), records[1].outcome), (2, "sent"), "{case}");
        assert_eq!(records[1].channel, Some(channels[1]), "{case}");
        assert_eq!(outcomes(&world, &event), ["repeated"], "{case}");
        assert_eq!((world.couriers.email.taken().len(), world.couriers.sms.taken().len()), (1, 1));
    }
}

#[test]
fn a_next_channel_that_refuses_is_told_in_the_log() {
    let (world, id) = sent(&[Channel::Email, Channel::Sms]);
    world.couriers.sms.answer([Verdict::Refuse]);
    let (records, result) = consume(&world, &event(&world, id, "email-bounced"));
    result.unwrap();
    assert_eq!((records[1].outcome, records[1].error.is_some()), ("refused", true));
}

#[test]
fn a_message_sent_by_a_server_that_has_gone_back_in_time_is_known_all_the_same() {
    let (world, id) = sent(&[Channel::Email]);
    let mut early = event(&world, id, "email-delivered");
    early["detail"]["delivery"]["timestamp"] = "1970-01-01T00:00:01Z".into();
    assert_eq!(outcomes(&world, &early), ["delivered"]);
    assert_eq!(receipt(&world, id).map(|receipt| receipt.at), Some(Timestamp::from_millis(1_000)));
}
