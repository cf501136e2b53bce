//! Which passwords are taken. Length is all that is asked for, as NIST SP 800-63B-4 §3.1.1.2 has it:
//! rules about kinds of characters make passwords worse.

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
}
