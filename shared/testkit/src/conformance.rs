//! What every implementation of a port must do, be it a fake or an adapter. Each function panics
//! with the promise that was broken.

use crate::{TestWorld, demo_app};
use passcode_domain::{
    Address, App, Ledger, Session, SessionId, SessionKey, SigningKeys, Timestamp, User, UserChange,
    UserId, UserKey, Username,
    action::idempotency::{self, Begun, Keep, KeyedRequest},
    app::SecretHash,
    guard::{Counter, Field, Reservation, Slot, VerifyCount},
    ledger::{
        UnsentChallenge,
        order::Order,
        request::{KeptAnswer, MAX_OTHER_BODIES},
    },
    message::{Email, Sms},
    ports::{
        ChangeUsers, Clock, CountVerified, CourierError, DeleteApps, DeleteUsers, EmailCourier,
        Entropy, ListSessions, LoadApps, LoadCounters, LoadKeyring, LoadLedgers, LoadSessions,
        LoadSigningKeys, LoadUsers, ReserveCounters, ReserveError, SmsCourier, StoreApps,
        StoreError, StoreLedgers, StoreSessions, StoreUserError, StoreUsers,
    },
    secret::{code::CodeId, password::HashedSecret},
    session::{Device, DeviceKind, Opening},
    value::id::{CounterKey, ItemKey},
};
use std::{fmt::Debug, time::Duration};

/// A key nobody else uses, whatever the store already holds.
fn unused(entropy: &impl Entropy) -> ItemKey {
    ItemKey::from_bytes(entropy.bytes())
}

fn a_ledger(world: &TestWorld, challenges: u32) -> Ledger {
    let mut ledger = Ledger::new(world.app.id.clone());
    for _ in 0..challenges {
        let opening = world.opening(TestWorld::phone().into(), Duration::from_mins(5));
        let now = world.clock.now();
        ledger.enter(opening.challenge(now), now).expect("there is room");
    }
    ledger
}

/// The promises of [`LoadLedgers`] and [`StoreLedgers`].
pub async fn ledgers<S>(store: &S, entropy: &impl Entropy)
where
    S: LoadLedgers + StoreLedgers + Clone,
{
    let world = TestWorld::default();
    let key = unused(entropy);
    let load = async |key: &ItemKey| store.load::<Ledger>(key).await.expect("loads");

    let nothing = load(&key).await;
    assert_eq!((nothing.item, nothing.version), (None, 0), "nothing is stored yet");

    let early = store.store(&key, &a_ledger(&world, 1), 7).await;
    assert!(matches!(early, Err(StoreError::Conflict)), "an update of nothing conflicts");

    let first = a_ledger(&world, 1);
    let version = store.store(&key, &first, 0).await.expect("a first store succeeds");
    let loaded = load(&key).await;
    assert_eq!((loaded.item, loaded.version), (Some(first), version), "every field survives");

    let again = store.store(&key, &a_ledger(&world, 2), 0).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "a second first store conflicts");

    let second = a_ledger(&world, 2);
    let next = store.store(&key, &second, version).await.expect("an update succeeds");
    assert!(next > version, "versions grow");
    let stale = store.store(&key, &a_ledger(&world, 3), version).await;
    assert!(matches!(stale, Err(StoreError::Conflict)), "a stale update conflicts");
    assert_eq!(load(&key).await.item, Some(second), "a refused store changes nothing");

    assert_eq!(load(&unused(entropy)).await.item, None, "subjects do not see each other");
    other_items(store, entropy).await;
    kept_requests(store, entropy).await;
}

