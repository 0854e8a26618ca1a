//! The circuit breaker: after an outage of Convex no calls are made except probes, and the services take no messages
//! that need Convex. So the messages wait in NATS, without using up deliveries, and are sent at full speed afterwards.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use gavel_domain::Backoff;
use gavel_domain::error::chain;
use gavel_domain::time::epoch_ms;
use gavel_telemetry::table;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::call::{CallError, FailureKind, service};

/// How many calls in a row must fail to open the breaker: one lost connection is normal, five are an outage.
const FAILURE_THRESHOLD: u32 = 5;
/// The delay before the first probe, and the longest one. A longer `Retry-After` counts for the message whose call got
/// it, not for probes: it may be about that call only, and a probe is no load.
const PROBE_BACKOFF: Backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(30) };
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

#[derive(Default)]
struct State {
    /// Failed calls in a row.
    failures: u32,
    /// How many times the breaker opened, or a probe failed, since the last call that succeeded.
    opened: u64,
    open: Option<Open>,
    /// The end of the last outage.
    recovered_at: Option<Instant>,
}

struct Open {
    cause: String,
    /// The path whose call failed. The probe calls it.
    path: &'static str,
    since: SystemTime,
    /// When Convex asks for the next call.
    not_before: Instant,
}

impl Open {
    fn open_for(&self) -> Duration {
        self.since.elapsed().unwrap_or_default()
    }
}

impl Breaker {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), is_closed: watch::Sender::new(true) }))
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

    /// Returns how long ago the last outage ended; `None` if there was none.
    pub(crate) fn recovered_for(&self) -> Option<Duration> {
        self.lock().recovered_at.map(|at| at.elapsed())
    }

    /// Records how a call ended. A 500 to a retry does not count: it is more likely about this submission. Nor does a
    /// `running` call that was cut off: it may take seconds less than other calls.
    pub(crate) fn record(&self, path: &'static str, error: Option<&CallError>, is_retry: bool) {
        let mut state = self.lock();
        let Some(error) = error.filter(|error| error.kind() == FailureKind::Unavailable) else {
            state.failures = 0;
            if error.is_none() {
                state.opened = 0;
            }
            return;
        };
        let is_cut_off = error.is_timeout() && path.ends_with("running");
        if is_cut_off || (is_retry && error.status() == Some(500)) {
            return;
        }
        state.failures += 1;
        if state.failures < FAILURE_THRESHOLD || state.open.is_some() {
            return;
        }
        state.opened += 1;
        let not_before = next_probe_after(error);
        let (cause, since) = (chain(error), SystemTime::now());
        warn!(cause, path, "Convex does not work: calling it with probes only until it answers");
        state.open = Some(Open { cause, path, since, not_before });
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

    /// Records how a probe ended. Any answer of the app or the platform shows that Convex works again.
    pub(crate) fn record_probe(&self, error: Option<&CallError>) {
        let mut state = self.lock();
        let Some(open) = &mut state.open else { return };
        if let Some(error) = error.filter(|error| error.kind() == FailureKind::Unavailable) {
            open.cause = chain(error);
            open.not_before = next_probe_after(error);
            state.opened += 1;
            return;
        }
        let (open_for, path) = (open.open_for(), open.path);
        (state.failures, state.open) = (0, None);
        if open_for >= MIN_OUTAGE {
            state.recovered_at = Some(Instant::now());
        }
        drop(state);
        info!(seconds = open_for.as_secs(), "Convex works again: calling it as before");
        set_metric(service(path), false);
        self.0.is_closed.send_replace(true);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns when Convex asks for the next probe.
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

    fn fail(breaker: &Breaker, times: usize) {
        (0..times).for_each(|_| breaker.record(PATH, Some(&status(503, None)), false));
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
        assert_eq!(breaker.problem().unwrap().0, "Convex answered 503");
        assert!(breaker.check().is_err() && !*breaker.is_closed().borrow());
        breaker.record_probe(Some(&CallError::Page { status: 200 }));
        assert!(breaker.problem().unwrap().0.contains("HTML page"), "the newest cause");
        breaker.record_probe(Some(&status(400, None)));
        assert!(breaker.check().is_ok() && *breaker.is_closed().borrow());
        assert_eq!(breaker.recovered_for(), None, "too short to count as an outage");
        fail(&breaker, 5);
        breaker.lock().open.as_mut().unwrap().since -= MIN_OUTAGE;
        breaker.record_probe(None);
        assert!(breaker.recovered_for().is_some());
    }

    #[test]
    fn errors_of_one_submission_do_not_open_the_breaker() {
        let breaker = Breaker::new();
        (0..50).for_each(|_| breaker.record(PATH, Some(&status(500, None)), true));
        assert_eq!(breaker.check(), Ok(()));
        // An app whose function fails for all of them does.
        (0..5).for_each(|_| breaker.record(PATH, Some(&status(500, None)), false));
        assert!(breaker.check().is_err());
    }

    #[test]
    fn probes_wait_longer_until_a_call_succeeds_and_as_long_as_convex_asks() {
        let breaker = Breaker::new();
        for times in 1..4 {
            fail(&breaker, 5);
            assert_eq!(breaker.lock().opened, times);
            breaker.record_probe(None);
        }
        breaker.record(PATH, None, false);
        assert_eq!(breaker.lock().opened, 0);
        (0..5).for_each(|_| breaker.record(PATH, Some(&status(429, Some(20))), false));
        let (path, delay) = breaker.next_probe().unwrap();
        assert!(
            path == PATH && delay > Duration::from_secs(15) && delay <= Duration::from_secs(20),
            "{delay:?}"
        );
        breaker.record_probe(Some(&status(503, Some(9_999_999_999))));
        assert!(breaker.next_probe().unwrap().1 <= Duration::from_secs(30));
    }
}
