//! The request log: one JSON line a request, which is also its metrics, in `CloudWatch`'s embedded
//! metric format. Metrics count challenges, and what became of their messages, by app and channel and all
//! together; what the guard refuses they count by app and rule, and what carriers report of text messages also by
//! country. A rule in shadow has a line of its own for each request that it would have refused, and so has a code
//! that was tried, for the alarm, and a message that a courier refused.

use metrique_writer::{Entry, EntryWriter, format::Format as _};
use metrique_writer_format_emf::{Emf, NoMetric};
use passcode_domain::{
    App, Channel, Timestamp,
    app::guard::{Mode, Rule},
};
use passcode_http::Record;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The `CloudWatch` namespace.
pub const NAMESPACE: &str = "Passcode";

/// The outcomes that are counted, with their metrics.
pub const METRICS: [(&str, &str); 14] = [
    ("sent", "Sent"),
    ("verified", "Verified"),
    ("incorrect", "Incorrect"),
    ("expired", "Expired"),
    ("exhausted", "Exhausted"),
    ("throttled", "Throttled"),
    ("blocked", "Blocked"),
    ("concealed", "Concealed"),
    ("refused", "Refused"),
    ("delivered", "Delivered"),
    ("undelivered", "Undelivered"),
    ("failed", "Undelivered"),
    ("bounced", "Bounced"),
    ("complained", "Complained"),
];

/// The outcomes that are counted by country as well: what carriers report. Each metric of each country costs, and
/// the log has the country of every message.
const BY_COUNTRY: [&str; 3] = ["delivered", "undelivered", "failed"];

/// The metric of rules in shadow.
pub const SHADOW_METRIC: &str = "ShadowBlocked";

/// Of a wrong code, PIN or password: what part of those that its app allows in an hour it is, in per
/// cent. An hour that adds up to 100 for an app is an alarm, which the template has.
pub const ALARM_METRIC: &str = "FailedVerifies";

/// The same of apps whose alarm is in shadow.
pub const SHADOW_ALARM_METRIC: &str = "ShadowFailedVerifies";

/// The metric of messages that a courier has refused when they were handed over.
pub const REFUSED_METRIC: &str = "CourierRefused";

/// What the first such request of a day is logged with.
const WITHOUT_CLIENT_IP: &str =
    "no Passcode-Client-IP: the detectors of countries and prefixes only record";

/// The metric of parts of apps that could not be read, by app.
pub const DROPPED_METRIC: &str = "AppPartsDropped";

/// One line of the log.
#[derive(Debug)]
pub struct Line<'a> {
    /// The function that served the request.
    pub function: &'a str,
    /// The id of the invocation.
    pub request_id: &'a str,
    /// The HTTP status of the answer; none of what is no request.
    pub status: Option<u16>,
    /// When the request came.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub record: &'a Record,
}

impl Entry for Line<'_> {
    fn write<'a>(&'a self, writer: &mut impl EntryWriter<'a>) {
        let record = self.record;
        let micros = u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX);
        writer.timestamp(at(self.at));
        writer.value("level", if record.error.is_some() { "ERROR" } else { "INFO" });
        writer.value("requestId", self.request_id);
        writer.value("function", self.function);
        writer.value("outcome", record.outcome);
        if let Some(status) = self.status {
            writer.value("status", &NoMetric::from(u64::from(status)));
        }
        writer.value("durationMicros", &NoMetric::from(micros));
        writer.value("app", record.app.as_ref().map_or("none", |app| app.as_str()));
        writer.value("channel", record.channel.map_or("none", |channel| channel.as_str()));
        if let Some(country) = &record.country {
            writer.value("country", country.as_str());
        }
        if let Some(reason) = record.reason {
            writer.value("reason", reason);
        }
        if let Some(rule) = record.rule {
            writer.value("rule", rule.as_str());
        }
        if !record.shadow.is_empty() {
            let names: Vec<_> = record.shadow.iter().map(|rule| rule.as_str()).collect();
            writer.value("shadow", names.join(" ").as_str());
        }
        if record.lacks_client_ip {
            writer.value("warning", WITHOUT_CLIENT_IP);
        }
        if let Some(challenge) = &record.challenge {
            writer.value("challenge", challenge.as_str());
        }
        if let Some(error) = &record.error {
            writer.value("error", error.as_str());
        }
        let counted = METRICS.iter().find(|(outcome, _)| *outcome == record.outcome);
        if let Some((_, metric)) = counted {
            writer.value(*metric, &1u64);
        }
    }
}

