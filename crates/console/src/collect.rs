//! Collects the state of the pipeline for all readers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gavel_describe::finding::{Finding, nats as checks};
use gavel_describe::status::Status;
use gavel_inspect::InspectError;

use crate::nats;
use crate::overview::Overview;
use crate::state::State;

/// How long to listen for heartbeats: longer than their interval. Rates are measured over the same time.
const LISTEN_TIME: Duration = Duration::from_millis(2_500);
/// How long one collection may take in all.
const COLLECT_TIMEOUT: Duration = Duration::from_secs(15);
/// The pause between collections while someone watches, and while no one does.
const ACTIVE_PAUSE: Duration = Duration::from_millis(100);
const IDLE_PAUSE: Duration = Duration::from_secs(20);
/// The pause after a failure.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How often the streams and consumers are compared with those that the services expect.
const TOPOLOGY_INTERVAL: Duration = Duration::from_mins(1);

/// The state as it is known now. Whether NATS is connected is never out of date.
pub(crate) fn current(state: &State) -> Arc<Overview> {
    let known = Arc::clone(&state.overview.borrow());
    if state.bus.is_connected() || !known.is_connected() {
        return known;
    }
    Arc::new(known.disconnected())
}

/// Collects the state again and again until it is aborted.
pub(crate) async fn collect(state: Arc<State>) {
    let mut topology = Topology::default();
    loop {
        if !state.bus.is_connected() {
            let known = state.overview.borrow().disconnected();
            state.overview.send_replace(Arc::new(known));
            state.bus.connection().wait_connected().await;
        }
        let collected = tokio::select! {
            collected = tokio::time::timeout(COLLECT_TIMEOUT, overview(&state, &mut topology)) => {
                collected.unwrap_or(Err(InspectError::NoAnswer))
            }
            () = nats::until_disconnected(&state.bus) => continue,
        };
        let pause = match collected {
            Ok(overview) => {
                state.overview.send_replace(Arc::new(overview));
                if state.has_readers() { ACTIVE_PAUSE } else { IDLE_PAUSE }
            }
            Err(error) => {
                let failed = state.overview.borrow().failed(&error);
                state.overview.send_replace(Arc::new(failed));
                RETRY_PAUSE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = state.reader_came.notified() => {}
        }
    }
}

/// What the last comparison of the streams and consumers has found.
#[derive(Default)]
struct Topology {
    compared_at: Option<Instant>,
    findings: Vec<Finding>,
}

impl Topology {
    async fn compare(&mut self, state: &State) -> Result<Vec<Finding>, InspectError> {
        if self.compared_at.is_none_or(|at| at.elapsed() > TOPOLOGY_INTERVAL) {
            let differences = state.inspector.topology_differences(None).await?;
            self.findings = differences.iter().map(checks::difference_finding).collect();
            self.compared_at = Some(Instant::now());
        }
        Ok(self.findings.clone())
    }
}

async fn overview(state: &State, topology: &mut Topology) -> Result<Overview, InspectError> {
    let status = Status::collect(&state.inspector, LISTEN_TIME).await?;
    let mut findings = topology.compare(state).await?;
    findings.extend(checks::services(&state.inspector, &status.heartbeats).await);
    findings.push(checks::clock(status.clock_skew_ms));
    findings.extend(status.stream_stats.iter().filter_map(checks::nearly_full));
    let table = state.table();
    Ok(Overview::of(status, findings, table.running(), table.problem.clone()))
}
