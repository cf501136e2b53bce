//! Verify: a caller presents a code. Every outcome but "verified" costs the caller something, and
//! none is revealed before the ledger has counted it.

use super::transact::{Alone, Commit, Failure, Settled, transact_and};
use crate::{
    guard::{CountedIn, VerifyCount, guessing::SAMPLE},
    ledger::{
        Challenge, Ledger, Lookup,
        challenge::{SendRecord, State, Trace},
        failures::FailureClass,
    },
    ports::{
        Clock as _, CountVerified, Entropy as _, LoadKeyring, LoadLedgers, StoreError,
        StoreLedgers, World,
    },
    secret::{code::PresentedCode, keyring::Keyring},
    value::{
        address::{Address, Channel},
        id::{AppId, ChallengeId, CredentialId, ItemKey, SubjectKey},
        time::Timestamp,
    },
};
use futures_util::future;
use std::time::Duration;

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
    let judgement = judge(&ledger, keyring, id, presented, now);
    let Some(challenge) = ledger.find_mut(id) else { return (ledger, Outcome::NotFound) };
    let class = FailureClass::of(challenge);
    let outcome = match judgement {
        Judgement::Right(channel, credential) => {
            challenge.state = State::Verified(now, channel);
            let is_proof = challenge.addresses.are_proven_on(channel);
            let has_arrived = channel != Channel::Caller && challenge.suppression.is_none();
            let is_of_user = challenge.is_of_user();
            if is_proof {
                ledger.failures.remove(&class);
            }
            if is_proof && channel != Channel::Caller {
                ledger.last_success = Some(now);
            }
            // Whoever reads the registered mailbox is the user, whoever has guessed at the PIN.
            if has_arrived && is_of_user {
                ledger.secret_failures.clear();
            }
            Outcome::Verified(credential)
        }
        Judgement::Wrong => {
            challenge.attempts += 1;
            let policy = challenge.policy.clone();
            ledger.failures.entry(class).or_default().count(&policy, now);
            Outcome::Incorrect
        }
        Judgement::WrongAgain => {
            challenge.attempts += 1;
            Outcome::AlreadyUsed
        }
        Judgement::Refused(outcome) => outcome,
        Judgement::Locked => {
            challenge.attempts += 1;
            Outcome::Exhausted
        }
    };
    (ledger, outcome)
}

/// For so long after a success its code is known again: the published clients repeat a request whose answer
/// they have lost for half a minute.
const REPEAT: Duration = Duration::from_mins(1);

/// Whether a code that comes after the success of its challenge is the right one. `None` where that is not
/// looked at.
fn is_right_again(
    ledger: &Ledger,
    keyring: &Keyring,
    id: ChallengeId,
    presented: &PresentedCode,
    now: Timestamp,
) -> Option<bool> {
    let challenge = ledger.find(id).filter(|challenge| !challenge.is_exhausted())?;
    let is_recent = now < challenge.verified_at()? + REPEAT;
    let send = challenge.last_send().filter(|_| is_recent)?;
    Some(presented.matches(&challenge.code(keyring, id.subject, send)?))
}

/// What a success is counted as in counters, if it is the first of the subject's day.
fn success_counts(
    ledger: &Ledger,
    id: ChallengeId,
    before: Option<Timestamp>,
    now: Timestamp,
) -> Vec<VerifyCount> {
    let is_first = before.is_none_or(|before| before.days() != now.days());
    let Some(challenge) = ledger.find(id).filter(|_| is_first) else { return Vec::new() };
    let sends: Vec<_> = challenge.sends.iter().map(|send| (send.counted_in, send.at)).collect();
    CountedIn::verified(&sends)
}

