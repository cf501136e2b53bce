//! The counter table: key `counter` (key and day of a gauge); one number for each of its fields, and
//! `expires_at` (TTL, in seconds). A gauge is changed in the same transaction as the ledger that it
//! counts for, each with its own condition.

use crate::{ChallengeTable, Item, client, failed, ledgers};
use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::{transact_write_items::TransactWriteItemsError, update_item::UpdateItemError},
    types::{
        AttributeValue, CancellationReason, KeysAndAttributes, Put,
        ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
    },
};
use aws_types::SdkConfig;
use passcode_domain::{
    Ledger, SubjectKey,
    guard::{
        Gauges, Step, Steps,
        gauge::{Gauge, GaugeId},
    },
    ports::{CountError, CountGauges, LoadGauges, LoadLedgers, Loaded, StoreError, StoreLedgers},
};
use std::collections::HashMap;

const KEY: &str = "counter";
const TTL: &str = "expires_at";

/// As many items as one call reads.
const MAX_BATCH: usize = 100;

/// How often a call is asked again for the items that it has left out.
const MAX_TRIES: u32 = 5;

/// The tables of ledgers and of gauges, which are written together.
#[derive(Clone, Debug)]
pub struct CountedLedgers {
    client: Client,
    ledgers: ChallengeTable,
    table: String,
}

impl CountedLedgers {
    /// The tables with these names.
    #[must_use]
    pub fn new(aws: &SdkConfig, ledgers: String, gauges: String) -> Self {
        Self { client: client(aws), ledgers: ChallengeTable::new(aws, ledgers), table: gauges }
    }

    async fn batch(&self, ids: &[GaugeId]) -> Result<Vec<Item>, StoreError> {
        let keys = ids.iter().map(|id| Item::from([key(*id)])).collect();
        let request = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
        let request = request.build().map_err(|error| StoreError::Unavailable(error.into()))?;
        let mut wanted = Some(HashMap::from([(self.table.clone(), request)]));
        let mut found = Vec::new();
        for _ in 0..MAX_TRIES {
            let request = self.client.batch_get_item().set_request_items(wanted);
            let answer = request.send().await.map_err(|error| failed(&error))?;
            found
                .extend(answer.responses.into_iter().filter_map(|mut all| all.remove(&self.table)));
            wanted = answer.unprocessed_keys.filter(|left| !left.is_empty());
            if wanted.is_none() {
                return Ok(found.into_iter().flatten().collect());
            }
        }
        Err(StoreError::Unavailable("the table leaves out gauges".into()))
    }

