//! What `CloudWatch` makes of log lines and of an alarm, as far as the template's alarms use it: metrics of
//! lines in the embedded metric format and of metric filters, metric math, Metrics Insights, and how many
//! of the last periods must breach. What it does not know is a panic, so that no alarm passes by it.

use serde_json::Value as Json;
use std::collections::BTreeMap;
use yaml_serde::Value;

/// A value of a metric.
#[derive(Clone, Debug)]
pub(super) struct Datum {
    pub(super) namespace: String,
    pub(super) metric: String,
    pub(super) dimensions: BTreeMap<String, String>,
    /// In seconds since 1970.
    pub(super) at: u64,
    pub(super) value: f64,
}

/// The values of a line: those of its own metrics, and those of the template's metric filters.
pub(super) fn data_of(template: &Value, at: u64, line: &str) -> Vec<Datum> {
    let line: Json = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    let mut data = filtered(template, at, &line);
    for directive in line["_aws"]["CloudWatchMetrics"].as_array().into_iter().flatten() {
        let text = |value: &Json| value.as_str().expect("a text").to_owned();
        for names in directive["Dimensions"].as_array().expect("sets of dimensions") {
            let names = names.as_array().expect("a set").iter().map(text);
            let dimensions: BTreeMap<_, _> =
                names.map(|name| (name.clone(), text(&line[&name]))).collect();
            for metric in directive["Metrics"].as_array().expect("metrics") {
                let metric = text(&metric["Name"]);
                data.push(Datum {
                    namespace: text(&directive["Namespace"]),
                    value: line[&metric].as_f64().expect("a number"),
                    metric,
                    dimensions: dimensions.clone(),
                    at,
                });
            }
        }
    }
    data
}

fn filtered(template: &Value, at: u64, line: &Json) -> Vec<Datum> {
    let resources = template["Resources"].as_mapping().expect("resources").values();
    let filters = resources.filter(|resource| resource["Type"] == "AWS::Logs::MetricFilter");
    let filters = filters.map(|filter| &filter["Properties"]);
    let matching = filters
        .filter(|filter| matches(filter["FilterPattern"].as_str().expect("a pattern"), line));
    let transformations = matching
        .flat_map(|filter| filter["MetricTransformations"].as_sequence().expect("transformations"));
    let datum = |transformation: &Value| Datum {
        namespace: string(&transformation["MetricNamespace"]),
        metric: string(&transformation["MetricName"]),
        dimensions: BTreeMap::new(),
        at,
        value: string(&transformation["MetricValue"]).parse().expect("a number"),
    };
    transformations.map(datum).collect()
}

/// `{ ($.a.b = "c") || … }`.
fn matches(pattern: &str, line: &Json) -> bool {
    let inner = pattern.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    inner.expect("a pattern for JSON").split("||").any(|term| {
        let term = term.trim().strip_prefix("($.").and_then(|rest| rest.strip_suffix("\")"));
        let (path, text) = term.and_then(|term| term.split_once(" = \"")).expect("a comparison");
        line.pointer(&format!("/{}", path.replace('.', "/"))).is_some_and(|found| found == text)
    })
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value:?} is no text")).to_owned()
}

/// An alarm of the template.
pub(super) struct Alarm<'a> {
    template: &'a Value,
    properties: &'a Value,
}

/// From when, inclusive, until when, exclusive.
type Window = (u64, u64);

impl<'a> Alarm<'a> {
    pub(super) fn new(template: &'a Value, name: &str) -> Self {
        Self { template, properties: &template["Resources"][name]["Properties"] }
    }

    /// Whether it rings at a moment.
    pub(super) fn rings(&self, data: &[Datum], now: u64) -> bool {
        let number = |name: &str| self.properties[name].as_u64();
        let periods = number("EvaluationPeriods").expect("periods");
        let breaching = (0..periods).filter(|ago| {
            let end = now - ago * self.period();
            self.value((end - self.period(), end), data).is_some_and(|value| self.breaches(value))
        });
        let missing = &self.properties["TreatMissingData"];
        assert!(missing == "notBreaching" || missing == "ignore", "{missing:?}");
        breaching.count() as u64 >= number("DatapointsToAlarm").unwrap_or(periods)
    }

