//! Who calls, and what can go wrong. Each scenario must hold every property, and must reach every outcome that
//! it names: a world in which nothing happens breaks no promise.

use crate::{
    model::{Budget, Caller, Explored, Limit, OutcomeName, Plan, Subject},
    replay::{Settings, name, printed},
};
use passcode_domain::{
    Address, App, CallerClass, ChallengeId, Channel, EmailAddress, Keyring, Lookup, PhoneNumber,
    Policy, SessionId, SessionKey, UserKey,
    action::open::Open,
    app::guard::Mode,
    guard::Sending,
    secret::refresh::RefreshToken,
    session::{Opening, Refresh},
    value::id::{CounterKey, ItemKey},
};
use passcode_testkit::{FakeEntropy, TestWorld, demo_app, unguarded};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

pub(crate) const LIFE: Duration = Duration::from_mins(15);

/// Nothing goes wrong but the order of things.
pub(crate) const ORDERLY: Budget =
    Budget { faults: 0, crashes: 0, jumps: 0, rotations: 0, edits: 0 };

fn keyring(json: &str) -> Arc<Keyring> {
    Arc::new(Keyring::from_secret(json).unwrap())
}

/// An app that limits nothing, and gives so many attempts.
pub(crate) fn app(attempts: u8) -> App {
    let app = demo_app();
    let policy = Policy { max_attempts: attempts, ..app.policy.clone() };
    App { guard: unguarded(), policy, ..app }
}

/// An app with so many messages an hour, and no pauses.
pub(crate) fn limited(per_hour: u32) -> App {
    let mut app = app(5);
    let limit = &mut app.guard.sends_per_app;
    (limit.mode, limit.per_hour, limit.per_day) = (Mode::Enforce, per_hour, per_hour);
    app.guard.anonymous_percent = 0;
    app
}

