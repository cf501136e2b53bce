//! Whatever callers do, in whatever order, with whatever policy: what may never happen.

use passcode_domain::{
    ChallengeId, Channel, Ledger, Policy, PresentedCode, Timestamp, cancel, open,
    send::{self, Report, SendOptions},
    verify::{self, Outcome},
};
use passcode_testkit::{TestWorld, demo_app};
use proptest::prelude::*;
use std::{collections::HashMap, time::Duration};

#[derive(Clone, Debug)]
enum Step {
    Open { minutes: u64 },
    Send { which: usize, report: Report },
    VerifyRight { which: usize },
    VerifyOld { which: usize },
    VerifyWrong { which: usize },
    Cancel { which: usize },
    Wait { seconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..6usize;
    let report = prop_oneof![
        6 => Just(Report::Accepted),
        1 => Just(Report::Unknown),
        1 => Just(Report::Refused),
    ];
    prop_oneof![
        2 => (1..1440u64).prop_map(|minutes| Step::Open { minutes }),
        4 => (which.clone(), report).prop_map(|(which, report)| Step::Send { which, report }),
        1 => which.clone().prop_map(|which| Step::VerifyRight { which }),
        2 => which.clone().prop_map(|which| Step::VerifyOld { which }),
        8 => which.clone().prop_map(|which| Step::VerifyWrong { which }),
        1 => which.prop_map(|which| Step::Cancel { which }),
        4 => prop_oneof![0..60u64, 500..700u64, 80_000..90_000u64]
            .prop_map(|seconds| Step::Wait { seconds }),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    (1..=10u8, 1..=6u8, 0..=90u32, 30..=600u32, 1..=20u8).prop_map(
        |(max_attempts, max_sends, cool_down_seconds, code_seconds, max_failures)| Policy {
            max_attempts,
            max_sends,
            cool_down_seconds,
            code_seconds,
            max_failures,
            ..Policy::default()
        },
    )
}

/// What an observer outside has seen of one challenge.
#[derive(Default)]
struct Seen {
    codes: Vec<(String, Timestamp)>,
    revealed: u32,
    successes: u32,
    sends: u32,
    generations: Vec<u32>,
}

struct Run {
    world: TestWorld,
    policy: Policy,
    ledger: Ledger,
    now: Timestamp,
    ids: Vec<ChallengeId>,
    seen: HashMap<ChallengeId, Seen>,
    failures: Vec<Timestamp>,
}

impl Run {
    fn new(policy: Policy) -> Self {
        let app = passcode_domain::App { policy: policy.clone(), ..demo_app() };
        let world = TestWorld::of(app);
        let ledger = Ledger::new(world.app.id.clone());
        let now = Timestamp::from_millis(1_800_000_000_000);
        let (ids, seen, failures) = (Vec::new(), HashMap::new(), Vec::new());
        Self { world, policy, ledger, now, ids, seen, failures }
    }

    fn pick(&self, which: usize) -> Option<ChallengeId> {
        (!self.ids.is_empty()).then(|| self.ids[self.ids.len() - 1 - which % self.ids.len()])
    }

    fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Wait { seconds } => self.now = self.now + Duration::from_secs(seconds),
            Step::Open { minutes } => self.open(Duration::from_mins(minutes)),
            Step::Send { which, report } => self.send(which, report)?,
            Step::VerifyRight { which } => self.verify(which, |seen| seen.codes.last().cloned())?,
            Step::VerifyOld { which } => self.verify(which, |seen| seen.codes.first().cloned())?,
            Step::VerifyWrong { which } => self.verify(which, |seen| {
                seen.codes.last().map(|(code, at)| (TestWorld::wrong(code), *at))
            })?,
            Step::Cancel { which } => {
                if let Some(id) = self.pick(which) {
                    let app = self.world.app.id.clone();
                    self.ledger = cancel::decide(self.ledger.clone(), &app, id, self.now).0;
                }
            }
        }
        self.check()
    }

    fn open(&mut self, life: Duration) {
        let command = self.world.opening(TestWorld::phone().into(), life);
        let (ledger, opened) = open::decide(self.ledger.clone(), &command, self.now);
        self.ledger = ledger;
        if opened == open::Opened::Opened {
            self.ids.push(command.id);
            self.seen.insert(command.id, Seen::default());
        }
    }

