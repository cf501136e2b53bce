//! Send: the next code of a challenge goes out. A send is *claimed* in the ledger, *reserved* in the
//! guard's counters, then *made* by a courier: at most one message per generation, also when the courier
//! times out. On a challenge that has been sent before this is a resend, held back by cool-down and
//! count.
//!
//! | step | what | where |
//! |---|---|---|
//! | 1 | load the ledger and the counters | [`load`] |
//! | 2 | decide: ledger rules, then guard rules; store the claim | [`decide`] |
//! | 3 | reserve the message in each counter, or release the claim | [`reserve`] |
//! | 4 | hand the message to the courier; release the claim where it certainly refused | this module |

mod claim;
mod decide;
mod load;
mod reserve;

pub(crate) use claim::{ClaimTerms, claim};

use crate::{
    action::{
        open::Open,
        receipt,
        transact::{Failure, transact},
    },
    app::{App, guard::Rule},
    guard::{Finding, GuardRefusal, Origin, Reservation, Throttled},
    ledger::{Ledger, challenge::Suppression},
    message::Text,
    ports::{
        Cause, Courier, CourierError, LoadApps, LoadCounters, LoadLedgers, Loaded, ReserveCounters,
        StoreLedgers, World,
    },
    secret::{code::Code, keyring::Keyring, receipt::ReceiptTag},
    value::{
        address::{Address, Channel},
        country::Country,
        id::{AppId, ChallengeId, SubjectKey},
        time::Timestamp,
    },
};
use decide::{Decided, NotClaimed};
use load::Known;
use std::{sync::Arc, time::Duration};

/// What a caller asks of a send; the default leaves everything to the challenge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendOptions {
    /// The channels to try, in order; the first is the one of the address the challenge is about.
    pub channels: Vec<Channel>,
    /// Digits of the code; as the code before, or the challenge's policy, where absent.
    pub length: Option<u8>,
    /// The most digits that the contract lets a code have, if it says so.
    pub max_length: Option<u8>,
    /// Seconds the code shall live; never longer than policy and challenge allow.
    pub code_seconds: Option<u32>,
    /// The language of the message (BCP 47); the app's where absent.
    pub locale: Option<String>,
    /// What an Android app is recognised by at the end of the text message; the challenge's where
    /// absent.
    pub app_hash: Option<String>,
    /// Where it is asked from.
    pub origin: Origin,
}

/// Why nothing is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such challenge, or it is another app's.
    NotFound,
    /// Its life is over.
    Expired,
    /// The right code came before, or another challenge has taken its place.
    AlreadyUsed,
    /// No attempts are left, so no code could be verified; for a locked subject, until then.
    Exhausted(Option<Timestamp>),
    /// The last message is too recent, or the subject's last failure, or the address has bounced; a send is
    /// possible then.
    CoolingDown(Timestamp),
    /// The challenge has had all of its messages.
    SendsExhausted,
    /// The same order was sent before: the message is out already.
    AlreadySent,
    /// A resend of what was never sent.
    NeverSent,
    /// The challenge has no address on this channel, or is about another one.
    NoAddress(Channel),
    /// The subject has too many open challenges; room appears then.
    TooMany(Timestamp),
    /// A limit is used up.
    Throttled(Throttled),
    /// A rule of the guard speaks against it.
    Blocked(Rule),
}

impl From<GuardRefusal> for Refusal {
    fn from(refusal: GuardRefusal) -> Self {
        match refusal {
            GuardRefusal::Throttled(throttled) => Self::Throttled(throttled),
            GuardRefusal::Blocked(rule) => Self::Blocked(rule),
        }
    }
}

impl Refusal {
    /// When another send is possible, where time alone makes it so.
    #[must_use]
    pub const fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Exhausted(until) => *until,
            Self::CoolingDown(until) | Self::TooMany(until) => Some(*until),
            Self::Throttled(throttled) => Some(throttled.until),
            Self::NotFound
            | Self::Expired
            | Self::AlreadyUsed
            | Self::SendsExhausted
            | Self::AlreadySent
            | Self::NeverSent
            | Self::NoAddress(_)
            | Self::Blocked(_) => None,
        }
    }

    /// Whether it is a lock of the subject or a block of the guard: what an app can conceal from whoever
    /// may have tripped it. Limits are told, so that clients know when to come back.
    #[must_use]
    pub const fn is_block(&self) -> bool {
        match self {
            Self::Exhausted(until) => until.is_some(),
            Self::Blocked(_) => true,
            Self::NotFound
            | Self::Expired
            | Self::AlreadyUsed
            | Self::CoolingDown(_)
            | Self::SendsExhausted
            | Self::AlreadySent
            | Self::NeverSent
            | Self::NoAddress(_)
            | Self::TooMany(_)
            | Self::Throttled(_) => false,
        }
    }
}

