//! One challenge: what was asked, what was sent, how it stands.

use crate::{
    Addresses, Channel, Code, Keyring, Policy, Timestamp, app::AppId, bytes, id::ChallengeId,
    keyring::KeyId, subject::SubjectKey,
};
use serde::{Deserialize, Serialize};

/// One proof asked of one subject, as its ledger stores it.
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
    /// Whether it was opened by a send, without a request of its own: the next such send for the
    /// same addresses is then a resend of it.
    #[serde(default)]
    pub is_direct: bool,
    /// The app's template for its messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// What an Android app is recognised by in its text messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_hash: Option<String>,
    /// When it ends, whatever happens.
    pub expires_at: Timestamp,
    /// The app's policy at the moment it was opened.
    pub policy: Policy,
    /// Wrong codes so far, across all of its codes.
    #[serde(default)]
    pub attempts: u8,
    /// The number of codes made so far; each message takes the next.
    #[serde(default)]
    pub generation: u32,
    /// The messages that went out, or may have. One that was certainly refused is not kept.
    #[serde(default)]
    pub sends: Vec<Send>,
    /// Whether it is still open.
    #[serde(default)]
    pub state: State,
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
    /// The caller gave it up.
    Cancelled,
}

/// One message of a challenge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Send {
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
    /// What is known of its delivery to the provider.
    pub mark: Mark,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// Claimed: it may be on its way. Never claimed again.
    Claimed,
    /// The provider took it.
    Accepted,
    /// The provider did not answer in time: it may have gone out.
    Unknown,
}

impl Challenge {
    /// The full id, given whose challenge it is.
    #[must_use]
    pub const fn id(&self, subject: SubjectKey) -> ChallengeId {
        ChallengeId::new(subject, self.random)
    }

    /// The message whose code counts: the last one. Earlier codes no longer work.
    #[must_use]
    pub fn last_send(&self) -> Option<&Send> {
        self.sends.last()
    }

    /// Whether its life is over.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        now >= self.expires_at
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

    /// The code of one of its messages, unless its key has been rotated out.
    pub(crate) fn code(&self, keyring: &Keyring, subject: SubjectKey, send: &Send) -> Option<Code> {
        let key = keyring.code_key(&send.key)?;
        Some(Code::derive(key, self.id(subject), &self.nonce, send.generation, send.length))
    }
}

/// What a use-case tells about a challenge once it is known: for logs, metrics and answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The app the challenge belongs to.
    pub app: AppId,
    /// The channel of its last message, if there was one.
    pub channel: Option<Channel>,
}
