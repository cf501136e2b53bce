//! The OpenAPI document of all endpoints, merged from the documents of the functions.

use crate::local::FUNCTIONS;
use std::{error::Error, io::Write as _};
use utoipa::openapi::{
    Contact, Info, OpenApi, OpenApiBuilder,
    security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
};

/// The document of every endpoint (OpenAPI 3.1).
#[must_use]
pub fn document() -> OpenApi {
    let mut info = Info::new("Passcode", env!("CARGO_PKG_VERSION"));
    info.description =
        Some("One-time passcodes, sent and verified from your own AWS account.".into());
    info.contact = None::<Contact>;
    let mut document = OpenApiBuilder::new().info(info).build();
    for part in parts() {
        document.merge(part);
    }
    let components = document.components.get_or_insert_default();
    for name in ["clientId", "clientSecret"] {
        let key = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new(name)));
        components.add_security_scheme(name, key);
    }
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.add_security_scheme("bearer", bearer);
    document
}

/// The documents of the functions.
fn parts() -> impl Iterator<Item = OpenApi> {
    FUNCTIONS.iter().map(|function| (function.openapi)())
}

/// Prints the document as JSON.
pub fn print() -> Result<(), Box<dyn Error>> {
    let json = serde_json::to_string_pretty(&document())?;
    writeln!(std::io::stdout(), "{json}")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Of two schemas with one name, the document would have only the first.
    #[test]
    fn a_schema_that_several_functions_name_is_the_same_in_all() {
        let mut known = BTreeMap::new();
        for part in parts() {
            for (name, schema) in part.components.expect("schemas").schemas {
                let schema = serde_json::to_value(schema).expect("a schema is JSON");
                let first = known.entry(name.clone()).or_insert_with(|| schema.clone());
                assert_eq!(*first, schema, "{name}: give one of them another name");
            }
        }
    }
}
