//! What a consumer loop tells of itself, in figures and spans.

use std::time::Duration;

use gavel_telemetry::{table, trace};
use tracing::Span;

/// The figures of one consumer loop.
#[derive(Clone, Copy)]
pub(super) struct Meter {
    service: &'static str,
    consumer: &'static str,
}

/// A slot that is taken for as long as this lives.
pub(super) struct Slot(Meter);

/// How a delivery ended. Only `Done` and `Dead` are the event's end.
#[derive(Clone, Copy)]
pub(super) enum Outcome {
    Done,
    Retry,
    Later,
    Dead,
    Unpublished,
    Aborted,
    Panicked,
}

impl Outcome {
    const ALL: [Self; 7] =
        [Self::Done, Self::Retry, Self::Later, Self::Dead, Self::Unpublished, Self::Aborted, Self::Panicked];

    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Retry => "retry",
            Self::Later => "later",
            Self::Dead => "dead",
            Self::Unpublished => "unpublished",
            Self::Aborted => "aborted",
            Self::Panicked => "panicked",
        }
    }
}

impl Meter {
    /// Shows all of them from now on.
    pub(super) fn start(service: &'static str, consumer: &'static str, slots: usize) -> Self {
        let meter = Self { service, consumer };
        table::SLOTS.set(meter.labels(), f64::from(u32::try_from(slots).unwrap_or(u32::MAX)));
        table::SLOTS_IN_USE.add(meter.labels(), 0.0);
        table::WAITING.show(meter.labels());
        table::HANDLING.show(meter.labels());
        table::REDELIVERIES.show(meter.labels());
        for outcome in Outcome::ALL {
            table::HANDLED.show([service, consumer, outcome.as_str()]);
        }
        meter.attached(false);
        meter
    }

    pub(super) fn attached(self, attached: bool) {
        table::ATTACHED.set(self.labels(), f64::from(u8::from(attached)));
    }

    /// Takes a slot.
    pub(super) fn slot(self) -> Slot {
        table::SLOTS_IN_USE.add(self.labels(), 1.0);
        Slot(self)
    }

    /// Takes note of a delivery. Later ones have waited for what was decided before, not for a free slot.
    pub(super) fn delivered(self, attempt: u64, waited: Duration) {
        trace::attempt(attempt);
        if attempt > 1 {
            table::REDELIVERIES.add(self.labels());
        } else {
            table::WAITING.note(self.labels(), waited);
        }
    }

    /// The span of a delivery.
    pub(super) fn processing(self, subject: &str, traceparent: Option<&str>) -> Span {
        trace::processing(subject, self.consumer, traceparent)
    }

    /// Takes note of a delivery's end.
    pub(super) fn ended(self, outcome: Outcome) {
        trace::outcome(outcome.as_str(), !matches!(outcome, Outcome::Done | Outcome::Later));
        table::HANDLED.add([self.service, self.consumer, outcome.as_str()]);
    }

    pub(super) fn took(self, time: Duration) {
        table::HANDLING.note(self.labels(), time);
    }

    fn labels(self) -> [&'static str; 2] {
        [self.service, self.consumer]
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        table::SLOTS_IN_USE.add(self.0.labels(), -1.0);
    }
}