    fn breaches(&self, value: f64) -> bool {
        let threshold = self.properties["Threshold"].as_f64().expect("a threshold");
        match self.properties["ComparisonOperator"].as_str() {
            Some("GreaterThanOrEqualToThreshold") => value >= threshold,
            Some("GreaterThanThreshold") => value > threshold,
            other => panic!("{other:?} is not compared here"),
        }
    }

    fn queries(&self) -> &'a [Value] {
        self.properties["Metrics"].as_sequence().map_or(&[], Vec::as_slice)
    }

    /// The period of all its metrics.
    fn period(&self) -> u64 {
        let of_query = |query: &Value| {
            query["Period"].as_u64().or_else(|| query["MetricStat"]["Period"].as_u64())
        };
        let own = self.properties["Period"].as_u64();
        let mut periods: Vec<_> = self.queries().iter().filter_map(of_query).chain(own).collect();
        periods.dedup();
        assert_eq!(periods.len(), 1, "one period: {:?}", self.properties);
        periods[0]
    }

    /// What it watches.
    fn value(&self, window: Window, data: &[Datum]) -> Option<f64> {
        let queries = self.queries();
        if queries.is_empty() {
            return self.statistic(self.properties, &self.properties["Statistic"], window, data);
        }
        assert!(queries.iter().filter(|query| !query["MetricStat"].is_null()).count() <= 10);
        let returned: Vec<_> = queries.iter().filter(|q| q["ReturnData"] != false).collect();
        assert_eq!(returned.len(), 1, "an alarm watches one value");
        self.query(returned[0], window, data)
    }

    fn query(&self, query: &Value, window: Window, data: &[Datum]) -> Option<f64> {
        let stat = &query["MetricStat"];
        if !stat.is_null() {
            return self.statistic(&stat["Metric"], &stat["Stat"], window, data);
        }
        let expression = self.text(&query["Expression"]);
        if expression.starts_with("SELECT ") {
            return worst_of_groups(&expression, window, data);
        }
        let by_name = |name: &str| {
            let named = self.queries().iter().find(|query| query["Id"] == name);
            self.query(named.unwrap_or_else(|| panic!("{name} is no id")), window, data)
        };
        Math { rest: &expression, by_name: &by_name, window }.whole()
    }

    fn statistic(
        &self,
        metric: &Value,
        stat: &Value,
        window: Window,
        data: &[Datum],
    ) -> Option<f64> {
        let dimensions = metric["Dimensions"].as_sequence().into_iter().flatten();
        let dimensions: BTreeMap<_, _> =
            dimensions.map(|d| (string(&d["Name"]), self.text(&d["Value"]))).collect();
        let found = data.iter().filter(|datum| {
            metric["Namespace"] == *datum.namespace
                && metric["MetricName"] == *datum.metric
                && dimensions == datum.dimensions
                && (window.0..window.1).contains(&datum.at)
        });
        let values = found.map(|datum| datum.value);
        match stat.as_str() {
            Some("Sum") => values.reduce(|sum, value| sum + value),
            Some("Maximum") => values.reduce(f64::max),
            other => panic!("{other:?} is no statistic here"),
        }
    }

    /// A text, with the names of resources and the defaults of parameters filled in.
    fn text(&self, value: &Value) -> String {
        let Value::Tagged(tagged) = value else { return string(value) };
        let text = tagged.value.as_str().expect("a text");
        if tagged.tag == "Ref" {
            return text.to_owned();
        }
        assert_eq!(tagged.tag, "Sub");
        let mut filled = text.to_owned();
        for (name, parameter) in self.template["Parameters"].as_mapping().expect("parameters") {
            let name = format!("${{{}}}", string(name));
            if filled.contains(&name) {
                let default = parameter["Default"].as_u64().expect("a number").to_string();
                filled = filled.replace(&name, &default);
            }
        }
        filled
    }
}

