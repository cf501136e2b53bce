//! Every status that the OpenAPI document promises is the answer to some test of this suite.

use passcode_tests::document::{ANSWERED, documented};
use std::{collections::BTreeSet, process::Command};

/// Answers that no test can get, as `operation status`, each with the reason.
const UNSEEN: [(&str, &str); 0] = [];

/// Runs this suite once more, with the output of its tests, since only a suite that has ended has
/// seen everything.
fn answered() -> BTreeSet<String> {
    let suite = Command::new(std::env::current_exe().unwrap())
        .args(["--nocapture", "--skip", "coverage::"])
        .output()
        .unwrap();
    assert!(suite.status.success(), "the other tests fail: mend them first");
    let lines = String::from_utf8(suite.stdout).unwrap();
    lines.lines().filter_map(|line| line.split_once(ANSWERED)).map(|(_, it)| it.into()).collect()
}

#[test]
fn every_documented_answer_is_given() {
    let answered = answered();
    let unseen: BTreeSet<_> = documented().difference(&answered).cloned().collect();
    let excused: BTreeSet<_> = UNSEEN.iter().map(|(answer, _)| (*answer).to_owned()).collect();
    assert_eq!(unseen, excused, "left: documented and never answered; right: excused");
}
