//! Connections that are closed: while a function is frozen, before a request has reached the service, after it
//! has, and none at all. Nothing is sent twice, and what was certainly not sent is told so.

use crate::{
    couriers::{an_email, an_sms},
    ledgers::{challenge_table, embedded},
    proxy::{Ending, Fate, Proxy},
};
use passcode_domain::{
    Address, Addresses, Channel, Ledger, SubjectKey,
    action::send::{self, SendOptions, SendTarget, Sent},
    ports::{CourierError, Couriers, EmailCourier as _, LoadLedgers as _, SmsCourier as _},
};
use passcode_runtime::Adapters;
use passcode_ses::SesCourier;
use passcode_sns::SnsCourier;
use passcode_testkit::{FakeEmail, FakeEntropy, TestWorld, conformance};
use passcode_tests::{aws::aws_at, stack::Client};
use std::{net::TcpListener, time::Duration};

const ENDINGS: [Ending; 2] = [Ending::Fin, Ending::Reset];

/// Sends a text message and an e-mail by couriers whose connections pass through proxies; what the proxies
/// passed on, and what was told. `before` messages go out first.
async fn sent(before: usize, fates: &[Fate]) -> Vec<(usize, Result<(), CourierError>)> {
    let client = Client::start().await;
    let target = client.stack.sink.clone();
    let mut told = Vec::new();
    for is_text in [true, false] {
        let proxy = Proxy::start(&target, fates);
        let aws = aws_at(&proxy.url);
        let sms = SnsCourier::new(&aws, false);
        let email = SesCourier::new(&aws, "no-reply@example.com".into(), None);
        let (phone, address) = (TestWorld::phone(), TestWorld::email());
        let send = async || {
            if is_text {
                sms.send(&phone, &an_sms()).await.map(drop)
            } else {
                email.send(&address, &an_email()).await
            }
        };
        for _ in 0..before {
            send().await.expect("the connection is there");
            // Nothing of this thread runs meanwhile, as in a function that is frozen.
            proxy.wait_until_closed();
            // The event that wakes it comes by way of the reactor, which learns at once what else has happened.
            tokio::task::yield_now().await;
        }
        let result = send().await;
        told.push((proxy.passed_on(), result));
    }
    told
}

#[tokio::test]
async fn a_connection_that_was_closed_while_the_function_was_frozen_is_replaced() {
    for ending in ENDINGS {
        let fates = [Fate::AfterAnswer(ending), Fate::Forward];
        for (passed_on, result) in sent(1, &fates).await {
            result.unwrap_or_else(|error| panic!("{ending:?}: {error:?}"));
            assert_eq!(passed_on, 2, "{ending:?}: one message each");
        }
        let fates = [Fate::AfterAnswer(ending), Fate::AfterAnswer(ending), Fate::Forward];
        for (passed_on, result) in sent(2, &fates).await {
            result.unwrap_or_else(|error| panic!("{ending:?}: {error:?}"));
            assert_eq!(passed_on, 3, "{ending:?}");
        }
    }
}

#[tokio::test]
async fn a_connection_that_closes_as_the_next_request_arrives_leaves_it_open() {
    for ending in ENDINGS {
        let fates = [Fate::AtNextRequest(ending), Fate::Forward];
        let client = Client::start().await;
        let proxy = Proxy::start(&client.stack.sink, &fates);
        let sms = SnsCourier::new(&aws_at(&proxy.url), false);
        let (phone, message) = (TestWorld::phone(), an_sms());
        sms.send(&phone, &message).await.expect("the connection is there");
        let result = sms.send(&phone, &message).await;
        assert!(matches!(result, Err(CourierError::Unknown(_))), "{ending:?}: {result:?}");
        assert_eq!((proxy.passed_on(), proxy.connections()), (1, 1), "{ending:?}: not tried again");
    }
}

