//! One queued submission.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::FutureExt as _;
use gavel_bus::{BundleError, Bundles, Bus, Cause, Delivery, Failure, Handler, Outgoing};
use gavel_convex::{CallError, Convex, FetchError, FetchLimits};
use gavel_domain::event::{BundleKey, Judged, Queued, Ready, Stage};
use gavel_domain::{Backoff, Kind, QuestionId, RequestId, Submission, Verdict};
use gavel_telemetry::table;
use moka::sync::Cache;
use tracing::{Instrument as _, info};

use crate::Config;
use crate::single_flight::{Crowded, SingleFlight};

const BACKOFF: Backoff = Backoff { base: Duration::from_millis(500), cap: Duration::from_secs(30) };
/// When a submission comes back whose question is being fetched while all who may wait for that do.
const CROWDED: Duration = Duration::from_secs(1);
/// How many bundles are remembered as stored. One more put costs a refused publish, nothing else.
const REMEMBERED: u64 = 10_000;

/// Why a question is not stored as a bundle.
#[derive(Debug, thiserror::Error)]
enum FetchFault {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// As many as may come again are calling Convex.
    #[error("too many are tried again at Convex")]
    Busy,
}

/// Fetches what queued submissions need.
pub(crate) struct Fetcher {
    source: Arc<Source>,
    flights: SingleFlight<(QuestionId, Kind), Arc<Result<BundleKey, FetchFault>>>,
    give_up_after: Duration,
    instance: String,
}

struct Source {
    convex: Convex,
    bundles: Bundles,
    limits: FetchLimits,
    stored: Cache<BundleKey, ()>,
}

impl Fetcher {
    pub(crate) fn new(bus: Bus, convex: Convex, config: &Config) -> Self {
        let source = Source {
            convex,
            bundles: Bundles::new(bus),
            limits: config.limits,
            stored: Cache::builder().max_capacity(REMEMBERED).time_to_live(Duration::from_hours(1)).build(),
        };
        Self {
            source: Arc::new(source),
            // The other slots are for other questions.
            flights: SingleFlight::new(config.slots * 7 / 8),
            give_up_after: config.give_up_after,
            instance: config.service.instance.clone(),
        }
    }

    /// The bundle of a submission's question. Those who ask at the same time share one fetch.
    async fn bundle(
        &self,
        submission: &Submission,
        attempt: u64,
        request_id: Option<RequestId>,
    ) -> Result<Arc<Result<BundleKey, FetchFault>>, Crowded> {
        let key = (submission.question_id.clone(), submission.kind);
        let (source, (id, kind)) = (Arc::clone(&self.source), key.clone());
        let mut found = "hit";
        let start = || {
            found = "miss";
            // The others only wait: it belongs to the trace of whoever came first.
            async move { Arc::new(source.fetch(&id, kind, attempt, request_id.as_ref()).await) }
                .in_current_span()
                .boxed()
        };
        let fetched = self.flights.join(key, start).await;
        table::CACHE.add(["fetcher", "flight", found]);
        fetched
    }

    /// The end of a submission that cannot be judged.
    fn error(&self, submission: &Submission, reason: &str) -> Outgoing {
        let verdict = Verdict::error(reason);
        Outgoing::from(&Judged::new(submission.clone(), verdict, SystemTime::now(), &self.instance))
    }

    fn retry(&self, delivery: &Delivery<Queued>, fault: &FetchFault) -> Failure {
        let cause = Cause::from(fault);
        if delivery.age() > self.give_up_after {
            return Failure::Reject(cause);
        }
        let asked = match fault {
            FetchFault::Fetch(FetchError::Call(call)) => CallError::retry_after(call),
            _ => None,
        };
        let backoff = BACKOFF.delay(delivery.attempt, rand::random());
        Failure::Retry { after: asked.unwrap_or_default().max(backoff).min(self.give_up_after), cause }
    }
}

impl Source {
    async fn fetch(
        &self,
        id: &QuestionId,
        kind: Kind,
        attempt: u64,
        request_id: Option<&RequestId>,
    ) -> Result<BundleKey, FetchFault> {
        let slot = if attempt == 1 { Some(self.convex.slot().await) } else { self.convex.slot_again().await };
        let slot = slot.ok_or(FetchFault::Busy)?;
        let question = self.convex.question(&slot, id, kind, self.limits, request_id).await?;
        drop(slot);
        let (key, bytes) = Bundles::seal(&question);
        let is_stored = self.stored.contains_key(&key);
        table::CACHE.add(["fetcher", "stored", if is_stored { "hit" } else { "miss" }]);
        if !is_stored {
            self.bundles.put(&key, &bytes).await?;
            self.stored.insert(key.clone(), ());
        }
        Ok(key)
    }
}

impl Handler for Fetcher {
    type Event = Queued;
    const STAGE: Stage = Stage::Fetcher;

    async fn handle(&self, delivery: &Delivery<Queued>) -> Result<Vec<Outgoing>, Failure> {
        let Queued { submission, source } = &delivery.event;
        let Ok(fetched) = self.bundle(submission, delivery.attempt, delivery.trace.request_id.clone()).await
        else {
            return Err(Failure::Later(CROWDED));
        };
        match fetched.as_ref() {
            Ok(bundle) => {
                info!(submission_id = %submission.id, question_id = %submission.question_id, "ready");
                let bundle = bundle.clone();
                let ready = Ready { submission: submission.clone(), source: source.clone(), bundle };
                Ok(vec![Outgoing::from(&ready)])
            }
            Err(FetchFault::Busy) => Err(Failure::Later(BACKOFF.delay(delivery.attempt, rand::random()))),
            Err(fault @ (FetchFault::Bundle(_) | FetchFault::Fetch(FetchError::Call(_)))) => {
                Err(self.retry(delivery, fault))
            }
            Err(FetchFault::Fetch(fault)) => {
                let reason = Cause::from(fault);
                info!(submission_id = %submission.id, question_id = %submission.question_id, %reason, "error");
                Ok(vec![self.error(submission, reason.as_str())])
            }
        }
    }

    fn give_up(&self, event: &Queued, cause: &Cause) -> Vec<Outgoing> {
        vec![self.error(&event.submission, cause.as_str())]
    }
}
