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

use super::transact::{Failure, transact};
use crate::{
    ledger::request::{
        Decision, Fingerprint, KeptAnswer, KeptRequest, LIFE, Progress, SealedAnswer, decide,
    },
    ports::{Clock as _, Entropy as _, LoadLedgers, StoreError, StoreLedgers, World},
    secret::{code::CodeId, keyring::Keyring},
    value::id::{AppId, ItemKey},
};
use std::{str::FromStr, time::Duration};
use thiserror::Error;

/// A caller who waits for another's answer looks this often: for about five seconds.
const MAX_LOOKS: u32 = 23;

/// The pause after the first look; it doubles up to ten times that.
const FIRST_PAUSE: Duration = Duration::from_millis(25);

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
pub struct KeyedRequest<'a> {
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

impl KeyedRequest<'_> {
    /// Whether the key is all that tells the caller from others, and is easily guessed.
    #[must_use]
    pub const fn is_guessable(&self) -> bool {
        self.credential.is_none() && self.key.0.len() < MIN_ALONE
    }

    fn item_key(&self, keyring: &Keyring) -> ItemKey {
        let (app, credential) = (self.app.map_or("", AppId::as_str), self.credential);
        let known = if credential.is_some() { "known" } else { "unknown" };
        let parts = [app, known, credential.unwrap_or_default(), self.route, &self.key.0];
        let parts = ["idempotency"].into_iter().chain(parts).collect::<Vec<_>>();
        keyring.item_key(&parts)
    }

    fn fingerprint(&self, keyring: &Keyring, item: &ItemKey) -> Fingerprint {
        Fingerprint(keyring.index_mac_of(&[b"idempotency body", item.as_bytes(), self.body]))
    }

    fn sealing_key(&self, keyring: &Keyring, item: &ItemKey) -> [u8; 32] {
        keyring.index_key(&[b"idempotency answer", item.as_bytes(), self.key.0.as_bytes()])
    }
}

/// What is known of a request with a key.
pub enum Begun {
    /// It is this caller's to do.
    Proceed(Box<PendingRequest>),
    /// It was answered so.
    Answered(KeptAnswer),
    /// It was answered with this code.
    AnsweredWithCode(CodeId),
    /// Another is still at it.
    InFlight,
    /// The key is another request's.
    KeyReused,
}

/// A request that is this caller's to do.
pub struct PendingRequest {
    item: ItemKey,
    kept: KeptRequest,
    version: u64,
    sealing_key: [u8; 32],
}

