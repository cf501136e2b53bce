//! Verify: a caller presents a code. Every outcome but "verified" costs the caller something, and
//! none is revealed before the ledger has counted it.

use crate::{
    Address, AppId, ChallengeId, Channel, Keyring, Ledger, PresentedCode, SubjectKey, Timestamp,
    challenge::{Challenge, Lookup, Send, Silence, State, Trace},
    guard::Steps,
    ports::{
        Clock, CountError, CountGauges, Entropy, LoadKeyring, LoadLedgers, StoreError, StoreLedgers,
    },
    subject::CredentialId,
    transact::{Alone, Commit, Failure, Ports, Settled, transact_and},
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
                let (lookup, is_proof) =
                    (challenge.lookup, challenge.addresses.are_proven_on(channel));
                let has_arrived = channel != Channel::Caller && challenge.silence.is_none();
                let is_users = matches!(challenge.addresses.primary(), Address::User(_));
                if is_proof {
                    ledger.failures_of_mut(lookup).clear();
                }
                // Whoever reads the registered mailbox is the user, whoever has guessed at the PIN.
                if has_arrived && is_users {
                    ledger.unlock_secrets();
                }
            }
            (ledger, Outcome::Verified(credential))
        }
        Judgement::Wrong => {
            if let Some(challenge) = ledger.find_mut(id) {
                challenge.attempts += 1;
                let (lookup, policy) = (challenge.lookup, challenge.policy.clone());
                // Guesses at what is concealed shall not make the lock last longer.
                let failures = match challenge.silence {
                    Some(Silence::Concealed) => &mut ledger.concealed_failures,
                    Some(Silence::Test(_)) | None => ledger.failures_of_mut(lookup),
                };
                failures.count(&policy, now);
            }
            (ledger, Outcome::Incorrect)
        }
        Judgement::Refused(outcome) => (ledger, outcome),
        Judgement::Locked => {
            if let Some(challenge) = ledger.find_mut(id) {
                challenge.attempts += 1;
            }
            (ledger, Outcome::Exhausted)
        }
    }
}

enum Judgement {
    Right(Channel, CredentialId),
    Wrong,
    /// Refused without looking at the code.
    Refused(Outcome),
    /// The same for a lock of the subject that the caller shall not notice: an attempt is spent, as
    /// by a wrong code.
    Locked,
}

fn judge(
    ledger: &Ledger,
    keyring: &Keyring,
    id: ChallengeId,
    presented: &PresentedCode,
    now: Timestamp,
) -> Judgement {
    let (challenge, send) = match awaited(ledger, id, now) {
        Ok(awaited) => awaited,
        Err(Outcome::Exhausted) if hides_its_lock(ledger, id, now) => return Judgement::Locked,
        Err(outcome) => return Judgement::Refused(outcome),
    };
    // A key that was rotated out twice while the challenge lived ends it.
    let (Some(code), Some(address)) =
        (challenge.code(keyring, id.subject, send), challenge.addresses.on(send.channel))
    else {
        return Judgement::Refused(Outcome::Expired);
    };
    if presented.matches(&code) && challenge.silence != Some(Silence::Concealed) {
        let credential = CredentialId::of_address(keyring, &ledger.app, address);
        Judgement::Right(send.channel, credential)
    } else {
        Judgement::Wrong
    }
}

/// Whether it is the lock of its subject alone that refuses a challenge of an anonymous caller. Others
/// have locked the subject, and a challenge whose attempts were never spent would tell that they have.
fn hides_its_lock(ledger: &Ledger, id: ChallengeId, now: Timestamp) -> bool {
    ledger.find(id).is_some_and(|challenge| {
        challenge.lookup == Lookup::Anonymous
            && !challenge.is_exhausted()
            && ledger.locked_until(challenge, now).is_some()
    })
}

/// The challenge and the message whose code it waits for; or why it waits for none.
pub(crate) fn awaited(
    ledger: &Ledger,
    id: ChallengeId,
    now: Timestamp,
) -> Result<(&Challenge, &Send), Outcome> {
    let found = ledger.find(id).and_then(|challenge| Some((challenge, challenge.last_send()?)));
    let (challenge, send) = found.ok_or(Outcome::NotFound)?;
    if challenge.state != State::Open {
        return Err(Outcome::AlreadyUsed);
    }
    let refused = ledger.locked_until(challenge, now).or(ledger.paused_until(challenge, now));
    if challenge.is_exhausted() || refused.is_some() {
        return Err(Outcome::Exhausted);
    }
    if challenge.has_expired(now) || now >= send.expires_at {
        return Err(Outcome::Expired);
    }
    Ok((challenge, send))
}

