//! Telling Convex that a submission is running: at most once each, and never after the result.

use std::time::{Duration, Instant};

use gavel_bus::{Cause, Delivery, Failure, Handler, Ledger, LedgerError, Outgoing, RunningClaim};
use gavel_convex::{CallError, Convex, Slot};
use gavel_domain::event::{CallbackKind, Running, Stage};
use gavel_domain::{Backoff, SubmissionKey};
use tracing::{info, warn};

use crate::policy::{self, is_passing};
use crate::tries::Tries;
use crate::window::Window;
use crate::{Config, callback};

const BACKOFF: Backoff = Backoff { base: Duration::from_millis(200), cap: Duration::from_secs(2) };

pub(crate) struct RunningReporter {
    ledger: Ledger,
    convex: Convex,
    tries: Tries,
    timeout: Duration,
    linger: Duration,
    give_up_after: Duration,
}

/// How our call of `running` went.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// It was never sent.
    Unsent,
    /// It has certainly ended.
    Over,
    /// It had no answer of Convex's own, which may still apply it.
    Open,
}

impl RunningReporter {
    pub(crate) fn new(ledger: Ledger, convex: Convex, tries: Tries, config: &Config) -> Self {
        Self {
            ledger,
            convex,
            tries,
            timeout: config.running_timeout,
            linger: config.running_linger,
            give_up_after: config.give_up_after,
        }
    }

    /// Calls until Convex has taken it, or refused it, or there is a verdict, or the time is over.
    async fn call(&self, delivery: &Delivery<Running>, window: &Window, mut slot: Slot) -> End {
        let submission = &delivery.event.submission;
        let callback = callback::running(&submission.key());
        let mut end = End::Unsent;
        for attempt in 1_u64.. {
            // Asked just before the call: this process may have slept.
            let Some(left) = window.left() else { break };
            let request_id = delivery.trace.request_id.as_ref();
            let (id, kind) = (&submission.id, submission.kind);
            let call = self.convex.running(&slot, id, kind, &callback, request_id, left);
            let called = self.tries.make(&submission.key(), CallbackKind::Running, call).await;
            let Err(error) = called else {
                info!(submission_id = %submission.id, "running reported");
                return End::Over;
            };
            if error.is_open() {
                return warn_of(delivery, error, End::Open);
            }
            let pause = BACKOFF.delay(attempt, rand::random()).max(error.retry_after().unwrap_or_default());
            if !is_passing(&error) || window.left().is_none_or(|left| pause >= left) {
                return warn_of(delivery, error, End::Over);
            }
            end = End::Over;
            drop(slot);
            tokio::time::sleep(pause).await;
            let Some(again) = self.convex.slot_again().await else { break };
            slot = again;
            // Where nobody says whether there is a verdict, there may be one.
            if self.ledger.is_judged(&submission.key()).await.unwrap_or(true) {
                break;
            }
        }
        end
    }

    /// Not handed back where NATS is away: the next delivery would not know that there is an end to record. Once the
    /// claim has expired nobody waits for the record any more.
    async fn record_end(&self, key: &SubmissionKey, window: &Window) {
        let mut attempt = 1;
        while let Err(error) = self.ledger.running_ended(key).await {
            let cause = Cause::from(error);
            warn!(submission_id = %key.id, %cause, attempt, "the end of running is not recorded");
            if window.is_overslept() {
                return;
            }
            tokio::time::sleep(BACKOFF.delay(attempt, rand::random())).await;
            attempt += 1;
        }
    }

    /// After a call that others took for dead while it was alive, because this process or its machine stood
    /// still: where there is a verdict by now, the result may have been told before that call took effect, so it
    /// is told again. Not handed back meanwhile: the next delivery would not know that there is something to
    /// make good.
    async fn make_amends(&self, delivery: &Delivery<Running>, end: End) -> Result<(), Failure> {
        let id = &delivery.event.submission.id;
        warn!(submission_id = %id, "a call of running overslept; the result is told again if there is one");
        if end == End::Open {
            tokio::time::sleep(self.linger).await;
        }
        let began = Instant::now();
        let mut attempt = 1;
        loop {
            match self.tell_again(delivery, attempt, began.elapsed()).await {
                Err(Failure::Retry { after, cause }) => {
                    warn!(submission_id = %id, %cause, attempt, "the result is not told again yet");
                    tokio::time::sleep(after).await;
                    attempt += 1;
                }
                end => return end,
            }
        }
    }

    async fn tell_again(
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
        let callback = callback::last_word(&judged.submission.key());
        let slot = self.convex.slot().await;
        let called = self.convex.result(&slot, &judged, &callback, delivery.trace.request_id.as_ref()).await;
        called.map_err(|error| policy::after(error, attempt, age, Duration::ZERO, self.give_up_after))?;
        Ok(())
    }
}

fn retry(error: LedgerError) -> Failure {
    Failure::Retry { after: Duration::from_secs(1), cause: error.into() }
}

fn warn_of(delivery: &Delivery<Running>, error: CallError, end: End) -> End {
    let cause = Cause::from(error);
    warn!(submission_id = %delivery.event.submission.id, %cause, "running not reported; the result will be");
    end
}

impl Handler for RunningReporter {
    type Event = Running;
    const STAGE: Stage = Stage::Reporter;

    async fn handle(&self, delivery: &Delivery<Running>) -> Result<Vec<Outgoing>, Failure> {
        let key = delivery.event.submission.key();
        // Before the claim: while this waits for its turn, the verdict may come and make it needless.
        let slot = self.convex.slot().await;
        let window = Window::open(self.timeout);
        match self.ledger.claim_running(&key, window.expires_at()).await.map_err(retry)? {
            RunningClaim::Lost => {}
            RunningClaim::Won => {
                let end = self.call(delivery, &window, slot).await;
                if end != End::Unsent && window.is_overslept() {
                    self.make_amends(delivery, end).await?;
                }
                if end != End::Open {
                    self.record_end(&key, &window).await;
                }
            }
        }
        Ok(Vec::new())
    }

    /// Convex learns of the submission by its result.
    fn give_up(&self, _event: &Running, _cause: &Cause) -> Vec<Outgoing> {
        Vec::new()
    }
}
