//! What every implementation of a port must do, be it a fake or an adapter. Each function panics
//! with the promise that was broken.

use crate::{World, demo_app};
use passcode_domain::{
    App, Ledger, SigningKeys, SubjectKey,
    app::SecretHash,
    change_pin::Change,
    code::CodeId,
    guard::{
        Rule, Step, Steps,
        gauge::{Count, Field, Gauge, GaugeId, GaugeKey, Slot},
    },
    idempotency::{self, KeptAnswer, Keyed, MAX_OTHER_BODIES, Stays, Turn},
    message::{Email, Sms},
    open,
    ports::{
        ChangeUsers, Clock, CountError, CountGauges, CourierError, DeleteApps, DeleteUsers,
        EmailCourier, Entropy, LoadApps, LoadGauges, LoadKeyring, LoadLedgers, LoadSigningKeys,
        LoadUsers, SmsCourier, StoreApps, StoreError, StoreLedgers, StoreUserError, StoreUsers,
    },
    transact::Ports,
    user::{HashedSecret, User, UserId, Username},
};
use std::time::Duration;

/// A subject nobody else uses, whatever the store already holds.
fn somebody(entropy: &impl Entropy) -> SubjectKey {
    SubjectKey::from_bytes(entropy.bytes())
}

fn a_ledger(world: &World, challenges: u32) -> Ledger {
    (0..challenges).fold(Ledger::new(world.app.id.clone()), |ledger, _| {
        let opening = world.opening(World::phone().into(), Duration::from_mins(5));
        open::decide(ledger, &opening, world.clock.now()).0
    })
}

/// The promises of [`LoadLedgers`] and [`StoreLedgers`].
pub async fn ledgers<S: LoadLedgers + StoreLedgers>(store: &S, entropy: &impl Entropy) {
    let world = World::default();
    let key = somebody(entropy);

    let nothing = store.load(&key).await.expect("loading what is not there is no error");
    assert_eq!((nothing.ledger, nothing.version), (None, 0), "nothing is stored yet");

    let early = store.store(&key, &a_ledger(&world, 1), 7).await;
    assert!(matches!(early, Err(StoreError::Conflict)), "an update of nothing conflicts");

    let first = a_ledger(&world, 1);
    let version = store.store(&key, &first, 0).await.expect("a first store succeeds");
    let loaded = store.load(&key).await.expect("what was stored can be loaded");
    assert_eq!((loaded.ledger, loaded.version), (Some(first), version), "every field survives");

    let again = store.store(&key, &a_ledger(&world, 2), 0).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "a second first store conflicts");

    let second = a_ledger(&world, 2);
    let next = store.store(&key, &second, version).await.expect("an update succeeds");
    assert!(next > version, "versions grow");
    let stale = store.store(&key, &a_ledger(&world, 3), version).await;
    assert!(matches!(stale, Err(StoreError::Conflict)), "a stale update conflicts");
    let loaded = store.load(&key).await.expect("loads");
    assert_eq!(loaded.ledger, Some(second), "a refused store changes nothing");

    let other = store.load(&somebody(entropy)).await.expect("loads");
    assert_eq!(other.ledger, None, "subjects do not see each other");
    kept_requests(store, entropy).await;
}

/// A request that came with a key is kept beside the ledgers, with its answer.
async fn kept_requests<S: LoadLedgers + StoreLedgers>(store: &S, entropy: &impl Entropy) {
    let world = World::default();
    let ports = Ports { ledgers: store, clock: &world.clock, entropy };
    let credential = somebody(entropy).to_string();
    let (app, credential) = (Some(&world.app.id), Some(credential.as_str()));
    let key = "conformance".parse().expect("a key");
    let keyed = Keyed { app, credential, route: "/", key: &key, body: b"{}", has_secret: true };
    let begin = async |keyed| idempotency::begin(ports, world.keys(), keyed).await.expect("a turn");

    let Turn::Go(claim) = begin(keyed).await else { panic!("nobody has asked before") };
    assert!(matches!(begin(keyed).await, Turn::InFlight), "it is being served");
    let header = ("set-cookie".to_owned(), "a=b; Path=/".to_owned());
    let answer = KeptAnswer { status: 204, headers: vec![header], body: "\u{e9}".to_owned() };
    let stays = Stays::Answer(answer.clone());
    let settled = idempotency::settle(store, entropy, claim, stays, world.clock.now()).await;
    settled.expect("stores");
    let Turn::Again(again) = begin(keyed).await else { panic!("it was answered") };
    assert!(again == answer, "every byte of an answer survives");
    let other = Keyed { body: b"{ }", ..keyed };
    for _ in 0..MAX_OTHER_BODIES {
        assert!(matches!(begin(other).await, Turn::OtherBody), "the body is known by its MAC");
    }
    assert!(matches!(begin(keyed).await, Turn::OtherBody), "guesses are counted");

    let told = "conformance-of-codes".parse().expect("a key");
    let keyed = Keyed { key: &told, ..keyed };
    let Turn::Go(claim) = begin(keyed).await else { panic!("nobody has asked before") };
    let code = CodeId { challenge: world.open(), generation: 1 };
    let settled = idempotency::settle(store, entropy, claim, Stays::Code(code), world.clock.now());
    settled.await.expect("stores");
    assert!(matches!(begin(keyed).await, Turn::Told(again) if again == code), "which code it was");
}

/// A step on a gauge of today: adds to one counter, which may be at most `most` before.
fn step(key: GaugeKey, add: i64, most: u64) -> Step {
    let slot = Slot::of(World::default().clock.now());
    let field = Field::counter(Count::Sent, slot);
    let id = GaugeId { key, day: slot.day() };
    Step { add: vec![(field, add)], at_most: vec![(field, most)], ..Step::on(id) }
}

