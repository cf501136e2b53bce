//! `passcode app`: makes, shows, changes and removes apps, on the local stack or a deployed one.

use crate::{
    place::Place,
    told::{self, Told},
};
use clap::Subcommand;
use data_encoding::BASE64URL_NOPAD;
use passcode_domain::{
    App, AppId,
    app::SecretHash,
    ports::{DeleteApps as _, Entropy as _, LoadApps as _, StoreApps as _, StoreError},
};
use passcode_dynamodb::AppTable;
use passcode_runtime::SystemEntropy;
use serde_json::{Value, json};
use std::{error::Error, process::ExitCode};

/// What to do, and where.
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
    /// Make an app, and show its client secret: this once, it is not stored.
    Create {
        /// Its `clientId`: 1 to 64 letters, digits, `-`, `_` or `.`.
        id: AppId,
        /// The brand that its messages name.
        #[arg(long)]
        name: String,
        /// Settings, as for `set`.
        #[arg(value_name = "FIELD=VALUE")]
        settings: Vec<String>,
    },
    /// Show an app's settings. Secrets are stored as hashes and not shown.
    Show {
        /// Its `clientId`.
        id: AppId,
    },
    /// Change settings: `host=shop.example`, `policy.max_attempts=3`, `blocked=true`,
    /// `templates.short='sms = { $code }'`. An empty value takes a setting away. Warm functions
    /// follow within a minute.
    Set {
        /// Its `clientId`.
        id: AppId,
        /// What to change.
        #[arg(value_name = "FIELD=VALUE", required = true)]
        settings: Vec<String>,
    },
    /// Make a new client secret, and show it. The one before works until the next rotation.
    RotateSecret {
        /// Its `clientId`.
        id: AppId,
        /// Let the secret before stop working, within a minute.
        #[arg(long)]
        now: bool,
    },
    /// Remove an app. Its challenges end with their time.
    Delete {
        /// Its `clientId`.
        id: AppId,
    },
}

/// Does it.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    told::run(act(&arguments.action, &arguments.place), arguments.json)
}

async fn act(action: &Action, place: &Place) -> Result<Told, Box<dyn Error>> {
    let aws = place.aws()?;
    let apps = AppTable::new(&aws, place.table(&aws, "AppTable").await?);
    let failed = |error: StoreError| place.explain(&error);
    let existing = async |id: &AppId| existing(&apps, id, place).await;
    match action {
        Action::Create { id, name, settings } => {
            if apps.load_app(id).await.map_err(failed)?.is_some() {
                return Err(format!("the app {} exists already", id.as_str()).into());
            }
            let secret = new_secret();
            let mut app = App::new(id.clone(), name);
            app.secrets = vec![SecretHash::of(&secret)];
            let app = changed(&app, settings)?;
            apps.store_app(&app).await.map_err(failed)?;
            Ok(with_secret(id, &secret, "It will not be shown again."))
        }
        Action::Show { id } => Ok(shown(&existing(id).await?)),
        Action::Set { id, settings } => {
            let app = changed(&existing(id).await?, settings)?;
            apps.store_app(&app).await.map_err(failed)?;
            Ok(shown(&app))
        }
        Action::RotateSecret { id, now } => {
            let mut app = existing(id).await?;
            let secret = new_secret();
            app.secrets.insert(0, SecretHash::of(&secret));
            app.secrets.truncate(if *now { 1 } else { 2 });
            apps.store_app(&app).await.map_err(failed)?;
            let note = match now {
                true => "The one before stops working within a minute.",
                false => "The one before works until the next rotation.",
            };
            Ok(with_secret(id, &secret, note))
        }
        Action::Delete { id } => {
            existing(id).await?;
            apps.delete_app(id).await.map_err(failed)?;
            let text =
                format!("{} is removed. Warm functions follow within a minute.", id.as_str());
            Ok(Told::new(text, json!({ "deleted": id.as_str() })))
        }
    }
}

/// An app that is there.
pub(crate) async fn existing(apps: &AppTable, id: &AppId, place: &Place) -> Result<App, String> {
    match apps.load_app(id).await.map_err(|error| place.explain(&error))? {
        Some(app) => Ok((*app).clone()),
        None => Err(format!("no app is named {}; `passcode app create` makes one", id.as_str())),
    }
}

fn new_secret() -> String {
    BASE64URL_NOPAD.encode(&SystemEntropy.bytes::<32>())
}

fn with_secret(id: &AppId, secret: &str, note: &str) -> Told {
    let id = id.as_str();
    Told::new(
        format!("clientId      {id}\nclientSecret  {secret}\n\n{note}"),
        json!({ "clientId": id, "clientSecret": secret }),
    )
}

