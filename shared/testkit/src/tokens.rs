//! A fake issuer: its tokens say in clear whom they speak for.

use crate::schedule::give_way;
use passcode_domain::{
    Timestamp,
    app::Issuer,
    ports::{ReadTokens, TokenError},
    secret::proof::Bearer,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Reads tokens of the form `<user>|<scope> <scope>…|<claim> <claim>…`. The claim `sid=…` names a
/// session.
#[derive(Clone, Debug, Default)]
pub struct FakeTokens {
    is_down: Arc<AtomicBool>,
}

impl FakeTokens {
    /// Makes the issuer's keys unavailable from now on, or available again.
    pub fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }
}

impl ReadTokens for FakeTokens {
    async fn read_token(
        &self,
        _: &Issuer,
        token: &str,
        _: Timestamp,
    ) -> Result<Bearer, TokenError> {
        give_way().await;
        if self.is_down.load(Ordering::SeqCst) {
            return Err(TokenError::Unavailable("told to fail".into()));
        }
        let mut parts = token.split('|');
        let user = parts.next().and_then(|user| user.parse().ok());
        let (Some(user), Some(scopes)) = (user, parts.next()) else {
            return Err(TokenError::Invalid("not of the fake issuer".into()));
        };
        let words = |text: &str| text.split_ascii_whitespace().map(str::to_owned).collect();
        let claims = parts.next().unwrap_or_default();
        let session = claims.split(' ').find_map(|claim| claim.strip_prefix("sid="));
        let session = session.map(str::to_owned);
        Ok(Bearer { user, session, scopes: words(scopes), claims: words(claims) })
    }
}
