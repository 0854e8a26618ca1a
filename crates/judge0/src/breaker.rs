//! The circuit breaker: after an outage or a rejected API key, no calls are made except probes, and the judge takes no
//! submissions for Judge0.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use gavel_domain::Backoff;
use gavel_domain::error::chain;
use gavel_telemetry::table;
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::call::Judge0Error;

/// How many calls in a row must fail to open the breaker: one lost connection is normal, five are an outage.
const FAILURE_THRESHOLD: u32 = 5;

/// The state of the breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Judge0 works as far as is known. Calls are made.
    Closed,
    /// Judge0 is unreachable, for this reason. Only probes are sent.
    Open(String),
    /// Judge0 answers but runs no programs, for this reason. Only probes are sent, which include a program.
    NotRunning(String),
    /// Judge0 rejected the API key with this HTTP status. Only probes are sent until the configuration is fixed.
    Denied(u16),
}

impl BreakerState {
    /// Sets the metric of the breaker's state.
    fn record(&self) {
        let states = [
            ("closed", *self == Self::Closed),
            ("open", matches!(self, Self::Open(_) | Self::NotRunning(_))),
            ("denied", matches!(self, Self::Denied(_))),
        ];
        for (label, is_current) in states {
            table::BREAKER.set(["judge", "judge0", label], f64::from(u8::from(is_current)));
        }
    }

    /// The state that a failed call of a probe leads to.
    pub(crate) fn of(error: &Judge0Error) -> Self {
        match error {
            Judge0Error::Denied { status } => Self::Denied(*status),
            error => Self::Open(chain(error)),
        }
    }

    /// What is wrong, in one clause. `None` if the breaker is closed.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        match self {
            Self::Closed => None,
            Self::Open(cause) => Some(format!("Judge0 is unreachable: {cause}")),
            Self::NotRunning(cause) => Some(format!("Judge0 answers but runs no programs: {cause}")),
            Self::Denied(status) => Some(Judge0Error::Denied { status: *status }.to_string()),
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    /// Failed calls in a row.
    failures: u32,
    /// How many times the breaker opened since Judge0 last finished a test.
    opened: u64,
    /// Whether Judge0 was found to run no programs, and has not finished a test since.
    runs_nothing: bool,
}

/// The circuit breaker of one Judge0.
#[derive(Debug)]
pub struct Breaker {
    counts: Mutex<Counts>,
    /// When it last closed or opened.
    changed_at: Mutex<SystemTime>,
    state: watch::Sender<BreakerState>,
    is_closed: watch::Sender<bool>,
    probe_backoff: Backoff,
}

impl Breaker {
    pub(crate) fn new(probe_backoff: Backoff) -> Self {
        let (state, is_closed) = (watch::Sender::new(BreakerState::Closed), watch::Sender::new(true));
        BreakerState::Closed.record();
        let changed_at = Mutex::new(SystemTime::now());
        Self { counts: Mutex::default(), changed_at, state, is_closed, probe_backoff }
    }

