//! One Judge0, as an engine: what all submissions of a judge share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gavel_domain::{Backoff, LanguageId};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::breaker::Breaker;
use crate::call::{CallError, chain};
use crate::client::{Client, InvalidConfig, Judge0Config};
use crate::limits::Limits;
use crate::poller::{self, Flight};
use crate::upkeep;

/// How many tokens may wait for the poller to take note of them. It does so between two looks.
const FLIGHTS: usize = 1_024;

/// How often and how long things are tried. What tests shorten.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The first look at a test comes this long after it was sent, and the next one after a part of its age.
    pub first_look: Duration,
    /// The longest pause between two looks at a test.
    pub longest_look: Duration,
    /// Pauses between tries of a call that failed.
    pub retry: Backoff,
    /// For how long a call is tried before the submission is handed back.
    pub patience: Duration,
    /// How long a test may take, beyond its wall time, before its token counts as lost: Judge0's queue is before it.
    pub lost_after: Duration,
    /// How many times Judge0 may fail on one test before that is final.
    pub max_faults: u32,
    /// How often Judge0's limits are read again.
    pub refresh: Duration,
    /// Pauses between probes of a Judge0 that is away.
    pub probe: Backoff,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first_look: Duration::from_millis(100),
            longest_look: Duration::from_secs(1),
            retry: Backoff { base: Duration::from_millis(200), cap: Duration::from_secs(5) },
            patience: Duration::from_secs(30),
            lost_after: Duration::from_mins(3),
            max_faults: 3,
            refresh: Duration::from_mins(5),
            probe: Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(30) },
        }
    }
}

/// Why a submission has no outcome. Never the program's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It will be the same each time; one clause that says why.
    #[error("{0}")]
    Final(String),
    /// Judge0 is away, busy, or refuses us: the submission is as good as not tried.
    #[error("{cause}")]
    Unavailable {
        /// When it may be worth another try.
        after: Duration,
        /// What is wrong, in one clause.
        cause: String,
    },
}

/// What the submissions, the poller and the upkeep share.
pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) breaker: Breaker,
    pub(crate) limits: watch::Sender<Option<Limits>>,
    pub(crate) languages: watch::Sender<Vec<(LanguageId, String)>>,
    pub(crate) pace: Pace,
    /// Held while the poller tells what one look has brought, so that a submission is told all of it at once.
    telling: Mutex<()>,
}

impl Shared {
    pub(crate) fn telling(&self) -> MutexGuard<'_, ()> {
        self.telling.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One Judge0.
pub struct Judge0 {
    pub(crate) shared: Arc<Shared>,
    pub(crate) flights: mpsc::Sender<Flight>,
    pub(crate) window: usize,
    tasks: [AbortHandle; 2],
}

impl Judge0 {
    /// Begins to watch Judge0, which need not be there yet. Needs a runtime.
    ///
    /// # Errors
    /// [`InvalidConfig`].
    pub fn start(config: &Judge0Config, pace: Pace) -> Result<Self, InvalidConfig> {
        let client = Client::new(config)?;
        let (limits, breaker) = (watch::Sender::new(None), Breaker::new(pace.probe));
        let languages = watch::Sender::new(Vec::new());
        let shared = Arc::new(Shared { client, breaker, limits, languages, pace, telling: Mutex::default() });
        let (flights, landed) = mpsc::channel(FLIGHTS);
        let polling = tokio::spawn(poller::poll(Arc::clone(&shared), landed)).abort_handle();
        let upkeep = tokio::spawn(upkeep::keep(Arc::clone(&shared))).abort_handle();
        Ok(Self { shared, flights, window: config.window, tasks: [polling, upkeep] })
    }

    /// Whether Judge0 is there.
    #[must_use]
    pub fn breaker(&self) -> &Breaker {
        &self.shared.breaker
    }

    /// The languages that it takes, with its names for them, as last read; empty where they were never read.
    #[must_use]
    pub fn languages(&self) -> Vec<(LanguageId, String)> {
        self.shared.languages.borrow().clone()
    }

    /// Judge0's limits, as last read; waits for them where they were never read.
    pub(crate) async fn limits(&self) -> Result<Limits, Fault> {
        let mut limits = self.shared.limits.subscribe();
        let waiting = async {
            tokio::select! {
                biased;
                problem = self.shared.breaker.problem() => Err(unavailable(problem)),
                read = limits.wait_for(Option::is_some) => {
                    read.ok().and_then(|limits| *limits).ok_or_else(|| unavailable("Judge0 is not watched".to_owned()))
                }
            }
        };
        let waited = timeout(self.shared.pace.patience, waiting).await;
        waited.unwrap_or_else(|_| Err(unavailable("Judge0's limits cannot be read".to_owned())))
    }

    /// Makes a call until it succeeds, Judge0 refuses it, the breaker opens, or the patience is over.
    pub(crate) async fn patiently<T, F>(&self, call: impl Fn() -> F) -> Result<Result<T, CallError>, Fault>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        let until = Instant::now() + self.shared.pace.patience;
        let trying = async {
            let mut attempt = 0;
            loop {
                attempt += 1;
                let called = call().await;
                self.shared.breaker.note(&called);
                let error = match called {
                    Err(error) if error.is_outage() || matches!(error, CallError::Busy { .. }) => error,
                    called => return Ok(called),
                };
                let pause = self.shared.pace.retry.delay(attempt, rand::random());
                let pause = pause.max(error.retry_after().unwrap_or_default());
                if Instant::now() + pause >= until {
                    return Err(Fault::Unavailable { after: pause.max(rest()), cause: chain(&error) });
                }
                sleep(pause).await;
            }
        };
        tokio::select! {
            biased;
            problem = self.shared.breaker.problem() => Err(unavailable(problem)),
            tried = trying => tried,
        }
    }
}

impl Drop for Judge0 {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

pub(crate) fn unavailable(cause: String) -> Fault {
    Fault::Unavailable { after: rest(), cause }
}

/// Long enough to leave Judge0 alone, short enough for others to take the work; spread, so that what was handed back
/// together does not come back together.
fn rest() -> Duration {
    Duration::from_secs(3) + Duration::from_secs(7).mul_f64(rand::random())
}
