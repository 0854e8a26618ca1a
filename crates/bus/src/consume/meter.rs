//! What a consumer loop tells of itself, in figures and spans.

use std::sync::Arc;
use std::time::Duration;

use gavel_telemetry::series::{Counter, Gauge, Histogram};
use gavel_telemetry::{table, trace};
use tracing::Span;

/// The figures of one consumer loop.
pub(super) struct Meter {
    consumer: &'static str,
    attached: Gauge,
    slots_in_use: Gauge,
    waiting: Histogram,
    handling: Histogram,
    redeliveries: Counter,
    handled: [Counter; Outcome::ALL.len()],
}

/// A slot that is taken for as long as this lives.
pub(super) struct Slot(Gauge);

/// How a delivery ended. Only `Done` and `DeadLetter` are the event's end.
#[derive(Clone, Copy)]
pub(super) enum Outcome {
    Done,
    Retry,
    Later,
    DeadLetter,
    Unpublished,
    Aborted,
    Panicked,
}

impl Outcome {
    const ALL: [Self; 7] = [
        Self::Done,
        Self::Retry,
        Self::Later,
        Self::DeadLetter,
        Self::Unpublished,
        Self::Aborted,
        Self::Panicked,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Retry => "retry",
            Self::Later => "later",
            Self::DeadLetter => "dead",
            Self::Unpublished => "unpublished",
            Self::Aborted => "aborted",
            Self::Panicked => "panicked",
        }
    }
}

impl Meter {
    /// Shows all of them from now on.
    pub(super) fn start(service: &'static str, consumer: &'static str, slots: usize) -> Arc<Self> {
        let labels = [service, consumer];
        table::SLOTS.set(labels, f64::from(u32::try_from(slots).unwrap_or(u32::MAX)));
        let meter = Self {
            consumer,
            attached: table::ATTACHED.series(labels),
            slots_in_use: table::SLOTS_IN_USE.series(labels),
            waiting: table::WAITING.series(labels),
            handling: table::HANDLING.series(labels),
            redeliveries: table::REDELIVERIES.series(labels),
            handled: Outcome::ALL.map(|outcome| table::HANDLED.series([service, consumer, outcome.as_str()])),
        };
        meter.attached(false);
        Arc::new(meter)
    }

    pub(super) fn attached(&self, attached: bool) {
        self.attached.set(f64::from(u8::from(attached)));
    }

    /// Takes a slot.
    pub(super) fn slot(&self) -> Slot {
        self.slots_in_use.increment(1.0);
        Slot(self.slots_in_use.clone())
    }

    /// Takes note of a delivery. Later ones have waited for what was decided before, not for a free slot.
    pub(super) fn delivered(&self, attempt: u64, waited: Duration) {
        trace::record_attempt(attempt);
        if attempt > 1 {
            self.redeliveries.increment(1);
        } else {
            self.waiting.record(waited);
        }
    }

    /// The span of a delivery.
    pub(super) fn processing(&self, subject: &str, traceparent: Option<&str>) -> Span {
        trace::consumer_span(subject, self.consumer, traceparent)
    }

    /// Takes note of a delivery's end.
    pub(super) fn ended(&self, outcome: Outcome) {
        trace::record_outcome(outcome.as_str(), !matches!(outcome, Outcome::Done | Outcome::Later));
        self.handled[outcome as usize].increment(1);
    }

    pub(super) fn took(&self, time: Duration) {
        self.handling.record(time);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
