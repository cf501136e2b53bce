//! What a request leaves in the log: who, which challenge, how it ended. No code, no address, no
//! secret and no body has a place in it.

use passcode_domain::{
    AppId, ChallengeId, Channel, Keyring,
    action::{
        send::{Delivery, Sent},
        verify::Verification,
    },
    app::{guard::Rule, policy::FailedVerifies},
    guard::{Finding, GuardRefusal},
    value::country::Country,
};
use std::{error::Error, fmt::Write as _};

/// The record of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// How it ended, in the words of the domain or of the contract.
    pub outcome: &'static str,
    /// Whose request it was.
    pub app: Option<AppId>,
    /// Which challenge it was about: a name that only logs and the tags of messages know it by.
    pub challenge: Option<String>,
    /// On which channel.
    pub channel: Option<Channel>,
    /// The country that its text message goes to, or went to.
    pub country: Option<Country>,
    /// What a provider has said of a message beyond that, in words of a fixed list.
    pub reason: Option<&'static str>,
    /// The channels whose couriers have refused its message, also where another one took it.
    pub refused: Vec<Channel>,
    /// The rule of the guard that has refused it.
    pub rule: Option<Rule>,
    /// Rules that would have refused it, if they were enforced.
    pub shadow: Vec<Rule>,
    /// Whether time alone may change how it ended: a lock or a rule of the guard has refused it.
    pub is_temporary: bool,
    /// What a try of a code counts against, and the digits of the code.
    pub failed_verifies: Option<(FailedVerifies, u8)>,
    /// Whether it is the first of a day that a server has asked for without saying for whom.
    pub lacks_client_ip: bool,
    /// What failed outside the domain, with its causes.
    pub error: Option<String>,
}

impl Record {
    /// Notes whose request it was.
    pub fn app(&mut self, app: &AppId) {
        self.app = Some(app.clone());
    }

    /// Notes which challenge it was about.
    pub fn challenge(&mut self, id: ChallengeId, keyring: &Keyring) {
        self.challenge = Some(id.log_id(keyring));
    }

    /// Notes how a verify ended, and what the domain knows of the challenge.
    pub fn verification(&mut self, verification: &Verification) {
        self.outcome = verification.outcome.as_str();
        if let Some(trace) = &verification.trace {
            self.app = Some(trace.app.clone());
            self.channel = trace.channel;
            self.country = trace.country;
            self.failed_verifies = trace.failed_verifies;
        }
    }

    /// Notes what is known of a send: whose it was, how it ended, and what the guard has decided.
    pub fn delivery(&mut self, delivery: &Delivery, keyring: &Keyring) {
        if let Some(app) = &delivery.app {
            self.app(app);
        }
        self.country = delivery.country;
        self.refused.clone_from(&delivery.refused);
        self.findings(&delivery.findings);
        self.lacks_client_ip = delivery.lacks_origin;
        for cause in [&delivery.unreleased, &delivery.untracked].into_iter().flatten() {
            self.error(cause.as_ref());
        }
        match &delivery.sent {
            Sent::Sent(id, channel) => self.sent("sent", *id, *channel, keyring),
            Sent::ToTestAddress(id, channel) => self.sent("tested", *id, *channel, keyring),
            Sent::Concealed(id, channel) => self.sent("concealed", *id, *channel, keyring),
            Sent::Refused(refusal) => self.is_temporary = refusal.is_block(),
            Sent::Unknown(channel, ..) => self.channel = Some(*channel),
            Sent::AppBlocked | Sent::Undeliverable(_) => {}
        }
    }

    fn sent(
        &mut self,
        outcome: &'static str,
        id: ChallengeId,
        channel: Channel,
        keyring: &Keyring,
    ) {
        self.outcome = outcome;
        self.challenge(id, keyring);
        self.channel = Some(channel);
    }

    /// Notes what the guard's rules have decided. Where one of them has refused the request, that is how
    /// it ended.
    fn findings(&mut self, findings: &[Finding]) {
        if let Some(finding) = findings.iter().find(|finding| finding.is_enforced) {
            self.rule = Some(finding.rule);
            self.outcome = match finding.refusal {
                GuardRefusal::Throttled(_) => "throttled",
                GuardRefusal::Blocked(_) => "blocked",
            };
        }
        let shadow = findings.iter().filter(|finding| !finding.is_enforced);
        self.shadow = shadow.map(|finding| finding.rule).collect();
    }

    /// Notes what failed: the error and its causes, outermost first.
    pub fn error(&mut self, error: &(dyn Error + 'static)) {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            // Writing into a String cannot fail.
            let _ = write!(text, ": {cause}");
            source = cause.source();
        }
        self.error = Some(text);
    }
}
