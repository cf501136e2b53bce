//! Idempotency: a caller's own key for one request (IETF httpapi draft, `Idempotency-Key`). The same
//! request under the same key is done once, and answered the same for a day. What is kept has an item
//! of its own, as an order has; without a key nothing is read or written.
//!
//! A key belongs to an app, a credential and a route, so nobody is told what another was answered.
//! The body is kept as an HMAC, and the answer sealed (ChaCha20-Poly1305, RFC 8439) under a key that
//! is made from the keyring and the caller's own key: the table alone opens none. Of an answer that
//! tells a code nothing is kept but which code it is.
//!
//! Whoever knows somebody's key learns from a refusal that a body is another. Where bodies hold
//! secrets that is a guess, so those are counted before they are told, and bounded.

use crate::{
    AppId, Keyring, Ledger, SubjectKey, Timestamp, bytes,
    code::CodeId,
    ports::{Clock, Entropy, LoadLedgers, StoreError, StoreLedgers},
    transact::{Failure, Ports, transact},
};
use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit as _,
    aead::{Aead as _, Error as SealError},
};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use std::{str::FromStr, time::Duration};
use thiserror::Error;

/// How long an answer is kept.
pub const LIFE: Duration = Duration::from_hours(24);

/// A request that began longer ago than this will not end any more: no function runs as long.
pub const LONGEST_RUN: Duration = Duration::from_secs(30);

/// A caller who waits for another's answer looks this often: for about five seconds.
const MAX_LOOKS: u32 = 23;

/// The pause after the first look; it doubles up to ten times that.
const FIRST_PAUSE: Duration = Duration::from_millis(25);

/// After this many other bodies under the key of a request with a secret, none is the right one.
pub const MAX_OTHER_BODIES: u8 = 5;

/// Where nobody but the key says who calls, it has at least this many characters: whoever guesses
/// it is told the answer.
pub const MIN_ALONE: usize = 16;

/// A caller's own key for a request: 1 to 255 visible ASCII characters.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// A text that is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be 1 to 255 visible characters, in quotes or without")]
pub struct MalformedKey;

impl FromStr for IdempotencyKey {
    type Err = MalformedKey;

    fn from_str(text: &str) -> Result<Self, MalformedKey> {
        let is_key = (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        is_key.then(|| Self(text.to_owned())).ok_or(MalformedKey)
    }
}

/// A request that came with a key.
#[derive(Clone, Copy)]
pub struct Keyed<'a> {
    /// Its app, where the caller is one of an app.
    pub app: Option<&'a AppId>,
    /// What shows who calls; `None` where nothing does.
    pub credential: Option<&'a str>,
    /// What is asked.
    pub route: &'a str,
    /// Its key.
    pub key: &'a IdempotencyKey,
    /// Its body.
    pub body: &'a [u8],
    /// Whether the body holds a secret, such as a PIN.
    pub has_secret: bool,
}

impl Keyed<'_> {
    /// Whether the key is all that tells the caller from others, and is easily guessed.
    #[must_use]
    pub const fn is_guessable(&self) -> bool {
        self.credential.is_none() && self.key.0.len() < MIN_ALONE
    }

    fn place(&self, keyring: &Keyring) -> SubjectKey {
        let (app, credential) = (self.app.map_or("", AppId::as_str), self.credential);
        let known = if credential.is_some() { "known" } else { "unknown" };
        let parts = [app, known, credential.unwrap_or_default(), self.route, &self.key.0];
        let parts = ["idempotency"].into_iter().chain(parts).collect::<Vec<_>>();
        SubjectKey::from_bytes(keyring.index_mac(&parts))
    }

    fn fingerprint(&self, keyring: &Keyring, place: &SubjectKey) -> Fingerprint {
        Fingerprint(keyring.index_mac_of(&[b"idempotency body", &place.0, self.body]))
    }

    fn sealing_key(&self, keyring: &Keyring, place: &SubjectKey) -> [u8; 32] {
        keyring.index_key(&[b"idempotency answer", &place.0, self.key.0.as_bytes()])
    }
}

/// What a body is recognised by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint(#[serde(with = "bytes")] [u8; 16]);

/// An answer that can be given again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// An answer as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedAnswer {
    nonce: [u8; 12],
    text: String,
}

impl SealedAnswer {
    fn of(answer: &KeptAnswer, key: &[u8; 32], nonce: [u8; 12]) -> Result<Self, SealError> {
        let text = serde_json::to_vec(answer).map_err(|_| SealError)?;
        let sealed = ChaCha20Poly1305::new(key.into()).encrypt(&nonce.into(), &*text)?;
        Ok(Self { nonce, text: BASE64.encode(&sealed) })
    }

