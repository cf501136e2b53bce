//! `passcode report`: what a log of functions tells of messages, refusals, latency and cost.

mod cost;
mod log;
mod picture;
mod stack;
mod table;

use crate::{
    lines,
    output::{self, Output, svg},
    place::Place,
};
use aws_types::SdkConfig;
use cost::Price;
use log::Tally;
use passcode_domain::AppId;
use std::{error::Error, fmt::Write as _, path::PathBuf, process::ExitCode, time::Duration};

/// The arguments of `passcode report`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Arguments {
    /// The log of functions, one JSON object per line; `-` for standard input.
    #[arg(required_unless_present = "stack", conflicts_with = "stack")]
    file: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
    /// How far back the log of a deployed stack is read.
    #[arg(long, value_name = "TIME", default_value = "1d", conflicts_with = "file", value_parser = stack::duration)]
    since: Duration,
    /// Keep to this app.
    #[arg(long, value_name = "ID")]
    app: Option<AppId>,
    /// What a text message to a country costs, in US dollars, as in US=0.01. May be repeated.
    #[arg(long = "price", value_name = "COUNTRY=AMOUNT")]
    prices: Vec<Price>,
    /// Write the funnel and the refusals to this file as an SVG picture.
    #[arg(long, value_name = "FILE.svg", value_parser = svg)]
    svg: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
The lines are those that functions print: of `passcode local --json`, or of a
deployed stack's log group, as `aws logs tail GROUP --since 7d --format short`
prints it. What stands before the first { of a line is skipped, and so are lines
that are none of a function. With --stack the log group is read (CloudFormation
DescribeStacks, logs:FilterLogEvents), one call for each megabyte.

The columns of the funnel:
  sent       messages that a courier took
  delivered  messages that carriers and mail hosts reported as delivered
  lost       messages that they reported as not delivered, and bounces
  verified   challenges that were verified by such a message
Where nothing was reported of a channel, delivered and lost are `-`.

Example:
  passcode report --stack passcode --since 7d
  passcode report week.jsonl --app shop --price US=0.0089 --svg week.svg";

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let read = async {
        match &arguments.file {
            Some(_) => of_file(arguments),
            None => of_stack(arguments, &arguments.place.aws()?).await,
        }
    };
    output::run(read, arguments.json)
}

/// Reports of a deployed stack.
pub async fn of_stack(arguments: &Arguments, aws: &SdkConfig) -> Result<Output, Box<dyn Error>> {
    let lines = stack::lines(&arguments.place, aws, arguments.since).await?;
    let name = arguments.place.stack().unwrap_or_default();
    act(arguments, lines.as_bytes(), name)
}

fn of_file(arguments: &Arguments) -> Result<Output, Box<dyn Error>> {
    let file = arguments.file.clone().unwrap_or_default();
    act(arguments, &lines::read(&file)?, &file.display().to_string())
}

fn act(arguments: &Arguments, text: &[u8], source: &str) -> Result<Output, Box<dyn Error>> {
    let named = |error| format!("{source}: {error}");
    let tally = Tally::read(text, arguments.app.as_ref()).map_err(named)?;
    if tally.requests == 0 {
        let none = "no line of a function's request is in it; see `passcode report --help`";
        return Err(named(none).into());
    }
    report(&tally, arguments)
}

fn report(tally: &Tally, arguments: &Arguments) -> Result<Output, Box<dyn Error>> {
    let cost = cost::of(tally, &arguments.prices);
    let mut text = table::text(tally, &cost, arguments.app.as_ref());
    let mut json = table::json(tally, &cost, arguments.app.as_ref());
    if let Some(path) = &arguments.svg {
        let named = |error| format!("{}: {error}", path.display());
        std::fs::write(path, picture::svg(tally, arguments.app.as_ref())?).map_err(named)?;
        let _ = write!(text, "\n\nThe picture is in {}.", path.display());
        json["svg"] = path.display().to_string().into();
    }
    Ok(Output::new(text, json))
}

#[cfg(test)]
mod tests {
    use super::*;
    use passcode_domain::{Channel, Timestamp, app::guard::Rule};
    use passcode_http::Record;
    use passcode_runtime::log::Line;
    use serde_json::json;
    use std::time::Duration;

    /// When the logs of the tests begin: 2026-11-20T09:00:00Z.
    const START: u64 = 1_795_165_200_000;

    /// A log as functions print it: one request a second.
    #[derive(Default)]
    struct Printed {
        text: Vec<u8>,
        seconds: u64,
    }

    impl Printed {
        fn requests(self, times: u64, record: &Record) -> Self {
            self.lines(times, "otpless-otp-initiate", Some(200), record)
        }

