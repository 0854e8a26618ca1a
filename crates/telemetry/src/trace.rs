//! Spans that leave the process, and the context that makes those of all services one trace.
//!
//! They have a target of their own: logs leave it out, and where no collector is configured they are never made. Names
//! and attributes follow OpenTelemetry's conventions for messaging and HTTP; an id is an attribute, never part of a name.

use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The target of these spans.
pub const TARGET: &str = "gavel_trace";

/// Whether anybody takes them.
static ON: AtomicBool = AtomicBool::new(false);

/// Says that spans are taken from now on.
pub fn switch_on() {
    ON.store(true, Ordering::Relaxed);
}

fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// A request that is served; it goes on with the caller's trace.
#[must_use]
pub fn serving(method: &str, route: &str, traceparent: Option<&str>) -> Span {
    let span = info_span!(
        target: TARGET, parent: None, "serve",
        otel.name = format!("{method} {route}"), otel.kind = "server", otel.status_code = tracing::field::Empty,
        http.request.method = method, http.route = route, http.response.status_code = tracing::field::Empty,
    );
    adopt(&span, traceparent);
    span
}

/// Takes note of the answer to a request that is served.
pub fn served(span: &Span, status: u16) {
    span.record("http.response.status_code", status);
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
}

/// A delivery that is worked on; it goes on with the trace of whoever published the event.
#[must_use]
pub fn processing(subject: &str, consumer: &str, traceparent: Option<&str>) -> Span {
    let span = info_span!(
        target: TARGET, parent: None, "process",
        otel.name = format!("process {}", template(subject)), otel.kind = "consumer",
        otel.status_code = tracing::field::Empty,
        messaging.system = "nats", messaging.operation.type = "process", messaging.operation.name = "process",
        messaging.destination.name = subject, messaging.destination.template = template(subject),
        messaging.consumer.group.name = consumer, messaging.message.conversation_id = id(subject),
        gavel.attempt = tracing::field::Empty, gavel.outcome = tracing::field::Empty,
    );
    adopt(&span, traceparent);
    span
}

/// Takes note of how often the event of the current span was delivered.
pub fn attempt(attempt: u64) {
    if !is_on() {
        return;
    }
    Span::current().record("gavel.attempt", attempt);
}

/// Takes note of how the delivery of the current span ended.
pub fn outcome(word: &str, is_error: bool) {
    if !is_on() {
        return;
    }
    let span = Span::current();
    span.record("gavel.outcome", word);
    if is_error {
        span.record("otel.status_code", "ERROR");
    }
}

/// A message that is stored, repeats included.
#[must_use]
pub fn publishing(subject: &str) -> Span {
    info_span!(
        target: TARGET, "publish",
        otel.name = format!("publish {}", template(subject)), otel.kind = "producer",
        otel.status_code = tracing::field::Empty,
        messaging.system = "nats", messaging.operation.type = "send", messaging.operation.name = "publish",
        messaging.destination.name = subject, messaging.destination.template = template(subject),
        messaging.message.conversation_id = id(subject), gavel.outcome = tracing::field::Empty,
    )
}

/// A call to another system. Outside of a trace there is none: a poll for many submissions belongs to none of them.
pub(crate) fn calling(method: &str, peer: &str, endpoint: &str) -> Span {
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

/// A part of the work in hand, under this name.
#[must_use]
pub fn step(name: &'static str) -> Span {
    info_span!(target: TARGET, "step", otel.name = name)
}

/// The current span's context as `traceparent` has it (W3C Trace Context §3.2); nothing outside of a trace.
#[must_use]
pub fn traceparent() -> Option<String> {
    if !is_on() {
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

fn adopt(span: &Span, traceparent: Option<&str>) {
    if !span.is_disabled()
        && let Some(context) = traceparent.and_then(read)
    {
        // Fails only where no collector is configured, and then the span is disabled.
        let _ = span.set_parent(Context::new().with_remote_span_context(context));
    }
}

fn read(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-');
    let (_version, trace, id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    let (trace, id) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(id).ok()?);
    let context = SpanContext::new(trace, id, flags, true, TraceState::NONE);
    context.is_valid().then_some(context)
}

/// A subject without what makes it one of many: `submission.ready`, or `bundle`.
fn template(subject: &str) -> &str {
    let tokens = if subject.starts_with("bundle.") { 1 } else { 2 };
    subject.match_indices('.').nth(tokens - 1).map_or(subject, |(at, _)| &subject[..at])
}

/// The submission that a subject is about; nothing for bundles.
fn id(subject: &str) -> Option<&str> {
    (!subject.starts_with("bundle.")).then(|| subject.split('.').nth(2)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_no_id_in_it() {
        assert_eq!(template("submission.ready.k97"), "submission.ready");
        assert_eq!(template("submission.ready.k97.2"), "submission.ready");
        assert_eq!(template("bundle.20000.ab.0"), "bundle");
        assert_eq!((id("submission.ready.k97.2"), id("bundle.20000.ab.0")), (Some("k97"), None));
    }

    #[test]
    fn a_callers_context_is_taken_where_it_is_one() {
        let context = read("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        assert_eq!(context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(context.is_remote() && context.is_sampled());
        for bad in ["", "00-x-y-01", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }
}
