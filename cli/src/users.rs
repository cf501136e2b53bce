//! `passcode user`: creates, shows, imports and deletes users and sets their PINs and passwords, on
//! the local stack or a deployed one.

mod entry;
mod file;
mod import;

use crate::{
    apps, ask, keys,
    output::{self, Output},
    place::Place,
};
use aws_types::SdkConfig;
use clap::Subcommand;
use passcode_domain::{
    Address, AppId, EmailAddress, Keyring, PhoneNumber, SubjectKey, User, UserId, Username,
    action::{Failure, issue},
    ports::{
        DeleteUsers as _, Entropy as _, LoadUsers as _, StoreError, StoreUserError, StoreUsers as _,
    },
    secret::{
        password::{self, HashedSecret},
        pin,
    },
};
use passcode_dynamodb::{AppTable, ChallengeTable, UserTable};
use passcode_runtime::{Adapters, SystemClock, SystemEntropy};
use serde_json::json;
use std::{error::Error, path::PathBuf, process::ExitCode};

/// The arguments of `passcode user`.
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
    /// The app's id for the user, such as the `sub` of its tokens: 1 to 255 visible ASCII
    /// characters.
    id: UserId,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create a user. `set-pin` and `set-password` set the PIN and the password.
    Create {
        #[command(flatten)]
        whose: Whose,
        /// The registered e-mail address.
        #[arg(long, value_name = "ADDRESS", value_parser = EmailAddress::parse)]
        email: Option<EmailAddress>,
        /// The registered phone number, with `+` and country code.
        #[arg(long, value_name = "NUMBER", value_parser = PhoneNumber::parse)]
        phone: Option<PhoneNumber>,
        /// A name that no other user of the app has: 1 to 64 visible ASCII characters, without `@`
        /// and without a leading `+`. Case does not matter.
        #[arg(long, value_name = "NAME")]
        username: Option<Username>,
    },
    /// Show a user. A PIN and a password are stored as hashes, so only their presence is shown.
    Show(Whose),
    /// Set the PIN of a user: exactly 4 digits, at least 3 of them different, and no series such as
    /// 1234 or 0987. The command prompts for it, or reads one line from a pipe.
    SetPin(Whose),
    /// Set the password of a user: 8 to 256 characters. The command prompts for it, or reads one
    /// line from a pipe.
    SetPassword(Whose),
    /// Create or change the users of a file.
    #[command(after_help = IMPORT_HELP)]
    Import {
        /// The app's `clientId`.
        app: AppId,
        /// CSV with a header row (`.csv`), or one JSON object per line (`.jsonl`, `.ndjson`).
        file: PathBuf,
        /// Check the file and whether the usernames are free, and store nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Unlock a user after too many wrong PINs or passwords. Verifying a code that was mailed to
    /// the user unlocks the user as well.
    Unlock(Whose),
    /// Delete a user, including the PIN and the password.
    Delete(Whose),
}

const IMPORT_HELP: &str = "\
Columns of CSV, and fields of JSON (all of them texts):
  id             the app's id for the user; required
  email          an e-mail address
  phone          a phone number, with + and country code
  username       a name that no other user of the app has
  pin            a PIN in clear text, which is stored as a hash
  password       a password in clear text, which is stored as a hash
  pin_hash       the Argon2id hash of a PIN, as a PHC string ($argon2id$v=19$m=…)
  password_hash  that of a password; it contains commas, so CSV needs \"\" around it

If a user exists already, the values of the line replace the stored ones, and an empty value \
changes nothing. So a file can be imported again.

Refused lines are listed with number, field and reason, and the others are stored. The exit status \
is 1 if any line was refused.

Example:
  id,email,phone,username,pin
  42,ada@example.com,+14155550100,ada,1793";

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    output::run(act(arguments, &arguments.place, &ask::secret), arguments.json)
}

/// Asks for a secret, given its name.
pub type Ask<'a> = &'a dyn Fn(&str) -> Result<String, Box<dyn Error>>;

/// Runs the command on a stack, with a function that asks for secrets.
pub async fn act(
    arguments: &Arguments,
    place: &Place,
    ask: Ask<'_>,
) -> Result<Output, Box<dyn Error>> {
    let aws = place.aws()?;
    let users = UserTable::new(&aws, place.resource(&aws, "UserTable").await?);
    let users = Users { users, place };
    match &arguments.action {
        Action::Create { whose, email, phone, username } => {
            app_exists(&aws, &whose.app, place).await?;
            let user = User {
                email: email.clone(),
                phone: phone.clone(),
                username: username.clone(),
                ..User::new(whose.app.clone(), whose.id.clone())
            };
            users.create(&user).await
        }
        Action::Show(whose) => Ok(shown(&users.existing(whose).await?)),
        Action::SetPin(whose) => {
            let hash = users.new_secret(whose, "PIN", ask, |pin| Ok(pin::check(pin)?)).await?;
            users.change(whose, "PIN", |user| user.pin = Some(hash)).await
        }
        Action::SetPassword(whose) => {
            let check = |password: &str| Ok(password::check(password)?);
            let hash = users.new_secret(whose, "password", ask, check).await?;
            users.change(whose, "password", |user| user.password = Some(hash)).await
        }
        Action::Import { app, file, dry_run } => {
            app_exists(&aws, app, place).await?;
            import::import(&users.users, app, file, *dry_run).await
        }
        Action::Unlock(whose) => {
            users.existing(whose).await?;
            let keyring = keys::keyring(&aws, place).await?;
            let table = place.resource(&aws, "ChallengeTable").await?;
            unlock(ChallengeTable::new(&aws, table), &keyring, whose, place).await
        }
        Action::Delete(whose) => users.delete(whose).await,
    }
}

