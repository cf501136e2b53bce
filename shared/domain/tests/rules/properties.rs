//! Whatever callers do, in whatever order, with whatever policy: what may never happen.

use passcode_domain::{
    Address, App, ChallengeId, Channel, Ledger, Policy, SubjectKey, Timestamp,
    action::{
        open::{self, Open},
        send::Sent,
        verify::Outcome,
    },
    ledger::{Item as _, MAX_CHALLENGES, MAX_LIVE, failures::FailureClass},
    ports::{Clock as _, LoadLedgers as _},
};
use passcode_testkit::{FakeSms, TestWorld, Verdict, demo_app, schedule::block_on, unguarded};
use proptest::prelude::*;
use std::{collections::HashMap, sync::Arc, time::Duration};

#[derive(Clone, Debug)]
enum Step {
    Open {
        minutes: u64,
    },
    OpenAgain {
        which: usize,
    },
    Send {
        which: usize,
        verdict: Verdict,
    },
    VerifyRight {
        which: usize,
    },
    VerifyOld {
        which: usize,
    },
    VerifyWrong {
        which: usize,
    },
    Wait {
        seconds: u64,
    },
    /// The table deletes what nothing in it says matters any more.
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..6usize;
    let verdict = prop_oneof![
        6 => Just(Verdict::Accept),
        1 => Just(Verdict::Lose),
        1 => Just(Verdict::Refuse),
    ];
    prop_oneof![
        2 => (1..1440u64).prop_map(|minutes| Step::Open { minutes }),
        1 => which.clone().prop_map(|which| Step::OpenAgain { which }),
        4 => (which.clone(), verdict).prop_map(|(which, verdict)| Step::Send { which, verdict }),
        1 => which.clone().prop_map(|which| Step::VerifyRight { which }),
        2 => which.clone().prop_map(|which| Step::VerifyOld { which }),
        8 => which.prop_map(|which| Step::VerifyWrong { which }),
        4 => prop_oneof![0..60u64, 500..700u64, 80_000..90_000u64]
            .prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Sweep),
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
struct Seen {
    opening: Open,
    ends_at: Timestamp,
    codes: Vec<(String, Timestamp)>,
    revealed: u32,
    successes: u32,
    generations: Vec<u32>,
}

struct Run {
    world: TestWorld,
    ids: Vec<ChallengeId>,
    seen: HashMap<ChallengeId, Seen>,
    /// The messages that went out, or may have, since the last success.
    unanswered: Vec<Timestamp>,
    failures: Vec<Timestamp>,
}

impl Run {
    fn new(policy: Policy) -> Self {
        let app = Arc::new(App { policy, guard: unguarded(), ..demo_app() });
        let world = TestWorld { app, ..TestWorld::default() };
        let (ids, seen) = (Vec::new(), HashMap::new());
        Self { world, ids, seen, unanswered: Vec::new(), failures: Vec::new() }
    }

    fn policy(&self) -> &Policy {
        &self.world.app.policy
    }

    fn now(&self) -> Timestamp {
        self.world.clock.now()
    }

    /// The ledger of Ada's phone, if there is one.
    fn ledger(&self) -> Option<Ledger> {
        let phone = Address::Phone(TestWorld::phone());
        let subject = SubjectKey::of_address(self.world.keys(), &self.world.app.id, &phone);
        block_on(self.world.ledgers.load(&subject.into())).unwrap().item
    }

    fn pick(&self, which: usize) -> Option<ChallengeId> {
        (!self.ids.is_empty()).then(|| self.ids[self.ids.len() - 1 - which % self.ids.len()])
    }

    fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        // A success answers the messages of its own millisecond as well.
        self.world.clock.advance(Duration::from_millis(1));
        match *step {
            Step::Wait { seconds } => self.world.clock.advance(Duration::from_secs(seconds)),
            Step::Sweep => self.world.ledgers.forget(self.now()),
            Step::Open { minutes } => self.open(Duration::from_mins(minutes))?,
            Step::OpenAgain { which } => self.open_again(which),
            Step::Send { which, verdict } => self.send(which, verdict)?,
            Step::VerifyRight { which } => self.verify(which, |seen| seen.codes.last().cloned())?,
            Step::VerifyOld { which } => self.verify(which, |seen| seen.codes.first().cloned())?,
            Step::VerifyWrong { which } => self.verify(which, |seen| {
                seen.codes.last().map(|(code, at)| (TestWorld::wrong(code), *at))
            })?,
        }
        self.check()
    }

    fn open(&mut self, life: Duration) -> Result<(), TestCaseError> {
        let opening = self.world.opening(TestWorld::phone().into(), life);
        let before = self.ledger();
        block_on(open::open(&self.world, self.world.keys(), &opening)).unwrap();
        prop_assert_eq!(self.ledger(), before, "what is unsent costs the ledger nothing");
        let (id, ends_at) = (opening.id, self.now() + life);
        let (codes, generations) = (Vec::new(), Vec::new());
        let seen = Seen { opening, ends_at, codes, revealed: 0, successes: 0, generations };
        self.ids.push(id);
        self.seen.insert(id, seen);
        Ok(())
    }