    fn put(
        &self,
        key: &SubjectKey,
        ledger: &Ledger,
        seen: u64,
    ) -> Result<TransactWriteItem, StoreError> {
        let (condition, values) = ledgers::condition(seen);
        let item = ledgers::item(key, ledger, seen + 1, &ledgers::new_writer()?)?;
        let put = Put::builder()
            .table_name(self.ledgers.table())
            .set_item(Some(item))
            .condition_expression(condition)
            .set_expression_attribute_values(values)
            .build()
            .map_err(|error| StoreError::Unavailable(error.into()))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    fn update(&self, step: &Step) -> Result<TransactWriteItem, StoreError> {
        let Expressions { update, condition, names, values } = Expressions::of(step);
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(Item::from([key(step.id)])))
            .update_expression(update)
            .set_condition_expression(condition)
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|error| StoreError::Unavailable(error.into()))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

fn key(id: GaugeId) -> (String, AttributeValue) {
    (KEY.to_owned(), AttributeValue::S(id.to_string()))
}

/// A stored gauge. What an older or newer release counts beside it is left alone.
fn read(item: &Item) -> Option<(GaugeId, Gauge)> {
    let id = item.get(KEY)?.as_s().ok()?.parse().ok()?;
    let field = |(name, value): (&String, &AttributeValue)| {
        Some((name.parse().ok()?, value.as_n().ok()?.parse().ok()?))
    };
    Some((id, Gauge(item.iter().filter_map(field).collect())))
}

/// A step in DynamoDB's words.
struct Expressions {
    update: String,
    condition: Option<String>,
    names: HashMap<String, String>,
    values: Item,
}

impl Expressions {
    fn of(step: &Step) -> Self {
        let (mut names, mut values) = (HashMap::new(), Item::new());
        let mut place = |name: String, value: String| {
            let n = names.len();
            names.insert(format!("#n{n}"), name);
            values.insert(format!(":v{n}"), AttributeValue::N(value));
            n
        };
        let ends_at = place(TTL.to_owned(), step.id.ends_at().as_seconds_ceil().to_string());
        let mut sets = vec![format!("#n{ends_at} = :v{ends_at}")];
        for (field, value) in &step.set {
            let n = place(field.to_string(), value.to_string());
            sets.push(format!("#n{n} = :v{n}"));
        }
        let mut adds = Vec::new();
        for (field, by) in step.add.iter().filter(|(_, by)| *by != 0) {
            let n = place(field.to_string(), by.to_string());
            adds.push(format!("#n{n} :v{n}"));
        }
        let mut bounds = Vec::new();
        for (field, most) in &step.at_most {
            let n = place(field.to_string(), most.to_string());
            bounds.push(format!("(attribute_not_exists(#n{n}) OR #n{n} <= :v{n})"));
        }
        let mut update = format!("SET {}", sets.join(", "));
        if !adds.is_empty() {
            update = format!("{update} ADD {}", adds.join(", "));
        }
        let condition = (!bounds.is_empty()).then(|| bounds.join(" AND "));
        Self { update, condition, names, values }
    }
}

/// Reads why a transaction was cancelled. The reasons come in the order of the writes: the ledger,
/// then the gauges.
fn refusal(error: &SdkError<TransactWriteItemsError>) -> CountError {
    const CONDITION: &str = "ConditionalCheckFailed";
    const CONFLICT: &str = "TransactionConflict";
    let reasons = match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons()
        }
        _ => &[],
    };
    let is = |reason: &CancellationReason, code| reason.code() == Some(code);
    let [ledger, gauges @ ..] = reasons else { return failed(error).into() };
    if is(ledger, CONDITION) || reasons.iter().any(|reason| is(reason, CONFLICT)) {
        return StoreError::Conflict.into();
    }
    let full = gauges.iter().filter(|reason| is(reason, CONDITION));
    let told: Gauges = full.filter_map(|reason| read(reason.item()?)).collect();
    if told == Gauges::default() { failed(error).into() } else { CountError::Full(told) }
}

impl LoadLedgers for CountedLedgers {
    async fn load(&self, key: &SubjectKey) -> Result<Loaded, StoreError> {
        self.ledgers.load(key).await
    }
}

impl StoreLedgers for CountedLedgers {
    async fn store(&self, key: &SubjectKey, ledger: &Ledger, seen: u64) -> Result<u64, StoreError> {
        self.ledgers.store(key, ledger, seen).await
    }
}

impl LoadGauges for CountedLedgers {
    async fn load_gauges(&self, ids: &[GaugeId]) -> Result<Gauges, StoreError> {
        let mut found = Vec::new();
        for ids in ids.chunks(MAX_BATCH) {
            found.extend(self.batch(ids).await?);
        }
        Ok(found.iter().filter_map(read).collect())
    }
}

impl CountGauges for CountedLedgers {
    async fn store_and_count(
        &self,
        key: &SubjectKey,
        ledger: &Ledger,
        seen: u64,
        steps: &Steps,
    ) -> Result<u64, CountError> {
        if steps.is_empty() {
            return Ok(self.ledgers.store(key, ledger, seen).await?);
        }
        let mut writes = vec![self.put(key, ledger, seen)?];
        for step in steps.iter() {
            writes.push(self.update(step)?);
        }
        // The client gives every try of one call the same request token, so a retry of what was
        // written is a success.
        let request = self.client.transact_write_items().set_transact_items(Some(writes));
        match request.send().await {
            Ok(_) => Ok(seen + 1),
            Err(error) => Err(refusal(&error)),
        }
    }

    async fn count(&self, steps: &Steps) -> Result<(), StoreError> {
        for step in steps.iter() {
            let Expressions { update, condition, names, values } = Expressions::of(step);
            let request = self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(Item::from([key(step.id)])))
                .update_expression(update)
                .set_condition_expression(condition)
                .set_expression_attribute_names(Some(names))
                .set_expression_attribute_values(Some(values));
            match request.send().await {
                Ok(_) => {}
                Err(error) if is_passed(&error) => {}
                Err(error) => return Err(failed(&error)),
            }
        }
        Ok(())
    }
}

fn is_passed(error: &SdkError<UpdateItemError>) -> bool {
    error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception)
}
