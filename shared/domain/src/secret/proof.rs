//! Proofs: what a verified challenge leaves in the caller's hands. A *challenge token* says which
//! step of which challenge comes next; after the right code the same token, a step further, is the
//! proof: bound to app, subject, purpose and scope, and readable by whoever has the public keys.
//! Signing is the library's; what is signed, and when it is believed, is decided here.

use super::{dpop::Thumbprint, keyring::Keyring, pkce::CodeChallenge};
use crate::value::{
    address::Channel,
    id::{AppId, ChallengeId, UserId},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use thiserror::Error;

/// How long a challenge token waits for its next step.
pub const TOKEN_LIFE: Duration = Duration::from_mins(15);

/// How long a proof can be shown.
pub const PROOF_LIFE: Duration = Duration::from_mins(5);

/// How far a proof reaches (Prelude, `grant_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrantMode {
    /// It begins a session.
    SessionStart,
    /// It is good for one action: whoever takes it remembers its `jti` until its `exp`.
    SingleUse,
    /// It is good for the rest of the session.
    SessionBound,
    /// It is good for the user's profile, in every session.
    ProfileBound,
}

/// What the bearer of a token does next (Prelude, `current_step`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Present the code of a text message.
    VerifySms,
    /// Present the code of an e-mail.
    VerifyEmail,
    /// Nothing: this is the proof.
    Completed,
}

impl Step {
    /// The step that presents a code of a channel.
    #[must_use]
    pub const fn of(channel: Channel) -> Self {
        match channel {
            Channel::Sms => Self::VerifySms,
            Channel::Email | Channel::Caller => Self::VerifyEmail,
        }
    }
}

impl Step {
    /// The `typ` of a token whose next step this is. What is yet to be proven never looks like a proof
    /// (RFC 8725 §3.11).
    #[must_use]
    pub const fn token_type(self) -> &'static str {
        match self {
            Self::VerifySms | Self::VerifyEmail => "challenge+jwt",
            Self::Completed => "proof+jwt",
        }
    }
}

/// What a proof is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// To begin a session.
    Login,
    /// To be granted a scope.
    StepUp,
}

/// Who an access token speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// The user.
    pub user: UserId,
    /// The id of the session that the token is of, where it names one (OpenID Connect, `sid`).
    pub session: Option<String>,
    /// What the token allows.
    pub scopes: BTreeSet<String>,
    /// The names of its claims that say something: neither null nor false nor empty.
    pub claims: BTreeSet<String>,
}

/// The claims of a challenge token (RFC 7519 §4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeToken {
    /// The app it is for.
    pub aud: AppId,
    /// Whom it is about: the user, or where nobody has signed in the credential.
    pub sub: String,
    /// Seconds since the epoch when it was signed.
    pub iat: u64,
    /// Seconds since the epoch when it ends.
    pub exp: u64,
    /// Its own name: there is one token for each step of a challenge.
    pub jti: String,
    /// The challenge, as its id is printed.
    pub challenge_id: String,
    /// The next step.
    pub current_step: Step,
    /// What the proof is for.
    pub purpose: Purpose,
    /// The scope of a step-up, once it is proven: nobody shall take a token that waits for its code for one
    /// that has the scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The scope that is asked for, by the name under which Prelude's clients read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_requested: Option<String>,
    /// How far the proof reaches.
    pub grant_mode: GrantMode,
    /// The session of the access token that the step-up was asked for with, where that names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// The key that the session is bound to (RFC 7800): with the code comes a proof that it is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// What the session that begins with it is bound to (RFC 7636), if the client has asked for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pkce_challenge: Option<CodeChallenge>,
    /// The steps of a step-up, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepState>,
    /// The caller's own data, as it was given with the request for the step-up.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// The key that a token is bound to, by its thumbprint (RFC 9449 §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// The thumbprint.
    pub jkt: Thumbprint,
}

/// A step of a challenge token, as Prelude's clients read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepState {
    /// Its place among the steps, from 1.
    pub order: u32,
    /// What is to be done.
    pub key: Step,
    /// Whether it is done.
    pub done: bool,
    /// Seconds that there are to do it.
    pub expiration_duration: u64,
}

/// Why a token that was signed here does not lead on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProofError {
    /// Its time is over.
    #[error("the challenge token has expired")]
    Expired,
    /// It is another app's, or about another challenge.
    #[error("the challenge token belongs to something else")]
    Mismatch,
    /// It is a proof already: no step is left.
    #[error("the challenge token has no step left")]
    Completed,
    /// It is no proof yet: a step is left.
    #[error("a step of the challenge token is left")]
    NotCompleted,
}

