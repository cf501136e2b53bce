//! Every function beside a bare one: its size, its start to the first poll of the Runtime API, and its
//! memory.

use crate::{
    builds::{Build, compressed, functions},
    lambda::{Environment, Instance},
    report::{Report, found, goal, median, megabytes, millis},
};
use passcode::local::FUNCTIONS;
use passcode_tests::{event::Event, event::root, stack::Client};
use std::{fs, path::Path, time::Duration};

/// The starts of each function, of which the middle one counts.
const STARTS: usize = 31;

/// The start's goal, against the bare function.
const START_GOAL: f64 = 1.8;

/// Measures every function that the first build has: against its budgets, and beside other builds.
pub(crate) async fn measure(client: &Client, builds: &[Build], bare: &Path, report: &mut Report) {
    for function in functions() {
        let name = &function.name;
        let bootstrap = builds[0].bootstrap(name);
        if !bootstrap.exists() {
            println!("{name}: not built");
            continue;
        }
        println!("{name}");
        let size = megabytes(compressed(&bootstrap));
        report.budgeted("package, compressed", size, "MB", 3.0);
        if !sends(client, name) {
            goal("the same, of DynamoDB alone", size, "MB", 2.5);
        }
        let environment = Build::environment(client, name, (&client.stack.dynamodb, ""));
        let others = builds.iter().filter(|build| build.bootstrap(name).exists());
        let mut programs: Vec<_> =
            others.map(|build| (build.name, build.bootstrap(name))).collect();
        programs.push(("bare", bare.to_owned()));
        let times = starts(&programs, &environment).await;
        let [own @ .., bare] = &times[..] else { unreachable!("the bare function is there") };
        found("start to first poll: bare", millis(*bare), "ms");
        for ((build, _), time) in programs.iter().zip(own) {
            found(&format!("start to first poll: {build}"), millis(*time), "ms");
            let ratio = time.as_secs_f64() / bare.as_secs_f64();
            report.budgeted(&format!("{build}, against bare"), ratio, "x", START_GOAL);
        }
        let resident = resident_after_a_request(name, &bootstrap, &environment).await;
        report.budgeted("resident after the first request", megabytes(resident), "MB", 25.0);
    }
}

/// Whether a function has a courier.
fn sends(client: &Client, name: &str) -> bool {
    let function = FUNCTIONS.iter().find(|function| function.name == name);
    let boot = function.expect("the function is known").boot;
    let booted = boot(&client.stack.settings(name), client.stack.clock.clone());
    booted.expect("it boots").ports.iter().any(|port| port.ends_with("Courier"))
}

/// The middle one of each program's starts, which are made by turns.
async fn starts(programs: &[(&str, impl AsRef<Path>)], environment: &Environment) -> Vec<Duration> {
    let mut times = vec![Vec::new(); programs.len()];
    for _ in 0..STARTS {
        for ((_, program), times) in programs.iter().zip(&mut times) {
            times.push(Instance::start(&[program.as_ref()], environment).await.started_in);
        }
    }
    times.iter().map(|times| median(times)).collect()
}

async fn resident_after_a_request(
    function: &str,
    program: &Path,
    environment: &Environment,
) -> u64 {
    let events = fs::read_dir(root().join("events").join(function)).expect("events");
    let case = events.map(|entry| entry.expect("an event").path()).min().expect("an event");
    let case = case.file_stem().and_then(|stem| stem.to_str()).expect("a name");
    let mut instance = Instance::start(&[program], environment).await;
    instance.invoke(Event::recorded(function, case).0).await;
    instance.resident()
}
