//! Time tells nobody who is known: over 10,000 calls to the functions as they are deployed, half of them about
//! ids and names that exist and half about some that do not, the medians lie within a millisecond. Of few calls
//! a median is known by some milliseconds only, so what is held is what can be said with certainty: the
//! intervals in which the medians lie. Both distributions, and Welch's t of them, are printed by
//! `.ci/run enumeration`, which builds the functions and runs them under AWS's Runtime Interface Emulator.
//!
//! That bytes and store calls are the same is tested in `contract/enumeration.rs`.

use passcode_domain::{
    app::policy::MAX_FAILURES,
    ports::{LoadApps as _, StoreApps as _},
};
use passcode_dynamodb::AppTable;
use passcode_runtime::aws;
use passcode_testkit::{TestWorld, USER_ID, without_waits};
use passcode_tests::stack::Client;
use reqwest::RequestBuilder;
use serde_json::json;
use std::time::{Duration, Instant};

/// What two medians may differ by.
const TOLERANCE: Duration = Duration::from_millis(1);

/// How long the answers to one kind of request took.
struct Times(Vec<Duration>);

impl Times {
    /// The duration that so many of a hundred answers stay below.
    fn percentile(&self, percent: usize) -> Duration {
        self.0[(self.0.len() - 1) * percent / 100]
    }

    /// Where the median of all such answers lies, by the order of these: three standard deviations of how many
    /// of them are below it.
    fn median_interval(&self) -> (Duration, Duration) {
        let (half, spread) = (self.0.len() / 2, self.0.len().isqrt() * 3 / 2 + 1);
        (self.0[half.saturating_sub(spread)], self.0[(half + spread).min(self.0.len() - 1)])
    }

    /// Mean and variance of the mean, in seconds, of what is no slower than `most`: the slowest answers tell of
    /// the machine alone.
    fn mean(&self, most: Duration) -> (f64, f64) {
        let cropped = self.0.iter().take_while(|time| **time <= most).map(Duration::as_secs_f64);
        let (n, sum, squares) = cropped
            .fold((0.0, 0.0, 0.0), |(n, sum, squares), x| (n + 1.0, sum + x, squares + x * x));
        let mean: f64 = sum / n;
        (mean, (squares / n - mean * mean) / (n - 1.0))
    }

    fn print(&self, whom: &str) {
        let [least, low, median, high, most] =
            [1, 25, 50, 75, 99].map(|percent| self.percentile(percent).as_secs_f64() * 1e3);
        println!(
            "  {whom:<8} {:>6} calls, ms: p1 {least:.3}, p25 {low:.3}, p50 {median:.3}, p75 {high:.3}, p99 {most:.3}",
            self.0.len()
        );
    }
}

/// Asks about the known and the unknown in turn, and holds the times against each other.
async fn compare(
    what: &str,
    pairs: usize,
    known: impl Fn(usize) -> RequestBuilder,
    unknown: impl Fn(usize) -> RequestBuilder,
) {
    let (mut of_known, mut of_unknown) = (Vec::new(), Vec::new());
    let mut statuses = std::collections::BTreeSet::new();
    for n in 0..pairs {
        for (request, times) in [(known(n), &mut of_known), (unknown(n), &mut of_unknown)] {
            let began = Instant::now();
            let answer = request.send().await.expect("an answer");
            let status = answer.status();
            answer.bytes().await.expect("a body");
            times.push(began.elapsed());
            statuses.insert(status.as_u16());
        }
    }
    of_known.sort_unstable();
    of_unknown.sort_unstable();
    let (of_known, of_unknown) = (Times(of_known), Times(of_unknown));
    println!("{what}");
    of_known.print("known");
    of_unknown.print("unknown");
    let apart = of_known.percentile(50).abs_diff(of_unknown.percentile(50));
    let most = of_known.percentile(90).max(of_unknown.percentile(90));
    let [(mean, variance), (other, of_other)] = [&of_known, &of_unknown].map(|it| it.mean(most));
    let t = (mean - other) / (variance + of_other).sqrt();
    let [(low, high), (lowest, highest)] = [&of_known, &of_unknown].map(Times::median_interval);
    let certain = low.saturating_sub(highest).max(lowest.saturating_sub(high));
    let [apart, certain] = [apart, certain].map(|span| span.as_secs_f64() * 1e3);
    println!("  medians {apart:.3} ms apart, {certain:.3} ms of it certain; Welch's t {t:.1}");
    assert!(certain <= TOLERANCE.as_secs_f64() * 1e3, "{what}: {certain} ms, {statuses:?}");
    assert!(statuses.iter().all(|status| *status >= 400), "{what}: {statuses:?}");
}

