//! Challenges that callers find by naming the subject, and users who show a PIN: what guessing at
//! somebody may never do to them.

use passcode_domain::{
    Address, Addresses, ChallengeId, Channel, EmailAddress, Keyring, Ledger, Lookup, PresentedCode,
    SubjectKey, Timestamp, User, UserChange,
    action::{
        change_pin,
        issue::{self, Issued, IssuedCode, PresentedSecrets},
        open::Open,
        send::{self, Refusal, SendTarget, Sent},
        verify::{self, Outcome, VerifyTarget},
    },
    ports::{Clock as _, LoadUsers as _, StoreUsers as _},
    secret::{code::CodeId, password::HashedSecret},
};
use passcode_testkit::{
    FakeKeyring, Fault, TestWorld, ada, demo_app,
    schedule::{Task, block_on, every_schedule, interleave},
};
use std::time::Duration;

const HOUR: Duration = Duration::from_hours(1);

fn phone(world: &TestWorld) -> SubjectKey {
    SubjectKey::of_address(world.keys(), &world.app.id, &Address::Phone(TestWorld::phone()))
}

/// Sends to Ada's phone, to be found by naming it.
fn generate(world: &TestWorld) -> (Sent, String) {
    let opening = world.opening(TestWorld::phone().into(), HOUR).found_by(Lookup::Identity);
    let target = SendTarget::Identity(&opening, &world.app);
    let options = TestWorld::options(Channel::Sms);
    let sending = send::send(world, world.keys(), target, &options);
    (block_on(sending).unwrap().sent, world.last_code())
}

fn name(world: &TestWorld, subject: SubjectKey, code: &str) -> Outcome {
    let presented = PresentedCode::parse(code).unwrap();
    let target = VerifyTarget::Named(subject, &world.app.id);
    block_on(verify::verify(world, target, &presented)).unwrap().outcome
}

#[test]
fn naming_somebody_never_reaches_a_challenge_that_is_known_by_its_id() {
    let world = TestWorld::default();
    let (id, code) = world.open_and_send();
    assert_eq!(name(&world, phone(&world), &code), Outcome::NotFound);
    for _ in 0..30 {
        generate(&world);
        name(&world, phone(&world), &TestWorld::wrong(&code));
        world.clock.advance(Duration::from_secs(7));
    }
    assert!(matches!(block_on(world.verify(id, &code)).unwrap(), Outcome::Verified(_)));
}

#[test]
fn guessing_at_a_name_has_a_counter_of_its_own_and_an_end() {
    let world = TestWorld::without_waits();
    let mut revealed = 0;
    for _ in 0..6 {
        world.clock.advance(Duration::from_mins(11));
        let (_, code) = generate(&world);
        for _ in 0..6 {
            let outcome = name(&world, phone(&world), &TestWorld::wrong(&code));
            revealed += u32::from(outcome == Outcome::Incorrect);
        }
    }
    assert_eq!(revealed, 10, "ten in 24 hours, whatever is generated in between");
    assert!(matches!(generate(&world).0, Sent::Refused(Refusal::Exhausted(Some(_)))));
    let (id, code) = world.open_and_send();
    assert!(matches!(block_on(world.verify(id, &code)).unwrap(), Outcome::Verified(_)));
}

#[test]
fn wrong_codes_for_an_id_do_not_lock_the_name() {
    let world = TestWorld::without_waits();
    for _ in 0..2 {
        let (id, code) = world.open_and_send();
        for _ in 0..5 {
            block_on(world.verify(id, &TestWorld::wrong(&code))).unwrap();
        }
    }
    let (sent, code) = generate(&world);
    assert!(matches!(sent, Sent::Sent(..)));
    assert!(matches!(name(&world, phone(&world), &code), Outcome::Verified(_)));
}

#[test]
fn generating_again_is_a_resend_and_forgives_nothing() {
    let world = TestWorld::default();
    let (Sent::Sent(first, _), old) = generate(&world) else { panic!("it goes out") };
    assert!(matches!(generate(&world).0, Sent::Refused(Refusal::CoolingDown(_))));
    for _ in 0..4 {
        name(&world, phone(&world), &TestWorld::wrong(&old));
    }
    world.clock.advance(world.cool_down(1));
    let (Sent::Sent(second, _), new) = generate(&world) else { panic!("so does the next") };
    assert_eq!(first, second);
    assert_eq!(name(&world, phone(&world), &old), Outcome::Incorrect, "the fifth attempt");
    assert_eq!(name(&world, phone(&world), &new), Outcome::Exhausted);
}

