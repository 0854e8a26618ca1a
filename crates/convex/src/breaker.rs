//! The circuit breaker: after an outage of Convex no calls are made except probes, and the services take no messages
//! that need Convex. So the messages wait in NATS, without using up deliveries, and are sent at full speed afterwards.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use gavel_domain::Backoff;
use gavel_domain::error::chain;
use gavel_domain::time::epoch_ms;
use gavel_telemetry::table;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::call::{AnswerOrigin, CallError, FailureKind, service};

/// How many calls in a row must fail to open the breaker: one lost connection is normal, five are an outage.
const FAILURE_THRESHOLD: u32 = 5;
/// How long no call may have been answered before failures that may concern single submissions open the breaker.
const MIN_FAILING_TIME: Duration = Duration::from_secs(2);
/// The delay before the first probe, and the longest one. A longer `Retry-After` of a probe does not count: a probe is no
/// load.
const PROBE_BACKOFF: Backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(30) };
/// How many probes may fail before calls for messages are made instead: an app may answer other calls than these.
const MAX_FAILED_PROBES: u32 = 10;
/// From which length on an outage counts as one for retry budgets. The breaker may open for seconds although most calls
/// succeed.
const MIN_OUTAGE: Duration = Duration::from_mins(1);
/// When a message that was taken before the breaker opened can be delivered again. It waits until the breaker closes.
const REDELIVERY_DELAY: Duration = Duration::from_secs(1);

/// No call is made, because Convex does not work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no call was made, because Convex has not worked for {} s: {cause}", open_for.as_secs())]
pub struct BreakerOpen {
    cause: String,
    open_for: Duration,
}

impl BreakerOpen {
    /// When the message that needs the call can be delivered again.
    #[must_use]
    pub fn redelivery_delay(&self) -> Duration {
        REDELIVERY_DELAY
    }
}

/// The circuit breaker of a client. Clones share it.
#[derive(Clone)]
pub(crate) struct Breaker(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    is_closed: watch::Sender<bool>,
}

struct State {
    /// Failed calls in a row.
    failures: u32,
    /// When the first call failed since the last one that was answered. A probe does not change it.
    failing_since: Option<Instant>,
    /// How many times the breaker opened, or a probe failed, since the last call that succeeded.
    opened: u64,
    open: Option<Open>,
    /// The end of the last outage, or the start of this process: it may have been started during an outage.
    recovered_at: Instant,
}

struct Open {
    cause: String,
    /// The path whose call failed. The probe calls it.
    path: &'static str,
    since: SystemTime,
    /// Probes that failed.
    failed_probes: u32,
    /// When the last probe's answer asks for the next one.
    not_before: Instant,
}

impl Open {
    fn open_for(&self) -> Duration {
        self.since.elapsed().unwrap_or_default()
    }
}

impl Breaker {
    pub(crate) fn new() -> Self {
        let state =
            State { failures: 0, failing_since: None, opened: 0, open: None, recovered_at: Instant::now() };
        Self(Arc::new(Shared { state: Mutex::new(state), is_closed: watch::Sender::new(true) }))
    }

    /// Whether it is closed, so that messages that need Convex can be taken.
    pub(crate) fn is_closed(&self) -> watch::Receiver<bool> {
        self.0.is_closed.subscribe()
    }

    /// Fails while the breaker is open.
    pub(crate) fn check(&self) -> Result<(), BreakerOpen> {
        let state = self.lock();
        let error = |open: &Open| BreakerOpen { cause: open.cause.clone(), open_for: open.open_for() };
        state.open.as_ref().map_or(Ok(()), |open| Err(error(open)))
    }

    /// Returns why the breaker is open, and since when, in milliseconds since the Unix epoch.
    pub(crate) fn problem(&self) -> Option<(String, u64)> {
        self.lock().open.as_ref().map(|open| (open.cause.clone(), epoch_ms(open.since)))
    }

    /// Returns how long ago the last outage ended, or this process started.
    pub(crate) fn recovered_for(&self) -> Duration {
        self.lock().recovered_at.elapsed()
    }

    /// Records how a call ended.
    pub(crate) fn record(&self, path: &'static str, error: Option<&CallError>, is_retry: bool) {
        let mut state = self.lock();
        let Some(error) = error.filter(|error| error.kind() == FailureKind::Unavailable) else {
            (state.failures, state.failing_since) = (0, None);
            if error.is_none() {
                state.opened = 0;
            }
            return;
        };
        if !is_sign_of_outage(path, error, is_retry) {
            return;
        }
        state.failures += 1;
        let failing_for = state.failing_since.get_or_insert_with(Instant::now).elapsed();
        let may_concern_few = may_concern_submission(error) && failing_for < MIN_FAILING_TIME;
        if state.failures < FAILURE_THRESHOLD || may_concern_few || state.open.is_some() {
            return;
        }
        state.opened += 1;
        let (cause, since) = (chain(error), SystemTime::now());
        warn!(cause, path, "Convex does not work: calling it with probes only until it answers");
        state.open = Some(Open { cause, path, since, failed_probes: 0, not_before: Instant::now() });
        drop(state);
        set_metric(service(path), true);
        self.0.is_closed.send_replace(false);
    }

