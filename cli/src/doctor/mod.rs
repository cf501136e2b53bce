//! `passcode doctor`: whether everything that decides whether codes arrive is in order.

pub mod checks;
mod countries;
pub mod facts;
mod fix;
pub mod read;
pub mod report;

use crate::{output::width, place::Place};
use anstream::{eprintln, println};
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_types::SdkConfig;
use checks::{Findings, Level};
use passcode_domain::ports::Clock as _;
use passcode_runtime::SystemClock;
use std::{error::Error, process::ExitCode, time::Duration};

/// The arguments of `passcode doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Make the changes that have one right answer, and look again: delivery logging of SNS, time to
    /// live and point-in-time recovery of tables, and the policy that lets SNS send from an
    /// origination identity of this account.
    #[arg(long)]
    fix: bool,
    /// With --fix: what text messages may cost in a month, in US dollars, up to the account's quota.
    #[arg(long, value_name = "DOLLARS", requires = "fix")]
    monthly_spend_limit: Option<u64>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
The exit status is 0 if everything is in order, 1 if there is a failure (or the
stack cannot be asked at all), and 3 if there are warnings and no failure. A
fact that these credentials may not read is a warning.

Without --stack it looks at the stack on this machine, where most checks have
nothing to look at.

Examples:
  passcode doctor --stack passcode
  passcode doctor --stack passcode --fix --monthly-spend-limit 200
  passcode doctor --stack passcode --json | jq '.findings[] | select(.next)'";

/// What the command has done and found.
#[derive(Debug)]
pub struct Report {
    /// The changes that were made, and those that failed, one line each.
    pub changes: Vec<Result<String, String>>,
    /// What was found, after the changes.
    pub findings: Findings,
}

impl Report {
    /// The exit status.
    #[must_use]
    pub fn status(&self) -> u8 {
        match self.findings.worst() {
            _ if self.changes.iter().any(Result::is_err) => 1,
            Level::Ok => 0,
            Level::Warning => 3,
            Level::Failure => 1,
        }
    }
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(act(arguments, &arguments.place, &arguments.place.aws()?));
    let stack = arguments.place.stack();
    if arguments.json {
        let mut json = report::json(&report.findings, stack);
        json["changed"] = report.changes.iter().flatten().cloned().collect();
        json["unchanged"] =
            report.changes.iter().filter_map(|it| it.as_ref().err()).cloned().collect();
        println!("{json:#}");
    } else {
        for change in &report.changes {
            match change {
                Ok(done) => println!("Changed: {done}."),
                Err(error) => eprintln!("passcode: {error}"),
            }
        }
        println!("{}", report::text(&report.findings, width().max(60)));
    }
    Ok(ExitCode::from(report.status()))
}

/// Runs the command on a stack.
pub async fn act(arguments: &Arguments, place: &Place, aws: &SdkConfig) -> Report {
    // Whoever reads a whole account is asked to come back; nobody waits for a stack on this machine.
    let attempts = if place.stack().is_some() { 4 } else { 1 };
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(Duration::from_secs(10))
        .operation_timeout(Duration::from_secs(30));
    let aws = &aws
        .to_builder()
        .retry_config(RetryConfig::standard().with_max_attempts(attempts))
        .timeout_config(timeouts.build())
        .build();
    let facts = read::read(aws, place, SystemClock.now()).await;
    let findings = checks::run(&facts);
    if !arguments.fix {
        return Report { changes: Vec::new(), findings };
    }
    let mut changes = Vec::new();
    for fix in findings.rows.iter().filter_map(|row| row.fix.as_ref()) {
        changes.push(fix::apply(aws, fix).await.map(|()| fix.to_string()));
    }
    if let Some(dollars) = arguments.monthly_spend_limit {
        let allowed = facts.aws.and_then(|aws| aws.spend_limit.ok());
        let set = fix::spend_limit(aws, dollars, allowed).await;
        changes.push(set.map(|()| format!("text messages may cost {dollars} dollars a month")));
    }
    let facts = read::read(aws, place, SystemClock.now()).await;
    Report { changes, findings: checks::run(&facts) }
}