impl ChallengeToken {
    /// The token of a step-up that waits for its code.
    #[must_use]
    pub fn for_step_up(
        app: &AppId,
        bearer: &Bearer,
        challenge_id: String,
        (scope, channel, grant_mode): (&str, Channel, GrantMode),
        now: Timestamp,
    ) -> Self {
        let current_step = Step::of(channel);
        let step = StepState {
            order: 1,
            key: current_step,
            done: false,
            expiration_duration: TOKEN_LIFE.as_secs(),
        };
        Self {
            aud: app.clone(),
            sub: bearer.user.as_str().to_owned(),
            iat: seconds(now),
            exp: seconds(now + TOKEN_LIFE),
            jti: jti(&challenge_id, "request"),
            challenge_id,
            current_step,
            purpose: Purpose::StepUp,
            scope: None,
            scope_requested: Some(scope.to_owned()),
            grant_mode,
            sid: bearer.session.clone(),
            cnf: None,
            pkce_challenge: None,
            steps: vec![step],
            metadata: BTreeMap::new(),
        }
    }

    /// Adds the caller's own data, which its clients hand back to the page.
    #[must_use]
    pub fn with_metadata(self, metadata: BTreeMap<String, String>) -> Self {
        Self { metadata, ..self }
    }

    /// Binds the token to a key, if the session of its bearer is bound to one.
    #[must_use]
    pub fn bound_to(self, key: Option<Thumbprint>) -> Self {
        Self { cnf: key.map(|jkt| Confirmation { jkt }), ..self }
    }

    /// Binds what the token leads to to a code challenge, if there is one.
    #[must_use]
    pub fn with_code_challenge(self, pkce_challenge: Option<CodeChallenge>) -> Self {
        Self { pkce_challenge, ..self }
    }

    /// The proof that somebody has an address, for a session to begin with.
    #[must_use]
    pub fn of_login(app: &AppId, credential: &str, challenge_id: String, now: Timestamp) -> Self {
        Self {
            aud: app.clone(),
            sub: credential.to_owned(),
            iat: seconds(now),
            exp: seconds(now + PROOF_LIFE),
            jti: jti(&challenge_id, "proof"),
            challenge_id,
            current_step: Step::Completed,
            purpose: Purpose::Login,
            scope: None,
            scope_requested: None,
            grant_mode: GrantMode::SessionStart,
            sid: None,
            cnf: None,
            pkce_challenge: None,
            steps: Vec::new(),
            metadata: BTreeMap::new(),
        }
    }

    /// The proof that this token becomes with the right code.
    #[must_use]
    pub fn proven(self, now: Timestamp) -> Self {
        Self {
            iat: seconds(now),
            exp: seconds(now + PROOF_LIFE),
            jti: jti(&self.challenge_id, "proof"),
            current_step: Step::Completed,
            scope: self.scope_requested.clone(),
            steps: self.steps.into_iter().map(|step| StepState { done: true, ..step }).collect(),
            ..self
        }
    }

    /// The challenge that the token is about.
    #[must_use]
    pub fn challenge(&self, keyring: &Keyring) -> Option<ChallengeId> {
        ChallengeId::parse(&self.challenge_id, keyring).ok()
    }

    /// Whether the token leads on, for this app.
    pub fn validate(&self, app: &AppId, now: Timestamp) -> Result<(), ProofError> {
        self.validate_step(app, now)?;
        match self.current_step {
            Step::VerifySms | Step::VerifyEmail => Ok(()),
            Step::Completed => Err(ProofError::Completed),
        }
    }

    /// Whether the token is a proof for a purpose, for this app.
    pub fn validate_proof(
        &self,
        app: &AppId,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<(), ProofError> {
        self.validate_step(app, now)?;
        match self.current_step {
            Step::Completed if self.purpose == purpose => Ok(()),
            Step::Completed => Err(ProofError::Mismatch),
            Step::VerifySms | Step::VerifyEmail => Err(ProofError::NotCompleted),
        }
    }

    fn validate_step(&self, app: &AppId, now: Timestamp) -> Result<(), ProofError> {
        if self.aud != *app {
            return Err(ProofError::Mismatch);
        }
        if seconds(now) >= self.exp { Err(ProofError::Expired) } else { Ok(()) }
    }
}

fn jti(id: &str, step: &str) -> String {
    format!("{id}.{step}")
}

pub(super) fn seconds(moment: Timestamp) -> u64 {
    moment.as_millis() / 1000
}
