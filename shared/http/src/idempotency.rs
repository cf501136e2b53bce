//! `Idempotency-Key` (IETF httpapi draft): a request that comes with one is done once, and answered
//! the same for a day. Answers that time alone may change, 429, from 500 up, and refusals of the guard
//! or of a lock with whatever status, are not kept: the same request may be tried again. An answer that tells a code is not kept either: it is made
//! again, with the code derived again. Without the header nothing here asks the store.

use crate::{Answer, ContractError, RETRY, Record, Request, body::bytes, header_text, rendered};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use passcode_domain::{
    AppId, Keyring, World,
    action::{
        idempotency::{self, IdempotencyKey, Keep, KeyedRequest, MalformedKey, PendingRequest},
        transact::Failure,
    },
    ledger::request::KeptAnswer,
    ports::{LoadLedgers, StoreLedgers},
    secret::code::CodeId,
};
use sfv::{Item, Parser};
use std::time::Duration;
use utoipa::openapi::{
    Content, Header, ObjectBuilder, OpenApi, Ref, Response, ResponseBuilder, Type,
    path::{Operation, Parameter, ParameterBuilder, ParameterIn},
};

/// The header.
const HEADER: &str = "idempotency-key";

/// How a request is logged that is answered as it was before.
pub const AGAIN: &str = "answered again";

/// Why a request with a key is not done. Each contract says it in its own words.
#[derive(Debug)]
pub enum IdempotencyError {
    /// 400: the header holds no key, or none that is good enough.
    Malformed(String),
    /// 409: the same request is being done; ask again after the wait. Or, without a wait, it was
    /// done, and the code that its answer told is no longer valid.
    Conflict(Option<Duration>),
    /// 422: the key came with another body before.
    OtherBody,
    /// The store reached no outcome.
    Failed(Failure),
}

/// A request that may come with a key.
pub struct Idempotent<'a> {
    /// The request.
    pub request: &'a Request,
    /// Its app, where the caller is one of an app.
    pub app: Option<&'a AppId>,
    /// What shows who calls, and has been verified; `None` where nothing does.
    pub credential: Option<&'a str>,
    /// Whether the body holds a secret, such as a PIN: the key must not let anybody guess it.
    pub has_secret: bool,
}

/// What to do about a request.
pub enum Begun<'a> {
    /// It is this caller's to do.
    Proceed(Pending<'a>),
    /// It was answered so before.
    Answered(Answer),
}

/// A request that is this caller's to do, and whose answer is kept if it came with a key.
pub struct Pending<'a> {
    request: &'a Request,
    pending: Option<Box<PendingRequest>>,
}

impl<'a> Idempotent<'a> {
    /// Asks whether the request was answered before. With a key that is one more read, and two writes
    /// where the request is done.
    pub async fn begin<W>(
        self,
        world: &W,
        keyring: &Keyring,
        record: &mut Record,
    ) -> Result<Begun<'a>, IdempotencyError>
    where
        W: World<Ledgers: LoadLedgers + StoreLedgers>,
    {
        // Only an answer that tells a code is kept as a code, and here none does.
        let begun = self.begin_or_code(world, keyring, record).await?;
        begun.map_err(|_| IdempotencyError::Conflict(None))
    }

    /// The same where answers tell codes: an error is the code that was answered before.
    pub async fn begin_or_code<W>(
        self,
        world: &W,
        keyring: &Keyring,
        record: &mut Record,
    ) -> Result<Result<Begun<'a>, CodeId>, IdempotencyError>
    where
        W: World<Ledgers: LoadLedgers + StoreLedgers>,
    {
        let request = self.request;
        if !request.headers().contains_key(HEADER) {
            return Ok(Ok(Begun::Proceed(Pending { request, pending: None })));
        }
        match self.ask(world, keyring).await? {
            idempotency::Begun::Proceed(pending) => {
                Ok(Ok(Begun::Proceed(Pending { request, pending: Some(pending) })))
            }
            idempotency::Begun::Answered(kept) => {
                record.outcome = AGAIN;
                Ok(Ok(Begun::Answered(again(kept))))
            }
            idempotency::Begun::AnsweredWithCode(code) => Ok(Err(code)),
            idempotency::Begun::InFlight => Err(IdempotencyError::Conflict(Some(RETRY))),
            idempotency::Begun::KeyReused => Err(IdempotencyError::OtherBody),
        }
    }

    async fn ask<W>(
        &self,
        world: &W,
        keyring: &Keyring,
    ) -> Result<idempotency::Begun, IdempotencyError>
    where
        W: World<Ledgers: LoadLedgers + StoreLedgers>,
    {
        let malformed = |why: &dyn std::fmt::Display| {
            IdempotencyError::Malformed(format!("`Idempotency-Key` {why}"))
        };
        let key = header_text(self.request, HEADER).unwrap_or_default();
        let key = parse_key(key).map_err(|why| malformed(&why))?;
        let keyed = KeyedRequest {
            app: self.app,
            credential: self.credential,
            route: self.request.uri().path(),
            key: &key,
            body: bytes(self.request.body()),
            has_secret: self.has_secret,
        };
        if keyed.is_guessable() {
            let why = "must have at least 16 characters, as a UUID has";
            return Err(malformed(&why));
        }
        idempotency::begin(world, keyring, keyed).await.map_err(IdempotencyError::Failed)
    }
}

