//! `passcode app`: creates, shows, changes and deletes apps on the local stack or a deployed one.

mod secret;
pub(crate) mod settings;
mod shown;
mod test_address;

use crate::{
    keys,
    output::{self, Output},
    place::Place,
};
use aws_types::SdkConfig;
use clap::Subcommand;
use passcode_domain::{
    App, AppId, CallerClass,
    app::SecretHash,
    guard::Sending,
    ports::{
        Clock as _, DeleteApps as _, LoadApps as _, LoadCounters as _, StoreApps as _, StoreError,
    },
    value::money::Amount,
};
use passcode_dynamodb::{AppTable, CounterTable};
use passcode_runtime::SystemClock;
use secret::{ADMIN_KEY, CLIENT_SECRET};
use serde_json::json;
use settings::changed;
use shown::{shown, without_dropped};
use std::{error::Error, process::ExitCode, str::FromStr};

/// What to do when an app has no country that text messages may go to.
fn no_country(id: &AppId) -> String {
    format!(
        "No text messages can be sent yet. Set the countries that they may go to:\n  \
         passcode app set {} guard.allowed_countries.countries=US,CA",
        id.as_str()
    )
}

/// What an app's text messages may cost, and how that is changed.
fn spend_cap(app: &App) -> String {
    let cap = &app.guard.spend_cap;
    let costs = match &cap.per_day {
        Some(amount) => format!("Its text messages may cost {amount} {} in 24 hours", cap.currency),
        None => "Nothing limits what its text messages may cost".to_owned(),
    };
    format!(
        "{costs}; to change that:\n  passcode app set {} guard.spend_cap.per_day=50.00",
        app.id.as_str()
    )
}

/// What a new app's text messages may cost in a day. That nothing limits it has to be said.
#[derive(Clone, Copy, Debug)]
struct SpendCap(Option<Amount>);

impl FromStr for SpendCap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self(None)),
            _ => text
                .parse()
                .map(|amount| Self(Some(amount)))
                .map_err(|_| "an amount such as 20.00 is needed, or `none`".to_owned()),
        }
    }
}

/// What an operator should know of an app beside its settings.
async fn warnings(aws: &SdkConfig, place: &Place, id: &AppId) -> Vec<String> {
    let mut warnings = Vec::new();
    match lacks_client_ips(aws, place, id).await {
        Ok(false) => {}
        Ok(true) => warnings.push(
            "In the past day the app's server has asked for text messages without saying for whom\n\
             (header `Passcode-Client-IP`). For those the detectors of countries and prefixes only\n\
             record, since they could only refuse everybody."
                .to_owned(),
        ),
        Err(error) => warnings.push(format!(
            "Whether the app's server says for whom it asks could not be read: {error}"
        )),
    }
    if place.lacks_output(aws, "AlarmTopic").await {
        warnings.push(
            "Nobody is told when somebody guesses codes: the stack has no alarm topic. Deploy it with\n\
             the parameter `AlarmTopic`."
                .to_owned(),
        );
    }
    warnings
}

/// Whether an app's server has asked for text messages in the past day without saying for whom.
async fn lacks_client_ips(
    aws: &SdkConfig,
    place: &Place,
    id: &AppId,
) -> Result<bool, Box<dyn Error>> {
    let key =
        Sending::app_counter(&keys::keyring(aws, place).await?, id, CallerClass::Authenticated);
    let counters = CounterTable::new(aws, place.resource(aws, "CounterTable").await?);
    let read = counters.load_counters(&[key]).await.map_err(|error| place.explain(&error))?;
    Ok(read.get(&key).is_some_and(|counter| counter.lacked_origin(SystemClock.now())))
}

fn with_warnings(mut output: Output, warnings: Vec<String>) -> Output {
    for warning in &warnings {
        output.text = format!("{}\n\n{warning}", output.text);
    }
    output.json["warnings"] = warnings.into();
    output
}

/// The arguments of `passcode app`.
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
    /// Create an app, and show its client secret. Only a hash is stored, so it is shown only once.
    #[command(after_help = CREATE_HELP)]
    Create {
        /// The `clientId` of the app: 1 to 64 letters, digits, `-`, `_` or `.`.
        id: AppId,
        /// The brand that is named in its messages.
        #[arg(long)]
        name: String,
        /// What its text messages may cost in 24 hours, in US dollars, or `none`.
        #[arg(long, value_name = "AMOUNT", default_value = "20.00")]
        spend_cap: SpendCap,
        /// Settings, as in `passcode app set`.
        #[arg(value_name = "FIELD=VALUE")]
        settings: Vec<String>,
    },
    /// Show the settings of an app. Secrets and keys are stored as hashes, so only their number is
    /// shown.
    Show {
        /// The `clientId` of the app.
        id: AppId,
    },
    /// Change the settings of an app. Running functions use them within a minute.
    #[command(after_help = SET_HELP)]
    Set {
        /// The `clientId` of the app.
        id: AppId,
        /// The settings to change.
        #[arg(value_name = "FIELD=VALUE", required = true)]
        settings: Vec<String>,
    },
    /// Add, remove and list test addresses. Nothing is sent to them, and their code is fixed.
    #[command(subcommand, after_help = TEST_ADDRESS_HELP)]
    TestAddress(test_address::Action),
    /// Create a new client secret, and show it. The previous one works until the next rotation.
    RotateSecret {
        /// The `clientId` of the app.
        id: AppId,
        /// Revoke the previous secret. It stops working within a minute.
        #[arg(long)]
        now: bool,
    },
    /// Create a new admin key, and show it. The previous one works until the next rotation.
    #[command(after_help = ADMIN_KEY_HELP)]
    RotateAdminKey {
        /// The `clientId` of the app.
        id: AppId,
        /// Revoke the previous key. It stops working within a minute.
        #[arg(long)]
        now: bool,
    },
    /// Delete an app. Its challenges are deleted when they expire.
    Delete {
        /// The `clientId` of the app.
        id: AppId,
    },
}

