//! Access tokens: what a signed-in client shows for a minute or so, as the claims of a JWT. Signing is the
//! library's.

use super::proof::{Bearer, seconds};
use crate::value::{
    id::{AppId, SessionId, UserId},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The `typ` of an access token (RFC 9068 §2.1): no challenge token is one.
pub const ACCESS_TOKEN_TYPE: &str = "at+jwt";

/// The claims of an access token (RFC 7519 §4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessToken {
    /// The host that the client called.
    pub iss: String,
    /// The app that it is for.
    pub aud: AppId,
    /// The user.
    pub sub: UserId,
    /// The session, as its id is printed.
    pub sid: String,
    /// Seconds since the epoch when it was signed.
    pub iat: u64,
    /// The same: it is good at once.
    pub nbf: u64,
    /// Seconds since the epoch when it ends.
    pub exp: u64,
    /// The scopes that its session has stepped up to, with spaces between them.
    pub scope: String,
    /// The profile, as the oldest of Prelude's browser clients reads it: nothing is known of a user but `sub`.
    pub cc: BTreeMap<String, String>,
}

impl AccessToken {
    /// The token of a session, for an app's user who has called a host.
    #[must_use]
    pub fn new(
        (app, host): (&AppId, &str),
        (user, session): (&UserId, SessionId),
        scopes: &BTreeSet<String>,
        (now, until): (Timestamp, Timestamp),
    ) -> Self {
        Self {
            iss: host.to_owned(),
            aud: app.clone(),
            sub: user.clone(),
            sid: session.to_string(),
            iat: seconds(now),
            nbf: seconds(now),
            exp: seconds(until),
            scope: scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" "),
            cc: BTreeMap::new(),
        }
    }

    /// Who shows the token, if it is for this app and in time.
    #[must_use]
    pub fn bearer(self, app: &AppId, now: Timestamp) -> Option<Bearer> {
        let is_in_force = self.aud == *app && seconds(now) < self.exp;
        is_in_force.then(|| Bearer {
            user: self.sub,
            session: Some(self.sid),
            scopes: self
                .scope
                .split(' ')
                .filter(|scope| !scope.is_empty())
                .map(str::to_owned)
                .collect(),
            claims: BTreeSet::new(),
        })
    }
}
