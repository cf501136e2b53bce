//! What a person sees in the terminal: where things are, what to try, and a line a request.

use super::{Observer, Stack, demo};
use anstream::println;
use anstyle::{AnsiColor, Style};
use std::{io::Write as _, path::Path, sync::Arc};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// Says where everything is, and what to do next.
pub(super) fn print(stack: &Stack, home: Option<&Path>) {
    let api = &stack.api;
    println!("{BOLD}Passcode is running.{BOLD:#}\n");
    for (what, place) in [
        ("API", api.as_str()),
        ("inbox", &format!("{api}/_local/")),
        ("documentation", &format!("{api}/_local/docs")),
        ("DynamoDB", &stack.dynamodb),
        ("SNS, SES", &stack.sink),
        ("data", &home.map_or("in memory".into(), |home| home.display().to_string())),
    ] {
        println!("  {what:<14} {place}");
    }
    println!("\n{BOLD}Routes{BOLD:#}");
    for function in &stack.template.functions {
        for route in &function.routes {
            let name = &function.name;
            println!("  {:<5} {:<28} {DIM}{name}{DIM:#}", route.method, route.path);
        }
    }
    println!("\n{BOLD}Demo data{BOLD:#}");
    for (what, value) in [
        ("clientId", demo::CLIENT_ID),
        ("clientSecret", demo::CLIENT_SECRET),
        ("admin key", demo::ADMIN_KEY),
        ("user", demo::USER_ID),
        ("", &format!("{}, ada@example.com, +14155550100", demo::USERNAME)),
        ("PIN, password", &format!("{}, {}", demo::PIN, demo::PASSWORD)),
    ] {
        println!("  {what:<14} {value}");
    }
    println!(
        "\n{BOLD}Try{BOLD:#} {DIM}(in bash, in another terminal; the code arrives in the inbox){DIM:#}"
    );
    println!("  {DIM}OTPless: a code to a phone{DIM:#}");
    println!(
        "  ID=$(curl -s {api}/auth/v1/initiate/otp -H 'clientId: {}' -H 'clientSecret: {}' \\\n    \
         --json '{{\"phoneNumber\":\"+14155550100\",\"channels\":[\"SMS\"]}}' | grep -o 'ARID_[A-Z0-9]*'); echo $ID",
        demo::CLIENT_ID,
        demo::CLIENT_SECRET,
    );
    println!("  {DIM}Rollout: verify it{DIM:#}");
    println!("  read -p 'Code: ' CODE; curl {api}/auth/otp/$ID --json '{{\"otp\":\"'$CODE'\"}}'");
    println!("\nCtrl-C stops it.\n");
}

/// One short line a request.
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
        let outcome = answer.record.outcome;
        let mut out = anstream::stdout().lock();
        // A closed terminal must not stop the stack.
        let _ = writeln!(out, "  {style}{status}{style:#}  {route:<34} {outcome}");
        if let Some(error) = &answer.record.error {
            let _ = writeln!(out, "       {DIM}{error}{DIM:#}");
        }
    })
}

/// The log line that the function would print.
pub(super) fn json_line() -> Observer {
    Arc::new(|_, observed| {
        let _ = std::io::stdout().lock().write_all(&observed.line);
    })
}
