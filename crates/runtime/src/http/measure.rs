//! Metrics and a span for every HTTP request to a service.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use gavel_telemetry::{table, trace};
use metrics::SharedString;
use tracing::{Instrument as _, Span};

/// Middleware that counts a request, records its duration, and puts a span into the caller's trace.
pub(crate) async fn measure(service: &'static str, request: Request, next: Next) -> Response {
    let method = method(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let started = Instant::now();
    let traceparent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    // Probes and scrapes come every few seconds and belong to no trace.
    let span = match route.as_str() {
        "/healthz" | "/readyz" | "/metrics" => Span::none(),
        route => trace::server_span(method, route, traceparent),
    };
    let response = next.run(request).instrument(span.clone()).await;
    trace::record_response(&span, response.status().as_u16());
    let elapsed = started.elapsed();
    let status = response.status().as_str().to_owned();
    let labels = [SharedString::from(service), method.into(), route.into()];
    table::HTTP_SECONDS.record(labels.clone(), elapsed);
    let [service, method, route] = labels;
    table::HTTP_REQUESTS.add([service, method, route, status.into()]);
    response
}

/// The label value of a method. Clients can send any method, so unknown ones share a value.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        _ => "other",
    }
}
