//! What a request leaves in the log: who, which challenge, how it ended. No code, no address, no
//! secret and no body has a place in it.

use passcode_domain::{
    AppId, ChallengeId, Channel,
    challenge::Trace,
    guard::{Finding, Rule},
    policy::FailedVerifies,
    ports::Cause,
    send::{Delivery, Refusal, Sent},
};
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
    /// The rule of the guard that has refused it.
    pub rule: Option<Rule>,
    /// Rules that would have refused it, if they were enforced.
    pub shadow: Vec<Rule>,
    /// Whether time alone may change how it ended: a lock or a rule of the guard has refused it.
    pub is_temporary: bool,
    /// What a wrong code counts against.
    pub failed_verifies: Option<FailedVerifies>,
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
            Some(Trace { app, channel, failed_verifies }) => {
                Self { app: Some(app), channel, failed_verifies, ..self }
            }
            None => self,
        }
    }

    /// Adds what is known of a send: whose it was, what the guard has said, and why it is not marked.
    #[must_use]
    pub fn delivery(self, delivery: &Delivery) -> Self {
        let app = delivery.app.clone().or(self.app);
        let is_temporary = matches!(&delivery.sent, Sent::Refused(refused) if refused.is_block());
        let record = Self { app, is_temporary, ..self }.findings(&delivery.findings);
        match &delivery.unmarked {
            Some(cause) => record.cause(cause),
            None => record,
        }
    }

    /// Adds what the guard's rules have said. Where one of them has refused the request, that is
    /// how it ended.
    fn findings(self, findings: &[Finding]) -> Self {
        let enforced = findings.iter().find(|finding| finding.is_enforced);
        let outcome = match enforced.map(|finding| finding.refusal) {
            Some(Refusal::Throttled(_)) => "throttled",
            Some(Refusal::Blocked(_)) => "blocked",
            _ => self.outcome,
        };
        let shadow = findings.iter().filter(|finding| !finding.is_enforced);
        Self {
            outcome,
            rule: enforced.map(|finding| finding.rule),
            shadow: shadow.map(|finding| finding.rule).collect(),
            ..self
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
