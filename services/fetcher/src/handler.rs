//! Turns queued submissions into ready ones.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::FutureExt as _;
use gavel_bus::{BundleError, Bundles, Bus, Cause, Delivery, Failure, Handler, Outgoing};
use gavel_convex::{BreakerOpen, CallError, Convex, FetchError, FetchLimits, NoPermit};
use gavel_domain::event::{BundleKey, Expired, Judged, Queued, Ready, Stage};
use gavel_domain::{Backoff, QuestionId, RequestId, Submission, SubmissionKey, SubmissionKind, Verdict};
use gavel_runtime::telemetry::counted_verdict;
use gavel_telemetry::table;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::sync::watch;
use tracing::{Instrument as _, info};

use crate::Config;
use crate::single_flight::{SingleFlight, TooManyWaiters};

const BACKOFF: Backoff = Backoff { base: Duration::from_millis(500), cap: Duration::from_secs(30) };
/// The redelivery delay of a submission whose question is being fetched while too many others wait for a fetch.
const TOO_MANY_WAITERS_DELAY: Duration = Duration::from_secs(1);
/// The redelivery delay of an expired event while the judge has not acknowledged the ready event yet.
const UNACKNOWLEDGED_DELAY: Duration = Duration::from_millis(500);
/// The reason in the verdict of a submission that the fetcher gives up, if its cause has none for learners. The cause
/// itself is for the operator: it goes to the dead letter and the log.
const GIVE_UP_REASON: &str = "the test cases of the question could not be loaded";
/// How many submissions are remembered whose fetch has failed: as many as can wait for a retry. One that is forgotten gets
/// one more attempt.
const MAX_REMEMBERED_FAILURES: u64 = 20_000;
/// How many bundles are remembered as stored. Storing one again costs a rejected publish, nothing else.
const MAX_REMEMBERED_BUNDLES: u64 = 10_000;

/// Why a question could not be stored as a bundle.
#[derive(Debug, thiserror::Error)]
enum BundleFailure {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// All permits for retries are in use.
    #[error("too many retries are calling Convex")]
    TooManyRetries,
    /// Convex does not work.
    #[error(transparent)]
    BreakerOpen(#[from] BreakerOpen),
}

impl From<NoPermit> for BundleFailure {
    fn from(refused: NoPermit) -> Self {
        match refused {
            NoPermit::TooManyRetries => Self::TooManyRetries,
            NoPermit::BreakerOpen(open) => Self::BreakerOpen(open),
        }
    }
}

/// The result of a fetch, shared by all submissions that waited for it.
type Fetched = Arc<Result<BundleKey, BundleFailure>>;

/// Fetches the test cases of queued submissions. Clones share their fetches.
#[derive(Clone)]
pub(crate) struct Fetcher {
    source: Arc<Source>,
    fetches: Arc<SingleFlight<(QuestionId, SubmissionKind), Fetched>>,
    give_up_after: Duration,
    /// The submissions whose fetch has failed. Deliveries would not tell: without a call, a message may be delivered many times.
    failed: Cache<SubmissionKey, ()>,
    instance: String,
}

/// Where bundles come from: fetched from Convex, stored in NATS.
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
            stored: Cache::builder()
                .max_capacity(MAX_REMEMBERED_BUNDLES)
                .time_to_live(Duration::from_hours(1))
                .build(),
        };
        Self {
            source: Arc::new(source),
            // An eighth of the slots stays free for other questions.
            fetches: Arc::new(SingleFlight::new(config.slots * 7 / 8)),
            give_up_after: config.give_up_after,
            failed: Cache::builder()
                .max_capacity(MAX_REMEMBERED_FAILURES)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            instance: config.service.instance.clone(),
        }
    }

    /// Returns the bundle of a submission's question. Simultaneous requests for a question share one fetch.
    async fn bundle(
        &self,
        submission: &Submission,
        attempt: u64,
        request_id: Option<RequestId>,
    ) -> Result<Fetched, TooManyWaiters> {
        let key = (submission.question_id.clone(), submission.kind);
        let (source, (id, kind)) = (Arc::clone(&self.source), key.clone());
        let mut found = "hit";
        let start = || {
            found = "miss";
            // The fetch belongs to the trace of the submission that started it; the others only wait.
            async move { Arc::new(source.fetch(&id, kind, attempt, request_id.as_ref()).await) }
                .in_current_span()
                .boxed()
        };
        let fetched = self.fetches.join(key, start).await;
        table::CACHE_LOOKUPS.add(["fetcher", "flight", found]);
        fetched
    }

    /// Returns the `error` verdict of a submission that cannot be judged.
    fn error(&self, submission: &Submission, reason: &str) -> Outgoing {
        let verdict = Verdict::error(reason);
        let judged = Judged::new(submission.clone(), verdict, SystemTime::now(), &self.instance);
        counted_verdict("fetcher", &judged)
    }

    /// Returns the ready event of a submission, or its `error` verdict.
    async fn prepare<E>(
        &self,
        delivery: &Delivery<E>,
        submission: &Submission,
        source: &str,
        renewals: u32,
    ) -> Result<Vec<Outgoing>, Failure> {
        let request_id = delivery.trace.request_id.clone();
        let Ok(fetched) = self.bundle(submission, delivery.attempt, request_id).await else {
            return Err(Failure::Defer(TOO_MANY_WAITERS_DELAY));
        };
        match fetched.as_ref() {
            Ok(bundle) => {
                info!(submission_id = %submission.id, question_id = %submission.question_id, "submission ready");
                let (submission, source, bundle) = (submission.clone(), source.to_owned(), bundle.clone());
                Ok(vec![Outgoing::from(&Ready { submission, source, bundle, renewals, handed_on: None })])
            }
            Err(BundleFailure::TooManyRetries) => {
                Err(Failure::Defer(BACKOFF.delay(delivery.attempt, rand::random())))
            }
            Err(BundleFailure::BreakerOpen(open)) => Err(Failure::Defer(open.redelivery_delay())),
            Err(BundleFailure::Bundle(error)) if error.is_too_large() => {
                Err(Failure::Reject(Cause::from(error)))
            }
            Err(error @ (BundleFailure::Bundle(_) | BundleFailure::Fetch(FetchError::Call(_)))) => {
                Err(self.retry(delivery, &submission.key(), error))
            }
            Err(BundleFailure::Fetch(error)) => {
                let reason = Cause::from(error);
                info!(submission_id = %submission.id, question_id = %submission.question_id, %reason, "question unusable");
                Ok(vec![self.error(submission, &error.to_string())])
            }
        }
    }

    /// Decides whether to retry: rejects a submission that may have been tried for longer than the limit, but not at its first
    /// failure.
    fn retry<E>(&self, delivery: &Delivery<E>, key: &SubmissionKey, error: &BundleFailure) -> Failure {
        let call = match error {
            BundleFailure::Fetch(FetchError::Call(call)) => Some(call),
            _ => None,
        };
        let cause = Cause::from(error);
        let is_first = !self.failed.contains_key(key);
        self.failed.insert(key.clone(), ());
        if !is_first && self.source.convex.tried_for(delivery.age()) > self.give_up_after {
            return Failure::Reject(cause);
        }
        let retry_after = call.and_then(CallError::retry_after).unwrap_or_default();
        let backoff = BACKOFF.delay(delivery.attempt, rand::random());
        Failure::Retry { after: retry_after.max(backoff).min(self.give_up_after), cause }
    }
}

