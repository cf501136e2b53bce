//! What callers were told, and what has arrived at which address. Nobody here knows the product: every
//! promise is held against answers and messages alone.

use crate::{
    requests::{Wanted, order},
    schedule::{Begin, Want},
    stage::{PER_DAY, PER_IP, policies},
};
use passcode_domain::Timestamp;
use passcode_tests::event::Served;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

/// A promise that is broken, and by which call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) promise: &'static str,
    history: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is broken by {}", self.promise, self.history)
    }
}

/// What a caller was given, and may bring again. Its address is whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    Request { id: String, address: String, challenge: Option<String> },
    Order { name: String, address: String, challenge: Option<String> },
    Token { token: String, address: String, challenge: Option<String> },
    Proof { token: String, address: String, challenge: Option<String> },
    Refresh { token: String, access: String, session: usize, address: String },
}

impl Held {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Request { id, .. } => id,
            Self::Order { name, .. } => name,
            Self::Token { token, .. } | Self::Proof { token, .. } | Self::Refresh { token, .. } => {
                token
            }
        }
    }

    pub(crate) fn address(&self) -> &str {
        match self {
            Self::Request { address, .. }
            | Self::Order { address, .. }
            | Self::Token { address, .. }
            | Self::Proof { address, .. }
            | Self::Refresh { address, .. } => address,
        }
    }

    pub(crate) fn access(&self) -> Option<&str> {
        match self {
            Self::Refresh { access, .. } => Some(access),
            _ => None,
        }
    }

    fn challenge(&self) -> Option<&String> {
        match self {
            Self::Request { challenge, .. }
            | Self::Order { challenge, .. }
            | Self::Token { challenge, .. }
            | Self::Proof { challenge, .. } => challenge.as_ref(),
            Self::Refresh { .. } => None,
        }
    }

    const fn session(&self) -> Option<usize> {
        match self {
            Self::Refresh { session, .. } => Some(*session),
            _ => None,
        }
    }
}

/// A call.
#[derive(Clone, Debug)]
pub(crate) struct Called {
    pub(crate) want: Want,
    function: &'static str,
    event: String,
    address: String,
    held: Option<Held>,
    code: Option<String>,
    order: String,
    has_key: bool,
    began: usize,
    began_at: Timestamp,
    ended: Option<(usize, Timestamp)>,
    status: u16,
    outcome: &'static str,
    answer: String,
    challenge: Option<String>,
    /// Something has gone wrong with one of its port calls, or its function has ended.
    is_disturbed: bool,
    /// Something had gone wrong with some call before it ended.
    is_after_fault: bool,
}

impl fmt::Display for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { want, address, code, outcome, status, challenge, .. } = self;
        let (code, challenge) =
            (code.as_deref().unwrap_or("-"), challenge.as_deref().unwrap_or("-"));
        let (began, ended) = (self.began, self.ended.map(|(ended, _)| ended));
        let at = self.began_at.as_millis();
        write!(
            f,
            "{want:?} for {address} with {code}: {status} {outcome}, challenge {challenge}, "
        )?;
        write!(f, "from {began} to {ended:?}, at {at}, disturbed {}", self.is_disturbed)
    }
}

impl Called {
    pub(crate) const fn is_served(&self) -> bool {
        self.ended.is_some() && self.status < 300
    }

    fn is_verify(&self) -> bool {
        matches!(
            self.want,
            Want::VerifyByServer
                | Want::VerifyByHolder
                | Want::VerifyOrder
                | Want::CheckInBrowser
                | Want::VerifyUser
                | Want::ChangePin
                | Want::VerifyNamed
        )
    }

    /// Whether it finds its challenge by an id.
    fn has_id(&self) -> bool {
        matches!(
            self.want,
            Want::VerifyByServer | Want::VerifyByHolder | Want::VerifyOrder | Want::CheckInBrowser
        )
    }

    fn is_send(&self) -> bool {
        matches!(
            self.want,
            Want::Initiate
                | Want::SendOrder
                | Want::ResendOrder
                | Want::AskInBrowser
                | Want::RetryInBrowser
                | Want::MailToUser
                | Want::IssueToUser
                | Want::Generate
                | Want::Resend
        )
    }

