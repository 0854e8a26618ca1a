//! The one table of metrics. `docs/operations.md` has it for people, and a test keeps the two the same.
//!
//! Label values are bounded: `consumer` is a durable's name, `endpoint` and `route` are templates, `language` is one of
//! the known ones or `other`, `event` is a schema's name; the rest are words of this code.

use crate::meter::{Counter, Gauge, Histogram, Kind, Row};

/// Each metric as a constant, and all of them as rows.
macro_rules! table {
    ($($(#[doc = $help:literal])+ $kind:ident $id:ident = $name:literal [$($label:literal),+];)+) => {
        $(
            $(#[doc = $help])+
            pub const $id: $kind<{ [$($label),+].len() }> = $kind::new($name, [$($label),+]);
        )+

        /// All of them.
        pub const ALL: &[Row] = &[$(
            Row { name: $name, kind: Kind::$kind, labels: &[$($label),+], help: concat!($($help),+).trim_ascii_start() },
        )+];
    };
}

table! {
    /// 1; the label tells the version.
    Gauge BUILD = "gavel_build_info" ["service", "version"];
    /// Requests that were answered, by route template and status.
    Counter HTTP_REQUESTS = "gavel_http_requests_total" ["service", "method", "route", "status"];
    /// How long requests took to be answered.
    Histogram HTTP_SECONDS = "gavel_http_request_duration_seconds" ["service", "method", "route"];
    /// Calls to Convex and Judge0, callbacks among them, by what became of each.
    Counter CLIENT_REQUESTS = "gavel_client_requests_total" ["service", "peer", "method", "endpoint", "outcome"];
    /// How long such calls took.
    Histogram CLIENT_SECONDS = "gavel_client_request_duration_seconds" ["service", "peer", "method", "endpoint"];
    /// 1 while the connection to NATS is up.
    Gauge NATS_CONNECTED = "gavel_nats_connected" ["service"];
    /// Messages that were to be stored, by what NATS made of each.
    Counter PUBLISHED = "gavel_published_total" ["service", "event", "result"];
    /// How long NATS took to say so, repeats included.
    Histogram PUBLISH_SECONDS = "gavel_publish_duration_seconds" ["service"];
    /// 1 while the loop is attached to its consumer.
    Gauge ATTACHED = "gavel_consumer_attached" ["service", "consumer"];
    /// Events that may be in hand at once, in this instance.
    Gauge SLOTS = "gavel_slots" ["service", "consumer"];
    /// Events in hand, in this instance.
    Gauge SLOTS_IN_USE = "gavel_slots_in_use" ["service", "consumer"];
    /// From an event's being stored to its first delivery.
    Histogram WAITING = "gavel_waiting_seconds" ["service", "consumer"];
    /// From an event's delivery to its settlement.
    Histogram HANDLING = "gavel_handling_seconds" ["service", "consumer"];
    /// Deliveries that came to an end: done, retry, later, dead, unpublished, aborted, panicked.
    Counter HANDLED = "gavel_handled_total" ["service", "consumer", "outcome"];
    /// Deliveries that were not an event's first.
    Counter REDELIVERIES = "gavel_redeliveries_total" ["service", "consumer"];
    /// Events that nobody has taken yet. The reporters tell it for all; use max.
    Gauge QUEUE_PENDING = "gavel_queue_pending" ["service", "consumer"];
    /// Events in hand or waiting for a retry, over all instances. The reporters tell it for all; use max.
    Gauge QUEUE_IN_HAND = "gavel_queue_in_hand" ["service", "consumer"];
    /// The age of the oldest event that is not done. The reporters tell it for all; use max.
    Gauge QUEUE_OLDEST = "gavel_queue_oldest_seconds" ["service", "consumer"];
    /// Verdicts, counted by whoever stored each.
    Counter VERDICTS = "gavel_verdicts_total" ["service", "language", "status"];
    /// From a submission's being accepted to its result's being taken by Convex.
    Histogram SUBMISSION = "gavel_submission_seconds" ["service", "status"];
    /// Jobs that an engine could not do, the sandbox's faults among them: final, passing, unavailable.
    Counter ENGINE_FAULTS = "gavel_engine_faults_total" ["service", "engine", "kind"];
    /// 1 for the state that an engine's breaker is in: closed, open (it is away), denied (it refuses us).
    Gauge BREAKER = "gavel_engine_breaker" ["service", "engine", "state"];
    /// What was looked for before it was made: bundle, stored, flight (a fetch that others wait for, too).
    Counter CACHE = "gavel_cache_lookups_total" ["service", "cache", "result"];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_has_the_table_as_it_is() {
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
    fn names_say_kind_and_unit_and_each_series_has_its_service() {
        for row in ALL {
            assert_eq!(row.labels[0], crate::SERVICE, "{}", row.name);
            assert_eq!(row.kind == Kind::Counter, row.name.ends_with("_total"), "{}", row.name);
            assert!(row.kind != Kind::Histogram || row.name.ends_with("_seconds"), "{}", row.name);
        }
    }
}
