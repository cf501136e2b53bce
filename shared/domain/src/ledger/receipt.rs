//! Receipts: what providers report of messages after they have taken them, and what follows from it.

use super::{Item, challenge::SendRecord, ledger::Ledger};
use crate::{
    secret::{keyring::Keyring, receipt::ReceiptTag},
    value::{
        address::{Address, Channel},
        bytes,
        country::Country,
        id::{AppId, ChallengeId},
        time::Timestamp,
    },
};
use serde::{Deserialize, Serialize};
use std::{cmp::Reverse, time::Duration};

/// An address that has bounced, or whose owner has complained, gets nothing more of the app for so long.
pub const UNDELIVERABLE_TIME: Duration = Duration::from_hours(24);

/// A subject has at most so many addresses that are undeliverable: an e-mail address in each of the places
/// that a challenge has for one.
const MAX_UNDELIVERABLE: usize = 4;

/// How long after a text message its receipt may still come (SNS developer guide: up to 72 hours).
pub const MAX_RECEIPT_DELAY: Duration = Duration::from_hours(73);

/// What became of a message, in the order in which a later one replaces those before it, whatever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// The receiver's server or carrier has not taken it yet.
    Delayed,
    /// It was probably not delivered. An automatic answer of the mailbox looks the same.
    Undelivered,
    /// The receiver's server, carrier or phone has taken it.
    Delivered,
    /// It was certainly not delivered.
    Failed,
    /// The same, because its address does not exist.
    Bounced,
    /// Its receiver has reported it as unwanted.
    Complained,
}

impl DeliveryState {
    /// The state's name, in stored items and in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delayed => "delayed",
            Self::Undelivered => "undelivered",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Bounced => "bounced",
            Self::Complained => "complained",
        }
    }

    /// Whether the message has certainly reached nobody.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Bounced)
    }

    /// Whether its address gets nothing more for a while, and whoever has asked for it is held to account.
    #[must_use]
    pub const fn is_held_against(self) -> bool {
        matches!(self, Self::Bounced | Self::Complained)
    }
}

/// A provider's report of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// What became of it.
    pub state: DeliveryState,
    /// When, by the provider's clock.
    pub at: Timestamp,
}

impl Receipt {
    /// What is known after both, in whichever order they came: of the later state, the earliest report.
    #[must_use]
    pub fn merged(self, other: Self) -> Self {
        let rank = |receipt: &Self| (receipt.state, Reverse(receipt.at));
        if rank(&other) > rank(&self) { other } else { self }
    }
}

/// What the request named beyond the channel of a message, for when the message certainly does not arrive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallback {
    /// The channels that are left, in order.
    pub channels: Vec<Channel>,
    /// The language that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Seconds that a code shall live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_seconds: Option<u32>,
    /// What an Android app is recognised by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_hash: Option<String>,
}

/// An address that gets nothing more for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Undeliverable {
    /// An HMAC of it.
    #[serde(with = "bytes")]
    address: [u8; 16],
    pub(super) until: Timestamp,
}

impl Undeliverable {
    fn mac(keyring: &Keyring, app: &AppId, address: &Address) -> [u8; 16] {
        keyring.index_mac(&["undeliverable", app.as_str(), &address.canonical()])
    }
}

/// What a receipt has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// It tells something that was not known.
    pub(crate) is_new: bool,
    /// From now on the message is held against its address and whoever asked for it.
    pub(crate) is_held_against: bool,
}

impl Ledger {
    /// Until when an address gets nothing, where it has bounced or its owner complained a short while ago.
    #[must_use]
    pub fn undeliverable_until(
        &self,
        keyring: &Keyring,
        address: &Address,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let mut in_force = self.undeliverable.iter().filter(|known| known.until > now).peekable();
        in_force.peek()?;
        let mac = Undeliverable::mac(keyring, &self.app, address);
        in_force.find(|known| known.address == mac).map(|known| known.until)
    }

    /// Lets an address get nothing more for a while.
    fn suspend(&mut self, keyring: &Keyring, address: &Address, now: Timestamp) {
        let address = Undeliverable::mac(keyring, &self.app, address);
        self.undeliverable.retain(|known| known.until > now && known.address != address);
        self.undeliverable.push(Undeliverable { address, until: now + UNDELIVERABLE_TIME });
        let surplus = self.undeliverable.len().saturating_sub(MAX_UNDELIVERABLE);
        self.undeliverable.drain(..surplus);
    }

    /// The message that a tag names: its challenge and its generation.
    #[must_use]
    pub fn find_message(&self, keyring: &Keyring, tag: &ReceiptTag) -> Option<(ChallengeId, u32)> {
        let all = self.challenges.iter().flat_map(|challenge| {
            let id = challenge.id(*tag.subject());
            challenge.sends.iter().map(move |send| (id, send.generation))
        });
        all.into_iter().find(|(id, generation)| ReceiptTag::of(keyring, *id, *generation) == *tag)
    }

    /// The message of a challenge that carries the code of a generation.
    #[must_use]
    pub fn message(&self, id: ChallengeId, generation: u32) -> Option<&SendRecord> {
        self.find(id)?.sends.iter().find(|send| send.generation == generation)
    }

    /// Notes a receipt of a message. What is known already changes nothing.
    pub(crate) fn receive(
        &mut self,
        keyring: &Keyring,
        (id, generation): (ChallengeId, u32),
        receipt: Receipt,
        now: Timestamp,
    ) -> Change {
        let Some(challenge) = self.find_mut(id) else { return Change::default() };
        let sends = &mut challenge.sends;
        let Some(send) = sends.iter_mut().find(|send| send.generation == generation) else {
            return Change::default();
        };
        let before = send.receipt;
        let after = before.map_or(receipt, |before| before.merged(receipt));
        send.receipt = Some(after);
        let is_held_against = |receipt: Receipt| receipt.state.is_held_against();
        let change = Change {
            is_new: before != Some(after),
            is_held_against: is_held_against(after) && !before.is_some_and(is_held_against),
        };
        let channel = send.channel;
        let address = challenge.addresses.on(channel).cloned();
        if let Some(address) = address.filter(|_| change.is_held_against) {
            self.suspend(keyring, &address, now);
        }
        change
    }
}

/// A text message that was handed over: an item that the provider's own id of it leads to, since a report names a
/// text message by nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackedMessage {
    /// The message.
    pub tag: ReceiptTag,
    /// The app it belongs to.
    pub app: AppId,
    /// The country of its number.
    pub to: Country,
    /// When it was handed over.
    pub at: Timestamp,
}

impl Item for TrackedMessage {
    fn expires_at(&self) -> Timestamp {
        self.at + MAX_RECEIPT_DELAY
    }
}
