//! The upkeep task: reads Judge0's limits and languages from time to time, and probes a Judge0 that is unreachable.

use std::sync::Arc;

use gavel_domain::Backoff;
use gavel_domain::error::chain;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::breaker::BreakerState;
use crate::call::Judge0Error;
use crate::limits::Judge0Limits;
use crate::shared::Shared;

/// A token that no submission has. Polling it proves that Judge0 accepts the API key and reaches its database.
const PROBE_TOKEN: &str = "gavel-probe";

/// Runs until it is aborted.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut failures = 0;
    loop {
        if shared.breaker.state() != BreakerState::Closed {
            sleep(shared.breaker.probe_delay()).await;
            match probe(&shared).await {
                Ok(()) => shared.breaker.close(),
                Err(error) => shared.breaker.stay_open(&error),
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

async fn probe(shared: &Shared) -> Result<(), Judge0Error> {
    let limits = shared.client.limits().await?;
    shared.client.poll(&[PROBE_TOKEN]).await?;
    set_limits(shared, limits);
    Ok(())
}

fn set_limits(shared: &Shared, limits: Judge0Limits) {
    let before = shared.limits.send_replace(Some(limits));
    if before != Some(limits) {
        info!(?limits, "read Judge0's limits");
    }
}
