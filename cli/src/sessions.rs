//! `passcode session`: lists and ends the sessions of a user, on the local stack or a deployed one.

use crate::{
    apps, keys,
    output::{self, Output, count},
    place::Place,
    time::print_time,
};
use clap::Subcommand;
use passcode_domain::{
    Address, AppId, EmailAddress, PhoneNumber, Session, SessionId, SessionKey, UserId, UserKey,
    action::{Failure, session},
    ports::StoreError,
    value::id::CredentialId,
};
use passcode_dynamodb::{AppTable, SessionTable};
use passcode_runtime::{Adapters, SystemClock};
use serde_json::{Value, json};
use std::{error::Error, process::ExitCode};

/// The arguments of `passcode session`.
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

/// A user of an app.
#[derive(Debug, clap::Args)]
struct Whose {
    /// The app's `clientId`.
    app: AppId,
    /// The phone number with `+`, the e-mail address, or the `sub` of the user's access tokens.
    user: String,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the sessions of a user that are not over.
    List(Whose),
    /// End sessions of a user. Their next refresh is refused; an access token that is out lasts its
    /// minute.
    Revoke {
        #[command(flatten)]
        whose: Whose,
        /// The id of one session, as `list` shows it; all of them where absent.
        #[arg(long, value_name = "ID")]
        session: Option<SessionId>,
    },
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    output::run(act(arguments, &arguments.place), arguments.json)
}

/// Runs the command on a stack.
pub async fn act(arguments: &Arguments, place: &Place) -> Result<Output, Box<dyn Error>> {
    let (Action::List(whose) | Action::Revoke { whose, .. }) = &arguments.action;
    let aws = place.aws()?;
    let apps = AppTable::new(&aws, place.resource(&aws, "AppTable").await?);
    apps::existing(&apps, &whose.app, place).await?;
    let keyring = keys::keyring(&aws, place).await?;
    let table = SessionTable::new(&aws, place.resource(&aws, "SessionTable").await?);
    let world = Adapters {
        apps: (),
        users: (),
        ledgers: (),
        sessions: table,
        counters: (),
        tokens: (),
        keyring: (),
        signing_keys: (),
        couriers: (),
        clock: SystemClock,
    };
    let user = whose.user(&keyring)?;
    let key = UserKey::of(&keyring, &whose.app, &user);
    let sessions = session::list(&world, key).await.map_err(|error| place.explain(&error))?;
    let Action::Revoke { session: chosen, .. } = &arguments.action else {
        return Ok(listed(&user, &sessions));
    };
    let chosen = sessions.iter().filter(|(key, _)| chosen.is_none_or(|id| key.session == id));
    let chosen: Vec<SessionKey> = chosen.map(|(key, _)| *key).collect();
    if let (Action::Revoke { session: Some(id), .. }, true) = (&arguments.action, chosen.is_empty())
    {
        return Err(
            format!("the user has no session {id}; `list` shows those that there are").into()
        );
    }
    for key in &chosen {
        let ended = session::end(&world, *key).await;
        ended.map_err(|failure| failed(failure, place))?;
    }
    let text = format!("{} ended; a next refresh is refused.", count(chosen.len(), "session"));
    Ok(Output::new(text, json!({ "ended": chosen.len() })))
}

fn failed(failure: Failure, place: &Place) -> String {
    match failure {
        Failure::Contended => "others kept changing the session; try again".to_owned(),
        Failure::Unavailable(cause) => place.explain(&StoreError::Unavailable(cause)),
    }
}

impl Whose {
    /// The `sub` of the user's access tokens.
    fn user(&self, keyring: &passcode_domain::Keyring) -> Result<UserId, Box<dyn Error>> {
        let address = if self.user.starts_with('+') {
            Some(Address::Phone(PhoneNumber::parse(&self.user)?))
        } else if self.user.contains('@') {
            Some(Address::Email(EmailAddress::parse(&self.user)?))
        } else {
            None
        };
        let credential =
            address.map(|address| CredentialId::of_address(keyring, &self.app, &address));
        Ok(credential.as_ref().map_or(self.user.as_str(), CredentialId::as_str).parse()?)
    }
}

fn listed(user: &UserId, sessions: &[(SessionKey, Session)]) -> Output {
    let rows: Vec<Value> = sessions.iter().map(row).collect();
    let lines = sessions.iter().map(|(key, session)| {
        let device = format!("{} {}", session.device.kind.as_str(), session.device.system);
        let (began, last) = (print_time(session.began_at), print_time(session.refreshed_at));
        format!("{}  {device:<18} {began}  {last}", key.session)
    });
    let head = format!("{:<30}  {:<18} {:<20}  {}", "session", "device", "began", "last refreshed");
    let text = if sessions.is_empty() {
        format!("{} has no session.", user.as_str())
    } else {
        std::iter::once(head).chain(lines).collect::<Vec<_>>().join("\n")
    };
    Output::new(text, json!({ "user": user, "sessions": rows }))
}

fn row((key, session): &(SessionKey, Session)) -> Value {
    json!({
        "id": key.session.to_string(),
        "device": session.device.kind.as_str(),
        "system": session.device.system,
        "country": session.device.country,
        "began_at": print_time(session.began_at),
        "refreshed_at": print_time(session.refreshed_at),
        "ends_at": print_time(session.ends_at()),
    })
}
