//! Change of a PIN: a code of the user's is the key to it. The code is verified and used up in the
//! same step as the PIN changes, or neither happens.

use super::{
    Failure,
    transact::Commit,
    verify::{self, Decided, Outcome, Verification, VerifyTarget},
};
use crate::{
    app::user::UserChange,
    ledger::{Ledger, failures::SecretKind},
    ports::{
        ChangeUsers, CountVerified, LoadKeyring, LoadLedgers, Loaded, StoreError, StoreLedgers,
        World,
    },
    secret::code::PresentedCode,
    value::id::{AppId, ItemKey, SubjectKey},
};

/// Verifies the code and makes the change: one read and one write, of both items at once where the
/// code is right.
pub async fn change_pin<W>(
    world: &W,
    app: &AppId,
    subject: SubjectKey,
    change: &UserChange,
    presented: &PresentedCode,
) -> Result<Verification, Failure>
where
    W: World<
            Ledgers: LoadLedgers + StoreLedgers,
            Users: ChangeUsers,
            Counters: CountVerified,
            Keyring: LoadKeyring,
        >,
{
    let together = Together { ledgers: world.ledgers(), users: world.users(), change };
    verify::verify_and(world, &together, VerifyTarget::Named(subject, app), presented).await
}

/// Stores the ledger, and with a success the change.
struct Together<'a, L, U> {
    ledgers: &'a L,
    users: &'a U,
    change: &'a UserChange,
}

impl<L, U> Commit<Ledger, Decided> for Together<'_, L, U>
where
    L: LoadLedgers + StoreLedgers,
    U: ChangeUsers,
{
    type Key = ItemKey;

    async fn load(&self, key: &ItemKey) -> Result<Loaded<Ledger>, StoreError> {
        self.ledgers.load(key).await
    }

    async fn commit(
        &self,
        key: &ItemKey,
        ledger: &Ledger,
        seen: u64,
        decided: &Decided,
    ) -> Result<u64, StoreError> {
        match decided.outcome {
            Outcome::Verified(_) => {
                // They were guesses at the PIN that is no more.
                let mut ledger = ledger.clone();
                ledger.secret_failures.remove(&SecretKind::Pin);
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
