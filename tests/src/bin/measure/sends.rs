//! The wall time of many text messages with AWS's DynamoDB Local: as many instances of the built function
//! as there are callers, as Lambda would start them. All callers send for one app to one country, so all
//! count in the same two counters; each message goes to a number of its own.

use crate::{
    builds::Build,
    journey::{self, SEND},
    lambda::Instance,
    processor::Extent,
    report::{found, median, millis},
};
use passcode_tests::stack::Client;
use serde_json::Value;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

const CALLERS: usize = 32;

/// Measures every build, by turns.
pub(crate) async fn measure(client: &Client, builds: &[Build], url: &str, extent: &Extent) {
    println!("{} text sends by {CALLERS} callers, DynamoDB Local", extent.events);
    let mut rounds = vec![(Vec::new(), Vec::new()); builds.len()];
    for round in 0..extent.rounds {
        for (build, (times, repeated)) in builds.iter().zip(&mut rounds) {
            let prefix = format!("{}-{round}-", build.name);
            build.make_tables(client, (url, &prefix)).await;
            let (time, again) = sends(client, build, (url, &prefix), extent.events).await;
            times.push(time);
            repeated.push(again);
        }
    }
    for (build, (times, repeated)) in builds.iter().zip(&rounds) {
        found(&format!("{}: wall time", build.name), millis(median(times)) / 1e3, "s");
        println!("    answered \"try again\" in each round: {repeated:?}");
    }
}

/// The time that the sends took, and how many were answered 503 and made again.
async fn sends(
    client: &Client,
    build: &Build,
    tables: (&str, &str),
    events: usize,
) -> (Duration, usize) {
    let environment = Build::environment(client, SEND, tables);
    let mut instances = Vec::new();
    for n in 0..CALLERS {
        let mut instance = Instance::start(&[&build.bootstrap(SEND)], &environment).await;
        // Its connections and caches are those of a warm instance.
        send(&mut instance, events + n).await;
        instances.push(instance);
    }
    let next = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let callers: Vec<_> = instances
        .into_iter()
        .map(|mut instance| {
            let next = next.clone();
            tokio::spawn(async move {
                let mut repeated = 0;
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= events {
                        return repeated;
                    }
                    repeated += send(&mut instance, n).await;
                }
            })
        })
        .collect();
    let mut repeated = 0;
    for caller in callers {
        repeated += caller.await.expect("no panic");
    }
    (began.elapsed(), repeated)
}

/// Sends one message, again and again until it is taken; how often it was not.
async fn send(instance: &mut Instance, n: usize) -> usize {
    let mut repeated = 0;
    loop {
        let reply: Value = instance.invoke(journey::send_to(n)).await;
        if reply["statusCode"] != 503 {
            journey::accepted(&reply);
            return repeated;
        }
        repeated += 1;
    }
}
