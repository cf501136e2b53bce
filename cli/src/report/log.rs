//! The lines of functions, added up.

use crate::lines;
use passcode_domain::{AppId, Channel, Timestamp, value::country::Country};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    ops::{AddAssign, RangeInclusive},
};

/// What `CloudWatch` adds to each line that it stores, in bytes.
const OVERHEAD: usize = 26;

/// A line, as far as it is read.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "_aws")]
    aws: Stamp,
    function: String,
    app: AppName,
    outcome: Option<String>,
    status: Option<u16>,
    #[serde(rename = "durationMicros", default)]
    micros: u64,
    channel: Option<String>,
    country: Option<Country>,
    reason: Option<String>,
    rule: Option<String>,
    #[serde(default)]
    shadow: String,
    #[serde(rename = "CourierRefused", default)]
    refused_by_courier: u64,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct AppName(String);

#[derive(Deserialize)]
struct Stamp {
    #[serde(rename = "Timestamp")]
    at: u64,
}

/// The messages that are counted together: of a channel, and to a country where it is a text message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Destination {
    /// Whether they are e-mails.
    pub(super) is_email: bool,
    /// Where text messages go, as far as the log says it.
    pub(super) country: Option<Country>,
}

/// The steps of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Funnel {
    /// A courier took them.
    pub(super) sent: usize,
    /// They arrived.
    pub(super) delivered: usize,
    /// They did not arrive.
    pub(super) lost: usize,
    /// Their challenges were verified.
    pub(super) verified: usize,
}

impl AddAssign for Funnel {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.delivered += other.delivered;
        self.lost += other.lost;
        self.verified += other.verified;
    }
}

impl Funnel {
    /// Whether something was reported of the messages.
    pub(super) const fn has_receipts(&self) -> bool {
        self.delivered + self.lost > 0
    }
}

/// What a rule has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Refusals {
    /// Told to the caller.
    pub(super) refused: usize,
    /// Answered as success.
    pub(super) concealed: usize,
    /// Of a rule in shadow: would have been refused.
    pub(super) in_shadow: usize,
}

impl Refusals {
    pub(super) const fn all(self) -> usize {
        self.refused + self.concealed + self.in_shadow
    }
}

/// A log, added up.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// The times of the first and the last request.
    pub(super) period: Option<RangeInclusive<Timestamp>>,
    /// Requests to the API.
    pub(super) requests: usize,
    /// What the log takes in `CloudWatch`, in bytes.
    pub(super) bytes: usize,
    /// Lines that are none of a function.
    pub(super) skipped: usize,
    pub(super) messages: BTreeMap<Destination, Funnel>,
    /// Why messages were lost, as far as it was reported.
    pub(super) reasons: BTreeMap<String, usize>,
    /// Messages that a courier has refused.
    pub(super) refused_by_couriers: usize,
    /// By rule, or by the contract and the policy.
    pub(super) refusals: BTreeMap<String, Refusals>,
    /// How often each outcome was, with the channel.
    pub(super) outcomes: BTreeMap<(String, Option<String>), usize>,
    /// What each function took for each request, in microseconds, in ascending order.
    pub(super) micros: BTreeMap<String, Vec<u64>>,
}

/// The outcomes of receipts of messages that did not arrive.
const LOST: [&str; 3] = ["undelivered", "failed", "bounced"];

/// What refuses where no rule of the guard does.
const CONTRACT: &str = "contract or policy";