    /// Whether its function may have done something that its caller was not told.
    const fn is_uncertain(&self) -> bool {
        self.is_disturbed || self.ended.is_none() || self.status >= 500
    }

    /// Whether it ran at a time together with another, or came after it.
    fn may_follow(&self, other: &Self) -> bool {
        self.ended.is_none_or(|(ended, _)| ended >= other.began)
    }
}

/// A message that has arrived.
#[derive(Clone, Debug)]
struct Message {
    call: usize,
    to: String,
    code: String,
    /// When it was handed over.
    at: Timestamp,
    /// After how many events it has arrived.
    arrived: usize,
}

/// Who asks for messages from the one IP address that there is: those who hold an id that a server was given,
/// and browsers. Each class of callers has its own limit.
const OF_ONE_IP: [&[Want]; 2] = [&[Want::Initiate], &[Want::AskInBrowser, Want::RetryInBrowser]];

/// How far clocks are apart.
const SKEW: Duration = Duration::from_secs(2);

/// The shortest life of a challenge in the schedules: an order's.
const SHORTEST_LIFE: Duration = Duration::from_mins(10);

/// Everything that was told.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) calls: Vec<Called>,
    messages: Vec<Message>,
    /// Codes that were told to a caller in an answer.
    issued: Vec<(String, String)>,
    held: Vec<Held>,
    /// Secrets that tables must not hold.
    secrets: BTreeSet<String>,
    /// What follows a token.
    next: BTreeMap<String, String>,
    sessions: usize,
    /// Sessions that a caller was told are over, and when.
    over: BTreeMap<usize, usize>,
    moment: usize,
    /// Calls that began before are not looked at any more.
    forgotten: usize,
    has_faults: bool,
    pub(crate) is_rotated: bool,
    pub(crate) told: BTreeMap<String, u64>,
    pub(crate) broken: Option<Broken>,
}

impl Book {
    pub(crate) fn begin(&mut self, wanted: Wanted, begin: &Begin, now: Timestamp) -> usize {
        self.moment += 1;
        let challenge = wanted.held.as_ref().and_then(Held::challenge).cloned();
        self.calls.push(Called {
            want: begin.want,
            function: wanted.function,
            event: wanted.event.0.to_string(),
            address: wanted.address,
            held: wanted.held,
            code: wanted.code,
            order: order(begin),
            has_key: begin.key.is_some(),
            began: self.moment,
            began_at: now,
            ended: None,
            status: 0,
            outcome: "",
            answer: String::new(),
            challenge,
            is_disturbed: false,
            is_after_fault: false,
        });
        self.calls.len() - 1
    }

    /// The newest of what callers hold of a kind, or one of those before it.
    pub(crate) fn held(&self, is_kind: impl Fn(&Held) -> bool, which: usize) -> Option<Held> {
        let mut all = self.held.iter().rev().filter(|held| is_kind(held));
        let newest = all.next();
        all.nth(which.checked_sub(1).unwrap_or(usize::MAX)).or(newest).cloned()
    }

    /// The codes that somebody who asks about this may have read, oldest first.
    pub(crate) fn codes(&self, held: Option<&Held>, want: Want, address: &str) -> Vec<String> {
        if let Some(challenge) = held.and_then(Held::challenge) {
            let of_it = self.messages_of(challenge);
            return of_it.map(|message| message.code.clone()).collect();
        }
        let is_of_user = matches!(want, Want::VerifyUser | Want::ChangePin);
        let is_asked = |call: usize| match self.calls[call].want {
            Want::MailToUser => is_of_user,
            Want::Generate | Want::Resend => !is_of_user && self.calls[call].address == address,
            _ => false,
        };
        let sent = self.messages.iter().filter(|message| is_asked(message.call));
        let sent = sent.map(|message| message.code.clone());
        let issued = self.issued.iter().filter(|_| is_of_user).map(|(_, code)| code.clone());
        sent.chain(issued).collect()
    }