#[test]
fn another_apps_subject_is_nobody() {
    let world = TestWorld::default();
    let (_, code) = generate(&world);
    let eve = "eve".parse().unwrap();
    let presented = PresentedCode::parse(&code).unwrap();
    let target = VerifyTarget::Named(phone(&world), &eve);
    let outcome = block_on(verify::verify(&world, target, &presented));
    assert_eq!(outcome.unwrap().outcome, Outcome::NotFound);
    assert!(matches!(name(&world, phone(&world), &code), Outcome::Verified(_)));
}

// Users.

fn user() -> Address {
    Address::User(ada().id)
}

fn subject(world: &TestWorld) -> SubjectKey {
    SubjectKey::of_address(world.keys(), &world.app.id, &user())
}

fn opening(world: &TestWorld) -> Open {
    let addresses = Addresses::new(user(), None);
    world.opening(addresses, Duration::from_mins(10)).found_by(Lookup::Identity)
}

/// Asks with a PIN, right or wrong.
fn ask(world: &TestWorld, is_right: bool) -> Issued {
    ask_with(world, &shown(None, Some(is_right)))
}

/// A password and a PIN that are shown, each right or wrong.
fn shown(password: Option<bool>, pin: Option<bool>) -> PresentedSecrets<'static> {
    PresentedSecrets { password: password.map(Into::into), pin: pin.map(Into::into) }
}

fn ask_with(world: &TestWorld, shown: &PresentedSecrets<'_>) -> Issued {
    let opening = opening(world);
    let issuing = issue::issue(world, world.keys(), &world.app, &opening, shown);
    block_on(issuing).unwrap()
}

fn issued(issued: Issued) -> IssuedCode {
    match issued {
        Issued::Issued(code) => code,
        other => panic!("a code was expected: {other:?}"),
    }
}

fn code_of(of: Issued) -> String {
    issued(of).code.reveal().to_owned()
}

/// Asks for a code that was issued once more.
fn ask_again(world: &TestWorld, id: CodeId) -> Option<IssuedCode> {
    world.ledgers.take_calls();
    let again = block_on(issue::tell_again(world, id)).unwrap();
    assert_eq!(world.ledgers.take_calls(), (1, 0), "a question changes nothing");
    again
}

#[test]
fn wrong_secrets_are_counted_and_the_right_one_is_refused_after_them() {
    let world = TestWorld::without_waits();
    for _ in 0..10 {
        assert_eq!(ask(&world, false), Issued::Incorrect);
    }
    assert_eq!(ask(&world, true), Issued::Locked);
}

/// A world in which so many wrong PINs and passwords were shown that both are locked.
fn locked() -> TestWorld {
    let world = TestWorld::without_waits();
    for _ in 0..10 {
        assert_eq!(ask_with(&world, &shown(Some(false), Some(false))), Issued::Incorrect);
    }
    world
}

fn is_locked(world: &TestWorld) -> [bool; 2] {
    [shown(Some(true), None), shown(None, Some(true))]
        .map(|one| ask_with(world, &one) == Issued::Locked)
}

#[test]
fn wrong_secrets_never_age() {
    let world = locked();
    for days in [1, 30, 365, 3650] {
        world.clock.advance(Duration::from_hours(24 * days));
        assert_eq!(is_locked(&world), [true, true], "after {days} more days");
    }
    // Nor do those of many years add up to more guesses than the policy allows.
    let world = TestWorld::without_waits();
    let day = |_| {
        world.clock.advance(Duration::from_hours(25));
        ask(&world, false)
    };
    let answered = (0..365).map(day).filter(|issued| *issued == Issued::Incorrect).count();
    assert_eq!(answered, 10);
}

#[test]
fn an_administrator_unlocks_a_user() {
    let world = locked();
    let unlock = || block_on(issue::unlock(&world, subject(&world))).unwrap();
    assert!(unlock());
    assert!(!unlock(), "there is nothing left to unlock");
    assert_eq!(is_locked(&world), [false, false]);
    let nobody = TestWorld::default();
    assert!(!block_on(issue::unlock(&nobody, subject(&nobody))).unwrap());
}