/// What stays of an answer.
pub enum Keep {
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
/// A function that ends before it has settled leaves the request in flight: until
/// [`LONGEST_RUN`](crate::ledger::request::LONGEST_RUN) has passed nothing of it is done again. After that
/// it is a new request, which cool-downs, counts and an order's name hold back as any other.
pub async fn begin<W>(
    world: &W,
    keyring: &Keyring,
    keyed: KeyedRequest<'_>,
) -> Result<Begun, Failure>
where
    W: World<Ledgers: LoadLedgers + StoreLedgers>,
{
    let item = keyed.item_key(keyring);
    let fingerprint = keyed.fingerprint(keyring, &item);
    let sealing_key = keyed.sealing_key(keyring, &item);
    for look in 1..=MAX_LOOKS {
        let decide = |stored: Option<KeptRequest>, now| {
            let (kept, decision) = decide(stored, fingerprint, keyed.has_secret, now);
            (Some(kept.clone()), (kept, decision))
        };
        let settled = transact(world, item, None, decide).await?;
        let (kept, decision) = settled.outcome;
        match decision {
            Decision::Proceed => {
                let pending = PendingRequest { item, kept, version: settled.version, sealing_key };
                return Ok(Begun::Proceed(Box::new(pending)));
            }
            Decision::Answered(answer) => return opened(&answer, &sealing_key),
            Decision::AnsweredWithCode(code) => return Ok(Begun::AnsweredWithCode(code)),
            Decision::KeyReused => return Ok(Begun::KeyReused),
            Decision::InFlight if look < MAX_LOOKS => world.clock().sleep(pause(look)).await,
            Decision::InFlight => {}
        }
    }
    Ok(Begun::InFlight)
}

/// Settles a request that was this caller's, with what is kept of its answer: one write. Where another
/// has taken it over meanwhile, that one's answer stays.
pub async fn settle<W>(
    world: &W,
    pending: Box<PendingRequest>,
    keep: Keep,
) -> Result<(), StoreError>
where
    W: World<Ledgers: StoreLedgers>,
{
    let PendingRequest { item, mut kept, version, sealing_key } = *pending;
    let now = world.clock().now();
    let seal = |answer| {
        let sealed = SealedAnswer::seal(&answer, &sealing_key, world.entropy().bytes());
        sealed.map_err(|_| StoreError::Unavailable("an answer cannot be sealed".into()))
    };
    kept.until = now + LIFE;
    match keep {
        Keep::Answer(answer) => kept.progress = Progress::Answered(seal(answer)?),
        Keep::Code(code) => kept.progress = Progress::AnsweredWithCode(code),
        Keep::Nothing => kept.until = now,
    }
    match world.ledgers().store(&item, &kept, version).await {
        Ok(_) | Err(StoreError::Conflict) => Ok(()),
        Err(error) => Err(error),
    }
}

fn opened(answer: &SealedAnswer, key: &[u8; 32]) -> Result<Begun, Failure> {
    let unreadable = |_| Failure::Unavailable("a kept answer cannot be opened".into());
    answer.open(key).map(Begun::Answered).map_err(unreadable)
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

    #[test]
    fn what_is_no_key_is_refused() {
        let long = "k".repeat(256);
        for text in ["", "a b", "a\tb", "é", &long] {
            assert!(text.parse::<IdempotencyKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_part_makes_it_another_request() {
        let (keyring, app, eve) = (keyring(), "demo".parse().unwrap(), "eve".parse().unwrap());
        let (key, other) = ("k".parse().unwrap(), "l".parse().unwrap());
        let (route, body) = ("/a", b"{}".as_slice());
        let (app, has_secret) = (Some(&app), false);
        let first = KeyedRequest { app, credential: Some("s"), route, key: &key, body, has_secret };
        let items = [
            first,
            KeyedRequest { app: Some(&eve), ..first },
            KeyedRequest { app: None, ..first },
            KeyedRequest { credential: Some("t"), ..first },
            KeyedRequest { credential: Some(""), ..first },
            KeyedRequest { credential: None, ..first },
            KeyedRequest { route: "/b", ..first },
            KeyedRequest { key: &other, ..first },
        ]
        .map(|keyed| keyed.item_key(&keyring).to_string());
        let distinct: std::collections::BTreeSet<_> = items.iter().collect();
        assert_eq!(distinct.len(), items.len());
        let item = first.item_key(&keyring);
        let changed = KeyedRequest { body: b"{ }", ..first };
        assert_eq!(changed.item_key(&keyring), item);
        assert_ne!(changed.fingerprint(&keyring, &item), first.fingerprint(&keyring, &item));
    }

    #[test]
    fn only_a_long_key_stands_alone() {
        let (short, long) = ("k".repeat(15).parse().unwrap(), "k".repeat(16).parse().unwrap());
        let (app, credential, body, has_secret) = (None, None, b"".as_slice(), false);
        let keyed = KeyedRequest { app, credential, route: "/", key: &short, body, has_secret };
        assert!(keyed.is_guessable());
        assert!(!KeyedRequest { key: &long, ..keyed }.is_guessable());
        assert!(!KeyedRequest { credential: Some("s"), ..keyed }.is_guessable());
    }

    #[test]
    fn waiting_takes_about_five_seconds() {
        let all: Duration = (1..MAX_LOOKS).map(pause).sum();
        assert!((Duration::from_secs(4)..Duration::from_secs(6)).contains(&all), "{all:?}");
    }
}