/// Which challenge a send is for.
#[derive(Clone, Copy, Debug)]
pub enum SendTarget<'a> {
    /// One that exists, of this app, or of any app where the id alone is the caller's right.
    Existing(ChallengeId, Option<&'a Arc<App>>),
    /// One that is found by naming its subject: it is opened in the same step; or, as a resend, it is
    /// the one that was opened so for the same addresses before and still waits for its code.
    Identity(&'a Open, &'a Arc<App>),
    /// One that is opened in the same step under an id of its own, and sent once.
    Ordered(&'a Open, &'a Arc<App>),
    /// One that exists, of this app, and was sent before.
    Again(ChallengeId, &'a Arc<App>),
    /// The one that naming this subject leads to, of this app, and was sent before.
    Named(SubjectKey, &'a Arc<App>),
    /// One whose last message, of this generation, has certainly not arrived: the next channel's turn.
    Fallback(ChallengeId, u32),
}

impl<'a> SendTarget<'a> {
    /// The subject whose ledger holds the challenge.
    const fn subject(&self) -> SubjectKey {
        match self {
            Self::Existing(id, _) | Self::Again(id, _) | Self::Fallback(id, _) => id.subject,
            Self::Identity(open, _) | Self::Ordered(open, _) => open.id.subject,
            Self::Named(subject, _) => *subject,
        }
    }

    /// The app, where the caller is known.
    const fn app(&self) -> Option<&'a Arc<App>> {
        match self {
            Self::Existing(_, app) => *app,
            Self::Fallback(..) => None,
            Self::Identity(_, app)
            | Self::Ordered(_, app)
            | Self::Again(_, app)
            | Self::Named(_, app) => Some(app),
        }
    }
}

/// A send that is this caller's to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedSend {
    /// The challenge it is for.
    pub id: ChallengeId,
    /// Which code it carries.
    pub generation: u32,
    /// The code.
    pub code: Code,
    /// How long the code lives.
    pub life: Duration,
    /// Where it goes.
    pub to: Address,
    /// The app's template for it.
    pub template: Option<String>,
    /// What an Android app is recognised by.
    pub app_hash: Option<String>,
    /// The scope that its code is asked for, in a step-up.
    pub scope: Option<String>,
    /// How long no other can be claimed.
    pub cool_down: Duration,
    /// Why it is claimed and not made, where it is not.
    pub suppression: Option<Suppression>,
}

impl ClaimedSend {
    /// Whether its caller was refused and shall not see it.
    pub(crate) fn is_concealed(&self) -> bool {
        self.suppression == Some(Suppression::Concealed)
    }
}

/// What came of a send.
#[derive(Debug)]
pub enum Sent {
    /// A courier took the message.
    Sent(ChallengeId, Channel),
    /// Nothing went out, and nobody shall see it: the address is listed for tests.
    ToTestAddress(ChallengeId, Channel),
    /// Nothing went out, and nobody shall see it: the caller is blocked.
    Concealed(ChallengeId, Channel),
    /// Nothing was sent, by the rules.
    Refused(Refusal),
    /// The challenge's app is blocked or gone. Nothing was sent.
    AppBlocked,
    /// Every courier refused. Nothing was sent, the claim is released.
    Undeliverable(Cause),
    /// The message may have gone out on this channel; a resend is possible after the cool-down.
    Unknown(Channel, Duration, Cause),
}

/// A send's outcome, and whom it was for.
#[derive(Debug)]
pub struct Delivery {
    /// What came of it.
    pub sent: Sent,
    /// The app of the challenge, where the challenge was found.
    pub app: Option<AppId>,
    /// The country that a text message was for.
    pub country: Option<Country>,
    /// The channels whose couriers have refused the message, also where another one took it.
    pub refused: Vec<Channel>,
    /// What the rules of the guard have decided against it, enforced or not.
    pub findings: Vec<Finding>,
    /// Whether it is the first of a day that a server has asked for without saying for whom.
    pub lacks_origin: bool,
    /// Why a claim could not be released, where one could not. A cool-down holds the next message back.
    pub unreleased: Option<Cause>,
    /// Why the message's receipts will not be found, where they will not.
    pub untracked: Option<Cause>,
}