    /// Whether a code was asked for by naming this address.
    pub(crate) fn is_named(&self, address: &str) -> bool {
        let names = |called: &Called| called.want == Want::Generate && called.address == address;
        self.calls.iter().any(|called| names(called) && called.is_served())
    }

    pub(crate) fn code_of_other(&self, address: &str) -> Option<String> {
        let others = self.messages.iter().rev().filter(|message| message.to != address);
        others.map(|message| message.code.clone()).next()
    }

    fn messages_of<'b>(&'b self, challenge: &'b str) -> impl Iterator<Item = &'b Message> {
        let is_of_it = |call: usize| self.calls[call].challenge.as_deref() == Some(challenge);
        self.messages.iter().filter(move |message| is_of_it(message.call))
    }

    pub(crate) fn disturb(&mut self, call: usize) {
        self.has_faults = true;
        self.calls[call].is_disturbed = true;
    }

    pub(crate) fn crash(&mut self, call: usize) {
        self.moment += 1;
        self.disturb(call);
    }

    /// From now on only what begins now is looked at.
    pub(crate) fn forget(&mut self) {
        self.forgotten = self.calls.len();
        self.held.clear();
    }

    /// What is broken, and what has happened up to then.
    pub(crate) fn broken(&self, promise: &'static str, call: usize) -> Broken {
        let calls = self.calls.iter().enumerate().map(|(n, called)| format!("  {n}: {called}"));
        let messages = self.messages.iter().map(|Message { call, to, code, at, .. }| {
            format!("  {code} to {to} by call {call} at {}", at.as_millis())
        });
        let history: Vec<String> = calls.chain(messages).collect();
        Broken { promise, history: format!("call {call} of\n{}", history.join("\n")) }
    }

    fn breaks(&mut self, promise: &'static str, call: usize) {
        if self.broken.is_none() {
            self.broken = Some(self.broken(promise, call));
        }
    }

    fn check(&mut self, call: usize, promise: &'static str, holds: bool) {
        if !holds {
            self.breaks(promise, call);
        }
    }

    /// A message is handed to a courier.
    pub(crate) fn handed_over(&mut self, call: usize, to: &str, code: &str, text: &str) {
        self.check(
            call,
            "a message has its code and no address",
            text.contains(code) && !text.contains(to),
        );
    }

    /// A message has arrived.
    pub(crate) fn delivered(&mut self, call: usize, to: &str, code: &str, at: Timestamp) {
        self.moment += 1;
        *self.told.entry("a message".to_owned()).or_default() += 1;
        let address = self.calls[call].address.clone();
        let is_asked_for = address == to || address == passcode_testkit::USER_ID;
        self.check(call, "a message goes where it was asked to go", is_asked_for);
        let is_new = !self.messages.iter().any(|message| message.to == to && message.code == code);
        self.check(call, "one message per generation", is_new);
        self.messages.push(Message {
            call,
            to: to.to_owned(),
            code: code.to_owned(),
            at,
            arrived: self.moment,
        });
        let of_call = self.messages.iter().filter(|message| message.call == call).count();
        self.check(call, "one message per call", of_call <= 1);
        // Limits are kept in half hours, so no window of half an hour less may hold more.
        let window = Duration::from_mins(23 * 60 + 29);
        let is_recent =
            |message: &&Message| message.at.until(at) < window && at.until(message.at) < window;
        let recent = || self.messages.iter().filter(is_recent);
        let asked = |wants: &[Want]| {
            recent().filter(|message| wants.contains(&self.calls[message.call].want)).count()
        };
        let [per_day, per_ip] = [PER_DAY, PER_IP].map(|most| usize::try_from(most).unwrap());
        let holds =
            recent().count() <= per_day && OF_ONE_IP.iter().all(|wants| asked(wants) <= per_ip);
        self.check(call, "no limit is exceeded by one message", holds);
    }

