//! What a caller presents to be given a code: the user's password, the user's PIN, or both.

use passcode_domain::{
    issue::Shown,
    user::{HashedSecret, User},
};
use passcode_http::contract::pace::Refusal;

/// The longest secret that is hashed, in characters.
const MAX_LENGTH: usize = 1024;

/// One secret or two.
pub(crate) struct Presented {
    password: Option<String>,
    pin: Option<String>,
}

impl Presented {
    /// The secrets of a request: at least one that is not empty, and none that is absurdly long.
    pub(crate) fn of(password: Option<String>, pin: Option<String>) -> Result<Self, Refusal> {
        let given = |secret: Option<String>| secret.filter(|secret| !secret.is_empty());
        let presented = Self { password: given(password), pin: given(pin) };
        for (secret, pointer) in [(&presented.password, "/password"), (&presented.pin, "/pin")] {
            if secret.as_ref().is_some_and(|secret| secret.chars().count() > MAX_LENGTH) {
                return Err(Refusal::field(pointer, "The field is longer than 1024 characters"));
            }
        }
        match presented {
            Self { password: None, pin: None } => {
                Err(Refusal::Body("Give a pin, a password or both".to_owned()))
            }
            presented => Ok(presented),
        }
    }

    /// Which of them are the user's: the password first, then the PIN. Every secret costs one
    /// comparison, whether there is anything to compare it with or not, and whatever came of the
    /// other, so that the time of an answer does not tell.
    pub(crate) fn compared(
        &self,
        user: Option<&User>,
        matches: impl Fn(&HashedSecret, &str) -> bool,
    ) -> Shown {
        let is = |secret: &Option<String>, own: Option<&HashedSecret>| {
            let decoy = HashedSecret::decoy();
            secret.as_ref().map(|secret| matches(own.unwrap_or(&decoy), secret))
        };
        let password = is(&self.password, user.and_then(|user| user.password.as_ref()));
        let pin = is(&self.pin, user.and_then(|user| user.pin.as_ref()));
        Shown { password, pin }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn every_presented_secret_is_compared_once_whatever_there_is_to_compare() {
        let nobody = User::new("demo".parse().unwrap(), "ada".parse().unwrap());
        let hash = || Some(HashedSecret::decoy());
        let users = [
            None,
            Some(nobody.clone()),
            Some(User { pin: hash(), ..nobody.clone() }),
            Some(User { password: hash(), ..nobody.clone() }),
            Some(User { pin: hash(), password: hash(), ..nobody }),
        ];
        for (password, pin, expected) in
            [(Some("p"), None, 1), (None, Some("1793"), 1), (Some("p"), Some("1793"), 2)]
        {
            let text = |secret: Option<&str>| secret.map(str::to_owned);
            let presented = Presented::of(text(password), text(pin)).unwrap();
            for user in &users {
                for is_right in [false, true] {
                    let compared = Cell::new(0);
                    presented.compared(user.as_ref(), |_, _| {
                        compared.set(compared.get() + 1);
                        is_right
                    });
                    assert_eq!(compared.get(), expected, "{user:?} {is_right}");
                }
            }
        }
    }

    #[test]
    fn a_secret_is_compared_with_its_own_kind_only() {
        let user = User {
            pin: Some(HashedSecret::of("1793", [1; 16])),
            password: Some(HashedSecret::of("correct horse", [2; 16])),
            ..User::new("demo".parse().unwrap(), "ada".parse().unwrap())
        };
        let proves = |password: &str, pin: &str| {
            let text = |secret: &str| Some(secret.to_owned());
            let presented = Presented::of(text(password), text(pin)).unwrap();
            let Shown { password, pin } = presented.compared(Some(&user), HashedSecret::matches);
            password == Some(true) || pin == Some(true)
        };
        assert!(!proves("1793", "correct horse") && !proves("", "1794") && !proves("1793", ""));
        assert!(proves("correct horse", "0000") && proves("wrong", "1793"));
    }
}
