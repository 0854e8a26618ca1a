//! What becomes of messages that no service takes until their stream would soon delete them.

use std::time::{Duration, SystemTime};

use gavel_bus::topology::Stream;
use gavel_bus::{Bus, Cause, Delivery, Failure, Handler, Ledger, Outgoing};
use gavel_domain::Verdict;
use gavel_domain::event::{Judged, Queued, Stage};

use crate::telemetry::counted_verdict;

/// The redelivery delay if the history cannot be read.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// Ends a queued submission that no fetcher took with an `error`, and a dead letter from which it can be retried.
pub(crate) struct UntakenSubmissions {
    bus: Bus,
    service: &'static str,
    instance: String,
}

impl UntakenSubmissions {
    pub(crate) fn new(bus: Bus, service: &'static str, instance: &str) -> Self {
        Self { bus, service, instance: instance.to_owned() }
    }
}

impl Handler for UntakenSubmissions {
    type Event = Queued;
    const STAGE: Stage = Stage::Fetcher;

    async fn handle(&self, delivery: &Delivery<Queued>) -> Result<Vec<Outgoing>, Failure> {
        let key = delivery.event.submission.key();
        // A consumer that was created again delivers everything once more.
        if self.bus.has_left_queue(&key).await.map_err(retry)? {
            return Ok(Vec::new());
        }
        Err(Failure::Reject(Cause::expiring(Self::STAGE, Stream::Queued)))
    }

    fn give_up(&self, event: &Queued, cause: &Cause) -> Vec<Outgoing> {
        let verdict = Verdict::error(cause.reason().unwrap_or_default());
        let judged = Judged::new(event.submission.clone(), verdict, SystemTime::now(), &self.instance);
        vec![counted_verdict(self.service, &judged)]
    }
}

/// Makes a dead letter of a verdict that no reporter took, from which it can be retried.
pub(crate) struct UntakenVerdicts {
    ledger: Ledger,
}

impl UntakenVerdicts {
    pub(crate) fn new(bus: Bus, instance: &str) -> Self {
        Self { ledger: Ledger::new(bus, instance.to_owned()) }
    }
}

impl Handler for UntakenVerdicts {
    type Event = Judged;
    const STAGE: Stage = Stage::Reporter;

    async fn handle(&self, delivery: &Delivery<Judged>) -> Result<Vec<Outgoing>, Failure> {
        let key = delivery.event.submission.key();
        if self.ledger.is_reported(&key).await.map_err(retry)?
            || self.ledger.is_superseded(&key).await.map_err(retry)?
        {
            return Ok(Vec::new());
        }
        Err(Failure::Reject(Cause::expiring(Self::STAGE, Stream::Result)))
    }

    fn give_up(&self, _event: &Judged, _cause: &Cause) -> Vec<Outgoing> {
        Vec::new()
    }
}

fn retry(error: impl std::error::Error) -> Failure {
    Failure::Retry { after: RETRY_DELAY, cause: error.into() }
}
