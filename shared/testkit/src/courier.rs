//! Fakes of the couriers: they keep what they are given, and answer as told. A
//! clone is the same fake.

use crate::schedule::give_way;
use passcode_domain::{
    EmailAddress, PhoneNumber,
    message::{Email, Sms},
    ports::{CourierError, EmailCourier, ProviderMessageId, SmsCourier},
};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// What a courier answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It takes the message.
    Accept,
    /// It refuses; the message has not gone out.
    Refuse,
    /// It takes the message, and its answer is lost.
    Lose,
}

#[derive(Clone, Debug)]
struct Post<T> {
    taken: Arc<Mutex<Vec<(String, T)>>>,
    verdicts: Arc<Mutex<VecDeque<Verdict>>>,
}

impl<T> Default for Post<T> {
    fn default() -> Self {
        Self { taken: Arc::default(), verdicts: Arc::default() }
    }
}

impl<T: Clone> Post<T> {
    async fn take(&self, to: &str, message: &T) -> Result<(), CourierError> {
        give_way().await;
        let verdict = lock(&self.verdicts).pop_front().unwrap_or(Verdict::Accept);
        if verdict != Verdict::Refuse {
            lock(&self.taken).push((to.to_owned(), message.clone()));
        }
        match verdict {
            Verdict::Accept => Ok(()),
            Verdict::Refuse => Err(CourierError::Refused("told to refuse".into())),
            Verdict::Lose => Err(CourierError::Unknown("told to lose the answer".into())),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A text message courier.
#[derive(Clone, Debug, Default)]
pub struct FakeSms(Post<Sms>, Arc<AtomicBool>);

impl FakeSms {
    /// Gives ids to the messages that it takes from now on: `message-1` to the first of all that it took.
    pub fn give_ids(&self) {
        self.1.store(true, Ordering::Relaxed);
    }

    /// Decides the next answers.
    pub fn answer(&self, verdicts: impl IntoIterator<Item = Verdict>) {
        lock(&self.0.verdicts).extend(verdicts);
    }

    /// What it took, with the numbers it was for, oldest first.
    pub fn taken(&self) -> Vec<(String, Sms)> {
        lock(&self.0.taken).clone()
    }

    /// Forgets what it took.
    pub fn forget(&self) {
        lock(&self.0.taken).clear();
    }
}

impl SmsCourier for FakeSms {
    async fn send(
        &self,
        to: &PhoneNumber,
        message: &Sms,
    ) -> Result<Option<ProviderMessageId>, CourierError> {
        self.0.take(to.as_str(), message).await?;
        let id = || ProviderMessageId(format!("message-{}", lock(&self.0.taken).len()));
        Ok(self.1.load(Ordering::Relaxed).then(id))
    }
}

/// An e-mail courier.
#[derive(Clone, Debug, Default)]
pub struct FakeEmail(Post<Email>);

impl FakeEmail {
    /// Decides the next answers.
    pub fn answer(&self, verdicts: impl IntoIterator<Item = Verdict>) {
        lock(&self.0.verdicts).extend(verdicts);
    }

    /// What it took, with the addresses it was for, oldest first.
    pub fn taken(&self) -> Vec<(String, Email)> {
        lock(&self.0.taken).clone()
    }

    /// Forgets what it took.
    pub fn forget(&self) {
        lock(&self.0.taken).clear();
    }
}

impl EmailCourier for FakeEmail {
    async fn send(&self, to: &EmailAddress, message: &Email) -> Result<(), CourierError> {
        self.0.take(to.as_str(), message).await
    }
}