#[tokio::test]
async fn a_connection_that_closes_after_the_request_leaves_it_open() {
    for ending in ENDINGS {
        for (fate, expected) in
            [(Fate::AfterRequest(ending), 0), (Fate::AfterForwarding(ending), 1)]
        {
            for (passed_on, result) in sent(0, &[fate, Fate::Forward]).await {
                assert!(matches!(result, Err(CourierError::Unknown(_))), "{fate:?}: {result:?}");
                assert_eq!(passed_on, expected, "{fate:?}: not tried again");
            }
        }
    }
}

#[tokio::test]
async fn a_connection_that_closes_before_any_request_sends_nothing() {
    for ending in ENDINGS {
        for (passed_on, result) in sent(0, &[Fate::AtOnce(ending), Fate::Forward]).await {
            // Whether a byte had gone out by then nobody knows; the service has got none.
            assert!(result.is_err(), "{ending:?}: {result:?}");
            assert_eq!(passed_on, 0, "{ending:?}");
        }
    }
}

/// A place that refuses connections.
fn refusing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    format!("http://{}", listener.local_addr().expect("an address"))
}

#[tokio::test]
async fn a_connection_that_is_refused_is_known_to_have_sent_nothing() {
    let aws = aws_at(&refusing());
    let sms = SnsCourier::new(&aws, false).send(&TestWorld::phone(), &an_sms()).await;
    let email = SesCourier::new(&aws, "no-reply@example.com".into(), None);
    let email = email.send(&TestWorld::email(), &an_email()).await;
    for result in [sms.map(drop), email] {
        assert!(matches!(result, Err(CourierError::Refused(_))), "{result:?}");
    }
}

#[tokio::test]
async fn a_connection_that_is_refused_lets_the_next_channel_try() {
    let sms = SnsCourier::new(&aws_at(&refusing()), false);
    let (world, email) = (TestWorld::default(), FakeEmail::default());
    let email_address = Address::Email(TestWorld::email());
    let addresses = Addresses::new(Address::Phone(TestWorld::phone()), Some(email_address));
    let opening = world.opening(addresses, Duration::from_mins(15));
    let adapters = Adapters {
        apps: world.apps.clone(),
        users: (),
        ledgers: world.ledgers.clone(),
        sessions: (),
        counters: world.counters.clone(),
        tokens: (),
        keyring: world.keyring.clone(),
        signing_keys: (),
        couriers: Couriers::new(sms, email.clone()),
        clock: world.clock.clone(),
    };
    let channels = vec![Channel::Sms, Channel::Email];
    let options = SendOptions { channels, ..SendOptions::default() };
    let target = SendTarget::Ordered(&opening, &world.app);
    let delivery =
        send::send(&adapters, world.keys(), target, &options).await.expect("it is decided");
    assert!(matches!(delivery.sent, Sent::Sent(_, Channel::Email)), "{:?}", delivery.sent);
    assert_eq!(email.taken().len(), 1);
}

/// A table asks again, and knows its own write.
#[tokio::test]
async fn ledgers_are_kept_through_connections_that_close() {
    let stack = embedded().await;
    for ending in ENDINGS {
        let answered = Fate::AfterAnswer(ending);
        let fates = [
            answered,
            Fate::AfterForwarding(ending),
            answered,
            Fate::AtNextRequest(ending),
            answered,
            Fate::AfterRequest(ending),
            answered,
            Fate::AtOnce(ending),
            answered,
        ];
        let proxy = Proxy::start(&stack.dynamodb, &fates);
        let table = challenge_table(&proxy.url);
        conformance::ledgers(&table, &FakeEntropy::seeded(ending as u64)).await;
        assert!(proxy.connections() > fates.len(), "{ending:?}: every fate has come");
        let nobody = SubjectKey::from_bytes([0; 16]).into();
        let loaded = table.load::<Ledger>(&nobody).await.expect("it answers");
        assert_eq!(loaded.item, None);
    }
}