/// Opens a challenge about the user, with the registered mailbox beside, and mails its code there.
fn mailed(world: &TestWorld) -> (ChallengeId, String) {
    let addresses = Addresses::new(user(), Some(Address::Email(TestWorld::email())));
    let opening = world.opening(addresses, Duration::from_mins(10)).found_by(Lookup::Identity);
    let target = SendTarget::Identity(&opening, &world.app);
    let options = TestWorld::options(Channel::Email);
    let sending = send::send(world, world.keys(), target, &options);
    let Sent::Sent(id, _) = block_on(sending).unwrap().sent else { panic!("it is sent") };
    let (_, email) = world.couriers.email.taken().pop().unwrap();
    let is_code = |word: &&str| word.len() == 6 && word.bytes().all(|b| b.is_ascii_digit());
    (id, email.text.split_whitespace().find(is_code).unwrap().to_owned())
}

#[test]
fn a_code_that_reached_the_registered_mailbox_unlocks_the_secrets_and_no_other_does() {
    let world = locked();
    let (id, code) = mailed(&world);
    block_on(world.verify(id, &TestWorld::wrong(&code))).unwrap();
    assert_eq!(is_locked(&world), [true, true], "a wrong one");
    block_on(world.verify(id, &code)).unwrap();
    assert_eq!(is_locked(&world), [false, false]);

    // Whoever knows the PIN is handed codes, and shall not guess at the password with them.
    let world = TestWorld::without_waits();
    for _ in 0..10 {
        ask_with(&world, &shown(Some(false), None));
    }
    let handed = issued(ask(&world, true));
    let verified = world.verify(handed.id.challenge, handed.code.reveal());
    assert!(matches!(block_on(verified).unwrap(), Outcome::Verified(_)));
    assert_eq!(is_locked(&world), [true, false]);
}

#[test]
fn a_changed_pin_is_not_locked_by_guesses_at_the_one_before() {
    let world = TestWorld::without_waits();
    for _ in 0..10 {
        ask(&world, false);
    }
    assert_eq!(is_locked(&world), [false, true]);
    let code = code_of(ask_with(&world, &shown(Some(true), None)));
    let changed = change(HashedSecret::of("2846", [3; 16]));
    let outcome = block_on(change_pin(&world, &code, &changed)).unwrap();
    assert!(matches!(outcome, Outcome::Verified(_)));
    assert_eq!(is_locked(&world), [false, false]);
}

#[test]
fn whoever_knows_one_secret_cannot_guess_at_the_other_for_ever() {
    let world = TestWorld::without_waits();
    let mut answered = 0;
    for _ in 0..20 {
        answered += u32::from(ask_with(&world, &shown(Some(false), None)) == Issued::Incorrect);
        code_of(ask_with(&world, &shown(None, Some(true))));
    }
    assert_eq!(answered, 10);
    code_of(ask_with(&world, &shown(Some(false), Some(true))));
    assert_eq!(ask_with(&world, &shown(Some(true), None)), Issued::Locked);
    let world = TestWorld::without_waits();
    for _ in 0..10 {
        assert_eq!(ask_with(&world, &shown(Some(false), Some(false))), Issued::Incorrect);
    }
    for one in [shown(Some(true), None), shown(None, Some(true)), shown(Some(true), Some(true))] {
        assert_eq!(ask_with(&world, &one), Issued::Locked, "two guesses are two failures");
    }
}

// Strangers.

/// A stranger, who knows no more than the number, has a code sent there.
fn by_a_stranger(world: &TestWorld) -> Option<(ChallengeId, String)> {
    let opening = world.opening(TestWorld::phone().into(), Duration::from_mins(15));
    let opening = opening.found_by(Lookup::Anonymous);
    let target = SendTarget::Ordered(&opening, &world.app);
    let options = TestWorld::options(Channel::Sms);
    let sending = send::send(world, world.keys(), target, &options);
    match block_on(sending).unwrap().sent {
        Sent::Sent(id, _) => Some((id, world.last_code())),
        _ => None,
    }
}

#[test]
fn no_stranger_locks_shuts_out_or_pushes_out_what_others_know_by_an_id() {
    let world = TestWorld::without_waits();
    let (sent, code) = world.open_and_send();
    let unsent = world.open();
    let mut guesses = 0;
    for _ in 0..100 {
        if let Some((id, code)) = by_a_stranger(&world) {
            for _ in 0..5 {
                let outcome = block_on(world.verify(id, &TestWorld::wrong(&code))).unwrap();
                guesses += u32::from(outcome == Outcome::Incorrect);
            }
        }
    }
    assert_eq!(guesses, 10, "and strangers have no more than ten themselves");
    assert!(matches!(block_on(world.verify(sent, &code)).unwrap(), Outcome::Verified(_)));
    let again = block_on(world.send(unsent, &TestWorld::options(Channel::Sms))).unwrap().sent;
    assert!(matches!(again, Sent::Sent(..)));
    let (_, code) = generate(&world);
    assert!(matches!(name(&world, phone(&world), &code), Outcome::Verified(_)));
}

