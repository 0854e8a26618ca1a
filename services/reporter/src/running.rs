//! Notifies Convex that a submission is running: at most once per submission, and never after the result. If Convex
//! keeps the order, it may be called again, and later.

use std::time::{Duration, Instant};

use gavel_bus::{Cause, Delivery, Failure, Handler, Ledger, LedgerError, Outgoing, RunningClaim};
use gavel_convex::{CallError, CallPermit, Convex, FailureKind};
use gavel_domain::event::{CallbackKind, Running, Stage};
use gavel_domain::{Backoff, SubmissionKey};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::attempts::CallbackAttempts;
use crate::order::CallbackOrder;
use crate::own_claims::OwnClaims;
use crate::policy;
use crate::window::CallWindow;
use crate::{Config, callback_ids};

const BACKOFF: Backoff = Backoff { base: Duration::from_millis(200), cap: Duration::from_secs(2) };

pub(crate) struct RunningReporter {
    ledger: Ledger,
    convex: Convex,
    attempts: CallbackAttempts,
    own_claims: OwnClaims,
    order: CallbackOrder,
    timeout: Duration,
    linger: Duration,
    give_up_after: Duration,
}

/// What is known about the `running` call of this delivery.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CallState {
    /// It was never sent.
    NotSent,
    /// It has certainly ended.
    Ended,
    /// It is over on this side, but Convex itself did not answer, and may still apply it.
    Open,
}

