//! Metrics of the pipeline that several services share: queues and verdicts.

use std::collections::HashMap;
use std::time::Duration;

use futures::future::join_all;
use gavel_bus::topology::{Durable, Stream};
use gavel_bus::{Bus, Outgoing, StreamSnapshot, WaitingLanguage};
use gavel_domain::catalogue;
use gavel_domain::event::Judged;
use gavel_telemetry::table;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// How long the server may take to list the languages that submissions wait for.
const LANGUAGES_TIMEOUT: Duration = Duration::from_secs(1);

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
    tokio::join!(join_all(Durable::ALL.map(measure)), measure_languages(service, bus));
}

/// Counts the messages that the streams of dead letters discarded because they were full.
#[derive(Default)]
pub(crate) struct DiscardCounter(Mutex<HashMap<Stream, StreamSnapshot>>);

impl DiscardCounter {
    const STREAMS: [Stream; 2] = [Stream::DeadLetter, Stream::DeadMessages];

    /// Exports the metrics with the value 0.
    pub(crate) fn init(service: &'static str) {
        for stream in Self::STREAMS {
            table::DEAD_LETTERS_DISCARDED.init([service, stream.name()]);
        }
    }

    /// Counts what the streams have discarded since the last call. Of two calls at a time, one waits, so that neither counts
    /// what the other does.
    pub(crate) async fn measure(&self, service: &'static str, bus: &Bus) {
        let mut snapshots = self.0.lock().await;
        for stream in Self::STREAMS {
            let Some(snapshot) = bus.snapshot(stream, snapshots.get(&stream).copied()).await else {
                continue;
            };
            table::DEAD_LETTERS_DISCARDED.series([service, stream.name()]).increment(snapshot.discarded);
            snapshots.insert(stream, snapshot);
        }
    }
}

/// Sets the metrics of the languages that submissions wait for: of each that the app offers, and of all others together.
async fn measure_languages(service: &'static str, bus: &Bus) {
    let waiting = match timeout(LANGUAGES_TIMEOUT, bus.waiting_languages()).await {
        Ok(Ok(waiting)) if bus.is_connected() => Some(waiting),
        _ => None,
    };
    for label in catalogue::offered().map(catalogue::metric_label).chain([catalogue::OTHER_LABEL]) {
        let oldest = |waiting: &Vec<WaitingLanguage>| {
            let of_label =
                waiting.iter().filter(|waiting| catalogue::metric_label(waiting.language) == label);
            of_label.map(|waiting| waiting.since.elapsed().unwrap_or_default()).max().unwrap_or_default()
        };
        let seconds = waiting.as_ref().map_or(f64::NAN, |waiting| oldest(waiting).as_secs_f64());
        table::LANGUAGE_OLDEST_SECONDS.set([service, label], seconds);
    }
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