#[test]
fn a_challenge_without_attempts_left_stays_until_its_time_is_over() {
    let world = TestWorld::default();
    let opening = world.opening(TestWorld::phone().into(), Duration::from_hours(24));
    let open = |opening: &Open| {
        let target = SendTarget::Ordered(opening, &world.app);
        let options = TestWorld::options(Channel::Sms);
        let sending = send::send(&world, world.keys(), target, &options);
        block_on(sending).unwrap().sent
    };
    assert!(matches!(open(&opening), Sent::Sent(..)));
    let code = world.last_code();
    for _ in 0..5 {
        block_on(world.verify(opening.id, &TestWorld::wrong(&code))).unwrap();
    }
    for _ in 0..40 {
        world.clock.advance(Duration::from_mins(16));
        let (id, code) = world.open_and_send();
        block_on(world.verify(id, &code)).unwrap();
    }
    assert!(matches!(open(&opening), Sent::Refused(Refusal::AlreadySent)), "not opened anew");
    assert_eq!(block_on(world.verify(opening.id, &code)).unwrap(), Outcome::Exhausted);
}

#[test]
fn another_spelling_is_the_same_address() {
    let world = TestWorld::default();
    let direct = |spelt: &str| {
        let address = EmailAddress::parse(spelt).unwrap();
        let opening = world.opening(address.into(), HOUR).found_by(Lookup::Identity);
        let target = SendTarget::Identity(&opening, &world.app);
        let options = TestWorld::options(Channel::Email);
        let sending = send::send(&world, world.keys(), target, &options);
        block_on(sending).unwrap().sent
    };
    assert!(matches!(direct("ada@example.com"), Sent::Sent(..)));
    for spelt in ["Ada@example.com", "ADA@EXAMPLE.COM"] {
        assert!(matches!(direct(spelt), Sent::Refused(Refusal::CoolingDown(_))), "{spelt}");
    }
}

#[test]
fn a_user_has_one_code_at_a_time_and_uses_it_once() {
    let world = TestWorld::default();
    let old = code_of(ask(&world, true));
    let new = code_of(ask(&world, true));
    assert_eq!(name(&world, subject(&world), &old), Outcome::Incorrect);
    assert!(matches!(name(&world, subject(&world), &new), Outcome::Verified(_)));
    for code in [&old, &new] {
        assert_eq!(name(&world, subject(&world), code), Outcome::AlreadyUsed);
    }
    let late = code_of(ask(&world, true));
    world.clock.advance(Duration::from_mins(10));
    assert_eq!(name(&world, subject(&world), &late), Outcome::Expired);
}

/// How a code can end.
type End = fn(&TestWorld, &str);

#[test]
fn an_issued_code_is_told_again_while_a_verify_would_look_at_it() {
    let ends: [(&str, End); 5] = [
        ("used", |world, code| {
            assert!(matches!(name(world, subject(world), code), Outcome::Verified(_)));
        }),
        ("replaced", |world, _| drop(code_of(ask(world, true)))),
        ("expired", |world, _| world.clock.advance(Duration::from_mins(10))),
        ("forgotten", |world, _| world.clock.advance(Duration::from_hours(2))),
        ("exhausted", |world, code| {
            for _ in 0..5 {
                name(world, subject(world), &TestWorld::wrong(code));
            }
        }),
    ];
    for (how, end) in ends {
        let world = TestWorld::default();
        let first = issued(ask(&world, true));
        world.clock.advance(Duration::from_millis(599_999));
        assert_eq!(ask_again(&world, first.id), Some(first.clone()), "{how}");
        let next = CodeId { generation: first.id.generation + 1, ..first.id };
        assert_eq!(ask_again(&world, next), None, "there is no such code");
        end(&world, first.code.reveal());
        assert_eq!(ask_again(&world, first.id), None, "{how}");
    }
}

#[test]
fn an_issued_code_is_told_again_by_whoever_can_have_its_key() {
    let mut world = TestWorld::default();
    let first = issued(ask(&world, true));
    let secret = r#"{"root":"a-secret-of-at-least-32-characters"}"#;
    let secret = Keyring::rotated(secret, "second-secret-of-at-least-32-characters").unwrap();
    let once = FakeKeyring::of(Keyring::from_secret(&secret).unwrap());
    let secret = Keyring::rotated(&secret, "third-secret-of-at-least-32-characters").unwrap();
    let twice = FakeKeyring::of(Keyring::from_secret(&secret).unwrap());
    world.keyring = once.clone();
    assert_eq!(ask_again(&world, first.id).as_ref(), Some(&first), "the previous key's");
    world.keyring = FakeKeyring { in_hand: twice.in_hand, stored: once.stored };
    assert_eq!(ask_again(&world, first.id), Some(first.clone()), "who lacks a key looks again");
    world.keyring.stored = twice.stored;
    assert_eq!(ask_again(&world, first.id), None, "rotated out");
}

