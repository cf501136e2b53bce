//! `passcode guard`: simulates what the guard of an app does to a log of messages.

pub mod log;
mod picture;
pub mod replay;
mod simulation;
mod table;
mod timeline;

use crate::{
    apps::{self, settings::changed},
    lines::Fault,
    output::{self, Output, count, svg, width},
    place::Place,
};
use clap::Subcommand;
use log::{Event, Log};
use passcode_domain::{App, AppId};
use passcode_dynamodb::AppTable;
use serde_json::json;
use simulation::Simulation;
use std::{
    error::Error,
    path::{Path, PathBuf},
    process::ExitCode,
};
use timeline::Timeline;

/// The arguments of `passcode guard`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    place: Place,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Replay a log of sends and verifies, and show what each rule of the guard refuses.
    #[command(after_help = SIMULATE_HELP)]
    Simulate(Options),
}

#[derive(Debug, clap::Args)]
struct Options {
    /// The log, one JSON object per line; `-` for standard input.
    file: PathBuf,
    /// The app whose guard is used. Without it, the guard of a new app that allows every country.
    #[arg(long, value_name = "ID")]
    app: Option<AppId>,
    /// Change a setting of the guard for this simulation only, as in `passcode app set`. May be
    /// repeated.
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    settings: Vec<String>,
    /// Write the timeline to this file as an SVG picture.
    #[arg(long, value_name = "FILE.svg", value_parser = svg)]
    picture: Option<PathBuf>,
}

const SIMULATE_HELP: &str = "\
Fields of a line:
  at      the time: RFC 3339 (2026-11-20T09:00:00Z), or milliseconds since 1970
  event   send or verify
  id      the id of the challenge; a resend has the id of the first message, and
          a verify has the id of the challenge that it verified
  to      for a send: a phone number with + and country code, or an e-mail
          address
  ip      for a send: the IP address of the client, if it is known

The lines may be in any order. Lines with the same time keep their order. If a
line cannot be read, all such lines are listed, nothing is simulated, and the
exit status is 1.

Each rule is enforced alone, whatever its mode is, and then all rules together in
the modes that they have. The same code as in production decides about these
messages. The counters begin empty and look back on a day, so the log should begin
a day before the days of interest. The log does not tell who would have come back
after a refusal, nor who was kept waiting by the cool-down.

The columns of the table:
  refused    the number of messages that the rule refuses, and their share
  verified   how many of them belong to verified challenges: real people
  first      the time of the first refusal (UTC)
  saved      the cost of these messages, by guard.spend_cap.prices and
             guard.spend_cap.default_price

The guard counts anonymous callers, users and authenticated callers apart. A log
does not say who the caller was, so all messages are counted as those of
authenticated callers. Without --app every country of the log is allowed.

