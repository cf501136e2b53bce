//! Refresh tokens: what a client shows to be given the next access token of its session. Each is good for
//! one refresh, and nothing of it is stored: it is a MAC over the session, a nonce that only the session's
//! item holds, and the number of the refresh. So a token that was spent long ago is still told from one
//! that was made up, and a client that has lost an answer is given the same token again.

use super::keyring::Keyring;
use crate::value::{
    bytes,
    id::{AppId, SessionId, SessionKey, UserKey},
};
use subtle::ConstantTimeEq as _;

/// The refresh token of a session, before the session is loaded: whether it is genuine is not known yet.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// The session that it claims to be of.
    pub key: SessionKey,
    /// The number of the refresh that made it; zero for the one that began the session.
    pub generation: u32,
    mac: [u8; 16],
}

impl RefreshToken {
    /// The token of a session's refresh.
    #[must_use]
    pub fn new(
        keyring: &Keyring,
        app: &AppId,
        key: SessionKey,
        nonce: &[u8; 16],
        generation: u32,
    ) -> Self {
        // There is always a current key.
        let mac = macs(keyring, app, key, nonce, generation).next().unwrap_or_default();
        Self { key, generation, mac }
    }

    /// The token as the client gets it: 84 characters of base32. What names the user is masked.
    #[must_use]
    pub fn print(&self, keyring: &Keyring) -> String {
        let SessionKey { user, session } = self.key;
        let user = keyring.masked("refresh token", user.0, &session.0);
        bytes::encode(&[&user[..], &session.0, &self.generation.to_be_bytes(), &self.mac].concat())
    }

    /// Reads a token. Only its form is checked.
    #[must_use]
    pub fn parse(text: &str, keyring: &Keyring) -> Option<Self> {
        let all: [u8; 52] = bytes::decode(text)?;
        let (user, rest) = all.split_first_chunk::<16>()?;
        let (session, rest) = rest.split_first_chunk::<16>()?;
        let (generation, mac) = rest.split_first_chunk::<4>()?;
        let user = UserKey(keyring.masked("refresh token", *user, session));
        Some(Self {
            key: SessionKey { user, session: SessionId(*session) },
            generation: u32::from_be_bytes(*generation),
            mac: mac.try_into().ok()?,
        })
    }

    /// Whether the token was made for its session, with the current key or the previous one.
    #[must_use]
    pub fn is_genuine(&self, keyring: &Keyring, app: &AppId, nonce: &[u8; 16]) -> bool {
        let mut macs = macs(keyring, app, self.key, nonce, self.generation);
        macs.any(|mac| mac.ct_eq(&self.mac).into())
    }
}

impl std::fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RefreshToken(masked)")
    }
}

fn macs(
    keyring: &Keyring,
    app: &AppId,
    SessionKey { user, session }: SessionKey,
    nonce: &[u8; 16],
    generation: u32,
) -> impl Iterator<Item = [u8; 16]> {
    let generation = generation.to_be_bytes();
    let parts: [&[u8]; 6] =
        [b"refresh", app.as_str().as_bytes(), &user.0, &session.0, nonce, &generation];
    keyring.cookie_macs(&parts).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"{"root":"first-secret-of-at-least-32-characters"}"#;
    const NEW: &str = r#"{"root":"first-secret-of-at-least-32-characters",
        "current":"second-secret-of-at-least-32-characters",
        "previous":"first-secret-of-at-least-32-characters"}"#;
    const OTHER: &str = r#"{"root":"other-secret-of-at-least-32-characters"}"#;

    fn keyring(json: &str) -> Keyring {
        Keyring::from_secret(json).unwrap()
    }

    fn key(user: u8, session: u8) -> SessionKey {
        SessionKey { user: UserKey([user; 16]), session: SessionId([session; 16]) }
    }

    #[test]
    fn a_token_is_genuine_for_its_app_session_nonce_and_refresh_alone() {
        let (app, eve): (AppId, AppId) = ("demo".parse().unwrap(), "eve".parse().unwrap());
        let token = RefreshToken::new(&keyring(OLD), &app, key(1, 2), &[3; 16], 4);
        let text = token.print(&keyring(OLD));
        let read = RefreshToken::parse(&text, &keyring(NEW)).unwrap();
        assert_eq!((read.key, read.generation, text.len()), (key(1, 2), 4, 84));
        assert!(read.is_genuine(&keyring(NEW), &app, &[3; 16]), "one rotation later");
        assert!(!read.is_genuine(&keyring(OTHER), &app, &[3; 16]));
        assert!(!read.is_genuine(&keyring(NEW), &eve, &[3; 16]));
        assert!(!read.is_genuine(&keyring(NEW), &app, &[4; 16]));
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = RefreshToken::parse(&String::from_utf8(changed).unwrap(), &keyring(OLD));
            let is_genuine =
                changed.is_some_and(|token| token.is_genuine(&keyring(OLD), &app, &[3; 16]));
            assert!(!is_genuine, "{at}");
        }
    }

    #[test]
    fn tokens_of_one_user_have_nothing_in_common() {
        let app = "demo".parse().unwrap();
        let print = |session| {
            let token = RefreshToken::new(&keyring(OLD), &app, key(1, session), &[session; 16], 0);
            token.print(&keyring(OLD))
        };
        let (one, two) = (print(2), print(3));
        assert!(one.bytes().zip(two.bytes()).take(24).filter(|(a, b)| a == b).count() < 8);
        for odd in ["", "A", &"A".repeat(83), &"A".repeat(5000), &one.to_lowercase()] {
            assert_eq!(RefreshToken::parse(odd, &keyring(OLD)), None, "{odd:.20}");
        }
    }
}
