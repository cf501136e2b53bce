//! Issue: a user has shown a PIN or a password, and the code is handed to the caller instead of
//! being sent. A wrong secret is counted before it is told, as a wrong code is.

use crate::{
    App, ChallengeId, Code, Keyring, Ledger, Timestamp,
    open::{self, Open, Opened},
    ports::{Clock, Entropy, LoadLedgers, StoreLedgers},
    send::{self, Report, Wish},
    transact::{Failure, Ports, transact},
};

/// What came of an issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Issued {
    /// A code, the user's only one from now on.
    Issued {
        /// Its challenge.
        id: ChallengeId,
        /// The digits.
        code: Code,
        /// When it ends.
        expires_at: Timestamp,
    },
    /// The secret was wrong; one of the user's failures is spent.
    Incorrect,
    /// Too many wrong secrets, or too many open challenges; it is possible again then.
    Exhausted(Timestamp),
}

/// Decides an issue. `is_proven` says whether the secret was right; it is looked at only while the
/// user has failures left.
#[must_use]
pub fn decide(
    mut ledger: Ledger,
    keyring: &Keyring,
    command: &Open,
    is_proven: bool,
    now: Timestamp,
) -> (Ledger, Issued) {
    if let Some(until) = ledger.secret_failures.locked_until(&command.policy, now) {
        return (ledger, Issued::Exhausted(until));
    }
    if !is_proven {
        ledger.secret_failures.count(&command.policy, now);
        return (ledger, Issued::Incorrect);
    }
    // Whoever knows the secret is handed right codes anyway, so wrong ones need not lock them out.
    ledger.secret_failures.clear();
    ledger.identity_failures.clear();
    match open::decide(ledger.clone(), command, now) {
        (_, Opened::TooMany(room_at)) => (ledger, Issued::Exhausted(room_at)),
        (opened, Opened::Opened) => match hand_over(opened, keyring, command.id, now) {
            Ok(issued) => issued,
            Err(until) => (ledger, Issued::Exhausted(until)),
        },
    }
}

/// Claims the challenge's first code and marks it at once: no courier stands between.
fn hand_over(
    ledger: Ledger,
    keyring: &Keyring,
    id: ChallengeId,
    now: Timestamp,
) -> Result<(Ledger, Issued), Timestamp> {
    let wish = Wish { channels: Vec::new(), length: None, code_seconds: None, locale: None };
    let (ledger, claim) = send::claim(ledger, keyring, id, &wish, now);
    let claim = claim.map_err(|refusal| refusal.until().unwrap_or(now))?;
    let ledger = send::mark(ledger, id, claim.generation, Report::Accepted);
    let expires_at = now + claim.life;
    Ok((ledger, Issued::Issued { id, code: claim.code, expires_at }))
}

/// Issues a code: one read and one write.
pub async fn issue<L, C, E>(
    ports: Ports<'_, L, C, E>,
    keyring: &Keyring,
    app: &App,
    command: &Open,
    is_proven: bool,
) -> Result<Issued, Failure>
where
    L: LoadLedgers + StoreLedgers,
    C: Clock,
    E: Entropy,
{
    let subject = command.id.subject;
    let decide = |ledger: Option<Ledger>, now| {
        let ledger = ledger.unwrap_or_else(|| Ledger::new(app.id.clone()));
        let (ledger, issued) = decide(ledger, keyring, command, is_proven, now);
        (Some(ledger), issued)
    };
    Ok(transact(ports, &subject, decide).await?.outcome)
}