/// Forgets the wrong PINs and passwords of a user.
async fn unlock(
    ledgers: ChallengeTable,
    keyring: &Keyring,
    whose: &Whose,
    place: &Place,
) -> Result<Output, Box<dyn Error>> {
    let user = Address::User(whose.id.clone());
    let subject = SubjectKey::of_address(keyring, &whose.app, &user);
    let world = Adapters {
        apps: (),
        users: (),
        ledgers,
        sessions: (),
        counters: (),
        tokens: (),
        keyring: (),
        signing_keys: (),
        couriers: (),
        clock: SystemClock,
    };
    let failed = |failure| match failure {
        Failure::Contended => "others kept changing the user; try again".to_owned(),
        Failure::Unavailable(cause) => place.explain(&StoreError::Unavailable(cause)),
    };
    let had_failures = issue::unlock(&world, subject).await.map_err(failed)?;
    let id = whose.id.as_str();
    let text = if had_failures {
        format!(
            "The wrong PINs and passwords of {id} are forgotten, and new ones looked at at once."
        )
    } else {
        format!("No wrong PINs or passwords of {id} are counted; nothing was locked.")
    };
    Ok(Output::new(text, json!({ "unlocked": had_failures })))
}

/// Fails if the app does not exist, so that a mistyped `clientId` is noticed at once.
async fn app_exists(aws: &SdkConfig, app: &AppId, place: &Place) -> Result<(), Box<dyn Error>> {
    let apps = AppTable::new(aws, place.resource(aws, "AppTable").await?);
    apps::existing(&apps, app, place).await?;
    Ok(())
}

/// The users of a stack.
struct Users<'a> {
    users: UserTable,
    place: &'a Place,
}

impl Users<'_> {
    async fn load(&self, whose: &Whose) -> Result<Option<User>, String> {
        let user = self.users.load_user(&whose.app, &whose.id).await;
        user.map_err(|error| self.place.explain(&error))
    }

    async fn existing(&self, whose: &Whose) -> Result<User, String> {
        let none = || format!("no user of {} has the id {}", whose.app.as_str(), whose.id.as_str());
        self.load(whose).await?.ok_or_else(none)
    }

    async fn store(&self, user: &User) -> Result<(), String> {
        self.users.store_user(user).await.map_err(|error| match error {
            StoreUserError::NameTaken => {
                let name = user.username.as_ref().map_or("", Username::as_str);
                format!("another user of {} goes by {name}", user.app.as_str())
            }
            StoreUserError::Store(error) => self.place.explain(&error),
        })
    }

    async fn create(&self, user: &User) -> Result<Output, Box<dyn Error>> {
        let whose = Whose { app: user.app.clone(), id: user.id.clone() };
        if self.load(&whose).await?.is_some() {
            let (app, id) = (user.app.as_str(), user.id.as_str());
            return Err(format!("{app} has a user {id} already").into());
        }
        self.store(user).await?;
        Ok(shown(user))
    }

    /// Asks for a secret, after a check that the user exists, and hashes it.
    async fn new_secret(
        &self,
        whose: &Whose,
        what: &str,
        ask: Ask<'_>,
        check: impl Fn(&str) -> Result<(), Box<dyn Error>>,
    ) -> Result<HashedSecret, Box<dyn Error>> {
        self.existing(whose).await?;
        let secret = ask(what)?;
        check(&secret)?;
        Ok(HashedSecret::of(&secret, SystemEntropy.bytes()))
    }

    /// Loads the user again before the change, because it may have changed during the prompt.
    async fn change(
        &self,
        whose: &Whose,
        what: &str,
        change: impl FnOnce(&mut User),
    ) -> Result<Output, Box<dyn Error>> {
        let mut user = self.existing(whose).await?;
        change(&mut user);
        self.store(&user).await?;
        let text = format!("The {what} of {} is set, and holds at once.", whose.id.as_str());
        Ok(Output::new(text, shown(&user).json))
    }

    async fn delete(&self, whose: &Whose) -> Result<Output, Box<dyn Error>> {
        self.existing(whose).await?;
        let failed = |error: StoreError| self.place.explain(&error);
        self.users.delete_user(&whose.app, &whose.id).await.map_err(failed)?;
        let id = whose.id.as_str();
        Ok(Output::new(format!("{id} is removed."), json!({ "deleted": id })))
    }
}

fn shown(user: &User) -> Output {
    let json = json!({
        "app": user.app,
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "phone": user.phone,
        "pin": user.pin.is_some(),
        "password": user.password.is_some(),
    });
    let line = |name: &str| match &json[name] {
        serde_json::Value::Null => format!("{name:<10} none"),
        serde_json::Value::Bool(is_set) => {
            format!("{name:<10} {}", if *is_set { "set" } else { "not set" })
        }
        value => format!("{name:<10} {}", value.as_str().unwrap_or_default()),
    };
    let names = ["app", "id", "username", "email", "phone", "pin", "password"];
    Output::new(names.map(line).join("\n"), json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_hash_is_shown() {
        let user = User {
            pin: Some(HashedSecret::decoy()),
            email: Some(EmailAddress::parse("ada@example.com").expect("an address")),
            ..User::new("demo".parse().expect("an id"), "ada-1".parse().expect("an id"))
        };
        let output = shown(&user);
        assert!(!format!("{output:?}").contains("argon2"), "{output:?}");
        assert!(output.text.contains("pin        set\npassword   not set"), "{}", output.text);
        assert!(
            output.text.contains("username   none\nemail      ada@example.com"),
            "{}",
            output.text
        );
        assert_eq!((&output.json["pin"], &output.json["password"]), (&json!(true), &json!(false)));
    }
}
