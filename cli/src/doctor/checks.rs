//! The checks: each looks at what was read and says what it found. None of them asks anything.

use super::{
    countries::{self, Demand},
    facts::{Aws, Facts, Grant, Number, Read, SenderId, Unread},
};
use passcode_domain::{
    App,
    app::guard::Mode,
    value::{country::Country, money::Amount},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fmt, time::Duration};

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Ok,
    /// Codes arrive today, or it could not be read whether they do.
    Warning,
    /// Codes do not arrive, or somebody's data or money is not safe.
    Failure,
}

impl Level {
    /// Its name, in the table and in the JSON output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

/// What `--fix` does about a finding that has one right answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fix {
    /// Logs the delivery of every text message, by this role.
    DeliveryLogging(String),
    /// Lets the items of this table end.
    TimeToLive(String),
    /// Makes this table recoverable.
    Recovery(String),
    /// Lets SNS send from the origination identity with this ARN.
    SnsGrant(String),
}

impl fmt::Display for Fix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeliveryLogging(_) => f.write_str("the delivery of every text message is logged"),
            Self::TimeToLive(table) => write!(f, "items of {table} end"),
            Self::Recovery(table) => write!(f, "{table} can be restored to a point in time"),
            Self::SnsGrant(arn) => write!(f, "SNS may send from {arn}"),
        }
    }
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The name of the check.
    pub check: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub found: String,
    /// What to do next: a command, or a page.
    pub next: Option<String>,
    /// What `--fix` does.
    pub fix: Option<Fix>,
}

impl Finding {
    /// The row in the JSON output.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "check": self.check,
            "level": self.level.as_str(),
            "found": self.found,
            "next": self.next,
            "fixable": self.fix.is_some(),
        })
    }
}

/// What the checks have found, and which of them have nothing to look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The rows, in the order of the checks.
    pub rows: Vec<Finding>,
    /// The checks without a row: on this machine those of AWS, elsewhere those of what could not be
    /// read.
    pub unchecked: Vec<&'static str>,
}

impl Findings {
    /// The worst level.
    #[must_use]
    pub fn worst(&self) -> Level {
        self.rows.iter().map(|row| row.level).max().unwrap_or(Level::Ok)
    }
}

type Check = fn(&Facts, &mut Rows<'_>);

/// Every check, in the order of the table.
const CHECKS: [(&str, Check); 19] = [
    ("stack", stack),
    ("template", template),
    ("sms_sandbox", sms_sandbox),
    ("sms_spend_limit", sms_spend_limit),
    ("sms_identities", sms_identities),
    ("sms_rates", sms_rates),
    ("sms_logging", sms_logging),
    ("email_sandbox", email_sandbox),
    ("email_quota", email_quota),
    ("email_senders", email_senders),
    ("email_events", email_events),
    ("concurrency", concurrency),
    ("time_to_live", time_to_live),
    ("recovery", recovery),
    ("keyring", keyring),
    ("alarms", alarms),
    ("app_spend_caps", app_spend_caps),
    ("app_countries", app_countries),
    ("app_settings", app_settings),
];

/// Runs every check.
#[must_use]
pub fn run(facts: &Facts) -> Findings {
    let mut findings = Findings::default();
    for (check, run) in CHECKS {
        let before = findings.rows.len();
        run(facts, &mut Rows { check, before, facts, findings: &mut findings.rows });
        if findings.rows.len() == before {
            findings.unchecked.push(check);
        }
    }
    findings
}

/// The rows that a check adds.
struct Rows<'a> {
    check: &'static str,
    /// The rows of the checks before.
    before: usize,
    facts: &'a Facts,
    findings: &'a mut Vec<Finding>,
}