impl Tally {
    /// Adds up the lines of a text; of one app, if it is given.
    pub(super) fn read(text: &[u8], app: Option<&AppId>) -> Result<Self, &'static str> {
        let mut tally = Self::default();
        for (_, text) in lines::numbered(text)? {
            let json = text.find('{').map(|start| &text[start..]);
            match json.and_then(|json| Some((json, serde_json::from_str::<Line>(json).ok()?))) {
                Some((json, line)) if app.is_none_or(|app| app.as_str() == line.app.0) => {
                    tally.bytes += json.len() + OVERHEAD;
                    tally.add(line);
                }
                Some(_) => {}
                None => tally.skipped += 1,
            }
        }
        tally.micros.values_mut().for_each(|micros| micros.sort_unstable());
        Ok(tally)
    }

    fn add(&mut self, line: Line) {
        self.refused_by_couriers += usize::from(line.refused_by_courier > 0);
        // The lines beside a request's own have no outcome.
        let Some(outcome) = line.outcome else { return };
        let at = Timestamp::from_millis(line.aws.at);
        let period = self.period.take().unwrap_or(at..=at);
        self.period = Some(at.min(*period.start())..=at.max(*period.end()));
        if line.status.is_some() {
            self.requests += 1;
            self.micros.entry(line.function).or_default().push(line.micros);
        }
        self.add_message(&outcome, line.channel.as_deref(), line.country);
        self.add_refusals(&outcome, line.rule, &line.shadow);
        if let Some(reason) = line.reason.filter(|_| LOST.contains(&&*outcome)) {
            *self.reasons.entry(reason).or_default() += 1;
        }
        *self.outcomes.entry((outcome, line.channel)).or_default() += 1;
    }

    fn add_message(&mut self, outcome: &str, channel: Option<&str>, country: Option<Country>) {
        let is_email = channel == Some(Channel::Email.as_str());
        if !is_email && channel != Some(Channel::Sms.as_str()) {
            return;
        }
        let mut step = Funnel::default();
        match outcome {
            "sent" => step.sent = 1,
            "delivered" => step.delivered = 1,
            lost if LOST.contains(&lost) => step.lost = 1,
            "verified" => step.verified = 1,
            _ => return,
        }
        *self.messages.entry(Destination { is_email, country }).or_default() += step;
    }

    fn add_refusals(&mut self, outcome: &str, rule: Option<String>, shadow: &str) {
        let rule = rule.unwrap_or_else(|| CONTRACT.to_owned());
        match outcome {
            "throttled" | "blocked" | "refused" => {
                self.refusals.entry(rule).or_default().refused += 1;
            }
            "concealed" => self.refusals.entry(rule).or_default().concealed += 1,
            _ => {}
        }
        for rule in shadow.split_whitespace() {
            self.refusals.entry(rule.to_owned()).or_default().in_shadow += 1;
        }
    }

    /// How many requests ended so, on all channels.
    pub(super) fn outcome(&self, name: &str) -> usize {
        self.outcomes.iter().filter(|((outcome, _), _)| outcome == name).map(|(_, n)| n).sum()
    }

    /// The messages of one kind together, and by country, most first. Beyond so many countries the others
    /// are one.
    pub(super) fn rows(&self, most: usize) -> Vec<(String, Funnel)> {
        let together = |is_email: bool| {
            let of_kind = self
                .messages
                .iter()
                .filter(move |(destination, _)| destination.is_email == is_email);
            sum(of_kind.map(|(_, funnel)| *funnel))
        };
        let texts = self.messages.iter().filter(|(destination, _)| !destination.is_email);
        let name = |destination: &Destination| {
            destination.country.map_or("country unknown".to_owned(), |c| c.to_string())
        };
        let mut countries: Vec<_> = texts
            .map(|(destination, funnel)| (format!("  {}", name(destination)), *funnel))
            .collect();
        countries.sort_by_key(|(_, funnel)| std::cmp::Reverse(funnel.sent));
        if countries.len() > most {
            let others = countries.split_off(most.saturating_sub(1));
            let number = others.len();
            countries.push((format!("  {number} others"), sum(others.into_iter().map(|(_, f)| f))));
        }
        let all = ("all messages".to_owned(), sum(self.messages.values().copied()));
        let texts = ("text messages".to_owned(), together(false));
        let emails = ("e-mails".to_owned(), together(true));
        [all, texts].into_iter().chain(countries).chain([emails]).collect()
    }

    /// What refused, most first.
    pub(super) fn refusals(&self) -> Vec<(&str, Refusals)> {
        let mut refusals: Vec<_> =
            self.refusals.iter().map(|(rule, refusals)| (rule.as_str(), *refusals)).collect();
        refusals.sort_by_key(|(_, refusals)| std::cmp::Reverse(refusals.all()));
        refusals
    }
}

fn sum(funnels: impl Iterator<Item = Funnel>) -> Funnel {
    let mut all = Funnel::default();
    funnels.for_each(|funnel| all += funnel);
    all
}
