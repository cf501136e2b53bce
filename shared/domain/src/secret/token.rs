//! Verification tokens: what a browser holds between asking for a code and presenting it. A token is
//! a challenge's id with a MAC under the keyring's cookie key, so that one that was made up is
//! refused without asking the table, and one of another app is not taken.
//!
//! Device tokens: what a browser keeps after a success, so that it is told from strangers who name the same
//! subject (OWASP: device cookies).

use super::{keyring::Keyring, pkce::CodeChallenge};
use crate::value::{
    bytes,
    id::{AppId, ChallengeId, SubjectKey},
    time::Timestamp,
};
use subtle::ConstantTimeEq as _;

/// Whether the challenge is a step of something that a challenge token says more about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It stands for itself.
    Standalone,
    /// It is a step-up, and its challenge token must be shown beside the code.
    StepUp,
}

impl Flow {
    const fn mark(self) -> u8 {
        match self {
            Self::Standalone => 0,
            Self::StepUp => 1,
        }
    }
}

/// A challenge, and how it came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerificationToken {
    /// The challenge.
    pub id: ChallengeId,
    /// Of which flow it is a step.
    pub flow: Flow,
    /// What the session that it leads to is bound to, if the client has asked for that.
    pub code_challenge: Option<CodeChallenge>,
}

/// A mark and a MAC; and between them a code challenge, if there is one.
const TAIL: usize = 1 + 16;
const LONG_TAIL: usize = TAIL + 32;

impl VerificationToken {
    /// The token of a challenge, whose session will be bound to nothing.
    #[must_use]
    pub const fn new(id: ChallengeId, flow: Flow) -> Self {
        Self { id, flow, code_challenge: None }
    }

    /// The token as the browser gets it: the id, a point, and 17 or 49 bytes in base32.
    #[must_use]
    pub fn print(&self, keyring: &Keyring, app: &AppId) -> String {
        // There is always a current key.
        let mac = self.macs(keyring, app).next().unwrap_or_default();
        let mark = [self.flow.mark()];
        let bound = self.code_challenge.as_ref().map_or(&[][..], |challenge| challenge.as_bytes());
        format!("{}.{}", self.id.print(keyring), bytes::encode(&[&mark, bound, &mac].concat()))
    }

    /// Reads a token that was made for an app, under the current key or the previous one.
    #[must_use]
    pub fn parse(text: &str, keyring: &Keyring, app: &AppId) -> Option<Self> {
        let (id, tail) = text.split_once('.')?;
        let (mark, code_challenge, mac) = tail_of(tail)?;
        let flows = [Flow::Standalone, Flow::StepUp];
        let flow = flows.into_iter().find(|flow| flow.mark() == mark)?;
        let token = Self { id: ChallengeId::parse(id, keyring).ok()?, flow, code_challenge };
        let is_ours = token.macs(keyring, app).any(|own| own.ct_eq(&mac).into());
        is_ours.then_some(token)
    }

    /// The id in a token, whoever made it: enough where the id alone is the caller's right.
    #[must_use]
    pub fn id_in(text: &str, keyring: &Keyring) -> Option<ChallengeId> {
        ChallengeId::parse(text.split_once('.')?.0, keyring).ok()
    }

    fn macs(self, keyring: &Keyring, app: &AppId) -> impl Iterator<Item = [u8; 16]> {
        let (id, mark) = (self.id.to_bytes(), [self.flow.mark()]);
        let bound = self.code_challenge.as_ref().map(|challenge| &challenge.as_bytes()[..]);
        let parts: Vec<&[u8]> =
            [app.as_str().as_bytes(), &id, &mark].into_iter().chain(bound).collect();
        keyring.cookie_macs(&parts).collect::<Vec<_>>().into_iter()
    }
}

/// The parts of what follows the id.
fn tail_of(text: &str) -> Option<(u8, Option<CodeChallenge>, [u8; 16])> {
    if let Some([mark, mac @ ..]) = bytes::decode::<TAIL>(text) {
        return Some((mark, None, mac));
    }
    let [mark, rest @ ..] = bytes::decode::<LONG_TAIL>(text)?;
    let (bound, mac) = rest.split_first_chunk::<32>()?;
    Some((mark, Some(CodeChallenge::from_bytes(*bound)), mac.try_into().ok()?))
}

/// So many days a device token is good for.
pub const DEVICE_DAYS: u64 = 90;

/// What shows that a device has verified a subject: the day, and a MAC of day and subject under the
/// keyring's cookie key. It does not tell which subject, and opens nothing: whoever shows it is counted
/// apart from strangers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceToken {
    /// The UTC day of the success, counted from 1970.
    day: u64,
    subject: SubjectKey,
}

impl DeviceToken {
    /// The token for a subject that has been verified now.
    #[must_use]
    pub const fn new(subject: SubjectKey, now: Timestamp) -> Self {
        Self { day: now.days(), subject }
    }

