//! What `passcode local` prints: the URLs, the demo data, examples, and one line per request.

use super::{Observer, Stack, listen::in_url};
use crate::template::{Function, Route};
use anstream::println;
use anstyle::{AnsiColor, Style};
use passcode_demo as demo;
use std::{io::Write as _, path::Path, sync::Arc};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// Examples that send and verify a code, each with its description.
const TRIES: [(&str, &str); 4] = [
    (
        "OTPless sends a code, Rollout verifies it",
        r#"  id=$(curl -s $api/auth/v1/initiate/otp -H 'clientId: demo' -H 'clientSecret: demo-secret' \
    --json '{"phoneNumber":"+14155550100","channels":["SMS"]}' | grep -o 'ARID_[A-Z0-9]*')
  read -p 'Code: ' code; curl $api/auth/otp/$id --json '{"otp":"'$code'"}'"#,
    ),
    (
        "Prelude: a browser signs in, and holds a proof",
        r#"  token=$(curl -s -o /dev/null -w '%header{x-verification-token}' $api/v1/session/otp \
    --json '{"identifier":{"type":"email_address","value":"ada@example.com"}}')
  read -p 'Code: ' code; curl $api/v1/session/otp/check -H "X-Verification-Token: $token" \
    --json '{"code":"'$code'"}'"#,
    ),
    (
        "PACE: a signed-in user gets a code for the PIN, with a token of the issuer here",
        r#"  token=$(curl -s $api/_local/token --json '{"sub":"63fcedad5ab92b52bfbf5125",
    "scope":"user:otp:create user:otp:verify"}' | grep -o '[^"]*\.[^"]*\.[^"]*')
  curl $api/user/otp -H "Authorization: Bearer $token" --json '{"pin":"1793"}'; echo
  read -p 'Code: ' code; curl -w '%{http_code}\n' $api/user/otp/verify \
    -H "Authorization: Bearer $token" --json '{"otp":"'$code'"}'"#,
    ),
    (
        "ZAP: an administrator sends a user a code, and verifies it",
        r#"  curl $api/v1/otp -H 'Authorization: Bearer demo-admin' \
    --json '{"userId":"63fcedad5ab92b52bfbf5125","phoneNumber":"+14155550100"}'; echo
  read -p 'Code: ' code; curl $api/v1/otp/verify -H 'Authorization: Bearer demo-admin' \
    --json '{"identity":"ada","otp":"'$code'"}'"#,
    ),
];

/// Says where everything is, and what to do next.
pub(super) fn print(stack: &Stack, home: Option<&Path>) {
    let api = &stack.api;
    println!("{BOLD}Passcode is running.{BOLD:#}\n");
    for (what, place) in [
        ("API", api.as_str()),
        ("inbox", &format!("{api}/_local/")),
        ("sign-in page", &format!("{api}/_local/sign-in/")),
        ("documentation", &format!("{api}/_local/docs")),
        ("DynamoDB", &stack.dynamodb),
        ("SNS, SES", &stack.sink),
        ("data", &home.map_or("in memory".into(), |home| home.display().to_string())),
    ] {
        println!("  {what:<14} {place}");
    }
    println!("\n{BOLD}Routes{BOLD:#}");
    for Row { methods, path, function } in stack.template.functions.iter().flat_map(rows) {
        println!("  {methods:<5} {path:<30} {DIM}{function}{DIM:#}");
    }
    println!("\n{BOLD}Demo data{BOLD:#}");
    for (what, value) in [
        ("clientId", demo::CLIENT_ID),
        ("clientSecret", demo::CLIENT_SECRET),
        ("admin key", demo::ADMIN_KEY),
        ("user", demo::USER_ID),
        ("", &format!("{}, {}, {}", demo::USERNAME, demo::EMAIL, demo::PHONE)),
        ("PIN, password", &format!("{}, {}", demo::PIN, demo::PASSWORD)),
    ] {
        println!("  {what:<14} {value}");
    }
    println!(
        "\n{BOLD}Try{BOLD:#} {DIM}(in bash, in another terminal; codes arrive in the inbox){DIM:#}\n"
    );
    println!("  api={api}");
    for (what, lines) in TRIES {
        println!("\n  {DIM}# {what}{DIM:#}\n{lines}");
    }
    for line in in_containers(stack) {
        println!("{line}");
    }
    println!("\nCtrl-C stops it.\n");
}

