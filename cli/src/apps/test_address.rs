//! `passcode app test-address`: addresses for reviewers and automated tests, to which nothing is
//! sent and whose code is fixed.

use crate::output::Output;
use clap::Subcommand;
use jiff::{civil::Date, tz::TimeZone};
use passcode_domain::{
    Address, App, AppId, Code, EmailAddress, PhoneNumber, Timestamp, app::TestAddress,
};
use serde_json::json;

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Add a test address. If it exists already, its code and its last day are changed.
    Add {
        /// The app's `clientId`.
        id: AppId,
        /// An e-mail address, or a phone number with `+` and country code.
        #[arg(value_parser = address)]
        address: Address,
        /// The code of the address: 6 to 10 digits, not one digit repeated and not a series.
        #[arg(long, value_name = "DIGITS", value_parser = code)]
        code: Code,
        /// The last day (UTC) on which it is a test address. From the next day on, messages are
        /// sent to it as to any other address.
        #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
        until: Date,
    },
    /// Remove a test address. Messages are sent to it again as to any other address.
    Remove {
        /// The app's `clientId`.
        id: AppId,
        /// The address.
        #[arg(value_parser = address)]
        address: Address,
    },
    /// List the test addresses of an app, with their codes and last days.
    List {
        /// The app's `clientId`.
        id: AppId,
    },
}

impl Action {
    /// The `clientId` of the app.
    pub(super) const fn app(&self) -> &AppId {
        match self {
            Self::Add { id, .. } | Self::Remove { id, .. } | Self::List { id } => id,
        }
    }

    /// Changes the app. Returns whether the app has to be stored.
    pub(super) fn change(&self, app: &mut App, now: Timestamp) -> Result<bool, String> {
        match self {
            Self::Add { address, code, until, .. } => {
                add(app, address, code, *until, now).map(|()| true)
            }
            Self::Remove { address, .. } => remove(app, address).map(|()| true),
            Self::List { .. } => Ok(false),
        }
    }
}

fn address(text: &str) -> Result<Address, String> {
    let parsed = if text.contains('@') {
        EmailAddress::parse(text).map(Address::Email)
    } else {
        PhoneNumber::parse(text).map(Address::Phone)
    };
    parsed.map_err(|error| error.to_string())
}

fn code(text: &str) -> Result<Code, String> {
    Code::try_from(text.to_owned()).map_err(|error| error.to_string())
}

fn day(text: &str) -> Result<Date, &'static str> {
    Date::strptime("%Y-%m-%d", text).map_err(|_| "a date is given as in 2026-12-31")
}

fn add(
    app: &mut App,
    address: &Address,
    code: &Code,
    day: Date,
    now: Timestamp,
) -> Result<(), String> {
    let until = end_of(day).ok_or_else(|| format!("{day} is too far away"))?;
    if until <= now {
        return Err(format!("{day} is over"));
    }
    let address = address.canonical();
    app.test_addresses.retain(|test| !is_same(test, &address));
    app.test_addresses.push(TestAddress { address, code: code.clone(), until });
    Ok(())
}

fn remove(app: &mut App, address: &Address) -> Result<(), String> {
    let address = address.canonical();
    let before = app.test_addresses.len();
    app.test_addresses.retain(|test| !is_same(test, &address));
    if app.test_addresses.len() == before {
        return Err(format!("{} has no test address {address}", app.id.as_str()));
    }
    Ok(())
}

/// Compares e-mail addresses without regard to case.
fn is_same(test: &TestAddress, canonical: &str) -> bool {
    test.address.eq_ignore_ascii_case(canonical)
}

/// The end of a day in UTC.
fn end_of(day: Date) -> Option<Timestamp> {
    let end = day.tomorrow().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
    // What ended before 1970 ended in 1970.
    Some(Timestamp::from_millis(u64::try_from(end.as_millisecond()).unwrap_or_default()))
}

/// The day that ends at a time; the time itself, if no day ends then.
fn last_day(until: Timestamp) -> String {
    let millis = i64::try_from(until.as_millis()).unwrap_or(i64::MAX);
    let Ok(moment) = jiff::Timestamp::from_millisecond(millis) else {
        return "the end of time".to_owned();
    };
    let last = moment.to_zoned(TimeZone::UTC).date().yesterday().ok();
    match last.filter(|day| end_of(*day) == Some(until)) {
        Some(day) => day.to_string(),
        None => moment.to_string(),
    }
}

/// A test address as a line of text.
pub(super) fn line(test: &TestAddress, now: Timestamp) -> String {
    let verb = if test.until <= now { "ended" } else { "until" };
    let (address, code) = (&test.address, test.code.reveal());
    format!("{address:<24} {code:<10} {verb} {}", last_day(test.until))
}

