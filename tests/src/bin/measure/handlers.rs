//! Handlers alone, with every port faked: what they take without network and SDK.

use crate::report::Report;
use otpless_auth_create as create;
use passcode_domain::{
    App,
    app::guard::{Mode, Rule},
};
use passcode_http::Record;
use passcode_testkit::{TestWorld, demo_app, schedule::block_on, unguarded};
use passcode_tests::event::Event;
use prelude_session_otp_create as send;
use rollout_otp_verify as verify;
use std::time::{Duration, Instant};

const CALLS: u32 = 5000;

/// The budget, in microseconds.
const BUDGET: f64 = 200.0;

/// Measures a create, a send and a verify.
pub(crate) fn measure(report: &mut Report) {
    println!("handlers without their network, mean");
    for (what, spent) in
        [("create", create_call()), ("send", send_call()), ("verify", verify_call())]
    {
        report.budgeted(what, spent.as_secs_f64() * 1e6, "us", BUDGET);
    }
}

/// The mean time of a create, with every port faked.
fn create_call() -> Duration {
    let event = Event::recorded("otpless-auth-create", "phone");
    let world = TestWorld::default();
    mean(
        || event.request(),
        |request| {
            let answer = block_on(create::handle(&world, &request, &mut Record::default()));
            assert!(answer.is_ok(), "the challenge is open");
        },
    )
}

/// The mean time of a send that every rule of the guard looks at, in an app that sends a message every
/// two seconds.
fn send_call() -> Duration {
    // Nobody types a code here, which the detectors would stop.
    let mut app = demo_app();
    for detector in Rule::DETECTORS {
        *app.guard.mode_mut(detector) = Mode::Shadow;
    }
    let world = TestWorld::of(app);
    let mut asked = 0;
    let next = || {
        asked += 1;
        world.clock.advance(Duration::from_secs(2));
        world.couriers.sms.forget();
        let number = format!("+1415{:03}{:04}", 200 + asked % 800, asked);
        let identifier = serde_json::json!({ "type": "phone_number", "value": number });
        let event = Event::recorded("prelude-session-otp-create", "phone");
        let mut event = event.json(&serde_json::json!({ "identifier": identifier }));
        let ip = format!("10.{}.{}.1", asked / 250, asked % 250);
        event.0["requestContext"]["http"]["sourceIp"] = ip.into();
        event.request()
    };
    mean(next, |request| {
        let answer = block_on(send::handle(&world, &request, &mut Record::default()));
        assert!(answer.is_ok(), "the message went out");
    })
}

/// The mean time of a verify that looks at the code, with every port faked.
fn verify_call() -> Duration {
    // One subject is sent many codes.
    let world = TestWorld::of(App { guard: unguarded(), ..demo_app() });
    let open = || {
        let (id, code) = world.open_and_send();
        Event::recorded("rollout-otp-verify", "json")
            .challenge(&id.print(world.keys()))
            .json(&serde_json::json!({ "otp": code }))
            .request()
    };
    mean(open, |request| {
        let answer = block_on(verify::handle(&world, &request, &mut Record::default()));
        assert!(answer.is_ok(), "the code was looked at");
    })
}

fn mean<T>(mut prepare: impl FnMut() -> T, mut call: impl FnMut(T)) -> Duration {
    let mut spent = Duration::ZERO;
    for counted in 0..CALLS + 100 {
        let prepared = prepare();
        let began = Instant::now();
        call(prepared);
        // The first calls load patterns and fill caches, as a function's first request does.
        if counted >= 100 {
            spent += began.elapsed();
        }
    }
    spent / CALLS
}
