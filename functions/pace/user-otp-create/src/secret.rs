//! What a caller presents to be given a code: the user's password, the user's PIN, or both.

use passcode_domain::{
    User,
    action::issue::{PresentedSecrets, SecretComparison},
    secret::password::HashedSecret,
};

use pace_contract::Error;

/// The longest secret that is hashed, in characters.
const MAX_LENGTH: usize = 1024;

/// One secret or two.
pub(crate) struct Presented {
    password: Option<String>,
    pin: Option<String>,
}

impl Presented {
    /// The secrets of a request: at least one that is not empty, and none that is absurdly long.
    pub(crate) fn of(password: Option<String>, pin: Option<String>) -> Result<Self, Error> {
        let given = |secret: Option<String>| secret.filter(|secret| !secret.is_empty());
        let presented = Self { password: given(password), pin: given(pin) };
        for (secret, pointer) in [(&presented.password, "/password"), (&presented.pin, "/pin")] {
            if secret.as_ref().is_some_and(|secret| secret.chars().count() > MAX_LENGTH) {
                return Err(Error::field(pointer, "The field is longer than 1024 characters"));
            }
        }
        match presented {
            Self { password: None, pin: None } => {
                Err(Error::Body("Give a pin, a password or both".to_owned()))
            }
            presented => Ok(presented),
        }
    }

    /// How to find out which of them are the user's: the password first, then the PIN. Every secret
    /// costs one comparison, whether there is anything to compare it with or not, and whatever came of
    /// the other, so that the time of an answer does not tell.
    pub(crate) fn comparisons<'a>(
        &'a self,
        user: Option<&'a User>,
        matches: impl Fn(&HashedSecret, &str) -> bool + Copy + Send + Sync + 'a,
    ) -> PresentedSecrets<'a> {
        let comparison = |secret: &'a Option<String>, own: Option<&'a HashedSecret>| {
            let secret = secret.as_deref()?;
            Some(SecretComparison::new(move || match own {
                Some(own) => matches(own, secret),
                None => matches(&HashedSecret::decoy(), secret),
            }))
        };
        let password = comparison(&self.password, user.and_then(|user| user.password.as_ref()));
        let pin = comparison(&self.pin, user.and_then(|user| user.pin.as_ref()));
        PresentedSecrets { password, pin }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use passcode_domain::{
        Address, Addresses, App, Ledger, Lookup, Timestamp,
        action::{
            issue::{self, Issued},
            open::Open,
        },
    };
    use passcode_testkit::TestWorld;
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        time::Duration,
    };

    fn presented(password: Option<&str>, pin: Option<&str>) -> Presented {
        let text = |secret: Option<&str>| secret.map(str::to_owned);
        Presented::of(text(password), text(pin)).unwrap()
    }

    fn nobody() -> User {
        User::new("demo".parse().unwrap(), "ada".parse().unwrap())
    }

    /// Decides with what is shown, as the endpoint does.
    fn decide(ledger: Ledger, policy_of: &App, shown: &PresentedSecrets<'_>) -> (Ledger, Issued) {
        let world = TestWorld::of(policy_of.clone());
        let addresses = Addresses::new(Address::User(nobody().id), None);
        let open = Open::new(&world.app, world.keys(), &world.entropy, addresses, Duration::MAX);
        let open = open.found_by(Lookup::Identity);
        issue::decide(ledger, world.keys(), &open, shown, Timestamp::from_millis(1))
    }

    #[test]
    fn every_presented_secret_is_compared_once_and_not_at_all_while_it_is_locked() {
        let app = passcode_testkit::without_waits(passcode_testkit::demo_app());
        let hash = || Some(HashedSecret::decoy());
        let users = [
            None,
            Some(nobody()),
            Some(User { pin: hash(), ..nobody() }),
            Some(User { password: hash(), ..nobody() }),
            Some(User { pin: hash(), password: hash(), ..nobody() }),
        ];
        for (password, pin, expected) in
            [(Some("p"), None, 1), (None, Some("1793"), 1), (Some("p"), Some("1793"), 2)]
        {
            let presented = presented(password, pin);
            for user in &users {
                for is_right in [false, true] {
                    let compared = AtomicU32::new(0);
                    let count = |_: &HashedSecret, _: &str| {
                        compared.fetch_add(1, Ordering::SeqCst);
                        is_right
                    };
                    let shown = presented.comparisons(user.as_ref(), count);
                    let mut ledger = Ledger::new(app.id.clone());
                    for _ in 0..2 {
                        decide(ledger.clone(), &app, &shown);
                    }
                    assert_eq!(compared.load(Ordering::SeqCst), expected, "{user:?} {is_right}");
                    let wrong =
                        PresentedSecrets { password: Some(false.into()), pin: Some(false.into()) };
                    for _ in 0..10 {
                        ledger = decide(ledger, &app, &wrong).0;
                    }
                    let shown = presented.comparisons(user.as_ref(), count);
                    assert_eq!(decide(ledger, &app, &shown).1, Issued::Locked);
                    assert_eq!(compared.load(Ordering::SeqCst), expected, "nothing is compared");
                }
            }
        }
    }

    #[test]
    fn a_secret_is_compared_with_its_own_kind_only() {
        let app = passcode_testkit::demo_app();
        let user = User {
            pin: Some(HashedSecret::of("1793", [1; 16])),
            password: Some(HashedSecret::of("correct horse", [2; 16])),
            ..nobody()
        };
        let proves = |password: &str, pin: &str| {
            let presented = presented(Some(password), Some(pin));
            let shown = presented.comparisons(Some(&user), HashedSecret::matches);
            matches!(decide(Ledger::new(app.id.clone()), &app, &shown).1, Issued::Issued(_))
        };
        assert!(!proves("1793", "correct horse") && !proves("", "1794") && !proves("1793", ""));
        assert!(proves("correct horse", "0000") && proves("wrong", "1793"));
    }
}
