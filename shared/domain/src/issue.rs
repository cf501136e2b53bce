//! Issue: a user has shown a PIN or a password, and the code is handed to the caller instead of
//! being sent. A wrong secret is counted before it is told, as a wrong code is. The code is kept
//! nowhere: whoever must be told it again is told what is derived again.

use crate::{
    App, ChallengeId, Code, Keyring, Ledger, Policy, Timestamp,
    code::CodeId,
    failures::SecretFailures,
    open::{self, Open, Opened},
    ports::{Clock, Entropy, LoadKeyring, LoadLedgers, StoreLedgers},
    send::{self, Report, Wish},
    subject::SubjectKey,
    transact::{Failure, Ports, transact},
    verify,
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
pub struct Comparison<'a> {
    compare: Box<dyn Fn() -> bool + Send + Sync + 'a>,
    is_right: OnceLock<bool>,
}

impl<'a> Comparison<'a> {
    /// A comparison that is yet to be made.
    pub fn new(compare: impl Fn() -> bool + Send + Sync + 'a) -> Self {
        Self { compare: Box::new(compare), is_right: OnceLock::new() }
    }

    fn is_right(&self) -> bool {
        *self.is_right.get_or_init(&self.compare)
    }
}

/// A comparison whose result is known.
impl From<bool> for Comparison<'_> {
    fn from(is_right: bool) -> Self {
        Self::new(move || is_right)
    }
}

impl fmt::Debug for Comparison<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Comparison(masked)")
    }
}

/// Which secrets a caller has shown.
#[derive(Debug, Default)]
pub struct Shown<'a> {
    /// The password.
    pub password: Option<Comparison<'a>>,
    /// The PIN.
    pub pin: Option<Comparison<'a>>,
}

/// Decides an issue. Every kind of secret has failures of its own, so that whoever knows one cannot
/// guess at the other for ever; a secret is looked at only while its kind is neither locked nor
/// paused.
#[must_use]
pub fn decide(
    mut ledger: Ledger,
    keyring: &Keyring,
    command: &Open,
    shown: &Shown<'_>,
    now: Timestamp,
) -> (Ledger, Issued) {
    let judged = [
        judge(&mut ledger.password_failures, shown.password.as_ref(), &command.policy, now),
        judge(&mut ledger.pin_failures, shown.pin.as_ref(), &command.policy, now),
    ];
    if !judged.contains(&Judged::Right) {
        return (ledger, refusal(judged));
    }
    // Whoever knows a secret is handed right codes anyway, so wrong ones need not lock them out.
    ledger.identity_failures.clear();
    match open::decide(ledger.clone(), command, now) {
        (_, Opened::TooMany(room_at)) => (ledger, Issued::Exhausted(room_at)),
        (opened, Opened::Opened) => match hand_over(opened, keyring, command.id, now) {
            Ok(issued) => issued,
            Err(until) => (ledger, Issued::Exhausted(until)),
        },
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
    failures: &mut SecretFailures,
    shown: Option<&Comparison<'_>>,
    policy: &Policy,
    now: Timestamp,
) -> Judged {
    let Some(shown) = shown else { return Judged::NotShown };
    if failures.are_locked(policy) {
        return Judged::Locked;
    }
    if let Some(until) = failures.paused_until(policy, now) {
        return Judged::PausedUntil(until);
    }
    if shown.is_right() {
        failures.clear();
        Judged::Right
    } else {
        failures.count(now);
        Judged::Wrong
    }
}

/// Claims the challenge's first code and marks it at once: no courier stands between.
fn hand_over(
    ledger: Ledger,
    keyring: &Keyring,
    id: ChallengeId,
    now: Timestamp,
) -> Result<(Ledger, Issued), Timestamp> {
    let wish = Wish::default();
    let (ledger, claim) = send::claim(ledger, keyring, id, &wish, now);
    let claim = claim.map_err(|refusal| refusal.until().unwrap_or(now))?;
    let ledger = send::mark(ledger, id, claim.generation, Report::Accepted);
    let id = CodeId { challenge: id, generation: claim.generation };
    let issued = IssuedCode { id, code: claim.code, expires_at: now + claim.life };
    Ok((ledger, Issued::Issued(issued)))
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
pub async fn issue<L, C, E>(
    ports: Ports<'_, L, C, E>,
    keyring: &Keyring,
    app: &App,
    command: &Open,
    shown: &Shown<'_>,
) -> Result<Issued, Failure>
where
    L: LoadLedgers + StoreLedgers,
    C: Clock,
    E: Entropy,
{
    let subject = command.id.subject;
    let decide = |ledger: Option<Ledger>, now| {
        let ledger = ledger.unwrap_or_else(|| Ledger::new(app.id.clone()));
        let (ledger, issued) = decide(ledger, keyring, command, shown, now);
        (Some(ledger), issued)
    };
    Ok(transact(ports, &subject, decide).await?.outcome)
}

/// Forgets a user's wrong PINs and passwords, and says whether there were any: one read and, where
/// there were, one write.
pub async fn unlock<L, C, E>(ports: Ports<'_, L, C, E>, user: &SubjectKey) -> Result<bool, Failure>
where
    L: LoadLedgers + StoreLedgers,
    C: Clock,
    E: Entropy,
{
    let decide = |ledger: Option<Ledger>, _| {
        let Some(mut ledger) = ledger else { return (None, false) };
        let had_failures = ledger.has_secret_failures();
        ledger.unlock_secrets();
        (Some(ledger), had_failures)
    };
    Ok(transact(ports, user, decide).await?.outcome)
}

/// Tells a code that was issued once more, while a verify would still look at it: one read.
pub async fn tell_again<L, K, C, E>(
    ports: Ports<'_, L, C, E>,
    keys: &K,
    id: CodeId,
) -> Result<Option<IssuedCode>, Failure>
where
    L: LoadLedgers,
    K: LoadKeyring,
    C: Clock,
{
    let Some(ledger) = ports.ledgers.load(&id.challenge.subject).await?.ledger else {
        return Ok(None);
    };
    let keyring = keys.keyring().await.map_err(Failure::Unavailable)?;
    let challenge = ledger.find(id.challenge);
    let keyring = if challenge.is_some_and(|challenge| challenge.lacks_key(&keyring)) {
        keys.refreshed().await.map_err(Failure::Unavailable)?
    } else {
        keyring
    };
    Ok(derive_again(&ledger, &keyring, id, ports.clock.now()))
}