impl Line<'_> {
    /// The line as it is printed, with its line break.
    #[must_use]
    pub fn print(&self) -> Vec<u8> {
        let own = match self.record.rule {
            Some(_) => ["app", "rule"],
            None => ["app", "channel"],
        };
        // All apps together as well: whoever guesses at many subjects of many apps is seen there.
        let mut dimensions: Vec<&[&str]> = vec![&own, &[]];
        if self.record.country.is_some() && BY_COUNTRY.contains(&self.record.outcome) {
            dimensions.push(&["country"]);
        }
        let mut printed = print(self, &dimensions);
        for rule in &self.record.shadow {
            printed.extend(print(&Shadow { line: self, rule: *rule }, &[&["app", "rule"]]));
        }
        for channel in &self.record.refused {
            let refused = CourierRefused { line: self, channel: *channel };
            printed.extend(print(&refused, &[&["app", "channel"], &[]]));
        }
        if let Some(failed) = Failed::of(self) {
            printed.extend(print(&failed, &[&["app"]]));
        }
        printed
    }

    /// What the lines beside the request's own begin with.
    fn begin<'a>(&'a self, writer: &mut impl EntryWriter<'a>) {
        writer.timestamp(at(self.at));
        writer.value("level", "INFO");
        writer.value("requestId", self.request_id);
        writer.value("function", self.function);
        writer.value("app", self.record.app.as_ref().map_or("none", |app| app.as_str()));
    }
}

/// A try of a code, PIN or password.
struct Failed<'a> {
    line: &'a Line<'a>,
    metric: &'static str,
    percent: f64,
}

impl<'a> Failed<'a> {
    fn of(line: &'a Line<'a>) -> Option<Self> {
        let (failed, digits) = line.record.failed_verifies?;
        let is_right = match line.record.outcome {
            "verified" => true,
            "incorrect" => false,
            _ => return None,
        };
        let metric = match failed.mode {
            Mode::Enforce => ALARM_METRIC,
            Mode::Shadow => SHADOW_ALARM_METRIC,
            Mode::Off => return None,
        };
        Some(Self { line, metric, percent: failed.weight(digits, is_right) })
    }
}

impl Entry for Failed<'_> {
    fn write<'a>(&'a self, writer: &mut impl EntryWriter<'a>) {
        self.line.begin(writer);
        writer.value(self.metric, &self.percent);
    }
}

/// A message that a courier has refused.
struct CourierRefused<'a> {
    line: &'a Line<'a>,
    channel: Channel,
}

impl Entry for CourierRefused<'_> {
    fn write<'a>(&'a self, writer: &mut impl EntryWriter<'a>) {
        self.line.begin(writer);
        writer.value("channel", self.channel.as_str());
        writer.value(REFUSED_METRIC, &1u64);
    }
}

/// One rule in shadow.
struct Shadow<'a> {
    line: &'a Line<'a>,
    rule: Rule,
}

impl Entry for Shadow<'_> {
    fn write<'a>(&'a self, writer: &mut impl EntryWriter<'a>) {
        self.line.begin(writer);
        writer.value("rule", self.rule.as_str());
        writer.value(SHADOW_METRIC, &1u64);
    }
}

/// What of an app could not be read.
struct Dropped<'a> {
    app: &'a App,
    at: Timestamp,
}

impl Entry for Dropped<'_> {
    fn write<'a>(&'a self, writer: &mut impl EntryWriter<'a>) {
        let parts: Vec<_> = self.app.dropped_parts.iter().map(|part| printable(part)).collect();
        writer.timestamp(at(self.at));
        writer.value("level", "WARN");
        writer.value("app", self.app.id.as_str());
        writer.value("droppedParts", parts.join(" ").as_str());
        writer.value(DROPPED_METRIC, &(parts.len() as u64));
    }
}

