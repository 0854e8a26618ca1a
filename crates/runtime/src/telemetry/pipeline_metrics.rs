//! Metrics of the pipeline that several services share: queues and verdicts.

use futures::future::join_all;
use gavel_bus::topology::Durable;
use gavel_bus::{Bus, Outgoing};
use gavel_domain::catalogue;
use gavel_domain::event::Judged;
use gavel_telemetry::table;

/// Asks NATS for the depth of all queues and sets their metrics. An unknown value is NaN.
///
/// The services that work on a queue may all be down when its depth matters most: with no judge alive, the judges' queue
/// is what everyone looks at. So the service that calls this measures all queues.
pub(crate) async fn measure_queues(service: &'static str, bus: &Bus) {
    let measure = |durable: Durable| async move {
        let depth = bus.queue_depth(durable).await;
        let labels = [service, durable.name()];
        table::QUEUE_PENDING.set(labels, depth.pending.map_or(f64::NAN, gauge));
        table::QUEUE_IN_PROGRESS.set(labels, depth.in_progress.map_or(f64::NAN, gauge));
        table::QUEUE_OLDEST_SECONDS.set(labels, depth.oldest_age.map_or(f64::NAN, |age| age.as_secs_f64()));
    };
    join_all(Durable::ALL.map(measure)).await;
}

/// Returns the message for a verdict. The verdict is counted once it is stored, by the service that stored it.
#[must_use]
pub fn counted_verdict(service: &'static str, judged: &Judged) -> Outgoing {
    let labels =
        [service, catalogue::metric_label(judged.submission.language), judged.verdict.status.as_str()];
    Outgoing::from(judged).on_stored(move || table::VERDICTS.add(labels))
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn gauge(count: u64) -> f64 {
    count as f64
}