    fn open(&self, key: &[u8; 32]) -> Result<KeptAnswer, SealError> {
        let sealed = BASE64.decode(self.text.as_bytes()).map_err(|_| SealError)?;
        let text = ChaCha20Poly1305::new(key.into()).decrypt(&self.nonce.into(), &*sealed)?;
        serde_json::from_slice(&text).map_err(|_| SealError)
    }
}

/// How far a request is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// It has not been answered, since then.
    InFlight(Timestamp),
    /// It was answered.
    Done(SealedAnswer),
    /// It was answered with a code.
    Told(CodeId),
}

/// What is kept of a request, in an item of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptRequest {
    /// Its body.
    pub fingerprint: Fingerprint,
    /// How many other bodies came under its key, where they are counted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub other_bodies: u8,
    /// How far it is.
    pub progress: Progress,
    /// When its key is free.
    pub until: Timestamp,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_zero(count: &u8) -> bool {
    *count == 0
}

/// What is decided for a request with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is this caller's to do.
    Go,
    /// It was done, and answered so.
    Done(SealedAnswer),
    /// It was done, and answered with this code.
    Told(CodeId),
    /// Another is at it.
    InFlight,
    /// The key is another request's.
    OtherBody,
}

/// Decides whose a request is. One that nobody will end any more is the next caller's.
#[must_use]
pub fn decide(
    mut ledger: Ledger,
    fingerprint: Fingerprint,
    has_secret: bool,
    now: Timestamp,
) -> (Ledger, Decision) {
    let kept = ledger.request.as_mut().filter(|kept| now < kept.until);
    if let Some(decision) = kept.and_then(|kept| kept.decide(fingerprint, has_secret, now)) {
        return (ledger, decision);
    }
    let (progress, until) = (Progress::InFlight(now), now + LIFE);
    ledger.request = Some(KeptRequest { fingerprint, other_bodies: 0, progress, until });
    (ledger, Decision::Go)
}

impl KeptRequest {
    /// What is decided for a request under the same key; `None` where it may begin anew.
    fn decide(
        &mut self,
        fingerprint: Fingerprint,
        has_secret: bool,
        now: Timestamp,
    ) -> Option<Decision> {
        let is_served =
            matches!(self.progress, Progress::InFlight(since) if now < since + LONGEST_RUN);
        // Whoever serves it stores its answer over what was loaded, so nothing is counted meanwhile,
        // and nothing told.
        if is_served && has_secret {
            return Some(Decision::InFlight);
        }
        if self.other_bodies >= MAX_OTHER_BODIES {
            return Some(Decision::OtherBody);
        }
        if self.fingerprint != fingerprint {
            self.other_bodies += u8::from(has_secret);
            return Some(Decision::OtherBody);
        }
        match &self.progress {
            Progress::Done(answer) => Some(Decision::Done(answer.clone())),
            Progress::Told(code) => Some(Decision::Told(*code)),
            Progress::InFlight(_) => is_served.then_some(Decision::InFlight),
        }
    }
}

/// What is known of a request with a key.
pub enum Turn {
    /// It is this caller's to do.
    Go(Box<Claim>),
    /// It was answered so.
    Again(KeptAnswer),
    /// It was answered with this code.
    Told(CodeId),
    /// Another is still at it.
    InFlight,
    /// The key is another request's.
    OtherBody,
}

/// A request that is this caller's to do.
pub struct Claim {
    place: SubjectKey,
    kept: Ledger,
    version: u64,
    sealing_key: [u8; 32],
}

/// What stays of an answer.
pub enum Stays {
    /// All of it, to be given again.
    Answer(KeptAnswer),
    /// Which code it tells.
    Code(CodeId),
    /// Nothing: the same request may be tried again.
    Nothing,
}

