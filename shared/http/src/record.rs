//! What a request leaves in the log: who, which challenge, how it ended. No code, no address, no
//! secret and no body has a place in it.

use passcode_domain::{AppId, ChallengeId, Channel, challenge::Trace, ports::Cause};
use std::fmt::Write as _;

/// The record of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// How it ended, in the words of the domain or of the contract.
    pub outcome: &'static str,
    /// Whose request it was.
    pub app: Option<AppId>,
    /// Which challenge it was about.
    pub challenge: Option<ChallengeId>,
    /// On which channel.
    pub channel: Option<Channel>,
    /// What failed outside the domain, with its causes.
    pub error: Option<String>,
}

impl Record {
    /// A record that knows only how the request ended.
    #[must_use]
    pub fn of(outcome: &'static str) -> Self {
        Self { outcome, ..Self::default() }
    }

    /// Adds whose request it was.
    #[must_use]
    pub fn app(self, app: &AppId) -> Self {
        Self { app: Some(app.clone()), ..self }
    }

    /// Adds which challenge it was about.
    #[must_use]
    pub fn challenge(self, id: ChallengeId) -> Self {
        Self { challenge: Some(id), ..self }
    }

    /// Adds the channel.
    #[must_use]
    pub fn channel(self, channel: Channel) -> Self {
        Self { channel: Some(channel), ..self }
    }

    /// Adds what the domain knows of the challenge.
    #[must_use]
    pub fn trace(self, trace: Option<Trace>) -> Self {
        match trace {
            Some(trace) => Self { app: Some(trace.app), channel: trace.channel, ..self },
            None => self,
        }
    }

    /// Adds what failed: the error and its causes, outermost first.
    #[must_use]
    pub fn error(self, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            // Writing into a String cannot fail.
            let _ = write!(text, ": {cause}");
            source = cause.source();
        }
        Self { error: Some(text), ..self }
    }

    /// Adds what failed.
    #[must_use]
    pub fn cause(self, cause: &Cause) -> Self {
        self.error(cause.as_ref())
    }
}
