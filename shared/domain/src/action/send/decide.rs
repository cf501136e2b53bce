//! The decision of a send: the rules of the ledger, then those of the guard, on what was loaded.

use super::{
    Attempt, ClaimedSend, Refusal, SendTarget,
    claim::{ClaimTerms, claim},
    load::Known,
};
use crate::{
    action::open::Open,
    guard::{Finding, SubjectHistory, Verdict},
    ledger::{Challenge, Ledger, UnsentChallenge, challenge::Suppression},
    secret::keyring::Keyring,
    value::{
        id::{AppId, ChallengeId},
        time::Timestamp,
    },
};

/// Why a send is not this caller's to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotClaimed {
    /// By the rules.
    Refused(Refusal),
    /// The challenge's app is blocked or gone.
    AppBlocked,
    /// The challenge has appeared since the counters were loaded.
    Outdated,
    /// An earlier message to the address has come back.
    Undeliverable(Timestamp),
}

impl From<Refusal> for NotClaimed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What was decided of a send.
#[derive(Debug)]
pub(super) struct Decided {
    /// The message, and what the guard has decided of it.
    pub(super) claim: Result<(ClaimedSend, Verdict), NotClaimed>,
    /// What speaks against it, enforced or not.
    pub(super) findings: Vec<Finding>,
}

/// A challenge in the ledger that has it.
struct Located {
    ledger: Ledger,
    id: ChallengeId,
    /// Whether it was opened for this send.
    is_new: bool,
}

impl Known {
    /// Decides a send, opening its challenge first where it has none yet. A refused send changes nothing.
    /// This is the one place where a lock or a block is concealed: after everything else was decided, by
    /// deciding once more as if there were none.
    pub(super) fn decide(
        &self,
        before: Option<Ledger>,
        keyring: &Keyring,
        target: SendTarget<'_>,
        attempt: &Attempt,
        now: Timestamp,
    ) -> (Option<Ledger>, Decided) {
        let decide = |is_concealed| {
            let located = self.locate(before.clone(), target, is_concealed, now);
            let mut findings = Vec::new();
            let claimed = located.map_err(NotClaimed::from).and_then(|located| {
                self.claim(located, keyring, attempt, is_concealed, &mut findings, now)
            });
            (claimed, findings)
        };
        let (mut claimed, mut findings) = decide(attempt.is_concealed);
        if let Err(NotClaimed::Refused(refusal)) = claimed
            && !attempt.is_concealed
            && self.conceals(refusal)
        {
            (claimed, findings) = decide(true);
        }
        match claimed {
            Ok((ledger, claim, verdict)) => {
                (Some(ledger), Decided { claim: Ok((claim, verdict)), findings })
            }
            Err(not_claimed) => (before, Decided { claim: Err(not_claimed), findings }),
        }
    }

    /// The challenge that a send is for, in a ledger that has it.
    fn locate(
        &self,
        ledger: Option<Ledger>,
        target: SendTarget<'_>,
        is_concealed: bool,
        now: Timestamp,
    ) -> Result<Located, Refusal> {
        // Another app's ledger is no ledger, and its name is not told.
        let is_own = |ledger: &Ledger| target.app().is_none_or(|app| app.id == ledger.app);
        let known = |ledger, id| Ok(Located { ledger, id, is_new: false });
        match target {
            SendTarget::Existing(id, _) => match ledger.clone().filter(is_own) {
                Some(ledger) if ledger.find(id).is_some() => known(ledger, id),
                Some(ledger) if ledger.has_evicted(id) => Err(Refusal::AlreadyUsed),
                _ => self.enter_unsent(ledger, target, id, now),
            },
            SendTarget::Again(id, _) => match ledger.filter(is_own) {
                Some(ledger) if was_sent(&ledger, id) => known(ledger, id),
                Some(ledger) if ledger.find(id).is_some() => Err(Refusal::NeverSent),
                Some(ledger) if ledger.has_evicted(id) => Err(Refusal::AlreadyUsed),
                _ => self.unsent(target, now).and(Err(Refusal::NeverSent)),
            },
            SendTarget::Named(subject, _) => {
                let ledger = ledger.filter(is_own).ok_or(Refusal::NotFound)?;
                let id = ledger.named(now).map(|challenge| challenge.id(subject));
                known(ledger, id.ok_or(Refusal::NotFound)?)
            }
            SendTarget::Fallback(id, generation) => {
                let ledger = ledger.ok_or(Refusal::NotFound)?;
                let challenge = ledger.find(id).ok_or(Refusal::NotFound)?;
                match challenge.last_send() {
                    Some(last) if last.generation == generation && last.has_failed() => {
                        known(ledger, id)
                    }
                    _ => Err(Refusal::AlreadySent),
                }
            }
            SendTarget::Identity(open, app) => {
                let ledger = ledger.unwrap_or_else(|| Ledger::new(app.id.clone()));
                match waiting(&ledger, open, is_concealed, now) {
                    Some(id) => known(ledger, id),
                    None => opened(ledger, open, now),
                }
            }
            SendTarget::Ordered(open, app) => {
                let ledger = ledger.unwrap_or_else(|| Ledger::new(app.id.clone()));
                if was_sent(&ledger, open.id) || ledger.has_evicted(open.id) {
                    return Err(Refusal::AlreadySent);
                }
                opened(ledger, open, now)
            }
        }
    }

