//! Claims: whether a challenge may have its next message now, and what that message is.

use super::{ClaimedSend, Refusal, SendOptions};
use crate::{
    guard::{CountedIn, guessing::lengthened},
    ledger::{
        Challenge, Ledger,
        challenge::{SendRecord, State},
        receipt::Fallback,
    },
    secret::keyring::Keyring,
    value::{
        address::{Address, Channel},
        id::ChallengeId,
        time::Timestamp,
    },
};
use std::time::Duration;

/// Messages that every courier refused are not counted as sends; this many times the policy's
/// sends is the end of it all the same.
const MAX_TRIES_PER_SEND: u32 = 4;

/// Claims the next message of a challenge. A concealed one is claimed like any other, and held back by
/// other concealed ones as well.
pub(crate) fn claim(
    ledger: &mut Ledger,
    keyring: &Keyring,
    id: ChallengeId,
    options: &SendOptions,
    terms: ClaimTerms,
    now: Timestamp,
) -> Result<ClaimedSend, Refusal> {
    let admitted = admit(ledger, id, options, terms.is_concealed, now)?;
    let (record, claim) = prepare(keyring, id, options, admitted, terms.is_guessed_at, now)?;
    if let Some(challenge) = ledger.find_mut(id) {
        challenge.generation = record.generation;
        challenge.sends.push(record);
    }
    Ok(claim)
}

/// What else a claim depends on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ClaimTerms {
    /// Whether its caller is refused and shall not see it.
    pub(crate) is_concealed: bool,
    /// Whether the codes of the app are being guessed at.
    pub(crate) is_guessed_at: bool,
}

/// Whether a send is allowed, and where it goes.
fn admit<'a>(
    ledger: &'a Ledger,
    id: ChallengeId,
    options: &SendOptions,
    is_concealed: bool,
    now: Timestamp,
) -> Result<Admitted<'a>, Refusal> {
    let challenge = ledger.find(id).ok_or(Refusal::NotFound)?;
    if challenge.state != State::Open {
        return Err(Refusal::AlreadyUsed);
    }
    if challenge.has_expired(now) {
        return Err(Refusal::Expired);
    }
    let locked_until = ledger.locked_until(challenge, now);
    if challenge.is_exhausted() || locked_until.is_some() {
        return Err(Refusal::Exhausted(locked_until));
    }
    if let Some(until) = ledger.paused_until(challenge, now) {
        return Err(Refusal::CoolingDown(until));
    }
    let reachable = |channel: &Channel| challenge.addresses.on(*channel);
    if let Some(missing) = options.channels.iter().find(|channel| reachable(channel).is_none()) {
        return Err(Refusal::NoAddress(*missing));
    }
    let to = options.channels.first().and_then(reachable).unwrap_or(challenge.addresses.primary());
    let before = match to.channel() {
        Channel::Sms | Channel::Email => {
            let is_concealed = is_concealed || challenge.is_concealed();
            ledger.unanswered(challenge.lookup.into(), is_concealed, now)
        }
        // A code that is handed to its caller is no message.
        Channel::Caller => Vec::new(),
    };
    check_pace(challenge, &before, now)?;
    Ok(Admitted { challenge, to, sends: challenge.sends.len().max(before.len()) })
}

/// A send that is allowed.
struct Admitted<'a> {
    challenge: &'a Challenge,
    /// Where it goes.
    to: &'a Address,
    /// How many messages its cool-down grows with.
    sends: usize,
}

/// Whether the challenge may have another message, and already now. The cool-down is the subject's,
/// for each class of callers: `before` is what that class had sent to it, whatever the challenges.
fn check_pace(challenge: &Challenge, before: &[Timestamp], now: Timestamp) -> Result<(), Refusal> {
    let policy = &challenge.policy;
    let has_had_all = challenge.sends.len() >= policy.max_sends.into();
    if has_had_all || challenge.generation >= u32::from(policy.max_sends) * MAX_TRIES_PER_SEND {
        return Err(Refusal::SendsExhausted);
    }
    let out: Vec<_> = challenge.sends.iter().filter(|send| !send.has_failed()).collect();
    let own = out.last().map(|send| send.at + policy.cool_down(out.len()));
    let of_class = before.last().map(|at| *at + policy.cool_down(before.len()));
    match own.max(of_class).filter(|at| *at > now) {
        Some(resend_at) => Err(Refusal::CoolingDown(resend_at)),
        None => Ok(()),
    }
}

fn prepare(
    keyring: &Keyring,
    id: ChallengeId,
    options: &SendOptions,
    Admitted { challenge, to, sends }: Admitted<'_>,
    is_guessed_at: bool,
    now: Timestamp,
) -> Result<(SendRecord, ClaimedSend), Refusal> {
    let policy = &challenge.policy;
    let asked = options.code_seconds.map(|seconds| Duration::from_secs(seconds.into()));
    let life = asked.map_or(policy.code_life(), |asked| asked.min(policy.code_life()));
    let before = challenge.last_send().map(|send| send.length);
    let first = || {
        let usual = policy.code_length;
        if is_guessed_at { lengthened(usual, options.max_length) } else { usual }
    };
    let record = SendRecord {
        generation: challenge.generation + 1,
        key: keyring.current_id().clone(),
        channel: to.channel(),
        length: options.length.or(before).unwrap_or_else(first),
        at: now,
        expires_at: challenge.expires_at.min(now + life),
        counted_in: CountedIn::default(),
        receipt: None,
        fallback: fallback(options),
    };
    // The current key is always in its own keyring.
    let code = challenge.code(keyring, id.subject, &record).ok_or(Refusal::Expired)?;
    let claim = ClaimedSend {
        id,
        generation: record.generation,
        code,
        life: now.until(record.expires_at),
        to: to.clone(),
        template: challenge.template.clone(),
        app_hash: challenge.app_hash.clone(),
        scope: challenge.scope.clone(),
        cool_down: policy.cool_down(sends + 1),
        suppression: challenge.suppression.clone(),
    };
    Ok((record, claim))
}

/// The longest language tag that is kept (RFC 5646 §4.4.1): the ledger holds what a caller wrote.
const MAX_LOCALE: usize = 35;

/// What is left to be tried where the message certainly does not arrive.
fn fallback(options: &SendOptions) -> Option<Fallback> {
    let channels = options.channels.get(1..).filter(|left| !left.is_empty())?.to_vec();
    Some(Fallback {
        channels,
        locale: options.locale.clone().filter(|locale| locale.len() <= MAX_LOCALE),
        code_seconds: options.code_seconds,
        app_hash: options.app_hash.clone(),
    })
}

/// The ledger without a claim. Releasing it twice is releasing it once.
#[must_use]
pub(super) fn released(mut ledger: Ledger, claim: &ClaimedSend) -> Ledger {
    let Some(challenge) = ledger.find_mut(claim.id) else { return ledger };
    let position = challenge.sends.iter().position(|send| send.generation == claim.generation);
    if let Some(record) = position.map(|position| challenge.sends.remove(position)) {
        let by = challenge.lookup.into();
        ledger.uncount_message(by, claim.is_concealed(), record.at);
    }
    ledger
}