/// The promises of [`LoadSessions`], [`ListSessions`] and [`StoreSessions`].
pub async fn sessions<S>(store: &S, entropy: &impl Entropy)
where
    S: LoadSessions + ListSessions + StoreSessions,
{
    let world = TestWorld::default();
    let [user, other] = [(); 2].map(|()| UserKey::from_bytes(entropy.bytes()));
    let key = |user, session| SessionKey { user, session: SessionId::from_bytes([session; 16]) };
    let session = |day: u64| {
        let now = Timestamp::from_millis(day * 86_400_000);
        Session::begin(&a_session(&world, key(user, 1)), now)
    };
    let load = async |key| store.load_session(&key).await.expect("loads");

    let nothing = load(key(user, 1)).await;
    assert_eq!((nothing.item, nothing.version), (None, 0), "nothing is stored yet");
    let early = store.store_session(&key(user, 1), &session(1), 7).await;
    assert!(matches!(early, Err(StoreError::Conflict)), "an update of nothing conflicts");
    let version = store.store_session(&key(user, 1), &session(1), 0).await.expect("stores");
    let loaded = load(key(user, 1)).await;
    assert_eq!((loaded.item, loaded.version), (Some(session(1)), version), "every field survives");
    let again = store.store_session(&key(user, 1), &session(2), 0).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "a second first store conflicts");
    let next = store.store_session(&key(user, 1), &session(2), version).await.expect("updates");
    assert!(next > version, "versions grow");
    let stale = store.store_session(&key(user, 1), &session(3), version).await;
    assert!(matches!(stale, Err(StoreError::Conflict)), "a stale update conflicts");

    store.store_session(&key(user, 2), &session(4), 0).await.expect("stores");
    store.store_session(&key(other, 1), &session(5), 0).await.expect("stores");
    let mut listed = store.list_sessions(&user).await.expect("lists");
    listed.sort_by_key(|(key, _)| *key);
    assert_eq!(listed, [(key(user, 1), session(2)), (key(user, 2), session(4))]);
    let nobody = UserKey::from_bytes(entropy.bytes());
    assert_eq!(
        store.list_sessions(&nobody).await.expect("lists"),
        [],
        "users do not see each other"
    );
}

/// A session of Ada's phone, about to begin.
#[must_use]
pub fn a_session(world: &TestWorld, key: SessionKey) -> Opening {
    Opening {
        key,
        app: world.app.id.clone(),
        user: "cred_ada".parse().expect("an id"),
        address: Address::Phone(TestWorld::phone()),
        policy: world.app.session,
        nonce: [9; 16],
        device: Device {
            kind: DeviceKind::Mobile,
            system: "iOS".to_owned(),
            country: "US".to_owned(),
        },
        proof: None,
    }
}

/// Orders and unsent challenges are items like ledgers.
async fn other_items<S: LoadLedgers + StoreLedgers>(store: &S, entropy: &impl Entropy) {
    let world = TestWorld::default();
    let (now, keys) = (world.clock.now(), [(); 2].map(|()| unused(entropy)));
    let opening = world.opening(TestWorld::email().into(), Duration::from_hours(24));
    let challenge = opening.challenge(now);
    let unsent = UnsentChallenge { app: world.app.id.clone(), challenge };
    let order = Order { challenge: opening.id, until: now };
    store.store(&keys[0], &unsent, 0).await.expect("stores");
    store.store(&keys[1], &order, 0).await.expect("stores");
    let loaded = store.load::<UnsentChallenge>(&keys[0]).await.expect("loads");
    assert_eq!(loaded.item, Some(unsent), "every field survives");
    let loaded = store.load::<Order>(&keys[1]).await.expect("loads");
    assert_eq!(loaded.item, Some(order), "every field survives");
}

