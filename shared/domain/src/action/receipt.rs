//! Receipt: what a provider reports of a message is noted in its ledger, however often and in whichever order the
//! reports come: one read, and one write where something is new. A message that has certainly not arrived holds
//! the next one back no longer; where the request named further channels, the next one is sent.

use super::{
    send::{self, ClaimedSend, Delivery, SendOptions, SendTarget, SendWorld},
    transact::{Failure, transact},
};
use crate::{
    app::App,
    guard::{CountedIn, Origin, VerifyCount},
    ledger::{
        Ledger,
        challenge::SendRecord,
        receipt::{Fallback, Receipt, TrackedMessage},
    },
    ports::{
        Cause, Clock as _, CountVerified, LoadLedgers, ProviderMessageId, StoreError, StoreLedgers,
        World,
    },
    secret::{keyring::Keyring, receipt::ReceiptTag},
    value::{
        address::{Address, Channel},
        country::{Country, origin},
        id::{AppId, ChallengeId, ItemKey},
        time::Timestamp,
    },
};

/// What a receipt was of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The challenge.
    pub id: ChallengeId,
    /// The app it belongs to.
    pub app: AppId,
    /// How the message travelled.
    pub channel: Channel,
    /// Whether the receipt tells something that was not known.
    pub is_new: bool,
    /// The next message to be tried, where this one has certainly not arrived.
    pub next: Option<Next>,
}

/// A message that takes the place of one that did not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    id: ChallengeId,
    generation: u32,
    fallback: Fallback,
    counted_in: CountedIn,
}

/// Notes a receipt; `None` where its message is not known, or not any more. A bounce and a complaint are counted
/// once, for the IP address that has asked for the message.
pub async fn receive<W>(
    world: &W,
    keyring: &Keyring,
    tag: &ReceiptTag,
    receipt: Receipt,
) -> Result<Option<Received>, Failure>
where
    W: World<Ledgers: LoadLedgers + StoreLedgers, Counters: CountVerified>,
{
    let decide = |ledger: Option<Ledger>, now| decide(ledger, keyring, tag, receipt, now);
    let settled = transact(world, (*tag.subject()).into(), None, decide).await?;
    let Some((received, count)) = settled.outcome else { return Ok(None) };
    // What cannot be counted makes the detectors milder by one message.
    if let Some(count) = count {
        let _ = world.counters().count_verified(&count).await;
    }
    Ok(Some(received))
}

fn decide(
    ledger: Option<Ledger>,
    keyring: &Keyring,
    tag: &ReceiptTag,
    receipt: Receipt,
    now: Timestamp,
) -> (Option<Ledger>, Option<(Received, Option<VerifyCount>)>) {
    let Some(mut ledger) = ledger else { return (None, None) };
    let Some((id, generation)) = ledger.find_message(keyring, tag) else {
        return (Some(ledger), None);
    };
    let change = ledger.receive(keyring, (id, generation), receipt, now);
    let Some(send) = ledger.message(id, generation) else { return (Some(ledger), None) };
    let count = send.counted_in.bounced(send.at, now).filter(|_| change.is_held_against);
    let received = Received {
        id,
        app: ledger.app.clone(),
        channel: send.channel,
        is_new: change.is_new,
        next: next(&ledger, id, generation, now),
    };
    (Some(ledger), Some((received, count)))
}

/// The message that a failed one makes way for, unless another has gone out since.
fn next(ledger: &Ledger, id: ChallengeId, generation: u32, now: Timestamp) -> Option<Next> {
    let challenge = ledger.find(id).filter(|challenge| challenge.is_live(now))?;
    // Once its code has ended, nobody waits for the message.
    let waits = |last: &&SendRecord| last.generation == generation && now < last.expires_at;
    let last = challenge.last_send().filter(waits)?;
    let fallback = last.fallback.clone().filter(|_| last.has_failed())?;
    Some(Next { id, generation, fallback, counted_in: last.counted_in })
}

/// Sends on the next channel. It is claimed like any other message, so of any number of receipts of the same failure
/// one sends it.
pub async fn fall_back<W>(world: &W, keyring: &Keyring, next: &Next) -> Result<Delivery, Failure>
where
    W: SendWorld,
{
    let fallback = next.fallback.clone();
    let options = SendOptions {
        channels: fallback.channels,
        code_seconds: fallback.code_seconds,
        locale: fallback.locale,
        app_hash: fallback.app_hash,
        origin: Origin { ip: None, counter: next.counted_in.ip },
        ..SendOptions::default()
    };
    send::send(world, keyring, SendTarget::Fallback(next.id, next.generation), &options).await
}

/// Lets the provider's own id of a text message lead to it. The error is why it will not.
pub(super) async fn track<W>(
    world: &W,
    keyring: &Keyring,
    message: &ProviderMessageId,
    tag: ReceiptTag,
    claim: &ClaimedSend,
    app: &App,
) -> Option<Cause>
where
    W: World<Ledgers: StoreLedgers>,
{
    let Address::Phone(phone) = &claim.to else { return None };
    let (to, _) = origin(phone);
    let item = TrackedMessage { tag, app: app.id.clone(), to, at: world.clock().now() };
    let stored = world.ledgers().store(&tracked_key(keyring, message), &item, 0).await;
    stored.err().map(|error| Failure::from(error).into())
}

/// What is known of a text message by the provider's own id of it, for as long as receipts may come.
pub async fn tracked<W>(
    world: &W,
    keyring: &Keyring,
    message: &ProviderMessageId,
) -> Result<Option<(ReceiptTag, AppId, Country)>, StoreError>
where
    W: World<Ledgers: LoadLedgers>,
{
    let loaded = world.ledgers().load::<TrackedMessage>(&tracked_key(keyring, message)).await?;
    Ok(loaded.item.map(|message| (message.tag, message.app, message.to)))
}

fn tracked_key(keyring: &Keyring, message: &ProviderMessageId) -> ItemKey {
    keyring.item_key(&["provider message", &message.0])
}
