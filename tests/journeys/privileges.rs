//! Least privilege: every journey passes while each function has its own policy and nothing else, and for
//! every permission of every policy there is a journey that fails without it.

use passcode_tests::policy::{self, Permission};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// What no code of a function calls, and why its role has it.
const NOT_CALLED: [(&str, &str); 2] = [
    ("logs:CreateLogStream", "Lambda itself opens the stream that the function's lines go to"),
    ("logs:PutLogEvents", "Lambda itself writes the function's lines"),
];

/// The managed policies that SAM adds to a role by itself, and why they stay.
const ADDED_BY_SAM: [(&str, &str); 1] = [(
    "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
    "Lambda writes the log with it, which the role's boundary narrows to the stack's own log group",
)];

/// A journey, with the permissions that it used.
struct Journey {
    name: String,
    took: Duration,
    used: BTreeSet<(String, String)>,
}

/// How a journey ended.
struct Run {
    is_passed: bool,
    took: Duration,
    /// What became of calls, whose they were, and the permission that each used.
    calls: BTreeSet<(String, String, String)>,
    output: String,
}

/// Runs a journey in a process of its own, perhaps without a permission.
fn run(journey: &str, without: Option<&str>) -> Run {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let calls = std::env::temp_dir().join(format!("passcode-calls-{}-{n}", std::process::id()));
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", journey]).env("PASSCODE_CALLS", &calls).stdin(Stdio::null());
    if let Some(without) = without {
        command.env("PASSCODE_WITHOUT", without);
    }
    let began = Instant::now();
    let output = command.output().expect("a journey runs");
    let lines = std::fs::read_to_string(&calls).unwrap_or_default();
    let _ = std::fs::remove_file(&calls);
    let part = |line: &str| {
        let mut parts = line.splitn(3, ' ').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        (next(), next(), next())
    };
    Run {
        is_passed: output.status.success(),
        took: began.elapsed(),
        calls: lines.lines().map(part).collect(),
        output: String::from_utf8_lossy(&output.stdout).into_owned(),
    }
}

/// The journeys, but for this one.
fn journeys() -> Vec<String> {
    let listed = Command::new(std::env::current_exe().expect("this program"))
        .args(["--list", "--format", "terse"])
        .output()
        .expect("a list");
    let listed = String::from_utf8(listed.stdout).expect("text");
    let names = listed.lines().filter_map(|line| line.strip_suffix(": test"));
    names.filter(|name| !name.starts_with("privileges::")).map(str::to_owned).collect()
}

/// Does something with each of several, as many at a time as there are processors.
fn in_parallel<T: Send, R: Send>(several: Vec<T>, act: impl Fn(T) -> R + Sync) -> Vec<R> {
    let (todo, done) = (Mutex::new(several), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, Into::into);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let next = todo.lock().expect("no panic").pop();
                    let Some(next) = next else { break };
                    let result = act(next);
                    done.lock().expect("no panic").push(result);
                }
            });
        }
    });
    done.into_inner().expect("no panic")
}

/// Runs every journey behind gates; none may fail, and none may ask for more than a function has.
fn all_pass() -> Vec<Journey> {
    let mut runs = in_parallel(journeys(), |name| (run(&name, None), name));
    for (run_before, name) in runs.iter_mut().filter(|(run, _)| !run.is_passed) {
        // Some journeys are many callers at the same time, and time out on a machine that does much else. What
        // is denied stays denied.
        println!("{name} did not pass beside others, and is run alone");
        let alone = run(name, None);
        let denied = run_before.calls.iter().filter(|(became, ..)| became != "allowed").cloned();
        let calls = alone.calls.iter().cloned().chain(denied).collect();
        *run_before = Run { calls, ..alone };
    }
    let problem = |(Run { is_passed, calls, output, .. }, name): &(Run, String)| {
        let refused: Vec<_> = calls.iter().filter(|(became, ..)| became != "allowed").collect();
        (!is_passed || !refused.is_empty()).then(|| format!("{name}: {refused:?}\n{output}"))
    };
    let problems: Vec<_> = runs.iter().filter_map(problem).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let journey = |(Run { took, calls, .. }, name): (Run, String)| {
        let used = calls.into_iter().map(|(_, function, what)| (function, what)).collect();
        Journey { name, took, used }
    };
    let mut journeys: Vec<_> = runs.into_iter().map(journey).collect();
    journeys.sort_by_key(|journey| journey.took);
    journeys
}

