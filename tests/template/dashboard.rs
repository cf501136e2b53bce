//! The dashboard of the template: what it draws is written by somebody, and it draws every alarm.

use super::{alarms, yaml};
use passcode_domain::{Channel, Timestamp, app::guard::Rule};
use passcode_http::Record;
use passcode_runtime::log::{Line, METRICS, NAMESPACE, REFUSED_METRIC};
use serde_json::Value;
use std::{collections::BTreeSet, time::Duration};

/// Its body, with the names of resources in the place of what `CloudFormation` fills in.
fn body() -> Value {
    let template = yaml();
    let yaml_serde::Value::Tagged(body) =
        &template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]
    else {
        panic!("the dashboard names resources");
    };
    let mut text = body.value.as_str().expect("a text").to_owned();
    while let Some((before, rest)) = text.split_once("${") {
        let (name, after) = rest.split_once('}').expect("an end");
        let resource = name.trim_end_matches(".Arn");
        let is_known = resource == "AWS::Region" || !template["Resources"][resource].is_null();
        assert!(is_known, "{name} is no resource");
        text = format!("{before}{resource}{after}");
    }
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn widgets(kind: &str) -> Vec<Value> {
    let widgets = body()["widgets"].as_array().expect("widgets").clone();
    widgets.into_iter().filter(|widget| widget["type"] == kind).collect()
}

/// The fields of lines, by any kind of request.
fn fields() -> BTreeSet<String> {
    let lines = METRICS.into_iter().flat_map(|(outcome, _)| {
        let record = Record {
            outcome,
            channel: Some(Channel::Sms),
            country: Some("US".parse().expect("a country")),
            rule: Some(Rule::SendsPerIp),
            ..Record::default()
        };
        let line = Line {
            function: "f",
            request_id: "r",
            status: Some(200),
            at: Timestamp::from_millis(0),
            took: Duration::ZERO,
            record: &record,
        };
        let printed: Value = serde_json::from_slice(&line.print()).expect("a line");
        printed.as_object().expect("an object").keys().cloned().collect::<Vec<_>>()
    });
    lines.collect()
}

#[test]
fn its_metrics_are_written_by_somebody() {
    let mut own = BTreeSet::new();
    for widget in widgets("metric") {
        for metric in widget["properties"]["metrics"].as_array().expect("metrics") {
            if metric[0] == NAMESPACE {
                own.insert(metric[1].as_str().expect("a name").to_owned());
            }
        }
    }
    let written = METRICS.map(|(_, metric)| metric).into_iter();
    let written: BTreeSet<_> =
        written.chain([REFUSED_METRIC, "Errors"]).map(str::to_owned).collect();
    assert_eq!(own, written);
}

#[test]
fn its_queries_ask_for_fields_of_the_log() {
    let fields = fields();
    let queries = widgets("log");
    assert_eq!(queries.len(), 3);
    for query in queries {
        let query = query["properties"]["query"].as_str().expect("a query");
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut asked = 0;
        for (place, _) in query.match_indices(['(', ' ', ',']) {
            let rest = query[place..].trim_start_matches(['(', ' ', ',']);
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            // A word is a field, unless it is quoted, called, a word of the language or given as a name.
            let before = query[..place].trim_end();
            let is_given = before.ends_with(" as") || query.contains(&format!(" as {word}"));
            let is_language = ["SOURCE", "filter", "stats", "by", "sort", "desc", "or", "as", "in"];
            if word.is_empty()
                || after.starts_with('(')
                || is_given
                || is_language.contains(&word)
                || word.bytes().all(|b| b.is_ascii_digit())
            {
                continue;
            }
            assert!(fields.contains(word), "{word} is no field: {query}");
            asked += 1;
        }
        assert!(asked > 2, "{query}");
    }
}

#[test]
fn it_has_every_alarm_and_no_widget_on_another() {
    let listed = widgets("alarm").remove(0)["properties"]["alarms"].clone();
    let listed: BTreeSet<String> = serde_json::from_value(listed).expect("names");
    assert_eq!(listed, alarms::alarms(&yaml()));
    let mut taken = BTreeSet::new();
    for widget in body()["widgets"].as_array().expect("widgets") {
        let number = |name: &str| widget[name].as_u64().expect("a number");
        for x in number("x")..number("x") + number("width") {
            for y in number("y")..number("y") + number("height") {
                assert!(x < 24 && taken.insert((x, y)), "{widget}");
            }
        }
    }
}
