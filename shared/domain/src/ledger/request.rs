//! What is kept of a request that came with an idempotency key, and whose turn it is.

use super::Item;
use crate::{
    secret::code::CodeId,
    value::{bytes, time::Timestamp},
};
use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit as _,
    aead::{Aead as _, Error as SealError},
};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long an answer is kept.
pub const LIFE: Duration = Duration::from_hours(24);

/// A request that began longer ago than this will not end any more: no function runs as long.
pub const LONGEST_RUN: Duration = Duration::from_secs(30);

/// After this many other bodies under the key of a request with a secret, none is the right one.
pub const MAX_OTHER_BODIES: u8 = 5;

/// What a body is recognised by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint(#[serde(with = "bytes")] pub(crate) [u8; 16]);

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
    pub(crate) fn seal(
        answer: &KeptAnswer,
        key: &[u8; 32],
        nonce: [u8; 12],
    ) -> Result<Self, SealError> {
        let text = serde_json::to_vec(answer).map_err(|_| SealError)?;
        let sealed = ChaCha20Poly1305::new(key.into()).encrypt(&nonce.into(), &*text)?;
        Ok(Self { nonce, text: BASE64.encode(&sealed) })
    }

    pub(crate) fn open(&self, key: &[u8; 32]) -> Result<KeptAnswer, SealError> {
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
    Answered(SealedAnswer),
    /// It was answered with a code.
    AnsweredWithCode(CodeId),
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
    Proceed,
    /// It was done, and answered so.
    Answered(SealedAnswer),
    /// It was done, and answered with this code.
    AnsweredWithCode(CodeId),
    /// Another is at it.
    InFlight,
    /// The key is another request's.
    KeyReused,
}

/// Decides whose a request is. One that nobody will end any more is the next caller's.
#[must_use]
pub fn decide(
    stored: Option<KeptRequest>,
    fingerprint: Fingerprint,
    has_secret: bool,
    now: Timestamp,
) -> (KeptRequest, Decision) {
    if let Some(mut kept) = stored.filter(|kept| now < kept.until)
        && let Some(decision) = kept.decide(fingerprint, has_secret, now)
    {
        return (kept, decision);
    }
    let (progress, until) = (Progress::InFlight(now), now + LIFE);
    (KeptRequest { fingerprint, other_bodies: 0, progress, until }, Decision::Proceed)
}

impl Item for KeptRequest {
    fn expires_at(&self) -> Timestamp {
        self.until
    }
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
            return Some(Decision::KeyReused);
        }
        if self.fingerprint != fingerprint {
            self.other_bodies += u8::from(has_secret);
            return Some(Decision::KeyReused);
        }
        match &self.progress {
            Progress::Answered(answer) => Some(Decision::Answered(answer.clone())),
            Progress::AnsweredWithCode(code) => Some(Decision::AnsweredWithCode(*code)),
            Progress::InFlight(_) => is_served.then_some(Decision::InFlight),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::id::{ChallengeId, SubjectKey};

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    const BODY: Fingerprint = Fingerprint([1; 16]);
    const OTHER: Fingerprint = Fingerprint([2; 16]);

    #[test]
    fn a_request_is_one_callers_until_no_function_can_be_at_it() {
        let (kept, decision) = decide(None, BODY, false, at(0));
        assert_eq!(decision, Decision::Proceed);
        for (body, seconds, expected) in [
            (BODY, 0, Decision::InFlight),
            (BODY, 29, Decision::InFlight),
            (BODY, 30, Decision::Proceed),
            (OTHER, 0, Decision::KeyReused),
            (OTHER, 30, Decision::KeyReused),
            (OTHER, 86_400, Decision::Proceed),
        ] {
            let (_, decision) = decide(Some(kept.clone()), body, false, at(seconds));
            assert_eq!(decision, expected, "{seconds}");
        }
    }

    /// A request that was answered.
    fn answered(progress: Progress) -> KeptRequest {
        let (mut kept, _) = decide(None, BODY, false, at(0));
        kept.progress = progress;
        kept
    }

    #[test]
    fn nobody_guesses_at_a_secret_by_its_key() {
        let code =
            CodeId { challenge: ChallengeId::new(SubjectKey([7; 16]), [9; 16]), generation: 1 };
        for guesses in 0..=MAX_OTHER_BODIES + 1 {
            let mut kept = answered(Progress::AnsweredWithCode(code));
            for _ in 0..guesses {
                let (counted, decision) = decide(Some(kept.clone()), OTHER, true, at(1));
                let is_counted = counted.other_bodies;
                assert!(decision == Decision::KeyReused && is_counted <= MAX_OTHER_BODIES);
                kept = counted;
            }
            let is_told =
                decide(Some(kept), BODY, true, at(1)).1 == Decision::AnsweredWithCode(code);
            assert_eq!(is_told, guesses < MAX_OTHER_BODIES, "after {guesses}");
        }
    }

    #[test]
    fn while_a_request_with_a_secret_is_served_another_body_is_not_told_from_its_own() {
        let (kept, _) = decide(None, BODY, true, at(0));
        for body in [BODY, OTHER] {
            let (same, decision) = decide(Some(kept.clone()), body, true, at(29));
            assert_eq!((same, decision), (kept.clone(), Decision::InFlight));
        }
        let (counted, decision) = decide(Some(kept.clone()), OTHER, true, at(30));
        assert_eq!((counted.other_bodies, decision), (1, Decision::KeyReused));
        assert_eq!(decide(Some(kept), BODY, true, at(30)).1, Decision::Proceed);
    }

    #[test]
    fn an_answer_is_given_for_a_day_and_by_no_other_key() {
        let answer = || KeptAnswer {
            status: 200,
            headers: vec![("x".into(), "y".into())],
            body: "order-42".into(),
        };
        let sealed = SealedAnswer::seal(&answer(), &[7; 32], [3; 12]).unwrap();
        assert!(!serde_json::to_string(&sealed).unwrap().contains("order"));
        assert!(sealed.open(&[7; 32]).unwrap() == answer());
        assert!(sealed.open(&[8; 32]).is_err());
        let kept = answered(Progress::Answered(sealed.clone()));
        let decided = |seconds| decide(Some(kept.clone()), BODY, false, at(seconds)).1;
        assert_eq!(decided(86_399), Decision::Answered(sealed));
        assert_eq!(decided(86_400), Decision::Proceed);
        assert_eq!(kept.expires_at(), at(86_400));
    }
}
