//! What the schema of a body says of several fields together. A derive cannot say it.

use std::collections::BTreeMap;
use utoipa::openapi::{
    AllOfBuilder, Object, ObjectBuilder, OpenApi, RefOr, Schema, Type,
    schema::{AnyOfBuilder, SchemaType},
};

type Schemas = BTreeMap<String, RefOr<Schema>>;

/// A way to fill in a body: the field that it needs, and those that it must not have. A field that
/// is null is as good as absent.
pub type Way<'a> = (&'a str, &'a [&'a str]);

/// Lets a schema of a document ask for at least one of these ways.
#[must_use]
pub fn with_choice(mut api: OpenApi, schema: &str, ways: &[Way<'_>]) -> OpenApi {
    let schemas = &mut api.components.get_or_insert_default().schemas;
    let Some(RefOr::T(Schema::Object(mut fields))) = schemas.remove(schema) else {
        unreachable!("no object of the document is called {schema}")
    };
    let description = fields.description.take();
    let choice = ways.iter().map(|way| narrowed(&fields, schemas, *way));
    let choice = choice.fold(AnyOfBuilder::new(), AnyOfBuilder::item);
    let whole = AllOfBuilder::new().description(description).item(fields).item(choice);
    schemas.insert(schema.to_owned(), whole.into());
    api
}

fn narrowed(fields: &Object, schemas: &Schemas, (given, without): Way<'_>) -> Object {
    let is_a_text = fields.properties.get(given).is_some_and(|field| is_text(field, schemas));
    let value = if is_a_text {
        ObjectBuilder::new().schema_type(Type::String).min_length(Some(1))
    } else {
        ObjectBuilder::new().schema_type(Type::Object)
    };
    let needed = ObjectBuilder::new().property(given, value).required(given);
    let nothing = || ObjectBuilder::new().schema_type(Type::Null);
    without.iter().fold(needed, |object, name| object.property(*name, nothing())).build()
}

/// Whether all that a field can be, apart from null, is texts.
fn is_text(field: &RefOr<Schema>, schemas: &Schemas) -> bool {
    let all = |items: &[RefOr<Schema>]| items.iter().all(|item| is_text(item, schemas));
    match field {
        RefOr::Ref(place) => {
            let name = place.ref_location.rsplit('/').next().unwrap_or_default();
            schemas.get(name).is_some_and(|schema| is_text(schema, schemas))
        }
        RefOr::T(Schema::Object(object)) => match &object.schema_type {
            SchemaType::Type(kind) => [Type::String, Type::Null].contains(kind),
            SchemaType::Array(kinds) => kinds.contains(&Type::String),
            SchemaType::AnyValue => false,
        },
        RefOr::T(Schema::OneOf(one)) => all(&one.items),
        RefOr::T(Schema::AnyOf(any)) => all(&any.items),
        RefOr::T(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use utoipa::{OpenApi as _, ToSchema};

    #[derive(ToSchema)]
    #[expect(dead_code, reason = "its schema is looked at")]
    struct Inner {
        text: String,
    }

    /// What it is.
    #[derive(ToSchema)]
    #[expect(dead_code, reason = "its schema is looked at")]
    struct Outer {
        text: Option<String>,
        inner: Option<Inner>,
    }

    #[derive(utoipa::OpenApi)]
    #[openapi(components(schemas(Outer)))]
    struct Api;

    #[test]
    fn fields_stay_as_they_are_and_one_of_the_ways_is_asked_for() {
        let ways: [Way<'_>; 2] = [("text", &["inner"]), ("inner", &[])];
        let api = serde_json::to_value(with_choice(Api::openapi(), "Outer", &ways)).unwrap();
        let before = serde_json::to_value(Api::openapi()).unwrap();
        let (outer, fields) =
            (&api["components"]["schemas"]["Outer"], &before["components"]["schemas"]["Outer"]);
        assert_eq!(outer["description"], "What it is.");
        assert_eq!(outer["allOf"][0]["properties"], fields["properties"]);
        let nothing = json!({ "type": "null" });
        let text = json!({ "type": "string", "minLength": 1 });
        let ways = json!([
            { "type": "object", "required": ["text"], "properties": { "text": text, "inner": nothing } },
            { "type": "object", "required": ["inner"], "properties": { "inner": { "type": "object" } } },
        ]);
        assert_eq!(outer["allOf"][1]["anyOf"], ways);
    }

    #[test]
    #[should_panic(expected = "no object of the document is called Other")]
    fn a_name_that_nothing_has_is_a_mistake() {
        let _ = with_choice(Api::openapi(), "Other", &[("text", &[])]);
    }
}