impl Rows<'_> {
    fn add(&mut self, level: Level, found: impl Into<String>, next: Option<String>) {
        let (check, found) = (self.check, found.into());
        self.findings.push(Finding { check, level, found, next, fix: None });
    }

    fn failure(&mut self, found: impl Into<String>, next: impl Into<String>) {
        self.add(Level::Failure, found, Some(next.into()));
    }

    fn warning(&mut self, found: impl Into<String>, next: impl Into<String>) {
        self.add(Level::Warning, found, Some(next.into()));
    }

    /// Adds to the last row what `--fix` does.
    fn fix(&mut self, fix: Fix) {
        let next = self.command("passcode doctor --fix");
        if let Some(row) = self.findings.last_mut() {
            row.next = Some(next);
            row.fix = Some(fix);
        }
    }

    /// Says that everything is in order, unless the check has found something else.
    fn otherwise_ok(&mut self, found: impl Into<String>) {
        if self.findings.len() == self.before {
            self.add(Level::Ok, found, None);
        }
    }

    /// A command of this program, for the same stack.
    fn command(&self, line: &str) -> String {
        self.facts.stack.as_ref().map_or(line.to_owned(), |stack| format!("{line} --stack {stack}"))
    }

    /// Says that the stack has no such output.
    fn lacks(&mut self, output: &'static str) {
        self.read::<()>(&Err(Unread::NoOutput(output)));
    }

    /// A fact. What could not be read is a row, once in the table.
    fn read<'f, T>(&mut self, fact: &'f Read<T>) -> Option<&'f T> {
        let unread = match fact {
            Ok(fact) => return Some(fact),
            Err(unread) => unread,
        };
        let (level, found, next) = match unread {
            Unread::NoStack => return None,
            Unread::Denied(action) => (
                Level::Warning,
                format!("Could not read: needs {action}."),
                format!("allow {action} to these credentials (cli/README.md has the policy)"),
            ),
            Unread::Failed(action, cause) => {
                (Level::Warning, failed(action, cause), self.command("passcode doctor"))
            }
            Unread::NoOutput(output) => (
                Level::Warning,
                format!(
                    "The stack has no output {output}: its template is older than this command."
                ),
                DEPLOY.to_owned(),
            ),
        };
        if self.findings.iter().all(|row| row.found != found) {
            self.add(level, found, Some(next));
        }
        None
    }
}

fn failed(action: &str, cause: &str) -> String {
    format!("Could not read ({action}): {cause}.")
}

const DEPLOY: &str = "sam build && sam deploy";

fn stack(facts: &Facts, rows: &mut Rows<'_>) {
    let Some(stack) = &facts.stack else {
        return match &facts.apps {
            Ok(apps) => rows.otherwise_ok(format!(
                "The stack on this machine answers; it has {}.",
                apps_text(apps)
            )),
            Err(Unread::Failed(action, cause)) => {
                rows.failure(failed(action, cause), "cargo local");
            }
            Err(_) => {}
        };
    };
    let status = match &facts.deployed {
        Ok(deployed) => deployed.status.as_str(),
        Err(Unread::Failed(action, cause)) => {
            return rows.failure(
                failed(action, cause),
                format!("aws cloudformation describe-stacks --stack-name {stack}"),
            );
        }
        Err(_) => {
            rows.read(&facts.deployed);
            return;
        }
    };
    let events = format!("aws cloudformation describe-stack-events --stack-name {stack}");
    match status {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "IMPORT_COMPLETE" => {
            rows.otherwise_ok(format!("{stack} in {}: {status}.", facts.region));
        }
        _ if status.ends_with("_IN_PROGRESS") || status == "UPDATE_ROLLBACK_COMPLETE" => {
            rows.warning(format!("The last deployment is not in place: {status}."), events);
        }
        _ => rows.failure(format!("The last deployment has failed: {status}."), events),
    }
    if let Some([]) = rows.read(&facts.apps).map(Vec::as_slice) {
        let create = "passcode app create shop --name Shop";
        rows.warning("The stack has no app, so nobody can call it.", rows.command(create));
    }
}

fn template(facts: &Facts, rows: &mut Rows<'_>) {
    if facts.stack.is_none() {
        return;
    }
    let Some(deployed) = rows.read(&facts.deployed) else { return };
    let own = env!("CARGO_PKG_VERSION");
    match deployed.outputs.get("Version") {
        None => rows.lacks("Version"),
        Some(version) if numbers_of(version) < numbers_of(own) => rows.warning(
            format!("The template is of version {version}, older than this command's {own}."),
            DEPLOY,
        ),
        Some(version) => rows.otherwise_ok(format!("Version {version}.")),
    }
}

