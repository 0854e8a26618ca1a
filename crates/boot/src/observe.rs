//! What every HTTP request to a service leaves behind: a count, and how long it took.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use gavel_telemetry::table;
use metrics::SharedString;

/// Takes the measures of a request.
pub(crate) async fn observe(service: &'static str, request: Request, next: Next) -> Response {
    let method = method(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let began = Instant::now();
    let response = next.run(request).await;
    let took = began.elapsed();
    let status = response.status().as_str().to_owned();
    let labels = [SharedString::from(service), method.into(), route.into()];
    table::HTTP_SECONDS.note(labels.clone(), took);
    let [service, method, route] = labels;
    table::HTTP_REQUESTS.add([service, method, route, status.into()]);
    response
}

/// A caller may make up methods.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        _ => "other",
    }
}
