//! The pages, which are part of the program.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use include_dir::{Dir, include_dir};

use crate::error::ApiError;

/// The output of the build in `web`.
static PAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/dist");

/// Files in this folder have a digest of their content in their names.
const ASSETS: &str = "assets/";

/// Answers with a file, or with the start page, whose script shows the page of the path.
pub(crate) async fn page(method: Method, uri: Uri) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "only GET is possible here").into_response();
    }
    let path = uri.path().trim_start_matches('/');
    if path == "api" || path.starts_with("api/") {
        return ApiError::not_found(format!("unknown path /{path}")).into_response();
    }
    let file = PAGES.get_file(path).map(|file| (path, file));
    if file.is_none() && path.starts_with(ASSETS) {
        return ApiError::not_found("unknown file: reload the page").into_response();
    }
    let start_page = || PAGES.get_file("index.html").map(|file| ("index.html", file));
    let Some((name, file)) = file.or_else(start_page) else {
        return ApiError::not_found("this program was built without pages").into_response();
    };
    let caching = if name.starts_with(ASSETS) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let body = Body::from(file.contents());
    ([(CONTENT_TYPE, content_type(name)), (CACHE_CONTROL, caching)], body).into_response()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        Some("json" | "webmanifest") => "application/json",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
