//! Histories: many callers load and store one item through connections that are lost, and everything that they
//! were told is explained by an order in which one call came after the other, each between its beginning and
//! its end (linearizability).
//!
//! The order of the stores is known, as each makes the next version, so that one walk over the versions decides
//! it; a search over all orders, as `stateright` has one, does not end for 64 callers.

use crate::{
    ledgers::{challenge_table, embedded},
    proxy::{Ending, Fate, Proxy},
};
use passcode_domain::{
    AppId, Ledger,
    ports::{LoadLedgers, StoreError, StoreLedgers},
    value::id::ItemKey,
};
use passcode_dynamodb::ChallengeTable;
use passcode_testkit::FakeLedgers;
use passcode_tests::aws::{aws_at, make_tables};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Loads and stores of each caller.
const ROUNDS: u64 = 6;

/// What a caller was told.
#[derive(Clone, Debug)]
enum Answer {
    /// This version, with what was stored in it.
    Loaded(u64, Option<AppId>),
    /// What it stores is this version now.
    Stored(u64, AppId),
    /// The version is not the one that it has seen; it has stored nothing.
    Conflict(u64, AppId),
    /// Nothing. It may be stored, now or later, as the version after the one that it has seen.
    Nothing(u64, AppId),
}

/// A call, and when it began and ended.
#[derive(Clone, Debug)]
struct Call {
    began: u64,
    ended: u64,
    told: Answer,
}

