//! Issue: a user has shown a PIN or a password, and the code is handed to the caller instead of
//! being sent. A wrong secret is counted before it is told, as a wrong code is. The code is kept
//! nowhere: whoever must be told it again is told what is derived again.

use crate::{
    App, ChallengeId, Code, Keyring, Ledger, Policy, Timestamp,
    code::CodeId,
    failures::Failures,
    open::{self, Open, Opened},
    ports::{Clock, Entropy, LoadKeyring, LoadLedgers, StoreLedgers},
    send::{self, Report, Wish},
    transact::{Failure, Ports, transact},
    verify,
};

/// What came of an issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Issued {
    /// A code, the user's only one from now on.
    Issued(IssuedCode),
    /// The secret was wrong; one of the user's failures is spent.
    Incorrect,
    /// Too many wrong secrets, or too many open challenges; it is possible again then.
    Exhausted(Timestamp),
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

/// Which secrets a caller has shown, and whether they were right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// The password.
    pub password: Option<bool>,
    /// The PIN.
    pub pin: Option<bool>,
}

/// Decides an issue. Every kind of secret has failures of its own, so that whoever knows one cannot
/// guess at the other for ever; a secret is looked at only while its kind has failures left.
#[must_use]
pub fn decide(
    mut ledger: Ledger,
    keyring: &Keyring,
    command: &Open,
    shown: Shown,
    now: Timestamp,
) -> (Ledger, Issued) {
    let judged = [
        judge(&mut ledger.password_failures, shown.password, &command.policy, now),
        judge(&mut ledger.pin_failures, shown.pin, &command.policy, now),
    ];
    if !judged.contains(&Judged::Right) {
        let locked = judged.iter().filter_map(|judged| judged.locked_until()).min();
        let issued = match (judged.contains(&Judged::Wrong), locked) {
            (false, Some(until)) => Issued::Exhausted(until),
            (true, _) | (false, None) => Issued::Incorrect,
        };
        return (ledger, issued);
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
    LockedUntil(Timestamp),
}

impl Judged {
    const fn locked_until(self) -> Option<Timestamp> {
        match self {
            Self::LockedUntil(until) => Some(until),
            Self::NotShown | Self::Right | Self::Wrong => None,
        }
    }
}

/// Counts a wrong secret, and forgets the wrong ones before a right one.
fn judge(
    failures: &mut Failures,
    is_right: Option<bool>,
    policy: &Policy,
    now: Timestamp,
) -> Judged {
    match (is_right, failures.refused_until(policy, now)) {
        (None, _) => Judged::NotShown,
        (Some(_), Some(until)) => Judged::LockedUntil(until),
        (Some(true), None) => {
            failures.clear();
            Judged::Right
        }
        (Some(false), None) => {
            failures.count(policy, now);
            Judged::Wrong
        }
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

/// Issues a code: one read and one write.
pub async fn issue<L, C, E>(
    ports: Ports<'_, L, C, E>,
    keyring: &Keyring,
    app: &App,
    command: &Open,
    shown: Shown,
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
