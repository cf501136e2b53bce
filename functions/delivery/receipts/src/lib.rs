//! What became of messages, as SES and SNS report it: events of SES through `EventBridge`, and the delivery status
//! logs of SNS through a subscription of their log groups. A report is noted in the ledger of its message, however
//! often and in whichever order reports come. Where a message has certainly not arrived and its request named
//! further channels, the next one is sent.

mod boot;
mod ses;
mod sns;

pub use boot::boot;

use aws_lambda_events::cloudwatch_logs::LogsEvent;
use futures_util::{StreamExt as _, stream};
use passcode_domain::{
    Channel, Keyring,
    action::{
        receipt::{self, Received},
        send::{SendWorld, Sent},
    },
    ledger::receipt::Receipt,
    ports::{Cause, CountVerified, LoadKeyring, ProviderMessageId},
    secret::receipt::ReceiptTag,
};
use passcode_http::Record;
use serde::Deserialize as _;
use serde_json::Value;

/// The function, and its package.
pub const NAME: &str = env!("CARGO_PKG_NAME");

/// How many reports of one event are noted at the same time.
const AT_ONCE: usize = 16;

/// The ports that the function needs: those of a send, and one that counts bounces.
pub trait ReceiptWorld: SendWorld<Counters: CountVerified, Keyring: LoadKeyring> {}

impl<W: SendWorld<Counters: CountVerified, Keyring: LoadKeyring>> ReceiptWorld for W {}

/// What a provider says of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Report {
    message: MessageName,
    receipt: Receipt,
    /// More of it, in words of a fixed list: what a provider writes can hold an address.
    reason: Option<&'static str>,
    /// Whether the operator has to do something, or no message will arrive.
    is_alarming: bool,
}

/// How a provider names a message.
#[derive(Clone, Debug, PartialEq, Eq)]
enum MessageName {
    /// By the tag that we gave to it.
    Tag(String),
    /// By an id of its own.
    Own(ProviderMessageId),
}

/// Notes what one event tells. Where something of it could not be noted, the event is an error and comes again.
pub async fn handle<W>(world: &W, event: &Value, records: &mut Vec<Record>) -> Result<(), Cause>
where
    W: ReceiptWorld,
{
    let reports = reports(event)?;
    let keyring = world.keyring().keyring().await?;
    let keyring = &*keyring;
    let noted = stream::iter(reports).map(|report| note(world, keyring, report));
    let noted: Vec<Noted> = noted.buffered(AT_ONCE).collect().await;
    let mut result = Ok(());
    for Noted { records: own, failed } in noted {
        records.extend(own);
        result = failed.map_or(result, Err);
    }
    result
}

/// The reports of an event. What is neither of SES nor of SNS's logs is refused.
fn reports(event: &Value) -> Result<Vec<Report>, Cause> {
    if event.get("awslogs").is_some() {
        // What the library says of a malformed one can repeat a part of it.
        let logs = LogsEvent::deserialize(event).map_err(|_| "a malformed event of CloudWatch")?;
        return Ok(sns::reports(&logs.aws_logs.data));
    }
    if event["source"] == "aws.ses" {
        return Ok(ses::report(&event["detail"])?.into_iter().collect());
    }
    Err("an event that is neither of SES nor of CloudWatch Logs".into())
}

/// What came of one report.
struct Noted {
    records: Vec<Record>,
    failed: Option<Cause>,
}

async fn note<W: ReceiptWorld>(world: &W, keyring: &Keyring, report: Report) -> Noted {
    let mut record = Record { reason: report.reason, ..Record::default() };
    let mut records = Vec::new();
    let noting = note_in(world, keyring, &report, &mut record, &mut records).await;
    if let Err(cause) = &noting {
        record.outcome = "unavailable";
        record.error(cause.as_ref());
    } else if report.is_alarming {
        record.error = Some("no message arrives until this is mended".to_owned());
    }
    records.insert(0, record);
    Noted { records, failed: noting.err() }
}

async fn note_in<W: ReceiptWorld>(
    world: &W,
    keyring: &Keyring,
    report: &Report,
    record: &mut Record,
    records: &mut Vec<Record>,
) -> Result<(), Cause> {
    record.outcome = "unknown";
    let tag = match &report.message {
        MessageName::Tag(tag) => {
            record.channel = Some(Channel::Email);
            ReceiptTag::parse(tag, keyring).ok()
        }
        MessageName::Own(id) => {
            let tracked = receipt::tracked(world, keyring, id).await?;
            if let Some((_, app, to)) = &tracked {
                record.app(app);
                record.channel = Some(Channel::Sms);
                record.country = Some(*to);
                // It is ours, also where its challenge has ended long ago.
                record.outcome = "late";
            }
            tracked.map(|(tag, ..)| tag)
        }
    };
    let Some(tag) = tag else { return Ok(()) };
    let Some(received) = receipt::receive(world, keyring, &tag, report.receipt).await? else {
        return Ok(());
    };
    let Received { id, app, channel, is_new, next } = received;
    record.app(&app);
    record.challenge(id, keyring);
    record.channel = Some(channel);
    record.outcome = if is_new { report.receipt.state.as_str() } else { "repeated" };
    if let Some(next) = next {
        let delivery = receipt::fall_back(world, keyring, &next).await?;
        let mut sent = Record { outcome: "refused", ..Record::default() };
        sent.challenge(id, keyring);
        sent.delivery(&delivery, keyring);
        match &delivery.sent {
            Sent::Undeliverable(cause) | Sent::Unknown(_, _, cause) => sent.error(cause.as_ref()),
            Sent::Sent(..)
            | Sent::ToTestAddress(..)
            | Sent::Concealed(..)
            | Sent::Refused(_)
            | Sent::AppBlocked => {}
        }
        records.push(sent);
    }
    Ok(())
}