impl RunningReporter {
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
            timeout: config.running_timeout,
            linger: config.running_linger,
            give_up_after: config.give_up_after,
        }
    }

    async fn call_with_claim(&self, delivery: &Delivery<Running>) -> Result<(), Failure> {
        let key = delivery.event.submission.key();
        if self.own_claims.is_of_result(&key) {
            return Ok(());
        }
        // Acquired before the claim: a verdict that arrives during the wait makes the call unnecessary.
        let permit = self.convex.acquire_permit().await.map_err(|open| policy::held(&open))?;
        let window = CallWindow::open(self.timeout);
        match self.ledger.claim_running(&key, window.claim_expires_at()).await.map_err(retry)? {
            RunningClaim::Lost => {}
            RunningClaim::Won => {
                let own_call = self.own_claims.begin_running(&key);
                let state = self.call(delivery, &window, permit).await;
                if state != CallState::NotSent && window.is_claim_expired() {
                    self.resend_result(delivery, state).await?;
                } else if state != CallState::Open {
                    own_call.ended();
                }
                self.record_end(&key, state, &window).await;
            }
        }
        Ok(())
    }

    /// Calls although a result may be on its way: Convex ignores a `running` call that arrives after it.
    async fn call_without_claim(&self, delivery: &Delivery<Running>) -> Result<(), Failure> {
        let permit = self.convex.acquire_running_permit().await.map_err(|open| policy::held(&open))?;
        if !self.ledger.is_judged(&delivery.event.submission.key()).await.map_err(retry)? {
            self.call(delivery, &CallWindow::open(self.timeout), permit).await;
        }
        Ok(())
    }

    /// Calls until Convex accepts or rejects the callback, a verdict is stored, or the window ends.
    async fn call(
        &self,
        delivery: &Delivery<Running>,
        window: &CallWindow,
        mut permit: CallPermit,
    ) -> CallState {
        let submission = &delivery.event.submission;
        let callback = callback_ids::running(&submission.key());
        let mut state = CallState::NotSent;
        for attempt in 1_u64.. {
            // Checked right before the call: this process may have been suspended.
            let Some(left) = window.time_left() else { break };
            let request_id = delivery.trace.request_id.as_ref();
            let (id, kind) = (&submission.id, submission.kind);
            let call = self.convex.notify_running(&permit, id, kind, &callback, request_id, left);
            let called = self.attempts.record(&submission.key(), CallbackKind::Running, call).await;
            let Err(error) = called else {
                info!(submission_id = %submission.id, "running reported");
                return CallState::Ended;
            };
            if self.order == CallbackOrder::Strict && error.can_still_take_effect() {
                warn_not_reported(delivery, error);
                return CallState::Open;
            }
            let pause = BACKOFF.delay(attempt, rand::random()).max(error.retry_after().unwrap_or_default());
            if error.kind() != FailureKind::Unavailable || window.time_left().is_none_or(|left| pause >= left)
            {
                warn_not_reported(delivery, error);
                return CallState::Ended;
            }
            state = CallState::Ended;
            drop(permit);
            tokio::time::sleep(pause).await;
            let Some(retry_permit) = self.acquire_retry_permit(window).await else { break };
            permit = retry_permit;
            // If the read fails, there may be a verdict.
            if self.ledger.is_judged(&submission.key()).await.unwrap_or(true) {
                break;
            }
        }
        state
    }

    /// Waits for a permit for a retry. Results that are retried must not wait for calls that no result waits for, so in
    /// guarded order it is one of those that `running` calls share.
    async fn acquire_retry_permit(&self, window: &CallWindow) -> Option<CallPermit> {
        match self.order {
            CallbackOrder::Strict => self.convex.acquire_retry_permit().await.ok(),
            CallbackOrder::Guarded => {
                let permit = self.convex.acquire_running_permit();
                tokio::time::timeout(window.time_left()?, permit).await.ok()?.ok()
            }
        }
    }

    /// Records that the call has ended, or was dropped. If NATS is unreachable this repeats here instead of handing the message
    /// back: the next delivery would not know that there is an end to record. Once the claim has expired, no
    /// reporter waits for it.
    async fn record_end(&self, key: &SubmissionKey, state: CallState, window: &CallWindow) {
        let mut attempt = 1;
        while let Err(error) = match state {
            CallState::Open => self.ledger.running_dropped(key).await,
            CallState::NotSent | CallState::Ended => self.ledger.running_ended(key).await,
        } {
            let cause = Cause::from(error);
            warn!(submission_id = %key.id, %cause, attempt, "cannot record the end of the running call yet");
            if window.is_claim_expired() {
                return;
            }
            tokio::time::sleep(BACKOFF.delay(attempt, rand::random())).await;
            attempt += 1;
        }
    }

    /// Sends the result again if there is a verdict, after a call that was alive beyond its claim because this
    /// process or its machine was suspended. Other reporters took the call for ended, so Convex may have applied it
    /// after the result. This repeats here instead of handing the message back: the next delivery would not know
    /// that a result must be sent.
    async fn resend_result(&self, delivery: &Delivery<Running>, state: CallState) -> Result<(), Failure> {
        let id = &delivery.event.submission.id;
        warn!(submission_id = %id, "a running call outlived its claim: sending the result again if there is one");
        if state == CallState::Open {
            tokio::time::sleep(self.linger).await;
        }
        let began = Instant::now();
        let mut attempt = 1;
        loop {
            match self.try_resend(delivery, attempt, began.elapsed()).await {
                Err(Failure::Retry { after, cause }) => {
                    warn!(submission_id = %id, %cause, attempt, "cannot send the result again yet");
                    tokio::time::sleep(after).await;
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    /// Sends the newest generation's result once, if there is one.
    async fn try_resend(
        &self,
        delivery: &Delivery<Running>,
        attempt: u64,
        age: Duration,
    ) -> Result<(), Failure> {
        let verdict = self.ledger.newest_verdict(&delivery.event.submission.key()).await.map_err(
            |error| match error {
                LedgerError::Decode(_) => Failure::Reject(error.into()),
                _ => retry(error),
            },
        )?;
        let Some(judged) = verdict else { return Ok(()) };
        let callback = callback_ids::final_result(&judged.submission.key());
        let permit = self
            .convex
            .acquire_permit()
            .await
            .map_err(|open| Failure::Retry { after: open.redelivery_delay(), cause: open.into() })?;
        let called =
            self.convex.notify_result(&permit, &judged, &callback, delivery.trace.request_id.as_ref()).await;
        called.map_err(|error| {
            policy::failure(error, attempt, attempt == 1, age, Duration::ZERO, self.give_up_after)
        })?;
        Ok(())
    }
}

fn retry(error: LedgerError) -> Failure {
    Failure::Retry { after: Duration::from_secs(1), cause: error.into() }
}

fn warn_not_reported(delivery: &Delivery<Running>, error: CallError) {
    let cause = Cause::from(error);
    let id = &delivery.event.submission.id;
    warn!(submission_id = %id, %cause, "running not reported: Convex learns of it by the result");
}

impl Handler for RunningReporter {
    type Event = Running;
    const STAGE: Stage = Stage::Reporter;

    fn gate(&self) -> Option<watch::Receiver<bool>> {
        Some(self.convex.is_breaker_closed())
    }

    async fn handle(&self, delivery: &Delivery<Running>) -> Result<Vec<Outgoing>, Failure> {
        match self.order {
            CallbackOrder::Strict => self.call_with_claim(delivery).await?,
            CallbackOrder::Guarded => self.call_without_claim(delivery).await?,
        }
        Ok(Vec::new())
    }

    /// Publishes nothing: Convex learns of the submission by its result.
    fn give_up(&self, _event: &Running, _cause: &Cause) -> Vec<Outgoing> {
        Vec::new()
    }
}