/// Asks whose a request is: one read, and one write where it is this caller's or a guess that is
/// counted. While another is at it, waits for that answer, for some seconds, with one read a look.
///
/// A function that ends before it has settled leaves the request in flight: until [`LONGEST_RUN`] has
/// passed nothing of it is done again. After that it is a new request, which cool-downs, counts and
/// an order's name hold back as any other.
pub async fn begin<L, C, E>(
    ports: Ports<'_, L, C, E>,
    keyring: &Keyring,
    keyed: Keyed<'_>,
) -> Result<Turn, Failure>
where
    L: LoadLedgers + StoreLedgers,
    C: Clock,
    E: Entropy,
{
    let place = keyed.place(keyring);
    let fingerprint = keyed.fingerprint(keyring, &place);
    let sealing_key = keyed.sealing_key(keyring, &place);
    for look in 1..=MAX_LOOKS {
        let decide = |ledger: Option<Ledger>, now| {
            let ledger = ledger.unwrap_or_else(|| Ledger::new(owner(keyed.app)));
            let (ledger, decision) = decide(ledger, fingerprint, keyed.has_secret, now);
            (Some(ledger), decision)
        };
        let settled = transact(ports, &place, decide).await?;
        let kept = settled.ledger.unwrap_or_else(|| Ledger::new(owner(keyed.app)));
        match settled.outcome {
            Decision::Go => {
                let claim = Claim { place, kept, version: settled.version, sealing_key };
                return Ok(Turn::Go(Box::new(claim)));
            }
            Decision::Done(answer) => return opened(&answer, &sealing_key),
            Decision::Told(code) => return Ok(Turn::Told(code)),
            Decision::OtherBody => return Ok(Turn::OtherBody),
            Decision::InFlight if look < MAX_LOOKS => ports.clock.sleep(pause(look)).await,
            Decision::InFlight => {}
        }
    }
    Ok(Turn::InFlight)
}

/// Settles a request that was this caller's, with what stays of its answer: one write. Where another
/// has taken it over meanwhile, that one's answer stays.
pub async fn settle<L, E>(
    ledgers: &L,
    entropy: &E,
    claim: Box<Claim>,
    stays: Stays,
    now: Timestamp,
) -> Result<(), StoreError>
where
    L: StoreLedgers,
    E: Entropy,
{
    let Claim { place, mut kept, version, sealing_key } = *claim;
    let seal = |answer| {
        let sealed = SealedAnswer::of(&answer, &sealing_key, entropy.bytes());
        sealed.map_err(|_| StoreError::Unavailable("an answer cannot be sealed".into()))
    };
    let (progress, until) = match stays {
        Stays::Answer(answer) => (Some(Progress::Done(seal(answer)?)), now + LIFE),
        Stays::Code(code) => (Some(Progress::Told(code)), now + LIFE),
        Stays::Nothing => (None, now),
    };
    if let Some(request) = &mut kept.request {
        request.progress = progress.unwrap_or_else(|| request.progress.clone());
        request.until = until;
    }
    match ledgers.store(&place, &kept, version).await {
        Ok(_) | Err(StoreError::Conflict) => Ok(()),
        Err(error) => Err(error),
    }
}

fn opened(answer: &SealedAnswer, key: &[u8; 32]) -> Result<Turn, Failure> {
    let unreadable = |_| Failure::Unavailable("a kept answer cannot be opened".into());
    answer.open(key).map(Turn::Again).map_err(unreadable)
}

/// Whose the item is. One of nobody's is found by its key all the same.
fn owner(app: Option<&AppId>) -> AppId {
    app.cloned().unwrap_or_else(AppId::nobody)
}

