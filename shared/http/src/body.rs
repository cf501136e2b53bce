//! Bodies: bounded, of a known media type, parsed into a struct field by field.

use crate::{Body, Request, header_text};
use mediatype::MediaType;
use multer::{Multipart, bytes::Bytes};
use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeOwned, Error as _, MapAccess, Visitor,
        value::{MapAccessDeserializer, MapDeserializer},
    },
};
use serde_json::{Number, Value, error::Category};
use std::{fmt, marker::PhantomData, str::FromStr};
use thiserror::Error;

/// The largest body that is looked at, in bytes.
pub const MAX_BODY: usize = 10 * 1024;

/// The media types a body may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// `application/json`, also where no media type is given.
    Json,
    /// `application/vnd.api+json`: a document of JSON:API.
    JsonApi,
    /// `multipart/form-data`: every field a text.
    Form,
    /// `text/plain` that holds a JSON object.
    Text,
}

impl Media {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::JsonApi => "application/vnd.api+json",
            Self::Form => "multipart/form-data",
            Self::Text => "text/plain",
        }
    }
}

/// Why a body is refused. Nothing of the body is repeated but the names of known fields.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BodyError {
    /// More than [`MAX_BODY`] bytes.
    #[error("the body is larger than {MAX_BODY} bytes")]
    TooLarge,
    /// Not one of the media types of this endpoint.
    #[error("the Content-Type must be {0}")]
    Media(String),
    /// Not what its media type promises.
    #[error("the body is not valid {0}")]
    Syntax(&'static str),
    /// A required field is absent, or a field stands there twice.
    #[error("{0}")]
    Fields(String),
    /// A top-level field has a value of the wrong type, or with one in it.
    #[error("`{0}` has a value of the wrong type")]
    Type(String),
}

impl BodyError {
    /// The top-level field whose value is wrong, if it is one field's fault.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Type(field) => Some(field),
            _ => None,
        }
    }
}

/// The bytes of a body.
pub(crate) fn bytes(body: &Body) -> &[u8] {
    match body {
        Body::Text(text) => text.as_bytes(),
        Body::Binary(bytes) => bytes,
        _ => &[],
    }
}

/// Reads a request's body, in one of the media types that an endpoint takes: any but a form, whose
/// parser is linked by the endpoints alone that take one ([`body_or_form`]).
pub async fn body<T: DeserializeOwned>(
    request: &Request,
    allowed: &[Media],
) -> Result<T, BodyError> {
    let (media, bytes) = taken(request, allowed)?;
    match media {
        Media::Json | Media::JsonApi | Media::Text => json(bytes),
        Media::Form => Err(other_media(allowed)),
    }
}

/// The same for an endpoint that takes forms as well.
pub async fn body_or_form<T: DeserializeOwned>(
    request: &Request,
    allowed: &[Media],
) -> Result<T, BodyError> {
    let (media, bytes) = taken(request, allowed)?;
    match media {
        Media::Json | Media::JsonApi | Media::Text => json(bytes),
        Media::Form => form(header_text(request, "content-type").unwrap_or_default(), bytes).await,
    }
}

/// The bytes of a body that is not too large, and which of the media types it has.
fn taken<'a>(request: &'a Request, allowed: &[Media]) -> Result<(Media, &'a [u8]), BodyError> {
    let bytes = bytes(request.body());
    if bytes.len() > MAX_BODY {
        return Err(BodyError::TooLarge);
    }
    let media = media(request, header_text(request, "content-type"));
    let media = media.filter(|media| allowed.contains(media));
    Ok((media.ok_or_else(|| other_media(allowed))?, bytes))
}

fn other_media(allowed: &[Media]) -> BodyError {
    let names: Vec<_> = allowed.iter().map(|media| media.name()).collect();
    BodyError::Media(names.join(" or "))
}

fn media(request: &Request, given: Option<&str>) -> Option<Media> {
    if !request.headers().contains_key("content-type") {
        return Some(Media::Json);
    }
    let given = MediaType::parse(given?).ok()?;
    [Media::Json, Media::JsonApi, Media::Form, Media::Text]
        .into_iter()
        .find(|media| MediaType::parse(media.name()).is_ok_and(|m| m == given.essence()))
}

fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BodyError> {
    // Unknown fields are skipped unread, so this is said before anything is.
    if std::str::from_utf8(bytes).is_err() {
        return Err(BodyError::Syntax("JSON"));
    }
    // A struct could also be read from an array: see `object`.
    if bytes.trim_ascii_start().first().is_some_and(|first| *first == b'[') {
        return Err(BodyError::Syntax("JSON object"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(explain)?;
    reader.end().map_err(|_| BodyError::Syntax("JSON"))?;
    Ok(value)
}

/// What may be told of a serde error: its own text can repeat the value that was wrong.
fn explain(error: serde_path_to_error::Error<serde_json::Error>) -> BodyError {
    let path = error.path().to_string();
    let cause = error.into_inner();
    let text = cause.to_string();
    match cause.classify() {
        Category::Data if text.starts_with("missing field `") || text.starts_with("duplicate ") => {
            BodyError::Fields(text.split(" at line ").next().unwrap_or_default().to_owned())
        }
        Category::Data if path == "." => BodyError::Syntax("JSON object"),
        Category::Data => BodyError::Type(field_of(&path)),
        Category::Syntax | Category::Eof | Category::Io => BodyError::Syntax("JSON"),
    }
}

/// The top-level field of a path. Whatever stands below it may be the caller's own words.
fn field_of(path: &str) -> String {
    path.split(['.', '[']).next().unwrap_or_default().to_owned()
}

async fn form<T: DeserializeOwned>(content_type: &str, bytes: &[u8]) -> Result<T, BodyError> {
    const SYNTAX: BodyError = BodyError::Syntax("multipart/form-data");
    let boundary = multer::parse_boundary(content_type).map_err(|_| SYNTAX)?;
    let chunk = Ok::<_, std::convert::Infallible>(Bytes::copy_from_slice(bytes));
    let stream = futures_util::stream::iter([chunk]);
    let mut parts = Multipart::new(stream, boundary);
    let mut fields = Vec::new();
    while let Some(part) = parts.next_field().await.map_err(|_| SYNTAX)? {
        let name = part.name().ok_or(SYNTAX)?.to_owned();
        let value = part.bytes().await.map_err(|_| SYNTAX)?;
        let value = String::from_utf8(value.to_vec()).map_err(|_| SYNTAX)?;
        fields.push((name, Value::String(value)));
    }
    // Pairs, not a map: the struct itself refuses a field that stands there twice, and skips those
    // that it does not know.
    serde_path_to_error::deserialize(MapDeserializer::new(fields.into_iter())).map_err(explain)
}

/// Reads a text, or none where it is empty, for `#[serde(default, deserialize_with)]`: clients that
/// fill in every field write an empty text for those they have nothing for.
pub fn filled<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(reader)?.filter(|text| !text.is_empty()))
}

/// Reads a whole number, or none, for `#[serde(default, deserialize_with)]`. To JSON, `60.0` and `6e1`
/// are the number 60. It may stand in a text, as its decimal digits; an empty text is none.
pub fn whole<'de, D, N>(reader: D) -> Result<Option<N>, D::Error>
where
    D: Deserializer<'de>,
    N: FromStr,
{
    let text = match Value::deserialize(reader)? {
        Value::Null => return Ok(None),
        Value::String(text) if text.is_empty() => return Ok(None),
        Value::String(text) if is_decimal(&text) => text,
        Value::Number(number) => digits(&number),
        _ => return Err(D::Error::custom("not a number")),
    };
    text.parse().map(Some).map_err(|_| D::Error::custom("not a whole number in range"))
}

/// A float prints as digits alone exactly where it is whole.
fn digits(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => float.to_string(),
        _ => number.to_string(),
    }
}

/// Whether a text is how a whole number is written: digits, the first of which is no zero.
fn is_decimal(text: &str) -> bool {
    !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit())
}

/// Reads an object, or none, for `#[serde(default, deserialize_with)]`. By itself, serde reads a
/// struct from an array as well, field by field in order; no contract means that.
pub fn object<'de, D, T>(reader: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Object<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = Option<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_unit<E>(self) -> Result<Option<T>, E> {
            Ok(None)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<T>, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map)).map(Some)
        }
    }

    reader.deserialize_any(Object(PhantomData))
}
