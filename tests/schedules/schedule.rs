//! Steps, drawn from a seed.

use crate::{
    book::Broken,
    ports::{Fault, Mutation},
    stage,
};
use passcode_tests::dice::Dice;
use std::fmt;

/// What a caller asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    Create,
    Initiate,
    VerifyByServer,
    VerifyByHolder,
    Status,
    SendOrder,
    ResendOrder,
    VerifyOrder,
    AskInBrowser,
    RetryInBrowser,
    CheckInBrowser,
    SignIn,
    Refresh,
    SignOut,
    ListSessions,
    StepUp,
    Keys,
    MailToUser,
    VerifyUser,
    IssueToUser,
    ChangePin,
    CheckSecret,
    Generate,
    Resend,
    VerifyNamed,
}

/// Which code is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// The last one of the challenge that has arrived.
    Last,
    /// The one before it.
    Earlier,
    /// One that has arrived at another address.
    OfOther,
    /// One that nobody has been sent.
    Wrong,
}

/// A call, as it begins. What it is about is one of the things that callers were told before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begin {
    pub(crate) want: Want,
    /// Whose address, and by which channel.
    pub(crate) who: usize,
    /// Which of the ids, tokens or sessions that callers hold, counted from the newest.
    pub(crate) which: usize,
    pub(crate) code: Code,
    /// How far the clock of its machine is ahead, in milliseconds.
    pub(crate) ahead: u64,
    /// Its `Idempotency-Key`.
    pub(crate) key: Option<u64>,
    /// Whether its event is delivered twice.
    pub(crate) is_delivered_twice: bool,
    pub(crate) has_old_keyring: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Begin(Begin),
    /// One of the running calls runs on, by so many port calls; something goes wrong with the first of them.
    Run(usize, usize, Option<Fault>),
    /// Its function ends.
    Crash(usize),
    /// Something that nobody waits for any longer happens.
    Late(usize),
    /// So many seconds pass.
    Pass(u64),
    /// The counters are read as they are now, by whoever reads old ones from now on.
    Remember,
    /// The keyring is rotated, once.
    Rotate,
    /// The app is edited.
    Edit,
}

/// A list of steps. Each of them can be left out.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// Where randomness starts.
    pub(crate) randomness: u64,
    pub(crate) steps: Vec<Step>,
    pub(crate) mutation: Option<Mutation>,
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "  {step:?}"))
    }
}

/// What happens how often: ordinary sequences, with something else in between.
const WANTS: &[(u64, Want)] = &[
    (6, Want::Create),
    (14, Want::Initiate),
    (8, Want::VerifyByServer),
    (12, Want::VerifyByHolder),
    (5, Want::Status),
    (7, Want::SendOrder),
    (3, Want::ResendOrder),
    (7, Want::VerifyOrder),
    (8, Want::AskInBrowser),
    (4, Want::RetryInBrowser),
    (10, Want::CheckInBrowser),
    (7, Want::SignIn),
    (9, Want::Refresh),
    (3, Want::SignOut),
    (1, Want::ListSessions),
    (1, Want::StepUp),
    (1, Want::Keys),
    (5, Want::MailToUser),
    (6, Want::VerifyUser),
    (1, Want::CheckSecret),
    (7, Want::Generate),
    (4, Want::Resend),
    (8, Want::VerifyNamed),
];

/// What costs a hash of a PIN, and is rare.
const HASHING: &[(u64, Want)] =
    &[(2, Want::IssueToUser), (2, Want::VerifyUser), (3, Want::ChangePin)];

fn drawn_from(dice: &Dice, table: &[(u64, Want)]) -> Want {
    let mut left = dice.below(table.iter().map(|(weight, _)| weight).sum());
    for (weight, want) in table {
        match left.checked_sub(*weight) {
            Some(rest) => left = rest,
            None => return *want,
        }
    }
    Want::Keys
}

fn index(dice: &Dice, end: u64) -> usize {
    usize::try_from(dice.below(end)).unwrap()
}