const CREATE_HELP: &str = "\
A new app has no admin key; `passcode app rotate-admin-key` creates one. Its text
messages go only to the countries in its settings, and a new app has none.

Its text messages may cost 20 dollars in 24 hours, unless it is told otherwise.

Example:
  passcode app create shop --name Shop --spend-cap 50 host=shop.example \\
    guard.allowed_countries.countries=US,CA";

const SET_HELP: &str = "\
Settings:
  name, host, locale        the brand in messages; the host on whose pages a
                            browser fills in the code; the language of the
                            messages (en, de, es, …)
  blocked                   true: every request of the app's server is refused,
                            and nothing is sent
  conceal_blocks            true: a blocked caller gets a successful answer, and
                            nothing is sent
  strict_channels           true: a request that names a channel of OTPless that
                            does not exist here is refused, even if it also
                            names one that exists
  policy.…                  code_length, code_seconds, max_attempts, max_sends,
                            cool_down_seconds, max_failures, failure_seconds,
                            failure_wait_seconds; failed_verifies.mode and
                            .per_hour, for the alarm
  sms.…                     sender_id, origination_number, max_price, entity_id,
                            template_id
  email.…                   from, configuration_set
  issuer.…                  the issuer of the access tokens of the app's users:
                            url, audience, jwks_url, linked_identity_claim
  browser.…                 origins, a list; cross_site_cookie, true or false
  step_up.SCOPE.…           channel: sms or email; grant_mode: session-start,
                            single-use, session-bound or profile-bound;
                            text.LANGUAGE: what the code allows; it follows
                            \"your code\" in the message
  guard.RULE.mode           enforce, shadow (only recorded) or off
  guard.allowed_countries.… countries, a list (ISO 3166-1)
  guard.number_type.…       refused, a list: pager, premium_rate, …
  guard.sends_per_….…       per_hour, per_day; of address, ip, country and app
  guard.spend_cap.…         per_day, currency, default_price; prices.COUNTRY
  guard.anonymous_percent   what anonymous callers may use up of the spend cap
                            and of the limits per app and per country
  guard.countries_per_ip.…  most
  guard.unverified_per_….…  floor, percent; of ip_hour, ip_day, country_hour
                            and country_day, and of prefix_concentration
  guard.unverified_under_attack
                            what each IP address may have unverified in a day
                            where more than that is unverified altogether
  guard.burst               this many times more refuse newcomers
  templates.ID              a Fluent source that overrides the built-in texts
  test_addresses            see `passcode app test-address`

Values:
  The items of a list are separated by commas. A value that begins with { or [
  is JSON, and replaces the whole setting. A scope or a template whose name
  contains a `.` can only be set as JSON. An empty value resets a setting to its
  default. If one change of a command is refused, no change is stored.

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

`passcode guard simulate` shows which of the messages that were sent each rule
of the guard refuses.";

const TEST_ADDRESS_HELP: &str = "\
Test addresses are for reviewers and automated tests. Somebody who guesses the
code can sign in as the address, so choose a random one: 6 to 10 digits, not one
digit repeated and not a series. Running functions use it within a minute.

Example:
  passcode app test-address add shop +14155550199 --code 482915 \\
    --until 2026-12-31";

const ADMIN_KEY_HELP: &str = "\
An admin key authorises its holder to send and verify codes for the users of the
app (ZAP). A request has it as `Authorization: Bearer KEY`. The first label of
the host is the `clientId` of the app; the default app of the deployment answers
on all other hosts.";

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    output::run(act(arguments, &arguments.place), arguments.json)
}

/// Runs the command on a stack.
pub async fn act(arguments: &Arguments, place: &Place) -> Result<Output, Box<dyn Error>> {
    let aws = place.aws()?;
    let apps = Apps { apps: AppTable::new(&aws, place.resource(&aws, "AppTable").await?), place };
    let output = match &arguments.action {
        Action::Create { id, name, spend_cap, settings } => {
            apps.create(id, name, *spend_cap, settings).await
        }
        Action::Show { id } => {
            let output = apps.existing(id).await.map(|app| shown(&app, SystemClock.now()))?;
            Ok(with_warnings(output, warnings(&aws, place, id).await))
        }
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

/// Loads an app, or fails if there is none.
pub(crate) async fn existing(apps: &AppTable, id: &AppId, place: &Place) -> Result<App, String> {
    match apps.load_app(id).await.map_err(|error| place.explain(&error))? {
        Some(app) => Ok((*app).clone()),
        None => Err(format!("no app is named {}; `passcode app create` makes one", id.as_str())),
    }
}

/// The apps of a stack.
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

    async fn create(
        &self,
        id: &AppId,
        name: &str,
        SpendCap(cap): SpendCap,
        settings: &[String],
    ) -> Result<Output, String> {
        if self.apps.load_app(id).await.map_err(|error| self.explain(&error))?.is_some() {
            return Err(format!("the app {} exists already", id.as_str()));
        }
        let mut new = App::new(id.clone(), name);
        new.guard.spend_cap.per_day = cap;
        let mut app = changed(&new, settings)?;
        let secret = secret::rotate(&mut app.secrets, true);
        self.store(&app).await?;
        let mut output = secret::output(id, CLIENT_SECRET, &secret, None);
        output.text = format!("{}\n\n{}", output.text, spend_cap(&app));
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