        fn lines(
            mut self,
            times: u64,
            function: &str,
            status: Option<u16>,
            record: &Record,
        ) -> Self {
            for _ in 0..times {
                self.seconds += 1;
                let line = Line {
                    function,
                    request_id: "r-1",
                    status,
                    at: Timestamp::from_millis(START + self.seconds * 1000),
                    took: Duration::from_millis(self.seconds),
                    record,
                };
                self.text.extend(line.print());
            }
            self
        }

        fn told(&self, arguments: &Arguments) -> Output {
            let tally = Tally::read(&self.text, arguments.app.as_ref()).expect("text");
            report(&tally, arguments).expect("a report")
        }
    }

    fn of(outcome: &'static str, channel: Channel, country: Option<&str>) -> Record {
        let app = Some("shop".parse().expect("an id"));
        let country = country.map(|country| country.parse().expect("a country"));
        Record { outcome, app, channel: Some(channel), country, ..Record::default() }
    }

    fn refused(outcome: &'static str, rule: Option<Rule>) -> Record {
        Record { rule, channel: None, ..of(outcome, Channel::Sms, Some("US")) }
    }

    /// Messages to two countries and by e-mail, of which carriers have reported those to one country.
    fn week() -> Printed {
        let (us, gr) = (Some("US"), Some("GR"));
        let in_shadow = Record {
            shadow: vec![Rule::SpendCap, Rule::SendsPerApp],
            ..of("sent", Channel::Sms, us)
        };
        let by_fallback =
            Record { refused: vec![Channel::Sms], ..of("sent", Channel::Email, None) };
        let foreign =
            Record { app: Some("other".parse().expect("an id")), ..of("sent", Channel::Sms, us) };
        Printed::default()
            .requests(38, &of("sent", Channel::Sms, us))
            .requests(2, &in_shadow)
            .requests(30, &of("verified", Channel::Sms, us))
            .requests(5, &of("incorrect", Channel::Sms, us))
            .requests(10, &of("sent", Channel::Sms, gr))
            .requests(1, &of("verified", Channel::Sms, gr))
            .requests(4, &by_fallback)
            .requests(4, &of("verified", Channel::Email, None))
            .requests(9, &of("verified", Channel::Caller, None))
            .requests(3, &refused("throttled", Some(Rule::SendsPerIp)))
            .requests(2, &refused("concealed", Some(Rule::SendsPerIp)))
            .requests(1, &refused("blocked", Some(Rule::AllowedCountries)))
            .requests(6, &refused("refused", None))
            .requests(7, &foreign)
    }

    fn arguments(rest: &[&str]) -> Arguments {
        use clap::Parser as _;
        #[derive(clap::Parser)]
        struct Command {
            #[command(flatten)]
            arguments: Arguments,
        }
        let all = ["report", "week.jsonl"].iter().chain(rest);
        Command::try_parse_from(all).expect("they are right").arguments
    }

    #[test]
    fn messages_are_counted_from_sent_to_verified_by_country_and_channel() {
        let told = week().told(&arguments(&["--app", "shop"]));
        let rows: Vec<_> = told.text.lines().skip(2).take(6).collect();
        assert_eq!(
            rows[1..],
            [
                "all messages               54               -             -       35  64.8%",
                "text messages              50               -             -       31  62.0%",
                "  US                       40               -             -       30  75.0%",
                "  GR                       10               -             -        1  10.0%",
                "e-mails                     4               -             -        4   100%",
            ]
        );
        assert!(told.text.contains("\n4 messages refused by couriers\n"), "{}", told.text);
        assert_eq!(told.json["requests"], 115);
        let everybody = week().told(&arguments(&[]));
        assert_eq!(everybody.json["requests"], 122);
        assert_eq!(everybody.json["messages"][1]["sent"], 47);
    }

    /// What is not heard of a channel is not shown as nothing.
    #[test]
    fn receipts_tell_what_was_delivered_and_what_was_lost_and_why() {
        let us = Some("US");
        let no_quota = Record { reason: Some("no quota left"), ..of("failed", Channel::Sms, us) };
        let again = Record { outcome: "repeated", ..no_quota.clone() };
        let told = week()
            .lines(30, "delivery-receipts", None, &of("delivered", Channel::Sms, us))
            .lines(3, "delivery-receipts", None, &no_quota)
            .lines(9, "delivery-receipts", None, &again)
            .lines(1, "delivery-receipts", None, &of("undelivered", Channel::Sms, us))
            .told(&arguments(&["--app", "shop"]));
        for line in [
            "text messages              50       30  60.0%      4   8.0%       31  62.0%",
            "  US                       40       30  75.0%      4  10.0%       30  75.0%",
            "  GR                       10               -             -        1  10.0%",
            "  lost: no quota left                        3",
        ] {
            assert!(told.text.contains(&format!("\n{line}\n")), "{line}: {}", told.text);
        }
        assert_eq!(told.json["requests"], 115, "a receipt is no request");
        assert_eq!(told.json["messages"][2]["delivered"], json!(null));
    }