impl Source {
    /// Forgets that this bundle is stored, so that the next fetch stores it again.
    fn forget(&self, bundle: &BundleKey) {
        // The same content may have been stored on a later day since, and may be missing there, too.
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
    ) -> Result<BundleKey, BundleFailure> {
        let permit = if attempt == 1 {
            self.convex.acquire_permit().await?
        } else {
            self.convex.acquire_retry_permit().await?
        };
        let question = self.convex.fetch_question(&permit, id, kind, self.limits, request_id).await?;
        drop(permit);
        let (key, bytes) = Bundles::seal(&question);
        let is_stored = self.stored.contains_key(&key);
        table::CACHE_LOOKUPS.add(["fetcher", "stored", if is_stored { "hit" } else { "miss" }]);
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

    fn gate(&self) -> Option<watch::Receiver<bool>> {
        Some(self.source.convex.is_breaker_closed())
    }

    async fn handle(&self, delivery: &Delivery<Queued>) -> Result<Vec<Outgoing>, Failure> {
        let Queued { submission, source } = &delivery.event;
        self.prepare(delivery, submission, source, 0).await
    }

    fn give_up(&self, event: &Queued, cause: &Cause) -> Vec<Outgoing> {
        vec![self.error(&event.submission, cause.reason().unwrap_or(GIVE_UP_REASON))]
    }
}

/// Fetches bundles again that a judge did not find in the store.
pub(crate) struct Renewer(pub(crate) Fetcher);

impl Handler for Renewer {
    type Event = Expired;
    const STAGE: Stage = Stage::Fetcher;

    fn gate(&self) -> Option<watch::Receiver<bool>> {
        self.0.gate()
    }

    async fn handle(&self, delivery: &Delivery<Expired>) -> Result<Vec<Outgoing>, Failure> {
        let ready = &delivery.event.ready;
        let source = &self.0.source;
        // While the old ready event is stored, a new one would be rejected as a repeat and lost.
        let is_awaited = source.bundles.is_awaited(ready).await;
        if is_awaited.map_err(|error| self.0.retry(delivery, &ready.submission.key(), &error.into()))? {
            return Err(Failure::Defer(UNACKNOWLEDGED_DELAY));
        }
        source.forget(&ready.bundle);
        self.0.prepare(delivery, &ready.submission, &ready.source, ready.renewals + 1).await
    }

    fn give_up(&self, event: &Expired, cause: &Cause) -> Vec<Outgoing> {
        vec![self.0.error(&event.ready.submission, cause.reason().unwrap_or(GIVE_UP_REASON))]
    }
}
