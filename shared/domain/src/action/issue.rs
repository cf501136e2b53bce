//! Issue: a user has shown a PIN or a password, and the code is handed to the caller instead of
//! being sent. A wrong secret is counted before it is told, as a wrong code is. The code is kept
//! nowhere: whoever must be told it again is told what is derived again.

use super::{
    open::Open,
    send::{self, ClaimTerms, SendOptions},
    transact::{Failure, transact},
    verify,
};
use crate::{
    app::{App, policy::Policy},
    ledger::{
        Ledger,
        failures::{FailureClass, SecretKind},
    },
    ports::{Clock as _, LoadKeyring, LoadLedgers, StoreLedgers, World},
    secret::{
        code::{Code, CodeId},
        keyring::Keyring,
    },
    value::{
        id::{ChallengeId, SubjectKey},
        time::Timestamp,
    },
};
use std::{fmt, sync::OnceLock};

/// What came of an issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Issued {
    /// A code, the user's only one from now on.
    Issued(IssuedCode),
    /// The secret was wrong; one of the user's failures is spent.
    Incorrect,
    /// A pause after wrong secrets, or too many open challenges; it is possible again then.
    Exhausted(Timestamp),
    /// Too many wrong secrets: no secret of the kind is looked at until an administrator unlocks the
    /// user, or a code that reached the user's registered address is verified.
    Locked,
}

/// A code that is handed to a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedCode {
    /// Which one it is.
    pub id: CodeId,
    /// The digits.
    pub code: Code,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Whether a secret is the user's. It is compared when that is first asked, which costs memory and
/// time on purpose, and then known.
pub struct SecretComparison<'a> {
    compare: Box<dyn Fn() -> bool + Send + Sync + 'a>,
    is_right: OnceLock<bool>,
}

impl<'a> SecretComparison<'a> {
    /// A comparison that is yet to be made.
    pub fn new(compare: impl Fn() -> bool + Send + Sync + 'a) -> Self {
        Self { compare: Box::new(compare), is_right: OnceLock::new() }
    }

    fn is_right(&self) -> bool {
        *self.is_right.get_or_init(&self.compare)
    }
}

/// A comparison whose result is known.
impl From<bool> for SecretComparison<'_> {
    fn from(is_right: bool) -> Self {
        Self::new(move || is_right)
    }
}

impl fmt::Debug for SecretComparison<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretComparison(masked)")
    }
}

/// Which secrets a caller has shown.
#[derive(Debug, Default)]
pub struct PresentedSecrets<'a> {
    /// The password.
    pub password: Option<SecretComparison<'a>>,
    /// The PIN.
    pub pin: Option<SecretComparison<'a>>,
}

/// Decides an issue. Every kind of secret has failures of its own, so that whoever knows one cannot
/// guess at the other for ever; a secret is looked at only while its kind is neither locked nor
/// paused.
#[must_use]
pub fn decide(
    mut ledger: Ledger,
    keyring: &Keyring,
    command: &Open,
    shown: &PresentedSecrets<'_>,
    now: Timestamp,
) -> (Ledger, Issued) {
    let judged = [
        judge(&mut ledger, SecretKind::Password, shown.password.as_ref(), &command.policy, now),
        judge(&mut ledger, SecretKind::Pin, shown.pin.as_ref(), &command.policy, now),
    ];
    if !judged.contains(&Judged::Right) {
        return (ledger, refusal(judged));
    }
    // Whoever knows a secret is handed right codes anyway, so wrong ones need not lock them out.
    ledger.failures.remove(&FailureClass::Identity);
    let mut opened = ledger.clone();
    if let Err(room_at) = opened.enter(command.challenge(now), now) {
        return (ledger, Issued::Exhausted(room_at));
    }
    match hand_over(&mut opened, keyring, command.id, now) {
        Ok(issued) => (opened, issued),
        Err(until) => (ledger, Issued::Exhausted(until)),
    }
}

/// What one kind of secret comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judged {
    NotShown,
    Right,
    Wrong,
    PausedUntil(Timestamp),
    Locked,
}

/// What is told where no secret was right: the best that another try can hope for.
fn refusal(judged: [Judged; 2]) -> Issued {
    let paused = judged.iter().filter_map(|judged| match judged {
        Judged::PausedUntil(until) => Some(*until),
        Judged::NotShown | Judged::Right | Judged::Wrong | Judged::Locked => None,
    });
    match (judged.contains(&Judged::Wrong), paused.min()) {
        (false, Some(until)) => Issued::Exhausted(until),
        (false, None) if judged.contains(&Judged::Locked) => Issued::Locked,
        (true, _) | (false, None) => Issued::Incorrect,
    }
}