/// An id whose code went out to somebody, and one more that leads nowhere.
async fn ids(client: &Client, count: usize) -> (Vec<String>, Vec<String>) {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for n in 0..count {
        let id = client.create(json!({ "email": format!("person{n}@example.com") })).await;
        // From a server, which no limit per IP address concerns.
        let body = json!({ "requestId": id, "channels": ["EMAIL"] });
        assert_eq!(client.post("/auth/v1/initiate/otp", body).await.0, 200);
        let (begin, end) = id.split_at(id.len() - 8);
        // The last letter holds no whole five bits, so it stays.
        let turned: String = end[..6].chars().map(|c| if c == 'A' { 'B' } else { 'A' }).collect();
        unknown.push(format!("{begin}{turned}{}", &end[6..]));
        known.push(id);
    }
    (known, unknown)
}

#[tokio::test]
#[ignore = "takes a minute or two; .ci/run has it"]
async fn the_holder_of_an_id_learns_nothing_from_the_time() {
    let client = Client::start().await;
    let (known, unknown) = ids(&client, 1_000).await;
    let ask = |id: &str| {
        let request = client.request("POST", &format!("/auth/otp/{id}"), false);
        request.json(&json!({ "otp": "0000000000" }))
    };
    let known = |n: usize| ask(&known[n % known.len()]);
    let unknown = |n: usize| ask(&unknown[n % unknown.len()]);
    compare("Rollout, wrong codes by id", 5_000, known, unknown).await;
}

#[tokio::test]
#[ignore = "takes a minute or two; .ci/run has it"]
async fn nobody_learns_from_the_time_whose_name_there_is() {
    let client = Client::start().await;
    let body = json!({ "userId": USER_ID, "email": "ada@example.com" });
    let sent = client.request("POST", "/v1/otp", false).bearer_auth("demo-admin").json(&body);
    assert_eq!(client.send(sent).await.0, 200);
    let wrong = TestWorld::wrong(&client.last_code("ada@example.com").await);
    let ask = |identity: String| {
        let request = client.request("POST", "/v1/otp/verify", false).bearer_auth("demo-admin");
        request.json(&json!({ "otp": wrong, "identity": identity }))
    };
    let unknown = |n: usize| ask(format!("nobody{n}"));
    compare("ZAP, wrong codes by username", 5_000, |_| ask("ada".into()), unknown).await;
    let unknown = |n: usize| ask(format!("nobody{n}@example.com"));
    compare("ZAP, wrong codes by e-mail", 1_000, |_| ask("ada@example.com".into()), unknown).await;
}

#[tokio::test]
#[ignore = "takes a minute or two; .ci/run has it"]
async fn a_wrong_pin_takes_as_long_where_there_is_no_user() {
    let client = Client::start().await;
    let aws = aws::config(&client.stack.settings("")).expect("settings");
    let apps = AppTable::new(&aws, "AppTable".into());
    let demo = apps.load_app(&"demo".parse().expect("an id")).await.expect("loads");
    let mut app = without_waits((*demo.expect("the demo app")).clone());
    app.policy.max_failures = MAX_FAILURES;
    apps.store_app(&app.validated().expect("valid")).await.expect("stored");
    let token = async |user: &str| {
        let wish = json!({ "sub": user, "scope": "user:otp:create" });
        let (_, body) = client.post("/_local/token", wish).await;
        body["access_token"].as_str().expect("a token").to_owned()
    };
    let (ada, nobody) = (token(USER_ID).await, token("nobody").await);
    let ask = |token: &str| {
        let request = client.request("POST", "/user/otp", false).bearer_auth(token);
        request.json(&json!({ "pin": "1794" }))
    };
    // A PIN that is locked is compared with nothing, so there are fewer.
    compare("PACE, wrong PINs", usize::from(MAX_FAILURES), |_| ask(&ada), |_| ask(&nobody)).await;
}