    /// The token as the device gets it: 20 bytes in base32.
    #[must_use]
    pub fn print(&self, keyring: &Keyring, app: &AppId) -> String {
        // There is always a current key.
        let mac = self.macs(keyring, app).next().unwrap_or_default();
        let mut token = [0; 20];
        token[..4].copy_from_slice(&u32::try_from(self.day).unwrap_or_default().to_be_bytes());
        token[4..].copy_from_slice(&mac);
        bytes::encode(&token)
    }

    /// Reads a token that was made for this subject of this app in the past [`DEVICE_DAYS`].
    #[must_use]
    pub fn parse(
        text: &str,
        keyring: &Keyring,
        app: &AppId,
        subject: SubjectKey,
        now: Timestamp,
    ) -> Option<Self> {
        let [a, b, c, d, mac @ ..]: [u8; 20] = bytes::decode(text)?;
        let token = Self { day: u32::from_be_bytes([a, b, c, d]).into(), subject };
        let age = now.days().checked_sub(token.day)?;
        let is_ours = token.macs(keyring, app).any(|own| own.ct_eq(&mac).into());
        (is_ours && age <= DEVICE_DAYS).then_some(token)
    }

    fn macs(self, keyring: &Keyring, app: &AppId) -> impl Iterator<Item = [u8; 16]> {
        let (day, subject) = (self.day.to_be_bytes(), self.subject.0);
        let parts: [&[u8]; 4] = [b"device", app.as_str().as_bytes(), &subject, &day];
        keyring.cookie_macs(&parts).collect::<Vec<_>>().into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SubjectKey;

    const OLD: &str = r#"{"root":"first-secret-of-at-least-32-characters"}"#;
    const NEW: &str = r#"{"root":"first-secret-of-at-least-32-characters",
        "current":"second-secret-of-at-least-32-characters",
        "previous":"first-secret-of-at-least-32-characters"}"#;

    fn keyring(json: &str) -> Keyring {
        Keyring::from_secret(json).unwrap()
    }

    fn token(flow: Flow) -> VerificationToken {
        let subject = SubjectKey::from_bytes([3; 16]);
        VerificationToken::new(ChallengeId::new(subject, [4; 16]), flow)
    }

    fn bound() -> VerificationToken {
        let code_challenge = Some(CodeChallenge::from_bytes([5; 32]));
        VerificationToken { code_challenge, ..token(Flow::Standalone) }
    }

    #[test]
    fn no_character_can_be_changed_and_no_other_app_takes_it() {
        let (keyring, app) = (keyring(OLD), "demo".parse().unwrap());
        for token in [token(Flow::Standalone), bound()] {
            let text = token.print(&keyring, &app);
            assert_eq!(VerificationToken::parse(&text, &keyring, &app), Some(token));
            for at in 0..text.len() {
                let mut changed = text.clone().into_bytes();
                changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
                let changed = String::from_utf8(changed).unwrap();
                assert_eq!(VerificationToken::parse(&changed, &keyring, &app), None, "{changed}");
            }
        }
        let text = token(Flow::Standalone).print(&keyring, &app);
        let eve = "eve".parse().unwrap();
        assert_eq!(VerificationToken::parse(&text, &keyring, &eve), None);
        for odd in ["", ".", "A.B", &"A".repeat(5000)] {
            assert_eq!(VerificationToken::parse(odd, &keyring, &app), None);
        }
    }

    #[test]
    fn a_device_token_is_good_for_its_subject_and_its_days_alone() {
        let app: AppId = "demo".parse().unwrap();
        let [subject, other] = [[3; 16], [4; 16]].map(SubjectKey::from_bytes);
        let at = |day: u64| Timestamp::from_millis(day * 86_400_000);
        let text = DeviceToken::new(subject, at(20_000)).print(&keyring(OLD), &app);
        let read = |text: &str, subject, day| {
            DeviceToken::parse(text, &keyring(NEW), &app, subject, at(day)).is_some()
        };
        assert!(read(&text, subject, 20_000) && read(&text, subject, 20_000 + DEVICE_DAYS));
        assert!(!read(&text, subject, 20_001 + DEVICE_DAYS), "too old");
        assert!(!read(&text, subject, 19_999), "from the future");
        assert!(!read(&text, other, 20_000), "another subject's");
        let eve = "eve".parse().unwrap();
        let of_eve = DeviceToken::parse(&text, &keyring(OLD), &eve, subject, at(20_000));
        assert_eq!(of_eve, None, "another app's");
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(!read(&String::from_utf8(changed).unwrap(), subject, 20_000), "{at}");
        }
    }

    #[test]
    fn a_token_survives_one_rotation() {
        let app = "demo".parse().unwrap();
        for flow in [Flow::Standalone, Flow::StepUp] {
            let text = token(flow).print(&keyring(OLD), &app);
            let read = VerificationToken::parse(&text, &keyring(NEW), &app);
            assert_eq!(read, Some(token(flow)));
            assert_eq!(VerificationToken::id_in(&text, &keyring(OLD)), Some(token(flow).id));
        }
    }
}
