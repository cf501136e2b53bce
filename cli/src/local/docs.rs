//! The documentation page: the OpenAPI document in Swagger UI, which is part of the binary.

use crate::openapi;
use axum::{
    Json, Router,
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use std::sync::Arc;
use utoipa_swagger_ui::Config;

pub(super) fn routes() -> Router {
    let config = Arc::new(Config::from("/_local/openapi.json"));
    let index = config.clone();
    Router::new()
        .route("/_local/openapi.json", get(|| async { Json(openapi::document()) }))
        .route("/_local/docs", get(|| async { Redirect::temporary("/_local/docs/") }))
        .route("/_local/docs/", get(move || async move { file("index.html", index) }))
        .route(
            "/_local/docs/{file}",
            get(move |Path(name): Path<String>| async move { file(&name, config) }),
        )
}

fn file(name: &str, config: Arc<Config<'static>>) -> Response {
    match utoipa_swagger_ui::serve(name, config) {
        Ok(Some(file)) => {
            ([(header::CONTENT_TYPE, file.content_type)], file.bytes.into_owned()).into_response()
        }
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