impl Schedule {
    pub(crate) fn drawn(seed: u64) -> Self {
        let dice = Dice::seeded(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
        // In some schedules nothing goes wrong, in some much; few have PINs in them.
        let faults = [0, 30, 120, 300][index(&dice, 4)];
        let (people, has_pins) = (1 + dice.below(6), dice.per_mille(15));
        let length = 20 + dice.below(80);
        let steps = (0..length).map(|_| step(&dice, faults, people, has_pins)).collect();
        Self { randomness: seed, steps, mutation: None }
    }

    pub(crate) fn with(self, mutation: Mutation) -> Self {
        Self { mutation: Some(mutation), ..self }
    }
}

fn step(dice: &Dice, faults: u64, people: u64, has_pins: bool) -> Step {
    match dice.below(100) {
        0..36 => Step::Begin(begin(dice, people, has_pins)),
        36..86 => {
            let fault = dice.per_mille(faults).then(|| fault(dice));
            let times = if dice.below(3) == 0 { 1 + index(dice, 4) } else { 200 };
            Step::Run(index(dice, 4), times, fault)
        }
        86..88 if faults > 0 => Step::Crash(index(dice, 4)),
        86..90 => Step::Late(index(dice, 4)),
        90..98 => Step::Pass([1, 5, 31, 31, 65, 130, 400, 1_000, 4_000, 30_000][index(dice, 10)]),
        98 => Step::Remember,
        _ if dice.below(2) == 0 => Step::Rotate,
        _ => Step::Edit,
    }
}

fn fault(dice: &Dice) -> Fault {
    let all = [Fault::LostBefore, Fault::LostAfter, Fault::Late, Fault::Twice, Fault::Refused];
    all[index(dice, 5)]
}

fn begin(dice: &Dice, people: u64, has_pins: bool) -> Begin {
    let is_hashing = has_pins && dice.below(4) == 0;
    Begin {
        want: drawn_from(dice, if is_hashing { HASHING } else { WANTS }),
        who: index(dice, people),
        which: [0, 0, 0, 1, 2][index(dice, 5)],
        code: [
            Code::Last,
            Code::Last,
            Code::Last,
            Code::Wrong,
            Code::Wrong,
            Code::Earlier,
            Code::OfOther,
        ][index(dice, 7)],
        ahead: [0, 0, 3, 700, 2_000][index(dice, 5)],
        key: (dice.below(4) == 0).then(|| dice.below(3)),
        is_delivered_twice: dice.per_mille(80),
        has_old_keyring: dice.below(4) == 0,
    }
}

/// The shortest schedule that is found to break the same promise: steps and faults are left out as long as it
/// still does, many at once at first.
pub(crate) fn shrunk(schedule: &Schedule, broken: &Broken) -> Schedule {
    let still_fails =
        |tried: &Schedule| stage::run(tried).is_err_and(|found| found.promise == broken.promise);
    let mut least = schedule.clone();
    let mut size = least.steps.len().div_ceil(2);
    while size > 0 {
        let (mut at, before) = (0, least.steps.len());
        while at < least.steps.len() {
            let mut tried = least.clone();
            tried.steps.drain(at..(at + size).min(tried.steps.len()));
            if still_fails(&tried) { least = tried } else { at += size }
        }
        // One step may be needed by another that is gone now.
        if size > 1 || least.steps.len() == before {
            size /= 2;
        }
    }
    for at in 0..least.steps.len() {
        for simpler in simpler(least.steps[at]) {
            let mut tried = least.clone();
            tried.steps[at] = simpler;
            if still_fails(&tried) {
                least = tried;
            }
        }
    }
    least
}

/// The same step with less in it.
fn simpler(step: Step) -> Vec<Step> {
    match step {
        Step::Run(which, times, Some(_)) => vec![Step::Run(which, times, None)],
        Step::Begin(begin) => vec![Step::Begin(Begin {
            ahead: 0,
            key: None,
            is_delivered_twice: false,
            has_old_keyring: false,
            ..begin
        })],
        _ => Vec::new(),
    }
}