/// A request that came with a key is kept beside the ledgers, with its answer.
async fn kept_requests<S>(store: &S, entropy: &impl Entropy)
where
    S: LoadLedgers + StoreLedgers + Clone,
{
    let world = TestWorld::on(demo_app(), store.clone(), ());
    let credential = unused(entropy).to_string();
    let (app, credential) = (Some(&world.app.id), Some(credential.as_str()));
    let key = "conformance".parse().expect("a key");
    let keyed =
        KeyedRequest { app, credential, route: "/", key: &key, body: b"{}", has_secret: true };
    let begin =
        async |keyed| idempotency::begin(&world, world.keys(), keyed).await.expect("a decision");

    let Begun::Proceed(pending) = begin(keyed).await else { panic!("nobody has asked before") };
    assert!(matches!(begin(keyed).await, Begun::InFlight), "it is being served");
    let header = ("set-cookie".to_owned(), "a=b; Path=/".to_owned());
    let answer = KeptAnswer { status: 204, headers: vec![header], body: "\u{e9}".to_owned() };
    let settled = idempotency::settle(&world, pending, Keep::Answer(answer.clone())).await;
    settled.expect("stores");
    let Begun::Answered(again) = begin(keyed).await else { panic!("it was answered") };
    assert!(again == answer, "every byte of an answer survives");
    let other = KeyedRequest { body: b"{ }", ..keyed };
    for _ in 0..MAX_OTHER_BODIES {
        assert!(matches!(begin(other).await, Begun::KeyReused), "the body is known by its MAC");
    }
    assert!(matches!(begin(keyed).await, Begun::KeyReused), "guesses are counted");

    let told = "conformance-of-codes".parse().expect("a key");
    let keyed = KeyedRequest { key: &told, ..keyed };
    let Begun::Proceed(pending) = begin(keyed).await else { panic!("nobody has asked before") };
    let opening = world.opening(TestWorld::phone().into(), Duration::from_mins(5));
    let code = CodeId { challenge: opening.id, generation: 1 };
    idempotency::settle(&world, pending, Keep::Code(code)).await.expect("stores");
    let is_code = matches!(begin(keyed).await, Begun::AnsweredWithCode(again) if again == code);
    assert!(is_code, "which code it was");
}

/// A reservation of one message in a counter, where at most `most` are counted in its half hour before.
fn a_reservation(key: CounterKey, slot: Slot, most: u64) -> Reservation {
    Reservation {
        key,
        slot,
        add: vec![(Field::Sent(slot), 1), (Field::Spent(slot), 50_000)],
        set: vec![(Field::Newest, slot.number())],
        at_most: vec![
            (Field::Sent(slot), most),
            (Field::Sent(slot.before(1)), 0),
            (Field::Newest, slot.number()),
        ],
        stale: Vec::new(),
    }
}

/// The promises of [`LoadCounters`], [`ReserveCounters`] and [`CountVerified`].
pub async fn counters<S>(store: &S, entropy: &impl Entropy)
where
    S: LoadCounters + ReserveCounters + CountVerified,
{
    let slot = Slot::of(TestWorld::default().clock.now());
    let [one, other] = [(); 2].map(|()| CounterKey::from_bytes(entropy.bytes()));
    let read = async |key: CounterKey| {
        let mut counters = store.load_counters(&[key]).await.expect("loads");
        counters.remove(&key).unwrap_or_default()
    };
    let sent = |counter: &Counter| counter.get(Field::Sent(slot));
    assert_eq!(read(one).await, Counter::default(), "nothing is counted yet");

    let first = a_reservation(one, slot, 0);
    store.reserve(&first).await.expect("there is room");
    assert_eq!((sent(&read(one).await), sent(&read(other).await)), (1, 0), "counted in one");
    let Err(ReserveError::Refused(held)) = store.reserve(&first).await else {
        panic!("a bound that is passed refuses")
    };
    assert_eq!((sent(&held), sent(&read(one).await)), (1, 1), "it says what it holds, unchanged");
    assert_eq!(held.get(Field::Spent(slot)), 50_000, "all of it");

    store.reserve(&a_reservation(one, slot, 1)).await.expect("there is room for one more");
    store.give_back(&first).await.expect("it is given back");
    assert_eq!(sent(&read(one).await), 1);

    let greece = "GR".parse().expect("a country");
    let next = slot.after(1);
    let marks = vec![(Field::SentTo(greece), slot.number()), (Field::Newest, next.number())];
    let late = Reservation { set: marks, ..a_reservation(one, next, 0) };
    let refused = store.reserve(&late).await;
    assert!(matches!(refused, Err(ReserveError::Refused(_))), "the half hour before has changed");
    let at_most = vec![(Field::Sent(next), 0), (Field::Sent(slot), 1)];
    let stale = vec![Field::Spent(slot)];
    store.reserve(&Reservation { at_most, stale, ..late }).await.expect("it is as it was read");
    let counter = read(one).await;
    assert_eq!(counter.get(Field::SentTo(greece)), slot.number());
    assert_eq!(counter.get(Field::Spent(slot)), 0, "what is stale is removed");
    let refused = store.reserve(&a_reservation(one, slot, 9)).await;
    assert!(matches!(refused, Err(ReserveError::Refused(_))), "a later half hour has begun");

    let country = Some((Field::VerifiedIn(greece), slot.number()));
    let count = VerifyCount { key: one, slot, add: (Field::Verified(slot), 2), set: country };
    store.count_verified(&count).await.expect("it is counted");
    let counter = read(one).await;
    assert_eq!(counter.get(Field::Verified(slot)), 2);
    assert_eq!(counter.get(Field::VerifiedIn(greece)), slot.number());
    assert_eq!(counter.get(Field::Sent(next)), 1, "nothing else has changed");
}