    fn send(&mut self, which: usize, report: Report) -> Result<(), TestCaseError> {
        let Some(id) = self.pick(which) else { return Ok(()) };
        let keyring = self.world.keyring.in_hand.clone().unwrap();
        let options = SendOptions { ..TestWorld::options(Channel::Sms) };
        let last = self.ledger.find(id).and_then(|c| c.last_send()).map(|send| send.at);
        let (ledger, claim) = send::claim(self.ledger.clone(), &keyring, id, &options, self.now);
        self.ledger = ledger;
        let Ok(claim) = claim else { return Ok(()) };
        let cool_down = Duration::from_secs(self.policy.cool_down_seconds.into());
        prop_assert!(last.is_none_or(|last| last + cool_down <= self.now), "cool-down");
        self.ledger = send::mark(self.ledger.clone(), id, claim.generation, report);
        let seen = self.seen.entry(id).or_default();
        prop_assert!(!seen.generations.contains(&claim.generation), "one message a generation");
        seen.generations.push(claim.generation);
        if report != Report::Refused {
            seen.codes.push((claim.code.reveal().to_owned(), self.now + claim.life));
            seen.sends += 1;
        }
        Ok(())
    }

    fn verify(
        &mut self,
        which: usize,
        choose: impl Fn(&Seen) -> Option<(String, Timestamp)>,
    ) -> Result<(), TestCaseError> {
        let Some(id) = self.pick(which) else { return Ok(()) };
        let Some((code, ends_at)) = self.seen.get(&id).and_then(&choose) else { return Ok(()) };
        let keyring = self.world.keyring.in_hand.clone().unwrap();
        let presented = PresentedCode::parse(&code).unwrap();
        let (ledger, outcome) =
            verify::decide(self.ledger.clone(), &keyring, id, &presented, self.now);
        let was_counted = ledger != self.ledger;
        self.ledger = ledger;
        let seen = self.seen.entry(id).or_default();
        let is_last = seen.codes.last().is_some_and(|(last, _)| *last == code);
        match outcome {
            Outcome::Verified(_) => {
                prop_assert!(is_last && self.now < ends_at, "only the last code, and in time");
                seen.successes += 1;
                seen.revealed += 1;
                self.failures.clear();
            }
            Outcome::Incorrect => {
                prop_assert!(was_counted && !is_last, "counted, and the right code is never wrong");
                seen.revealed += 1;
                self.failures.push(self.now);
            }
            Outcome::Expired | Outcome::Exhausted | Outcome::AlreadyUsed | Outcome::NotFound => {
                prop_assert!(!was_counted, "a refusal changes nothing");
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for (id, seen) in &self.seen {
            prop_assert!(seen.successes <= 1, "used once");
            prop_assert!(seen.revealed <= self.policy.max_attempts.into(), "attempts");
            prop_assert!(seen.sends <= self.policy.max_sends.into(), "sends");
            if let Some(challenge) = self.ledger.find(*id) {
                prop_assert_eq!(&challenge.policy, &self.policy);
            }
        }
        let window = Duration::from_secs(self.policy.failure_seconds.into());
        let recent = self.failures.iter().filter(|at| **at + window > self.now).count();
        prop_assert!(recent <= self.policy.max_failures.into(), "consecutive failures");
        prop_assert!(self.ledger.challenges.len() <= passcode_domain::ledger::MAX_CHALLENGES);
        Ok(())
    }

    /// What is stored is what was decided, and outlives everything that it still counts.
    fn check_stored(&self) -> Result<(), TestCaseError> {
        let stored = serde_json::to_string(&self.ledger).unwrap();
        let restored: Ledger = serde_json::from_str(&stored).unwrap();
        prop_assert_eq!(&restored, &self.ledger);
        let ends_at = self.ledger.ends_at();
        for challenge in &self.ledger.challenges {
            prop_assert!(challenge.expires_at < ends_at);
            prop_assert!(challenge.sends.iter().all(|s| s.expires_at <= challenge.expires_at));
        }
        let locked_until = self.ledger.failures.locked_until(&self.policy, self.now);
        prop_assert!(locked_until.is_none_or(|until| until <= ends_at));
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_calls_breaks_a_promise(
        policy in policy(),
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let mut run = Run::new(policy);
        for step in &steps {
            run.take(step)?;
        }
        run.check_stored()?;
    }
}
