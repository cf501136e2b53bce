//! What is loaded before a send is decided.

use super::{Refusal, SendOptions, SendTarget};
use crate::{
    action::{open::unsent_key, transact::Failure},
    app::App,
    guard::{Counters, Sending},
    ledger::{Challenge, Ledger, UnsentChallenge},
    ports::{Clock as _, LoadApps, LoadCounters, LoadLedgers, Loaded, StoreError, World},
    secret::keyring::Keyring,
    value::{
        address::{Address, Addresses, Channel},
        caller::CallerClass,
        country::Country,
        id::{AppId, ChallengeId, CounterKey},
        time::Timestamp,
    },
};
use futures_util::future;
use std::sync::Arc;

/// What is known of a send before it is decided, beside the ledger.
pub(super) struct Known {
    /// The app whose message it is, unless it is blocked or gone.
    pub(super) app: Option<Arc<App>>,
    /// The app of the challenge, where the challenge was found.
    pub(super) app_id: Option<AppId>,
    /// The challenge, where nothing was sent for it yet.
    pub(super) unsent: Option<UnsentChallenge>,
    /// The message on each channel that it can take, as the guard sees it.
    pub(super) sendings: Vec<(Channel, Sending)>,
    /// The counters that the guard goes by.
    pub(super) counters: Counters,
}

impl Known {
    fn new(
        app: Option<Arc<App>>,
        keyring: &Keyring,
        addresses: Option<&Addresses>,
        by: CallerClass,
        options: &SendOptions,
    ) -> Self {
        let app = app.filter(|app| !app.blocked);
        let sendings = match (&app, addresses) {
            (Some(app), Some(addresses)) => {
                let asked = options.channels.iter().filter_map(|channel| addresses.on(*channel));
                let mut reached: Vec<&Address> = asked.collect();
                if reached.is_empty() {
                    reached.push(addresses.primary());
                }
                let sending = |to: &Address| {
                    let is_beside = !addresses.are_proven_on(to.channel());
                    Sending::new(app, keyring, (to, is_beside), options.origin, by)
                };
                reached.into_iter().map(|to| (to.channel(), sending(to))).collect()
            }
            _ => Vec::new(),
        };
        Self { app, app_id: None, unsent: None, sendings, counters: Counters::new() }
    }

    fn keys(&self) -> Vec<CounterKey> {
        let mut keys: Vec<_> =
            self.sendings.iter().flat_map(|(_, sending)| sending.counters()).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// How the guard sees a message on a channel.
    pub(super) fn sending(&self, channel: Channel) -> Option<&Sending> {
        self.sendings.iter().find(|(known, _)| *known == channel).map(|(_, sending)| sending)
    }

    /// The country that a text message on a channel, or on the first one, goes to.
    pub(super) fn country(&self, channel: Option<Channel>) -> Option<Country> {
        let is_asked = |known: &Channel| channel.is_none_or(|asked| asked == *known);
        self.sendings.iter().find(|(known, _)| is_asked(known))?.1.country()
    }

    /// Whether the codes of the app are being guessed at.
    pub(super) fn is_guessed_at(&self, now: Timestamp) -> bool {
        let sending = self.sendings.first().zip(self.app.as_ref());
        sending.is_some_and(|((_, sending), app)| {
            sending.is_guessed_at(&app.policy, &self.counters, now)
        })
    }

    /// Whether the caller shall not see this refusal.
    pub(super) fn conceals(&self, refusal: Refusal) -> bool {
        refusal.is_block() && self.app.as_ref().is_some_and(|app| app.conceal_blocks)
    }
}

/// Loads the ledger and the counters: at the same time, where the caller names the address, and
/// one after the other, where only the stored challenge knows it.
pub(super) async fn load<W>(
    world: &W,
    keyring: &Keyring,
    target: SendTarget<'_>,
    options: &SendOptions,
) -> Result<(Known, Loaded<Ledger>), Failure>
where
    W: World<Apps: LoadApps, Ledgers: LoadLedgers, Counters: LoadCounters>,
{
    let key = target.subject().into();
    if let SendTarget::Identity(open, app) | SendTarget::Ordered(open, app) = target {
        let by = open.lookup().into();
        let known = Known::new(Some(app.clone()), keyring, Some(open.addresses()), by, options);
        let loading = future::join(world.ledgers().load(&key), load_counters(world, known.keys()));
        let (loaded, counters) = loading.await;
        let app_id = Some(app.id.clone());
        return Ok((Known { counters: counters?, app_id, ..known }, loaded?));
    }
    let loading_ledger = world.ledgers().load::<Ledger>(&key);
    let (loaded, unsent) = match target {
        SendTarget::Existing(id, _) => {
            let both = future::join(loading_ledger, load_unsent(world, keyring, id)).await;
            (both.0?, both.1?)
        }
        // It was sent before, so its own item only tells what was never sent from what there is not.
        SendTarget::Again(id, _) => {
            let loaded = loading_ledger.await?;
            let is_there = loaded.item.as_ref().is_some_and(|ledger| ledger.find(id).is_some());
            let unsent = if is_there { None } else { load_unsent(world, keyring, id).await? };
            (loaded, unsent)
        }
        SendTarget::Identity(..)
        | SendTarget::Ordered(..)
        | SendTarget::Named(..)
        | SendTarget::Fallback(..) => (loading_ledger.await?, None),
    };
    let now = world.clock().now();
    let found = find(target, loaded.item.as_ref(), unsent.as_ref(), now);
    let app = match (target.app(), found) {
        (Some(app), _) => Some(app.clone()),
        (None, Some((app, _))) => world.apps().load_app(app).await?,
        (None, None) => None,
    };
    let app_id = target.app().map(|app| app.id.clone()).or_else(|| found.map(|(id, _)| id.clone()));
    let addresses = found.map(|(_, challenge)| &challenge.addresses);
    let by = found.map_or(CallerClass::Authenticated, |(_, challenge)| challenge.lookup.into());
    let known = Known::new(app, keyring, addresses, by, options);
    let counters = load_counters(world, known.keys()).await?;
    Ok((Known { app_id, unsent, counters, ..known }, loaded))
}

/// The challenge and its app, if it exists and is this app's.
fn find<'l>(
    target: SendTarget<'_>,
    ledger: Option<&'l Ledger>,
    unsent: Option<&'l UnsentChallenge>,
    now: Timestamp,
) -> Option<(&'l AppId, &'l Challenge)> {
    let sent = ledger.and_then(|ledger| {
        let challenge = match target {
            SendTarget::Existing(id, _)
            | SendTarget::Again(id, _)
            | SendTarget::Fallback(id, _) => ledger.find(id),
            SendTarget::Identity(open, _) | SendTarget::Ordered(open, _) => ledger.find(open.id),
            SendTarget::Named(..) => ledger.named(now),
        };
        Some((&ledger.app, challenge?))
    });
    let found = sent.or_else(|| unsent.map(|unsent| (&unsent.app, &unsent.challenge)));
    found.filter(|(app, _)| target.app().is_none_or(|own| own.id == **app))
}

async fn load_unsent<W>(
    world: &W,
    keyring: &Keyring,
    id: ChallengeId,
) -> Result<Option<UnsentChallenge>, StoreError>
where
    W: World<Ledgers: LoadLedgers>,
{
    Ok(world.ledgers().load(&unsent_key(keyring, id)).await?.item)
}

async fn load_counters<W>(world: &W, keys: Vec<CounterKey>) -> Result<Counters, StoreError>
where
    W: World<Counters: LoadCounters>,
{
    if keys.is_empty() { Ok(Counters::new()) } else { world.counters().load_counters(&keys).await }
}
