//! `passcode challenge show`: how a challenge stands, for whoever helps a user who got no code. It never tells a
//! code or a full address.

use crate::{
    apps, keys,
    output::{self, Output, count},
    place::Place,
    time::print_time,
};
use clap::Subcommand;
use passcode_domain::{
    Address, AppId, Challenge, ChallengeId, Ledger, Timestamp,
    action::status::{self, Status},
    ledger::receipt::DeliveryState,
    ports::{Clock as _, LoadLedgers as _},
};
use passcode_dynamodb::{AppTable, ChallengeTable};
use passcode_http::id::parse_any;
use passcode_runtime::{Adapters, SystemClock};
use serde_json::{Value, json};
use std::{error::Error, process::ExitCode};

/// The arguments of `passcode challenge`.
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
    /// Show the state, the messages and the attempts of a challenge; never a code or a full address.
    Show {
        /// The app's `clientId`.
        app: AppId,
        /// The id of the challenge, as any of the contracts prints it.
        id: String,
    },
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    output::run(act(arguments, &arguments.place), arguments.json)
}

/// Runs the command on a stack.
pub async fn act(arguments: &Arguments, place: &Place) -> Result<Output, Box<dyn Error>> {
    let Action::Show { app, id } = &arguments.action;
    let aws = place.aws()?;
    let apps = AppTable::new(&aws, place.resource(&aws, "AppTable").await?);
    apps::existing(&apps, app, place).await?;
    let keyring = keys::keyring(&aws, place).await?;
    let id: ChallengeId = parse_any(id, &keyring).ok_or("that is no id of a challenge")?;
    let world = Adapters {
        apps: (),
        users: (),
        ledgers: ChallengeTable::new(&aws, place.resource(&aws, "ChallengeTable").await?),
        sessions: (),
        counters: (),
        tokens: (),
        keyring: (),
        signing_keys: (),
        couriers: (),
        clock: SystemClock,
    };
    let explain = |error| place.explain(&error);
    let now = world.clock.now();
    let ledger = world.ledgers.load::<Ledger>(&(*id.subject()).into()).await.map_err(explain)?.item;
    let ledger = ledger.filter(|ledger| ledger.app == *app);
    if let Some((ledger, challenge)) = ledger.as_ref().and_then(|l| Some((l, l.find(id)?))) {
        let status = status::of_challenge(ledger, challenge, now);
        return Ok(shown(&status, Some(challenge), now));
    }
    // What nothing was sent for is kept beside the ledger.
    let status = status::status(&world, &keyring, app, id).await.map_err(explain)?;
    Ok(shown(&status, None, now))
}

/// The state's name, and what to tell the user.
fn state(status: &Status) -> (&'static str, &'static str) {
    match status {
        Status::NotFound => ("not found", "the app has no such challenge, or has it no more"),
        Status::Expired => ("expired", "its life is over; a new one has to be asked for"),
        Status::NotSent => ("not sent", "it was made, and no message was asked for"),
        Status::Pending(_) => ("pending", "it waits for its code"),
        Status::Verified(..) => ("verified", "the right code came"),
        Status::Exhausted(_) => ("exhausted", "no attempts are left, of it or of its address"),
        Status::Cancelled(_) => ("cancelled", "a later one has taken its place"),
    }
}

/// What became of a message.
const fn became(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Delayed => "it is still on its way",
        DeliveryState::Undelivered => "it has probably not arrived",
        DeliveryState::Delivered => "it has arrived",
        DeliveryState::Failed => "it has not arrived",
        DeliveryState::Bounced => "there is no such address; nothing goes there for a day",
        DeliveryState::Complained => "its receiver calls it spam; nothing goes there for a day",
    }
}

fn shown(status: &Status, challenge: Option<&Challenge>, now: Timestamp) -> Output {
    let (name, meaning) = state(status);
    let mut lines = vec![format!("{:<10} {name}: {meaning}", "state")];
    let Some(challenge) = challenge else {
        return Output::new(lines.concat(), json!({ "state": name }));
    };
    let ends = if challenge.has_expired(now) { "ended" } else { "ends" };
    let (wrong, most) = (challenge.attempts, challenge.policy.max_attempts);
    lines.push(format!("{:<10} {}", "address", masked(challenge.addresses.primary())));
    lines.push(format!("{:<10} {}", ends, print_time(challenge.expires_at)));
    lines.push(format!("{:<10} {wrong} of {most}", "wrong"));
    let sends = challenge.sends.iter().flat_map(|send| {
        let (at, until) = (print_time(send.at), print_time(send.expires_at));
        let first = format!("{:<10} {at}, its code until {until}", send.channel.as_str());
        let receipt = send.receipt.map(|receipt| {
            let (state, at) = (receipt.state, print_time(receipt.at));
            format!("{:<10} {}: {} ({at})", "", state.as_str(), became(state))
        });
        std::iter::once(first).chain(receipt)
    });
    let first = format!("{:<10} {}", "sent", count(challenge.sends.len(), "message"));
    lines.extend(std::iter::once(first).chain(sends));
    let sends: Vec<Value> = challenge
        .sends
        .iter()
        .map(|send| {
            let (at, until) = (print_time(send.at), print_time(send.expires_at));
            let receipt = send.receipt.map(
                |receipt| json!({ "state": receipt.state.as_str(), "at": print_time(receipt.at) }),
            );
            let channel = send.channel.as_str();
            json!({ "channel": channel, "at": at, "code_until": until, "receipt": receipt })
        })
        .collect();
    let json = json!({
        "state": name,
        "address": masked(challenge.addresses.primary()),
        "expires_at": print_time(challenge.expires_at),
        "attempts": { "wrong": wrong, "max": most },
        "sends": sends,
    });
    Output::new(lines.join("\n"), json)
}

/// Enough of an address to know it again: the last two digits of a number, the domain of an e-mail address.
fn masked(address: &Address) -> String {
    match address {
        Address::Phone(phone) => {
            let digits = phone.as_str();
            format!("a phone number that ends in {}", &digits[digits.len().saturating_sub(2)..])
        }
        Address::Email(email) => {
            let text = email.canonical();
            let domain = text.rsplit_once('@').map_or("", |(_, domain)| domain);
            format!("an e-mail address at {domain}")
        }
        Address::User(_) => "a user who was handed the code".to_owned(),
    }
}
