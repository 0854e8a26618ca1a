//! Spans that are exported to a collector, and the context that joins the spans of all services into one trace.
//!
//! They have a separate tracing target: logs leave it out, and without a collector the spans are never created. Names and
//! attributes follow OpenTelemetry's conventions for messaging and HTTP; an id is an attribute, never part of a name.

use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The target of these spans.
pub const TARGET: &str = "gavel_trace";

/// Whether spans are exported.
static ENABLED: AtomicBool = AtomicBool::new(false);

/// Enables spans; called once an exporter is running.
pub fn enable() {
    ENABLED.store(true, Ordering::Relaxed);
}

fn is_enabled() -> bool {
    ENABLED.load(Ordering::Relaxed)
}

/// Returns the span of an incoming request; it continues the caller's trace.
#[must_use]
pub fn server_span(method: &str, route: &str, traceparent: Option<&str>) -> Span {
    let span = info_span!(
        target: TARGET, parent: None, "serve",
        otel.name = format!("{method} {route}"), otel.kind = "server", otel.status_code = tracing::field::Empty,
        http.request.method = method, http.route = route, http.response.status_code = tracing::field::Empty,
    );
    set_parent(&span, traceparent);
    span
}

/// Records the response status in the span of an incoming request.
pub fn record_response(span: &Span, status: u16) {
    span.record("http.response.status_code", status);
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
}

/// Returns the span of a delivery that is being handled; it continues the trace of the publisher.
#[must_use]
pub fn consumer_span(subject: &str, consumer: &str, traceparent: Option<&str>) -> Span {
    let span = info_span!(
        target: TARGET, parent: None, "process",
        otel.name = format!("process {}", template(subject)), otel.kind = "consumer",
        otel.status_code = tracing::field::Empty,
        messaging.system = "nats", messaging.operation.type = "process", messaging.operation.name = "process",
        messaging.destination.name = subject, messaging.destination.template = template(subject),
        messaging.consumer.group.name = consumer, messaging.message.conversation_id = submission_id(subject),
        gavel.attempt = tracing::field::Empty, gavel.outcome = tracing::field::Empty,
    );
    set_parent(&span, traceparent);
    span
}

/// Records the number of the delivery in the current span.
pub fn record_attempt(attempt: u64) {
    if !is_enabled() {
        return;
    }
    Span::current().record("gavel.attempt", attempt);
}

/// Records the outcome of a delivery, a publish or a call in the current span.
pub fn record_outcome(outcome: &str, is_error: bool) {
    if !is_enabled() {
        return;
    }
    let span = Span::current();
    span.record("gavel.outcome", outcome);
    if is_error {
        span.record("otel.status_code", "ERROR");
    }
}

/// Returns the span of a publish, from the first attempt to the last.
#[must_use]
pub fn producer_span(subject: &str) -> Span {
    info_span!(
        target: TARGET, "publish",
        otel.name = format!("publish {}", template(subject)), otel.kind = "producer",
        otel.status_code = tracing::field::Empty,
        messaging.system = "nats", messaging.operation.type = "send", messaging.operation.name = "publish",
        messaging.destination.name = subject, messaging.destination.template = template(subject),
        messaging.message.conversation_id = submission_id(subject), gavel.outcome = tracing::field::Empty,
    )
}

/// Returns the span of a call to another system. Outside of a trace it is disabled: a poll for many submissions belongs
/// to no single trace.
pub(crate) fn client_span(method: &str, peer: &str, endpoint: &str) -> Span {
    if traceparent().is_none() {
        return Span::none();
    }
    info_span!(
        target: TARGET, "call",
        otel.name = format!("{method} {endpoint}"), otel.kind = "client", otel.status_code = tracing::field::Empty,
        http.request.method = method, url.template = endpoint, peer.service = peer,
        gavel.outcome = tracing::field::Empty,
    )
}

/// Returns the span of one step of the current work.
#[must_use]
pub fn step_span(name: &'static str) -> Span {
    info_span!(target: TARGET, "step", otel.name = name)
}

/// Returns the context of the current span as a `traceparent` (W3C Trace Context §3.2), or `None` outside of a trace.
#[must_use]
pub fn traceparent() -> Option<String> {
    if !is_enabled() {
        return None;
    }
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    let [trace, id, flags] = [
        span.trace_id().to_string(),
        span.span_id().to_string(),
        format!("{:02x}", span.trace_flags().to_u8()),
    ];
    span.is_valid().then(|| format!("00-{trace}-{id}-{flags}"))
}

fn set_parent(span: &Span, traceparent: Option<&str>) {
    if !span.is_disabled()
        && let Some(context) = traceparent.and_then(parse_traceparent)
    {
        // Fails only if no collector is configured, and then the span is disabled.
        let _ = span.set_parent(Context::new().with_remote_span_context(context));
    }
}

fn parse_traceparent(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-');
    let (_version, trace, id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    let (trace, id) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(id).ok()?);
    let context = SpanContext::new(trace, id, flags, true, TraceState::NONE);
    context.is_valid().then_some(context)
}

/// Returns the part of a subject that all subjects of its kind share: `submission.ready`, or `bundle`.
fn template(subject: &str) -> &str {
    let tokens = if subject.starts_with("bundle.") { 1 } else { 2 };
    subject.match_indices('.').nth(tokens - 1).map_or(subject, |(at, _)| &subject[..at])
}

/// Returns the submission id in a subject, or `None` for bundles.
fn submission_id(subject: &str) -> Option<&str> {
    (!subject.starts_with("bundle.")).then(|| subject.split('.').nth(2)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn span_name_has_no_id() {
        assert_eq!(template("submission.ready.k97"), "submission.ready");
        assert_eq!(template("submission.ready.k97.2"), "submission.ready");
        assert_eq!(template("bundle.20000.ab.0"), "bundle");
        assert_eq!(
            (submission_id("submission.ready.k97.2"), submission_id("bundle.20000.ab.0")),
            (Some("k97"), None)
        );
    }

    #[test]
    fn traceparent_is_used_if_valid() {
        let context = parse_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        assert_eq!(context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(context.is_remote() && context.is_sampled());
        for bad in ["", "00-x-y-01", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"] {
            assert!(parse_traceparent(bad).is_none(), "{bad}");
        }
    }
}
