//! Metrics and a span for every HTTP request to a service.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use gavel_telemetry::series::{Counter, Histogram, Known};
use gavel_telemetry::{table, trace};
use metrics::SharedString;
use tracing::{Instrument as _, Span};

/// The metrics of the requests to one service.
pub(crate) struct Requests {
    service: &'static str,
    /// Duration and number, by method, route and status.
    series: Known<(&'static str, String, u16), (Histogram, Counter)>,
}

impl Requests {
    pub(crate) fn new(service: &'static str) -> Self {
        Self { service, series: Known::default() }
    }

    fn series(&self, method: &'static str, route: String, status: u16) -> (Histogram, Counter) {
        self.series.get((method, route, status), |(method, route, status)| {
            let labels = [SharedString::from(self.service), (*method).into(), route.clone().into()];
            let [service, method, route] = labels.clone();
            let counted = [service, method, route, status.to_string().into()];
            (table::HTTP_SECONDS.series(labels), table::HTTP_REQUESTS.series(counted))
        })
    }
}

/// Middleware that counts a request, records its duration, and puts a span into the caller's trace.
pub(crate) async fn measure(requests: Arc<Requests>, request: Request, next: Next) -> Response {
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
    let status = response.status().as_u16();
    trace::record_response(&span, status);
    let (seconds, count) = requests.series(method, route, status);
    seconds.record(started.elapsed());
    count.increment(1);
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
