//! The processor time of the built functions' own processes, per event: create and send, and verify, each
//! driven to its end with the local stack's DynamoDB and SNS, which run in this process and are not counted;
//! and the same of a small Python function.

use crate::{
    builds::Build,
    journey::{self, CREATE, SEND, VERIFY},
    lambda::{Environment, Instance},
    report::{Report, found, median, millis},
};
use passcode_tests::{
    aws::{aws_at, make_table},
    event::root,
    stack::Client,
};
use serde_json::Value;
use std::{path::Path, time::Duration};

/// The events before those that are counted: they fill caches and open connections.
const WARM_UP: usize = 100;

/// The goals, in milliseconds.
const CREATE_AND_SEND_GOAL: f64 = 1.5;
const VERIFY_GOAL: f64 = 0.45;

/// How much is measured.
pub(crate) struct Extent {
    /// The events that are counted, in each round.
    pub(crate) events: usize,
    /// The rounds, of which the middle one counts.
    pub(crate) rounds: usize,
}

/// Processor time per event.
#[derive(Clone, Copy)]
struct Spent {
    create: Duration,
    send: Duration,
    verify: Duration,
}

/// Measures every build, and the Python function where an interpreter with `boto3` is given, by turns.
pub(crate) async fn measure(
    client: &Client,
    builds: &[Build],
    python: Option<&Path>,
    extent: &Extent,
    report: &mut Report,
) {
    println!("processor time of the function's process, per event");
    let mut rounds = vec![Vec::new(); builds.len() + 1];
    for round in 0..extent.rounds {
        for (build, rounds) in builds.iter().zip(&mut rounds) {
            let prefix = format!("{}-{round}-", build.name);
            build.make_tables(client, (&client.stack.dynamodb, &prefix)).await;
            rounds.push(functions(client, build, &prefix, extent.events).await);
        }
        if let Some(python) = python {
            rounds[builds.len()].push(peer(client, python, extent.events).await);
        }
    }
    let middle = |rounds: &[Spent], part: fn(&Spent) -> Duration| {
        millis(median(&rounds.iter().map(part).collect::<Vec<_>>()))
    };
    for (build, rounds) in builds.iter().zip(&rounds) {
        let name = build.name;
        found(&format!("{name}: create"), middle(rounds, |spent| spent.create), "ms");
        found(&format!("{name}: send"), middle(rounds, |spent| spent.send), "ms");
        let both = middle(rounds, |spent| spent.create + spent.send);
        report.budgeted(&format!("{name}: create + send"), both, "ms", CREATE_AND_SEND_GOAL);
        let verify = middle(rounds, |spent| spent.verify);
        report.budgeted(&format!("{name}: verify"), verify, "ms", VERIFY_GOAL);
    }
    if let [.., rounds] = &rounds[..]
        && !rounds.is_empty()
    {
        found("Python: unguarded send", middle(rounds, |spent| spent.send), "ms");
        found("Python: unguarded verify", middle(rounds, |spent| spent.verify), "ms");
    }
}

async fn functions(client: &Client, build: &Build, prefix: &str, events: usize) -> Spent {
    let start = async |function: &str| {
        let tables = (&*client.stack.dynamodb, prefix);
        let environment = Build::environment(client, function, tables);
        Instance::start(&[&build.bootstrap(function)], &environment).await
    };
    let mut create = Counted::new(start(CREATE).await);
    let mut send = Counted::new(start(SEND).await);
    let mut verify = Counted::new(start(VERIFY).await);
    for n in 0..WARM_UP + events {
        let id = journey::request_id(&create.invoke(journey::create(n)).await);
        journey::accepted(&send.invoke(journey::send(n, &id)).await);
        let code = client.last_code(&journey::number(n)).await;
        journey::accepted(&verify.invoke(journey::verify(n, &id, &code)).await);
    }
    Spent { create: create.per_event(), send: send.per_event(), verify: verify.per_event() }
}

async fn peer(client: &Client, python: &Path, events: usize) -> Spent {
    let script = root().join("tests/src/bin/measure/peer.py");
    let table = "PeerTable";
    make_table(&aws_sdk_dynamodb::Client::new(&aws_at(&client.stack.dynamodb)), table, &["id"])
        .await;
    let mut environment: Environment = client.stack.environment("");
    let own = [("PEER_TABLE", table), ("AWS_DEFAULT_REGION", "eu-west-1")];
    environment.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let mut send = Counted::new(Instance::start(&[python, &script], &environment).await);
    let mut verify = Counted::new(Instance::start(&[python, &script], &environment).await);
    for n in 0..WARM_UP + events {
        let id = journey::request_id(&send.invoke(journey::send_to(n)).await);
        let code = client.last_code(&journey::number(n)).await;
        journey::accepted(&verify.invoke(journey::verify_with_peer(n, &id, &code)).await);
    }
    Spent { create: Duration::ZERO, send: send.per_event(), verify: verify.per_event() }
}

/// A running function, and what it had used when the warm-up was over.
struct Counted {
    instance: Instance,
    invoked: usize,
    before: Duration,
}

impl Counted {
    fn new(instance: Instance) -> Self {
        Self { instance, invoked: 0, before: Duration::ZERO }
    }

    async fn invoke(&mut self, event: Value) -> Value {
        if self.invoked == WARM_UP {
            self.before = self.instance.processor_time();
        }
        self.invoked += 1;
        self.instance.invoke(event).await
    }

    fn per_event(&self) -> Duration {
        let events = u32::try_from(self.invoked - WARM_UP).expect("a few thousand");
        self.instance.processor_time().saturating_sub(self.before) / events
    }
}
