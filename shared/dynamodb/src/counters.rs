//! The counter table: key `counter`; one number for each attribute of a counter, and `expires_at` (TTL, in
//! seconds).

use crate::{Item, client, failed};
use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::update_item::{UpdateItemError, builders::UpdateItemFluentBuilder},
    types::{AttributeValue, KeysAndAttributes, ReturnValuesOnConditionCheckFailure},
};
use aws_smithy_types::retry::RetryConfig;
use aws_types::SdkConfig;
use passcode_domain::{
    guard::{Counter, Counters, Field, Reservation, Slot, VerifyCount},
    ports::{CountVerified, LoadCounters, ReserveCounters, ReserveError, StoreError},
    value::id::CounterKey,
};
use std::collections::HashMap;

const KEY: &str = "counter";
const TTL: &str = "expires_at";

/// How often a call is asked again for the items that it has left out.
const MAX_TRIES: u32 = 5;

/// The table of counters.
#[derive(Clone, Debug)]
pub struct CounterTable {
    client: Client,
    table: String,
}

impl CounterTable {
    /// The table with this name.
    #[must_use]
    pub fn new(aws: &SdkConfig, table: String) -> Self {
        Self { client: client(aws), table }
    }

    fn update(&self, key: CounterKey, expression: Expression) -> UpdateItemFluentBuilder {
        let Expression { sets, adds, removes, conditions, names, values } = expression;
        let clause = |verb: &str, parts: Vec<String>| {
            (!parts.is_empty()).then(|| format!("{verb} {}", parts.join(", ")))
        };
        let clauses = [clause("SET", sets), clause("ADD", adds), clause("REMOVE", removes)];
        let update: Vec<_> = clauses.into_iter().flatten().collect();
        self.client
            .update_item()
            .table_name(&self.table)
            .key(KEY, AttributeValue::S(key.to_string()))
            .update_expression(update.join(" "))
            .set_condition_expression((!conditions.is_empty()).then(|| conditions.join(" AND ")))
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }
}

/// A stored counter. What another release counts beside it is left alone.
fn read(item: &Item) -> Counter {
    let field = |(name, value): (&String, &AttributeValue)| {
        Some((name.parse().ok()?, value.as_n().ok()?.parse().ok()?))
    };
    item.iter().filter_map(field).collect()
}

fn read_with_key(item: &Item) -> Option<(CounterKey, Counter)> {
    Some((item.get(KEY)?.as_s().ok()?.parse().ok()?, read(item)))
}

/// The parts of an update, with placeholders for names and values.
#[derive(Default)]
struct Expression {
    sets: Vec<String>,
    adds: Vec<String>,
    removes: Vec<String>,
    conditions: Vec<String>,
    names: HashMap<String, String>,
    values: Item,
}

impl Expression {
    /// An update that keeps the counter for as long as a half hour matters.
    fn in_slot(slot: Slot) -> Self {
        let mut expression = Self::default();
        let name = expression.name(&TTL);
        let value = expression.value(&slot.expires_at().as_seconds_ceil());
        expression.sets.push(format!("{name} = {value}"));
        expression
    }

    fn name(&mut self, name: &impl ToString) -> String {
        let placeholder = format!("#n{}", self.names.len());
        self.names.insert(placeholder.clone(), name.to_string());
        placeholder
    }

    fn value(&mut self, value: &impl ToString) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), AttributeValue::N(value.to_string()));
        placeholder
    }

    fn set(&mut self, field: Field, to: u64) {
        let (name, value) = (self.name(&field), self.value(&to));
        self.sets.push(format!("{name} = {value}"));
    }

    fn add(&mut self, field: Field, by: &impl ToString) {
        let (name, value) = (self.name(&field), self.value(by));
        self.adds.push(format!("{name} {value}"));
    }

    fn remove(&mut self, field: Field) {
        let name = self.name(&field);
        self.removes.push(name);
    }

    fn require_at_most(&mut self, field: Field, most: u64) {
        let (name, value) = (self.name(&field), self.value(&most));
        self.conditions.push(format!("(attribute_not_exists({name}) OR {name} <= {value})"));
    }
}

impl LoadCounters for CounterTable {
    async fn load_counters(&self, keys: &[CounterKey]) -> Result<Counters, StoreError> {
        let key =
            |key: &CounterKey| Item::from([(KEY.to_owned(), AttributeValue::S(key.to_string()))]);
        let request = KeysAndAttributes::builder().set_keys(Some(keys.iter().map(key).collect()));
        let request = request.build().map_err(|error| StoreError::Unavailable(error.into()))?;
        let mut wanted = Some(HashMap::from([(self.table.clone(), request)]));
        let mut found = Counters::new();
        for _ in 0..MAX_TRIES {
            let request = self.client.batch_get_item().set_request_items(wanted);
            let answer = request.send().await.map_err(|error| failed(&error))?;
            let items = answer.responses.and_then(|mut all| all.remove(&self.table));
            found.extend(items.into_iter().flatten().filter_map(|item| read_with_key(&item)));
            wanted = answer.unprocessed_keys.filter(|left| !left.is_empty());
            if wanted.is_none() {
                return Ok(found);
            }
        }
        Err(StoreError::Unavailable("the table leaves out counters".into()))
    }
}

impl ReserveCounters for CounterTable {
    async fn reserve(&self, reservation: &Reservation) -> Result<(), ReserveError> {
        let mut expression = Expression::in_slot(reservation.slot);
        reservation.add.iter().for_each(|(field, by)| expression.add(*field, by));
        reservation.set.iter().for_each(|(field, to)| expression.set(*field, *to));
        reservation.stale.iter().for_each(|field| expression.remove(*field));
        for (field, most) in &reservation.at_most {
            expression.require_at_most(*field, *most);
        }
        match self.update(reservation.key, expression).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(refused(&error).unwrap_or_else(|| failed(&error).into())),
        }
    }

    async fn give_back(&self, reservation: &Reservation) -> Result<(), StoreError> {
        let mut expression = Expression::in_slot(reservation.slot);
        reservation.add.iter().for_each(|(field, by)| expression.add(*field, &format!("-{by}")));
        // A second try could give back twice what the first, whose answer was lost, has given back.
        let once = aws_sdk_dynamodb::config::Builder::new().retry_config(RetryConfig::disabled());
        let request = self.update(reservation.key, expression).customize().config_override(once);
        request.send().await.map(drop).map_err(|error| failed(&error))
    }
}

/// What a counter holds that has refused a reservation.
fn refused(error: &SdkError<UpdateItemError>) -> Option<ReserveError> {
    match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
            Some(ReserveError::Refused(refused.item().map(read).unwrap_or_default()))
        }
        _ => None,
    }
}

impl CountVerified for CounterTable {
    async fn count_verified(&self, count: &VerifyCount) -> Result<(), StoreError> {
        let mut expression = Expression::in_slot(count.slot);
        let (field, by) = count.add;
        expression.add(field, &by);
        if let Some((field, to)) = count.set {
            expression.set(field, to);
        }
        let request = self.update(count.key, expression);
        request.send().await.map(drop).map_err(|error| failed(&error))
    }
}
