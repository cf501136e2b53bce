//! One session, as it is stored, and what is decided of it: opening, refreshing, ending.

use super::used::UsedNames;
use crate::{
    app::session::SessionPolicy,
    secret::{
        dpop::{DpopProof, MAX_SKEW, Thumbprint},
        keyring::Keyring,
        proof::{GrantMode, PROOF_LIFE},
        refresh::RefreshToken,
    },
    value::{
        address::Address,
        bytes,
        id::{AppId, SessionKey, UserId},
        time::Timestamp,
    },
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, time::Duration};

/// For so long a client may repeat a request whose answer it has lost: the published browser clients ask three
/// times within 30 seconds.
pub const GRACE: Duration = Duration::from_mins(1);

/// A session of one user on one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The app it belongs to.
    pub app: AppId,
    /// Whose it is.
    pub user: UserId,
    /// The address whose code began it. Step-ups send their codes there.
    pub address: Address,
    /// What its refresh tokens are made from, beside the keys: 128 random bits that no caller sees.
    #[serde(with = "bytes")]
    nonce: [u8; 16],
    /// The number of refreshes; the token of the last one is good for the next.
    #[serde(default, skip_serializing_if = "is_default")]
    generation: u32,
    /// When it began.
    pub began_at: Timestamp,
    /// When it was last refreshed; when it began, where it never was.
    pub refreshed_at: Timestamp,
    /// The key that every refresh must be signed with, if the client has one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub key: Option<Thumbprint>,
    /// The DPoP proofs that were used.
    #[serde(default, skip_serializing_if = "UsedNames::is_empty")]
    proofs: UsedNames,
    /// The latest end of a proof that is no longer among `proofs`: no proof that ends before is taken.
    #[serde(default, skip_serializing_if = "is_default")]
    forgotten_until: Option<Timestamp>,
    /// The step-ups that were granted, while their proofs could be shown again.
    #[serde(default, skip_serializing_if = "UsedNames::is_empty")]
    step_ups: UsedNames,
    /// The scopes that every access token of the session has from now on.
    #[serde(default, skip_serializing_if = "is_default")]
    scopes: BTreeSet<String>,
    /// The scopes that the access token of the last refresh has beyond those.
    #[serde(default, skip_serializing_if = "is_default")]
    once: BTreeSet<String>,
    /// What the user is told the session by.
    #[serde(default, skip_serializing_if = "is_default")]
    pub device: Device,
    /// The app's policy at the moment it began. A default policy is not stored.
    #[serde(default, skip_serializing_if = "is_default")]
    pub policy: SessionPolicy,
    /// When it was ended, if it was.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ended_at: Option<Timestamp>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The device of a session, as far as its first request tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Device {
    /// What it is.
    #[serde(skip_serializing_if = "is_default")]
    pub kind: DeviceKind,
    /// Its operating system, where that is known.
    #[serde(skip_serializing_if = "is_default")]
    pub system: String,
    /// The two letters of the country that it called from, where something in front of the API says it.
    #[serde(skip_serializing_if = "is_default")]
    pub country: String,
}

/// What a device is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// A computer.
    Desktop,
    /// A telephone.
    Mobile,
    /// A tablet.
    Tablet,
    /// Nothing that is known.
    #[default]
    Unknown,
}

impl DeviceKind {
    /// Its name, as Prelude's clients know it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Desktop => "desktop",
            Self::Mobile => "mobile",
            Self::Tablet => "tablet",
            Self::Unknown => "unknown",
        }
    }
}

/// A session that is about to begin.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The key of its item: that of the challenge that was verified.
    pub key: SessionKey,
    /// The app.
    pub app: AppId,
    /// The user.
    pub user: UserId,
    /// The address that was verified.
    pub address: Address,
    /// The app's policy.
    pub policy: SessionPolicy,
    /// 128 random bits.
    pub nonce: [u8; 16],
    /// The device.
    pub device: Device,
    /// The proof of the key that the session is bound to, if the client has one. It is valid.
    pub proof: Option<DpopProof>,
}

/// A step-up whose proof comes with a refresh. It is valid, and names the session.
#[derive(Clone, Debug)]
pub struct StepUpGrant {
    /// Who has stepped up.
    pub user: UserId,
    /// The name of the proof.
    pub jti: String,
    /// The scope.
    pub scope: String,
    /// How far it reaches.
    pub mode: GrantMode,
}

/// What comes with a refresh.
#[derive(Clone, Debug)]
pub struct Refresh {
    /// The refresh token.
    pub token: RefreshToken,
    /// The DPoP proof, if there is one. It is valid for the request.
    pub proof: Option<DpopProof>,
    /// The step-up, if there is one.
    pub step_up: Option<StepUpGrant>,
}

/// What a session's client is given: the generation of its refresh token, and its scopes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refreshed {
    /// The next refresh token.
    pub token: RefreshToken,
    /// When that token is no longer good.
    pub token_expires_at: Timestamp,
    /// When the access token is no longer good.
    pub access_expires_at: Timestamp,
    /// The scopes of the access token.
    pub scopes: BTreeSet<String>,
}

