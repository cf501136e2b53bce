//! Verification tokens: what a browser holds between asking for a code and presenting it. A token is
//! a challenge's id with a MAC under the keyring's cookie key, so that one that was made up is
//! refused without asking the table, and one of another app is not taken.

use super::keyring::Keyring;
use crate::value::{
    bytes,
    id::{AppId, ChallengeId},
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
}

impl VerificationToken {
    /// The token as the browser gets it: the id, a point, and 17 bytes in base32.
    #[must_use]
    pub fn print(&self, keyring: &Keyring, app: &AppId) -> String {
        // There is always a current key.
        let mac = self.macs(keyring, app).next().unwrap_or_default();
        let mut tail = [self.flow.mark(); 17];
        tail[1..].copy_from_slice(&mac);
        format!("{}.{}", self.id.print(keyring), bytes::encode(&tail))
    }

    /// Reads a token that was made for an app, under the current key or the previous one.
    #[must_use]
    pub fn parse(text: &str, keyring: &Keyring, app: &AppId) -> Option<Self> {
        let (id, tail) = text.split_once('.')?;
        let tail: [u8; 17] = bytes::decode(tail)?;
        let flows = [Flow::Standalone, Flow::StepUp];
        let flow = flows.into_iter().find(|flow| flow.mark() == tail[0])?;
        let token = Self { id: ChallengeId::parse(id, keyring).ok()?, flow };
        let is_ours = token.macs(keyring, app).any(|mac| mac.ct_eq(&tail[1..]).into());
        is_ours.then_some(token)
    }

    /// The id in a token, whoever made it: enough where the id alone is the caller's right.
    #[must_use]
    pub fn id_in(text: &str, keyring: &Keyring) -> Option<ChallengeId> {
        ChallengeId::parse(text.split_once('.')?.0, keyring).ok()
    }

    fn macs(self, keyring: &Keyring, app: &AppId) -> impl Iterator<Item = [u8; 16]> {
        let id = self.id.to_bytes();
        let parts = [app.as_str().as_bytes(), &id, &[self.flow.mark()]];
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
        VerificationToken { id: ChallengeId::new(subject, [4; 16]), flow }
    }

    #[test]
    fn no_character_can_be_changed_and_no_other_app_takes_it() {
        let (keyring, app) = (keyring(OLD), "demo".parse().unwrap());
        let text = token(Flow::Standalone).print(&keyring, &app);
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(VerificationToken::parse(&changed, &keyring, &app), None, "{changed}");
        }
        let eve = "eve".parse().unwrap();
        assert_eq!(VerificationToken::parse(&text, &keyring, &eve), None);
        for odd in ["", ".", "A.B", &"A".repeat(5000)] {
            assert_eq!(VerificationToken::parse(odd, &keyring, &app), None);
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
