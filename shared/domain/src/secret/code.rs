//! Codes. A code is never stored: it is derived when it is sent, and again when it is verified.

use super::keyring::CodeKey;
use crate::value::id::ChallengeId;
use serde::{Deserialize, Serialize};
use std::fmt;
use subtle::ConstantTimeEq as _;
use thiserror::Error;

/// The lengths a code may have. Six digits are the least that NIST SP 800-63B-4 §3.1.3.2 asks for;
/// four exist because the OTPless contract allows its caller to choose them.
pub const LENGTHS: std::ops::RangeInclusive<u8> = 4..=10;

/// Which code: a generation of a challenge. Where a code must be told again, this is what is kept of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeId {
    /// The challenge.
    pub challenge: ChallengeId,
    /// The generation.
    pub generation: u32,
}

/// The decimal digits of one generation of one challenge; or the fixed digits that an app has
/// listed for a test address, which alone are ever stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Code(String);

/// A text that cannot be the fixed code of a test address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a fixed code is 4 to 10 digits")]
pub struct MalformedFixedCode;

impl TryFrom<String> for Code {
    type Error = MalformedFixedCode;

    fn try_from(text: String) -> Result<Self, MalformedFixedCode> {
        let length = u8::try_from(text.len()).map_err(|_| MalformedFixedCode)?;
        let is_code = LENGTHS.contains(&length) && text.bytes().all(|b| b.is_ascii_digit());
        is_code.then_some(Self(text)).ok_or(MalformedFixedCode)
    }
}

impl From<Code> for String {
    fn from(code: Code) -> Self {
        code.0
    }
}

impl Code {
    /// Derives the code of a generation: HMAC-SHA-256 over challenge id, nonce, generation and a
    /// block counter, mapped to digits by rejection sampling, so that every code is equally likely.
    #[must_use]
    pub fn derive(
        key: &CodeKey,
        id: ChallengeId,
        nonce: &[u8; 16],
        generation: u32,
        length: u8,
    ) -> Self {
        let (id, generation) = (id.to_bytes(), generation.to_be_bytes());
        let block = |counter: u32| key.mac(&[&id, nonce, &generation, &counter.to_be_bytes()]);
        let digits = (0..)
            .flat_map(block)
            .filter(|byte| *byte < 250)
            .map(|byte| char::from(b'0' + byte % 10));
        Self(digits.take(length.into()).collect())
    }

    /// The digits, for the message that carries them. They go nowhere else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(masked)")
    }
}

/// What a caller claims the code is.
pub struct PresentedCode(String);

/// A text that can be nobody's code. It spends no attempt and says nothing about any challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a code is 1 to 10 letters or digits")]
pub struct MalformedCode;

impl PresentedCode {
    /// Accepts 1 to 10 ASCII letters or digits; spaces and hyphens, which people copy along with a
    /// code, are dropped.
    pub fn parse(text: &str) -> Result<Self, MalformedCode> {
        if text.len() > 32 {
            return Err(MalformedCode);
        }
        let bare: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        let plausible = (1..=usize::from(*LENGTHS.end())).contains(&bare.len())
            && bare.bytes().all(|b| b.is_ascii_alphanumeric());
        plausible.then_some(Self(bare)).ok_or(MalformedCode)
    }

    /// Compares in constant time; only the length, which is public, ends it early.
    #[must_use]
    pub fn matches(&self, code: &Code) -> bool {
        self.0.as_bytes().ct_eq(code.0.as_bytes()).into()
    }
}

impl fmt::Debug for PresentedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresentedCode(masked)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Keyring, SubjectKey};

    fn keyring() -> Keyring {
        Keyring::from_secret(r#"{"root":"a-secret-of-at-least-32-characters"}"#).unwrap()
    }

    fn code(keyring: &Keyring, random: u128, generation: u32, length: u8) -> Code {
        let id = ChallengeId::new(SubjectKey([7; 16]), random.to_be_bytes());
        let key = keyring.code_key(keyring.current_id()).unwrap();
        Code::derive(key, id, &[9; 16], generation, length)
    }

    #[test]
    fn malformed_codes_are_refused() {
        let long = "1".repeat(11);
        for text in ["", " ", "--", "12345é", "123456\0", "12.34", &long, &"1 ".repeat(400)] {
            assert_eq!(PresentedCode::parse(text).err(), Some(MalformedCode), "{text:?}");
        }
    }

    #[test]
    fn a_code_matches_as_people_copy_it_and_no_other_does() {
        let keyring = keyring();
        let code = code(&keyring, 1, 1, 6);
        let (left, right) = code.reveal().split_at(3);
        for text in [code.reveal(), &format!(" {left}-{right} ")] {
            assert!(PresentedCode::parse(text).unwrap().matches(&code));
        }
        for text in [left, &format!("{left}{right}0"), "ABCDEF"] {
            assert!(!PresentedCode::parse(text).unwrap().matches(&code));
        }
    }

    #[test]
    fn every_input_changes_the_code() {
        let keyring = keyring();
        let codes = [code(&keyring, 1, 1, 10), code(&keyring, 2, 1, 10), code(&keyring, 1, 2, 10)];
        assert!(codes[0] != codes[1] && codes[0] != codes[2] && codes[1] != codes[2]);
        assert_eq!(format!("{:?}", codes[0]), "Code(masked)");
    }

    /// Chi-square over a million codes, digit by digit: 9 degrees of freedom per position, and
    /// p = 0.001 / 6 positions is 32.4. The input is fixed, so the test cannot flicker.
    #[test]
    fn a_million_codes_are_uniform() {
        let keyring = keyring();
        let mut seen = [[0u32; 10]; 6];
        for random in 0..1_000_000 {
            for (place, digit) in code(&keyring, random, 1, 6).reveal().bytes().enumerate() {
                seen[place][usize::from(digit - b'0')] += 1;
            }
        }
        for (place, counts) in seen.iter().enumerate() {
            let chi: f64 = counts.iter().map(|n| (f64::from(*n) - 1e5).powi(2) / 1e5).sum();
            assert!(chi < 32.4, "place {place}: chi-square {chi}, counts {counts:?}");
        }
    }
}