/// The test addresses of an app.
pub(super) fn listed(app: &App, now: Timestamp) -> Output {
    let lines: Vec<_> = app.test_addresses.iter().map(|test| line(test, now)).collect();
    let text = if lines.is_empty() {
        format!("{} has no test addresses", app.id.as_str())
    } else {
        lines.join("\n")
    };
    Output::new(text, json!({ "test_addresses": app.test_addresses }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-20, 09:00:00 UTC.
    const NOW: Timestamp = Timestamp::from_millis(1_795_165_200_000);

    fn app() -> App {
        App::new("shop".parse().expect("an id"), "Shop")
    }

    fn added(app: &mut App, to: &str, digits: &str, until: &str) -> Result<String, String> {
        add(app, &address(to)?, &code(digits)?, day(until)?, NOW)?;
        Ok(listed(app, NOW).text)
    }

    #[test]
    fn what_is_no_address_code_or_day_to_come_is_refused() {
        for (to, digits, until, reason) in [
            ("4155550100", "482915", "2026-12-31", "not a valid phone number"),
            ("ada", "482915", "2026-12-31", "not a valid phone number"),
            ("ada@", "482915", "2026-12-31", "not a valid e-mail address"),
            ("ada@example.com", "123", "2026-12-31", "4 to 10 digits"),
            ("ada@example.com", "12345678901", "2026-12-31", "4 to 10 digits"),
            ("ada@example.com", "12345x", "2026-12-31", "4 to 10 digits"),
            ("ada@example.com", "482915", "31.12.2026", "as in 2026-12-31"),
            ("ada@example.com", "482915", "2026-02-30", "as in 2026-12-31"),
            ("ada@example.com", "482915", "2026-12-31T10:00", "as in 2026-12-31"),
            ("ada@example.com", "482915", "2026-11-19", "2026-11-19 is over"),
            ("ada@example.com", "482915", "1969-01-01", "is over"),
            ("ada@example.com", "482915", "9999-12-31", "too far away"),
        ] {
            let mut app = app();
            let error = added(&mut app, to, digits, until).expect_err(reason);
            assert!(error.contains(reason), "{to} {digits} {until}: {error}");
            assert!(app.test_addresses.is_empty());
        }
        let error = remove(&mut app(), &address("ada@example.com").expect("one"));
        assert_eq!(error, Err("shop has no test address ada@example.com".to_owned()));
    }

    #[test]
    fn an_address_is_kept_in_one_spelling_and_added_again_replaced() {
        let mut app = app();
        for (to, digits, until, expected) in [
            (
                "Ada@Example.com",
                "482915",
                "2026-11-20",
                "ada@example.com          482915     until 2026-11-20",
            ),
            (
                "ada@example.COM",
                "424242",
                "2027-01-31",
                "ada@example.com          424242     until 2027-01-31",
            ),
        ] {
            assert_eq!(added(&mut app, to, digits, until).expect("it is added"), expected);
        }
        added(&mut app, "+1 (415) 555-0199", "482915", "2026-12-31").expect("it is added");
        let stored: Vec<_> = app.test_addresses.iter().map(|test| &*test.address).collect();
        assert_eq!(stored, ["ada@example.com", "+14155550199"]);
        assert_eq!(app.validate(), Ok(()));
        remove(&mut app, &address("ADA@example.com").expect("one")).expect("it is there");
        remove(&mut app, &address("+14155550199").expect("one")).expect("it is there");
        assert_eq!(listed(&app, NOW).text, "shop has no test addresses");
    }

    #[test]
    fn the_code_of_the_help_is_one_that_is_taken() {
        let help = crate::apps::TEST_ADDRESS_HELP;
        let digits = help.split("--code ").nth(1).and_then(|rest| rest.split(' ').next());
        let mut app = app();
        added(&mut app, "ada@example.com", digits.expect("an example"), "2026-12-31")
            .expect("it is added");
        assert_eq!(app.validate(), Ok(()));
    }

    #[test]
    fn ends_are_days_where_they_are_and_moments_elsewhere() {
        let test = |until| {
            let (address, code) = ("+14155550199".to_owned(), code("482915").expect("a code"));
            line(&TestAddress { address, code, until: Timestamp::from_millis(until) }, NOW)
        };
        for (until, expected) in [
            (1_798_761_600_000, "until 2026-12-31"),
            (1_798_761_599_000, "until 2026-12-31T23:59:59Z"),
            (1_795_132_800_000, "ended 2026-11-19"),
            (u64::MAX, "until the end of time"),
        ] {
            assert!(test(until).ends_with(expected), "{until}: {}", test(until));
        }
    }
}
