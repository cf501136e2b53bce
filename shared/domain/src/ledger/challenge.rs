//! One challenge: what was asked, what was sent, how it stands.

use super::{
    Item,
    ledger::ENDED_RETENTION,
    receipt::{Fallback, Receipt},
};
use crate::{
    app::policy::{FailedVerifies, Policy},
    guard::CountedIn,
    secret::{
        code::Code,
        keyring::{KeyId, Keyring},
    },
    value::{
        address::{Address, Addresses, Channel},
        bytes,
        caller::CallerClass,
        country::Country,
        id::{AppId, ChallengeId, SubjectKey},
        time::Timestamp,
    },
};
use serde::{Deserialize, Serialize};

/// One proof asked of one subject, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// The random half of its id.
    #[serde(with = "bytes")]
    pub random: [u8; 16],
    /// What its codes are derived from, beside the id: 128 random bits that no caller sees.
    #[serde(with = "bytes")]
    pub nonce: [u8; 16],
    /// Where its codes can be sent.
    #[serde(flatten)]
    pub addresses: Addresses,
    /// How callers find it again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub lookup: Lookup,
    /// Why none of its messages is delivered, where none is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub suppression: Option<Suppression>,
    /// The app's template for its messages.
    #[serde(default, skip_serializing_if = "is_default")]
    pub template: Option<String>,
    /// What an Android app is recognised by in its text messages.
    #[serde(default, skip_serializing_if = "is_default")]
    pub app_hash: Option<String>,
    /// The scope that it is asked for, in a step-up.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scope: Option<String>,
    /// When it ends, whatever happens.
    pub expires_at: Timestamp,
    /// The app's policy at the moment it was opened. A default policy is not stored.
    #[serde(default, skip_serializing_if = "is_default")]
    pub policy: Policy,
    /// Wrong codes so far, across all of its codes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub attempts: u8,
    /// The number of codes made so far; each message takes the next.
    #[serde(default, skip_serializing_if = "is_default")]
    pub generation: u32,
    /// The messages that went out, or may have. One that was certainly refused is not kept.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sends: Vec<SendRecord>,
    /// Whether it is still open.
    #[serde(default, skip_serializing_if = "is_default")]
    pub state: State,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// How callers find a challenge again. Each way has counts of its own, so that what one kind of
/// caller does costs the others nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lookup {
    /// By its id, which an app's server was given.
    #[default]
    Id,
    /// By naming its subject: for the next send as for a verify.
    Identity,
    /// By its id, which was given to a caller who has shown nothing but the subject's address.
    Anonymous,
    /// By its id, which was given to a user who has shown an access token.
    User,
    /// By its id, which was given to a device on which the subject was verified before.
    Device,
}

impl From<Lookup> for CallerClass {
    fn from(lookup: Lookup) -> Self {
        match lookup {
            Lookup::Id | Lookup::Identity => Self::Authenticated,
            Lookup::User => Self::User,
            Lookup::Device => Self::Device,
            Lookup::Anonymous => Self::Anonymous,
        }
    }
}

/// Why a message is not delivered, though everything else is decided as for any other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Suppression {
    /// The app has listed its address for tests: the code is the listed one.
    TestAddress(Code),
    /// Its caller was refused, and shall not see it: no code is right.
    Concealed,
}

/// Whether a challenge can still be verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Waiting for its code.
    #[default]
    Open,
    /// The right code came, at this moment, from a message on this channel.
    Verified(Timestamp, Channel),
    /// A later challenge of the same user has taken its place.
    Cancelled,
}

/// One message of a challenge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendRecord {
    /// Which code it carries.
    pub generation: u32,
    /// The key its code is derived under.
    pub key: KeyId,
    /// How it travels.
    pub channel: Channel,
    /// The digits of its code.
    pub length: u8,
    /// When it was claimed.
    pub at: Timestamp,
    /// When its code ends.
    pub expires_at: Timestamp,
    /// The counters that a success is counted in. A text message has them, if it was counted at all.
    #[serde(default, skip_serializing_if = "is_default")]
    pub counted_in: CountedIn,
    /// What its provider has reported of it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub receipt: Option<Receipt>,
    /// What is to be tried where it certainly does not arrive.
    #[serde(default, skip_serializing_if = "is_default")]
    pub fallback: Option<Fallback>,
}

