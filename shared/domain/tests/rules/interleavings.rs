//! Callers that run at the same time, in every order that the store allows.

use passcode_domain::{
    Channel,
    action::{
        Failure,
        send::{Delivery, Sent},
        verify::Outcome,
    },
};
use passcode_testkit::{
    FakeEntropy, TestWorld,
    schedule::{Task, block_on, every_schedule, interleave},
};
use proptest::prelude::*;

fn verified(outcomes: &[Result<Outcome, Failure>]) -> usize {
    outcomes.iter().filter(|outcome| matches!(outcome, Ok(Outcome::Verified(_)))).count()
}

fn incorrect(outcomes: &[Result<Outcome, Failure>]) -> usize {
    outcomes.iter().filter(|outcome| matches!(outcome, Ok(Outcome::Incorrect))).count()
}

#[test]
fn of_two_right_codes_one_succeeds_in_every_schedule() {
    let count = every_schedule(|choose| {
        let world = TestWorld::default();
        let (id, code) = world.open_and_send();
        let tasks: Vec<Task<'_, _>> =
            (0..2).map(|_| Box::pin(world.verify(id, &code)) as Task<'_, _>).collect();
        let outcomes = interleave(tasks, choose);
        assert_eq!(verified(&outcomes), 1, "{outcomes:?}");
        assert!(outcomes.iter().any(|outcome| matches!(outcome, Ok(Outcome::AlreadyUsed))));
    });
    assert!(count > 10, "{count} schedules");
}

#[test]
fn the_last_attempt_is_given_once_in_every_schedule() {
    let count = every_schedule(|choose| {
        let world = TestWorld::default();
        let (id, code) = world.open_and_send();
        let wrong = TestWorld::wrong(&code);
        for _ in 0..4 {
            block_on(world.verify(id, &wrong)).unwrap();
        }
        let tasks: Vec<Task<'_, _>> =
            vec![Box::pin(world.verify(id, &wrong)), Box::pin(world.verify(id, &code))];
        let outcomes = interleave(tasks, choose);
        assert_eq!(verified(&outcomes) + incorrect(&outcomes), 1, "{outcomes:?}");
    });
    assert!(count > 10, "{count} schedules");
}

#[test]
fn of_two_resends_one_goes_out_in_every_schedule() {
    let count = every_schedule(|choose| {
        let world = TestWorld::default();
        let id = world.open();
        let options = TestWorld::options(Channel::Sms);
        let tasks: Vec<Task<'_, _>> =
            (0..2).map(|_| Box::pin(world.send(id, &options)) as Task<'_, _>).collect();
        let results = interleave(tasks, choose);
        let sent = |result: &&Result<Delivery, Failure>| {
            matches!(result, Ok(Delivery { sent: Sent::Sent(..), .. }))
        };
        assert_eq!(results.iter().filter(sent).count(), 1, "{results:?}");
        assert_eq!(world.couriers.sms.taken().len(), 1);
    });
    assert!(count > 10, "{count} schedules");
}

#[test]
fn of_two_first_messages_of_one_subject_one_goes_out_in_every_schedule() {
    let count = every_schedule(|choose| {
        let world = TestWorld::default();
        let ids = [world.open(), world.open()];
        let options = TestWorld::options(Channel::Sms);
        let tasks = ids.map(|id| Box::pin(world.send(id, &options)) as Task<'_, _>).into();
        let results = interleave(tasks, choose);
        let is_sent = |result: &Result<Delivery, Failure>| {
            matches!(result, Ok(Delivery { sent: Sent::Sent(..), .. }))
        };
        assert_eq!(results.iter().filter(|result| is_sent(result)).count(), 1, "{results:?}");
        assert_eq!(world.couriers.sms.taken().len(), 1, "they share the subject's cool-down");
    });
    assert!(count > 10, "{count} schedules");
}

#[test]
fn a_verify_beside_a_resend_ends_in_a_state_that_either_order_allows() {
    every_schedule(|choose| {
        let world = TestWorld::default();
        let (id, code) = world.open_and_send();
        world.clock.advance(world.cool_down(1));
        let options = TestWorld::options(Channel::Sms);
        let tasks: Vec<Task<'_, String>> = vec![
            Box::pin(async { format!("{:?}", world.verify(id, &code).await) }),
            Box::pin(async { format!("{:?}", world.send(id, &options).await.map(|d| d.sent)) }),
        ];
        let results = interleave(tasks, choose);
        let verified = results[0].contains("Verified");
        let messages = world.couriers.sms.taken().len();
        assert!(
            (verified && messages <= 2) || (results[0] == "Ok(Incorrect)" && messages == 2),
            "{results:?}"
        );
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn many_callers_share_one_success_and_the_attempts(
        seed: u64,
        rights in 0..4usize,
        wrongs in 0..8usize,
        order in proptest::collection::vec(0..12usize, 1..200),
    ) {
        let world = TestWorld { entropy: FakeEntropy::seeded(seed), ..TestWorld::default() };
        let (id, code) = world.open_and_send();
        let wrong = TestWorld::wrong(&code);
        let codes = [vec![&code; rights], vec![&wrong; wrongs]].concat();
        let tasks: Vec<Task<'_, _>> =
            codes.into_iter().map(|code| Box::pin(world.verify(id, code)) as Task<'_, _>).collect();
        let mut order = order.into_iter().cycle();
        let outcomes = interleave(tasks, |_| order.next().unwrap_or(0));
        prop_assert!(verified(&outcomes) <= 1);
        prop_assert!(verified(&outcomes) + incorrect(&outcomes) <= 5);
        if wrongs < 5 && rights > 0 {
            prop_assert_eq!(verified(&outcomes), 1, "{:?}", outcomes);
        }
    }
}