    /// The challenge that nothing was sent for, if it is this app's and its life lasts.
    fn unsent(&self, target: SendTarget<'_>, now: Timestamp) -> Result<&UnsentChallenge, Refusal> {
        let own = |app: &AppId| target.app().is_none_or(|own| own.id == *app);
        let unsent = self.unsent.as_ref().filter(|unsent| own(&unsent.app));
        match unsent.ok_or(Refusal::NotFound)? {
            unsent if unsent.challenge.has_expired(now) => Err(Refusal::Expired),
            unsent => Ok(unsent),
        }
    }

    /// Lets a challenge that nothing was sent for enter the ledger.
    fn enter_unsent(
        &self,
        ledger: Option<Ledger>,
        target: SendTarget<'_>,
        id: ChallengeId,
        now: Timestamp,
    ) -> Result<Located, Refusal> {
        let unsent = self.unsent(target, now)?;
        let mut ledger = ledger.unwrap_or_else(|| Ledger::new(unsent.app.clone()));
        ledger.enter(unsent.challenge.clone(), now).map_err(Refusal::TooMany)?;
        Ok(Located { ledger, id, is_new: false })
    }

    /// Claims the message and lets the guard judge it.
    fn claim(
        &self,
        Located { mut ledger, id, is_new }: Located,
        keyring: &Keyring,
        attempt: &Attempt,
        conceal: bool,
        findings: &mut Vec<Finding>,
        now: Timestamp,
    ) -> Result<(Ledger, ClaimedSend, Verdict), NotClaimed> {
        let is_locked = |challenge: &Challenge| ledger.locked_until(challenge, now).is_some();
        if conceal && ledger.find(id).is_some_and(is_locked) {
            suppress(&mut ledger, id);
        }
        check_primary(&ledger, id, attempt)?;
        let is_guessed_at = self.is_guessed_at(now);
        let terms = ClaimTerms { is_concealed: conceal, is_guessed_at };
        let mut claim = claim(&mut ledger, keyring, id, &attempt.options, terms, now)?;
        let app = self.app.as_ref().ok_or(NotClaimed::AppBlocked)?;
        let sending = self.sending(claim.to.channel()).ok_or(NotClaimed::Outdated)?;
        let by = ledger.find(id).map(|challenge| challenge.lookup.into());
        let by = by.ok_or(NotClaimed::Outdated)?;
        let is_concealed = conceal || claim.is_concealed();
        let sent = ledger.messages_before(by, is_concealed);
        let history = SubjectHistory { sent: &sent, last_success: ledger.last_success };
        let verdict = sending.judge(&app.guard, history, &self.counters, is_concealed, now);
        findings.extend(&verdict.findings);
        if let Some(refusal) = verdict.refusal() {
            return Err(NotClaimed::Refused(refusal.into()));
        }
        let is_delivered = !conceal && claim.suppression.is_none();
        let until = ledger.undeliverable_until(keyring, &claim.to, now);
        if let Some(until) = until.filter(|_| is_delivered) {
            return Err(NotClaimed::Undeliverable(until));
        }
        if conceal {
            claim.suppression = Some(Suppression::Concealed);
            // One that was there before keeps the codes that it will be sent once nothing stands in
            // the way any more.
            if is_new {
                suppress(&mut ledger, id);
            }
        }
        ledger.count_message(by, is_concealed, now);
        if let Some(record) = ledger.find_mut(id).and_then(|challenge| challenge.sends.last_mut()) {
            record.counted_in = verdict.counted_in;
        }
        Ok((ledger, claim, verdict))
    }
}

/// Guesses are counted in the ledger of the address a challenge is about, so its codes go there
/// first, and elsewhere only when they cannot.
fn check_primary(ledger: &Ledger, id: ChallengeId, attempt: &Attempt) -> Result<(), Refusal> {
    let addresses = ledger.find(id).map(|challenge| &challenge.addresses);
    match (addresses, attempt.options.channels.first()) {
        (Some(addresses), Some(first))
            if !attempt.is_fallback && !addresses.are_proven_on(*first) =>
        {
            Err(Refusal::NoAddress(*first))
        }
        _ => Ok(()),
    }
}

fn opened(mut ledger: Ledger, open: &Open, now: Timestamp) -> Result<Located, Refusal> {
    let is_new = ledger.find(open.id).is_none();
    if is_new {
        ledger.enter(open.challenge(now), now).map_err(Refusal::TooMany)?;
    }
    Ok(Located { ledger, id: open.id, is_new })
}

/// Lets no message of a challenge be delivered from now on, and no code verify it.
fn suppress(ledger: &mut Ledger, id: ChallengeId) {
    if let Some(challenge) = ledger.find_mut(id) {
        challenge.suppression = Some(Suppression::Concealed);
    }
}

fn was_sent(ledger: &Ledger, id: ChallengeId) -> bool {
    ledger.find(id).is_some_and(|challenge| !challenge.sends.is_empty())
}

/// The challenge that a send to an identity is a resend of. One that is concealed waits for those
/// alone whose own would be concealed.
fn waiting(
    ledger: &Ledger,
    open: &Open,
    is_concealed: bool,
    now: Timestamp,
) -> Option<ChallengeId> {
    let waits = |challenge: &&Challenge| {
        let suits = is_concealed || challenge.is_concealed() == open.is_concealed();
        suits && challenge.is_live(now) && open.is_like(challenge)
    };
    let waiting = ledger.challenges.iter().rev().find(waits)?;
    Some(waiting.id(open.id.subject))
}
