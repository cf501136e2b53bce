//! Every alarm of the template, let ring and just not ring by the lines that functions print, and by
//! metrics as AWS's services write them.

use super::{
    cloudwatch::{Alarm, Datum, data_of},
    reference, yaml,
};
use passcode_domain::{
    Channel, Timestamp,
    app::{guard::Mode, policy::FailedVerifies},
    ports::Cause,
};
use passcode_http::Record;
use passcode_runtime::log::Line;
use serde_json::json;
use std::{collections::BTreeSet, time::Duration};
use yaml_serde::Value;

/// When the alarms are asked: 2026-11-10T12:00:00Z, so on the tenth day of a month.
const NOW: u64 = 1_794_312_000;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// What happens before an alarm is asked.
struct World {
    template: Value,
    data: Vec<Datum>,
}

impl World {
    /// So many requests, some seconds ago, that end alike.
    fn requests(self, number: u64, ago: u64, record: &Record) -> Self {
        self.lines_of("otpless-otp-initiate", Some(200), number, ago, record)
    }

    fn lines_of(
        mut self,
        function: &str,
        status: Option<u16>,
        number: u64,
        ago: u64,
        record: &Record,
    ) -> Self {
        let at = NOW - ago;
        let line = Line {
            function,
            request_id: "r-1",
            status,
            at: Timestamp::from_millis(at * 1000),
            took: Duration::from_millis(9),
            record,
        };
        let printed = String::from_utf8(line.print()).expect("text");
        for _ in 0..number {
            let data = printed.lines().flat_map(|line| data_of(&self.template, at, line));
            self.data.extend(data.collect::<Vec<_>>());
        }
        self
    }

    /// The same line, so often.
    fn lines(mut self, number: u64, ago: u64, line: &serde_json::Value) -> Self {
        for _ in 0..number {
            self.data.extend(data_of(&self.template, NOW - ago, &line.to_string()));
        }
        self
    }

    /// A metric of AWS's own.
    fn aws(mut self, name: &str, dimensions: &[(&str, &str)], ago: u64, value: f64) -> Self {
        let (namespace, metric) = name.split_once(' ').expect("namespace and metric");
        self.data.push(Datum {
            namespace: namespace.to_owned(),
            metric: metric.to_owned(),
            dimensions: dimensions.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect(),
            at: NOW - ago,
            value,
        });
        self
    }

    /// The API's answers of a minute: all of them, and those with 5xx.
    fn answers(self, minutes_ago: u64, all: f64, failed: f64) -> Self {
        let (ago, api) = (minutes_ago * MINUTE - 1, [("ApiId", "Api")]);
        self.aws("AWS/ApiGateway Count", &api, ago, all).aws(
            "AWS/ApiGateway 5xx",
            &api,
            ago,
            failed,
        )
    }

    /// What carriers and mail hosts report, of text messages.
    fn receipts(self, number: u64, outcome: &'static str) -> Self {
        self.lines_of("delivery-receipts", None, number, MINUTE, &of(outcome))
    }
}

fn of(outcome: &'static str) -> Record {
    let app = Some("demo".parse().expect("an id"));
    Record { outcome, app, channel: Some(Channel::Sms), ..Record::default() }
}

fn failed() -> Record {
    let mut record = of("unavailable");
    let cause: Cause = "DynamoDB did not answer".into();
    record.error(cause.as_ref());
    record
}

/// A courier has refused the message, and no other one took it.
fn refused() -> Record {
    Record { refused: vec![Channel::Sms], ..of("unavailable") }
}

/// A try of a code of four digits.
fn tried(outcome: &'static str, app: &str, mode: Mode) -> Record {
    let failed_verifies = FailedVerifies { mode, ..FailedVerifies::default() };
    let app = Some(app.parse().expect("an id"));
    Record { app, failed_verifies: Some((failed_verifies, 4)), ..of(outcome) }
}

