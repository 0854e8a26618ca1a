//! Probing the streams that a service publishes to: whether they store messages.

use std::time::Duration;

use futures::future::join_all;
use gavel_bus::Bus;
use gavel_bus::topology::Stream;
use gavel_domain::Backoff;
use gavel_telemetry::table;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{error, info};

use crate::health::{self, Check};

/// The pause between two probes of a stream that stores messages.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
/// The pauses between two probes of a stream that does not.
const RETRY_BACKOFF: Backoff = Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(2) };
/// After how many probes in a row a problem is logged: a service that has just started may be about to create the stream.
const LOGGED_AFTER: u64 = 5;

/// The result of the last probe of each stream.
pub(crate) struct StreamProbes {
    service: &'static str,
    problems: Vec<(Stream, watch::Sender<Option<String>>)>,
}

impl StreamProbes {
    /// Probes of these streams, for the metrics of `service`. Before the first result, a stream has a problem.
    pub(crate) fn new(service: &'static str, streams: &[Stream]) -> Self {
        let unknown = |stream: Stream| {
            let problem = format!("stream {} has not been checked yet", stream.name());
            (stream, watch::Sender::new(Some(problem)))
        };
        Self { service, problems: streams.iter().copied().map(unknown).collect() }
    }

    /// Returns the check that reads the results.
    pub(crate) fn check(&self) -> Check {
        let receivers: Vec<_> = self.problems.iter().map(|(_, problem)| problem.subscribe()).collect();
        health::check(move || {
            let problems: Vec<String> =
                receivers.iter().filter_map(|problem| problem.borrow().clone()).collect();
            async move { if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) } }
        })
    }

    /// Probes the streams until dropped.
    pub(crate) async fn run(self, bus: Bus) {
        let probe = |(stream, problem)| probe(&bus, self.service, stream, problem);
        join_all(self.problems.into_iter().map(probe)).await;
    }
}

async fn probe(bus: &Bus, service: &'static str, stream: Stream, problem: watch::Sender<Option<String>>) {
    let mut failures = 0;
    loop {
        bus.connection().wait_connected().await;
        let mut connection = bus.connection().state();
        let found = bus.check_store(stream).await.err().map(|problem| problem.to_string());
        table::STREAM_STORES.set([service, stream.name()], if found.is_none() { 1.0 } else { 0.0 });
        if let Some(problem) = &found {
            failures += 1;
            if failures == LOGGED_AFTER {
                error!("{problem}");
            }
        } else {
            if failures >= LOGGED_AFTER {
                info!("stream {} stores messages again", stream.name());
            }
            failures = 0;
        }
        problem.send_replace(found);
        let pause = if failures == 0 { PROBE_INTERVAL } else { RETRY_BACKOFF.delay(failures, 1.0) };
        // The next connection may be to a server that was restarted.
        let _ = timeout(pause, connection.changed()).await;
    }
}