#[test]
fn of_many_wrong_secrets_at_once_no_more_are_answered_than_there_are_failures() {
    let outcomes = |ledger: &Ledger, keyring: &Keyring, world: &TestWorld, now: Timestamp| {
        let shown = shown(None, Some(false));
        issue::decide(ledger.clone(), keyring, &opening(world), &shown, now)
    };
    let world = TestWorld::without_waits();
    let mut ledger = Ledger::new(world.app.id.clone());
    for tried in 0..20 {
        let (next, issued) = outcomes(&ledger, world.keys(), &world, world.clock.now());
        assert_eq!(issued == Issued::Incorrect, tried < 10, "{tried}");
        ledger = next;
    }
}

// The change of a PIN.

fn change(after: HashedSecret) -> UserChange {
    UserChange { before: ada(), after: User { pin: Some(after), ..ada() } }
}

async fn change_pin(world: &TestWorld, code: &str, change: &UserChange) -> Option<Outcome> {
    let presented = PresentedCode::parse(code).unwrap();
    let (subject, app) = (subject(world), &world.app.id);
    let changing = change_pin::change_pin(world, app, subject, change, &presented);
    changing.await.ok().map(|verification| verification.outcome)
}

fn pin(world: &TestWorld) -> HashedSecret {
    let user = block_on(world.users.load_user(&demo_app().id, &ada().id));
    user.unwrap().unwrap().pin.unwrap()
}

#[test]
fn a_wrong_code_changes_no_pin_and_the_right_one_does_once() {
    let world = TestWorld::default();
    let code = code_of(ask(&world, true));
    let (new, newer) = (change(HashedSecret::of("2806", [5; 16])), HashedSecret::decoy());
    let wrong = block_on(change_pin(&world, &TestWorld::wrong(&code), &new));
    assert_eq!((wrong, pin(&world)), (Some(Outcome::Incorrect), ada().pin.unwrap()));
    let right = block_on(change_pin(&world, &code, &new));
    assert!(matches!(right, Some(Outcome::Verified(_))));
    assert!(pin(&world).matches("2806"));
    let again = UserChange { before: new.after.clone(), after: User { pin: Some(newer), ..ada() } };
    assert_eq!(block_on(change_pin(&world, &code, &again)), Some(Outcome::AlreadyUsed));
    assert!(pin(&world).matches("2806"));
}

#[test]
fn a_change_that_cannot_be_stored_uses_no_code() {
    let world = TestWorld::default();
    let code = code_of(ask(&world, true));
    let new = change(HashedSecret::of("2806", [5; 16]));
    world.ledgers.fail_stores([Fault::Unavailable]);
    assert_eq!(block_on(change_pin(&world, &code, &new)), None);
    let renamed = User { username: "countess".parse().ok(), ..ada() };
    block_on(world.users.store_user(&renamed)).unwrap();
    assert_eq!(block_on(change_pin(&world, &code, &new)), None, "the user has changed meanwhile");
    assert_eq!(pin(&world), ada().pin.unwrap());
    let new = UserChange { before: renamed.clone(), after: User { pin: new.after.pin, ..renamed } };
    assert!(matches!(block_on(change_pin(&world, &code, &new)), Some(Outcome::Verified(_))));
}

#[test]
fn of_two_changes_with_one_code_one_happens_in_every_schedule() {
    let hashes = [1, 2].map(|salt| HashedSecret::of("2806", [salt; 16]));
    every_schedule(|choose| {
        let world = TestWorld::default();
        let code = code_of(ask(&world, true));
        let changes = hashes.clone().map(change);
        let task = |change| -> Task<'_, _> { Box::pin(change_pin(&world, &code, change)) };
        let outcomes = interleave(changes.iter().map(task).collect(), choose);
        let is_success = |outcome: &&Option<Outcome>| matches!(outcome, Some(Outcome::Verified(_)));
        assert_eq!(outcomes.iter().filter(is_success).count(), 1, "{outcomes:?}");
        assert!(hashes.contains(&pin(&world)));
    });
}
