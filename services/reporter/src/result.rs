//! Telling Convex the verdict: until it is taken, and after `running`.

use std::time::{Duration, SystemTime};

use gavel_bus::{Cause, Delivery, Failure, Handler, Ledger, LedgerError, Outgoing, RunningFate};
use gavel_convex::{Convex, Slot};
use gavel_domain::event::{CallbackKind, Judged, Reported, Stage};
use gavel_telemetry::table;
use tracing::info;

use crate::policy::MissingPaths;
use crate::tries::Tries;
use crate::window::MARGIN;
use crate::{Config, callback, policy};

/// How long a result waits in hand for the end of `running`, which mostly comes within milliseconds.
const SHORT_WAIT: Duration = Duration::from_millis(300);
/// When it looks for the first time; each further look comes after twice as long.
const FIRST_LOOK: Duration = Duration::from_millis(1);
/// The first wait out of hand; it doubles.
const LONG_WAIT: Duration = Duration::from_millis(500);
/// For how long a result is new: its first deliveries mostly wait for `running`.
const NEW: Duration = Duration::from_secs(20);

pub(crate) struct ResultReporter {
    ledger: Ledger,
    convex: Convex,
    tries: Tries,
    running_window: Duration,
    linger: Duration,
    give_up_after: Duration,
    missing: MissingPaths,
    instance: String,
}

impl ResultReporter {
    pub(crate) fn new(ledger: Ledger, convex: Convex, tries: Tries, config: &Config) -> Self {
        Self {
            ledger,
            convex,
            tries,
            running_window: config.running_timeout + MARGIN,
            linger: config.running_linger,
            give_up_after: config.give_up_after,
            missing: MissingPaths::default(),
            instance: config.service.instance.clone(),
        }
    }

    /// A slot at Convex. A result that was not tried for the first time just now comes again.
    async fn slot(&self, delivery: &Delivery<Judged>) -> Option<Slot> {
        if delivery.attempt == 1 || delivery.age() < NEW {
            Some(self.convex.slot().await)
        } else {
            self.convex.slot_again().await
        }
    }

    /// Whether `running` ends within the short wait.
    async fn ends_soon(&self, delivery: &Delivery<Judged>) -> Result<bool, LedgerError> {
        let (mut pause, mut waited) = (FIRST_LOOK, Duration::ZERO);
        while waited < SHORT_WAIT {
            tokio::time::sleep(pause).await;
            waited += pause;
            pause *= 2;
            if self.ledger.has_running_ended(&delivery.event.submission.key()).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits until `running` can no longer be alive on our side. It returns until when Convex may still apply
    /// it, where its fate is not known.
    async fn after_running(
        &self,
        delivery: &Delivery<Judged>,
        running: RunningFate,
    ) -> Result<Option<SystemTime>, Failure> {
        let RunningFate::Open { expires_at } = running else { return Ok(None) };
        let Ok(left) = expires_at.duration_since(SystemTime::now()) else {
            return Ok(Some(expires_at + self.linger));
        };
        if self.ends_soon(delivery).await.map_err(retry)? {
            return Ok(None);
        }
        let doublings = u32::try_from(delivery.attempt.saturating_sub(1)).unwrap_or(u32::MAX).min(10);
        Err(Failure::Later(left.min(LONG_WAIT * (1 << doublings))))
    }
}

fn retry(error: LedgerError) -> Failure {
    Failure::Retry { after: Duration::from_secs(1), cause: error.into() }
}

impl Handler for ResultReporter {
    type Event = Judged;
    const STAGE: Stage = Stage::Reporter;

    async fn handle(&self, delivery: &Delivery<Judged>) -> Result<Vec<Outgoing>, Failure> {
        let judged = &delivery.event;
        let (id, key) = (&judged.submission.id, judged.submission.key());
        let claim = self.ledger.claim_result(&key, self.running_window).await.map_err(retry)?;
        // A second report would set off once more whatever follows a result at Convex. And a generation that has
        // a newer one was told, or given up; had nobody claimed its calls, there could be no newer one.
        if !claim.is_first {
            if self.ledger.is_reported(&key).await.map_err(retry)? {
                return Ok(Vec::new());
            }
            if self.ledger.is_superseded(&key).await.map_err(retry)? {
                info!(submission_id = %id, generation = %key.generation, "refused: a newer generation has begun");
                return Ok(Vec::new());
            }
        }
        let open_until = self.after_running(delivery, claim.running).await?;
        let slot =
            self.slot(delivery).await.ok_or_else(|| Failure::Later(policy::pause(delivery.attempt)))?;
        let is_last_word = open_until.is_some_and(|until| until <= SystemTime::now());
        let callback = if is_last_word { callback::last_word(&key) } else { callback::result(&key) };
        let call = self.convex.result(&slot, judged, &callback, delivery.trace.request_id.as_ref());
        let called = self.tries.make(&key, CallbackKind::Result, call).await;
        drop(slot);
        let missing = self.missing.look(judged.submission.kind, called.as_ref().err());
        called.map_err(|error| {
            policy::after(error, delivery.attempt, delivery.age(), missing, self.give_up_after)
        })?;
        let status = judged.verdict.status;
        let accepted_at = SystemTime::UNIX_EPOCH + Duration::from_millis(judged.submission.accepted_at_ms);
        table::SUBMISSION.note(["reporter", status.as_str()], accepted_at.elapsed().unwrap_or_default());
        info!(submission_id = %id, status = status.as_str(), duration_ms = judged.duration_ms, "result reported");
        // Convex may apply a `running` that had no answer after this result: the same result once more, when
        // that is over, has the last word.
        if let Some(left) = open_until.and_then(|until| until.duration_since(SystemTime::now()).ok()) {
            return Err(Failure::Later(left));
        }
        Ok(vec![Outgoing::from(&Reported {
            submission: judged.submission.clone(),
            status,
            attempts: delivery.attempt,
            instance: self.instance.clone(),
            callback_attempts: self.tries.take(&key),
        })])
    }

    /// The dead letter is all there is: the verdict stands, and Convex does not take it.
    fn give_up(&self, _event: &Judged, _cause: &Cause) -> Vec<Outgoing> {
        Vec::new()
    }
}
