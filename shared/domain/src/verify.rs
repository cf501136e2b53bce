//! Verify: a caller presents a code. Every outcome but "verified" costs the caller something, and
//! none is revealed before the ledger has counted it.

use crate::{
    AppId, ChallengeId, Channel, Keyring, Ledger, PresentedCode, Timestamp,
    challenge::{State, Trace},
    ports::{Clock, Entropy, LoadKeyring, LoadLedgers, StoreLedgers},
    subject::CredentialId,
    transact::{Failure, Ports, Settled, transact},
};

/// What a verify decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The right code, for the first time: the one success.
    Verified(CredentialId),
    /// A wrong code; an attempt is spent.
    Incorrect,
    /// The code or its challenge has ended.
    Expired,
    /// No attempts are left, of this challenge or of its subject.
    Exhausted,
    /// The right code came before, or the challenge was given up.
    AlreadyUsed,
    /// No such challenge, or nothing was sent for it.
    NotFound,
}

impl Outcome {
    /// The outcome's name in logs and metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Verified(_) => "verified",
            Self::Incorrect => "incorrect",
            Self::Expired => "expired",
            Self::Exhausted => "exhausted",
            Self::AlreadyUsed => "already used",
            Self::NotFound => "not found",
        }
    }
}

/// Decides a verify.
#[must_use]
pub fn decide(
    mut ledger: Ledger,
    keyring: &Keyring,
    id: ChallengeId,
    presented: &PresentedCode,
    now: Timestamp,
) -> (Ledger, Outcome) {
    match judge(&ledger, keyring, id, presented, now) {
        Judgement::Right(channel, credential) => {
            if let Some(challenge) = ledger.find_mut(id) {
                challenge.state = State::Verified(now, channel);
                // To hold somebody's mailbox is no proof about the phone that the ledger is of.
                if challenge.addresses.primary().channel() == channel {
                    ledger.failures.clear();
                }
            }
            (ledger, Outcome::Verified(credential))
        }
        Judgement::Wrong => {
            if let Some(challenge) = ledger.find_mut(id) {
                challenge.attempts += 1;
                let window = challenge.policy.failure_window();
                ledger.count_failure(window, now);
            }
            (ledger, Outcome::Incorrect)
        }
        Judgement::Refused(outcome) => (ledger, outcome),
    }
}

enum Judgement {
    Right(Channel, CredentialId),
    Wrong,
    /// Refused without looking at the code.
    Refused(Outcome),
}

fn judge(
    ledger: &Ledger,
    keyring: &Keyring,
    id: ChallengeId,
    presented: &PresentedCode,
    now: Timestamp,
) -> Judgement {
    let found = ledger.find(id).and_then(|challenge| Some((challenge, challenge.last_send()?)));
    let Some((challenge, send)) = found else {
        return Judgement::Refused(Outcome::NotFound);
    };
    if challenge.state != State::Open {
        return Judgement::Refused(Outcome::AlreadyUsed);
    }
    let is_locked = ledger.locked_until(challenge.policy.max_failures, now).is_some();
    if challenge.is_exhausted() || is_locked {
        return Judgement::Refused(Outcome::Exhausted);
    }
    if challenge.has_expired(now) || now >= send.expires_at {
        return Judgement::Refused(Outcome::Expired);
    }
    // A key that was rotated out twice while the challenge lived ends it.
    let (Some(code), Some(address)) =
        (challenge.code(keyring, id.subject, send), challenge.addresses.on(send.channel))
    else {
        return Judgement::Refused(Outcome::Expired);
    };
    if presented.matches(&code) {
        let credential = CredentialId::of_address(keyring, &ledger.app, address);
        Judgement::Right(send.channel, credential)
    } else {
        Judgement::Wrong
    }
}

/// Verifies a code: one read, and one write where the code was looked at. With an `app`, only that
/// app's challenges are found; without, the id alone is the caller's right.
pub async fn verify<L, K, C, E>(
    ports: Ports<'_, L, C, E>,
    keys: &K,
    app: Option<&AppId>,
    id: ChallengeId,
    presented: &PresentedCode,
) -> Result<(Outcome, Option<Trace>), Failure>
where
    L: LoadLedgers + StoreLedgers,
    K: LoadKeyring,
    C: Clock,
    E: Entropy,
{
    let keyring = keys.keyring().await.map_err(Failure::Unavailable)?;
    let settled = verify_with(ports, &keyring, app, id, presented).await?;
    let settled = if lacks_key(&keyring, settled.ledger.as_ref(), id) {
        let keyring = keys.refreshed().await.map_err(Failure::Unavailable)?;
        verify_with(ports, &keyring, app, id, presented).await?
    } else {
        settled
    };
    Ok((settled.outcome, settled.ledger.map(|ledger| ledger.trace(id))))
}

async fn verify_with<L, C, E>(
    ports: Ports<'_, L, C, E>,
    keyring: &Keyring,
    app: Option<&AppId>,
    id: ChallengeId,
    presented: &PresentedCode,
) -> Result<Settled<Outcome>, Failure>
where
    L: LoadLedgers + StoreLedgers,
    C: Clock,
    E: Entropy,
{
    let is_own = |ledger: &Ledger| app.is_none_or(|app| ledger.app == *app);
    let decide = |ledger: Option<Ledger>, now| match ledger.filter(is_own) {
        // Another app's ledger is no ledger, and its name is not told.
        None => (None, Outcome::NotFound),
        Some(ledger) => {
            let (ledger, outcome) = decide(ledger, keyring, id, presented, now);
            (Some(ledger), outcome)
        }
    };
    transact(ports, &id.subject, decide).await
}

/// Whether the code was made under a key that this keyring lacks: a newer one, made by a function
/// that has read a rotated keyring already, or one that was rotated out.
fn lacks_key(keyring: &Keyring, ledger: Option<&Ledger>, id: ChallengeId) -> bool {
    let send = ledger.and_then(|ledger| ledger.find(id)?.last_send());
    send.is_some_and(|send| keyring.code_key(&send.key).is_none())
}