/// The cases of each alarm: what rings it, and what just does not.
type Case = (&'static str, bool, fn(World) -> World);

const CASES: &[Case] = &[
    // 5 of 500 are 1 %, in two of the last three minutes.
    ("ServerErrorsAlarm", true, |w| w.answers(3, 500.0, 5.0).answers(1, 500.0, 5.0)),
    ("ServerErrorsAlarm", true, |w| {
        w.answers(3, 5.0, 5.0).answers(2, 7.0, 6.0).answers(1, 9.0, 0.0)
    }),
    ("ServerErrorsAlarm", false, |w| w.answers(3, 500.0, 5.0).answers(1, 501.0, 5.0)),
    ("ServerErrorsAlarm", false, |w| {
        w.answers(3, 4.0, 4.0).answers(2, 4.0, 4.0).answers(1, 4.0, 4.0)
    }),
    ("ServerErrorsAlarm", false, |w| w.answers(4, 5.0, 5.0).answers(1, 5.0, 5.0)),
    ("ServerErrorsAlarm", false, |w| {
        let others = [("ApiId", "other")];
        let w = w.answers(2, 500.0, 0.0).answers(1, 500.0, 0.0);
        w.aws("AWS/ApiGateway 5xx", &others, 61, 500.0).aws("AWS/ApiGateway 5xx", &others, 1, 500.0)
    }),
    ("ErrorsAlarm", true, |w| {
        let w = w.answers(2, 500.0, 0.0).answers(1, 500.0, 0.0);
        w.requests(5, 61, &failed()).requests(5, 1, &failed())
    }),
    // Without a request: a function that others than the API call.
    ("ErrorsAlarm", true, |w| w.requests(5, 61, &failed()).requests(5, 1, &failed())),
    ("ErrorsAlarm", true, |w| {
        let report = |status| json!({ "type": "platform.report", "record": { "status": status } });
        let w = w.answers(2, 100.0, 0.0).answers(1, 100.0, 0.0);
        w.lines(5, 61, &report("timeout")).lines(3, 1, &report("error")).lines(
            2,
            1,
            &report("failure"),
        )
    }),
    ("ErrorsAlarm", false, |w| {
        let report = json!({ "type": "platform.report", "record": { "status": "success" } });
        w.lines(50, 61, &report).lines(50, 1, &report).requests(50, 1, &of("refused"))
    }),
    ("ErrorsAlarm", false, |w| {
        let w = w.answers(2, 501.0, 0.0).answers(1, 501.0, 0.0);
        w.requests(5, 61, &failed()).requests(5, 1, &failed())
    }),
    ("ErrorsAlarm", false, |w| w.requests(4, 121, &failed()).requests(4, 61, &failed())),
    ("ErrorsAlarm", false, |w| w.requests(5, 1, &failed())),
    ("ThrottlesAlarm", true, |w| {
        w.aws("AWS/Lambda Throttles", &[], 121, 10.0).aws("AWS/Lambda Throttles", &[], 1, 10.0)
    }),
    ("ThrottlesAlarm", false, |w| {
        w.aws("AWS/Lambda Throttles", &[], 121, 10.0).aws("AWS/Lambda Throttles", &[], 1, 9.0)
    }),
    ("ThrottlesAlarm", false, |w| w.aws("AWS/Lambda Throttles", &[], 1, 1000.0)),
    // 10 of 50.
    ("UndeliveredAlarm", true, |w| w.requests(40, 9, &of("sent")).requests(10, 9, &refused())),
    ("UndeliveredAlarm", true, |w| w.requests(10, 9, &refused())),
    ("UndeliveredAlarm", true, |w| w.requests(50, 9, &of("sent")).receipts(10, "undelivered")),
    ("UndeliveredAlarm", true, |w| {
        w.requests(50, 9, &of("sent")).receipts(9, "bounced").receipts(1, "failed")
    }),
    ("UndeliveredAlarm", false, |w| w.requests(41, 9, &of("sent")).requests(10, 9, &refused())),
    ("UndeliveredAlarm", false, |w| w.requests(9, 9, &refused())),
    ("UndeliveredAlarm", false, |w| {
        w.requests(50, 9, &of("sent")).receipts(50, "delivered").receipts(50, "delayed")
    }),
    ("UndeliveredAlarm", false, |w| w.requests(10, 901, &refused())),
    // A dollar a day, and ten days.
    ("SmsSpendAlarm", true, |w| w.aws("AWS/SNS SMSMonthToDateSpentUSD", &[], 9, 10.01)),
    ("SmsSpendAlarm", false, |w| w.aws("AWS/SNS SMSMonthToDateSpentUSD", &[], 9, 10.0)),
    ("SmsSpendAlarm", false, |w| w.aws("AWS/SNS SMSMonthToDateSpentUSD", &[], 9 * DAY, 30.0)),
    ("BounceRateAlarm", true, |w| w.aws("AWS/SES Reputation.BounceRate", &[], 9, 0.05)),
    ("BounceRateAlarm", false, |w| w.aws("AWS/SES Reputation.BounceRate", &[], 9, 0.0499)),
    ("ComplaintRateAlarm", true, |w| w.aws("AWS/SES Reputation.ComplaintRate", &[], 9, 0.0025)),
    ("ComplaintRateAlarm", false, |w| w.aws("AWS/SES Reputation.ComplaintRate", &[], 9, 0.0024)),
    ("FailedVerifiesAlarm", true, |w| {
        w.requests(40, 9, &tried("incorrect", "demo", Mode::Enforce))
    }),
    ("FailedVerifiesAlarm", false, |w| {
        w.requests(39, 9, &tried("incorrect", "demo", Mode::Enforce))
    }),
    ("FailedVerifiesAlarm", false, |w| {
        w.requests(40, 9, &tried("incorrect", "demo", Mode::Shadow))
    }),
    ("FailedVerifiesAlarm", false, |w| {
        let demo = w.requests(39, 9, &tried("incorrect", "demo", Mode::Enforce));
        demo.requests(39, 9, &tried("incorrect", "shop", Mode::Enforce))
    }),
    // Twenty right ones speak for a wrong one.
    ("FailedVerifiesAlarm", false, |w| {
        let wrong = w.requests(40, 9, &tried("incorrect", "demo", Mode::Enforce));
        wrong.requests(20, 9, &tried("verified", "demo", Mode::Enforce))
    }),
    ("FailedVerifiesAlarm", false, |w| {
        let before = w.requests(20, HOUR + 1, &tried("incorrect", "demo", Mode::Enforce));
        before.requests(20, 9, &tried("incorrect", "demo", Mode::Enforce))
    }),
];

/// The alarms of the template.
pub(super) fn alarms(template: &Value) -> BTreeSet<String> {
    let resources = template["Resources"].as_mapping().expect("resources").iter();
    let alarms = resources.filter(|(_, resource)| resource["Type"] == "AWS::CloudWatch::Alarm");
    alarms.map(|(name, _)| name.as_str().expect("a name").to_owned()).collect()
}

#[test]
fn an_alarm_rings_for_its_reason_and_not_for_a_little_less() {
    for (number, (name, rings, happens)) in CASES.iter().enumerate() {
        let World { template, data } = happens(World { template: yaml(), data: Vec::new() });
        let rang = Alarm::new(&template, name).rings(&data, NOW);
        assert_eq!(rang, *rings, "{name}, case {number}");
    }
}

#[test]
fn every_alarm_has_a_case_that_rings_it_and_one_that_does_not_and_rings_for_nothing_never() {
    let template = yaml();
    for rings in [true, false] {
        let with_case = CASES.iter().filter(|case| case.1 == rings);
        let with_case: BTreeSet<_> = with_case.map(|(name, ..)| (*name).to_owned()).collect();
        assert_eq!(with_case, alarms(&template), "rings: {rings}");
    }
    for name in alarms(&template) {
        assert!(!Alarm::new(&template, &name).rings(&[], NOW), "{name} without data");
    }
}

#[test]
fn every_alarm_tells_the_topic_and_what_it_is_about() {
    let template = yaml();
    for name in alarms(&template) {
        let alarm = &template["Resources"][&name]["Properties"];
        let Value::Tagged(actions) = &alarm["AlarmActions"] else { panic!("{name}") };
        assert_eq!((&actions.value[0], actions.tag == "If"), (&"HasAlarmTopic".into(), true));
        assert_eq!(reference(&actions.value[1][0]), Some("AlarmTopic"), "{name}");
        assert!(alarm["AlarmDescription"].as_str().is_some_and(|text| text.len() > 20), "{name}");
        assert!(alarm["AlarmName"].is_null(), "{name}: two stacks would not fit into one account");
    }
}

/// Each is a `MetricName` that no code of ours writes, and so no misspelt one of ours.
#[test]
fn a_metric_of_an_alarm_in_our_namespace_is_one_that_is_written() {
    use passcode_runtime::log::{METRICS, NAMESPACE, REFUSED_METRIC};
    let (template, mut checked) = (yaml(), 0);
    let filters = ["Errors"];
    let written = METRICS.map(|(_, metric)| metric);
    for name in alarms(&template) {
        let queries = template["Resources"][&name]["Properties"]["Metrics"].as_sequence();
        for metric in queries.into_iter().flatten().map(|query| &query["MetricStat"]["Metric"]) {
            if metric["Namespace"] == NAMESPACE {
                let metric = metric["MetricName"].as_str().expect("a name");
                let others = [&filters[..], &written, &[REFUSED_METRIC]].concat();
                assert!(others.contains(&metric), "{name}: nobody writes {metric}");
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 5);
}