/// The promises of [`ChangeUsers`], beside a store of ledgers and one of users that it changes.
pub async fn changes<L, U, G>(ledgers: &L, users: &U, changes: &G, entropy: &impl Entropy)
where
    L: LoadLedgers + StoreLedgers,
    U: LoadUsers + StoreUsers,
    G: ChangeUsers,
{
    let world = TestWorld::default();
    let key = unused(entropy);
    let before = a_user("conformance", "change/1", "changing");
    users.store_user(&before).await.expect("stores");
    let after = User { pin: Some(HashedSecret::decoy()), ..before.clone() };
    let change = UserChange { before: before.clone(), after: after.clone() };
    let user = async || users.load_user(&before.app, &before.id).await.expect("loads");

    let early = changes.change_user(&key, &a_ledger(&world, 1), 7, &change).await;
    assert!(matches!(early, Err(StoreError::Conflict)), "a ledger that has changed");
    assert_eq!(user().await.as_ref(), Some(&before), "and so the user has not");

    let outdated = UserChange { before: after.clone(), after: after.clone() };
    let late = changes.change_user(&key, &a_ledger(&world, 1), 0, &outdated).await;
    assert!(matches!(late, Err(StoreError::Conflict)), "a user who has changed");
    assert_eq!(
        ledgers.load::<Ledger>(&key).await.expect("loads").item,
        None,
        "and so no ledger is stored"
    );

    let ledger = a_ledger(&world, 1);
    let version = changes.change_user(&key, &ledger, 0, &change).await.expect("both are stored");
    let loaded = ledgers.load(&key).await.expect("loads");
    assert_eq!((loaded.item, loaded.version), (Some(ledger), version));
    assert_eq!(user().await, Some(after), "every field survives");
    let next = ledgers.store(&key, &a_ledger(&world, 2), version).await;
    assert!(next.is_ok(), "the version is the ledger's own");
}

/// The promises of [`LoadApps`], [`StoreApps`] and [`DeleteApps`].
pub async fn apps<S: LoadApps + StoreApps + DeleteApps>(store: &S) {
    let missing = "nobody".parse().expect("an app id");
    assert_eq!(store.load_app(&missing).await.expect("no error"), None, "no such app");

    let mut app = App { blocked: true, locale: Some("de".into()), ..demo_app() };
    app.id = "conformance".parse().expect("an app id");
    app.templates.insert("t".into(), "sms = { $code }".into());
    store.store_app(&app.validated().expect("valid")).await.expect("stores");
    let loaded = store.load_app(&app.id).await.expect("loads");
    assert_eq!(loaded.as_deref(), Some(&app), "every field survives");

    app.secrets = vec![SecretHash::of("another")];
    store.store_app(&app.validated().expect("valid")).await.expect("replaces");
    let loaded = store.load_app(&app.id).await.expect("loads");
    assert!(loaded.expect("it is there").accepts_secret("another"), "the last store counts");

    store.delete_app(&app.id).await.expect("deletes");
    assert_eq!(store.load_app(&app.id).await.expect("no error"), None, "it is gone");
    store.delete_app(&app.id).await.expect("deleting what is gone is no error");
}