    /// The current state.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.state.borrow().clone()
    }

    /// When the breaker last closed or opened, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn since_ms(&self) -> u64 {
        let changed_at = *self.changed_at.lock().unwrap_or_else(PoisonError::into_inner);
        gavel_domain::time::epoch_ms(changed_at)
    }

    /// The state, with its changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<BreakerState> {
        self.state.subscribe()
    }

    /// Whether submissions can be taken for Judge0: true while the breaker is closed.
    #[must_use]
    pub fn is_closed(&self) -> watch::Receiver<bool> {
        self.is_closed.subscribe()
    }

    /// Waits until the breaker is not closed, and returns what is wrong.
    pub(crate) async fn problem(&self) -> String {
        let mut state = self.watch();
        // `self` owns the sender, so that waiting cannot fail.
        let problem = state
            .wait_for(|state| *state != BreakerState::Closed)
            .await
            .ok()
            .and_then(|state| state.problem());
        problem.unwrap_or_default()
    }

    /// Records the result of a call. A Judge0 that is busy or rejects one request is alive.
    pub(crate) fn note<T>(&self, called: &Result<T, Judge0Error>) {
        match called {
            Err(Judge0Error::Denied { status }) => self.deny(*status),
            Err(error) if error.is_outage() => self.fail(error),
            _ => self.lock().failures = 0,
        }
    }

    /// Records that Judge0 has finished a test, which proves that all of it works.
    pub(crate) fn note_finished_test(&self) {
        *self.lock() = Counts::default();
    }

    /// Closes the breaker after a probe that succeeded.
    pub(crate) fn close(&self) {
        self.lock().failures = 0;
        BreakerState::Closed.record();
        if self.state.send_replace(BreakerState::Closed) != BreakerState::Closed {
            self.set_changed_at();
            info!("Judge0 answers again: taking submissions for it");
        }
        self.is_closed.send_replace(true);
    }

    /// Opens the breaker because Judge0 runs no programs, although it answers.
    pub(crate) fn open_not_running(&self, cause: String) {
        let mut counts = self.lock();
        counts.runs_nothing = true;
        if !*self.is_closed.borrow() {
            return;
        }
        counts.opened += 1;
        drop(counts);
        warn!(%cause, "Judge0 answers but runs no programs: taking no submissions for it until it does");
        self.open(BreakerState::NotRunning(cause));
    }

    /// Whether a probe must show that Judge0 runs programs, not only that it answers.
    pub(crate) fn must_run_a_program(&self) -> bool {
        self.lock().runs_nothing
    }

    /// Keeps the breaker open after a probe that failed, with this new state.
    pub(crate) fn stay_open(&self, state: BreakerState) {
        self.lock().opened += 1;
        state.record();
        self.state.send_replace(state);
    }

    /// The delay before the next probe.
    pub(crate) fn probe_delay(&self) -> Duration {
        self.probe_backoff.delay(self.lock().opened, rand::random())
    }

    fn fail(&self, error: &Judge0Error) {
        let mut counts = self.lock();
        counts.failures += 1;
        if counts.failures < FAILURE_THRESHOLD || !*self.is_closed.borrow() {
            return;
        }
        counts.opened += 1;
        drop(counts);
        let cause = chain(error);
        warn!(%cause, "Judge0 is unreachable: taking no submissions for it until it answers");
        self.open(BreakerState::Open(cause));
    }

    fn deny(&self, status: u16) {
        if self.state() == BreakerState::Denied(status) {
            return;
        }
        self.lock().opened += 1;
        error!(
            status,
            "Judge0 rejected the API key: taking no submissions for it; check JUDGE0_API_KEY and JUDGE0_HEADERS"
        );
        self.open(BreakerState::Denied(status));
    }

    fn set_changed_at(&self) {
        *self.changed_at.lock().unwrap_or_else(PoisonError::into_inner) = SystemTime::now();
    }

    fn open(&self, state: BreakerState) {
        if self.state() == BreakerState::Closed {
            self.set_changed_at();
        }
        self.is_closed.send_replace(false);
        state.record();
        self.state.send_replace(state);
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> Result<(), Judge0Error> {
        Err(Judge0Error::Failed { status: 502 })
    }

    fn busy() -> Result<(), Judge0Error> {
        Err(Judge0Error::Busy { status: 503, retry_after: None, text: None })
    }

    fn breaker() -> Breaker {
        Breaker::new(Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(30) })
    }

    #[test]
    fn breaker_opens_after_five_failures_in_a_row() {
        let breaker = breaker();
        for called in
            [failed(), failed(), failed(), failed(), busy(), failed(), failed(), failed(), failed(), Ok(())]
        {
            breaker.note(&called);
            assert_eq!(breaker.state(), BreakerState::Closed);
        }
        (0..5).for_each(|_| breaker.note(&failed()));
        let problem = breaker.state().problem().unwrap();
        assert_eq!(problem, "Judge0 is unreachable: Judge0 answered with status 502");
        assert!(!*breaker.is_closed().borrow());
        breaker.close();
        assert_eq!((breaker.state(), *breaker.is_closed().borrow()), (BreakerState::Closed, true));
    }

    #[test]
    fn rejected_api_key_opens_breaker_at_once_and_names_the_setting() {
        let breaker = breaker();
        breaker.note(&Err::<(), _>(Judge0Error::Denied { status: 401 }));
        assert_eq!(breaker.state(), BreakerState::Denied(401));
        assert!(breaker.state().problem().unwrap().contains("JUDGE0_API_KEY"));
        // Failures while it is open do not replace the reason.
        (0..9).for_each(|_| breaker.note(&failed()));
        assert_eq!(breaker.state(), BreakerState::Denied(401));
    }

    #[test]
    fn judge0_that_runs_nothing_must_run_a_program_before_breaker_closes() {
        let breaker = breaker();
        breaker.open_not_running("it has no workers".to_owned());
        let problem = breaker.state().problem().unwrap();
        assert_eq!(problem, "Judge0 answers but runs no programs: it has no workers");
        assert!(!*breaker.is_closed().borrow() && breaker.must_run_a_program());
        // Also if it becomes unreachable meanwhile.
        breaker.stay_open(BreakerState::of(&Judge0Error::Failed { status: 502 }));
        assert!(breaker.must_run_a_program());
        breaker.note_finished_test();
        breaker.close();
        assert!(!breaker.must_run_a_program());
    }

    #[test]
    fn probe_delays_grow_until_a_test_finishes() {
        let breaker = breaker();
        let opened = |breaker: &Breaker| breaker.lock().opened;
        for times in 1..4 {
            (0..5).for_each(|_| breaker.note(&failed()));
            breaker.close();
            assert_eq!(opened(&breaker), times);
        }
        breaker.note_finished_test();
        assert_eq!(opened(&breaker), 0);
    }
}