impl Pending<'_> {
    /// The answer to the request, kept for the next that comes under the same key.
    pub async fn settle<W, E>(
        self,
        world: &W,
        answered: Result<Answer, E>,
        record: &mut Record,
    ) -> Answer
    where
        W: World<Ledgers: StoreLedgers>,
        E: ContractError,
    {
        let answer = rendered(answered, self.request, record);
        if let Some(pending) = self.pending {
            let kept = idempotency::settle(world, pending, keep(&answer, record)).await;
            // The request is done all the same, and its answer is the caller's.
            if let Err(error) = kept {
                record.error(&error);
            }
        }
        answer
    }
}

fn keep(answer: &Answer, record: &Record) -> Keep {
    let is_temporary = record.is_temporary
        || answer.status == StatusCode::TOO_MANY_REQUESTS
        || answer.status.is_server_error();
    if is_temporary {
        return Keep::Nothing;
    }
    if let Some(code) = answer.code {
        return Keep::Code(code);
    }
    let header = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    Keep::Answer(KeptAnswer {
        status: answer.status.as_u16(),
        headers: answer.headers.iter().filter_map(header).collect(),
        body: answer.body.clone(),
    })
}

fn again(kept: KeptAnswer) -> Answer {
    // What is kept was an answer's own.
    let status = StatusCode::from_u16(kept.status).unwrap_or_default();
    let header = |(name, value): (String, String)| {
        Some((name.parse::<HeaderName>().ok()?, value.parse::<HeaderValue>().ok()?))
    };
    let mut headers = HeaderMap::new();
    for (name, value) in kept.headers.into_iter().filter_map(header) {
        headers.append(name, value);
    }
    Answer { headers, body: kept.body, ..Answer::empty(status) }
}

/// Adds to the operations of a contract what the header does to them; `error` is the schema of the
/// contract's errors. What an operation says of a status itself stays.
#[must_use]
pub fn with_idempotency(api: OpenApi, error: &str) -> OpenApi {
    with_idempotency_in(api, error, "application/json")
}

/// The same for a contract whose errors are of another media type.
#[must_use]
pub fn with_idempotency_in(mut api: OpenApi, error: &str, media: &str) -> OpenApi {
    for item in api.paths.paths.values_mut() {
        if let Some(post) = &mut item.post {
            document(post, error, media);
        }
    }
    api
}

fn document(operation: &mut Operation, error: &str, media: &str) {
    let least = if operation.security.is_some() { 1 } else { idempotency::MIN_ALONE };
    operation.parameters.get_or_insert_default().push(parameter(least).into());
    let refused = |description: &str| {
        let error = Content::new(Some(Ref::from_schema_name(error)));
        ResponseBuilder::new().description(description).content(media, error)
    };
    let seconds = Header::new(ObjectBuilder::new().schema_type(Type::Integer).build());
    let conflict = refused("The same request under this `Idempotency-Key` is being served")
        .header("Retry-After", seconds)
        .build();
    let other = refused("This `Idempotency-Key` came with another body").build();
    let mut add = |status: &str, response: Response| {
        operation.responses.responses.entry(status.to_owned()).or_insert(response.into());
    };
    add("409", conflict);
    add("422", other);
}

/// The header, of a key with at least so many characters.
fn parameter(least: usize) -> Parameter {
    let (bare, quoted) = ("[!#-~]", r#"([!#-\[\]-~]|\\["\\])"#);
    let pattern = format!("^({bare}{{{least},255}}|\"{quoted}{{{least},255}}\")$");
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).build();
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "The caller's own name for this request, best a UUID: 1 to 255 visible characters, in \
             quotes or without; at least 16 from a caller without credentials. For 24 hours the same \
             request under it is answered the same, and done once.",
        ))
        .schema(Some(text))
        .build()
}

/// Reads the value of the header. The draft makes it a string of RFC 9651 §3.3.3, which is in quotes;
/// many clients send the key without quotes, and that is the same key. Parameters are refused.
fn parse_key(value: &str) -> Result<IdempotencyKey, MalformedKey> {
    if !value.contains('"') {
        return value.parse();
    }
    let item: Item = Parser::new(value).parse().map_err(|_| MalformedKey)?;
    let key = item.bare_item.as_string().filter(|_| item.params.is_empty());
    key.ok_or(MalformedKey)?.as_str().parse()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_value_that_is_no_key_is_refused() {
        let long = "k".repeat(256);
        let quoted = format!("\"{long}\"");
        for text in [
            "",
            "\"\"",
            "\"",
            "a b",
            "\"a b\"",
            "a\tb",
            "é",
            "\"a",
            "a\"",
            "a\"b",
            "\"a\"b\"",
            "\"a\\\"",
            "\"a\\n\"",
            "\"a\";b=1",
            "\"a\", \"b\"",
            "a;b=\"c\"",
            &long,
            &quoted,
        ] {
            assert!(parse_key(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn quotes_change_nothing(key in "[!#-~]{1,255}") {
            let escaped = key.replace('\\', "\\\\");
            let quoted = parse_key(&format!("\"{escaped}\""));
            prop_assert!(quoted.unwrap() == parse_key(&key).unwrap());
        }

        #[test]
        fn any_text_is_a_key_or_refused(text in ".*") {
            let _ = parse_key(&text);
        }
    }
}
