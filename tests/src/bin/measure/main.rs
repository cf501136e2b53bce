//! Measures the budgets on the built functions, side by side with a bare one in the same run. Ends with an
//! error where a size is missed; a time is only told, since machines are noisy. `.ci/measure` prepares
//! what it needs. With `--before`, an older build is measured by turns with the present one.

mod builds;
mod handlers;
mod journey;
mod lambda;
mod processor;
mod report;
mod sends;
mod starts;

use builds::Build;
use clap::{Parser, ValueEnum};
use passcode_tests::stack::Client;
use processor::Extent;
use report::Report;
use std::path::PathBuf;

/// Measures the budgets on the built functions.
#[derive(Parser)]
struct Options {
    /// The folder of built functions, each as `<function>/bootstrap`.
    #[arg(long, default_value = "target/lambda")]
    functions: PathBuf,
    /// The same of an older build. Where that does not read the stack's demo app, the folder holds its
    /// document as `app.json`.
    #[arg(long)]
    before: Option<PathBuf>,
    /// The bare function.
    #[arg(long, default_value = "target/lambda-bare/bare/bootstrap")]
    bare: PathBuf,
    /// An interpreter with boto3, for the small function beside the others.
    #[arg(long)]
    python: Option<PathBuf>,
    /// Where AWS's DynamoDB Local is.
    #[arg(long)]
    dynamodb_local: Option<String>,
    /// Measure only this.
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// The events of a round.
    #[arg(long, default_value_t = 2000)]
    events: usize,
    /// The rounds, of which the middle one counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Sizes, starts and memory of every function.
    Starts,
    /// Handlers without their network.
    Handlers,
    /// Processor time per event.
    Processor,
    /// Wall time of many sends.
    Sends,
}

#[tokio::main]
async fn main() {
    let options = Options::parse();
    let wanted = |part| options.only.is_empty() || options.only.contains(&part);
    let extent = Extent { events: options.events, rounds: options.rounds };
    let client = Client::start().await;
    let mut report = Report::default();
    let present = Build::new("now", options.functions);
    let before = options.before.map(|folder| Build::new("before", folder));
    let builds: Vec<_> = [Some(present), before].into_iter().flatten().collect();
    if wanted(Part::Starts) {
        starts::measure(&client, &builds, &options.bare, &mut report).await;
    }
    if wanted(Part::Handlers) {
        handlers::measure(&mut report);
    }
    if wanted(Part::Processor) {
        let python = options.python.as_deref();
        processor::measure(&client, &builds, python, &extent, &mut report).await;
    }
    if let Some(url) = options.dynamodb_local.filter(|_| wanted(Part::Sends)) {
        sends::measure(&client, &builds, &url, &extent).await;
    }
    println!("items read and written: counted in `cargo test`, by adapters::capacity");
    report.finish();
}
