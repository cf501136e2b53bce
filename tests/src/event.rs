//! Recorded events, changed for the case at hand, and the answers they get.

use crate::document;
use lambda_http::http::{HeaderMap, StatusCode};
use passcode_http::{Answer, ContractError, Record, Request, rendered};
use passcode_testkit::schedule::block_on;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// An API Gateway event.
#[derive(Clone, Debug)]
pub struct Event(pub Value);

impl Event {
    /// The recorded event `events/<function>/<case>.json`.
    ///
    /// # Panics
    ///
    /// Where there is none.
    #[must_use]
    pub fn recorded(function: &str, case: &str) -> Self {
        let path = root().join("events").join(function).join(case).with_extension("json");
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self(
            serde_json::from_str(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        )
    }

    /// With another body, as text.
    #[must_use]
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.0["body"] = body.into().into();
        self.0["isBase64Encoded"] = false.into();
        self
    }

    /// With another body, in JSON.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.body(body.to_string())
    }

    /// With a body of bytes, in base64.
    #[must_use]
    pub fn bytes(mut self, body: &[u8]) -> Self {
        self.0["body"] = data_encoding::BASE64.encode(body).into();
        self.0["isBase64Encoded"] = true.into();
        self
    }

    /// With a header, or without it.
    #[must_use]
    pub fn header<'a>(mut self, name: &str, value: impl Into<Option<&'a str>>) -> Self {
        match (self.0["headers"].as_object_mut(), value.into()) {
            (Some(headers), Some(value)) => drop(headers.insert(name.to_owned(), value.into())),
            (Some(headers), None) => drop(headers.remove(name)),
            (None, _) => panic!("an event without headers"),
        }
        self
    }

    /// About another challenge, wherever the event names one.
    #[must_use]
    pub fn challenge(self, id: &str) -> Self {
        let recorded = "ARID_ORTTY3PENRMEHZ4GFK6T3UGGSMKXBJT6KTWNE2MLMFWNVBRMI7UA";
        Self::parse(&self.0.to_string().replace(recorded, id))
    }

    fn parse(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}")))
    }

    /// The request that the runtime makes of it.
    ///
    /// # Panics
    ///
    /// Where the runtime refuses it.
    #[must_use]
    pub fn request(&self) -> Request {
        passcode_http::event::request(self.0.clone())
            .unwrap_or_else(|error| panic!("{}: {error}", self.0))
    }
}

/// What a function answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The body, where it is JSON.
    pub json: Value,
    /// The body.
    pub text: String,
    /// The whole answer.
    pub retry_after: Option<String>,
    /// The content type.
    pub media: String,
    /// All headers.
    pub headers: HeaderMap,
    /// How the log says it ended.
    pub outcome: &'static str,
}

impl Reply {
    /// A header that is there once and readable.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// An answer, with the record of its request.
#[derive(Clone, Debug)]
pub struct Served {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
    /// What the log says.
    pub record: Record,
}

/// Runs a handler, as its function does.
pub async fn served<E: ContractError>(
    event: &Event,
    handle: impl AsyncFnOnce(&Request, &mut Record) -> Result<Answer, E>,
) -> Served {
    let (request, mut record) = (event.request(), Record::default());
    let answered = handle(&request, &mut record).await;
    let Answer { status, headers, body, .. } = rendered(answered, &request, &mut record);
    Served { status, headers, body, record }
}

/// Runs a handler that waits only for fakes, and holds event and answer against the OpenAPI
/// document.
pub fn reply<E: ContractError>(
    event: &Event,
    handle: impl AsyncFnOnce(&Request, &mut Record) -> Result<Answer, E>,
) -> Reply {
    replied(event, block_on(served(event, handle)))
}

/// Holds an event and its answer against the OpenAPI document.
///
/// # Panics
///
/// Where they disagree.
#[must_use]
pub fn replied(event: &Event, served: Served) -> Reply {
    let header = |name: &str| {
        served.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let cached = if event.0["rawPath"].as_str().is_some_and(|path| path.ends_with("jwks.json"))
        && served.status == 200
    {
        "public, max-age=300"
    } else {
        "no-store"
    };
    assert_eq!(header("cache-control").as_deref(), Some(cached), "{served:?}");
    let reply = Reply {
        status: served.status.as_u16(),
        json: serde_json::from_str(&served.body).unwrap_or(json!(null)),
        retry_after: header("retry-after"),
        media: header("content-type").unwrap_or_default(),
        headers: served.headers.clone(),
        text: served.body,
        outcome: served.record.outcome,
    };
    document::check(event, &reply);
    reply
}

/// The root of the project.
#[must_use]
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The functions, each with the folder of its crate: `functions/<contract>/<resource>-<verb>` is the
/// function `<contract>-<resource>-<verb>`.
///
/// # Panics
///
/// Where the folders cannot be read.
#[must_use]
pub fn functions() -> BTreeMap<String, PathBuf> {
    let folders = |folder: &Path| {
        let entries = std::fs::read_dir(folder).expect("a folder");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths.filter(|path| path.is_dir()).collect::<Vec<_>>()
    };
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    let crates = folders(&root().join("functions")).into_iter().flat_map(|contract| {
        let prefix = name(&contract);
        let crates = folders(&contract).into_iter().filter(|path| name(path) != "contract");
        crates.map(move |path| (format!("{prefix}-{}", name(&path)), path)).collect::<Vec<_>>()
    });
    crates.collect()
}