    /// Asks for a challenge under an id that has one, while its life lasts.
    fn open_again(&self, which: usize) {
        let Some(seen) = self.pick(which).and_then(|id| self.seen.get(&id)) else { return };
        if self.now() < seen.ends_at {
            block_on(open::open(&self.world, self.world.keys(), &seen.opening)).unwrap();
        }
    }

    fn send(&mut self, which: usize, verdict: Verdict) -> Result<(), TestCaseError> {
        let Some(id) = self.pick(which) else { return Ok(()) };
        self.world.couriers.sms = FakeSms::default();
        self.world.couriers.sms.answer([verdict]);
        let sent = block_on(self.world.send(id, &TestWorld::options(Channel::Sms))).unwrap().sent;
        let has_gone_out = matches!(sent, Sent::Sent(..) | Sent::Unknown(..));
        prop_assert_eq!(self.world.couriers.sms.taken().len(), usize::from(has_gone_out));
        if matches!(sent, Sent::Refused(_)) {
            return Ok(());
        }
        let now = self.now();
        self.unanswered.retain(|at| *at + Duration::from_hours(1) > now);
        let pause = self.policy().cool_down(self.unanswered.len());
        let until = self.unanswered.last().map(|last| *last + pause);
        prop_assert!(until.is_none_or(|until| until <= now), "cool-down");
        if !has_gone_out {
            prop_assert!(matches!(sent, Sent::Undeliverable(_)), "{sent:?}");
            return Ok(());
        }
        let generation = self.ledger().and_then(|ledger| Some(ledger.find(id)?.generation));
        let code_ends_at = now + Duration::from_secs(self.policy().code_seconds.into());
        let code = self.world.last_code();
        let Some(seen) = self.seen.get_mut(&id) else { return Ok(()) };
        prop_assert!(now < seen.ends_at, "only while it lives");
        prop_assert!(generation.is_some_and(|made| !seen.generations.contains(&made)), "one each");
        seen.generations.extend(generation);
        seen.codes.push((code, code_ends_at.min(seen.ends_at)));
        self.unanswered.push(now);
        Ok(())
    }

    fn verify(
        &mut self,
        which: usize,
        choose: impl Fn(&Seen) -> Option<(String, Timestamp)>,
    ) -> Result<(), TestCaseError> {
        let Some(id) = self.pick(which) else { return Ok(()) };
        let Some((code, ends_at)) = self.seen.get(&id).and_then(&choose) else { return Ok(()) };
        let before = self.ledger();
        let outcome = block_on(self.world.verify(id, &code)).unwrap();
        let (now, was_counted) = (self.now(), self.ledger() != before);
        let Some(seen) = self.seen.get_mut(&id) else { return Ok(()) };
        let is_last = seen.codes.last().is_some_and(|(last, _)| *last == code);
        match outcome {
            Outcome::Verified(_) => {
                prop_assert!(is_last && now < ends_at, "only the last code, and in time");
                seen.successes += 1;
                seen.revealed += 1;
                self.failures.clear();
                self.unanswered.clear();
            }
            Outcome::Incorrect => {
                prop_assert!(was_counted && !is_last, "counted, and the right code is never wrong");
                seen.revealed += 1;
                self.failures.push(now);
            }
            Outcome::AlreadyUsed => {
                prop_assert!(!was_counted || !is_last, "the right code once more costs nothing");
            }
            Outcome::Expired | Outcome::Exhausted | Outcome::NotFound => {
                prop_assert!(!was_counted, "a refusal changes nothing");
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let (policy, now, ledger) = (self.policy(), self.now(), self.ledger());
        for (id, seen) in &self.seen {
            prop_assert!(seen.successes <= 1, "used once");
            prop_assert!(seen.revealed <= policy.max_attempts.into(), "attempts");
            prop_assert!(seen.codes.len() <= policy.max_sends.into(), "sends");
            if let Some(challenge) = ledger.as_ref().and_then(|ledger| ledger.find(*id)) {
                prop_assert_eq!(&challenge.policy, policy);
            }
        }
        let window = Duration::from_secs(policy.failure_seconds.into());
        let recent = self.failures.iter().filter(|at| **at + window > now).count();
        prop_assert!(recent <= policy.max_failures.into(), "consecutive failures");
        if let Some(ledger) = ledger {
            prop_assert!(ledger.challenges.len() <= MAX_CHALLENGES);
            let live = ledger.challenges.iter().filter(|challenge| challenge.is_live(now));
            prop_assert!(live.count() <= MAX_LIVE);
        }
        Ok(())
    }

    /// What is stored outlives everything that it still counts.
    fn check_stored(&self) -> Result<(), TestCaseError> {
        let Some(ledger) = self.ledger() else { return Ok(()) };
        let ends_at = ledger.expires_at();
        for challenge in &ledger.challenges {
            prop_assert!(challenge.expires_at < ends_at);
            prop_assert!(challenge.sends.iter().all(|s| s.expires_at <= challenge.expires_at));
        }
        let failures = ledger.failures.get(&FailureClass::Id);
        let locked_until = failures.and_then(|all| all.locked_until(self.policy(), self.now()));
        prop_assert!(locked_until.is_none_or(|until| until <= ends_at));
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

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
