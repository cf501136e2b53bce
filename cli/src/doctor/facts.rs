//! What decides whether codes will arrive, as it was read. Each fact is there, or says why it is not:
//! a missing permission hides one fact and no other.

use crate::place::Deployed;
use passcode_domain::{App, Timestamp};
use std::collections::BTreeMap;

/// A fact, or why it could not be read.
pub type Read<T> = Result<T, Unread>;

/// Why a fact could not be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unread {
    /// The caller lacks the permission for this action.
    Denied(&'static str),
    /// The call of this action failed.
    Failed(&'static str, String),
    /// The stack has no such output.
    NoOutput(&'static str),
    /// The description of the stack, where the names of its resources are, could not be read; or the stack on
    /// this machine does not answer.
    NoStack,
}

/// Everything that was read.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The name of the deployed stack; none for the stack on this machine.
    pub stack: Option<String>,
    /// The Region.
    pub region: String,
    /// When it was read.
    pub now: Timestamp,
    /// The stack itself.
    pub deployed: Read<Deployed>,
    /// Its apps.
    pub apps: Read<Vec<App>>,
    /// Its keyring.
    pub keyring: Read<Keyring>,
    /// For each table whose items end by themselves, by its logical id: its time to live.
    pub time_to_live: Vec<(&'static str, Read<TimeToLive>)>,
    /// What only AWS has.
    pub aws: Option<Aws>,
}

/// What only AWS has.
#[derive(Clone, Debug)]
pub struct Aws {
    /// For each table that is kept, by its logical id: its recovery.
    pub recovery: Vec<(&'static str, Read<Recovery>)>,
    /// Whether SNS sends text messages to verified numbers only.
    pub sms_sandbox: Read<bool>,
    /// The account's settings for text messages.
    pub sms_attributes: Read<BTreeMap<String, String>>,
    /// What text messages may cost in a month.
    pub spend_limit: Read<SpendLimit>,
    /// The account's phone numbers.
    pub numbers: Read<Vec<Number>>,
    /// The account's sender ids.
    pub sender_ids: Read<Vec<SenderId>>,
    /// The account's state in SES.
    pub ses: Read<Ses>,
    /// For each `From` in use: what SES knows of it.
    pub senders: Vec<(String, Read<Option<Identity>>)>,
    /// For each configuration set in use: where its events go; none if there is no such set.
    pub configuration_sets: Vec<(String, Read<Option<Vec<EventDestination>>>)>,
    /// Executions of Lambda functions at a time.
    pub concurrency: Read<Concurrency>,
    /// The stack's alarms.
    pub alarms: Read<Vec<Alarm>>,
    /// For each topic that alarms tell: its confirmed subscriptions.
    pub topics: Vec<(String, Read<u32>)>,
}

/// The keyring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyring {
    /// When it was last rotated, or made; not known on this machine.
    pub changed: Option<Timestamp>,
}

/// The time to live of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeToLive {
    /// The name of the table.
    pub table: String,
    /// The attribute that says when an item ends, if any does.
    pub attribute: Option<String>,
}

/// The recovery of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The name of the table.
    pub table: String,
    /// Whether it can be restored to a point in time.
    pub is_on: bool,
}

/// What text messages may cost in a month, in US dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpendLimit {
    /// What is in force.
    pub enforced: u64,
    /// The highest that the quota allows.
    pub most: u64,
}

/// A phone number of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    /// Its ARN.
    pub arn: String,
    /// In E.164 form.
    pub number: String,
    /// The country whose numbers it can send to.
    pub country: String,
    /// Its kind, such as `TEN_DLC`.
    pub kind: String,
    /// Its status, such as `ACTIVE`.
    pub status: String,
    /// Whether it sends text messages.
    pub sends_texts: bool,
    /// Text messages a second, where AWS says it.
    pub rate: Option<u64>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Whether SNS may send from it.
    pub sns: Read<Grant>,
}

/// A sender id of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderId {
    /// Its ARN.
    pub arn: String,
    /// What is shown as the sender.
    pub id: String,
    /// The country that it is for.
    pub country: String,
    /// Whether it is registered there.
    pub registered: bool,
    /// Whether SNS may send from it.
    pub sns: Read<Grant>,
}

/// What the resource policy of an origination identity grants to SNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// SNS may send from it.
    Given,
    /// There is a policy, and it does not let SNS send.
    Withheld,
    /// There is no policy.
    NoPolicy,
}

/// The account's state in SES.
#[derive(Clone, Debug, PartialEq)]
pub struct Ses {
    /// Whether it is out of the sandbox.
    pub is_production: bool,
    /// Whether it may send at all.
    pub may_send: bool,
    /// Its standing: `HEALTHY`, `PROBATION` or `SHUTDOWN`.
    pub standing: String,
    /// E-mails in 24 hours.
    pub per_day: f64,
    /// Those of the past 24 hours.
    pub sent: f64,
    /// E-mails a second.
    pub per_second: f64,
}

/// An identity of SES.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The address or domain that is verified.
    pub name: String,
    /// Whether SES sends for it.
    pub verified: bool,
    /// Whether its messages are signed.
    pub signs: bool,
    /// The state of its DKIM records, such as `SUCCESS`.
    pub dkim: String,
}

impl Identity {
    /// Whether SES sends for it, and signs what it sends.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.verified && self.signs && self.dkim == "SUCCESS"
    }
}

/// Where a configuration set sends its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventDestination {
    /// Whether it is on.
    pub enabled: bool,
    /// The events, such as `BOUNCE`.
    pub events: Vec<String>,
}

/// Executions of Lambda functions at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency {
    /// Of the whole account in this Region.
    pub all: u64,
    /// What no function has reserved for itself.
    pub unreserved: u64,
}

/// An alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Its name.
    pub name: String,
    /// Whether it tells anybody.
    pub enabled: bool,
    /// Whom it tells.
    pub actions: Vec<String>,
}
