//! The routes of a browser's endpoint in the OpenAPI document: its path, its older path, and the
//! preflights of both.

use passcode_http::cors;
use utoipa::openapi::{Content, OpenApi, PathItem, Ref, ResponseBuilder, ResponsesBuilder};

/// Adds the older path of an endpoint, if it has one, and its preflights.
#[must_use]
pub fn with_browser_routes(mut api: OpenApi, older: Option<&str>) -> OpenApi {
    let current: Vec<(String, PathItem)> = api.paths.paths.clone().into_iter().collect();
    for (path, item) in current {
        if let Some(older) = older {
            let mut renamed = item.clone();
            if let Some(post) = &mut renamed.post {
                post.operation_id = post.operation_id.as_ref().map(|id| format!("{id}-older"));
            }
            api.paths.paths.insert(older.to_owned(), with_preflight(renamed));
        }
        api.paths.paths.insert(path, with_preflight(item));
    }
    api
}

fn with_preflight(mut item: PathItem) -> PathItem {
    let allowed = ResponseBuilder::new().description("The page may call").build();
    let error = |description: &str| {
        let body = Content::new(Some(Ref::from_schema_name("PreludeError")));
        ResponseBuilder::new().description(description).content("application/json", body).build()
    };
    let responses = ResponsesBuilder::new()
        .response("204", allowed)
        .response("400", error("`bad_request`: no app is known by this host"))
        .response("403", error("`origin_not_allowed`"))
        .response("500", error("`internal`: try again"));
    item.options =
        Some(cors::preflight_of(item.post.as_ref().or(item.get.as_ref()), responses.build()));
    item
}
