//! The `passcode` command.

use clap::{Parser, Subcommand, error::ErrorKind};
use passcode::{apps, challenges, doctor, guard, keys, local, openapi, report, sessions, users};
use std::process::ExitCode;

/// One-time passcodes, sent and verified from your own AWS account.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, max_term_width = 80, after_help = HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const HELP: &str = "\
Start with `passcode local`. It prints the URLs of the stack and examples.
`app`, `user`, `challenge`, `session`, `keys`, `guard` and `doctor` act on
that stack, or with --stack on a deployed one.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole stack on this machine: API, DynamoDB, and an inbox for the messages.
    Local(local::Options),
    /// Create, show, change and delete apps; rotate their secrets and keys.
    App(apps::Arguments),
    /// Create, show, import and delete users; set their PINs and passwords.
    User(users::Arguments),
    /// Show how a challenge stands, for whoever helps its user.
    Challenge(challenges::Arguments),
    /// List and end the sessions of a user.
    Session(sessions::Arguments),
    /// Tell what became of messages, what was refused and what it cost, from a log of functions.
    Report(report::Arguments),
    /// Simulate what the guard of an app refuses of a log of messages.
    Guard(guard::Arguments),
    /// Show and rotate the keys of codes and of signatures.
    Keys(keys::Arguments),
    /// Look whether everything is in order that decides whether codes arrive.
    Doctor(doctor::Arguments),
    /// Print the OpenAPI document of every endpoint.
    Openapi,
}

fn main() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => return refuse(&error),
    };
    let result = match command {
        Command::Local(options) => local::run(&options).map(|()| ExitCode::SUCCESS),
        Command::App(arguments) => apps::run(&arguments),
        Command::User(arguments) => users::run(&arguments),
        Command::Challenge(arguments) => challenges::run(&arguments),
        Command::Session(arguments) => sessions::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Guard(arguments) => guard::run(&arguments),
        Command::Keys(arguments) => keys::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Openapi => openapi::print().map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        eprintln!("passcode: {error}");
        ExitCode::FAILURE
    })
}

/// Prints help as it is, and an error in one line.
fn refuse(error: &clap::Error) -> ExitCode {
    let is_help = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if error.use_stderr() && !is_help {
        eprintln!("passcode: {}; see `passcode --help`", first_line(error));
        return ExitCode::from(2);
    }
    // A closed pipe is not an error.
    let _ = error.print();
    ExitCode::SUCCESS
}

/// The error in one line: the first paragraph of clap's message, which may list arguments.
fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let paragraph = text.lines().take_while(|line| !line.is_empty()).map(str::trim);
    paragraph.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_one_line() {
        for (arguments, expected) in [
            (vec!["passcode", "local", "--bogus"], "unexpected argument '--bogus' found"),
            (vec!["passcode", "local", "--port", "x"], "invalid value 'x' for '--port <N>'"),
            (vec!["passcode", "locl"], "unrecognized subcommand 'locl'"),
            (
                vec!["passcode", "app", "show"],
                "the following required arguments were not provided: <ID>",
            ),
        ] {
            let error = Cli::try_parse_from(arguments).expect_err("it is a mistake");
            assert!(first_line(&error).starts_with(expected), "{error}");
        }
    }
}
