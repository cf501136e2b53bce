//! Worlds that break one promise each. A property finds every one, or it would prove nothing of a world that
//! keeps them all.

use crate::{
    model::{Budget, Explored, Plan},
    scenarios::{ORDERLY, app, everything, limited_sends, sends, sessions, verifies},
    tables::Mutation,
};
use passcode_domain::Channel;

/// Which property finds it, by how few steps.
#[track_caller]
fn is_found(mut world: Explored, mutation: Mutation, properties: &[&str]) {
    world.mutation = Some(mutation);
    let (found, _) = world.explore(&format!("{mutation:?}"));
    let named: Vec<_> = found.keys().filter(|name| properties.contains(name)).collect();
    assert!(!named.is_empty(), "{mutation:?} is not found by {properties:?}, but by {found:?}");
    for (name, steps) in found {
        println!("  \"{name}\" fails after {} steps: {steps:?}", steps.len());
    }
}

#[test]
fn an_attempt_that_is_not_counted_is_found() {
    let counted = "an outcome is counted before it is told";
    is_found(verifies(2, 0, 2, ORDERLY), Mutation::AttemptNotCounted, &[counted]);
    // It is found as well by the promise that it breaks in the end.
    let (mut world, id, code) = Explored::of(app(1)).sent();
    let wrong = passcode_testkit::TestWorld::wrong(&code);
    for _ in 0..2 {
        world = world.call(Plan::Verify(id, wrong.clone()));
    }
    is_found(world, Mutation::AttemptNotCounted, &[counted, "no more outcomes than attempts"]);
}

#[test]
fn a_success_that_is_not_kept_is_found() {
    let properties = ["a challenge is used once", "an outcome is counted before it is told"];
    is_found(verifies(5, 2, 0, ORDERLY), Mutation::SuccessNotKept, &properties);
}

#[test]
fn a_version_that_is_not_checked_is_found() {
    let used = "a challenge is used once";
    is_found(verifies(5, 2, 0, ORDERLY), Mutation::VersionNotChecked, &[used]);
    let counted = "an outcome is counted before it is told";
    is_found(verifies(5, 0, 2, ORDERLY), Mutation::VersionNotChecked, &[counted]);
    let one = "one message per generation";
    is_found(sends(2, &[Channel::Sms], ORDERLY), Mutation::VersionNotChecked, &[one]);
    let over = "a session that is over stays over";
    is_found(sessions(1, 1, ORDERLY), Mutation::VersionNotChecked, &[over]);
}

#[test]
fn a_claim_that_is_not_kept_is_found() {
    let one = "one message per generation";
    is_found(everything(0, 2, ORDERLY), Mutation::ClaimNotKept, &[one]);
}

#[test]
fn a_write_that_is_taken_for_somebody_elses_is_found() {
    let told = "what was counted was told";
    is_found(verifies(5, 1, 0, ORDERLY), Mutation::OwnWriteNotKnown, &[told]);
    is_found(verifies(5, 0, 1, ORDERLY), Mutation::OwnWriteNotKnown, &[told]);
}

#[test]
fn a_reservation_that_is_not_bounded_is_found() {
    let limit = "no limit is exceeded by one message";
    is_found(limited_sends(2, 0, 1, ORDERLY), Mutation::BoundNotChecked, &[limit]);
    is_found(
        limited_sends(2, 0, 1, ORDERLY),
        Mutation::NotReserved,
        &[limit, "what has gone out is counted"],
    );
    is_found(limited_sends(3, 1, 1, ORDERLY), Mutation::PreviousNotChecked, &[limit]);
    is_found(limited_sends(3, 1, 1, ORDERLY), Mutation::NewestNotChecked, &[limit]);
}

#[test]
fn a_give_back_that_is_repeated_is_found() {
    let budget = Budget { faults: 1, ..ORDERLY };
    let properties = ["no limit is exceeded by one message", "what has gone out is counted"];
    is_found(limited_sends(2, 0, 2, budget), Mutation::GivenBackTwice, &properties);
}