/// A user of an app of the conformance suite, who goes by a name or by none.
fn a_user(app: &str, id: &str, name: &str) -> User {
    let (app, id) = (app.parse().expect("an app id"), id.parse().expect("a user id"));
    let username = (!name.is_empty()).then(|| name.parse().expect("a username"));
    User { username, ..User::new(app, id) }
}

/// The promises of [`LoadUsers`], [`StoreUsers`] and [`DeleteUsers`].
pub async fn users<S: LoadUsers + StoreUsers + DeleteUsers>(store: &S) {
    let mut ada = User {
        email: Some(TestWorld::email()),
        phone: Some(TestWorld::phone()),
        pin: Some(HashedSecret::decoy()),
        ..a_user("conformance", "ada/1", "ada")
    };
    let load = async |user: &User| store.load_user(&user.app, &user.id).await.expect("no error");
    assert_eq!(load(&ada).await, None, "no such user");
    store.delete_user(&ada.app, &ada.id).await.expect("deleting nobody is no error");

    store.store_user(&ada).await.expect("stores");
    assert_eq!(load(&ada).await.as_ref(), Some(&ada), "every field survives");
    assert_eq!(load(&a_user("conformance-2", "ada/1", "")).await, None, "apps do not mix");

    (ada.pin, ada.password) = (None, Some(HashedSecret::decoy()));
    store.store_user(&ada).await.expect("replaces");
    assert_eq!(load(&ada).await.as_ref(), Some(&ada), "the last store counts");

    store.delete_user(&ada.app, &ada.id).await.expect("deletes");
    assert_eq!(load(&ada).await, None, "the user is gone");
    usernames(store).await;
}

/// Names: one user of an app each, and free again when given up.
async fn usernames<S: LoadUsers + StoreUsers + DeleteUsers>(store: &S) {
    let named = async |name: &str| {
        let app = "conformance".parse().expect("an app id");
        let name: Username = name.parse().expect("a username");
        let user = store.load_user_by_name(&app, &name).await.expect("no error");
        user.map(|user| user.id)
    };
    let id = |text: &str| Some(text.parse::<UserId>().expect("a user id"));
    let ada = a_user("conformance", "ada/1", "Ada");
    let eve = a_user("conformance", "eve", "aDA");
    assert_eq!(named("ada").await, None, "nobody goes by that name");
    store.store_user(&ada).await.expect("the name is free");
    assert_eq!((named("ada").await, named("ADA").await), (id("ada/1"), id("ada/1")), "in any case");
    store.store_user(&ada).await.expect("it is her own name");

    let refused = store.store_user(&eve).await;
    assert!(matches!(refused, Err(StoreUserError::NameTaken)), "one user per name: {refused:?}");
    assert_eq!(store.load_user(&eve.app, &eve.id).await.expect("no error"), None, "not written");
    assert_eq!(named("ada").await, id("ada/1"), "a refused store changes nothing");
    store.store_user(&a_user("conformance-2", "eve", "ada")).await.expect("another app's names");

    store.store_user(&a_user("conformance", "ada/1", "countess")).await.expect("a new name");
    assert_eq!((named("ada").await, named("countess").await), (None, id("ada/1")), "is the only");
    store.store_user(&eve).await.expect("what was given up is free");
    assert_eq!(named("ada").await, id("eve"));
    let refused = store.store_user(&ada).await;
    assert!(matches!(refused, Err(StoreUserError::NameTaken)), "it is hers no more: {refused:?}");
    store.store_user(&a_user("conformance", "eve", "")).await.expect("a user may have no name");
    assert_eq!(named("ada").await, None, "given up without another");

    store.delete_user(&ada.app, &ada.id).await.expect("deletes");
    assert_eq!(named("countess").await, None, "a name goes with its user");
    store.store_user(&a_user("conformance", "eve", "countess")).await.expect("and is free");
    for app in ["conformance", "conformance-2"] {
        let eve = a_user(app, "eve", "");
        store.delete_user(&eve.app, &eve.id).await.expect("deletes");
    }
}

