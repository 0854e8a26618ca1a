//! One queued submission.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::FutureExt as _;
use gavel_bus::{BundleError, Bundles, Bus, Cause, Delivery, Failure, Handler, Outgoing};
use gavel_convex::{CallError, Convex, FetchError, FetchLimits};
use gavel_domain::event::{BundleKey, Expired, Judged, Queued, Ready, Stage};
use gavel_domain::{Backoff, QuestionId, RequestId, Submission, SubmissionKind, Verdict};
use gavel_telemetry::table;
use moka::sync::Cache;
use tracing::{Instrument as _, info};

use crate::Config;
use crate::single_flight::{Crowded, SingleFlight};

const BACKOFF: Backoff = Backoff { base: Duration::from_millis(500), cap: Duration::from_secs(30) };
/// When a submission comes back whose question is being fetched while all who may wait for that do.
const CROWDED: Duration = Duration::from_secs(1);
/// When it is looked again whether a judge has let go of an event.
const UNACKNOWLEDGED: Duration = Duration::from_millis(500);
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

/// What those who share a fetch are told.
type Fetched = Arc<Result<BundleKey, FetchFault>>;

/// Fetches what queued submissions need. Clones share their fetches.
#[derive(Clone)]
pub(crate) struct Fetcher {
    source: Arc<Source>,
    flights: Arc<SingleFlight<(QuestionId, SubmissionKind), Fetched>>,
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
            flights: Arc::new(SingleFlight::new(config.slots * 7 / 8)),
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
    ) -> Result<Fetched, Crowded> {
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

    /// The ready event of a submission, or its error.
    async fn prepare<E>(
        &self,
        delivery: &Delivery<E>,
        submission: &Submission,
        source: &str,
        renewals: u32,
    ) -> Result<Vec<Outgoing>, Failure> {
        let request_id = delivery.trace.request_id.clone();
        let Ok(fetched) = self.bundle(submission, delivery.attempt, request_id).await else {
            return Err(Failure::Later(CROWDED));
        };
        match fetched.as_ref() {
            Ok(bundle) => {
                info!(submission_id = %submission.id, question_id = %submission.question_id, "ready");
                let (submission, source, bundle) = (submission.clone(), source.to_owned(), bundle.clone());
                Ok(vec![Outgoing::from(&Ready { submission, source, bundle, renewals })])
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

    fn retry<E>(&self, delivery: &Delivery<E>, fault: &FetchFault) -> Failure {
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
    /// Whatever is remembered of the storing of this question; it is stored again, or found to be there.
    fn forget(&self, bundle: &BundleKey) {
        // The same content may be stored under a later day by now, and be as missing.
        let stale: Vec<_> =
            self.stored.iter().map(|(key, ())| key).filter(|key| key.digest == bundle.digest).collect();
        for key in stale {
            self.stored.invalidate(&*key);
        }
    }

    async fn fetch(
        &self,
        id: &QuestionId,
        kind: SubmissionKind,
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
        self.prepare(delivery, submission, source, 0).await
    }

    fn give_up(&self, event: &Queued, cause: &Cause) -> Vec<Outgoing> {
        vec![self.error(&event.submission, cause.as_str())]
    }
}

/// Fetches anew what a judge did not find.
pub(crate) struct Renewer(pub(crate) Fetcher);

impl Handler for Renewer {
    type Event = Expired;
    const STAGE: Stage = Stage::Fetcher;

    async fn handle(&self, delivery: &Delivery<Expired>) -> Result<Vec<Outgoing>, Failure> {
        let ready = &delivery.event.ready;
        let source = &self.0.source;
        // Published while the old event is there, the new one would be refused as a repeat, and lost.
        let is_awaited = source.bundles.is_awaited(ready).await;
        if is_awaited.map_err(|error| self.0.retry(delivery, &error.into()))? {
            return Err(Failure::Later(UNACKNOWLEDGED));
        }
        source.forget(&ready.bundle);
        self.0.prepare(delivery, &ready.submission, &ready.source, ready.renewals + 1).await
    }

    fn give_up(&self, event: &Expired, cause: &Cause) -> Vec<Outgoing> {
        vec![self.0.error(&event.ready.submission, cause.as_str())]
    }
}
