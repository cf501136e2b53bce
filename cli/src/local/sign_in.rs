//! The sign-in page: the files of `cli/sign-in/`, which are part of the binary.

use axum::{
    Router,
    http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    response::Redirect,
    routing::get,
};

/// The page runs and reads its own files, and calls its own origin; it is in no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'";

/// The name of each file in the URL, its media type and its text.
const FILES: [(&str, &str, &str); 4] = [
    ("", "text/html; charset=utf-8", include_str!("../../sign-in/index.html")),
    ("sign-in.css", "text/css; charset=utf-8", include_str!("../../sign-in/sign-in.css")),
    ("sign-in.js", "text/javascript; charset=utf-8", include_str!("../../sign-in/sign-in.js")),
    ("prelude.js", "text/javascript; charset=utf-8", include_str!("../../sign-in/prelude.js")),
];

pub(super) fn routes() -> Router {
    let router = Router::new()
        .route("/_local/sign-in", get(|| async { Redirect::temporary("/_local/sign-in/") }));
    FILES.into_iter().fold(router, |router, (name, media_type, text)| {
        let answer = ([(CONTENT_TYPE, media_type), (CONTENT_SECURITY_POLICY, POLICY)], text);
        router.route(&format!("/_local/sign-in/{name}"), get(move || async move { answer }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_its_files_and_has_nothing_that_the_policy_forbids() {
        let text = |wanted: &str| FILES.into_iter().find(|(name, ..)| *name == wanted).unwrap().2;
        let page = text("");
        for (name, in_file) in
            [("sign-in.css", page), ("sign-in.js", page), ("prelude.js", text("sign-in.js"))]
        {
            assert!(in_file.contains(name), "{name}");
        }
        for forbidden in ["<style", " style=", "<script>", " onclick=", "javascript:"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        assert!(!POLICY.contains("unsafe"));
    }
}