/// The quickest journey that fails without a permission, because of it.
fn needed_by<'a>(
    function: &str,
    permission: &Permission,
    journeys: &'a [Journey],
) -> Option<&'a str> {
    let used = (function.to_owned(), permission.to_string());
    let mut candidates = journeys.iter().filter(|journey| journey.used.contains(&used));
    let fails = |journey: &&Journey| {
        let Run { is_passed, calls, .. } =
            run(&journey.name, Some(&format!("{function} {permission}")));
        !is_passed && calls.iter().any(|(became, of, _)| became == "denied" && of == function)
    };
    candidates.find(fails).map(|journey| &*journey.name)
}

#[test]
#[ignore = "needs the expanded template in PASSCODE_POLICIES; .ci/run makes it"]
fn every_permission_is_enough_and_needed() {
    let expanded = PathBuf::from(std::env::var("PASSCODE_POLICIES").expect("PASSCODE_POLICIES"));
    let policies = policy::read(&expanded);
    let journeys = all_pass();
    println!("{} journeys pass with the functions' own policies.\n", journeys.len());
    let mut managed: BTreeMap<String, usize> = BTreeMap::new();
    for arn in policies.values().flat_map(|policy| &policy.managed) {
        *managed.entry(arn.clone()).or_default() += 1;
    }
    let permissions = policies.iter().flat_map(|(function, policy)| {
        policy.permissions.iter().map(move |permission| (function.clone(), permission.clone()))
    });
    let (by_lambda, called): (Vec<_>, Vec<_>) = permissions.partition(|(_, permission)| {
        NOT_CALLED.iter().any(|(action, _)| *action == permission.action)
    });
    let mut table = in_parallel(called, |(function, permission)| {
        let needed = needed_by(&function, &permission, &journeys).map(str::to_owned);
        (function, permission, needed)
    });
    table.sort();
    println!("| function | action | resource | without it fails |\n|---|---|---|---|");
    for (function, Permission { action, resource, is_inverse }, needed) in &table {
        let resource = resource.rsplit_once(":123456789012:").map_or(&**resource, |(_, name)| name);
        let but = if *is_inverse { "all but " } else { "" };
        let needed = needed.as_deref().unwrap_or("**nothing**");
        println!("| `{function}` | `{action}` | {but}`{resource}` | `{needed}` |");
    }
    println!("\nBeside these, which no code calls:");
    for (action, why) in NOT_CALLED {
        let on: BTreeSet<_> = by_lambda.iter().filter(|(_, is)| is.action == action).collect();
        let resources: BTreeSet<_> = on.iter().map(|(_, is)| &*is.resource).collect();
        println!("- `{action}` of {} functions on {resources:?}: {why}.", on.len());
    }
    for (arn, why) in ADDED_BY_SAM {
        let roles = managed.remove(arn).unwrap_or_default();
        println!("- `{arn}` of {roles} functions: {why}.");
    }
    assert!(managed.is_empty(), "managed policies that nobody has given a reason for: {managed:?}");
    let wide: Vec<_> = by_lambda.iter().filter(|(_, is)| is.resource == "*").collect();
    assert!(wide.is_empty(), "on every resource: {wide:?}");
    let needless: Vec<_> = table.iter().filter(|(.., needed)| needed.is_none()).collect();
    assert!(needless.is_empty(), "no journey fails without: {needless:#?}");
    assert!(table.len() > policies.len(), "every function needs something");
}