fn steps(all: impl IntoIterator<Item = Step>) -> Steps {
    let mut steps = Steps::default();
    all.into_iter().for_each(|step| steps.push(step));
    steps
}

/// The promises of [`LoadGauges`] and [`CountGauges`], by a store of ledgers that counts as well.
pub async fn throttle<S>(store: &S, entropy: &impl Entropy)
where
    S: LoadLedgers + StoreLedgers + LoadGauges + CountGauges,
{
    let world = World::default();
    let subject = somebody(entropy);
    let [hers, his] = [(); 2].map(|()| GaugeKey::from_bytes(entropy.bytes()));
    let id = |key| step(key, 0, 0).id;
    let read = async |key: GaugeKey| {
        let gauges = store.load_gauges(&[id(key)]).await.expect("loading gauges is no error");
        gauges.of(id(key)).cloned().unwrap_or_default()
    };
    let sent = |gauge: &Gauge| gauge.get(step(hers, 0, 0).at_most[0].0);
    assert_eq!(read(hers).await, Gauge::default(), "nothing is counted yet");

    let both = steps([step(hers, 1, 0), step(his, 1, 0)]);
    let first = a_ledger(&world, 1);
    let version = store.store_and_count(&subject, &first, 0, &both).await.expect("it is written");
    let loaded = store.load(&subject).await.expect("loads");
    assert_eq!((loaded.ledger, loaded.version), (Some(first), version), "the ledger is stored");
    assert_eq!((sent(&read(hers).await), sent(&read(his).await)), (1, 1), "both are counted");

    let second = a_ledger(&world, 2);
    let full = steps([step(hers, 1, 0), step(his, 1, 1)]);
    let Err(CountError::Full(told)) =
        store.store_and_count(&subject, &second, version, &full).await
    else {
        panic!("a bound that is passed refuses")
    };
    assert_eq!(told.of(id(hers)).map(sent), Some(1), "the full gauge tells what it says");
    assert_eq!(told.of(id(his)), None, "the other tells nothing");
    assert_eq!(sent(&read(his).await), 1, "and has not counted");
    assert_eq!(store.load(&subject).await.expect("loads").version, version, "nor the ledger");

    let more = steps([step(hers, 1, 1)]);
    let stale = store.store_and_count(&subject, &second, version + 1, &more).await;
    assert!(matches!(stale, Err(CountError::Store(StoreError::Conflict))), "a stale ledger");
    assert_eq!(sent(&read(hers).await), 1, "counts nothing");

    let back = steps([step(hers, -1, 1)]);
    store.store_and_count(&subject, &second, version, &back).await.expect("it is given back");
    assert_eq!(sent(&read(hers).await), 0);
    let nothing = store.store_and_count(&subject, &second, version + 1, &Steps::default()).await;
    assert!(nothing.is_ok(), "without steps it is a store like any other");
    blocks(store, id(hers)).await;
}

/// Steps without a ledger, by the block that a rule sets.
async fn blocks<S: LoadGauges + CountGauges>(store: &S, id: GaugeId) {
    let field = Field::Block(Rule::PrefixConcentration);
    let block = |until, at_most| Step {
        set: vec![(field, until)],
        at_most: vec![(field, at_most)],
        ..Step::on(id)
    };
    for (until, at_most) in [(2000, 1000), (3000, 1500)] {
        store.count(&steps([block(until, at_most)])).await.expect("a passed bound is no error");
        let gauges = store.load_gauges(&[id]).await.expect("loads");
        let until = gauges.of(id).map(|gauge| gauge.get(field));
        assert_eq!(until, Some(2000), "a block that is there is not replaced");
    }
}

/// The promises of [`ChangeUsers`], beside a store of ledgers and one of users that it changes.
pub async fn changes<L, U, G>(ledgers: &L, users: &U, changes: &G, entropy: &impl Entropy)
where
    L: LoadLedgers + StoreLedgers,
    U: LoadUsers + StoreUsers,
    G: ChangeUsers,
{
    let world = World::default();
    let key = somebody(entropy);
    let before = a_user("conformance", "change/1", "changing");
    users.store_user(&before).await.expect("stores");
    let after = User { pin: Some(HashedSecret::decoy()), ..before.clone() };
    let change = Change { before: before.clone(), after: after.clone() };
    let user = async || users.load_user(&before.app, &before.id).await.expect("loads");

    let early = changes.change_user(&key, &a_ledger(&world, 1), 7, &change).await;
    assert!(matches!(early, Err(StoreError::Conflict)), "a ledger that has changed");
    assert_eq!(user().await.as_ref(), Some(&before), "and so the user has not");

    let stranger = Change { before: after.clone(), after: after.clone() };
    let late = changes.change_user(&key, &a_ledger(&world, 1), 0, &stranger).await;
    assert!(matches!(late, Err(StoreError::Conflict)), "a user who has changed");
    assert_eq!(ledgers.load(&key).await.expect("loads").ledger, None, "and so no ledger is stored");

    let ledger = a_ledger(&world, 1);
    let version = changes.change_user(&key, &ledger, 0, &change).await.expect("both are stored");
    let loaded = ledgers.load(&key).await.expect("loads");
    assert_eq!((loaded.ledger, loaded.version), (Some(ledger), version));
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
        email: Some(World::email()),
        phone: Some(World::phone()),
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
fn check_verdicts(
    accepting: &Result<(), CourierError>,
    refusing: &Result<(), CourierError>,
    losing: &Result<(), CourierError>,
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
    let to = World::phone();
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
    let to = World::email();
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
