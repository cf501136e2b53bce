//! PKCE (RFC 7636): a client binds what it is given to a secret that it keeps until the end, so that nobody
//! else can redeem it. Only S256 is known: a plain challenge protects from nothing.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::str::FromStr;
use subtle::ConstantTimeEq as _;
use thiserror::Error;

/// The SHA-256 of a verifier (RFC 7636 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CodeChallenge([u8; 32]);

/// A text that is no S256 challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a code challenge is 43 characters of base64url: the SHA-256 of the verifier")]
pub struct MalformedCodeChallenge;

impl CodeChallenge {
    /// A challenge from the hash.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether a verifier is that of the challenge: 43 to 128 characters with this hash.
    #[must_use]
    pub fn is_of(&self, verifier: &str) -> bool {
        let hash: [u8; 32] = Sha256::digest(verifier.as_bytes()).into();
        let is_verifier = (43..=128).contains(&verifier.len())
            && verifier.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
        is_verifier && bool::from(hash.ct_eq(&self.0))
    }
}

impl FromStr for CodeChallenge {
    type Err = MalformedCodeChallenge;

    fn from_str(text: &str) -> Result<Self, MalformedCodeChallenge> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| MalformedCodeChallenge)?;
        bytes.try_into().map(Self).map_err(|_| MalformedCodeChallenge)
    }
}

impl TryFrom<String> for CodeChallenge {
    type Error = MalformedCodeChallenge;

    fn try_from(text: String) -> Result<Self, MalformedCodeChallenge> {
        text.parse()
    }
}

impl From<CodeChallenge> for String {
    fn from(challenge: CodeChallenge) -> Self {
        BASE64URL_NOPAD.encode(&challenge.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard_and_nothing_else() {
        // RFC 7636, appendix B.
        let challenge: CodeChallenge =
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".parse().unwrap();
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert!(challenge.is_of(verifier));
        for other in ["", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", &verifier[1..]] {
            assert!(!challenge.is_of(other), "{other}");
        }
        let short = CodeChallenge(Sha256::digest(b"short").into());
        assert!(!short.is_of("short"), "a verifier has at least 43 characters");
        for odd in ["", "plain", &"A".repeat(44), &"=".repeat(43)] {
            assert_eq!(odd.parse::<CodeChallenge>(), Err(MalformedCodeChallenge), "{odd}");
        }
    }
}