enum Judgement {
    Right(Channel, CredentialId),
    Wrong,
    /// Wrong after the right one: an attempt is spent, so that nobody guesses at what was right.
    WrongAgain,
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
        Err(Outcome::AlreadyUsed)
            if is_right_again(ledger, keyring, id, presented, now) == Some(false) =>
        {
            return Judgement::WrongAgain;
        }
        Err(outcome) => return Judgement::Refused(outcome),
    };
    // A key that was rotated out twice while the challenge lived ends it.
    let (Some(code), Some(address)) =
        (challenge.code(keyring, id.subject, send), challenge.addresses.on(send.channel))
    else {
        return Judgement::Refused(Outcome::Expired);
    };
    if presented.matches(&code) && !challenge.is_concealed() {
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
) -> Result<(&Challenge, &SendRecord), Outcome> {
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
pub enum VerifyTarget<'a> {
    /// The one with this id, whosever it is: the id alone is the caller's right.
    Held(ChallengeId),
    /// The one with this id, of this app.
    Owned(ChallengeId, &'a AppId),
    /// The one that naming this subject leads to, of this app.
    Named(SubjectKey, &'a AppId),
}

impl VerifyTarget<'_> {
    /// The subject whose ledger holds it.
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
    /// The address that the right code has proven, now or before.
    pub address: Option<Address>,
    /// Whether the challenge was verified within the last minute, and this is its right code once more: the
    /// client has lost the answer.
    pub is_repeat: bool,
    /// What logs may know of it.
    pub trace: Option<Trace>,
    /// Whether the challenge had no attempts of its own left. One that is refused because its subject
    /// is locked, or pauses, may have some.
    pub is_spent: bool,
}

/// Verifies a code: one read and one write, whatever comes of it. The first success of a subject's day
/// is counted in at most three counters, in parallel, after its own write.
pub async fn verify<W>(
    world: &W,
    target: VerifyTarget<'_>,
    presented: &PresentedCode,
) -> Result<Verification, Failure>
where
    W: World<Ledgers: LoadLedgers + StoreLedgers, Counters: CountVerified, Keyring: LoadKeyring>,
{
    verify_and(world, &Alone(world.ledgers()), target, presented).await
}

/// Verifies a code, and lets `commit` store the ledger that the decision leaves behind: perhaps
/// together with what the right code allows.
pub(crate) async fn verify_and<W>(
    world: &W,
    commit: &impl Commit<Ledger, Decided, Key = ItemKey>,
    target: VerifyTarget<'_>,
    presented: &PresentedCode,
) -> Result<Verification, Failure>
where
    W: World<Ledgers: LoadLedgers, Counters: CountVerified, Keyring: LoadKeyring>,
{
    let keyring = world.keyring().keyring().await.map_err(Failure::Unavailable)?;
    let [random] = world.entropy().bytes::<1>();
    let is_sampled = random % SAMPLE == 0;
    let settled = verify_with(world, commit, &keyring, target, presented).await?;
    let settled = if lacks_key(&keyring, &settled) {
        let keyring = world.keyring().refreshed().await.map_err(Failure::Unavailable)?;
        verify_with(world, commit, &keyring, target, presented).await?
    } else {
        settled
    };
    if !settled.is_stored {
        write_refused(commit, &target.subject().into(), &settled.outcome).await?;
    }
    let failed = failed_count(&keyring, target, &settled, world.clock().now());
    let Decided { outcome, id, is_repeat, mut counts } = settled.outcome;
    counts.extend(failed.filter(|_| is_sampled));
    // What cannot be counted makes the detectors stricter, and no caller wait for it again.
    let counting = counts.iter().map(|count| world.counters().count_verified(count));
    let _ = future::join_all(counting).await;
    let found = settled.item.as_ref().zip(id);
    let challenge = found.and_then(|(ledger, id)| ledger.find(id));
    let is_spent = !settled.is_stored && challenge.is_some_and(Challenge::is_exhausted);
    let trace = found.map(|(ledger, id)| ledger.trace(id));
    let address = challenge.and_then(Challenge::verified_address).cloned();
    Ok(Verification { outcome, id, address, is_repeat, trace, is_spent })
}

/// What a failed verify is counted as, if it is among those that are. One that cost no attempt counts nothing,
/// in a write of its own as well, so that its time does not tell.
fn failed_count(
    keyring: &Keyring,
    target: VerifyTarget<'_>,
    settled: &Settled<Ledger, Decided>,
    now: Timestamp,
) -> Option<VerifyCount> {
    let Decided { outcome, id, .. } = &settled.outcome;
    let is_wrong = match outcome {
        Outcome::Verified(_) => return None,
        Outcome::Incorrect => true,
        Outcome::Expired | Outcome::Exhausted | Outcome::AlreadyUsed | Outcome::NotFound => false,
    };
    let found = settled.item.as_ref().zip(*id);
    let found = found.and_then(|(ledger, id)| Some((ledger, ledger.find(id)?, id)));
    let Some((ledger, challenge, id)) = found else {
        return Some(VerifyCount::of_nothing(keyring, target.subject(), now));
    };
    let wrong = ledger.trace(id).failed_verifies.filter(|_| is_wrong);
    let by = (&ledger.app, challenge.lookup.into());
    Some(VerifyCount::failed(keyring, by, wrong, now))
}

/// A version that no item ever has.
const UNUSED_VERSION: u64 = u64::MAX - 1;

/// Makes a write that the store is sure to refuse: what changes nothing shall take as long as what does,
/// or its time would tell which challenges, users and addresses there are.
async fn write_refused(
    commit: &impl Commit<Ledger, Decided, Key = ItemKey>,
    key: &ItemKey,
    decided: &Decided,
) -> Result<(), Failure> {
    let empty = Ledger::new(AppId::unnamed());
    match commit.commit(key, &empty, UNUSED_VERSION, decided).await {
        Ok(_) | Err(StoreError::Conflict) => Ok(()),
        Err(StoreError::Unavailable(cause)) => Err(Failure::Unavailable(cause)),
    }
}

/// Does for a subject what verifying a code does, and decides nothing: one read and one write that
/// is refused. For an identity that leads to fewer subjects than another would.
pub async fn verify_nothing<W>(world: &W, subject: &SubjectKey) -> Result<(), Failure>
where
    W: World<Ledgers: LoadLedgers + StoreLedgers>,
{
    let key = (*subject).into();
    world.ledgers().load::<Ledger>(&key).await?;
    write_refused(&Alone(world.ledgers()), &key, &Decided::nothing()).await
}

/// What was decided of a verify.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) outcome: Outcome,
    /// The challenge, where one was found.
    id: Option<ChallengeId>,
    /// Whether the right code has come once more.
    is_repeat: bool,
    /// What a success is counted as.
    counts: Vec<VerifyCount>,
}

