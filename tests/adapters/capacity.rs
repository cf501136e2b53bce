//! What each action is billed, in the store's own capacity units, and what a million of them cost.

use crate::{
    ledgers::{challenge_table, counter_table, embedded},
    peer::{Units, metering},
};
use aws_sdk_dynamodb::types::AttributeValue;
use passcode_domain::{
    Address, Addresses, App, ChallengeId, Channel, SessionId, SessionKey, UserKey,
    action::{
        open, receipt,
        send::{SendOptions, Sent},
        session,
        verify::Outcome,
    },
    app::guard::Guard,
    guard::Origin,
    ledger::receipt::{DeliveryState, Receipt},
    ports::{Clock as _, Entropy as _, ProviderMessageId},
    secret::{
        dpop::{DpopClaims, DpopProof, Thumbprint},
        receipt::ReceiptTag,
    },
    session::{Opening, Refresh},
};
use passcode_dynamodb::{ChallengeTable, CounterTable, SessionTable};
use passcode_runtime::{Adapters, SystemEntropy};
use passcode_testkit::{TestWorld, conformance, demo_app, example_countries};
use passcode_tests::aws::aws_at;
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex},
    time::Duration,
};

/// Dollars for a million units of on-demand reads and writes (us-east-1, November 2026).
const PRICES: (f64, f64) = (0.125, 0.625);

struct Metered {
    world: TestWorld<ChallengeTable, CounterTable>,
    units: Arc<Mutex<Units>>,
}

impl Metered {
    async fn on(dynamodb: &str) -> Self {
        let (url, units) = metering(dynamodb.to_owned()).await;
        let id = data_encoding::BASE32_NOPAD.encode(&SystemEntropy.bytes::<16>());
        let mut guard = Guard::default().with_countries(example_countries());
        guard.spend_cap.per_day = Some("25.00".parse().expect("an amount"));
        let app = App { id: id.parse().expect("an app id"), guard, ..demo_app() };
        Self { world: TestWorld::on(app, challenge_table(&url), counter_table(&url)), units }
    }

    /// What was billed since the last time it was asked.
    fn take(&self) -> Units {
        std::mem::take(&mut *self.units.lock().expect("no panic while it is held"))
    }

    async fn create(&self, to: Address) -> ChallengeId {
        let addresses = Addresses::new(to, None);
        let opening = self.world.opening(addresses, Duration::from_mins(15));
        let opened = open::open(&self.world, self.world.keys(), &opening).await;
        opened.expect("the store answers");
        opening.id
    }

    async fn send(&self, id: ChallengeId, channel: Channel) {
        let ip = Some(IpAddr::from(Ipv4Addr::new(192, 0, 2, 1)));
        let options = SendOptions { origin: Origin::from(ip), ..TestWorld::options(channel) };
        let delivery = self.world.send(id, &options).await.expect("the store answers");
        assert!(matches!(delivery.sent, Sent::Sent(..)), "{delivery:?}");
    }
}

/// Receipts.
impl Metered {
    async fn receive(&self, tag: ReceiptTag, state: DeliveryState) {
        let (world, receipt) = (&self.world, Receipt { state, at: self.world.clock.now() });
        let received = receipt::receive(world, world.keys(), &tag, receipt).await;
        assert!(received.expect("the store answers").expect("it is known").is_new);
    }

    /// Of the message that was sent last.
    async fn receive_text(&self) {
        let last = ProviderMessageId(format!("message-{}", self.world.couriers.sms.taken().len()));
        let tracked = receipt::tracked(&self.world, self.world.keys(), &last).await;
        let (tag, ..) = tracked.expect("the store answers").expect("it is tracked");
        self.receive(tag, DeliveryState::Delivered).await;
    }
}

fn dollars(units: Units) -> f64 {
    units.read * PRICES.0 + units.write * PRICES.1
}

fn print(what: &str, units: Units) {
    let Units { read, write, transactions } = units;
    println!("  {what:<34} {read:>5.1} read {write:>5.1} written   ${:>5.3}", dollars(units));
    assert_eq!(transactions, 0, "{what}");
}

/// A refresh of a session that has been refreshed with proofs for half an hour.
async fn refresh(dynamodb: &str) -> Units {
    let (url, units) = metering(dynamodb.to_owned()).await;
    let fakes = TestWorld::default();
    let (keys, clock) = (fakes.keys(), fakes.clock.clone());
    let world = Adapters {
        apps: (),
        users: (),
        ledgers: (),
        sessions: SessionTable::new(&aws_at(&url), "SessionTable".to_owned()),
        counters: (),
        tokens: (),
        keyring: (),
        signing_keys: (),
        couriers: (),
        clock: clock.clone(),
    };
    let prove = |n: u64| {
        let (jti, htm, htu) = (format!("proof-{n}"), "POST".to_owned(), String::new());
        let claims = DpopClaims { jti, htm, htu, iat: clock.now().as_millis() / 1000, ath: None };
        Some(DpopProof { key: Thumbprint::from_bytes([7; 32]), claims })
    };
    let [user, session] = [(); 2].map(|()| SystemEntropy.bytes::<16>());
    let (user, session) = (UserKey::from_bytes(user), SessionId::from_bytes(session));
    let opening = conformance::a_session(&fakes, SessionKey { user, session });
    let opening = Opening { proof: prove(0), ..opening };
    let begun = session::begin(&world, keys, &opening).await.expect("an outcome");
    let mut token = begun.expect("it begins").token;
    for n in 1..30 {
        clock.advance(Duration::from_mins(1));
        *units.lock().expect("no panic while it is held") = Units::default();
        let refresh = Refresh { token, proof: prove(n), step_up: None };
        let refreshed = session::refresh(&world, keys, &fakes.app.id, &refresh).await;
        token = refreshed.expect("an outcome").expect("it lives").refreshed.token;
    }
    std::mem::take(&mut *units.lock().expect("no panic while it is held"))
}

