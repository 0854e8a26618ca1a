//! The handler for ready submissions.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use gavel_bus::topology::ConsumerId;
use gavel_bus::{BundleError, Bundles, Bus, Cause, Delivery, Failure, Handler, LanguageTurns, Outgoing};
use gavel_domain::engine::{EngineFault, Job, Progress};
use gavel_domain::event::{Assignment, BundleKey, Expired, HandedOn, Judged, Ready, Running, Stage, Waiting};
use gavel_domain::text::normalize_source;
use gavel_domain::time::epoch_ms;
use gavel_domain::{Backoff, HiddenOutput, Question, Scorer, Verdict, catalogue};
use gavel_runtime::telemetry::counted_verdict;
use gavel_telemetry::table;
use moka::future::Cache;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::Config;
use crate::engine::Engine;
use crate::languages::Languages;

const BACKOFF: Backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(30) };

/// The delays while too many submissions wait for judges with other languages: two minutes on average with eight
/// deliveries, each of which may reach a judge with the language.
const FULL_BACKOFF: Backoff = Backoff { base: Duration::from_secs(4), cap: Duration::from_mins(1) };

/// The delays after failures that are not counted: the submission may be what breaks its engine, each time for all
/// others, until it is given up by its age.
const UNCOUNTED_BACKOFF: Backoff = Backoff { base: Duration::from_secs(5), cap: Duration::from_mins(10) };

/// The redelivery delay of a submission that this judge was given to end, although it may wait longer.
const EARLY_DELAY: Duration = Duration::from_secs(1);

/// The reason in the verdict of a submission that the judge gives up, if its cause has none for learners. The cause itself
/// is for the operator: it goes to the dead letter and the log.
const GIVE_UP_REASON: &str = "the submission could not be judged because of a system error";
/// The same if the engine fails on the submission each time.
const ENGINE_REASON: &str = "the judge could not run the program because of a system error";
/// The same if the engine cannot be reached.
const UNAVAILABLE_REASON: &str = "the system that runs programs was not available";
/// The same if the test cases cannot be read.
const TEST_CASES_REASON: &str = "the test cases could not be loaded";

/// How many times missing test cases are requested again. After that, something else is wrong.
const MAX_RENEWALS: u32 = 3;

/// Why a submission has no verdict yet.
struct NoVerdict {
    /// The delay before the next attempt, if the engine asks for one.
    retry_after: Option<Duration>,
    cause: Cause,
}

impl From<Cause> for NoVerdict {
    fn from(cause: Cause) -> Self {
        Self { retry_after: None, cause }
    }
}

/// Judges ready submissions.
pub(crate) struct Judge<E> {
    bus: Bus,
    engine: Arc<E>,
    languages: Arc<Languages<E>>,
    bundles: Bundles,
    cache: Cache<BundleKey, Arc<Question>>,
    max_field_bytes: usize,
    hidden_output: HiddenOutput,
    max_output_bytes: u64,
    max_deliveries: u64,
    give_up_after: Duration,
    instance: String,
}

impl<E: Engine> Judge<E> {
    pub(crate) fn new(bus: Bus, engine: Arc<E>, languages: Arc<Languages<E>>, config: &Config) -> Self {
        let bytes = |_: &BundleKey, question: &Arc<Question>| {
            let tests = question.tests.iter().map(|test| 64 + test.stdin.len() + test.expected_stdout.len());
            u32::try_from(tests.sum::<usize>()).unwrap_or(u32::MAX)
        };
        Self {
            bundles: Bundles::new(bus.clone()),
            bus,
            engine,
            languages,
            cache: Cache::builder().weigher(bytes).max_capacity(config.bundle_cache_bytes).build(),
            max_field_bytes: config.max_field_bytes,
            hidden_output: config.hidden_output,
            max_output_bytes: config.max_output_bytes,
            max_deliveries: config.max_deliveries,
            give_up_after: config.judge0_give_up_after,
            instance: config.service.instance.clone(),
        }
    }

