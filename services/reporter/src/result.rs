//! Sends the verdict to Convex, until Convex accepts it: after the `running` call has ended, or at once if Convex keeps
//! the order.

use std::time::{Duration, SystemTime};

use gavel_bus::{
    Cause, Delivery, Failure, Handler, Ledger, LedgerError, Outgoing, ResultClaim, RunningCallState,
};
use gavel_convex::{CallPermit, Convex, NoPermit};
use gavel_domain::SubmissionKey;
use gavel_domain::event::{CallbackKind, Judged, Reported, Stage};
use gavel_telemetry::table;
use tokio::sync::watch;
use tracing::info;

use crate::attempts::CallbackAttempts;
use crate::order::CallbackOrder;
use crate::own_claims::OwnClaims;
use crate::policy::MissingPaths;
use crate::window::CLAIM_MARGIN;
use crate::{Config, callback_ids, policy};

/// How long a result waits for the end of `running` before it is handed back to the queue. Most `running` calls end
/// within milliseconds.
const RUNNING_WAIT: Duration = Duration::from_millis(300);
/// The delay before the first check whether `running` has ended. It doubles with each check.
const FIRST_CHECK_DELAY: Duration = Duration::from_millis(1);
/// The redelivery delay of the first result that is handed back because of `running`. It doubles with each delivery.
const BASE_REDELIVERY_DELAY: Duration = Duration::from_millis(500);
/// Up to this age, a redelivered result counts as a first attempt: it was mostly handed back because of `running`.
const FIRST_ATTEMPT_MAX_AGE: Duration = Duration::from_secs(20);

pub(crate) struct ResultReporter {
    ledger: Ledger,
    convex: Convex,
    attempts: CallbackAttempts,
    own_claims: OwnClaims,
    order: CallbackOrder,
    running_window: Duration,
    linger: Duration,
    give_up_after: Duration,
    missing: MissingPaths,
    instance: String,
}

impl ResultReporter {
    pub(crate) fn new(
        ledger: Ledger,
        convex: Convex,
        attempts: CallbackAttempts,
        own_claims: OwnClaims,
        config: &Config,
    ) -> Self {
        Self {
            ledger,
            convex,
            attempts,
            own_claims,
            order: config.order,
            running_window: config.running_timeout + CLAIM_MARGIN,
            linger: config.running_linger,
            give_up_after: config.give_up_after,
            missing: MissingPaths::default(),
            instance: config.service.instance.clone(),
        }
    }

    /// Waits for a permit. Fails if this is a retry and too many retries are running, and if the breaker is open.
    async fn acquire_permit(&self, delivery: &Delivery<Judged>) -> Result<CallPermit, Failure> {
        let permit = if delivery.attempt == 1 || delivery.age() < FIRST_ATTEMPT_MAX_AGE {
            let permit = self.convex.acquire_permit().await.map_err(NoPermit::from);
            permit.map(|permit| permit.for_retry(delivery.attempt > 1))
        } else {
            self.convex.acquire_retry_permit().await
        };
        permit.map_err(|refused| match refused {
            NoPermit::TooManyRetries => Failure::Defer(policy::backoff(delivery.attempt)),
            NoPermit::BreakerOpen(open) => policy::held(&open),
        })
    }

    /// Claims the first call or waits for a `running` call, and returns until when Convex may still apply that:
    /// `Some(None)` if nothing is in the way of the result, `None` if nothing is sent for this key any more. A second result
    /// would trigger again whatever Convex does after a result, and a generation with a newer one was reported or given up.
    async fn before_call(
        &self,
        delivery: &Delivery<Judged>,
        key: &SubmissionKey,
    ) -> Result<Option<Option<SystemTime>>, Failure> {
        let open_until = match self.order {
            CallbackOrder::Guarded => None,
            // The claim of a `running` call of this process is never given to another call.
            CallbackOrder::Strict if self.own_claims.has_running_ended(key, RUNNING_WAIT).await => None,
            CallbackOrder::Strict => {
                let claim = self.ledger.claim_result(key, self.running_window);
                let (claim, is_superseded) =
                    tokio::try_join!(claim, self.is_superseded(key)).map_err(retry)?;
                match claim {
                    ResultClaim::Reported => return Ok(None),
                    ResultClaim::Won => {
                        self.own_claims.won_by_result(key);
                        return Ok((!is_superseded).then_some(None));
                    }
                    ResultClaim::Lost(running) => self.after_running(delivery, running).await?,
                }
            }
        };
        // Read after the wait for `running`: another delivery of this verdict may have been reported meanwhile.
        let (is_reported, is_superseded) =
            tokio::try_join!(self.ledger.is_reported(key), self.is_superseded(key)).map_err(retry)?;
        Ok((!is_reported && !is_superseded).then_some(open_until))
    }