/// A send of a text message whose receipts are asked for, and such a receipt.
async fn with_receipts(dynamodb: &str) -> (Units, Units) {
    let metered = Metered::on(dynamodb).await;
    metered.world.couriers.sms.give_ids();
    let id = metered.create(Address::Phone(TestWorld::phone())).await;
    metered.take();
    metered.send(id, Channel::Sms).await;
    let send = metered.take();
    metered.receive_text().await;
    (send, metered.take())
}

/// Every action once, by text message and by e-mail.
pub(crate) async fn check(dynamodb: &str) {
    let metered = Metered::on(dynamodb).await;
    println!("billed by DynamoDB, and dollars for a million:");
    let phone = Address::Phone(TestWorld::phone());
    let id = metered.create(phone).await;
    let create = metered.take();
    metered.send(id, Channel::Sms).await;
    let text = metered.take();
    let code = metered.world.last_code();
    let wrong = metered.world.verify(id, &TestWorld::wrong(&code)).await;
    assert_eq!(wrong.expect("an outcome"), Outcome::Incorrect);
    let incorrect = metered.take();
    let right = metered.world.verify(id, &code).await.expect("an outcome");
    assert!(matches!(right, Outcome::Verified(_)));
    let verify = metered.take();
    let id = metered.create(Address::Email(TestWorld::email())).await;
    metered.take();
    metered.send(id, Channel::Email).await;
    let email = metered.take();
    let code = metered.world.last_mailed_code();
    let right = metered.world.verify(id, &code).await.expect("an outcome");
    assert!(matches!(right, Outcome::Verified(_)));
    let verify_email = metered.take();
    metered.receive(ReceiptTag::of(metered.world.keys(), id, 1), DeliveryState::Delivered).await;
    let email_receipt = metered.take();
    let (tracked, text_receipt) = with_receipts(dynamodb).await;
    for (what, units, read, write) in [
        ("create", create, 0.0, 1.0),
        ("send of a text message", text, 4.0, 5.0),
        // One in eight is counted in the app's counter.
        ("verify, a wrong code", incorrect, 1.0, 2.0),
        ("verify, the first of a day", verify, 1.0, 4.0),
        ("send of an e-mail", email, 3.0, 3.0),
        ("verify of it, the first of a day", verify_email, 1.0, 2.0),
        ("send of a text with receipts", tracked, 4.0, 6.0),
        ("receipt of a text message", text_receipt, 2.0, 1.0),
        ("receipt of an e-mail", email_receipt, 1.0, 1.0),
        ("refresh of a session", refresh(dynamodb).await, 1.0, 1.0),
    ] {
        print(what, units);
        assert!(units.read <= read && units.write <= write, "{what}: {units:?}");
    }
    let by_text = dollars(create) + dollars(text) + dollars(verify);
    let by_email = dollars(create) + dollars(email) + dollars(verify_email);
    println!("  create, send and verify: ${by_text:.2} by text message, ${by_email:.2} by e-mail");
    assert!(dollars(text) <= 4.5 && dollars(verify) <= 3.0 && by_text <= 7.0);
}

#[tokio::test]
async fn every_action_is_billed_what_its_budget_allows() {
    let stack = embedded().await;
    check(&stack.dynamodb).await;
}

#[tokio::test]
async fn a_ledger_with_one_open_sent_challenge_is_stored_in_a_kilobyte() {
    let stack = embedded().await;
    let metered = Metered::on(&stack.dynamodb).await;
    metered.world.couriers.sms.give_ids();
    let id = metered.create(Address::Phone(TestWorld::phone())).await;
    metered.send(id, Channel::Sms).await;
    metered.receive_text().await;
    let client = aws_sdk_dynamodb::Client::new(&aws_at(&stack.dynamodb));
    let items = client.scan().table_name("ChallengeTable").send().await.expect("scans").items;
    let size = |value: &AttributeValue| match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(number) => number.len().div_ceil(2) + 1,
        other => panic!("{other:?}"),
    };
    let of_item = |item: &std::collections::HashMap<String, AttributeValue>| {
        item.iter().map(|(name, value)| name.len() + size(value)).sum::<usize>()
    };
    let largest = items.unwrap_or_default().iter().map(of_item).max().expect("items");
    println!("a ledger with one open, sent challenge takes {largest} bytes");
    assert!((400..=1024).contains(&largest), "{largest}");
}