impl SendRecord {
    /// Whether it has certainly reached nobody.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.receipt.is_some_and(|receipt| receipt.state.is_failure())
    }
}

impl Challenge {
    /// The full id, given whose challenge it is.
    #[must_use]
    pub const fn id(&self, subject: SubjectKey) -> ChallengeId {
        ChallengeId::new(subject, self.random)
    }

    /// The message whose code counts: the last one. Earlier codes no longer work.
    #[must_use]
    pub fn last_send(&self) -> Option<&SendRecord> {
        self.sends.last()
    }

    /// Whether its life is over.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        now >= self.expires_at
    }

    /// Whether the right code has come.
    #[must_use]
    pub const fn is_verified(&self) -> bool {
        self.verified_at().is_some()
    }

    /// When the right code came, if it has.
    #[must_use]
    pub const fn verified_at(&self) -> Option<Timestamp> {
        match self.state {
            State::Verified(at, _) => Some(at),
            State::Open | State::Cancelled => None,
        }
    }

    /// The address that the right code has proven, if it has come.
    #[must_use]
    pub fn verified_address(&self) -> Option<&Address> {
        match self.state {
            State::Verified(_, channel) => self.addresses.on(channel),
            State::Open | State::Cancelled => None,
        }
    }

    /// Whether no code, right or wrong, will be looked at any more.
    #[must_use]
    pub const fn is_exhausted(&self) -> bool {
        self.attempts >= self.policy.max_attempts
    }

    /// Whether it waits for its code: open, in time, with attempts left.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.state == State::Open && !self.has_expired(now) && !self.is_exhausted()
    }

    /// Whether its caller was refused and shall not see it.
    #[must_use]
    pub fn is_concealed(&self) -> bool {
        self.suppression == Some(Suppression::Concealed)
    }

    /// Whether its code is handed to its caller, who speaks for the user.
    #[must_use]
    pub const fn is_of_user(&self) -> bool {
        matches!(self.addresses.primary(), Address::User(_))
    }

    /// Whether the code that counts was made under a key that this keyring lacks: a newer one, made by
    /// a function that has read a rotated keyring already, or one that was rotated out.
    pub(crate) fn lacks_key(&self, keyring: &Keyring) -> bool {
        self.last_send().is_some_and(|send| keyring.code_key(&send.key).is_none())
    }

    /// The code of one of its messages, unless its key has been rotated out.
    pub(crate) fn code(
        &self,
        keyring: &Keyring,
        subject: SubjectKey,
        send: &SendRecord,
    ) -> Option<Code> {
        if let Some(Suppression::TestAddress(code)) = &self.suppression {
            return Some(code.clone());
        }
        let key = keyring.code_key(&send.key)?;
        Some(Code::derive(key, self.id(subject), &self.nonce, send.generation, send.length))
    }
}

/// A challenge that nothing was sent for yet: an item of its own, so that any number of them costs the
/// subject's ledger nothing. With its first message it enters the ledger, and the ledger's copy counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsentChallenge {
    /// The app it belongs to.
    pub app: AppId,
    /// The challenge.
    pub challenge: Challenge,
}

impl Item for UnsentChallenge {
    fn expires_at(&self) -> Timestamp {
        self.challenge.expires_at + ENDED_RETENTION
    }
}

/// What logs and metrics may know of a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The app the challenge belongs to.
    pub app: AppId,
    /// The channel of its last message, if there was one.
    pub channel: Option<Channel>,
    /// The country that its last message went to, as a text message.
    pub country: Option<Country>,
    /// What tries count against, by the policy of the challenge, and the digits of the code.
    pub failed_verifies: Option<(FailedVerifies, u8)>,
}