/// Why a session is not refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshRefusal {
    /// The token is of no session, or the session is over.
    NotFound,
    /// The token was spent before: somebody has a copy, and the session is over.
    Reused,
    /// The session is bound to a key, and no proof came.
    NoProof,
    /// The proof is of another key.
    OtherKey,
    /// The proof was used before.
    ReplayedProof,
    /// The proof of the step-up is of another user.
    StepUpOfOther,
    /// The proof of the step-up was used before.
    StepUpReused,
    /// Too many step-ups were granted within minutes.
    TooManyStepUps,
}

impl Session {
    /// A session that begins now.
    #[must_use]
    pub fn begin(opening: &Opening, now: Timestamp) -> Self {
        let mut session = Self {
            app: opening.app.clone(),
            user: opening.user.clone(),
            address: opening.address.clone(),
            nonce: opening.nonce,
            generation: 0,
            began_at: now,
            refreshed_at: now,
            key: opening.proof.as_ref().map(|proof| proof.key),
            proofs: UsedNames::default(),
            forgotten_until: None,
            step_ups: UsedNames::default(),
            scopes: BTreeSet::new(),
            once: BTreeSet::new(),
            device: opening.device.clone(),
            policy: opening.policy,
            ended_at: None,
        };
        if let Some(proof) = &opening.proof {
            session.remember(proof, 0, now);
        }
        session
    }

    /// Decides an opening: a challenge begins one session. A client that has lost the answer is given it
    /// again, if it holds the key of the session. `None`: the challenge is used up.
    #[must_use]
    pub fn open(
        stored: Option<Self>,
        opening: &Opening,
        keyring: &Keyring,
        now: Timestamp,
    ) -> (Option<Self>, Option<Refreshed>) {
        let Some(stored) = stored else {
            let session = Self::begin(opening, now);
            let given = session.given(opening.key, keyring, now);
            return (Some(session), Some(given));
        };
        let given = stored.key.and_then(|_| stored.given_again(opening, keyring, now));
        (Some(stored), given)
    }

    /// What a client was given when the session began, for the same client that has lost the answer: it has
    /// the same key, or has as little, and has not refreshed the session.
    #[must_use]
    pub fn given_again(
        &self,
        opening: &Opening,
        keyring: &Keyring,
        now: Timestamp,
    ) -> Option<Refreshed> {
        let key = opening.proof.as_ref().map(|proof| proof.key);
        let is_new = self.generation == 0 && now < self.began_at + GRACE;
        let is_same = is_new && self.key == key && self.is_live(now);
        is_same.then(|| self.given(opening.key, keyring, now))
    }

    /// Decides a refresh. Whatever is wrong with the proof costs the session nothing, so that whoever has
    /// only the token can neither use nor end it; a spent token ends it.
    pub fn refresh(
        mut self,
        keyring: &Keyring,
        refresh: &Refresh,
        now: Timestamp,
    ) -> (Self, Result<Refreshed, RefreshRefusal>) {
        let checked = self.check(keyring, refresh, now);
        if checked == Err(RefreshRefusal::Reused) {
            self.end(now);
        }
        let given = checked.map(|()| {
            if refresh.token.generation == self.generation {
                self.rotate(now);
            }
            if let Some(proof) = &refresh.proof {
                self.remember(proof, refresh.token.generation, now);
            }
            if let Some(step_up) = &refresh.step_up {
                self.grant(step_up, now);
            }
            self.given(refresh.token.key, keyring, now)
        });
        (self, given)
    }

    /// Whether a refresh may be made, and why not.
    fn check(
        &self,
        keyring: &Keyring,
        refresh: &Refresh,
        now: Timestamp,
    ) -> Result<(), RefreshRefusal> {
        let Refresh { token, proof, step_up } = refresh;
        if !self.is_live(now) || !token.is_genuine(keyring, &self.app, &self.nonce) {
            return Err(RefreshRefusal::NotFound);
        }
        self.check_key(proof.as_ref())?;
        if proof.as_ref().is_some_and(|proof| self.is_replayed(proof, token.generation)) {
            return Err(RefreshRefusal::ReplayedProof);
        }
        if token.generation != self.generation && !self.is_in_grace(token, now) {
            // Another tab of the same client may have been overtaken twice.
            let is_late = self.key.is_some() && now < self.refreshed_at + GRACE;
            return Err(if is_late { RefreshRefusal::NotFound } else { RefreshRefusal::Reused });
        }
        step_up.as_ref().map_or(Ok(()), |step_up| self.check_step_up(step_up, token, now))
    }

    /// Whether a step-up may be granted: once, and with the answer that may have been lost.
    fn check_step_up(
        &self,
        step_up: &StepUpGrant,
        token: &RefreshToken,
        now: Timestamp,
    ) -> Result<(), RefreshRefusal> {
        let granted_for = self.step_ups.used_for(&step_up.jti);
        if step_up.user != self.user {
            Err(RefreshRefusal::StepUpOfOther)
        } else if granted_for.is_some_and(|refresh| refresh != token.generation) {
            Err(RefreshRefusal::StepUpReused)
        } else if granted_for.is_none() && self.step_ups.are_full(now) {
            Err(RefreshRefusal::TooManyStepUps)
        } else {
            Ok(())
        }
    }