/// The numbers of a version, for comparison.
fn numbers_of(version: &str) -> Vec<u64> {
    version.split(['.', '-', '+']).map_while(|number| number.parse().ok()).collect()
}

fn sms_sandbox(facts: &Facts, rows: &mut Rows<'_>) {
    let Some(aws) = &facts.aws else { return };
    match rows.read(&aws.sms_sandbox) {
        Some(true) => rows.failure(
            "SNS is in the SMS sandbox: it sends to at most 10 verified numbers, and answers success \
             for every other one.",
            console(facts, "sns/v3", "#/mobile/text-messaging"),
        ),
        Some(false) => rows.otherwise_ok("SNS sends text messages to every number."),
        None => {}
    }
}

/// A page of the console, where no command does it.
fn console(facts: &Facts, service: &str, page: &str) -> String {
    let region = &facts.region;
    format!("https://{region}.console.aws.amazon.com/{service}/home?region={region}{page}")
}

fn sms_spend_limit(facts: &Facts, rows: &mut Rows<'_>) {
    let Some(aws) = &facts.aws else { return };
    let own = rows.read(&aws.sms_attributes).and_then(|all| all.get("MonthlySpendLimit"));
    let own = own.and_then(|limit| limit.parse::<f64>().ok());
    let limits = rows.read(&aws.spend_limit);
    let limit = match (own, limits.map(|limits| exact(limits.enforced))) {
        (Some(own), Some(enforced)) => own.min(enforced),
        (Some(limit), None) | (None, Some(limit)) => limit,
        (None, None) => return,
    };
    let raise = match limits {
        Some(limits) if exact(limits.most) > limit => {
            let most = limits.most;
            rows.command(&format!("passcode doctor --fix --monthly-spend-limit {most}"))
        }
        // The quota itself is in the way, and only AWS Support raises it.
        _ => "https://console.aws.amazon.com/support/home#/case/create?issueType=service-limit-increase"
            .to_owned(),
    };
    let caps = facts.apps.iter().flatten().filter(|app| app.guard.spend_cap.currency == "USD");
    let caps = caps.filter_map(|app| app.guard.spend_cap.per_day).map(Amount::as_millionths);
    let caps = caps.fold(0, u64::saturating_add);
    if limit <= 1.0 {
        rows.failure(
            format!("SNS drops text messages beyond {limit} dollar a month, and answers success."),
            raise,
        );
    } else if limit * 1e6 < exact(caps) {
        let caps = Amount::from_millionths(caps);
        rows.warning(
            format!(
                "SNS drops text messages beyond {limit} dollars a month, less than the apps may spend \
                 in one day ({caps})."
            ),
            raise,
        );
    } else {
        rows.otherwise_ok(format!("Text messages may cost {limit} dollars a month."));
    }
}

/// A number of dollars or millionths for comparisons, exact below 2^53.
#[expect(clippy::cast_precision_loss, reason = "no amount of money is that large")]
const fn exact(number: u64) -> f64 {
    number as f64
}

/// The countries that an app sends text messages to.
fn countries_of(app: &App) -> impl Iterator<Item = &str> {
    app.guard.allowed_countries.countries.iter().map(Country::as_str)
}

/// Whether SNS can send from a number, as far as the number is concerned.
fn is_usable(number: &Number) -> bool {
    number.sends_texts && number.status == "ACTIVE"
}

