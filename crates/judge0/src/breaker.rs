//! The circuit breaker: a Judge0 that is away, or that refuses us, is left alone, and everybody is told.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use gavel_domain::Backoff;
use gavel_telemetry::table;
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::call::{CallError, chain};

/// After how many failed calls in a row it opens: one lost connection is nothing, five are an outage.
const THRESHOLD: u32 = 5;

/// What the breaker knows of Judge0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It works, as far as is known: calls are made.
    Closed,
    /// It is away, for this reason: only a probe is sent, now and then.
    Open(String),
    /// It refuses us, with this HTTP status: somebody must mend the configuration.
    Denied(u16),
}

impl State {
    /// Shows it among the judge's figures.
    fn show(&self) {
        let states = [("closed", *self == Self::Closed), ("open", matches!(self, Self::Open(_)))];
        for (word, is_it) in states.into_iter().chain([("denied", matches!(self, Self::Denied(_)))]) {
            table::BREAKER.set(["judge", "judge0", word], f64::from(u8::from(is_it)));
        }
    }

    /// What is wrong, as one clause.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        match self {
            Self::Closed => None,
            Self::Open(cause) => Some(format!("Judge0 is away: {cause}")),
            Self::Denied(status) => Some(CallError::Denied { status: *status }.to_string()),
        }
    }
}

#[derive(Debug, Default)]
struct Count {
    /// Failed calls in a row.
    failures: u32,
    /// How often it opened since a test was last brought to an end.
    opened: u64,
}

/// The breaker of one Judge0.
#[derive(Debug)]
pub struct Breaker {
    count: Mutex<Count>,
    /// When it was last closed or opened.
    since: Mutex<SystemTime>,
    state: watch::Sender<State>,
    works: watch::Sender<bool>,
    pause: Backoff,
}

impl Breaker {
    pub(crate) fn new(pause: Backoff) -> Self {
        let (state, works) = (watch::Sender::new(State::Closed), watch::Sender::new(true));
        State::Closed.show();
        let since = Mutex::new(SystemTime::now());
        Self { count: Mutex::default(), since, state, works, pause }
    }

    /// Its state now.
    #[must_use]
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Since when it is closed, or not, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn since_ms(&self) -> u64 {
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let since = since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// Its state, as it changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Whether work can be taken: true while it is closed.
    #[must_use]
    pub fn works(&self) -> watch::Receiver<bool> {
        self.works.subscribe()
    }

    /// Waits until it is not closed; what is wrong then.
    pub(crate) async fn problem(&self) -> String {
        let mut state = self.watch();
        // The sender is ours: it cannot be gone.
        let problem =
            state.wait_for(|state| *state != State::Closed).await.ok().and_then(|state| state.problem());
        problem.unwrap_or_default()
    }

    /// Takes note of a call's end. Being busy, or refusing one request, is a sign of life.
    pub(crate) fn note<T>(&self, called: &Result<T, CallError>) {
        match called {
            Err(CallError::Denied { status }) => self.deny(*status),
            Err(error) if error.is_outage() => self.fail(error),
            _ => self.lock().failures = 0,
        }
    }

    /// Takes note that Judge0 has brought a test to an end: it works as a whole.
    pub(crate) fn delivered(&self) {
        *self.lock() = Count::default();
    }

    /// Takes note of a probe that succeeded.
    pub(crate) fn close(&self) {
        self.lock().failures = 0;
        State::Closed.show();
        if self.state.send_replace(State::Closed) != State::Closed {
            self.turn();
            info!("Judge0 answers again");
        }
        self.works.send_replace(true);
    }

    /// Takes note of a probe that failed.
    pub(crate) fn stay_open(&self, error: &CallError) {
        self.lock().opened += 1;
        let state = match error {
            CallError::Denied { status } => State::Denied(*status),
            error => State::Open(chain(error)),
        };
        state.show();
        self.state.send_replace(state);
    }

    /// How long to wait before the next probe.
    pub(crate) fn pause(&self) -> Duration {
        self.pause.delay(self.lock().opened, rand::random())
    }

    fn fail(&self, error: &CallError) {
        let mut count = self.lock();
        count.failures += 1;
        if count.failures < THRESHOLD || !*self.works.borrow() {
            return;
        }
        count.opened += 1;
        drop(count);
        let cause = chain(error);
        warn!(%cause, "Judge0 is away: no work is taken for it until it answers");
        self.open(State::Open(cause));
    }

    fn deny(&self, status: u16) {
        if self.state() == State::Denied(status) {
            return;
        }
        self.lock().opened += 1;
        error!(
            status,
            "Judge0 refuses us: JUDGE0_API_KEY or JUDGE0_HEADERS is missing or wrong; no work is taken for it"
        );
        self.open(State::Denied(status));
    }

    fn turn(&self) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = SystemTime::now();
    }

    fn open(&self, state: State) {
        if self.state() == State::Closed {
            self.turn();
        }
        self.works.send_replace(false);
        state.show();
        self.state.send_replace(state);
    }

    fn lock(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> Result<(), CallError> {
        Err(CallError::Failed { status: 502 })
    }

    fn busy() -> Result<(), CallError> {
        Err(CallError::Busy { status: 503, retry_after: None, text: None })
    }

    fn breaker() -> Breaker {
        Breaker::new(Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(30) })
    }

    #[test]
    fn it_opens_after_five_failures_in_a_row() {
        let breaker = breaker();
        for called in
            [failed(), failed(), failed(), failed(), busy(), failed(), failed(), failed(), failed(), Ok(())]
        {
            breaker.note(&called);
            assert_eq!(breaker.state(), State::Closed);
        }
        (0..5).for_each(|_| breaker.note(&failed()));
        let problem = breaker.state().problem().unwrap();
        assert_eq!(problem, "Judge0 is away: status 502 came in the place of Judge0's answer");
        assert!(!*breaker.works().borrow());
        breaker.close();
        assert_eq!((breaker.state(), *breaker.works().borrow()), (State::Closed, true));
    }

    #[test]
    fn a_refusal_opens_it_at_once_and_says_what_to_mend() {
        let breaker = breaker();
        breaker.note(&Err::<(), _>(CallError::Denied { status: 401 }));
        assert_eq!(breaker.state(), State::Denied(401));
        assert!(breaker.state().problem().unwrap().contains("JUDGE0_API_KEY"));
        // What fails while it is open does not hide the reason.
        (0..9).for_each(|_| breaker.note(&failed()));
        assert_eq!(breaker.state(), State::Denied(401));
    }

    #[test]
    fn pauses_grow_until_a_test_was_brought_to_an_end() {
        let breaker = breaker();
        let opened = |breaker: &Breaker| breaker.lock().opened;
        for times in 1..4 {
            (0..5).for_each(|_| breaker.note(&failed()));
            breaker.close();
            assert_eq!(opened(&breaker), times);
        }
        breaker.delivered();
        assert_eq!(opened(&breaker), 0);
    }
}