/// The commands that run the built functions in containers against this stack.
fn in_containers(stack: &Stack) -> Vec<String> {
    let Some(address) = stack.address else { return Vec::new() };
    let reached = |url: &str| url.replace("127.0.0.1", &in_url(address));
    let (dynamodb, sink) = (reached(&stack.dynamodb), reached(&stack.sink));
    vec![
        format!("\n  {DIM}# The functions of target/lambda, in containers{DIM:#}"),
        format!(
            "  overrides='Architecture=x86_64 DefaultApp={} DynamoDbEndpoint={dynamodb} AwsEndpoint={sink}'",
            demo::CLIENT_ID
        ),
        "  sam local start-api --parameter-overrides $overrides".to_owned(),
    ]
}

/// A path of the API, as the terminal shows it.
#[derive(Debug, PartialEq, Eq)]
struct Row<'a> {
    methods: String,
    path: &'a str,
    function: &'a str,
}

/// The paths of a function, with its name in the first row, without the method `OPTIONS`.
fn rows(function: &Function) -> Vec<Row<'_>> {
    let mut rows = Vec::<Row<'_>>::new();
    for Route { method, path } in function.routes.iter().filter(|route| route.method != "OPTIONS") {
        if let Some(row) = rows.iter_mut().find(|row| row.path == path) {
            row.methods = format!("{}, {method}", row.methods);
        } else {
            let function = if rows.is_empty() { function.name.as_str() } else { "" };
            rows.push(Row { methods: method.clone(), path, function });
        }
    }
    rows
}

/// Prints one short line per request.
pub(super) fn short_line() -> Observer {
    Arc::new(|route, observed| {
        let answer = &observed.answer;
        let color = match answer.status.as_u16() {
            ..400 => AnsiColor::Green,
            400..500 => AnsiColor::Yellow,
            _ => AnsiColor::Red,
        };
        let style = Style::new().fg_color(Some(color.into()));
        let status = answer.status.as_u16();
        let outcome = observed.record.outcome;
        let mut out = anstream::stdout().lock();
        // A closed terminal must not stop the stack.
        let rule = observed.record.rule.map_or("", |rule| rule.as_str());
        let by = if rule.is_empty() { "" } else { " by " };
        let _ = writeln!(out, "  {style}{status}{style:#}  {route:<34} {outcome}{by}{rule}");
        if let Some(error) = &observed.record.error {
            let _ = writeln!(out, "       {DIM}{error}{DIM:#}");
        }
    })
}

/// Prints the log line of the function.
pub(super) fn json_line() -> Observer {
    Arc::new(|_, observed| {
        let _ = std::io::stdout().lock().write_all(&observed.line);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn what_to_try_is_tried_with_the_demo_data() {
        let all = TRIES.map(|(_, lines)| lines).join("\n");
        for value in [
            &format!("'clientId: {}'", demo::CLIENT_ID),
            &format!("'clientSecret: {}'", demo::CLIENT_SECRET),
            &format!("Bearer {}'", demo::ADMIN_KEY),
            &format!(r#""sub":"{}""#, demo::USER_ID),
            &format!(r#""userId":"{}""#, demo::USER_ID),
            &format!(r#""identity":"{}""#, demo::USERNAME),
            &format!(r#""pin":"{}""#, demo::PIN),
        ] {
            assert!(all.contains(value), "{value}");
        }
        assert!(all.lines().all(|line| line.starts_with("  ") && line.len() <= 95), "{all}");
    }

    #[test]
    fn a_path_is_one_row_and_options_go_without_saying() {
        let route = |method: &str, path: &str| Route { method: method.into(), path: path.into() };
        let routes = [
            route("OPTIONS", "/a"),
            route("POST", "/a"),
            route("GET", "/a"),
            route("OPTIONS", "/b"),
            route("POST", "/b"),
        ];
        let environment = BTreeMap::new();
        let function = Function { name: "f".into(), routes: routes.into(), environment };
        let row = |methods: &str, path, function| Row { methods: methods.into(), path, function };
        assert_eq!(rows(&function), [row("POST, GET", "/a", "f"), row("POST", "/b", "")]);
    }
}
