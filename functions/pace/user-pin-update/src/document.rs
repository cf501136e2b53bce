//! The documents of `/user/pin` (JSON:API, resource objects).

use pace_contract::Error;
use passcode_domain::UserId;
use passcode_http::object;
use serde::{Deserialize, Serialize, de::IgnoredAny};
use utoipa::ToSchema;

/// The type of the one resource.
const TYPE: &str = "pin";

/// The new PIN, and the code that allows it.
#[derive(Deserialize, ToSchema)]
pub(crate) struct PinUpdate {
    /// The resource.
    #[schema(value_type = PinUpdateData, required)]
    #[serde(default, deserialize_with = "object")]
    data: Option<PinUpdateData>,
}

/// The PIN as it shall be.
#[derive(Deserialize, ToSchema)]
pub(crate) struct PinUpdateData {
    /// Always `pin`.
    #[serde(rename = "type")]
    #[schema(value_type = PinType, required)]
    kind: Option<Text>,
    /// What it is changed with.
    #[schema(value_type = PinUpdateAttributes, required)]
    #[serde(default, deserialize_with = "object")]
    attributes: Option<PinUpdateAttributes>,
}

/// What a PIN is changed with.
#[derive(Deserialize, ToSchema)]
pub(crate) struct PinUpdateAttributes {
    /// The new PIN: four digits, at least three of them different, and no series.
    #[schema(value_type = String, required, example = "2806", pattern = "^[0-9]{4}$")]
    pin: Option<Text>,
    /// A code of the user's. It is used up.
    #[schema(value_type = String, required, example = "526271", pattern = "^[ -]*([A-Za-z0-9][ -]*){1,10}$", max_length = 32)]
    otp: Option<Text>,
}

/// The type of the resource.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PinType {
    /// A PIN.
    Pin,
}

/// A text, or what stands in its place.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Text(String),
    Other(IgnoredAny),
}

impl PinUpdate {
    /// PIN and code, or the first field that is none.
    pub(crate) fn read(self) -> Result<(String, String), Error> {
        let data = self.data.ok_or_else(|| missing("/data"))?;
        if text(data.kind, "/data/type")? != TYPE {
            return Err(Error::field("/data/type", "The type must be `pin`"));
        }
        let attributes = data.attributes.ok_or_else(|| missing("/data/attributes"))?;
        let pin = text(attributes.pin, "/data/attributes/pin")?;
        let otp = text(attributes.otp, "/data/attributes/otp")?;
        Ok((pin, otp))
    }
}

fn text(value: Option<Text>, pointer: &'static str) -> Result<String, Error> {
    match value {
        Some(Text::Text(text)) if !text.trim().is_empty() => Ok(text),
        Some(Text::Other(_)) => {
            Err(Error::field(pointer, "The field has a value of the wrong type"))
        }
        Some(Text::Text(_)) | None => Err(missing(pointer)),
    }
}

const fn missing(pointer: &'static str) -> Error {
    Error::field(pointer, "The field is required")
}

/// The PIN of a user, of which nothing is told.
#[derive(Serialize, ToSchema)]
pub(crate) struct PinDocument {
    /// The resource.
    data: PinData,
}

/// A PIN.
#[derive(Serialize, ToSchema)]
pub(crate) struct PinData {
    /// Always `pin`.
    #[serde(rename = "type")]
    kind: PinType,
    /// The user's id.
    #[schema(example = "63fcedad5ab92b52bfbf5125")]
    id: String,
}

impl PinDocument {
    /// The PIN of this user.
    pub(crate) fn of(user: &UserId) -> Self {
        Self { data: PinData { kind: PinType::Pin, id: user.as_str().to_owned() } }
    }
}