/// The ports that a send needs.
pub trait SendWorld:
    World<
        Apps: LoadApps,
        Ledgers: LoadLedgers + StoreLedgers,
        Counters: LoadCounters + ReserveCounters,
        Couriers: Courier,
    >
{
}

impl<W> SendWorld for W where
    W: World<
            Apps: LoadApps,
            Ledgers: LoadLedgers + StoreLedgers,
            Counters: LoadCounters + ReserveCounters,
            Couriers: Courier,
        >
{
}

/// Sends the next code of a challenge.
///
/// A text message reads the ledger and at most four counters and writes the same; an e-mail reads and
/// writes at most two counters; what goes to a challenge's second address one more. A challenge that was
/// never sent is read from its own item beside the ledger. A channel whose courier refuses costs one more write: the next channel is a claim of its own,
/// with a code of its own, so the ledger always knows which address a code has gone to.
pub async fn send<W>(
    world: &W,
    keyring: &Keyring,
    target: SendTarget<'_>,
    options: &SendOptions,
) -> Result<Delivery, Failure>
where
    W: SendWorld,
{
    let (mut known, loaded) = load::load(world, keyring, target, options).await?;
    let is_fallback = matches!(target, SendTarget::Fallback(..));
    let mut attempt = Attempt { options: options.clone(), is_fallback, is_concealed: false };
    let mut loaded = Some(loaded);
    let mut delivery = Delivery::new(&known);
    for _ in 0..MAX_ATTEMPTS {
        let decided = claim_once(world, keyring, target, &known, &attempt, loaded.take()).await?;
        delivery.findings.extend(decided.findings);
        let (claim, verdict) = match decided.claim {
            Ok(claimed) => claimed,
            Err(NotClaimed::Outdated) => {
                (known, loaded) = load::load(world, keyring, target, options)
                    .await
                    .map(|(known, fresh)| (known, Some(fresh)))?;
                delivery.app.clone_from(&known.app_id);
                delivery.country = known.country(None);
                continue;
            }
            Err(NotClaimed::AppBlocked) => return Ok(delivery),
            Err(NotClaimed::Undeliverable(until)) => {
                delivery.sent = Sent::Refused(Refusal::CoolingDown(until));
                if attempt.fall_back() {
                    continue;
                }
                return Ok(delivery);
            }
            Err(NotClaimed::Refused(refusal)) => {
                return Ok(Delivery { sent: Sent::Refused(refusal), ..delivery });
            }
        };
        delivery.lacks_origin |= verdict.lacks_origin;
        delivery.country = known.country(Some(claim.to.channel()));
        let reserved = reserve::reserve(world, &known, &claim, verdict).await;
        let reservations = match reserved {
            Ok(reservations) => reservations,
            Err(failed) => {
                delivery.unreleased = release(world, &claim).await;
                let finding = failed?;
                delivery.findings.push(finding);
                let refusal = Refusal::from(finding.refusal);
                if known.conceals(refusal) && !claim.is_concealed() {
                    attempt.is_concealed = true;
                    continue;
                }
                delivery.sent = Sent::Refused(refusal);
                return Ok(delivery);
            }
        };
        let made = make(world, &known, keyring, &claim, options).await;
        delivery.sent = made.sent;
        delivery.untracked = made.untracked;
        if let Sent::Undeliverable(_) = delivery.sent {
            delivery.refused.push(claim.to.channel());
            delivery.unreleased = withdraw(world, &claim, &reservations).await;
            if attempt.fall_back() {
                continue;
            }
        }
        return Ok(delivery);
    }
    Err(Failure::Contended)
}

/// How often a send is claimed anew: for each channel, for a caller who is to be concealed, and where
/// what was loaded is out of date.
const MAX_ATTEMPTS: usize = 8;

impl Delivery {
    fn new(known: &Known) -> Self {
        Self {
            sent: Sent::AppBlocked,
            app: known.app_id.clone(),
            country: known.country(None),
            refused: Vec::new(),
            findings: Vec::new(),
            lacks_origin: false,
            unreleased: None,
            untracked: None,
        }
    }
}

