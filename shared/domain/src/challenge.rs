//! One challenge: what was asked, what was sent, how it stands.

use crate::{
    Addresses, Channel, Code, Keyring, Policy, Timestamp,
    app::AppId,
    bytes,
    guard::{Counted, Steps},
    id::ChallengeId,
    keyring::KeyId,
    policy::FailedVerifies,
    subject::SubjectKey,
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
    /// How callers find it again.
    #[serde(default)]
    pub lookup: Lookup,
    /// Why nothing is sent for it, where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence: Option<Silence>,
    /// The app's template for its messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// What an Android app is recognised by in its text messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_hash: Option<String>,
    /// The scope that it is asked for, in a step-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
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
}

/// Why nothing is sent for a challenge, though everything else happens as ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Silence {
    /// The app has listed its address for tests: the code is the listed one.
    Test(Code),
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
    /// The gauges it was counted in.
    #[serde(default, skip_serializing_if = "Counted::is_nowhere")]
    pub counted: Counted,
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

impl Send {
    /// Whether it is the one of this generation, and nothing is known of it yet.
    pub(crate) fn is_claimed_as(&self, generation: u32) -> bool {
        self.generation == generation && self.mark == Mark::Claimed
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
    pub fn last_send(&self) -> Option<&Send> {
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

    /// What its messages' gauges are told when it is verified.
    pub(crate) fn verified_steps(&self) -> Steps {
        Counted::all_verified(self.sends.iter().map(|send| (&send.counted, send.at)))
    }

    /// Whether the code that counts was made under a key that this keyring lacks: a newer one, made by
    /// a function that has read a rotated keyring already, or one that was rotated out.
    pub(crate) fn lacks_key(&self, keyring: &Keyring) -> bool {
        self.last_send().is_some_and(|send| keyring.code_key(&send.key).is_none())
    }

    /// The code of one of its messages, unless its key has been rotated out.
    pub(crate) fn code(&self, keyring: &Keyring, subject: SubjectKey, send: &Send) -> Option<Code> {
        if let Some(Silence::Test(code)) = &self.silence {
            return Some(code.clone());
        }
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
    /// What wrong codes count against, by the policy of the challenge.
    pub failed_verifies: Option<FailedVerifies>,
}