    /// A caller has its answer.
    pub(crate) fn answered(&mut self, call: usize, served: &Served, now: Timestamp) {
        self.moment += 1;
        let (moment, has_faults) = (self.moment, self.has_faults);
        let called = &mut self.calls[call];
        called.ended = Some((moment, now));
        called.status = served.status.as_u16();
        called.outcome = served.record.outcome;
        called.is_after_fault = has_faults;
        let token = header(served, "x-verification-token");
        called.answer = format!("{} {token}", served.body);
        if served.record.challenge.is_some() {
            called.challenge.clone_from(&served.record.challenge);
        }
        let outcome = format!("{}: {}", called.function, called.outcome);
        *self.told.entry(outcome).or_default() += 1;
        self.learn(call, served);
        self.check_answer(call, served);
        if call < self.forgotten {
            return;
        }
        let called = self.calls[call].clone();
        if called.is_verify() {
            self.check_verify(call, &called);
        }
        if called.is_send() {
            self.check_send(call, &called);
        }
        if called.want == Want::Status && called.is_served() {
            self.check_status(call, &called);
        }
    }

    /// What the caller holds now.
    fn learn(&mut self, call: usize, served: &Served) {
        let called = self.calls[call].clone();
        if !called.is_served() {
            return;
        }
        let body: Value = serde_json::from_str(&served.body).unwrap_or_default();
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        let (address, challenge) = (called.address.clone(), called.challenge.clone());
        match called.want {
            Want::Create => {
                self.held.push(Held::Request { id: text("requestId"), address, challenge });
            }
            Want::SendOrder => {
                self.held.push(Held::Order { name: called.order.clone(), address, challenge });
            }
            Want::AskInBrowser => {
                let token = header(served, "x-verification-token");
                self.held.push(Held::Token { token, address, challenge });
            }
            Want::CheckInBrowser => {
                let token = text("challenge_token");
                self.secrets.insert(token.clone());
                self.held.push(Held::Proof { token, address, challenge });
            }
            Want::IssueToUser => {
                let digits = |value: &Value| {
                    let text = value.as_str()?;
                    let is_code = text.len() >= 4 && text.bytes().all(|b| b.is_ascii_digit());
                    is_code.then(|| text.to_owned())
                };
                if let Some(code) = body.as_object().and_then(|all| all.values().find_map(digits)) {
                    self.issued.push((address, code));
                }
            }
            Want::SignIn | Want::Refresh => self.learn_session(call, &called, served),
            Want::SignOut => {
                if let Some(session) = called.held.as_ref().and_then(Held::session) {
                    self.over.entry(session).or_insert(self.moment);
                }
            }
            _ => {}
        }
    }

    fn learn_session(&mut self, call: usize, called: &Called, served: &Served) {
        let body: Value = serde_json::from_str(&served.body).unwrap_or_default();
        let access = body["access_token"].as_str().unwrap_or_default().to_owned();
        let token = header(served, "x-refresh-token");
        self.secrets.extend([access.clone(), token.clone()]);
        let before = called.held.as_ref().and_then(Held::session);
        let session = if let Some(session) = before {
            let held = called.held.as_ref().map(Held::text).unwrap_or_default().to_owned();
            let first = self.next.entry(held).or_insert_with(|| token.clone()).clone();
            // It is printed anew with the keys that are in force; it is of the same generation then.
            let is_same = first == token || self.is_rotated;
            self.check(call, "a token leads to one next token", is_same);
            let is_over = self.over.get(&session).is_some_and(|over| *over < called.began);
            self.check(call, "a session that is over is not refreshed", !is_over);
            session
        } else {
            self.sessions += 1;
            let is_of_same = |other: &&Called| {
                other.want == Want::SignIn
                    && other.is_served()
                    && other.challenge == called.challenge
            };
            let begun = self.calls.iter().filter(is_of_same).count();
            // The same answer again is no other session.
            self.check(call, "a challenge begins one session", begun <= 1 || called.has_key);
            self.sessions
        };
        self.held.push(Held::Refresh { token, access, session, address: called.address.clone() });
    }