/// What is asked of one claim.
struct Attempt {
    /// As the caller asked, with the channels that are left.
    options: SendOptions,
    /// Whether the courier of the channel before has refused.
    is_fallback: bool,
    /// Whether it is decided as if no lock and no block stood in the way, and not delivered.
    is_concealed: bool,
}

impl Attempt {
    /// Goes on to the next channel, if there is one.
    fn fall_back(&mut self) -> bool {
        let next = self.options.channels.get(1..).unwrap_or_default().to_vec();
        let has_next = !next.is_empty();
        self.options.channels = next;
        self.is_fallback = true;
        has_next
    }
}

/// Decides a send and stores its claim.
async fn claim_once<W>(
    world: &W,
    keyring: &Keyring,
    target: SendTarget<'_>,
    known: &Known,
    attempt: &Attempt,
    loaded: Option<Loaded<Ledger>>,
) -> Result<Decided, Failure>
where
    W: World<Ledgers: LoadLedgers + StoreLedgers>,
{
    let decide = |ledger: Option<Ledger>, now| known.decide(ledger, keyring, target, attempt, now);
    let subject = target.subject();
    Ok(transact(world, subject.into(), loaded, decide).await?.outcome)
}

/// What came of handing a message over.
struct Made {
    sent: Sent,
    untracked: Option<Cause>,
}

impl From<Sent> for Made {
    fn from(sent: Sent) -> Self {
        Self { sent, untracked: None }
    }
}

/// Hands the message to the courier of its channel.
async fn make<W>(
    world: &W,
    known: &Known,
    keyring: &Keyring,
    claim: &ClaimedSend,
    options: &SendOptions,
) -> Made
where
    W: World<Ledgers: StoreLedgers, Couriers: Courier>,
{
    let channel = claim.to.channel();
    match claim.suppression {
        Some(Suppression::TestAddress(_)) => return Sent::ToTestAddress(claim.id, channel).into(),
        Some(Suppression::Concealed) => return Sent::Concealed(claim.id, channel).into(),
        None => {}
    }
    let Some(app) = &known.app else { return Sent::AppBlocked.into() };
    let tag = ReceiptTag::of(keyring, claim.id, claim.generation);
    let text = Text {
        app,
        template: claim.template.as_deref(),
        scope: claim.scope.as_deref(),
        app_hash: options.app_hash.as_ref().or(claim.app_hash.as_ref()).map(String::as_str),
        locale: options.locale.as_deref(),
        code: &claim.code,
        life: claim.life,
        receipt_tag: &tag.print(keyring),
    };
    let sent = match world.couriers().send(channel, &claim.to, &text).await {
        Ok(message) => {
            let untracked = match message {
                Some(message) => receipt::track(world, keyring, &message, tag, claim, app).await,
                None => None,
            };
            return Made { sent: Sent::Sent(claim.id, channel), untracked };
        }
        Err(CourierError::Refused(cause)) => Sent::Undeliverable(cause),
        Err(CourierError::Unknown(cause)) => Sent::Unknown(channel, claim.cool_down, cause),
    };
    sent.into()
}

/// Takes back everything of a message that its courier has certainly refused.
async fn withdraw<W>(world: &W, claim: &ClaimedSend, reservations: &[Reservation]) -> Option<Cause>
where
    W: World<Ledgers: LoadLedgers + StoreLedgers, Counters: ReserveCounters>,
{
    reserve::give_back(world, reservations).await;
    release(world, claim).await
}

/// Releases a claim whose message has certainly not gone out. It leaves nothing behind but its
/// generation: no cool-down, no count, and the code before it works again.
async fn release<W>(world: &W, claim: &ClaimedSend) -> Option<Cause>
where
    W: World<Ledgers: LoadLedgers + StoreLedgers>,
{
    let decide =
        |ledger: Option<Ledger>, _| (ledger.map(|ledger| claim::released(ledger, claim)), ());
    let released = transact(world, claim.id.subject.into(), None, decide).await;
    released.err().map(Into::into)
}

/// How long an answer waits so that its time tells nothing: until the next whole second since the
/// request came. A message takes longer to send than not to send, but rarely a second.
#[must_use]
pub fn pause_after(began: Timestamp, now: Timestamp) -> Duration {
    let taken = began.until(now).as_millis() % 1000;
    Duration::from_millis(1000 - u64::try_from(taken).unwrap_or_default())
}
