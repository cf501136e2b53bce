//! Change of a PIN: a code of the user's is the key to it. The code is verified and used up in the
//! same step as the PIN changes, or neither happens.

use crate::{
    AppId, Ledger, PresentedCode, SubjectKey,
    ports::{ChangeUsers, Clock, Entropy, LoadKeyring, LoadLedgers, StoreError, StoreLedgers},
    transact::{Commit, Failure, Ports},
    user::User,
    verify::{self, Judged, Outcome, Target, Verification},
};

/// A change of one user.
#[derive(Clone, Debug)]
pub struct Change {
    /// The user as loaded.
    pub before: User,
    /// The user as it shall be.
    pub after: User,
}

/// Verifies the code and makes the change: one read and one write, of both items at once where the
/// code is right.
pub async fn change_pin<L, U, K, C, E>(
    ports: Ports<'_, L, C, E>,
    users: &U,
    keys: &K,
    app: &AppId,
    subject: SubjectKey,
    change: &Change,
    presented: &PresentedCode,
) -> Result<Verification, Failure>
where
    L: LoadLedgers + StoreLedgers,
    U: ChangeUsers,
    K: LoadKeyring,
    C: Clock,
    E: Entropy,
{
    let together = Together { ledgers: ports.ledgers, users, change };
    verify::verify_and(ports, &together, keys, Target::Named(subject, app), presented).await
}

/// Stores the ledger, and with a success the change.
struct Together<'a, L, U> {
    ledgers: &'a L,
    users: &'a U,
    change: &'a Change,
}

impl<L: StoreLedgers, U: ChangeUsers> Commit<Judged> for Together<'_, L, U> {
    async fn commit(
        &self,
        key: &SubjectKey,
        ledger: &Ledger,
        seen: u64,
        decided: &Judged,
    ) -> Result<u64, StoreError> {
        match decided.0 {
            Outcome::Verified(_) => {
                // They were guesses at the PIN that is no more.
                let mut ledger = ledger.clone();
                ledger.pin_failures.clear();
                self.users.change_user(key, &ledger, seen, self.change).await
            }
            Outcome::Incorrect
            | Outcome::Expired
            | Outcome::Exhausted
            | Outcome::AlreadyUsed
            | Outcome::NotFound => self.ledgers.store(key, ledger, seen).await,
        }
    }
}