fn sms_identities(facts: &Facts, rows: &mut Rows<'_>) {
    let Some(aws) = &facts.aws else { return };
    let (Some(apps), Some(numbers)) = (rows.read(&facts.apps), rows.read(&aws.numbers)) else {
        return;
    };
    let Some(sender_ids) = rows.read(&aws.sender_ids) else { return };
    for app in apps {
        named_number(app, numbers, rows);
    }
    let countries: BTreeSet<&str> =
        apps.iter().flat_map(countries_of).map(countries::served_by).collect();
    let named = |number: &Number| {
        apps.iter().any(|app| app.sms.origination_number.as_ref() == Some(&number.number))
    };
    let (mut usable, mut used) = (Vec::new(), 0);
    for number in numbers {
        if is_usable(number) && (named(number) || countries.contains(&*number.country)) {
            used += 1;
            number_grant(number, rows);
            usable.push(number.number.as_str());
        }
    }
    for sender in sender_ids.iter().filter(|sender| countries.contains(&*sender.country)) {
        used += 1;
        sender_grant(sender, rows);
        usable.push(&sender.id);
    }
    rows.otherwise_ok(match used {
        0 => "None in the apps' countries; SNS sends from shared ones.".to_owned(),
        _ => format!("SNS may send from {}.", usable.join(", ")),
    });
}

/// The number that an app names.
fn named_number(app: &App, numbers: &[Number], rows: &mut Rows<'_>) {
    let Some(named) = &app.sms.origination_number else { return };
    let id = app.id.as_str();
    let own = numbers.iter().find(|number| number.number == *named);
    let found = match own {
        Some(number) if is_usable(number) => return,
        Some(number) => format!("The app {id} sends from {named}, which is {}.", number.status),
        None => format!("The app {id} sends from {named}, which is no number of this account."),
    };
    rows.failure(found, rows.command(&format!("passcode app set {id} sms.origination_number=")));
}

/// Identities that are older than this let SNS send without a policy: 2024-09-24.
const POLICIES_SINCE: u64 = 1_727_136_000_000;

fn number_grant(number: &Number, rows: &mut Rows<'_>) {
    let grant = rows.read(&number.sns);
    let is_new = number.created.is_none_or(|at| at.as_millis() >= POLICIES_SINCE);
    let name = &number.number;
    match grant {
        Some(Grant::NoPolicy) if is_new => {
            rows.failure(format!("SNS may not send from {name}: it has no resource policy."), "");
            rows.fix(Fix::SnsGrant(number.arn.clone()));
        }
        Some(Grant::Withheld) => withheld(name, &number.arn, rows),
        _ => {}
    }
}

fn sender_grant(sender: &SenderId, rows: &mut Rows<'_>) {
    let name = &sender.id;
    match rows.read(&sender.sns) {
        // When it was made, AWS does not say.
        Some(Grant::NoPolicy) => {
            rows.warning(
                format!(
                    "SNS may not send as {name} in {} if that was made after 2024-09-24: it has no \
                     resource policy.",
                    sender.country
                ),
                "",
            );
            rows.fix(Fix::SnsGrant(sender.arn.clone()));
        }
        Some(Grant::Withheld) => withheld(name, &sender.arn, rows),
        _ => {}
    }
}

fn withheld(name: &str, arn: &str, rows: &mut Rows<'_>) {
    rows.failure(
        format!(
            "SNS may not send from {name}: its resource policy does not name sns.amazonaws.com."
        ),
        format!("aws pinpoint-sms-voice-v2 get-resource-policy --resource-arn {arn}"),
    );
}

/// Numbers that carry less than an app may send to their country.
fn sms_rates(facts: &Facts, rows: &mut Rows<'_>) {
    let Some(aws) = &facts.aws else { return };
    let (Some(apps), Some(numbers)) = (rows.read(&facts.apps), rows.read(&aws.numbers)) else {
        return;
    };
    let mut told = Vec::new();
    for country in numbers.iter().map(|number| number.country.as_str()).collect::<BTreeSet<_>>() {
        let own = numbers.iter().filter(|number| number.country == country && is_usable(number));
        let rate: u64 = own.map(rate_of).sum();
        told.push(format!("{country} {rate}"));
        for app in apps {
            let limit = &app.guard.sends_per_country;
            let sends = countries_of(app).any(|to| countries::served_by(to) == country);
            let an_hour =
                if limit.mode == Mode::Enforce { u64::from(limit.per_hour) } else { u64::MAX };
            if rate == 0 || !sends || an_hour <= rate * 3600 {
                continue;
            }
            let (id, carried) = (app.id.as_str(), rate * 3600);
            rows.warning(
                format!(
                    "The app {id} may send more an hour to {country} than the {carried} that the \
                     numbers there carry ({rate} a second); the rest waits, and its codes end."
                ),
                rows.command(&format!(
                    "passcode app set {id} guard.sends_per_country.per_hour={carried}"
                )),
            );
        }
    }
    rows.otherwise_ok(if told.is_empty() {
        "No numbers of its own; SNS sends 20 a second by default.".to_owned()
    } else {
        format!("Text messages a second: {}.", told.join(", "))
    });
}