/// The promises of [`LoadKeyring`].
pub async fn keyring<K: LoadKeyring>(keys: &K) {
    let first = keys.keyring().await.expect("a keyring");
    let second = keys.keyring().await.expect("a keyring");
    let fresh = keys.refreshed().await.expect("a keyring");
    assert_eq!(first.current_id(), second.current_id(), "it stays the same");
    assert_eq!(first.current_id(), fresh.current_id(), "nobody has rotated it");
    assert!(first.code_key(fresh.current_id()).is_some(), "the current key is in it");
}

/// The promises of [`LoadSigningKeys`].
pub async fn signing_keys<K: LoadSigningKeys>(keys: &K) {
    let ids = |keys: &SigningKeys| keys.seeds().map(|(id, _)| id.clone()).collect::<Vec<_>>();
    let first = keys.signing_keys().await.expect("keys");
    let second = keys.signing_keys().await.expect("keys");
    let fresh = keys.refreshed_signing_keys().await.expect("keys");
    assert_eq!(ids(&first), ids(&second), "they stay the same");
    assert_eq!(ids(&first), ids(&fresh), "nobody has rotated them");
    assert!(!ids(&first).is_empty(), "there is one that signs");
}

/// What a courier may answer, whatever it sends.
fn check_verdicts<T: Debug>(
    accepting: &Result<T, CourierError>,
    refusing: &Result<T, CourierError>,
    losing: &Result<T, CourierError>,
) {
    assert!(accepting.is_ok(), "a message that was taken is a success: {accepting:?}");
    let is_refused = matches!(refusing, Err(CourierError::Refused(_)));
    assert!(is_refused, "a refusal is known to have sent nothing: {refusing:?}");
    let is_unknown = matches!(losing, Err(CourierError::Unknown(_)));
    assert!(is_unknown, "of a lost answer nobody knows: {losing:?}");
}

/// The promises of [`SmsCourier`], by three couriers: whose provider takes the message, refuses
/// it, and fails without saying which.
pub async fn sms_courier<S: SmsCourier>([accepting, refusing, losing]: [&S; 3], message: &Sms) {
    let to = TestWorld::phone();
    check_verdicts(
        &accepting.send(&to, message).await,
        &refusing.send(&to, message).await,
        &losing.send(&to, message).await,
    );
}

/// The promises of [`EmailCourier`], by three couriers as above.
pub async fn email_courier<M: EmailCourier>(
    [accepting, refusing, losing]: [&M; 3],
    message: &Email,
) {
    let to = TestWorld::email();
    check_verdicts(
        &accepting.send(&to, message).await,
        &refusing.send(&to, message).await,
        &losing.send(&to, message).await,
    );
}

/// The promises of [`Clock`].
pub async fn clock<C: Clock>(clock: &C) {
    let before = clock.now();
    clock.sleep(Duration::from_millis(1)).await;
    assert!(clock.now() >= before, "time does not run backwards");
}

/// The promises of [`Entropy`].
pub fn entropy<E: Entropy>(entropy: &E) {
    let drawn: std::collections::BTreeSet<[u8; 16]> = (0..100).map(|_| entropy.bytes()).collect();
    assert_eq!(drawn.len(), 100, "no two draws are the same");
}