fn pause(look: u32) -> Duration {
    FIRST_PAUSE * 2u32.saturating_pow(look - 1).min(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring() -> Keyring {
        Keyring::from_secret(r#"{"root":"a-secret-of-at-least-32-characters"}"#).unwrap()
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    const BODY: Fingerprint = Fingerprint([1; 16]);
    const OTHER: Fingerprint = Fingerprint([2; 16]);

    fn empty() -> Ledger {
        Ledger::new("demo".parse().unwrap())
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "a b", "a\tb", "é", &"k".repeat(256)] {
            assert!(text.parse::<IdempotencyKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_part_makes_it_another_request() {
        let (keyring, app, eve) = (keyring(), "demo".parse().unwrap(), "eve".parse().unwrap());
        let (key, other) = ("k".parse().unwrap(), "l".parse().unwrap());
        let (route, body) = ("/a", b"{}".as_slice());
        let (app, has_secret) = (Some(&app), false);
        let first = Keyed { app, credential: Some("s"), route, key: &key, body, has_secret };
        let places = [
            first,
            Keyed { app: Some(&eve), ..first },
            Keyed { app: None, ..first },
            Keyed { credential: Some("t"), ..first },
            Keyed { credential: Some(""), ..first },
            Keyed { credential: None, ..first },
            Keyed { route: "/b", ..first },
            Keyed { key: &other, ..first },
        ]
        .map(|keyed| keyed.place(&keyring).to_string());
        let distinct: std::collections::BTreeSet<_> = places.iter().collect();
        assert_eq!(distinct.len(), places.len());
        let place = first.place(&keyring);
        let changed = Keyed { body: b"{ }", ..first };
        assert_eq!(changed.place(&keyring), place);
        assert_ne!(changed.fingerprint(&keyring, &place), first.fingerprint(&keyring, &place));
    }

    #[test]
    fn only_a_long_key_stands_alone() {
        let (short, long) = ("k".repeat(15).parse().unwrap(), "k".repeat(16).parse().unwrap());
        let (app, credential, body, has_secret) = (None, None, b"".as_slice(), false);
        let keyed = Keyed { app, credential, route: "/", key: &short, body, has_secret };
        assert!(keyed.is_guessable());
        assert!(!Keyed { key: &long, ..keyed }.is_guessable());
        assert!(!Keyed { credential: Some("s"), ..keyed }.is_guessable());
    }

    #[test]
    fn a_request_is_one_callers_until_no_function_can_be_at_it() {
        let (ledger, decision) = decide(empty(), BODY, false, at(0));
        assert_eq!(decision, Decision::Go);
        for (body, seconds, expected) in [
            (BODY, 0, Decision::InFlight),
            (BODY, 29, Decision::InFlight),
            (BODY, 30, Decision::Go),
            (OTHER, 0, Decision::OtherBody),
            (OTHER, 30, Decision::OtherBody),
            (OTHER, 86_400, Decision::Go),
        ] {
            let (_, decision) = decide(ledger.clone(), body, false, at(seconds));
            assert_eq!(decision, expected, "{seconds}");
        }
    }

    /// A ledger with a request that was answered.
    fn answered(progress: Progress) -> Ledger {
        let (mut ledger, _) = decide(empty(), BODY, false, at(0));
        ledger.request.as_mut().unwrap().progress = progress;
        ledger
    }

    #[test]
    fn nobody_guesses_at_a_secret_by_its_key() {
        let code = CodeId {
            challenge: crate::ChallengeId::new(SubjectKey([7; 16]), [9; 16]),
            generation: 1,
        };
        for guesses in 0..=MAX_OTHER_BODIES + 1 {
            let mut ledger = answered(Progress::Told(code));
            for _ in 0..guesses {
                let (counted, decision) = decide(ledger.clone(), OTHER, true, at(1));
                let is_counted = counted.request.as_ref().unwrap().other_bodies;
                assert!(decision == Decision::OtherBody && is_counted <= MAX_OTHER_BODIES);
                ledger = counted;
            }
            let is_told = decide(ledger, BODY, true, at(1)).1 == Decision::Told(code);
            assert_eq!(is_told, guesses < MAX_OTHER_BODIES, "after {guesses}");
        }
    }

    #[test]
    fn while_a_request_with_a_secret_is_served_another_body_is_not_told_from_its_own() {
        let (ledger, _) = decide(empty(), BODY, true, at(0));
        for body in [BODY, OTHER] {
            let (same, decision) = decide(ledger.clone(), body, true, at(29));
            assert_eq!((same, decision), (ledger.clone(), Decision::InFlight));
        }
        let (counted, decision) = decide(ledger.clone(), OTHER, true, at(30));
        assert_eq!((counted.request.unwrap().other_bodies, decision), (1, Decision::OtherBody));
        assert_eq!(decide(ledger, BODY, true, at(30)).1, Decision::Go);
    }

    #[test]
    fn an_answer_is_given_for_a_day_and_by_no_other_key() {
        let answer = || KeptAnswer {
            status: 200,
            headers: vec![("x".into(), "y".into())],
            body: "order-42".into(),
        };
        let sealed = SealedAnswer::of(&answer(), &[7; 32], [3; 12]).unwrap();
        assert!(!serde_json::to_string(&sealed).unwrap().contains("order"));
        assert!(sealed.open(&[7; 32]).unwrap() == answer());
        assert!(sealed.open(&[8; 32]).is_err());
        let ledger = answered(Progress::Done(sealed.clone()));
        let decided = |seconds| decide(ledger.clone(), BODY, false, at(seconds)).1;
        assert_eq!(decided(86_399), Decision::Done(sealed));
        assert_eq!(decided(86_400), Decision::Go);
        assert_eq!(ledger.ends_at(), at(86_400));
    }

    #[test]
    fn waiting_takes_about_five_seconds() {
        let all: Duration = (1..MAX_LOOKS).map(pause).sum();
        assert!((Duration::from_secs(4)..Duration::from_secs(6)).contains(&all), "{all:?}");
    }
}