/// The line of an app of which parts could not be read: their paths, and no value.
#[must_use]
pub fn dropped_parts(app: &App, at: Timestamp) -> Vec<u8> {
    print(&Dropped { app, at }, &[&["app"]])
}

/// A path may end in a name that somebody has given. Where it holds more than lower-case letters, it
/// is not repeated, so that no address reaches the log.
fn printable(path: &str) -> String {
    let is_plain =
        |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b"_.[]".contains(&b));
    let name = path.trim_end_matches(|c: char| c.is_ascii_digit() || c == ']');
    match path.split_once('.') {
        _ if is_plain(name) && name.len() + 8 > path.len() => path.to_owned(),
        Some((setting, _)) if is_plain(setting) => format!("{setting}.?"),
        _ => "?".to_owned(),
    }
}

fn print(entry: &impl Entry, dimensions: &[&[&str]]) -> Vec<u8> {
    let owned = |set: &&[&str]| set.iter().map(|name| (*name).to_owned()).collect();
    let dimensions = dimensions.iter().map(owned).collect();
    let mut printed = Vec::with_capacity(512);
    // Every line has its dimensions and names that differ, so there is nothing to validate.
    let result = Emf::no_validations(NAMESPACE.to_owned(), dimensions).format(entry, &mut printed);
    if result.is_err() {
        printed = b"{\"level\":\"ERROR\",\"error\":\"a log line could not be printed\"}\n".to_vec();
    }
    printed
}

