//! Sessions: to begin one with a verified challenge, to refresh it, to end it, to list a user's. Each is one
//! read and one write, and a list is one query.

use super::transact::{Commit, Failure, transact_and};
use crate::{
    ledger::Ledger,
    ports::{
        Clock as _, ListSessions, LoadLedgers, LoadSessions, Loaded, StoreError, StoreSessions,
        World,
    },
    secret::{keyring::Keyring, refresh::RefreshToken},
    session::{Opening, Refresh, RefreshRefusal, Refreshed, Session},
    value::{
        address::Address,
        id::{AppId, ChallengeId, SessionKey, UserKey},
        time::Timestamp,
    },
};

/// The address that a challenge of an app has verified: one read. `None` where it has verified none, or is
/// too long ago.
pub async fn verified_address<W>(
    world: &W,
    app: &AppId,
    challenge: ChallengeId,
) -> Result<Option<Address>, StoreError>
where
    W: World<Ledgers: LoadLedgers>,
{
    let loaded = world.ledgers().load::<Ledger>(&challenge.subject.into()).await?;
    let ledger = loaded.item.filter(|ledger| ledger.app == *app);
    Ok(ledger.and_then(|ledger| ledger.find(challenge)?.verified_address().cloned()))
}

/// Begins the session of a verified challenge: one read and one write. `None`: the challenge has begun one
/// before.
pub async fn begin<W>(
    world: &W,
    keyring: &Keyring,
    opening: &Opening,
) -> Result<Option<Refreshed>, Failure>
where
    W: World<Sessions: LoadSessions + StoreSessions>,
{
    let decide = |stored, now| Session::open(stored, opening, keyring, now);
    Ok(transact_and(world, &Sessions(world.sessions()), opening.key, None, decide).await?.outcome)
}

/// The session that a verified challenge has begun, once more for a client that has lost the answer and has
/// presented the right code again: one read. `None`: it has begun none, or the client is another one.
pub async fn begin_again<W>(
    world: &W,
    keyring: &Keyring,
    opening: &Opening,
) -> Result<Option<Refreshed>, StoreError>
where
    W: World<Sessions: LoadSessions>,
{
    let stored = world.sessions().load_session(&opening.key).await?.item;
    let now = world.clock().now();
    Ok(stored.and_then(|session| session.given_again(opening, keyring, now)))
}

/// A refreshed session, as its client is told of it.
#[derive(Debug)]
pub struct RefreshedSession {
    /// What the client is given.
    pub refreshed: Refreshed,
    /// The session.
    pub session: Session,
}

/// Refreshes a session: one read and one write.
pub async fn refresh<W>(
    world: &W,
    keyring: &Keyring,
    app: &AppId,
    refresh: &Refresh,
) -> Result<Result<RefreshedSession, RefreshRefusal>, Failure>
where
    W: World<Sessions: LoadSessions + StoreSessions>,
{
    let decide = |stored: Option<Session>, now| match of_app(stored, app) {
        Some(session) => {
            let (session, outcome) = session.refresh(keyring, refresh, now);
            (Some(session), outcome)
        }
        None => (None, Err(RefreshRefusal::NotFound)),
    };
    let key = refresh.token.key;
    let settled = transact_and(world, &Sessions(world.sessions()), key, None, decide).await?;
    let with_session =
        |refreshed| settled.item.map(|session| RefreshedSession { refreshed, session });
    Ok(settled.outcome.and_then(|given| with_session(given).ok_or(RefreshRefusal::NotFound)))
}

/// Ends the session of a refresh token, if the token is genuine: one read and one write. Whether it was.
pub async fn revoke<W>(
    world: &W,
    keyring: &Keyring,
    app: &AppId,
    token: &RefreshToken,
) -> Result<bool, Failure>
where
    W: World<Sessions: LoadSessions + StoreSessions>,
{
    let decide = |stored: Option<Session>, now| {
        let mut session = of_app(stored, app);
        let is_own = session.as_mut().is_some_and(|session| session.revoke(keyring, token, now));
        (session, is_own)
    };
    Ok(transact_and(world, &Sessions(world.sessions()), token.key, None, decide).await?.outcome)
}

/// Ends a session, whoever holds its tokens: one read and one write. Whether there was one to end.
pub async fn end<W>(world: &W, key: SessionKey) -> Result<bool, Failure>
where
    W: World<Sessions: LoadSessions + StoreSessions>,
{
    let decide = |stored: Option<Session>, now| {
        let was_live = stored.as_ref().is_some_and(|session| session.is_live(now));
        let ended = stored.map(|mut session| {
            session.end(now);
            session
        });
        (ended, was_live)
    };
    Ok(transact_and(world, &Sessions(world.sessions()), key, None, decide).await?.outcome)
}

/// The sessions of a user that are not over, the one that was refreshed last first: one query.
pub async fn list<W>(world: &W, user: UserKey) -> Result<Vec<(SessionKey, Session)>, StoreError>
where
    W: World<Sessions: ListSessions>,
{
    let mut sessions = world.sessions().list_sessions(&user).await?;
    let now = world.clock().now();
    sessions.retain(|(_, session)| session.is_live(now));
    sessions.sort_by_key(|(key, session)| (std::cmp::Reverse(session.refreshed_at), *key));
    Ok(sessions)
}

/// A session that is not over, of an app: one read.
pub async fn find<W>(world: &W, app: &AppId, key: SessionKey) -> Result<Option<Session>, StoreError>
where
    W: World<Sessions: LoadSessions>,
{
    let loaded = world.sessions().load_session(&key).await?;
    let now: Timestamp = world.clock().now();
    Ok(of_app(loaded.item, app).filter(|session| session.is_live(now)))
}

fn of_app(session: Option<Session>, app: &AppId) -> Option<Session> {
    session.filter(|session| session.app == *app)
}

/// Loads and stores sessions.
struct Sessions<'a, S>(&'a S);

impl<S: LoadSessions + StoreSessions, T: Sync> Commit<Session, T> for Sessions<'_, S> {
    type Key = SessionKey;

    async fn load(&self, key: &SessionKey) -> Result<Loaded<Session>, StoreError> {
        self.0.load_session(key).await
    }

    async fn commit(
        &self,
        key: &SessionKey,
        session: &Session,
        seen: u64,
        _: &T,
    ) -> Result<u64, StoreError> {
        self.0.store_session(key, session, seen).await
    }
}