/// Which challenge a code is presented for.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// The one with this id, whosever it is: the id alone is the caller's right.
    Held(ChallengeId),
    /// The one with this id, of this app.
    Owned(ChallengeId, &'a AppId),
    /// The one that naming this subject leads to, of this app.
    Named(SubjectKey, &'a AppId),
}

impl Target<'_> {
    /// Whose ledger holds it.
    #[must_use]
    pub const fn subject(&self) -> SubjectKey {
        match self {
            Self::Held(id) | Self::Owned(id, _) => id.subject,
            Self::Named(subject, _) => *subject,
        }
    }

    /// Its id, if the ledger is the right app's and has it. Another app's ledger is no ledger, and
    /// its name is not told. One that is found by naming its subject has an id that several callers
    /// may have been given: it leads there only while nobody has succeeded.
    pub(crate) fn find(&self, ledger: &Ledger, now: Timestamp) -> Option<ChallengeId> {
        match self {
            Self::Held(id) => Some(*id).filter(|id| !ends_shared(ledger, *id)),
            Self::Owned(id, app) => {
                Some(*id).filter(|id| ledger.app == **app && !ends_shared(ledger, *id))
            }
            Self::Named(subject, app) if ledger.app == **app => {
                ledger.named(now).map(|challenge| challenge.id(*subject))
            }
            Self::Named(..) => None,
        }
    }
}

/// Whether an id leads to a challenge that is found by naming its subject, and that was verified.
fn ends_shared(ledger: &Ledger, id: ChallengeId) -> bool {
    let found = ledger.find(id);
    found.is_some_and(|challenge| challenge.lookup == Lookup::Identity && challenge.is_verified())
}

/// What came of a verify.
#[derive(Debug)]
pub struct Verification {
    /// What was decided.
    pub outcome: Outcome,
    /// Which challenge it was about, where one was found.
    pub id: Option<ChallengeId>,
    /// What logs may know of it.
    pub trace: Option<Trace>,
    /// Whether the challenge had no attempts of its own left. One that is refused because its subject
    /// is locked, or pauses, may have some.
    pub is_spent: bool,
}

/// Verifies a code: one read and one write, whatever comes of it. A right code is told to the gauges
/// that its messages were counted in, in the same write.
pub async fn verify<L, K, C, E>(
    ports: Ports<'_, L, C, E>,
    keys: &K,
    target: Target<'_>,
    presented: &PresentedCode,
) -> Result<Verification, Failure>
where
    L: LoadLedgers + StoreLedgers + CountGauges,
    K: LoadKeyring,
    C: Clock,
    E: Entropy,
{
    verify_and(ports, &Told(ports.ledgers), keys, target, presented).await
}

/// Verifies a code that was handed over or mailed, as users' codes are: no gauge asks after it.
pub async fn verify_users<L, K, C, E>(
    ports: Ports<'_, L, C, E>,
    keys: &K,
    target: Target<'_>,
    presented: &PresentedCode,
) -> Result<Verification, Failure>
where
    L: LoadLedgers + StoreLedgers,
    K: LoadKeyring,
    C: Clock,
    E: Entropy,
{
    verify_and(ports, &Alone(ports.ledgers), keys, target, presented).await
}

