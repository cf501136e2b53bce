//! The commands of `passcode` that act on a stack, by their own words.

use clap::Parser;
use passcode::{apps, challenges, guard, keys, output::Output, place::Place, sessions, users};

#[derive(Parser)]
enum Line {
    App(apps::Arguments),
    User(users::Arguments),
    Challenge(challenges::Arguments),
    Session(sessions::Arguments),
    Guard(guard::Arguments),
    Keys(keys::Arguments),
}

/// Runs `passcode …` on a stack. The secret is the answer to every prompt.
///
/// # Errors
///
/// What the command refuses, or cannot do.
pub async fn run(place: &Place, line: &str, secret: &str) -> Result<Output, String> {
    let words = ["passcode"].into_iter().chain(line.split_whitespace());
    let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
    let ask = |_: &str| Ok(secret.to_owned());
    let output = match &line {
        Line::App(arguments) => apps::act(arguments, place).await,
        Line::User(arguments) => users::act(arguments, place, &ask).await,
        Line::Challenge(arguments) => challenges::act(arguments, place).await,
        Line::Session(arguments) => sessions::act(arguments, place).await,
        Line::Guard(arguments) => guard::act(arguments, place).await,
        Line::Keys(arguments) => keys::act(arguments, place).await,
    };
    output.map_err(|error| error.to_string())
}