    /// Returns what to do with a submission in a language that this judge lacks; `None` if it ends with an error.
    async fn without_language(&self, delivery: &Delivery<Ready>) -> Option<Result<Vec<Outgoing>, Failure>> {
        let ready = &delivery.event;
        let (id, language) = (&ready.submission.id, ready.submission.language);
        match delivery.consumer {
            ConsumerId::Durable(_) if self.languages.may_wait(&self.bus, language).await => {
                info!(submission_id = %id, %language, "handed on to a judge that serves the language");
                Some(Ok(vec![self.handed_on(delivery)]))
            }
            ConsumerId::Durable(_) => None,
            ConsumerId::Language(_) if self.languages.is_wait_over(language, delivery.age()) => {
                warn!(submission_id = %id, %language, "no running judge serves the language");
                self.languages.end_next(language);
                None
            }
            ConsumerId::Language(waited_for) if waited_for != language => {
                let cause = Cause::new("the language in the message is not the one in its subject");
                Some(Err(Failure::Reject(cause)))
            }
            // Handing it on again would lose it: the event in its place is this one.
            ConsumerId::Language(_) => Some(Err(Failure::Defer(EARLY_DELAY))),
        }
    }

    fn handed_on(&self, delivery: &Delivery<Ready>) -> Outgoing {
        let ready = &delivery.event;
        let language = ready.submission.language;
        let handed_on = HandedOn { by: self.instance.clone(), ready_at_ms: epoch_ms(delivery.stored_at) };
        let waiting = Waiting { ready: Ready { handed_on: Some(handed_on), ..ready.clone() } };
        let waiting = Outgoing::from(&waiting);
        // A judge that serves the language may take it next.
        if self.languages.may_be_served(language) && delivery.attempt < self.max_deliveries {
            return waiting.or_later_if_full(FULL_BACKOFF.delay(delivery.attempt, rand::random()));
        }
        let name = catalogue::label(language).map_or_else(|| format!("language {language}"), str::to_owned);
        let error = Verdict::error(&format!("{name} is not available on this judge"));
        let error = self.judged_event(ready, Some(assignment(delivery)), error);
        waiting.or_if_full(counted_verdict("judge", &error))
    }

    async fn question(&self, key: &BundleKey) -> Result<Arc<Question>, Arc<BundleError>> {
        let mut result = "hit";
        let get = async {
            result = "miss";
            self.bundles.get(key).await.map(Arc::new)
        };
        let question = self.cache.try_get_with_by_ref(key, get).await;
        table::CACHE_LOOKUPS.add(["judge", "bundle", result]);
        question
    }

    async fn verdict(&self, delivery: &Delivery<Ready>, question: &Question) -> Result<Verdict, NoVerdict> {
        let ready = &delivery.event;
        let source = normalize_source(&ready.source);
        let job = Job {
            language: ready.submission.language,
            source: &source,
            question,
            max_output_bytes: self.max_output_bytes,
        };
        let mut scorer = Scorer::new(question, self.max_field_bytes, self.hidden_output);
        let mut verdict = None;
        let executed = self
            .engine
            .execute(&job, &mut |execution| match scorer.next(&execution) {
                ControlFlow::Continue(()) => ControlFlow::Continue(()),
                ControlFlow::Break(decided) => {
                    verdict = Some(decided);
                    ControlFlow::Break(())
                }
            })
            .await;
        match (verdict, executed) {
            (Some(verdict), _) => Ok(verdict),
            (None, Ok(Progress::CompileError(output))) => Ok(scorer.compile_error(&output)),
            (None, Ok(Progress::Ran)) => Err(Cause::new("the engine stopped before all tests had run")
                .with_reason(ENGINE_REASON)
                .into()),
            (None, Err(EngineFault::Final { reason, source })) => {
                let cause = source.map_or_else(|| Cause::new(&reason), |source| Cause::from(&*source));
                warn!(submission_id = %ready.submission.id, %cause, "the engine cannot run the submission");
                Ok(scorer.error(&reason))
            }
            (None, Err(EngineFault::Transient(source))) => {
                let backoff = transient_backoff(self.counts_deliveries(ready));
                let retry_after = backoff.delay(delivery.attempt, rand::random());
                let cause = Cause::from(&*source).with_reason(ENGINE_REASON);
                Err(NoVerdict { retry_after: Some(retry_after), cause })
            }
            (None, Err(EngineFault::Unavailable { retry_after, source })) => {
                let cause = Cause::from(&*source).with_reason(UNAVAILABLE_REASON);
                Err(NoVerdict { retry_after: Some(retry_after), cause })
            }
        }
    }

    /// Whether to give up a submission by its age, if not by the number of its deliveries.
    fn is_too_old(&self, delivery: &Delivery<Ready>) -> bool {
        !self.counts_deliveries(&delivery.event) && delivery.age() > self.give_up_after
    }

