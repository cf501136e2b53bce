//! `passcode app`: makes, shows, changes and removes apps, on the local stack or a deployed one.

mod secret;
pub(crate) mod settings;
mod shown;
mod test_address;

use crate::{
    output::{self, Output},
    place::Place,
};
use clap::Subcommand;
use passcode_domain::{
    App, AppId,
    app::SecretHash,
    ports::{Clock as _, DeleteApps as _, LoadApps as _, StoreApps as _, StoreError},
};
use passcode_dynamodb::AppTable;
use passcode_runtime::SystemClock;
use secret::{ADMIN_KEY, CLIENT_SECRET};
use serde_json::json;
use settings::changed;
use shown::{shown, without_dropped};
use std::{error::Error, process::ExitCode};

/// What is left to do for an app whose text messages go nowhere.
fn no_country(id: &AppId) -> String {
    format!(
        "Its text messages go nowhere yet. Name their countries:\n  \
         passcode app set {} guard.allowed_countries.countries=US,CA",
        id.as_str()
    )
}

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
    #[command(after_help = CREATE_HELP)]
    Create {
        /// Its `clientId`: 1 to 64 letters, digits, `-`, `_` or `.`.
        id: AppId,
        /// The brand that its messages name.
        #[arg(long)]
        name: String,
        /// Settings, as for `passcode app set`.
        #[arg(value_name = "FIELD=VALUE")]
        settings: Vec<String>,
    },
    /// Show an app's settings. Secrets and keys are stored as hashes: only their number is shown.
    Show {
        /// Its `clientId`.
        id: AppId,
    },
    /// Change an app's settings. Warm functions follow within a minute.
    #[command(after_help = SET_HELP)]
    Set {
        /// Its `clientId`.
        id: AppId,
        /// What to change.
        #[arg(value_name = "FIELD=VALUE", required = true)]
        settings: Vec<String>,
    },
    /// Add, remove and list test addresses: nothing is sent to them, and their code is fixed.
    #[command(subcommand, after_help = TEST_ADDRESS_HELP)]
    TestAddress(test_address::Action),
    /// Make a new client secret, and show it. The one before works until the next rotation.
    RotateSecret {
        /// Its `clientId`.
        id: AppId,
        /// Let the secret before stop working, within a minute.
        #[arg(long)]
        now: bool,
    },
    /// Make a new admin key, and show it. The one before works until the next rotation.
    #[command(after_help = ADMIN_KEY_HELP)]
    RotateAdminKey {
        /// Its `clientId`.
        id: AppId,
        /// Let the key before stop working, within a minute.
        #[arg(long)]
        now: bool,
    },
    /// Remove an app. Its challenges end with their time.
    Delete {
        /// Its `clientId`.
        id: AppId,
    },
}

const CREATE_HELP: &str = "\
An app has no admin key at first; `passcode app rotate-admin-key` makes one.
Its text messages go to the countries that it names, and at first to none.

Example:
  passcode app create shop --name Shop host=shop.example \\
    guard.allowed_countries.countries=US,CA";

const SET_HELP: &str = "\
Settings:
  name, host, locale        the brand in messages; the host that may fill in
                            codes from them; their language (en, de, es, …)
  blocked                   true: the app's server is refused everything, and
                            nothing is sent
  conceal_blocks            true: who is blocked sees success, and gets nothing
  strict_channels           true: channels of OTPless that do not exist here are
                            refused also beside one that does
  policy.…                  code_length, code_seconds, max_attempts, max_sends,
                            cool_down_seconds, max_failures, failure_seconds,
                            failure_wait_seconds; failed_verifies.mode and
                            .per_hour, for the alarm
  sms.…                     sender_id, origination_number, max_price, entity_id,
                            template_id
  email.…                   from, configuration_set
  issuer.…                  who signs the access tokens of its users: url,
                            audience, jwks_url, linked_identity_claim
  browser.…                 origins, a list; cross_site_cookie, true or false
  step_up.SCOPE.…           channel: sms or email; grant_mode: session-start,
                            single-use, session-bound or profile-bound;
                            text.LANGUAGE: what the code allows, as it follows
                            \"your code\" in the message
  guard.RULE.mode           enforce, shadow (only recorded) or off
  guard.allowed_countries.… countries, a list (ISO 3166-1)
  guard.number_type.…       refused, a list: pager, premium_rate, …
  guard.sends_per_….…       per_hour, per_day; of address, ip, country and app
  guard.spend_cap.…         per_day, currency, default_price; prices.COUNTRY
  guard.countries_per_ip.…  most
  guard.unverified_per_….…  floor, percent; of ip_hour, ip_day, country_hour
                            and country_day, and of prefix_concentration
  guard.…                   block_seconds, burst
  templates.ID              a Fluent source that overrides the built-in texts
  test_addresses            see `passcode app test-address`

