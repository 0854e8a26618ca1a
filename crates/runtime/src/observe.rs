//! What every HTTP request to a service leaves behind: a count, how long it took, and a span in the caller's trace.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use gavel_telemetry::{table, trace};
use metrics::SharedString;
use tracing::{Instrument as _, Span};

/// Takes the measures of a request.
pub(crate) async fn observe(service: &'static str, request: Request, next: Next) -> Response {
    let method = method(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let began = Instant::now();
    let traceparent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    // Whether the service is well is asked every few seconds, and belongs to no trace.
    let span = match route.as_str() {
        "/healthz" | "/readyz" | "/metrics" => Span::none(),
        route => trace::serving(method, route, traceparent),
    };
    let response = next.run(request).instrument(span.clone()).await;
    trace::served(&span, response.status().as_u16());
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