    /// Of every answer.
    fn check_answer(&mut self, call: usize, served: &Served) {
        let called = self.calls[call].clone();
        let is_quiet = !self.has_faults;
        let is_down = called.status >= 500 && served.record.error.is_some();
        self.check(
            call,
            "nothing is unavailable unless something went wrong",
            !(is_quiet && is_down),
        );
        let log = format!("{:?}", served.record);
        let logged = [Some(called.address.as_str()), called.held.as_ref().map(Held::text)];
        let tells = |secret: &str| secret.len() > 8 && log.contains(secret);
        let tells_code = self.messages.iter().any(|message| has_number(&log, &message.code));
        let is_told = logged.into_iter().flatten().filter(|_| called.want != Want::VerifyOrder);
        let leaks = tells_code || is_told.into_iter().any(tells);
        self.check(call, "no log has a code, an address or a token", !leaks);
        let in_answer = self.messages.iter().any(|message| has_number(&served.body, &message.code));
        self.check(call, "no answer has a code that was sent", !in_answer);
    }

    fn check_verify(&mut self, call: usize, called: &Called) {
        let Some(challenge) = &called.challenge else { return };
        let [policy, edited] = policies();
        let of_it = |outcome: &'static str| {
            let same = move |other: &&Called| {
                other.challenge.as_ref() == Some(challenge)
                    && other.outcome == outcome
                    && other.is_verify()
            };
            self.calls.iter().filter(same)
        };
        let (verified, incorrect) = (of_it("verified").count(), of_it("incorrect").count());
        let code = called.code.clone().unwrap_or_default();
        let others = || self.calls.iter().enumerate().filter(|(n, _)| *n != call).map(|(_, c)| c);
        let mut checks = vec![
            ("a challenge is used once", verified <= 1),
            (
                "no more outcomes than attempts",
                verified + incorrect <= usize::from(policy.max_attempts.max(edited.max_attempts)),
            ),
        ];
        match called.outcome {
            "verified" => {
                let to = |message: &Message| message.code == code && self.is_of(message, called);
                let issued = self.issued.iter().any(|(_, issued)| *issued == code);
                let is_known = self.messages.iter().any(to)
                    || issued && !called.has_id()
                    || !called.has_id()
                        && self
                            .calls
                            .iter()
                            .any(|c| c.want == Want::IssueToUser && c.is_uncertain());
                checks.push(("a success needs a code that was sent to its address", is_known));
            }
            "incorrect" if called.has_id() => {
                let last = self.messages_of(challenge).last();
                let is_last = last.is_some_and(|message| {
                    let sender = &self.calls[message.call];
                    let later = others().filter(|other| {
                        other.is_send()
                            && other.address == called.address
                            && !std::ptr::eq(*other, sender)
                            && (other.is_uncertain()
                                || other.may_follow(sender)
                                || sender.may_follow(other))
                    });
                    message.code == code
                        && message.arrived < called.began
                        && sender.ended.is_some_and(|(ended, _)| ended < called.began)
                        && !sender.is_uncertain()
                        && later
                            .filter(|other| {
                                other.challenge.as_ref() == Some(challenge)
                                    || other.challenge.is_none()
                            })
                            .count()
                            == 0
                });
                checks.push(("the last code of a challenge is not incorrect", !is_last));
            }
            "already used" if called.has_id() => {
                let used = others().any(|other| {
                    other.is_verify()
                        && other.challenge.as_ref() == Some(challenge)
                        && (other.outcome == "verified" || other.is_uncertain())
                });
                checks.push(("what is already used was used", used));
            }
            "exhausted" => {
                let tries = self
                    .calls
                    .iter()
                    .filter(|other| other.is_verify() && other.address == called.address);
                let tries = tries.count();
                let fewest = usize::from(policy.max_attempts.min(edited.max_attempts));
                checks.push(("what is exhausted was tried", tries > fewest));
            }
            "not found" | "expired" if called.has_id() => {
                let now = called.began_at;
                let ended = called.ended.map_or(now, |(_, at)| at);
                // The code of a late message ends with its challenge.
                let about = |other: &&Called| other.challenge.as_ref() == Some(challenge);
                let opened = self.calls.iter().filter(about).map(|other| other.began_at).min();
                let is_fresh = self.messages_of(challenge).last().is_some_and(|message| {
                    let sender = &self.calls[message.call];
                    sender.outcome == "sent"
                        && !sender.is_uncertain()
                        && sender.ended.is_some_and(|(ended, _)| ended < called.began)
                        && sender.began_at.until(now + SKEW) < Duration::from_mins(4)
                        && called.began_at.until(ended) < Duration::from_mins(4)
                        && opened.is_some_and(|at| at.until(ended + SKEW) < SHORTEST_LIFE)
                });
                // A second send may have ended what the first one's code was good for.
                checks.push((
                    "what was just sent is found",
                    !is_fresh || called.outcome == "expired" && called.is_after_fault,
                ));
            }
            _ => {}
        }
        for (promise, holds) in checks {
            self.check(call, promise, holds);
        }
    }

    /// Whether a message went to whom a call is about.
    fn is_of(&self, message: &Message, called: &Called) -> bool {
        message.to == called.address || self.calls[message.call].address == called.address
    }

    fn check_send(&mut self, call: usize, called: &Called) {
        let [policy, _] = policies();
        if let Some(challenge) = &called.challenge {
            let sent: Vec<_> = self.messages_of(challenge).cloned().collect();
            let most = usize::from(policy.max_sends);
            let pause = policy.cool_down(1);
            let mut pairs = sent.iter().zip(sent.iter().skip(1));
            let cools_down = pairs.all(|(first, second)| {
                let [before, after] = [first, second].map(|message| &self.calls[message.call]);
                let is_used = self
                    .calls
                    .iter()
                    .any(|other| other.is_verify() && other.address == called.address);
                before.want != after.want
                    || is_used
                    || before.began_at.until(second.at + SKEW) >= pause
                    // The first may have been handed over last.
                    || after.began_at.until(first.at + SKEW) >= pause
            });
            self.check(call, "no more messages than the policy has", sent.len() <= most);
            self.check(call, "a cool-down holds", cools_down);
        }
        if called.outcome == "sent" && !called.is_uncertain() && called.want != Want::IssueToUser {
            let arrived = self.messages.iter().any(|message| message.call == call);
            self.check(call, "what is told as sent has gone out", arrived);
        }
        let is_repeated = |other: &Called| {
            other.event == called.event
                && other.is_served()
                && !other.is_uncertain()
                && !called.is_uncertain()
                && other.began_at.until(called.ended.map_or(other.began_at, |(_, at)| at))
                    < Duration::from_secs(29)
        };
        if called.has_key && called.is_served() {
            let same = self
                .calls
                .iter()
                .filter(|other| is_repeated(other))
                .all(|other| other.answer == called.answer);
            self.check(call, "an answer is repeated as it was", same);
        }
    }

    fn check_status(&mut self, call: usize, called: &Called) {
        let Some(challenge) = &called.challenge else { return };
        let is_success = called.answer.contains("\"SUCCESS\"");
        let verifies = || {
            self.calls
                .iter()
                .filter(|other| other.is_verify() && other.challenge.as_ref() == Some(challenge))
        };
        let may_be = verifies().any(|other| other.outcome == "verified" || other.is_uncertain());
        let must_be = verifies().any(|other| {
            other.outcome == "verified"
                && other.ended.is_some_and(|(ended, _)| ended < called.began)
        });
        self.check(call, "a status tells what has happened", is_success <= may_be);
        self.check(call, "a status tells what has happened", must_be <= is_success);
    }

    /// What is stored holds no code and no token.
    pub(crate) fn look_for_secrets(&self, stored: &str) -> Option<Broken> {
        let codes = self.messages.iter().map(|message| &message.code);
        let mut codes = codes.chain(self.issued.iter().map(|(_, code)| code));
        let has_code = codes.any(|code| has_number(stored, code));
        let has_token =
            self.secrets.iter().any(|secret| secret.len() > 8 && stored.contains(secret));
        (has_code || has_token).then(|| self.broken("no table has a code or a token", usize::MAX))
    }
}

fn header(served: &Served, name: &str) -> String {
    let value = served.headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

/// Whether a text has this number in it, and not as a part of a longer one.
fn has_number(text: &str, number: &str) -> bool {
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let bytes = text.as_bytes();
    text.match_indices(number).any(|(at, _)| {
        !is_digit(at.checked_sub(1).and_then(|before| bytes.get(before)))
            && !is_digit(bytes.get(at + number.len()))
    })
}