    fn judged(&self, ready: &Ready, assignment: Option<Assignment>, verdict: Verdict) -> Outgoing {
        let judged = self.judged_event(ready, assignment, verdict);
        info!(
            submission_id = %judged.submission.id,
            status = judged.verdict.status.as_str(),
            language = %judged.submission.language,
            passed = judged.verdict.passed_count,
            total = judged.verdict.total_count,
            duration_ms = judged.duration_ms,
            "judged"
        );
        counted_verdict("judge", &judged)
    }

    fn judged_event(&self, ready: &Ready, assignment: Option<Assignment>, verdict: Verdict) -> Judged {
        let submission = ready.submission.clone();
        Judged { assignment, ..Judged::new(submission, verdict, SystemTime::now(), &self.instance) }
    }
}

/// The delays after transient faults of an engine.
fn transient_backoff(counts_deliveries: bool) -> Backoff {
    if counts_deliveries { BACKOFF } else { UNCOUNTED_BACKOFF }
}

fn assignment(delivery: &Delivery<Ready>) -> Assignment {
    let handed_on = delivery.event.handed_on.as_ref();
    Assignment {
        ready_at_ms: handed_on
            .map_or_else(|| epoch_ms(delivery.stored_at), |handed_on| handed_on.ready_at_ms),
        attempts: delivery.attempt,
        handed_on_by: handed_on.map(|handed_on| handed_on.by.clone()),
    }
}

impl<E: Engine> Handler for Judge<E> {
    type Event = Ready;
    const STAGE: Stage = Stage::Judge;

    fn started_event(&self, event: &Ready) -> Option<Outgoing> {
        if !self.engine.serves(event.submission.language) {
            return None;
        }
        let running = Running { submission: event.submission.clone(), instance: self.instance.clone() };
        Some(Outgoing::from(&running))
    }

    async fn handle(&self, delivery: &Delivery<Ready>) -> Result<Vec<Outgoing>, Failure> {
        let ready = &delivery.event;
        if !self.engine.serves(ready.submission.language)
            && let Some(done) = self.without_language(delivery).await
        {
            return done;
        }
        let toolchain = self.engine.toolchain(ready.submission.language);
        let result = match self.question(&ready.bundle).await {
            Ok(question) => {
                self.verdict(delivery, &question).await.map(|verdict| Verdict { toolchain, ..verdict })
            }
            // On the first delivery, a replica of the bundle store may only lag behind.
            Err(error)
                if matches!(*error, BundleError::Missing)
                    && delivery.attempt > 1
                    && ready.renewals < MAX_RENEWALS =>
            {
                warn!(submission_id = %ready.submission.id, "the test cases are missing: requesting them again");
                return Ok(vec![Outgoing::from(&Expired { ready: ready.clone() })]);
            }
            Err(error) => Err(Cause::from(&*error).with_reason(TEST_CASES_REASON).into()),
        };
        match result {
            Ok(verdict) => Ok(vec![self.judged(ready, Some(assignment(delivery)), verdict)]),
            Err(no_verdict) if self.is_too_old(delivery) => Err(Failure::Reject(no_verdict.cause)),
            Err(NoVerdict { retry_after, cause }) => {
                let after = retry_after.unwrap_or_else(|| BACKOFF.delay(delivery.attempt, rand::random()));
                Err(Failure::Retry { after, cause })
            }
        }
    }

    fn gate(&self) -> Option<watch::Receiver<bool>> {
        self.engine.gate()
    }

    fn language_turns(&self) -> Option<Arc<LanguageTurns>> {
        Some(Arc::clone(&self.languages.turns))
    }

    /// A judge that lacks the language is not crashed by the submission.
    fn counts_deliveries(&self, event: &Ready) -> bool {
        let language = event.submission.language;
        self.engine.serves(language) && self.engine.counts_deliveries(language)
    }

    fn give_up(&self, event: &Ready, cause: &Cause) -> Vec<Outgoing> {
        vec![self.judged(event, None, Verdict::error(cause.reason().unwrap_or(GIVE_UP_REASON)))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn submission_that_may_break_its_engine_returns_ever_more_rarely() {
        let delays =
            |counts| [1, 4, 20].map(|attempt| transient_backoff(counts).delay(attempt, 1.0).as_secs());
        assert_eq!(delays(false), [5, 40, 600]);
        assert_eq!(delays(true), [1, 8, 30]);
    }
}