fn rate_of(number: &Number) -> u64 {
    number.rate.unwrap_or_else(|| countries::rate(&number.kind, &number.country))
}

fn sms_logging(facts: &Facts, rows: &mut Rows<'_>) {
    let Some(aws) = &facts.aws else { return };
    let (Some(deployed), Some(set)) = (rows.read(&facts.deployed), rows.read(&aws.sms_attributes))
    else {
        return;
    };
    let text = |name: &str| set.get(name).map(String::as_str).unwrap_or_default();
    let (role, rate) = (text("DeliveryStatusIAMRole"), text("DeliveryStatusSuccessSamplingRate"));
    let Some(own) = deployed.outputs.get("SmsStatusRole") else {
        // The role and what reads the logs come with the parameter.
        let (found, logs) = match role {
            "" => ("SNS logs no deliveries, so nobody learns which text messages it drops.", "new"),
            _ => (
                "SNS logs how text messages are delivered, and the stack does not read it.",
                "existing",
            ),
        };
        let deploy =
            format!("sam deploy --parameter-overrides 'SmsReceipts=\"{logs} log groups\"'");
        return rows.warning(found, deploy);
    };
    let found = match (role, rate) {
        ("", _) => "SNS logs no deliveries, so nobody learns which text messages it drops.",
        _ if role != own => {
            "SNS logs deliveries by a role of somebody else's, and nothing once that is gone."
        }
        (_, "100") => {
            return rows
                .otherwise_ok("The stack reads of every text message how it was delivered.");
        }
        _ => "SNS does not log every delivery of a text message, so some have no receipt.",
    };
    rows.warning(found, "");
    rows.fix(Fix::DeliveryLogging(own.clone()));
}

fn email_sandbox(facts: &Facts, rows: &mut Rows<'_>) {
    let Some(aws) = &facts.aws else { return };
    let Some(ses) = rows.read(&aws.ses) else { return };
    if !ses.is_production {
        rows.failure(
            "SES is in the sandbox: it sends to verified recipients only.",
            "aws sesv2 put-account-details --production-access-enabled --mail-type TRANSACTIONAL \
             --website-url https://shop.example --use-case-description 'One-time passcodes'",
        );
    }
    let reputation = console(facts, "ses", "#/reputation");
    if !ses.may_send || ses.standing == "SHUTDOWN" {
        rows.failure("SES has stopped this account from sending.", reputation);
    } else if ses.standing == "PROBATION" {
        rows.warning(
            "SES reviews this account, for bounces or complaints; it may stop it.",
            reputation,
        );
    }
    rows.otherwise_ok("SES sends e-mails to everybody.");
}

fn email_quota(facts: &Facts, rows: &mut Rows<'_>) {
    let Some(aws) = &facts.aws else { return };
    let Some(ses) = rows.read(&aws.ses) else { return };
    let (per_day, sent) = (ses.per_day, ses.sent);
    let used = format!("{sent} of the {per_day} e-mails that SES sends in 24 hours are used up");
    let raise = console(facts, "servicequotas", "#!/services/ses/quotas");
    // An unlimited account has -1.
    if per_day < 0.0 || sent < per_day * 0.8 {
        rows.otherwise_ok(format!("{used}; {} a second.", ses.per_second));
    } else if sent < per_day {
        rows.warning(format!("{used}."), raise);
    } else {
        rows.failure(format!("{used}: it refuses every further one."), raise);
    }
}

/// The domain of the sender that the template names, which nobody can verify.
const NOBODYS_DOMAIN: &str = "example.com";