/// Counts a wrong secret, and forgets the wrong ones before a right one.
fn judge(
    ledger: &mut Ledger,
    kind: SecretKind,
    shown: Option<&SecretComparison<'_>>,
    policy: &Policy,
    now: Timestamp,
) -> Judged {
    let Some(shown) = shown else { return Judged::NotShown };
    if let Some(failures) = ledger.secret_failures.get(&kind) {
        if failures.are_locked(policy) {
            return Judged::Locked;
        }
        if let Some(until) = failures.paused_until(policy, now) {
            return Judged::PausedUntil(until);
        }
    }
    if shown.is_right() {
        ledger.secret_failures.remove(&kind);
        Judged::Right
    } else {
        ledger.secret_failures.entry(kind).or_default().count(now);
        Judged::Wrong
    }
}

/// Claims the challenge's first code: it is handed to its caller, so no courier and no counter stands
/// between.
fn hand_over(
    ledger: &mut Ledger,
    keyring: &Keyring,
    id: ChallengeId,
    now: Timestamp,
) -> Result<Issued, Timestamp> {
    let claim =
        send::claim(ledger, keyring, id, &SendOptions::default(), ClaimTerms::default(), now);
    let claim = claim.map_err(|refusal| refusal.until().unwrap_or(now))?;
    let id = CodeId { challenge: id, generation: claim.generation };
    let issued = IssuedCode { id, code: claim.code, expires_at: now + claim.life };
    Ok(Issued::Issued(issued))
}

/// Derives a code that was issued, while a verify would still look at it.
#[must_use]
pub fn derive_again(
    ledger: &Ledger,
    keyring: &Keyring,
    id: CodeId,
    now: Timestamp,
) -> Option<IssuedCode> {
    let (challenge, send) = verify::awaited(ledger, id.challenge, now).ok()?;
    if send.generation != id.generation {
        return None;
    }
    let code = challenge.code(keyring, id.challenge.subject, send)?;
    Some(IssuedCode { id, code, expires_at: send.expires_at })
}

/// Issues a code: one read and one write. A secret is compared between the two, and not at all where
/// the ledger refuses to look at it.
pub async fn issue<W>(
    world: &W,
    keyring: &Keyring,
    app: &App,
    command: &Open,
    shown: &PresentedSecrets<'_>,
) -> Result<Issued, Failure>
where
    W: World<Ledgers: LoadLedgers + StoreLedgers>,
{
    let decide = |ledger: Option<Ledger>, now| {
        let ledger = ledger.unwrap_or_else(|| Ledger::new(app.id.clone()));
        let (ledger, issued) = decide(ledger, keyring, command, shown, now);
        (Some(ledger), issued)
    };
    Ok(transact(world, command.id.subject.into(), None, decide).await?.outcome)
}

/// Forgets a user's wrong PINs and passwords, and says whether there were any: one read and, where
/// there were, one write.
pub async fn unlock<W>(world: &W, user: SubjectKey) -> Result<bool, Failure>
where
    W: World<Ledgers: LoadLedgers + StoreLedgers>,
{
    let decide = |ledger: Option<Ledger>, _| {
        let Some(mut ledger) = ledger else { return (None, false) };
        let had_failures = ledger.has_secret_failures();
        ledger.secret_failures.clear();
        (Some(ledger), had_failures)
    };
    Ok(transact(world, user.into(), None, decide).await?.outcome)
}

/// Tells a code that was issued once more, while a verify would still look at it: one read.
pub async fn tell_again<W>(world: &W, id: CodeId) -> Result<Option<IssuedCode>, Failure>
where
    W: World<Ledgers: LoadLedgers, Keyring: LoadKeyring>,
{
    let loaded = world.ledgers().load::<Ledger>(&id.challenge.subject.into()).await?;
    let Some(ledger) = loaded.item else { return Ok(None) };
    let keyring = world.keyring().keyring().await.map_err(Failure::Unavailable)?;
    let challenge = ledger.find(id.challenge);
    let keyring = if challenge.is_some_and(|challenge| challenge.lacks_key(&keyring)) {
        world.keyring().refreshed().await.map_err(Failure::Unavailable)?
    } else {
        keyring
    };
    Ok(derive_again(&ledger, &keyring, id, world.clock().now()))
}
