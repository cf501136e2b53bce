//! Which passwords are taken. Length is all that is asked for, as NIST SP 800-63B-4 §3.1.1.2 has it:
//! rules about kinds of characters make passwords worse.

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::phc::PasswordHash,
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use thiserror::Error;

/// A password that is refused. The password itself is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a password is 8 to 256 characters")]
pub struct PasswordError;

/// Checks a password before it is hashed.
pub fn check(password: &str) -> Result<(), PasswordError> {
    let is_good = (8..=256).contains(&password.chars().count());
    is_good.then_some(()).ok_or(PasswordError)
}

/// A hashed PIN or password: Argon2id, as a PHC string (`$argon2id$v=19$m=…,t=…,p=…$salt$hash`).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HashedSecret(String);

/// A text that is no hash a secret could be checked against. The text itself is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a hash is an Argon2id PHC string with m up to 131072, t up to 16 and p up to 16")]
pub struct MalformedHash;

/// What OWASP asks of Argon2id: 19 MiB, two passes, one lane.
const PARAMETERS: (u32, u32, u32) = (19_456, 2, 1);

/// The most that a hash made elsewhere may cost: a check has to end within a function's memory
/// and time.
const MAX_ARGON2_COST: (u32, u32, u32) = (131_072, 16, 16);

impl HashedSecret {
    /// The hash of a secret. The salt is random, and of this hash alone.
    #[must_use]
    pub fn of(secret: &str, salt: [u8; 16]) -> Self {
        let (memory, passes, lanes) = PARAMETERS;
        let hash =
            Params::new(memory, passes, lanes, None).map_err(Into::into).and_then(|params| {
                Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                    .hash_password_with_salt(secret.as_bytes(), &salt)
            });
        // The parameters are good and no secret is 4 GiB long, so there is nothing to fail.
        Self(hash.unwrap_or_else(|error| unreachable!("{error}")).to_string())
    }

    /// A hash that no secret matches, and that costs what a real one does. Checking it where there
    /// is no user, or nothing to check, keeps an answer's time from telling so.
    #[must_use]
    pub fn decoy() -> Self {
        let (memory, passes, lanes) = PARAMETERS;
        let [salt, hash] = [22, 43].map(|length| "A".repeat(length));
        Self(format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${hash}"))
    }

    /// Whether it is the hash of this secret. Takes as long for a wrong one as for the right one.
    #[must_use]
    pub fn matches(&self, secret: &str) -> bool {
        Argon2::default().verify_password(secret.as_bytes(), self.0.as_str()).is_ok()
    }
}

impl FromStr for HashedSecret {
    type Err = MalformedHash;

    fn from_str(text: &str) -> Result<Self, MalformedHash> {
        let hash = PasswordHash::new(text).map_err(|_| MalformedHash)?;
        let is_whole = hash.salt.is_some() && hash.hash.is_some();
        let is_known = Algorithm::try_from(hash.algorithm.as_str()) == Ok(Algorithm::Argon2id)
            && hash.version.is_some_and(|version| Version::try_from(version).is_ok());
        let is_affordable = Params::try_from(&hash).is_ok_and(|params| is_affordable(&params));
        (is_whole && is_known && is_affordable).then(|| Self(text.to_owned())).ok_or(MalformedHash)
    }
}

/// Whether a hash can be checked here: within memory and time, and without a key that only its
/// maker has.
fn is_affordable(params: &Params) -> bool {
    let (memory, passes, lanes) = MAX_ARGON2_COST;
    let is_cheap =
        params.m_cost() <= memory && params.t_cost() <= passes && params.p_cost() <= lanes;
    is_cheap && params.keyid().is_empty() && params.data().is_empty()
}

impl TryFrom<String> for HashedSecret {
    type Error = MalformedHash;

    fn try_from(text: String) -> Result<Self, MalformedHash> {
        text.parse()
    }
}

impl From<HashedSecret> for String {
    fn from(hash: HashedSecret) -> Self {
        hash.0
    }
}

impl fmt::Debug for HashedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashedSecret(masked)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_length_counts() {
        for password in ["", "1234567", "ä".repeat(7).as_str(), &"a".repeat(257)] {
            assert_eq!(check(password), Err(PasswordError), "{password:?}");
        }
        for password in ["correct horse battery staple", &"ä".repeat(8), &"a".repeat(256)] {
            assert_eq!(check(password), Ok(()), "{password:?}");
        }
    }

    #[test]
    fn what_is_no_hash_or_costs_too_much_is_refused() {
        let of = |cost: &str| HashedSecret::decoy().0.replace("m=19456,t=2,p=1", cost);
        let whole = HashedSecret::decoy().0;
        for hash in [
            "",
            "1793",
            "$2b$12$abcdefghijklmnopqrstuuu",
            &whole.replace("argon2id", "argon2i"),
            &whole.replace("v=19$", ""),
            &whole.replace("v=19$", "v=18$"),
            whole.rsplit_once('$').unwrap().0,
            &format!("{whole}!"),
            &of("m=131073,t=2,p=1"),
            &of("m=19456,t=17,p=1"),
            &of("m=19456,t=2,p=17"),
            &of("m=4294967295,t=4294967295,p=1"),
            &of("m=19456,t=2,p=1,keyid=AAAA"),
        ] {
            assert_eq!(hash.parse::<HashedSecret>(), Err(MalformedHash), "{hash}");
        }
        for dear in ["m=65536,t=3,p=4", "m=102400,t=2,p=8", "m=4096,t=3,p=1"] {
            assert!(of(dear).parse::<HashedSecret>().is_ok(), "{dear}");
        }
    }

    #[test]
    fn no_secret_matches_the_decoy_and_it_costs_what_a_hash_does() {
        let (decoy, hash) = (HashedSecret::decoy(), HashedSecret::of("1793", [7; 16]));
        assert_eq!(decoy.0.parse(), Ok(decoy.clone()));
        assert!(!decoy.matches("") && !decoy.matches("1793"));
        let shape = |hash: &HashedSecret| {
            let parts: Vec<_> = hash.0.split('$').map(str::to_owned).collect();
            (parts[..4].to_vec(), parts[4].len(), parts[5].len())
        };
        assert_eq!(shape(&decoy), shape(&hash));
    }

    #[test]
    fn only_its_own_secret_matches_a_hash() {
        let hash = HashedSecret::of("correct horse", [7; 16]);
        for wrong in ["", "correct", "correct horse ", "Correct horse"] {
            assert!(!hash.matches(wrong), "{wrong:?}");
        }
        assert!(hash.matches("correct horse"));
        assert_ne!(HashedSecret::of("correct horse", [8; 16]), hash, "the salt counts");
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.0);
    }

    #[test]
    fn a_hash_made_elsewhere_is_checked_with_its_own_parameters() {
        // From the reference implementation's tests.
        let foreign = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$\
                       CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let foreign: HashedSecret = foreign.parse().unwrap();
        assert!(foreign.matches("password") && !foreign.matches("differentpassword"));
    }
}