impl Explored {
    /// A world with an app, which allows much less once it is edited.
    pub(crate) fn of(app: App) -> Self {
        let policy = Policy { max_attempts: 1, max_sends: 1, ..app.policy.clone() };
        let edited = App { policy, ..app.clone() };
        let root = "a-secret-of-at-least-32-characters";
        let old = format!(r#"{{"root":"{root}"}}"#);
        let new = Keyring::rotated(&old, "another-secret-of-32-characters-or-more").unwrap();
        Self::new(Settings {
            apps: [Arc::new(app), Arc::new(edited)],
            keyrings: [keyring(&old), keyring(&new)],
            is_edited: false,
            is_rotated: false,
            constant: BTreeMap::new(),
        })
    }

    pub(crate) fn opening(&self, to: Address, n: u64) -> Open {
        let [app, _] = &self.settings.apps;
        let entropy = FakeEntropy::seeded(n << 32);
        let addresses = passcode_domain::Addresses::new(to, None);
        Open::new(app, &self.settings.keyrings[0], &entropy, addresses, LIFE)
    }

    /// Looks at the challenge with this id.
    pub(crate) fn about(mut self, id: ChallengeId) -> Self {
        self.subject = Some(Subject { id, ledger: name(&ItemKey::from(*id.subject())) });
        self
    }

    /// Sends a challenge its first code, and lets its cool-down pass; the code.
    pub(crate) fn sent(mut self) -> (Self, ChallengeId, String) {
        let opening = self.opening(phone(0), 1);
        let id = opening.id;
        assert_eq!(self.before(Plan::SendFirst(opening, None)), "sent");
        let code = self.tables.messages[&printed(&phone(0))][0].clone();
        self.now += 31_000;
        (self.about(id), id, code)
    }

    /// Opens a challenge for both addresses that nothing is sent for yet. It stays as it is, so reading it is
    /// no step.
    pub(crate) fn opened(mut self) -> (Self, ChallengeId) {
        let mut opening = self.opening(phone(0), 1);
        let email = EmailAddress::parse("ada@example.com").unwrap();
        let addresses = passcode_domain::Addresses::new(phone(0), Some(Address::Email(email)));
        let entropy = FakeEntropy::seeded(1 << 32);
        let [app, _] = &self.settings.apps;
        opening = Open::new(app, &self.settings.keyrings[0], &entropy, addresses, LIFE)
            .with_id(opening.id);
        let id = opening.id;
        assert_eq!(self.before(Plan::Open(opening)), "opened");
        self.settings.constant = self.tables.items.clone();
        (self.about(id), id)
    }

    pub(crate) fn call(mut self, plan: Plan) -> Self {
        let seed = 1000 + self.callers.len() as u64;
        self.callers.push(Caller { plan, seed, ahead: Duration::ZERO });
        self
    }

    /// The same, of a caller whose clock is ahead.
    pub(crate) fn call_ahead(self, plan: Plan, ahead: Duration) -> Self {
        let mut all = self.call(plan);
        all.callers.last_mut().unwrap().ahead = ahead;
        all
    }

    pub(crate) fn with(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self.settings.is_edited = budget.edits > 0;
        self.settings.is_rotated = budget.rotations > 0;
        self
    }

    /// Holds the limits of the app and of every IP address.
    pub(crate) fn held_to(mut self, of_app: u64, of_ip: u64) -> Self {
        let mut limits: BTreeMap<CounterKey, Limit> = BTreeMap::new();
        for (n, caller) in self.callers.iter().enumerate() {
            let Plan::SendFirst(_, ip) = &caller.plan else { continue };
            let to = phone(u32::try_from(n).unwrap() + 1);
            let ([app, _], [keyring, _]) = (&self.settings.apps, &self.settings.keyrings);
            let by = CallerClass::Authenticated;
            let counters = Sending::new(app, keyring, (&to, false), (*ip).into(), by).counters();
            let of_all = Sending::app_counter(keyring, &app.id, by);
            for key in counters {
                let most = if key == of_all { of_app } else { of_ip };
                let limit = Limit { key, most, addresses: BTreeSet::new() };
                limits.entry(key).or_insert(limit).addresses.insert(printed(&to));
            }
        }
        self.limits = limits.into_values().collect();
        self
    }

    /// Everything holds, and each of these outcomes is reached.
    #[track_caller]
    pub(crate) fn holds(self, title: &str, outcomes: &[OutcomeName]) {
        let (found, told) = self.explore(title);
        assert!(found.is_empty(), "{title}: {found:?}");
        let missed: Vec<_> = outcomes.iter().filter(|outcome| !told.contains(*outcome)).collect();
        assert!(missed.is_empty(), "{title}: {missed:?} is not among {told:?}");
    }
}

pub(crate) fn phone(n: u32) -> Address {
    Address::Phone(PhoneNumber::parse(&format!("+1415555{:04}", 100 + n)).unwrap())
}

/// Callers that verify: the first so many with the right code, the others with a wrong one.
pub(crate) fn verifies(attempts: u8, rights: usize, wrongs: usize, budget: Budget) -> Explored {
    let (mut world, id, code) = Explored::of(app(attempts)).sent();
    for _ in 0..rights {
        world = world.call(Plan::Verify(id, code.clone()));
    }
    for _ in 0..wrongs {
        world = world.call(Plan::Verify(id, TestWorld::wrong(&code)));
    }
    world.with(budget)
}

/// Callers that send to one challenge, which has had no message.
pub(crate) fn sends(callers: usize, channels: &[Channel], budget: Budget) -> Explored {
    let (mut world, id) = Explored::of(app(5)).opened();
    for _ in 0..callers {
        world = world.call(Plan::Send(id, channels.to_vec()));
    }
    world.jump = Duration::from_secs(31);
    world.with(budget)
}

/// Callers that send to numbers of their own, of whom so many are served: the last of them have clocks that
/// show the next half hour.
pub(crate) fn limited_sends(callers: u32, ahead: u32, limit: u32, budget: Budget) -> Explored {
    let mut world = Explored::of(limited(limit));
    for n in 1..=callers {
        let opening = world.opening(phone(n), n.into());
        let is_ahead = n > callers - ahead;
        let by = if is_ahead { Duration::from_mins(30) } else { Duration::ZERO };
        world = world.call_ahead(Plan::SendFirst(opening, None), by);
    }
    world.jump = Duration::from_mins(30);
    world.with(budget).held_to(limit.into(), limit.into())
}

/// Callers that send from two IP addresses in turn, of which each may ask for one message and the app for two:
/// two counters are reserved at the same time.
pub(crate) fn sends_by_ip(callers: u32, budget: Budget) -> Explored {
    let mut app = limited(2);
    let limit = &mut app.guard.sends_per_ip;
    (limit.mode, limit.per_hour, limit.per_day) = (Mode::Enforce, 1, 1);
    let mut world = Explored::of(app);
    for n in 1..=callers {
        let opening = world.opening(phone(n), n.into());
        let ip = std::net::Ipv4Addr::new(192, 0, 2, u8::try_from(n % 2).unwrap());
        world = world.call(Plan::SendFirst(opening, Some(ip.into())));
    }
    world.with(budget).held_to(2, 1)
}

/// Callers that name the same subject, each with a challenge of its own, should there be none.
pub(crate) fn sends_by_name(callers: u64, budget: Budget) -> Explored {
    let mut world = Explored::of(app(5));
    for n in 1..=callers {
        let opening = world.opening(phone(0), n).found_by(Lookup::Identity);
        world = world.call(Plan::SendNamed(opening));
    }
    let id = world.opening(phone(0), 1).id;
    world.jump = Duration::from_secs(31);
    world.about(id).with(budget)
}

/// Verifies and resends of one challenge at the same time, with the codes that have arrived.
pub(crate) fn everything(verifies: usize, resends: usize, budget: Budget) -> Explored {
    let (mut world, id, code) = Explored::of(app(2)).sent();
    for n in 0..verifies {
        world = world.call(match n {
            0 => Plan::VerifyLast(id, phone(0)),
            1 => Plan::Verify(id, TestWorld::wrong(&code)),
            _ => Plan::Verify(id, code.clone()),
        });
    }
    for _ in 0..resends {
        world = world.call(Plan::Send(id, vec![Channel::Sms]));
    }
    world.jump = Duration::from_secs(61);
    world.with(budget)
}

/// A session, and callers that refresh it with its first token, and end it.
pub(crate) fn sessions(refreshes: usize, revokes: usize, budget: Budget) -> Explored {
    let mut world = Explored::of(app(5));
    let opening = begin(&world, 7);
    let nonce = opening.nonce;
    assert_eq!(world.before(Plan::Begin(opening.clone())), "begun");
    let ([app, _], [keyring, _]) = (&world.settings.apps, &world.settings.keyrings);
    let token = RefreshToken::new(keyring, &app.id, opening.key, &nonce, 0);
    let refresh = Refresh { token, proof: None, step_up: None };
    world.session = Some(opening.key);
    for _ in 0..refreshes {
        world = world.call(Plan::Refresh(refresh.clone()));
    }
    for _ in 0..revokes {
        world = world.call(Plan::Revoke(refresh.clone()));
    }
    world.jump = Duration::from_secs(61);
    world.with(budget)
}

pub(crate) fn begin(world: &Explored, nonce: u8) -> Opening {
    let [app, _] = &world.settings.apps;
    let session = SessionId::from_bytes([3; 16]);
    Opening {
        key: SessionKey { user: UserKey::from_bytes([2; 16]), session },
        app: app.id.clone(),
        user: "63fcedad5ab92b52bfbf5125".to_owned().try_into().unwrap(),
        address: phone(0),
        policy: app.session,
        nonce: [nonce; 16],
        device: passcode_domain::session::Device::default(),
        proof: None,
    }
}

const ONE_FAULT: Budget = Budget { faults: 1, ..ORDERLY };
const ONE_CRASH: Budget = Budget { crashes: 1, ..ORDERLY };

#[test]
fn verifies_hold() {
    verifies(5, 2, 1, ORDERLY).holds("three verifies", &["verified", "incorrect", "already used"]);
    verifies(1, 1, 2, ORDERLY)
        .holds("three verifies for one attempt", &["verified", "incorrect", "exhausted"]);
    verifies(2, 1, 1, Budget { crashes: 1, ..ONE_FAULT }).holds(
        "two verifies, a lost answer and a crash",
        &["verified", "incorrect", "unavailable"],
    );
}

#[test]
fn sends_hold() {
    sends(3, &[Channel::Sms], ORDERLY).holds("three sends", &["sent", "cooling down"]);
    let both = [Channel::Sms, Channel::Email];
    sends(2, &both, Budget { faults: 2, ..ORDERLY }).holds(
        "two sends on two channels, two faults",
        &["sent", "cooling down", "undeliverable", "not known", "unavailable"],
    );
    sends_by_name(3, Budget { jumps: 1, ..ORDERLY }).holds(
        "three sends that name a subject, a cool-down that passes",
        &["sent", "cooling down"],
    );
    sends(2, &[Channel::Sms], Budget { jumps: 1, ..ONE_CRASH })
        .holds("two sends, a crash and a cool-down that passes", &["sent", "cooling down"]);
}

#[test]
fn a_verify_beside_a_resend_holds() {
    let (world, id, code) = Explored::of(app(2)).sent();
    let world = world
        .call(Plan::Verify(id, code))
        .call(Plan::VerifyLast(id, phone(0)))
        .call(Plan::Send(id, vec![Channel::Sms]));
    world
        .with(ORDERLY)
        .holds("two verifies beside a resend", &["sent", "verified", "incorrect", "already used"]);
}

#[test]
fn a_rotation_and_an_edit_change_no_live_challenge() {
    let (world, id, _) = Explored::of(app(2)).sent();
    let world = world
        .call(Plan::VerifyLast(id, phone(0)))
        .call(Plan::Send(id, vec![Channel::Sms]))
        .with(Budget { rotations: 1, edits: 1, ..ORDERLY });
    world.holds(
        "a verify beside a resend, a rotation and an edit",
        &["sent", "verified", "incorrect", "already used"],
    );
}

#[test]
fn limits_hold() {
    limited_sends(3, 0, 2, ORDERLY).holds("three sends for two messages", &["sent", "throttled"]);
    let mut edge = limited_sends(3, 1, 1, ORDERLY);
    edge.is_stale = true;
    edge.holds("three sends at the edge of a half hour", &["sent", "throttled"]);
    sends_by_ip(3, ORDERLY).holds("three sends from two addresses", &["sent", "throttled"]);
    limited_sends(2, 1, 1, Budget { crashes: 1, ..ONE_FAULT }).holds(
        "two sends for one message, a fault and a crash",
        &["sent", "throttled", "undeliverable", "not known", "unavailable"],
    );
}

#[test]
fn sessions_hold() {
    sessions(2, 1, ORDERLY)
        .holds("two refreshes and a revocation", &["refreshed", "revoked", "no session"]);
    sessions(2, 1, Budget { jumps: 1, ..ONE_FAULT }).holds(
        "two refreshes and a revocation, a fault and a minute",
        &["refreshed", "reused", "revoked", "unavailable"],
    );
    let world = Explored::of(app(5));
    let [first, second] = [begin(&world, 1), begin(&world, 2)];
    let mut world = world.call(Plan::Begin(first.clone())).call(Plan::Begin(second));
    world.session = Some(first.key);
    world.with(ONE_CRASH).holds("two beginnings", &["begun", "not begun"]);
}

/// Everything that can go wrong, once each.
const ALL: Budget = Budget { faults: 1, crashes: 1, jumps: 1, rotations: 1, edits: 1 };
const FAULT_AND_CRASH: Budget = Budget { faults: 1, crashes: 1, ..ORDERLY };

#[test]
#[ignore = "minutes; .ci/run runs it"]
fn four_verifies_hold() {
    let outcomes = &["verified", "incorrect", "already used", "exhausted"];
    verifies(2, 2, 2, ONE_FAULT).holds("four verifies, a fault", outcomes);
    verifies(2, 2, 2, ONE_CRASH).holds("four verifies, a crash", outcomes);
    verifies(2, 1, 1, ALL).holds(
        "two verifies, everything that can go wrong",
        &["verified", "incorrect", "unavailable"],
    );
}

#[test]
#[ignore = "minutes; .ci/run runs it"]
fn four_sends_hold() {
    let both = [Channel::Sms, Channel::Email];
    let outcomes = &["sent", "cooling down", "not known", "unavailable"];
    sends(4, &both, ONE_FAULT).holds("four sends on two channels, a fault", outcomes);
    sends(3, &both, FAULT_AND_CRASH)
        .holds("three sends on two channels, a fault and a crash", outcomes);
    sends(2, &both, ALL).holds("two sends, everything that can go wrong", outcomes);
    sends_by_name(3, Budget { jumps: 1, ..ONE_FAULT })
        .holds("three sends that name a subject, a fault and a cool-down that passes", outcomes);
}

#[test]
#[ignore = "minutes; .ci/run runs it"]
fn verifies_beside_resends_hold() {
    let outcomes = &["sent", "verified", "incorrect", "already used"];
    everything(2, 2, ORDERLY).holds("two verifies beside two resends", outcomes);
    everything(1, 2, FAULT_AND_CRASH)
        .holds("a verify beside two resends, a fault and a crash", &["sent", "verified"]);
    everything(1, 1, ALL)
        .holds("a verify beside a resend, everything that can go wrong", &["sent", "verified"]);
}

#[test]
#[ignore = "minutes; .ci/run runs it"]
fn four_limited_sends_hold() {
    let mut edge = limited_sends(4, 2, 2, ORDERLY);
    edge.is_stale = true;
    edge.holds("four sends at the edge of a half hour, old readings", &["sent", "throttled"]);
    let mut edge = limited_sends(3, 1, 1, FAULT_AND_CRASH);
    edge.is_stale = true;
    let outcomes = &["sent", "throttled", "not known", "unavailable"];
    edge.holds("three sends at the edge, old readings, a fault and a crash", outcomes);
    sends_by_ip(2, FAULT_AND_CRASH).holds(
        "two sends from two addresses, a fault and a crash",
        &["sent", "not known", "unavailable"],
    );
    sends_by_ip(3, ONE_CRASH)
        .holds("three sends from two addresses, a crash", &["sent", "throttled"]);
}

#[test]
#[ignore = "minutes; .ci/run runs it"]
fn four_callers_of_a_session_hold() {
    sessions(3, 1, Budget { jumps: 1, ..ONE_FAULT }).holds(
        "three refreshes and a revocation, a fault and a minute",
        &["refreshed", "reused", "revoked", "no session", "unavailable"],
    );
    sessions(1, 1, ALL).holds(
        "a refresh and a revocation, everything that can go wrong",
        &["refreshed", "revoked", "no session", "unavailable"],
    );
}