fn shown(app: &App) -> Told {
    let mut settings = serde_json::to_value(app).unwrap_or_default();
    for hashes in ["secrets", "admin_keys"] {
        settings[hashes] = settings[hashes].as_array().map_or(0, Vec::len).into();
    }
    Told::new(lines("", &settings).join("\n"), settings)
}

/// One line a setting that is there, with the path that `set` takes.
fn lines(path: &str, value: &Value) -> Vec<String> {
    let below = |name: &str| match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    match value {
        Value::Object(fields) => {
            fields.iter().flat_map(|(name, value)| lines(&below(name), value)).collect()
        }
        Value::Null => Vec::new(),
        Value::String(text) => vec![format!("{path:<26} {text}")],
        other => vec![format!("{path:<26} {other}")],
    }
}

/// An app with settings changed, checked as a whole.
fn changed(app: &App, settings: &[String]) -> Result<App, Box<dyn Error>> {
    let mut document = serde_json::to_value(app)?;
    for setting in settings {
        let (path, value) =
            setting.split_once('=').ok_or_else(|| format!("`{setting}` is not FIELD=VALUE"))?;
        if ["id", "secrets", "admin_keys"].contains(&path.split('.').next().unwrap_or_default()) {
            return Err(format!("`{path}` cannot be set").into());
        }
        let pointer = format!("/{}", path.replace('.', "/"));
        let (parent, name) = pointer.rsplit_once('/').unwrap_or_default();
        let fields = document.pointer_mut(parent).and_then(Value::as_object_mut);
        let fields = fields.ok_or_else(|| format!("`{path}` is no setting"))?;
        match value {
            "" => drop(fields.remove(name)),
            text => drop(fields.insert(name.to_owned(), parsed(text, fields.get(name)))),
        }
    }
    let app: App =
        serde_json::from_value(document).map_err(|error| format!("settings: {error}"))?;
    app.validate()?;
    // A name that means nothing is gone after the round trip.
    let kept = serde_json::to_value(&app)?;
    let is_kept = |path: &str| kept.pointer(&format!("/{}", path.replace('.', "/"))).is_some();
    let mut paths = settings.iter().filter_map(|setting| setting.split_once('='));
    match paths.find(|(path, value)| !value.is_empty() && !is_kept(path)) {
        Some((unknown, _)) => Err(format!("`{unknown}` is no setting").into()),
        None => Ok(app),
    }
}

/// A value in the type of the one before: numbers and switches are read, texts are taken as they are.
fn parsed(text: &str, before: Option<&Value>) -> Value {
    match before {
        Some(Value::Number(_) | Value::Bool(_)) => {
            serde_json::from_str(text).unwrap_or_else(|_| text.into())
        }
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app() -> App {
        App::new("shop".parse().expect("an id"), "Shop")
    }

    fn set(settings: &[&str]) -> Result<App, String> {
        let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
        changed(&app(), &settings).map_err(|error| error.to_string())
    }

    #[test]
    fn settings_that_are_none_or_break_a_rule_are_refused_with_the_reason() {
        for (setting, reason) in [
            ("host", "`host` is not FIELD=VALUE"),
            ("id=eve", "`id` cannot be set"),
            ("secrets.0=x", "`secrets.0` cannot be set"),
            ("colour=red", "unknown field `colour`"),
            ("no.such=1", "`no.such` is no setting"),
            ("policy.max_atempts=9", "`policy.max_atempts` is no setting"),
            ("policy.max_attempts=many", "invalid type"),
            ("policy.max_attempts=0", "max_attempts must be 1 to 10"),
            ("templates.t=sms = hello", "must hold"),
            ("name=", "missing field `name`"),
        ] {
            let error = set(&[setting]).expect_err(setting);
            assert!(error.contains(reason), "{setting}: {error}");
        }
    }

    #[test]
    fn settings_are_changed_and_taken_away() {
        let changes =
            ["host=shop.example", "policy.max_attempts=3", "blocked=true", "sms.sender_id=123"];
        let app = set(&changes).expect("it is valid");
        assert_eq!(app.host.as_deref(), Some("shop.example"));
        assert_eq!((app.policy.max_attempts, app.blocked), (3, true));
        assert_eq!(app.sms.sender_id.as_deref(), Some("123"), "a text stays a text");
        let app = changed(&app, &["host=".to_owned()]).expect("it is valid");
        assert_eq!(app.host, None);
    }

    #[test]
    fn no_hash_is_shown() {
        let app = App { secrets: vec![SecretHash::of("secret")], ..app() };
        let told = shown(&app);
        assert!(told.text.contains("secrets                    1"), "{}", told.text);
        assert_eq!(told.json["secrets"], 1);
    }
}