    /// Waits until the breaker is open and the next probe is due, and returns the path that it calls.
    pub(crate) async fn probe_is_due(&self) -> &'static str {
        let mut is_closed = self.is_closed();
        loop {
            // `self` owns the sender, so that waiting cannot fail.
            let _ = is_closed.wait_for(|is_closed| !is_closed).await;
            let Some((path, delay)) = self.next_probe() else { continue };
            tokio::time::sleep(delay).await;
            return path;
        }
    }

    fn next_probe(&self) -> Option<(&'static str, Duration)> {
        let state = self.lock();
        let open = state.open.as_ref()?;
        let asked = open.not_before.saturating_duration_since(Instant::now());
        Some((open.path, asked.max(PROBE_BACKOFF.delay(state.opened, rand::random()))))
    }

    /// Records how a probe ended; `None` if its answer has a status of success. Closes the breaker if the app answered, and
    /// also after [`MAX_FAILED_PROBES`]: then the first call that fails opens it again.
    pub(crate) fn record_probe(&self, error: Option<&CallError>) {
        let mut state = self.lock();
        let Some(open) = &mut state.open else { return };
        let error = error.filter(|error| !is_answer_of_app(error));
        if let Some(error) = error {
            open.cause = chain(error);
            open.not_before = next_probe_after(error);
            open.failed_probes += 1;
            let is_last = open.failed_probes >= MAX_FAILED_PROBES;
            state.opened += 1;
            if !is_last {
                return;
            }
        }
        state.failures = if error.is_some() { FAILURE_THRESHOLD - 1 } else { 0 };
        let Some(open) = state.open.take() else { return };
        let (open_for, path) = (open.open_for(), open.path);
        // The breaker may have closed in between, without a call that succeeded.
        if state.failing_since.map_or(open_for, |since| since.elapsed()) >= MIN_OUTAGE {
            state.recovered_at = Instant::now();
        }
        drop(state);
        let seconds = open_for.as_secs();
        if error.is_some() {
            info!(
                seconds,
                "no probe succeeds: calling Convex for messages until a call fails, since it may answer those"
            );
        } else {
            info!(seconds, "Convex works again: calling it as before");
        }
        set_metric(service(path), false);
        self.0.is_closed.send_replace(true);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a call that failed says something about Convex, and not only about itself. A 500 to a retry does not: an app
/// answers it each time for a submission whose data is too large. Nor does a `running` call that was sent: it has less time
/// than others, and is retried within seconds.
fn is_sign_of_outage(path: &str, error: &CallError, is_retry: bool) -> bool {
    if path.ends_with("running") {
        matches!(error, CallError::Unreachable(_))
    } else {
        !is_retry || error.status() != Some(500)
    }
}

/// Whether Convex may have failed for this submission only: an app answers 500 for an unknown one, and 429 or 503 for
/// writes that conflict.
fn may_concern_submission(error: &CallError) -> bool {
    match error {
        CallError::Status { status, origin, .. } => {
            matches!(status, 429 | 500 | 503) && *origin != AnswerOrigin::Page
        }
        _ => false,
    }
}

/// Whether an error that answers a probe shows that calls reach the app: it may answer a call without an id with any status,
/// but 429 and 503 ask to call later.
fn is_answer_of_app(error: &CallError) -> bool {
    error.kind() != FailureKind::Unavailable
        || matches!(error, CallError::Status { status, origin: AnswerOrigin::App, .. } if !matches!(status, 429 | 503))
}

/// Returns when the answer to a probe asks for the next one.
fn next_probe_after(error: &CallError) -> Instant {
    Instant::now() + error.retry_after().unwrap_or_default().min(PROBE_BACKOFF.cap)
}

/// Sets the metric of the breaker's state.
pub(crate) fn set_metric(service: &'static str, is_open: bool) {
    for (state, is_current) in [("closed", !is_open), ("open", is_open)] {
        table::CONVEX_BREAKER.set([service, state], f64::from(u8::from(is_current)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::AnswerOrigin;

    const PATH: &str = "/coding/submission-result";

    fn status(status: u16, retry_after: Option<u64>) -> CallError {
        let retry_after = retry_after.map(Duration::from_secs);
        CallError::Status { status, retry_after, body: None, origin: AnswerOrigin::Unknown }
    }

    /// Calls that fail because of a proxy.
    fn fail(breaker: &Breaker, times: usize) {
        (0..times).for_each(|_| breaker.record(PATH, Some(&status(502, None)), false));
    }

    #[test]
    fn breaker_opens_after_five_failures_in_a_row_and_closes_after_a_probe() {
        let breaker = Breaker::new();
        for other in [None, Some(status(422, None)), Some(status(404, None)), Some(status(401, None))] {
            fail(&breaker, 4);
            breaker.record(PATH, other.as_ref(), false);
            assert_eq!(breaker.check(), Ok(()), "{other:?}");
        }
        fail(&breaker, 5);
        assert_eq!(breaker.problem().unwrap().0, "Convex answered 502");
        assert!(breaker.check().is_err() && !*breaker.is_closed().borrow());
        breaker.record_probe(Some(&CallError::Page { status: 200 }));
        assert!(breaker.problem().unwrap().0.contains("HTML page"), "the newest cause");
        breaker.record_probe(Some(&status(400, None)));
        assert!(breaker.check().is_ok() && *breaker.is_closed().borrow());
    }

    #[tokio::test(start_paused = true)]
    async fn retry_budgets_count_from_the_start_and_from_the_end_of_an_outage() {
        let (breaker, second) = (Breaker::new(), Duration::from_secs(1));
        tokio::time::advance(second).await;
        assert_eq!(breaker.recovered_for(), second, "since the start");
        fail(&breaker, 5);
        tokio::time::advance(second * 59).await;
        breaker.record_probe(None);
        assert_eq!(breaker.recovered_for(), MIN_OUTAGE, "too short to count as an outage");
        // Probes are answered, other calls are not: no single period in which the breaker is open is long.
        fail(&breaker, 5);
        tokio::time::advance(second).await;
        breaker.record_probe(None);
        assert_eq!(breaker.recovered_for(), Duration::ZERO);
        breaker.record(PATH, None, false);
        fail(&breaker, 5);
        tokio::time::advance(second).await;
        breaker.record_probe(None);
        assert_eq!(breaker.recovered_for(), second, "a call succeeded in between");
    }

    #[tokio::test(start_paused = true)]
    async fn errors_of_single_submissions_do_not_open_the_breaker() {
        let breaker = Breaker::new();
        let record = |code, times, is_retry| {
            (0..times).for_each(|_| breaker.record(PATH, Some(&status(code, None)), is_retry));
        };
        record(500, 50, true);
        let running = "/coding/submission-running";
        (0..50).for_each(|_| breaker.record(running, Some(&status(503, None)), false));
        for code in [429, 500, 503] {
            record(code, 50, false);
            tokio::time::advance(MIN_FAILING_TIME / 2).await;
            breaker.record(PATH, None, false);
        }
        assert_eq!(breaker.check(), Ok(()));
        // An app whose function fails for all of them does.
        record(500, 5, false);
        tokio::time::advance(MIN_FAILING_TIME).await;
        assert_eq!(breaker.check(), Ok(()));
        record(500, 1, false);
        assert!(breaker.check().is_err());
    }

    #[test]
    fn probes_wait_longer_until_a_call_succeeds_and_as_long_as_their_answers_ask() {
        let breaker = Breaker::new();
        for times in 1..4 {
            fail(&breaker, 5);
            assert_eq!(breaker.lock().opened, times);
            breaker.record_probe(None);
        }
        breaker.record(PATH, None, false);
        assert_eq!(breaker.lock().opened, 0);
        (0..5).for_each(|_| breaker.record(PATH, Some(&status(502, Some(20))), false));
        let (path, delay) = breaker.next_probe().unwrap();
        assert!(path == PATH && delay <= Duration::from_secs(1), "20 s are for that message only: {delay:?}");
        breaker.record_probe(Some(&status(503, Some(20))));
        let delay = breaker.next_probe().unwrap().1;
        assert!(delay > Duration::from_secs(15) && delay <= Duration::from_secs(20), "{delay:?}");
        breaker.record_probe(Some(&status(503, Some(9_999_999_999))));
        assert!(breaker.next_probe().unwrap().1 <= Duration::from_secs(30));
    }

    #[test]
    fn any_answer_of_the_app_to_a_probe_closes_the_breaker() {
        let answer = |status, origin| CallError::Status { status, retry_after: None, body: None, origin };
        let closes = |error: Option<&CallError>| {
            let breaker = Breaker::new();
            fail(&breaker, 5);
            breaker.record_probe(error);
            breaker.check().is_ok()
        };
        assert!(closes(None), "a status of success");
        for code in [400, 404, 408, 422, 500, 501] {
            assert!(closes(Some(&answer(code, AnswerOrigin::App))), "{code}");
        }
        for code in [429, 503] {
            assert!(!closes(Some(&answer(code, AnswerOrigin::App))), "{code}");
        }
        for code in [408, 429, 500, 502, 503] {
            assert!(!closes(Some(&answer(code, AnswerOrigin::Unknown))), "{code}");
            assert!(!closes(Some(&answer(code, AnswerOrigin::Page))), "{code}");
        }
        assert!(!closes(Some(&CallError::Page { status: 200 })));
    }

    #[test]
    fn messages_are_tried_after_ten_probes_that_failed() {
        let breaker = Breaker::new();
        fail(&breaker, 5);
        for _ in 0..2 {
            for _ in 0..MAX_FAILED_PROBES {
                assert!(breaker.check().is_err());
                breaker.record_probe(Some(&status(500, None)));
            }
            assert!(breaker.check().is_ok());
            fail(&breaker, 1);
        }
        assert!(breaker.check().is_err(), "one failure is enough now");
        (0..MAX_FAILED_PROBES).for_each(|_| breaker.record_probe(Some(&status(500, None))));
        breaker.record(PATH, None, false);
        fail(&breaker, 4);
        assert!(breaker.check().is_ok(), "a call succeeded");
    }
}