Example:
  passcode guard simulate week.jsonl --set guard.sends_per_ip.per_hour=10 \\
    --set guard.spend_cap.per_day=25.00 --picture week.svg

  with in week.jsonl:
  {\"at\":\"2026-11-20T09:00:00Z\",\"event\":\"send\",\"id\":\"c1\",\"to\":\"+14155550100\"}
  {\"at\":\"2026-11-20T09:00:21Z\",\"event\":\"verify\",\"id\":\"c1\"}";

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    output::run(act(arguments, &arguments.place), arguments.json)
}

/// Runs the command with the apps of a place.
pub async fn act(arguments: &Arguments, place: &Place) -> Result<Output, Box<dyn Error>> {
    let Action::Simulate(options) = &arguments.action;
    let app = match &options.app {
        Some(id) => {
            let aws = place.aws()?;
            let apps = AppTable::new(&aws, place.resource(&aws, "AppTable").await?);
            apps::existing(&apps, id, place).await?
        }
        None => App::new("new".parse()?, "New"),
    };
    let app = with_settings(&app, &options.settings)?;
    match log::read(&options.file)? {
        Ok(events) => simulate(app, events, options),
        Err(faults) => Ok(refused(&options.file, &faults)),
    }
}

/// The app with changed settings of its guard.
fn with_settings(app: &App, settings: &[String]) -> Result<App, String> {
    if let Some(other) = settings.iter().find(|setting| !setting.starts_with("guard")) {
        let path = other.split('=').next().unwrap_or_default();
        return Err(format!(
            "`{path}`: only settings of the guard can be changed here, as in guard.burst=3"
        ));
    }
    changed(app, settings)
}

fn simulate(mut app: App, events: Vec<Event>, options: &Options) -> Result<Output, Box<dyn Error>> {
    let log = Log::new(events);
    if log.messages().next().is_none() {
        return Err(format!("{}: no send is in it", options.file.display()).into());
    }
    // A new app has named no country, and all of the log would be refused for that.
    let countries = &mut app.guard.allowed_countries.countries;
    if options.app.is_none() && countries.is_empty() {
        *countries = log.messages().filter_map(|(_, message)| message.country).collect();
    }
    let simulation = Simulation::run(app, log)?;
    let mut text =
        vec![table::text(&simulation, options.app.as_ref()), timeline::chart(&simulation, width())];
    let mut json = table::json(&simulation, options.app.as_ref());
    json["timeline"] = Timeline::of(&simulation, picture::MAX_BARS).json();
    if let Some(path) = &options.picture {
        let named = |error| format!("{}: {error}", path.display());
        std::fs::write(path, picture::svg(&simulation)?).map_err(named)?;
        text.push(format!("The picture is in {}.", path.display()));
        json["picture"] = path.display().to_string().into();
    }
    Ok(Output::new(text.join("\n\n"), json))
}

fn refused(file: &Path, faults: &[Fault]) -> Output {
    let text = format!("{} cannot be read; nothing is simulated", count(faults.len(), "line"));
    let json = json!({
        "refused": faults.len(),
        "faults": faults.iter().map(Fault::json).collect::<Vec<_>>(),
    });
    let faults = faults.iter().map(|fault| fault.text(file)).collect();
    Output { faults, ..Output::new(text, json) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::{EventKind, Message};
    use passcode_domain::{Address, PhoneNumber, Timestamp};

    /// When the logs of the tests begin: 2026-11-20T09:00:00Z.
    const START: u64 = 1_795_165_200_000;

    fn app() -> App {
        App::new("shop".parse().expect("an id"), "Shop")
    }

    /// So many messages to neighbours, a minute each and each from an IP address of its own; every tenth is
    /// verified.
    fn pumped(messages: u64) -> Vec<Event> {
        let at = |n: u64| Timestamp::from_millis(START + n * 60_000);
        let sent = |n: u64| {
            let to = PhoneNumber::parse(&format!("+1415555{n:04}")).expect("a number");
            let [.., high, low] = n.to_be_bytes();
            Message::new(n.to_string(), Address::Phone(to), Some([10, 0, high, low].into()))
        };
        let sends = (0..messages).map(|n| Event { at: at(n), kind: EventKind::Send(sent(n)) });
        let tenth = (0..messages).step_by(10).map(|n| n.to_string());
        let verifies = tenth.map(|id| Event { at: at(messages), kind: EventKind::Verify(id) });
        sends.chain(verifies).collect()
    }

    fn options(picture: Option<&str>) -> Options {
        Options {
            file: "week.jsonl".into(),
            app: None,
            settings: Vec::new(),
            picture: picture.map(PathBuf::from),
        }
    }

    fn simulated(events: Vec<Event>) -> Output {
        simulate(app(), events, &options(None)).expect("a log")
    }

    #[test]
    fn what_cannot_be_simulated_is_refused_with_the_reason() {
        let error = simulate(app(), Vec::new(), &options(None)).expect_err("an empty log");
        assert_eq!(error.to_string(), "week.jsonl: no send is in it");
        let verify =
            Event { at: Timestamp::from_millis(START), kind: EventKind::Verify("c1".into()) };
        assert!(simulate(app(), vec![verify], &options(None)).is_err());
        let nowhere = options(Some("/nowhere/to/be/found.svg"));
        let error = simulate(app(), pumped(1), &nowhere).expect_err("no such folder");
        assert!(error.to_string().starts_with("/nowhere/to/be/found.svg: "), "{error}");
        assert_eq!(svg("week.png"), Err("the picture must be named .svg"));
        for (setting, reason) in [
            (
                "policy.max_sends=9",
                "`policy.max_sends`: only settings of the guard can be changed here",
            ),
            ("guard.sends_per_sea.mode=off", "`guard.sends_per_sea`: unknown field"),
            ("guard.burst", "`guard.burst` is not FIELD=VALUE"),
        ] {
            let error = with_settings(&app(), &[setting.to_owned()]).expect_err(setting);
            assert!(error.contains(reason), "{setting}: {error}");
        }
        let faults = [Fault::new(2, "at", "missing"), Fault::new(4, "id", "missing")];
        let output = refused(Path::new("week.jsonl"), &faults);
        assert_eq!(output.text, "2 lines cannot be read; nothing is simulated");
        assert_eq!(output.faults[1], "week.jsonl:4: id: missing");
        assert_eq!(output.json["refused"], 2);
    }

    #[test]
    fn each_rule_has_its_refused_and_verified_messages_and_what_it_saves() {
        let output = simulated(pumped(60));
        let prefix = output.text.lines().find(|line| line.starts_with("prefix_concentration"));
        assert_eq!(
            prefix,
            Some(
                "prefix_concentration        enforce      40 66.7%        4  11-20 09:20     2.00"
            )
        );
        assert!(
            output.text.contains("spend_cap                   enforce  no cap\n"),
            "{}",
            output.text
        );
        assert!(
            output.text.contains("leave           4 of 6 verified challenges"),
            "{}",
            output.text
        );
        let rules = output.json["rules"].as_array().expect("a list");
        assert_eq!(rules.len(), 13);
        assert_eq!(
            (&rules[12]["rule"], &rules[12]["refused"]),
            (&"prefix_concentration".into(), &40.into())
        );
        assert_eq!(rules[12]["first"], "2026-11-20T09:20:00Z");
        assert_eq!((&rules[0]["refused"], &rules[0]["first"]), (&0.into(), &json!(null)));
        assert_eq!(
            (&output.json["cost"], &output.json["together"]["lost"]),
            (&"3.00".into(), &4.into())
        );
    }

    #[test]
    fn a_rule_is_shown_alone_whatever_its_mode_and_in_its_mode_among_all() {
        let mut app = app();
        for mode in ["shadow", "off"] {
            let setting = format!("guard.prefix_concentration.mode={mode}");
            app = with_settings(&app, &[setting]).expect("it is valid");
            let output = simulate(app.clone(), pumped(24), &options(None)).expect("a log");
            let rule = &output.json["rules"][12];
            assert_eq!((&rule["mode"], &rule["refused"]), (&mode.into(), &4.into()));
            assert_eq!(output.json["together"]["refused"], 0, "{mode}");
        }
    }

    #[test]
    fn lines_in_another_order_have_the_same_result() {
        let mut events = pumped(40);
        events.reverse();
        assert_eq!(simulated(events).json, simulated(pumped(40)).json);
    }

    #[test]
    fn the_output_fits_80_columns_and_the_bars_are_the_messages() {
        for messages in [1, 2, 7, 60, 200] {
            let app = app();
            let simulation = Simulation::run(app, Log::new(pumped(messages))).expect("keys");
            let text = table::text(&simulation, None) + "\n" + &timeline::chart(&simulation, 80);
            for line in text.lines().map(|line| anstream::adapter::strip_str(line).to_string()) {
                assert!(line.chars().count() <= 80, "{line}");
            }
            for most in [1, 2, 30, picture::MAX_BARS] {
                let timeline = Timeline::of(&simulation, most);
                assert!(timeline.bars <= most);
                let sums: Vec<_> = timeline.lanes.iter().map(timeline::Lane::sum).collect();
                assert_eq!(sums[0], messages);
                let refused = simulation.together.refused.len() as u64;
                assert!(refused == 0 || sums.last() == Some(&refused), "{sums:?}");
            }
        }
    }

    #[test]
    fn the_picture_names_its_lanes_and_needs_nothing_from_elsewhere() {
        let simulation = Simulation::run(app(), Log::new(pumped(60))).expect("keys");
        let picture = picture::svg(&simulation).expect("a picture");
        for words in ["all messages", "prefix_concentration", "40 refused; set to enforce", "09:30"]
        {
            assert!(picture.contains(words), "{words}: {picture}");
        }
        assert!(!picture.contains("sends_per_ip"), "a rule that refuses nothing has no lane");
        assert!(!picture.contains("href") && !picture.contains("url("), "{picture}");
    }
}