fn email_senders(facts: &Facts, rows: &mut Rows<'_>) {
    let Some(aws) = &facts.aws else { return };
    for (sender, identity) in &aws.senders {
        let Some(identity) = rows.read(identity) else { continue };
        let Some(identity) = identity else {
            let domain = sender.rsplit('@').next().unwrap_or_default();
            if domain == NOBODYS_DOMAIN {
                rows.warning(
                    "No e-mail can be sent: the sender of apps that name none is the example.",
                    "sam deploy --parameter-overrides EmailFrom=ADDRESS",
                );
            } else {
                rows.failure(
                    format!("{sender} is no identity of SES, so its e-mails are refused."),
                    format!("aws sesv2 create-email-identity --email-identity {domain}"),
                );
            }
            continue;
        };
        let name = &identity.name;
        let show = format!("aws sesv2 get-email-identity --email-identity {name}");
        if !identity.verified {
            rows.failure(
                format!("{name} is not verified, so e-mails from {sender} are refused."),
                show,
            );
        } else if !identity.signs {
            rows.warning(
                format!("E-mails from {sender} have no DKIM signature, so they may count as spam."),
                format!(
                    "aws sesv2 put-email-identity-dkim-attributes --email-identity {name} \
                     --signing-enabled"
                ),
            );
        } else if identity.dkim != "SUCCESS" {
            rows.warning(
                format!("The DKIM records of {name} are not in place: {}.", identity.dkim),
                show,
            );
        }
    }
    let senders: Vec<_> = aws.senders.iter().map(|(sender, _)| sender.as_str()).collect();
    if !senders.is_empty() {
        rows.otherwise_ok(format!("Verified and signed: {}.", senders.join(", ")));
    }
}

/// The events that receipts are made from.
const EVENTS: [&str; 3] = ["BOUNCE", "COMPLAINT", "DELIVERY"];

fn email_events(facts: &Facts, rows: &mut Rows<'_>) {
    let Some(aws) = &facts.aws else { return };
    let Some(deployed) = rows.read(&facts.deployed) else { return };
    if !deployed.outputs.contains_key("ConfigurationSet") {
        rows.lacks("ConfigurationSet");
    }
    for (name, destinations) in &aws.configuration_sets {
        let Some(destinations) = rows.read(destinations) else { continue };
        // Without a set of its own an app has the stack's.
        let mut apps = facts.apps.iter().flatten();
        let app = apps.find(|app| app.email.configuration_set.as_ref() == Some(name));
        let next = app.map_or(DEPLOY.to_owned(), |app| {
            rows.command(&format!("passcode app set {} email.configuration_set=", app.id.as_str()))
        });
        let Some(destinations) = destinations else {
            let found = "so the e-mails that name it are refused";
            rows.failure(format!("There is no configuration set {name}, {found}."), next);
            continue;
        };
        let sent = |event: &&str| {
            let enabled = destinations.iter().filter(|destination| destination.enabled);
            enabled.flat_map(|destination| &destination.events).any(|sent| sent == event)
        };
        let lost: Vec<_> = EVENTS.into_iter().filter(|event| !sent(event)).collect();
        if !lost.is_empty() {
            let lost = lost.join(", ");
            rows.warning(format!("The configuration set {name} tells nobody of {lost}."), next);
        }
    }
    let names: Vec<_> = aws.configuration_sets.iter().map(|(name, _)| name.as_str()).collect();
    if !names.is_empty() {
        rows.otherwise_ok(format!(
            "Bounces, complaints and deliveries are told by {}.",
            names.join(", ")
        ));
    }
}

/// Fewer executions at a time than this are those of an account that is new.
const FEW_EXECUTIONS: u64 = 100;

fn concurrency(facts: &Facts, rows: &mut Rows<'_>) {
    let Some(aws) = &facts.aws else { return };
    let Some(found) = rows.read(&aws.concurrency) else { return };
    let text =
        format!("{} of {} executions of functions at a time are free", found.unreserved, found.all);
    let raise = format!(
        "aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 \
         --desired-value {}",
        found.all.saturating_add(1000)
    );
    match found.unreserved {
        0 => rows.failure(format!("{text}: every request is refused."), raise),
        few if few < FEW_EXECUTIONS => {
            rows.warning(format!("{text}: requests beyond them are refused."), raise);
        }
        _ => rows.otherwise_ok(format!("{text}.")),
    }
}