    async fn is_superseded(&self, key: &SubmissionKey) -> Result<bool, LedgerError> {
        let is_superseded = self.ledger.is_superseded(key).await?;
        if is_superseded {
            info!(submission_id = %key.id, generation = %key.generation, "refused: a newer generation has begun");
        }
        Ok(is_superseded)
    }

    /// Makes sure that `running` is no longer alive on this side, and returns until when Convex may still apply it:
    /// `None` if it has certainly ended. Waits for that up to [`RUNNING_WAIT`], then fails with the delay to the next
    /// delivery.
    async fn after_running(
        &self,
        delivery: &Delivery<Judged>,
        mut running: RunningCallState,
    ) -> Result<Option<SystemTime>, Failure> {
        let (mut pause, mut waited) = (FIRST_CHECK_DELAY, Duration::ZERO);
        loop {
            let RunningCallState::Open { expires_at } = running else { return Ok(None) };
            let Ok(left) = expires_at.duration_since(SystemTime::now()) else {
                return Ok(Some(expires_at + self.linger));
            };
            if waited >= RUNNING_WAIT {
                let doublings = u32::try_from(delivery.attempt.saturating_sub(1)).unwrap_or(u32::MAX).min(10);
                return Err(Failure::Defer(left.min(BASE_REDELIVERY_DELAY * (1 << doublings))));
            }
            tokio::time::sleep(pause.min(left)).await;
            waited += pause;
            pause *= 2;
            let key = delivery.event.submission.key();
            running = self.ledger.running_state(&key, expires_at).await.map_err(retry)?;
        }
    }
}

fn retry(error: LedgerError) -> Failure {
    Failure::Retry { after: Duration::from_secs(1), cause: error.into() }
}

impl Handler for ResultReporter {
    type Event = Judged;
    const STAGE: Stage = Stage::Reporter;

    fn gate(&self) -> Option<watch::Receiver<bool>> {
        Some(self.convex.is_breaker_closed())
    }

    async fn handle(&self, delivery: &Delivery<Judged>) -> Result<Vec<Outgoing>, Failure> {
        let judged = &delivery.event;
        let (id, key) = (&judged.submission.id, judged.submission.key());
        let Some(open_until) = self.before_call(delivery, &key).await? else { return Ok(Vec::new()) };
        let permit = self.acquire_permit(delivery).await?;
        let is_final = open_until.is_some_and(|until| until <= SystemTime::now());
        let callback = if is_final { callback_ids::final_result(&key) } else { callback_ids::result(&key) };
        let call = self.convex.notify_result(&permit, judged, &callback, delivery.trace.request_id.as_ref());
        let called = self.attempts.record(&key, CallbackKind::Result, call).await;
        drop(permit);
        let missing = self.missing.record(judged.submission.kind, called.as_ref().err());
        called.map_err(|error| {
            let tried_for = self.convex.tried_for(delivery.age());
            let is_first = self.attempts.result_calls(&key) <= 1;
            policy::failure(error, delivery.attempt, is_first, tried_for, missing, self.give_up_after)
        })?;
        let status = judged.verdict.status;
        let accepted_at = SystemTime::UNIX_EPOCH + Duration::from_millis(judged.submission.accepted_at_ms);
        table::SUBMISSION_SECONDS
            .record(["reporter", status.as_str()], accepted_at.elapsed().unwrap_or_default());
        info!(submission_id = %id, status = status.as_str(), duration_ms = judged.duration_ms, "result reported");
        // Convex may still apply a `running` call of unknown outcome, after this result. The same result is sent
        // again when that is no longer possible, so that Convex ends on the result.
        if let Some(left) = open_until.and_then(|until| until.duration_since(SystemTime::now()).ok()) {
            return Err(Failure::Defer(left));
        }
        Ok(vec![Outgoing::from(&Reported {
            submission: judged.submission.clone(),
            status,
            attempts: delivery.attempt,
            instance: self.instance.clone(),
            callback_attempts: self.attempts.take(&key),
        })])
    }

    /// Publishes nothing besides the dead letter: the verdict is stored, but Convex does not accept it.
    fn give_up(&self, _event: &Judged, _cause: &Cause) -> Vec<Outgoing> {
        Vec::new()
    }
}