/// Verifies a code, and lets `commit` store the ledger that the decision leaves behind: perhaps
/// together with what the right code allows.
pub(crate) async fn verify_and<L, K, C, E>(
    ports: Ports<'_, L, C, E>,
    commit: &impl Commit<Judged>,
    keys: &K,
    target: Target<'_>,
    presented: &PresentedCode,
) -> Result<Verification, Failure>
where
    L: LoadLedgers,
    K: LoadKeyring,
    C: Clock,
    E: Entropy,
{
    let keyring = keys.keyring().await.map_err(Failure::Unavailable)?;
    let settled = verify_with(ports, commit, &keyring, target, presented).await?;
    let settled = if lacks_key(&keyring, &settled) {
        let keyring = keys.refreshed().await.map_err(Failure::Unavailable)?;
        verify_with(ports, commit, &keyring, target, presented).await?
    } else {
        settled
    };
    if !settled.is_stored {
        feign(commit, &target.subject(), &settled.outcome).await?;
    }
    let (outcome, id) = settled.outcome;
    let found = settled.ledger.as_ref().zip(id);
    let challenge = found.and_then(|(ledger, id)| ledger.find(id));
    let is_spent = !settled.is_stored && challenge.is_some_and(Challenge::is_exhausted);
    let trace = found.map(|(ledger, id)| ledger.trace(id));
    Ok(Verification { outcome, id, trace, is_spent })
}

/// A version that no ledger ever has.
const NEVER: u64 = u64::MAX - 1;

/// A write that the store is sure to refuse: what changes nothing shall take as long as what does, or
/// its time would tell which challenges, users and addresses there are.
async fn feign<T: Sync>(
    commit: &impl Commit<T>,
    key: &SubjectKey,
    outcome: &T,
) -> Result<(), Failure> {
    match commit.commit(key, &Ledger::new(AppId::nobody()), NEVER, outcome).await {
        Ok(_) | Err(StoreError::Conflict) => Ok(()),
        Err(StoreError::Unavailable(cause)) => Err(Failure::Unavailable(cause)),
    }
}

/// Does for a subject what verifying a code does, and decides nothing: one read and one write that
/// is refused. For an identity that leads to fewer subjects than another would.
pub async fn nothing<L, C, E>(
    ports: Ports<'_, L, C, E>,
    subject: &SubjectKey,
) -> Result<(), Failure>
where
    L: LoadLedgers + StoreLedgers + CountGauges,
    C: Clock,
    E: Entropy,
{
    ports.ledgers.load(subject).await?;
    feign(&Told(ports.ledgers), subject, &(Outcome::NotFound, None)).await
}

/// Stores the ledger, and tells a success to the gauges.
struct Told<'a, L>(&'a L);

impl<L: StoreLedgers + CountGauges> Commit<Judged> for Told<'_, L> {
    async fn commit(
        &self,
        key: &SubjectKey,
        ledger: &Ledger,
        seen: u64,
        (outcome, id): &Judged,
    ) -> Result<u64, StoreError> {
        let verified = id.filter(|_| matches!(outcome, Outcome::Verified(_)));
        let verified = verified.and_then(|id| ledger.find(id));
        let steps = verified.map_or_else(Steps::default, Challenge::verified_steps);
        match self.0.store_and_count(key, ledger, seen, &steps).await {
            Ok(version) => Ok(version),
            // Nothing bounds how much is verified.
            Err(CountError::Full(_)) => Err(StoreError::Conflict),
            Err(CountError::Store(error)) => Err(error),
        }
    }
}

/// An outcome, and the challenge it is of.
pub(crate) type Judged = (Outcome, Option<ChallengeId>);

async fn verify_with<L, C, E>(
    ports: Ports<'_, L, C, E>,
    commit: &impl Commit<Judged>,
    keyring: &Keyring,
    target: Target<'_>,
    presented: &PresentedCode,
) -> Result<Settled<Judged>, Failure>
where
    L: LoadLedgers,
    C: Clock,
    E: Entropy,
{
    let decide = |ledger: Option<Ledger>, now| {
        let found = ledger.and_then(|ledger| target.find(&ledger, now).map(|id| (ledger, id)));
        match found {
            None => (None, (Outcome::NotFound, None)),
            Some((ledger, id)) => {
                let (ledger, outcome) = decide(ledger, keyring, id, presented, now);
                (Some(ledger), (outcome, Some(id)))
            }
        }
    };
    transact_and(ports, commit, &target.subject(), decide).await
}

/// Whether it is for want of a key that the code was not looked at.
fn lacks_key(keyring: &Keyring, settled: &Settled<Judged>) -> bool {
    let found = settled.ledger.as_ref().zip(settled.outcome.1);
    let challenge = found.and_then(|(ledger, id)| ledger.find(id));
    let is_unjudged = settled.outcome.0 == Outcome::Expired;
    is_unjudged && challenge.is_some_and(|challenge| challenge.lacks_key(keyring))
}