/// The attribute with the time when an item ends.
pub(super) const EXPIRES_AT: &str = "expires_at";

fn time_to_live(facts: &Facts, rows: &mut Rows<'_>) {
    for (id, time_to_live) in &facts.time_to_live {
        let Some(found) = rows.read(time_to_live) else { continue };
        match found.attribute.as_deref() {
            Some(EXPIRES_AT) => {}
            Some(other) => rows.warning(
                format!("{id} ends its items by the attribute {other}, which they do not have."),
                format!(
                    "aws dynamodb update-time-to-live --table-name {} --time-to-live-specification \
                     Enabled=false,AttributeName={other}",
                    found.table
                ),
            ),
            None => {
                rows.warning(format!("{id} keeps its items for ever: time to live is off."), "");
                rows.fix(Fix::TimeToLive(found.table.clone()));
            }
        }
    }
    if facts.time_to_live.iter().any(|(_, found)| found.is_ok()) {
        rows.otherwise_ok("Items end by themselves.");
    }
}

fn recovery(facts: &Facts, rows: &mut Rows<'_>) {
    let Some(aws) = &facts.aws else { return };
    for (id, recovery) in &aws.recovery {
        let Some(found) = rows.read(recovery) else { continue };
        if !found.is_on {
            rows.failure(format!("{id} cannot be restored: point-in-time recovery is off."), "");
            rows.fix(Fix::Recovery(found.table.clone()));
        }
    }
    if aws.recovery.iter().any(|(_, found)| found.is_ok()) {
        rows.otherwise_ok("Apps and users can be restored to a point in time.");
    }
}

/// The age of a key that is rotated: a year.
const KEY_AGE: Duration = Duration::from_hours(365 * 24);

fn keyring(facts: &Facts, rows: &mut Rows<'_>) {
    let Some(found) = rows.read(&facts.keyring) else { return };
    let Some(changed) = found.changed else {
        return rows.otherwise_ok("The keys of codes can be read.");
    };
    let age = changed.until(facts.now);
    let days = age.as_secs() / 86_400;
    if age > KEY_AGE {
        rows.warning(
            format!("The keys of codes and signatures are {days} days old."),
            rows.command("passcode keys rotate"),
        );
    } else {
        rows.otherwise_ok(format!("The keys of codes and signatures are {days} days old."));
    }
}

fn alarms(facts: &Facts, rows: &mut Rows<'_>) {
    let Some(aws) = &facts.aws else { return };
    let Some(alarms) = rows.read(&aws.alarms) else { return };
    let deploy = "sam deploy --parameter-overrides AlarmTopic=ARN";
    let mute = alarms.iter().filter(|alarm| !alarm.enabled || alarm.actions.is_empty());
    let mute: Vec<_> = mute.map(|alarm| alarm.name.as_str()).collect();
    if alarms.is_empty() {
        rows.warning("The stack has no alarm.", deploy);
    } else if mute.len() == alarms.len() {
        rows.warning("Nobody is told when an alarm of the stack rings.", deploy);
    } else if !mute.is_empty() {
        rows.warning(
            format!("Nobody is told when these alarms ring: {}.", mute.join(", ")),
            deploy,
        );
    }
    for (topic, subscriptions) in &aws.topics {
        if let Some(0) = rows.read(subscriptions) {
            rows.warning(
                format!("Nobody has subscribed to {topic}, which the alarms tell."),
                format!("aws sns subscribe --topic-arn {topic} --protocol email --notification-endpoint ADDRESS"),
            );
        }
    }
    rows.otherwise_ok("Somebody is told when an alarm rings.");
}

