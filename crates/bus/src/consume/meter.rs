//! The metrics and spans of a consumer loop.

use std::sync::Arc;
use std::time::Duration;

use gavel_telemetry::series::{Counter, Gauge, Histogram};
use gavel_telemetry::{table, trace};
use tracing::Span;

/// The metrics of one consumer loop.
pub(super) struct Meter {
    consumer: &'static str,
    attached: Gauge,
    slots_in_use: Gauge,
    waiting: Histogram,
    handling: Histogram,
    redeliveries: Counter,
    dead_letters_lost: Counter,
    handled: [Counter; Outcome::ALL.len()],
}

/// Counts a slot as in use while it lives.
pub(super) struct SlotInUse(Gauge);

/// How a delivery ended. Only after `Done` and `DeadLetter` is the event not delivered again.
#[derive(Clone, Copy)]
pub(super) enum Outcome {
    Done,
    Retry,
    Deferred,
    DeadLetter,
    Unpublished,
    Aborted,
    Panicked,
}

impl Outcome {
    const ALL: [Self; 7] = [
        Self::Done,
        Self::Retry,
        Self::Deferred,
        Self::DeadLetter,
        Self::Unpublished,
        Self::Aborted,
        Self::Panicked,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Retry => "retry",
            Self::Deferred => "later",
            Self::DeadLetter => "dead",
            Self::Unpublished => "unpublished",
            Self::Aborted => "aborted",
            Self::Panicked => "panicked",
        }
    }
}

impl Meter {
    /// Creates the metrics; all of them are exported from now on.
    pub(super) fn start(service: &'static str, consumer: &'static str, slots: usize) -> Arc<Self> {
        let labels = [service, consumer];
        table::SLOTS.set(labels, f64::from(u32::try_from(slots).unwrap_or(u32::MAX)));
        let attached = table::CONSUMER_ATTACHED.series(labels);
        let meter = Self::of(service, consumer, attached, table::SLOTS_IN_USE.series(labels));
        meter.attached(false);
        Arc::new(meter)
    }

    /// The metrics of another consumer whose messages use the same slots.
    pub(super) fn in_same_slots(&self, service: &'static str, consumer: &'static str) -> Arc<Self> {
        Arc::new(Self::of(service, consumer, self.attached.clone(), self.slots_in_use.clone()))
    }

    /// The metrics of messages that are handled without slots.
    pub(super) fn without_slots(service: &'static str, consumer: &'static str) -> Arc<Self> {
        Arc::new(Self::of(service, consumer, Gauge::noop(), Gauge::noop()))
    }

    fn of(service: &'static str, consumer: &'static str, attached: Gauge, slots_in_use: Gauge) -> Self {
        let labels = [service, consumer];
        Self {
            consumer,
            attached,
            slots_in_use,
            waiting: table::WAITING_SECONDS.series(labels),
            handling: table::HANDLING_SECONDS.series(labels),
            redeliveries: table::REDELIVERIES.series(labels),
            dead_letters_lost: table::DEAD_LETTERS_LOST.series(labels),
            handled: Outcome::ALL.map(|outcome| table::HANDLED.series([service, consumer, outcome.as_str()])),
        }
    }

    pub(super) fn attached(&self, attached: bool) {
        self.attached.set(f64::from(u8::from(attached)));
    }

    /// Counts a slot as in use.
    pub(super) fn slot(&self) -> SlotInUse {
        self.slots_in_use.increment(1.0);
        SlotInUse(self.slots_in_use.clone())
    }

    /// Records a delivery. A redelivery has waited for its retry delay, not for a free slot.
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

    /// Records the end of a delivery.
    pub(super) fn ended(&self, outcome: Outcome) {
        trace::record_outcome(outcome.as_str(), !matches!(outcome, Outcome::Done | Outcome::Deferred));
        self.handled[outcome as usize].increment(1);
    }

    /// Counts a dead letter that was not stored.
    pub(super) fn lost_dead_letter(&self) {
        self.dead_letters_lost.increment(1);
    }

    pub(super) fn took(&self, time: Duration) {
        self.handling.record(time);
    }
}

impl Drop for SlotInUse {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