fn at(moment: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(moment.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use passcode_domain::app::policy::FailedVerifies;
    use serde_json::{Value, json};

    fn line(record: &Record) -> Value {
        let mut lines = lines(record);
        assert_eq!(lines.len(), 1, "one line: {lines:?}");
        lines.remove(0)
    }

    fn of(outcome: &'static str) -> Record {
        Record { outcome, app: Some("demo".parse().unwrap()), ..Record::default() }
    }

    fn lines(record: &Record) -> Vec<Value> {
        let line = Line {
            function: "rollout-otp-verify",
            request_id: "r-1",
            status: Some(200),
            at: Timestamp::from_millis(1_800_000_000_000),
            took: Duration::from_micros(1500),
            record,
        };
        let printed = String::from_utf8(line.print()).unwrap();
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_says_who_what_and_how_long() {
        let record = Record {
            app: Some("demo".parse().unwrap()),
            challenge: Some("a name".to_owned()),
            channel: Some(Channel::Sms),
            country: Some("US".parse().unwrap()),
            ..of("verified")
        };
        assert_eq!(
            line(&record),
            json!({
                "_aws": {
                    "CloudWatchMetrics": [{
                        "Namespace": "Passcode",
                        "Dimensions": [["app", "channel"], []],
                        "Metrics": [{"Name": "Verified"}],
                    }],
                    "Timestamp": 1_800_000_000_000u64,
                },
                "level": "INFO",
                "requestId": "r-1",
                "function": "rollout-otp-verify",
                "outcome": "verified",
                "status": 200,
                "durationMicros": 1500,
                "app": "demo",
                "channel": "sms",
                "country": "US",
                "challenge": "a name",
                "Verified": 1,
            })
        );
    }

    #[test]
    fn what_the_guard_says_is_counted_by_app_and_rule() {
        let record = Record { rule: Some(Rule::SendsPerIp), ..of("throttled") };
        let printed = line(&record);
        let metrics = &printed["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(metrics["Dimensions"], json!([["app", "rule"], []]));
        assert_eq!((&printed["rule"], &printed["Throttled"]), (&json!("sends_per_ip"), &json!(1)));

        let record =
            Record { shadow: vec![Rule::PrefixConcentration, Rule::SpendCap], ..of("sent") };
        let printed = lines(&record);
        assert_eq!(printed.len(), 3);
        assert_eq!(printed[0]["shadow"], "prefix_concentration spend_cap");
        assert_eq!((&printed[0]["Sent"], &printed[0]["rule"]), (&json!(1), &Value::Null));
        for (line, rule) in printed[1..].iter().zip(["prefix_concentration", "spend_cap"]) {
            assert_eq!((&line["rule"], &line["ShadowBlocked"]), (&json!(rule), &json!(1)));
            let metrics = &line["_aws"]["CloudWatchMetrics"][0];
            assert_eq!(metrics["Dimensions"], json!([["app", "rule"]]));
        }
    }

    #[test]
    fn a_refusal_of_a_courier_is_counted_though_another_took_the_message() {
        let record =
            Record { channel: Some(Channel::Email), refused: vec![Channel::Sms], ..of("sent") };
        let printed = lines(&record);
        assert_eq!((&printed[0]["channel"], &printed[0]["Sent"]), (&json!("email"), &json!(1)));
        let refused = &printed[1];
        assert_eq!((&refused["channel"], &refused["CourierRefused"]), (&json!("sms"), &json!(1)));
        let metrics = &refused["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(metrics["Dimensions"], json!([["app", "channel"], []]));
    }

    #[test]
    fn wrong_codes_of_an_app_add_up_to_an_alarm() {
        let failed = |mode, per_hour| {
            let failed_verifies = Some((FailedVerifies { mode, per_hour }, 4));
            lines(&Record { failed_verifies, ..of("incorrect") })
        };
        let enforced = failed(Mode::Enforce, 200);
        let metrics = &enforced[1]["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(metrics["Dimensions"], json!([["app"]]));
        assert_eq!(metrics["Metrics"], json!([{ "Name": "FailedVerifies" }]));
        let percent: f64 = (0..200).map(|_| enforced[1]["FailedVerifies"].as_f64().unwrap()).sum();
        assert!((percent - 100.0).abs() < 1e-9, "{percent}");
        assert_eq!(failed(Mode::Shadow, 8)[1]["ShadowFailedVerifies"], 12.5);
        assert_eq!(failed(Mode::Off, 8).len(), 1);
        let failed_verifies = Some((FailedVerifies { mode: Mode::Enforce, per_hour: 50 }, 6));
        let verified = lines(&Record { failed_verifies, ..of("verified") });
        assert_eq!(verified[1]["FailedVerifies"], -0.001, "a twentieth of a wrong one");
        let expired = Record { failed_verifies, ..of("expired") };
        assert_eq!(lines(&expired).len(), 1, "what is not looked at tells nothing");
    }

    #[test]
    fn what_carriers_report_is_counted_by_country_as_well() {
        let country = Some("DE".parse().unwrap());
        let printed = line(&Record { country, channel: Some(Channel::Sms), ..of("failed") });
        let metrics = &printed["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(metrics["Dimensions"], json!([["app", "channel"], [], ["country"]]));
        assert_eq!((&printed["country"], &printed["Undelivered"]), (&json!("DE"), &json!(1)));
    }

    #[test]
    fn an_outcome_that_is_no_metric_counts_nothing() {
        let printed = line(&of("created"));
        let metrics = &printed["_aws"]["CloudWatchMetrics"];
        assert!(metrics.to_string().matches("Name\"").count() == 0, "{metrics}");
    }

    #[test]
    fn a_line_break_in_a_cause_cannot_forge_a_line() {
        let cause: passcode_domain::ports::Cause = "first\n{\"forged\":true}".into();
        let printed = line(&{
            let mut record = of("unavailable");
            record.error(cause.as_ref());
            record
        });
        assert_eq!(printed["level"], "ERROR");
        assert_eq!(printed["error"], "first\n{\"forged\":true}");
    }

    #[test]
    fn parts_of_an_app_that_could_not_be_read_are_named_and_counted_without_values() {
        let paths =
            ["policy.max_sends", "test_addresses[12]", "step_up.14155550100", "a@b.example"];
        let app = App {
            dropped_parts: paths.map(str::to_owned).into(),
            ..App::new("shop".parse().unwrap(), "Shop")
        };
        let line = dropped_parts(&app, Timestamp::from_millis(1_800_000_000_000));
        let line: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!((&line["AppPartsDropped"], &line["app"]), (&json!(4), &json!("shop")));
        assert_eq!(line["droppedParts"], "policy.max_sends test_addresses[12] step_up.? ?");
    }
}
