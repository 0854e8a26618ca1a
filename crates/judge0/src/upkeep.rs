//! The upkeep task: reads Judge0's limits and languages from time to time, and probes a Judge0 that is unreachable.

use std::sync::Arc;

use gavel_domain::Backoff;
use gavel_domain::error::chain;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use crate::breaker::BreakerState;
use crate::call::Judge0Error;
use crate::canary::{Canary, CanaryResult};
use crate::limits::Judge0Limits;
use crate::shared::Shared;

/// A token that no submission has. Polling it proves that Judge0 accepts the API key and reaches its database.
const PROBE_TOKEN: &str = "gavel-probe";

/// Runs until it is aborted.
pub(crate) async fn run(shared: Arc<Shared>, canary: Arc<Canary>) {
    let mut failures = 0;
    loop {
        if shared.breaker.state() != BreakerState::Closed {
            sleep(shared.breaker.probe_delay()).await;
            match probe(&shared, &canary).await {
                Ok(()) => shared.breaker.close(),
                // A busy Judge0 is alive: it is probed again soon.
                Err(ProbeFailure::Call(error @ Judge0Error::Busy { .. })) => {
                    debug!(cause = chain(&error), "cannot probe Judge0");
                    sleep(error.retry_after().unwrap_or_default()).await;
                }
                Err(ProbeFailure::Call(error)) => shared.breaker.stay_open(BreakerState::of(&error)),
                Err(ProbeFailure::NotRunning(cause)) => {
                    shared.breaker.stay_open(BreakerState::NotRunning(cause));
                }
            }
            continue;
        }
        let read = shared.client.limits().await;
        shared.breaker.note(&read);
        let delay = match read {
            Ok(limits) => {
                failures = 0;
                set_limits(&shared, limits);
                // The languages are only shown to people: judging works without them.
                match shared.client.languages().await {
                    Ok(languages) => drop(shared.languages.send_replace(languages)),
                    Err(error) => info!(cause = chain(&error), "cannot read Judge0's languages"),
                }
                shared.tuning.refresh_interval
            }
            Err(error) => {
                failures += 1;
                warn!(cause = chain(&error), "cannot read Judge0's limits");
                Backoff { base: shared.tuning.retry.base, cap: shared.tuning.refresh_interval }
                    .delay(failures, rand::random())
            }
        };
        // An outage ends the delay early; a timeout is its normal end.
        let _ = timeout(delay, shared.breaker.problem()).await;
    }
}

/// Why a probe failed.
enum ProbeFailure {
    /// A call failed.
    Call(Judge0Error),
    /// Judge0 runs no programs, for this reason.
    NotRunning(String),
}

impl From<Judge0Error> for ProbeFailure {
    fn from(error: Judge0Error) -> Self {
        Self::Call(error)
    }
}

/// Finds out whether Judge0 works again.
async fn probe(shared: &Shared, canary: &Canary) -> Result<(), ProbeFailure> {
    let limits = shared.client.limits().await?;
    shared.client.poll(&[PROBE_TOKEN]).await?;
    set_limits(shared, limits);
    if shared.breaker.must_run_a_program() {
        // Without workers each canary would only fill the queue.
        let workers = shared.client.workers().await;
        if let Some(problem) = workers.ok().and_then(|workers| workers.problem()) {
            return Err(ProbeFailure::NotRunning(problem));
        }
        match canary.check(Instant::now()).await? {
            CanaryResult::Broken(cause) => return Err(ProbeFailure::NotRunning(cause)),
            CanaryResult::Ran | CanaryResult::ToolMissing => shared.breaker.note_finished_test(),
        }
    }
    Ok(())
}

fn set_limits(shared: &Shared, limits: Judge0Limits) {
    let before = shared.limits.send_replace(Some(limits));
    if before != Some(limits) {
        info!(?limits, "read Judge0's limits");
        if limits.are_unknown() {
            warn!(
                "Judge0 does not report its limits: they are unknown, and what exceeds them ends with an error"
            );
        }
    }
}