    #[test]
    fn refusals_are_counted_by_rule_and_codes_by_outcome() {
        let told = week().told(&arguments(&["--app", "shop"]));
        for line in [
            "contract or policy                         6           0           0",
            "sends_per_ip                               3           2           0",
            "allowed_countries                          1           0           0",
            "spend_cap                                  0           0           2",
            "sends_per_app                              0           0           2",
            "codes: 44 right, 5 wrong, 0 expired, 0 without an attempt left",
        ] {
            assert!(told.text.contains(&format!("\n{line}\n")), "{line}: {}", told.text);
        }
    }

    #[test]
    fn text_messages_cost_what_is_listed_or_given_and_others_are_marked() {
        let told = week().told(&arguments(&["--app", "shop"]));
        assert_eq!(told.json["cost"]["text messages"], "0.90", "40 × 0.01 + 10 × 0.05");
        assert_eq!(told.json["cost"]["e-mails"], "0.0004", "4 × 0.0001");
        assert!(told.text.contains("10 text messages without a list price, at 0.05 each"));
        let given = arguments(&["--app", "shop", "--price", "GR=0.06", "--price", "US=0.0089"]);
        let told = week().told(&given);
        assert_eq!(told.json["cost"]["text messages"], "0.956", "40 × 0.0089 + 10 × 0.06");
        assert_eq!(told.json["assumed_prices"], 0);
        for wrong in ["US", "us=1", "US=x", "US=-1"] {
            assert!(wrong.parse::<Price>().is_err(), "{wrong}");
        }
    }

    /// As `aws logs tail` prints them, among lines that are none of a function.
    #[test]
    fn lines_may_have_a_time_before_them_and_other_lines_between() {
        let text = String::from_utf8(week().text).expect("text");
        let tail: Vec<_> =
            text.lines().map(|line| format!("2026-11-20T09:00:00 {line}\nSTART")).collect();
        let printed = Printed { text: tail.join("\n").into(), seconds: 0 };
        let (told, plain) = (printed.told(&arguments(&[])), week().told(&arguments(&[])));
        assert_eq!(told.json["messages"], plain.json["messages"]);
        assert_eq!(told.json["skipped"], text.lines().count());
    }

    #[test]
    fn what_tells_nothing_is_an_error() {
        let folder = std::env::temp_dir();
        let missing = Some(folder.join("passcode-no-such-log"));
        let missing = Arguments { file: missing, ..arguments(&[]) };
        let error = of_file(&missing).expect_err("no such file").to_string();
        assert!(error.contains("passcode-no-such-log: "), "{error}");
        let none = Tally::read(b"{}\nhello\n", None).expect("text");
        assert_eq!((none.requests, none.skipped), (0, 2));
        let nowhere = arguments(&["--svg", "/nowhere/to/be/found.svg"]);
        let tally = Tally::read(&week().text, None).expect("text");
        let error = report(&tally, &nowhere).expect_err("no such folder").to_string();
        assert!(error.starts_with("/nowhere/to/be/found.svg: "), "{error}");
    }

    #[test]
    fn the_output_fits_80_columns_and_the_picture_needs_nothing_from_elsewhere() {
        let mut printed = week();
        for first in b'A'..=b'Z' {
            let country = format!("{}A", char::from(first));
            printed = printed.requests(1, &of("sent", Channel::Sms, Some(&country)));
            printed = printed.lines(
                1,
                "a-function-with-a-long-name-of-its-own",
                Some(200),
                &of("created", Channel::Sms, None),
            );
        }
        let told = printed.told(&arguments(&[]));
        for line in told.text.lines().map(|line| anstream::adapter::strip_str(line).to_string()) {
            assert!(line.chars().count() <= 80, "{line}");
        }
        let tally = Tally::read(&printed.text, None).expect("text");
        let picture = picture::svg(&tally, None).expect("a picture");
        for words in ["all messages", ">US<", "17 others", "sends_per_ip", "3 refused, 2 concealed"]
        {
            assert!(picture.contains(words), "{words}: {picture}");
        }
        assert!(!picture.contains("href") && !picture.contains("url("), "{picture}");
    }
}
