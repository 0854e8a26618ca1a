//! The one table of metrics. `docs/operations.md` repeats it, and a test proves that both are the same.
//!
//! The number of label values is bounded: `consumer` is the name of a durable consumer, `endpoint` and `route` are
//! templates, `language` is a known language or `other`, `event` is the name of a message type, and all others are
//! constants in the code.

use crate::meter::{Counter, Gauge, Histogram, Kind, Row};

/// Defines each metric as a constant, and all of them as rows of [`ALL`].
macro_rules! table {
    ($($(#[doc = $help:literal])+ $kind:ident $id:ident = $name:literal [$($label:literal),+];)+) => {
        $(
            $(#[doc = $help])+
            pub const $id: $kind<{ [$($label),+].len() }> = $kind::new($name, [$($label),+]);
        )+

        /// All metrics.
        pub const ALL: &[Row] = &[$(
            Row { name: $name, kind: Kind::$kind, labels: &[$($label),+], help: concat!($($help),+).trim_ascii_start() },
        )+];
    };
}

table! {
    /// Always 1; the label `version` has the version and the commit of the service.
    Gauge BUILD = "gavel_build_info" ["service", "version"];
    /// HTTP requests, by route template and response status.
    Counter HTTP_REQUESTS = "gavel_http_requests_total" ["service", "method", "route", "status"];
    /// Duration of HTTP requests.
    Histogram HTTP_SECONDS = "gavel_http_request_duration_seconds" ["service", "method", "route"];
    /// Calls to Convex and Judge0, callbacks included, by outcome.
    Counter CLIENT_REQUESTS = "gavel_client_requests_total" ["service", "peer", "method", "endpoint", "outcome"];
    /// Duration of calls to Convex and Judge0.
    Histogram CLIENT_SECONDS = "gavel_client_request_duration_seconds" ["service", "peer", "method", "endpoint"];
    /// 1 while the connection to NATS is up, otherwise 0.
    Gauge NATS_CONNECTED = "gavel_nats_connected" ["service"];
    /// 1 while the stream stores messages, as the last probe of this instance shows, otherwise 0.
    Gauge STREAM_STORES = "gavel_stream_stores" ["service", "stream"];
    /// Messages published to NATS, by result.
    Counter PUBLISHED = "gavel_published_total" ["service", "event", "result"];
    /// Duration of publishes until NATS answers, retries included.
    Histogram PUBLISH_SECONDS = "gavel_publish_duration_seconds" ["service"];
    /// 1 while this instance is attached to its consumer, otherwise 0.
    Gauge CONSUMER_ATTACHED = "gavel_consumer_attached" ["service", "consumer"];
    /// Events that this instance can handle at a time.
    Gauge SLOTS = "gavel_slots" ["service", "consumer"];
    /// Events that this instance is handling.
    Gauge SLOTS_IN_USE = "gavel_slots_in_use" ["service", "consumer"];
    /// Time from storing an event to its first delivery.
    Histogram WAITING_SECONDS = "gavel_waiting_seconds" ["service", "consumer"];
    /// Time from the delivery of an event to its settlement.
    Histogram HANDLING_SECONDS = "gavel_handling_seconds" ["service", "consumer"];
    /// Deliveries, by outcome: done, retry, later, dead, unpublished, aborted, panicked.
    Counter HANDLED = "gavel_handled_total" ["service", "consumer", "outcome"];
    /// Dead letters that NATS did not store although the submission ended.
    Counter DEAD_LETTERS_LOST = "gavel_dead_letters_lost_total" ["service", "consumer"];
    /// Dead letters, or messages of dead letters, that left a full stream, without those that it also stored since the last scrape. Each reporter reports all: aggregate with max.
    Counter DEAD_LETTERS_DISCARDED = "gavel_dead_letters_discarded_total" ["service", "stream"];
    /// Deliveries of an event after the first one.
    Counter REDELIVERIES = "gavel_redeliveries_total" ["service", "consumer"];
    /// Events not delivered yet. Each reporter reports all consumers: aggregate with max.
    Gauge QUEUE_PENDING = "gavel_queue_pending" ["service", "consumer"];
    /// Events in progress or waiting for a retry, over all instances. Each reporter reports all consumers: aggregate with max.
    Gauge QUEUE_IN_PROGRESS = "gavel_queue_in_hand" ["service", "consumer"];
    /// Age of the oldest unfinished event. Each reporter reports all consumers: aggregate with max.
    Gauge QUEUE_OLDEST_SECONDS = "gavel_queue_oldest_seconds" ["service", "consumer"];
    /// Age of the oldest submission that waits for a judge with its language. Each reporter reports all languages: aggregate with max.
    Gauge LANGUAGE_OLDEST_SECONDS = "gavel_language_oldest_seconds" ["service", "language"];
    /// Verdicts, counted by the service that stored each.
    Counter VERDICTS = "gavel_verdicts_total" ["service", "language", "status"];
    /// Time from accepting a submission to the delivery of its result to Convex.
    Histogram SUBMISSION_SECONDS = "gavel_submission_seconds" ["service", "status"];
    /// Jobs that an engine could not run, faults of the sandbox included, by kind: final, passing, unavailable.
    Counter ENGINE_FAULTS = "gavel_engine_faults_total" ["service", "engine", "kind"];
    /// 1 for the current state of an engine's circuit breaker: closed, open (unreachable, or runs nothing), denied (API key rejected).
    Gauge BREAKER = "gavel_engine_breaker" ["service", "engine", "state"];
    /// 1 for the current state of the circuit breaker of the calls to Convex: closed, open (only probes are sent).
    Gauge CONVEX_BREAKER = "gavel_convex_breaker" ["service", "state"];
    /// Lookups in a cache, by result: bundle, stored, flight (a fetch shared by concurrent submissions).
    Counter CACHE_LOOKUPS = "gavel_cache_lookups_total" ["service", "cache", "result"];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documentation_matches_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md");
        let text = std::fs::read_to_string(path).unwrap();
        let documented: Vec<&str> = text.lines().filter(|line| line.starts_with("| `gavel_")).collect();
        let rows = ALL.iter().map(|row| {
            let kind = format!("{:?}", row.kind).to_lowercase();
            format!("| `{}` | {kind} | {} | {} |", row.name, row.labels.join(", "), row.help)
        });
        assert_eq!(documented, rows.collect::<Vec<_>>());
    }

    #[test]
    fn names_end_in_the_unit_and_labels_begin_with_the_service() {
        for row in ALL {
            assert_eq!(row.labels[0], crate::SERVICE, "{}", row.name);
            assert_eq!(row.kind == Kind::Counter, row.name.ends_with("_total"), "{}", row.name);
            assert!(row.kind != Kind::Histogram || row.name.ends_with("_seconds"), "{}", row.name);
        }
    }
}