/// `SELECT SUM(metric) FROM SCHEMA(namespace, dimension) GROUP BY dimension ORDER BY SUM() DESC LIMIT 1`.
fn worst_of_groups(query: &str, window: Window, data: &[Datum]) -> Option<f64> {
    let parts = || {
        let (metric, rest) = query.strip_prefix("SELECT SUM(")?.split_once(") FROM SCHEMA(")?;
        let (namespace, rest) = rest.split_once(", ")?;
        let (dimension, rest) = rest.split_once(") GROUP BY ")?;
        let rest = rest.strip_prefix(dimension)?;
        (rest == " ORDER BY SUM() DESC LIMIT 1").then_some((metric, namespace, dimension))
    };
    let (metric, namespace, dimension) = parts().unwrap_or_else(|| panic!("{query}"));
    let mut groups = BTreeMap::<&str, f64>::new();
    for datum in data.iter().filter(|datum| (window.0..window.1).contains(&datum.at)) {
        let is_schema = datum.dimensions.len() == 1 && datum.dimensions.contains_key(dimension);
        if datum.namespace == namespace && datum.metric == metric && is_schema {
            *groups.entry(&datum.dimensions[dimension]).or_default() += datum.value;
        }
    }
    groups.into_values().reduce(f64::max)
}

/// Metric math, read from left to right. A value that is missing makes whatever it is part of missing.
struct Math<'a, F> {
    rest: &'a str,
    by_name: &'a F,
    window: Window,
}

impl<F: Fn(&str) -> Option<f64>> Math<'_, F> {
    fn whole(mut self) -> Option<f64> {
        let value = self.comparison();
        assert_eq!(self.rest.trim(), "", "it is not understood");
        value
    }

    fn takes(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start();
        let after = rest.strip_prefix(token);
        self.rest = after.unwrap_or(rest);
        after.is_some()
    }

    fn comparison(&mut self) -> Option<f64> {
        let left = self.sum();
        if !self.takes(">=") {
            return left;
        }
        let right = self.sum();
        Some(f64::from(u8::from(left? >= right?)))
    }

    fn sum(&mut self) -> Option<f64> {
        let mut value = self.product();
        while self.takes("+") {
            let other = self.product();
            value = value.zip(other).map(|(a, b)| a + b);
        }
        value
    }

    fn product(&mut self) -> Option<f64> {
        let mut value = self.operand();
        loop {
            let is_quotient = if self.takes("*") {
                false
            } else if self.takes("/") {
                true
            } else {
                return value;
            };
            let other = self.operand();
            value = value.zip(other).map(|(a, b)| if is_quotient { a / b } else { a * b });
        }
    }

    fn operand(&mut self) -> Option<f64> {
        if self.takes("(") {
            let value = self.comparison();
            assert!(self.takes(")"));
            return value;
        }
        let rest = self.rest.trim_start();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let word = &rest[..end];
        self.rest = &rest[end..];
        if let Ok(number) = word.parse() {
            return Some(number);
        }
        if !self.takes("(") {
            return (self.by_name)(word);
        }
        let mut arguments = vec![self.comparison()];
        while self.takes(",") {
            arguments.push(self.comparison());
        }
        assert!(self.takes(")"));
        match (word, &arguments[..]) {
            ("FILL", [value, otherwise]) => value.or(*otherwise),
            ("IF", [condition, yes, no]) => {
                // Both are known, or CloudWatch might leave the moment out.
                let (yes, no) = ((*yes)?, (*no)?);
                Some(if (*condition)? > 0.0 { yes } else { no })
            }
            ("DAY", [Some(_)]) => Some(f64::from(day_of_month(self.window.0))),
            ("DAY", [None]) => None,
            _ => panic!("{word} of {arguments:?} is not understood"),
        }
    }
}

fn day_of_month(at: u64) -> i8 {
    let at = jiff::Timestamp::from_second(i64::try_from(at).expect("a time")).expect("a time");
    at.to_zoned(jiff::tz::TimeZone::UTC).day()
}