Values:
  A list is given with commas. What begins with { or [ is JSON, and takes the
  place of all that was there; a scope or a template whose name has a `.` can
  only be given so. An empty value takes a setting away. Either all changes of
  a command hold or, where one is refused, none does.

Examples:
  passcode app set shop policy.max_attempts=3 templates.t='sms = { $code }'
  passcode app set shop issuer.url=https://id.example issuer.audience=api
  passcode app set shop browser.origins=https://a.example,https://b.example
  passcode app set shop guard.allowed_countries.countries=US,GR \\
    guard.spend_cap.per_day=25.00 guard.sends_per_ip.mode=shadow
  passcode app set shop \\
    step_up.pay='{\"channel\":\"sms\",\"grant_mode\":\"single-use\"}'
  passcode app set shop step_up.pay.text.en='to pay 20 dollars or more'
  passcode app set shop step_up.pay.channel=email blocked=true host=

What a rule of the guard would have refused of the messages that were sent:
`passcode guard simulate`.";

const TEST_ADDRESS_HELP: &str = "\
They are for reviewers and automated tests. Whoever guesses the code signs in
as that address, so it is a random one: 6 to 10 digits, neither one digit
repeated nor a series. Warm functions follow within a minute.

Example:
  passcode app test-address add shop +14155550199 --code 482915 \\
    --until 2026-12-31";

const ADMIN_KEY_HELP: &str = "\
Whoever has it has codes sent and verified for the app's users (ZAP). It is
presented as `Authorization: Bearer KEY`, to a host whose first label is the
app's `clientId`; the deployment's default app has all other hosts as well.";

/// Does it.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    output::run(act(arguments, &arguments.place), arguments.json)
}

/// Does it at a place.
pub async fn act(arguments: &Arguments, place: &Place) -> Result<Output, Box<dyn Error>> {
    let aws = place.aws()?;
    let apps = Apps { apps: AppTable::new(&aws, place.table(&aws, "AppTable").await?), place };
    let output = match &arguments.action {
        Action::Create { id, name, settings } => apps.create(id, name, settings).await,
        Action::Show { id } => apps.existing(id).await.map(|app| shown(&app, SystemClock.now())),
        Action::Set { id, settings } => apps.set(id, settings).await,
        Action::TestAddress(action) => apps.test_address(action).await,
        Action::RotateSecret { id, now } => {
            apps.rotate(id, CLIENT_SECRET, *now, |app| &mut app.secrets).await
        }
        Action::RotateAdminKey { id, now } => {
            apps.rotate(id, ADMIN_KEY, *now, |app| &mut app.admin_keys).await
        }
        Action::Delete { id } => apps.delete(id).await,
    };
    Ok(output?)
}

/// An app that is there.
pub(crate) async fn existing(apps: &AppTable, id: &AppId, place: &Place) -> Result<App, String> {
    match apps.load_app(id).await.map_err(|error| place.explain(&error))? {
        Some(app) => Ok((*app).clone()),
        None => Err(format!("no app is named {}; `passcode app create` makes one", id.as_str())),
    }
}

/// The apps of a place.
struct Apps<'a> {
    apps: AppTable,
    place: &'a Place,
}

impl Apps<'_> {
    async fn existing(&self, id: &AppId) -> Result<App, String> {
        existing(&self.apps, id, self.place).await
    }

    fn explain(&self, error: &StoreError) -> String {
        self.place.explain(error)
    }

    async fn store(&self, app: &App) -> Result<(), String> {
        let app = app.validated().map_err(|error| error.to_string())?;
        self.apps.store_app(&app).await.map_err(|error| self.explain(&error))
    }

    async fn create(&self, id: &AppId, name: &str, settings: &[String]) -> Result<Output, String> {
        if self.apps.load_app(id).await.map_err(|error| self.explain(&error))?.is_some() {
            return Err(format!("the app {} exists already", id.as_str()));
        }
        let mut app = changed(&App::new(id.clone(), name), settings)?;
        let secret = secret::rotate(&mut app.secrets, true);
        self.store(&app).await?;
        let mut output = secret::output(id, CLIENT_SECRET, &secret, None);
        if app.guard.allowed_countries.countries.is_empty() {
            output.text = format!("{}\n\n{}", output.text, no_country(id));
        }
        Ok(output)
    }

    async fn set(&self, id: &AppId, settings: &[String]) -> Result<Output, String> {
        let before = self.existing(id).await?;
        let app = changed(&before, settings)?;
        self.store(&app).await?;
        let output = shown(&app, SystemClock.now());
        Ok(if before.dropped_parts.is_empty() { output } else { without_dropped(&before, output) })
    }

    async fn test_address(&self, action: &test_address::Action) -> Result<Output, String> {
        let (mut app, now) = (self.existing(action.app()).await?, SystemClock.now());
        if action.change(&mut app, now)? {
            self.store(&app).await?;
        }
        Ok(test_address::listed(&app, now))
    }

    async fn rotate(
        &self,
        id: &AppId,
        name: &str,
        at_once: bool,
        hashes: fn(&mut App) -> &mut Vec<SecretHash>,
    ) -> Result<Output, String> {
        let mut app = self.existing(id).await?;
        let hashes = hashes(&mut app);
        let before = (!hashes.is_empty()).then_some(at_once);
        let secret = secret::rotate(hashes, at_once);
        self.store(&app).await?;
        Ok(secret::output(id, name, &secret, before))
    }

    async fn delete(&self, id: &AppId) -> Result<Output, String> {
        self.existing(id).await?;
        self.apps.delete_app(id).await.map_err(|error| self.explain(&error))?;
        let text = format!("{} is removed. Warm functions follow within a minute.", id.as_str());
        Ok(Output::new(text, json!({ "deleted": id.as_str() })))
    }
}
