//! The `passcode` command.

use clap::{Parser, Subcommand};
use passcode::{local, openapi};
use std::process::ExitCode;

/// One-time passcodes, sent and verified from your own AWS account.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole stack on this machine: API, DynamoDB, and an inbox for its messages.
    Local(local::Options),
    /// Print the `OpenAPI` document of every endpoint.
    Openapi,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Local(options) => local::run(&options),
        Command::Openapi => openapi::print(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("passcode: {error}");
            ExitCode::FAILURE
        }
    }
}