impl Decided {
    /// Of no challenge.
    const fn nothing() -> Self {
        Self { outcome: Outcome::NotFound, id: None, is_repeat: false, counts: Vec::new() }
    }
}

async fn verify_with<W>(
    world: &W,
    commit: &impl Commit<Ledger, Decided, Key = ItemKey>,
    keyring: &Keyring,
    target: VerifyTarget<'_>,
    presented: &PresentedCode,
) -> Result<Settled<Ledger, Decided>, Failure>
where
    W: World<Ledgers: LoadLedgers>,
{
    let decide = |ledger: Option<Ledger>, now| {
        let found = ledger.and_then(|ledger| target.find(&ledger, now).map(|id| (ledger, id)));
        let Some((ledger, id)) = found else { return (None, Decided::nothing()) };
        let before = ledger.last_success;
        let is_repeat = is_right_again(&ledger, keyring, id, presented, now) == Some(true);
        let (ledger, outcome) = decide(ledger, keyring, id, presented, now);
        let counts = match outcome {
            Outcome::Verified(_) => success_counts(&ledger, id, before, now),
            Outcome::Incorrect
            | Outcome::Expired
            | Outcome::Exhausted
            | Outcome::AlreadyUsed
            | Outcome::NotFound => Vec::new(),
        };
        (Some(ledger), Decided { outcome, id: Some(id), is_repeat, counts })
    };
    transact_and(world, commit, target.subject().into(), None, decide).await
}

/// Whether it is for want of a key that the code was not looked at.
fn lacks_key(keyring: &Keyring, settled: &Settled<Ledger, Decided>) -> bool {
    let found = settled.item.as_ref().zip(settled.outcome.id);
    let challenge = found.and_then(|(ledger, id)| ledger.find(id));
    let is_unjudged = settled.outcome.outcome == Outcome::Expired;
    is_unjudged && challenge.is_some_and(|challenge| challenge.lacks_key(keyring))
}