fn app_spend_caps(facts: &Facts, rows: &mut Rows<'_>) {
    let Some(apps) = rows.read(&facts.apps) else { return };
    for app in apps {
        let (id, cap) = (app.id.as_str(), &app.guard.spend_cap);
        if cap.per_day.is_none() || cap.mode != Mode::Enforce {
            rows.warning(
                format!("Nothing limits what the text messages of {id} may cost."),
                rows.command(&format!(
                    "passcode app set {id} guard.spend_cap.per_day=20.00 guard.spend_cap.mode=enforce"
                )),
            );
        }
    }
    if !apps.is_empty() {
        rows.otherwise_ok(format!("{} with a spend cap.", apps_text(apps)));
    }
}

fn apps_text(apps: &[App]) -> String {
    crate::output::count(u32::try_from(apps.len()).unwrap_or(u32::MAX), "app")
}

fn app_countries(facts: &Facts, rows: &mut Rows<'_>) {
    let Some(aws) = &facts.aws else { return };
    let Some(apps) = rows.read(&facts.apps) else { return };
    for app in apps {
        let id = app.id.as_str();
        if app.guard.allowed_countries.mode != Mode::Enforce {
            rows.warning(
                format!("The text messages of {id} go to every country."),
                rows.command(&format!(
                    "passcode app set {id} guard.allowed_countries.mode=enforce"
                )),
            );
        }
        for country in countries_of(app) {
            if let Some(demand) = countries::demand(country) {
                demanded(app, country, demand, aws, rows);
            }
        }
    }
    if aws.numbers.is_ok() && aws.sender_ids.is_ok() {
        rows.otherwise_ok("SNS serves every country of the apps.");
    }
}

/// A country of an app that demands something.
fn demanded(app: &App, country: &str, demand: Demand, aws: &Aws, rows: &mut Rows<'_>) {
    let (Some(numbers), Some(sender_ids)) = (rows.read(&aws.numbers), rows.read(&aws.sender_ids))
    else {
        return;
    };
    let id = app.id.as_str();
    let from = countries::served_by(country);
    let number = numbers.iter().any(|number| number.country == from && is_usable(number));
    let named =
        |sender: &&SenderId| app.sms.sender_id.as_ref().is_none_or(|named| *named == sender.id);
    let mut registered =
        sender_ids.iter().filter(|sender| sender.country == country && sender.registered);
    let registered = registered.any(|sender| named(&sender));
    let register = format!(
        "aws pinpoint-sms-voice-v2 describe-registration-type-definitions --filters \
         Name=supported-association-iso-country-code,Values={country}"
    );
    match demand {
        Demand::Number if !number => rows.failure(
            format!("{id} sends to {country}, where text messages need a registered number."),
            "aws pinpoint-sms-voice-v2 request-phone-number --iso-country-code US --message-type \
             TRANSACTIONAL --number-capabilities SMS --number-type TOLL_FREE",
        ),
        Demand::SenderId if !number && !registered => rows.failure(
            format!("{id} sends to {country}, where text messages need a registered sender id."),
            register,
        ),
        Demand::Support if !number && !registered => rows.failure(
            format!("{id} sends to {country}, which AWS Support opens for an account."),
            "https://console.aws.amazon.com/support/home#/case/create",
        ),
        Demand::Dlt if app.sms.entity_id.is_none() || app.sms.template_id.is_none() => rows.warning(
            format!(
                "{id} sends to {country} without the ids of a registered entity and template (DLT), by \
                 a route that costs many times as much."
            ),
            rows.command(&format!("passcode app set {id} sms.entity_id=ID sms.template_id=ID")),
        ),
        _ => {}
    }
}

fn app_settings(facts: &Facts, rows: &mut Rows<'_>) {
    let Some(apps) = rows.read(&facts.apps) else { return };
    for app in apps.iter().filter(|app| !app.dropped_parts.is_empty()) {
        let id = app.id.as_str();
        rows.warning(
            format!("Of the app {id} this cannot be read: {}.", app.dropped_parts.join(", ")),
            rows.command(&format!("passcode app show {id}")),
        );
    }
    if !apps.is_empty() {
        rows.otherwise_ok(format!("The settings of {} can be read.", apps_text(apps)));
    }
}