    /// Ends the session for whoever holds its refresh token, the present one or the one before it. Whether it
    /// was one of them.
    pub fn revoke(&mut self, keyring: &Keyring, token: &RefreshToken, now: Timestamp) -> bool {
        let is_recent = token.generation.saturating_add(1) >= self.generation;
        let is_own = is_recent && token.is_genuine(keyring, &self.app, &self.nonce);
        if is_own {
            self.end(now);
        }
        is_own
    }

    /// Ends the session.
    pub fn end(&mut self, now: Timestamp) {
        self.ended_at.get_or_insert(now);
    }

    /// Whether the session can be refreshed.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.ends_at()
    }

    /// When it ends, if it is not refreshed before.
    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        (self.refreshed_at + self.policy.idle()).min(self.began_at + self.policy.max())
    }

    /// When nothing in it matters any more. One that has ended stays for as long as the proof of its
    /// challenge could begin it again.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        let replayable_until = self.began_at + GRACE.max(PROOF_LIFE) * 2;
        self.ended_at.unwrap_or(self.ends_at()).max(replayable_until)
    }

    fn check_key(&self, proof: Option<&DpopProof>) -> Result<(), RefreshRefusal> {
        match (self.key, proof) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(RefreshRefusal::NoProof),
            (Some(key), Some(proof)) if key == proof.key => Ok(()),
            (Some(_), Some(_)) => Err(RefreshRefusal::OtherKey),
        }
    }

    /// Whether the token is the one that was spent last, and its successor has not been shown: its client has
    /// lost the answer, or has two tabs. Without a key to tell the client by, that is believed for a while.
    fn is_in_grace(&self, token: &RefreshToken, now: Timestamp) -> bool {
        let is_last = token.generation.checked_add(1) == Some(self.generation);
        is_last && (self.key.is_some() || now < self.refreshed_at + GRACE)
    }

    /// Whether a proof was used before. With the token that it came with it may come again: a browser sends the
    /// same bytes once more on a connection that has dropped.
    fn is_replayed(&self, proof: &DpopProof, refresh: u32) -> bool {
        let is_forgotten = self.forgotten_until.is_some_and(|until| proof_ends_at(proof) <= until);
        match self.proofs.used_for(&proof.claims.jti) {
            Some(used_for) => used_for != refresh,
            None => self.key.is_some() && is_forgotten,
        }
    }

    /// Remembers the proof of a refresh, in a session that is bound to a key.
    fn remember(&mut self, proof: &DpopProof, refresh: u32, now: Timestamp) {
        if self.key.is_none() || self.proofs.used_for(&proof.claims.jti).is_some() {
            return;
        }
        let forgotten = self.proofs.add(&proof.claims.jti, refresh, proof_ends_at(proof), now);
        self.forgotten_until = self.forgotten_until.filter(|until| *until > now).max(forgotten);
    }

    /// Spends the refresh token.
    fn rotate(&mut self, now: Timestamp) {
        self.generation += 1;
        self.refreshed_at = now;
        self.once.clear();
    }

    fn grant(&mut self, step_up: &StepUpGrant, now: Timestamp) {
        if self.step_ups.used_for(&step_up.jti).is_some() {
            return;
        }
        // What was granted with the token before is granted once more with it.
        let refresh = self.generation.saturating_sub(1);
        self.step_ups.add(&step_up.jti, refresh, now + PROOF_LIFE, now);
        self.refreshed_at = now;
        let scopes = match step_up.mode {
            GrantMode::SingleUse => &mut self.once,
            // What is good for the user's profile is asked for in each session: that others may have
            // begun sessions of the user's is what a step-up protects from.
            GrantMode::SessionBound | GrantMode::ProfileBound | GrantMode::SessionStart => {
                &mut self.scopes
            }
        };
        scopes.insert(step_up.scope.clone());
    }

    fn given(&self, key: SessionKey, keyring: &Keyring, now: Timestamp) -> Refreshed {
        let access = self.policy.access();
        // A scope that is granted once is over with the access token that it was granted with.
        let is_granted = !self.once.is_empty() && now < self.refreshed_at + access;
        let once = self.once.iter().filter(|_| is_granted);
        Refreshed {
            token: RefreshToken::new(keyring, &self.app, key, &self.nonce, self.generation),
            token_expires_at: self.ends_at(),
            access_expires_at: if is_granted { self.refreshed_at } else { now } + access,
            scopes: self.scopes.iter().chain(once).cloned().collect(),
        }
    }
}

/// When a proof is refused for its age.
fn proof_ends_at(proof: &DpopProof) -> Timestamp {
    Timestamp::from_millis(proof.claims.iat.saturating_mul(1000)) + MAX_SKEW
}