/// The two stores.
trait Store: Send + Sync + 'static {
    fn load(&self, key: ItemKey) -> impl Future<Output = Result<(u64, Option<AppId>), ()>> + Send;
    fn store(
        &self,
        key: ItemKey,
        value: &AppId,
        seen: u64,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

macro_rules! stores {
    ($($store:ty),*) => {$(
        impl Store for $store {
            async fn load(&self, key: ItemKey) -> Result<(u64, Option<AppId>), ()> {
                let loaded = LoadLedgers::load::<Ledger>(self, &key).await;
                loaded.map(|loaded| (loaded.version, loaded.item.map(|item| item.app))).map_err(drop)
            }

            async fn store(&self, key: ItemKey, value: &AppId, seen: u64) -> Result<u64, StoreError> {
                let ledger = Ledger::new(value.clone());
                StoreLedgers::store(self, &key, &ledger, seen).await
            }
        }
    )*};
}

stores!(ChallengeTable, FakeLedgers);

/// What every caller was told, where all of them load and store one item, each by connections of its own.
async fn history<S: Store>(callers: u64, store: impl Fn() -> S, key: ItemKey) -> Vec<Call> {
    let clock = Arc::new(AtomicU64::new(0));
    let stores: Vec<_> = (0..callers).map(|caller| (caller, store())).collect();
    let callers = stores.into_iter().map(|(caller, store)| {
        let clock = clock.clone();
        tokio::spawn(async move {
            let tick = || clock.fetch_add(1, Ordering::SeqCst);
            let mut calls = Vec::new();
            for round in 0..ROUNDS {
                let began = tick();
                let Ok((seen, held)) = store.load(key).await else { continue };
                calls.push(Call { began, ended: tick(), told: Answer::Loaded(seen, held) });
                let value: AppId = format!("caller-{caller}-{round}").parse().expect("an id");
                let began = tick();
                let (told, ended) = match store.store(key, &value, seen).await {
                    Ok(version) => (Answer::Stored(version, value), tick()),
                    Err(StoreError::Conflict) => (Answer::Conflict(seen, value), tick()),
                    Err(StoreError::Unavailable(_)) => (Answer::Nothing(seen, value), u64::MAX),
                };
                calls.push(Call { began, ended, told });
            }
            calls
        })
    });
    let mut all = Vec::new();
    for caller in callers.collect::<Vec<_>>() {
        all.extend(caller.await.expect("no panic"));
    }
    all
}

/// What is known of one version: by whom it was made, and when it was there.
#[derive(Default)]
struct Version {
    value: Option<AppId>,
    /// It was made in between.
    made: Option<(u64, u64)>,
    /// Nobody who was told so has ended before it was there.
    there_by: Option<u64>,
    /// Somebody began when it was still there.
    still_at: u64,
}

/// Why a history has no such order.
fn unexplained(calls: &[Call]) -> Option<String> {
    let mut versions: BTreeMap<u64, Version> = BTreeMap::new();
    versions.entry(0).or_default().made = Some((0, 0));
    let sooner = |by: Option<u64>, ended: u64| Some(by.map_or(ended, |by| by.min(ended)));
    for call in calls {
        let (number, value) = match &call.told {
            Answer::Loaded(number, value) => (*number, value.as_ref()),
            Answer::Stored(number, value) => (*number, Some(value)),
            Answer::Conflict(seen, _) => {
                // Versions only grow, so the next one was there.
                let next = versions.entry(seen + 1).or_default();
                next.there_by = sooner(next.there_by, call.ended);
                continue;
            }
            Answer::Nothing(..) => continue,
        };
        let version = versions.entry(number).or_default();
        if number > 0 && version.value.as_ref().is_some_and(|known| Some(known) != value) {
            return Some(format!("version {number} is {:?} and {value:?}", version.value));
        }
        version.value = value.cloned();
        match call.told {
            Answer::Stored(..) if version.made.is_some() => {
                return Some(format!("version {number} was made twice"));
            }
            Answer::Stored(..) => version.made = Some((call.began, call.ended)),
            _ => {
                version.there_by = sooner(version.there_by, call.ended);
                version.still_at = version.still_at.max(call.began);
            }
        }
    }
    // What a caller was told nothing of explains a version. So does what it was told has not happened, if its first
    // answer was lost and somebody has stored the next version before it asked again.
    for call in calls {
        let (Answer::Nothing(seen, value) | Answer::Conflict(seen, value)) = &call.told else {
            continue;
        };
        let Some(version) = versions.get_mut(&(seen + 1)) else { continue };
        let is_it = version.value.as_ref() == Some(value);
        match (&call.told, version.made) {
            (Answer::Nothing(..), _) if is_it => version.made = Some((call.began, call.ended)),
            // Nobody has seen which of those who were told nothing has made it.
            (Answer::Nothing(..), made) if version.value.is_none() => {
                let (began, ended) = made.unwrap_or((call.began, u64::MAX));
                version.made = Some((began.min(call.began), ended));
            }
            (Answer::Conflict(..), _) if is_it => {
                version.made = Some((call.began, call.ended));
                let next = versions.entry(seen + 2).or_default();
                next.there_by = sooner(next.there_by, call.ended);
            }
            _ => {}
        }
    }
    let (mut at, mut expected, mut is_still_there) = (0, 0, 0);
    for (number, version) in &versions {
        if *number != expected {
            return Some(format!("version {expected} was never there, and {number} was"));
        }
        let Some((began, ended)) = version.made else {
            return Some(format!("nobody has made version {number}: {:?}", version.value));
        };
        at = at.max(began).max(is_still_there);
        let by = ended.min(version.there_by.unwrap_or(u64::MAX));
        if at > by {
            return Some(format!("version {number} is there by {by}, and not before {at}"));
        }
        (expected, is_still_there) = (number + 1, version.still_at);
    }
    None
}

fn check(calls: &[Call]) {
    let stored = calls.iter().filter(|call| matches!(call.told, Answer::Stored(..))).count();
    let nothing = calls.iter().filter(|call| matches!(call.told, Answer::Nothing(..))).count();
    println!("{} calls: {stored} stored, {nothing} told nothing", calls.len());
    assert_eq!(unexplained(calls), None, "{calls:#?}");
    assert!(stored > 1, "hardly anything was stored: {stored}");
}

/// Connections live for one request, and every fifth loses an answer or a request.
fn lossy(url: &str) -> Proxy {
    let [fin, reset] = [Ending::Fin, Ending::Reset];
    let answered = [Fate::AfterAnswer(fin), Fate::AfterAnswer(reset)].repeat(2);
    let losses = [
        Fate::AfterForwarding(reset),
        Fate::AfterRequest(fin),
        Fate::AtNextRequest(fin),
        Fate::AfterForwarding(fin),
        Fate::AtOnce(reset),
    ];
    let round = losses.iter().flat_map(|loss| [&answered[..], &[*loss]].concat());
    Proxy::start(url, &round.collect::<Vec<_>>().repeat(100))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_callers_in_memory_have_an_order() {
    let store = FakeLedgers::default();
    check(&history(64, || store.clone(), ItemKey::from_bytes([7; 16])).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_with_lost_answers_have_an_order() {
    let stack = embedded().await;
    let proxy = lossy(&stack.dynamodb);
    check(&history(12, || challenge_table(&proxy.url), ItemKey::from_bytes([8; 16])).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs AWS's DynamoDB Local at DYNAMODB_LOCAL_URL; .ci/run starts it"]
async fn on_awss_dynamodb_local_sixty_four_callers_have_an_order() {
    let url = std::env::var("DYNAMODB_LOCAL_URL").expect("DYNAMODB_LOCAL_URL");
    make_tables(&url, "History").await;
    for n in 0..3 {
        let proxy = lossy(&url);
        let table = || ChallengeTable::new(&aws_at(&proxy.url), "HistoryChallengeTable".to_owned());
        check(&history(64, table, ItemKey::from_bytes([n; 16])).await);
    }
}

/// Histories that no order explains.
#[test]
fn what_has_no_order_is_found() {
    let value = |text: &str| text.parse::<AppId>().expect("an id");
    let call = |began, ended, told| Call { began, ended, told };
    let first = || call(0, 1, Answer::Stored(1, value("a")));
    let second = || call(2, 3, Answer::Stored(2, value("b")));
    let explained = vec![
        first(),
        second(),
        call(0, 5, Answer::Loaded(1, Some(value("a")))),
        call(2, 9, Answer::Conflict(1, value("c"))),
        call(4, u64::MAX, Answer::Nothing(2, value("d"))),
        call(8, 9, Answer::Loaded(3, Some(value("d")))),
    ];
    assert_eq!(unexplained(&explained), None);
    for (what, calls) in [
        ("an old value", vec![first(), second(), call(4, 5, Answer::Loaded(1, Some(value("a"))))]),
        (
            "a value of the future",
            vec![
                first(),
                call(2, 3, Answer::Loaded(2, Some(value("b")))),
                call(4, 5, Answer::Stored(2, value("b"))),
            ],
        ),
        ("two of one version", vec![first(), call(0, 9, Answer::Stored(1, value("b")))]),
        ("a lost update", vec![first(), second(), call(4, 5, Answer::Loaded(2, Some(value("c"))))]),
        (
            "a conflict with nobody",
            vec![
                first(),
                call(2, 3, Answer::Conflict(1, value("c"))),
                call(4, 5, Answer::Loaded(1, Some(value("a")))),
            ],
        ),
        (
            "a conflict with oneself",
            vec![
                call(0, 1, Answer::Conflict(0, value("a"))),
                call(2, 3, Answer::Loaded(1, Some(value("a")))),
            ],
        ),
        ("a value of nobody", vec![first(), call(4, 5, Answer::Loaded(2, Some(value("c"))))]),
        ("a gap", vec![first(), call(4, 5, Answer::Stored(3, value("c")))]),
    ] {
        assert!(unexplained(&calls).is_some(), "{what}");
    }
}
