//! What goes on beside the submissions: Judge0's limits are read and refreshed, and one that is away is probed.

use std::sync::Arc;

use gavel_domain::Backoff;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::breaker::State;
use crate::call::{CallError, chain};
use crate::judge0::Shared;
use crate::limits::Limits;

/// A token that no submission has: looking at it shows that Judge0 knows us and reaches its database.
const NO_TOKEN: &str = "gavel-probe";

/// Runs until it is aborted.
pub(crate) async fn keep(shared: Arc<Shared>) {
    let mut failures = 0;
    loop {
        if shared.breaker.state() != State::Closed {
            sleep(shared.breaker.pause()).await;
            match probe(&shared).await {
                Ok(()) => shared.breaker.close(),
                Err(error) => shared.breaker.stay_open(&error),
            }
            continue;
        }
        let read = shared.client.limits().await;
        shared.breaker.note(&read);
        let pause = match read {
            Ok(limits) => {
                failures = 0;
                set(&shared, limits);
                // They are only told to others: without them everything works.
                match shared.client.languages().await {
                    Ok(languages) => drop(shared.languages.send_replace(languages)),
                    Err(error) => info!(cause = chain(&error), "Judge0's languages cannot be read"),
                }
                shared.pace.refresh
            }
            Err(error) => {
                failures += 1;
                warn!(cause = chain(&error), "Judge0's limits cannot be read");
                Backoff { base: shared.pace.retry.base, cap: shared.pace.refresh }
                    .delay(failures, rand::random())
            }
        };
        // An outage ends the pause: an error is the end of the pause.
        let _ = timeout(pause, shared.breaker.problem()).await;
    }
}

async fn probe(shared: &Shared) -> Result<(), CallError> {
    let limits = shared.client.limits().await?;
    shared.client.look(&[NO_TOKEN]).await?;
    set(shared, limits);
    Ok(())
}

fn set(shared: &Shared, limits: Limits) {
    let before = shared.limits.send_replace(Some(limits));
    if before != Some(limits) {
        info!(?limits, "Judge0's limits");
    }
}
