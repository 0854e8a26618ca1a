//! A double of Judge0, built on recorded answers of a real one: its queue and workers, its cache of a second for a
//! single `GET`, its limits, and, told to, every way in which it or the network fails.
//!
//! It shares no code with the client, on purpose: a misreading must not cancel itself out.

mod fault;
mod program;
mod queue;
mod recorded;
mod serve;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub use fault::{Fault, Mishap, Route};
pub use program::{Program, Script, accepted, by_recording, ended};
pub use recorded::{RECORDED, recording};

/// How a double is set up.
#[derive(Clone)]
pub struct Settings {
    /// What one test takes a worker.
    pub test_time: Duration,
    /// How many tests run at once.
    pub workers: usize,
    /// How many submissions may wait (`MAX_QUEUE_SIZE`).
    pub max_queue: usize,
    /// For how long the answer to a single `GET` is kept (`SUBMISSION_CACHE_DURATION`).
    pub cache: Duration,
    /// The tokens that it takes as `X-Auth-Token`; none: open.
    pub keys: Vec<String>,
    /// Fields of `/config_info` that differ from the recorded ones.
    pub config: Value,
    /// What programs do.
    pub script: Script,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            test_time: Duration::from_millis(5),
            workers: 4,
            max_queue: 100,
            cache: Duration::from_secs(1),
            keys: Vec::new(),
            config: Value::Null,
            script: by_recording(),
        }
    }
}

/// A call that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What it was for.
    pub route: Route,
    /// How many submissions it was about.
    pub submissions: usize,
    /// The headers that callers add: name in lower case, and value.
    pub headers: Vec<(String, String)>,
}

/// A running double; it ends with the test.
pub struct Judge0Double {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

/// What the handle and the routes share.
pub(crate) struct Shared {
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

pub(crate) struct State {
    settings: Settings,
    queue: queue::Queue,
    faults: fault::Faults,
    calls: Vec<Call>,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

impl Judge0Double {
    /// A double on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// Where the port cannot be taken.
    pub async fn start(settings: Settings) -> Self {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), settings).await
    }

    /// A double at an address, such as that of one that was stopped.
    ///
    /// # Panics
    /// Where it cannot be taken.
    pub async fn start_at(address: SocketAddr, settings: Settings) -> Self {
        let listener = TcpListener::bind(address).await.expect("an address to listen on");
        let address = listener.local_addr().expect("a bound socket has an address");
        let queue = queue::Queue::new(settings.workers);
        let state = State { settings, queue, faults: fault::Faults::default(), calls: Vec::new() };
        let shared = Arc::new(Shared { state: Mutex::new(state), changes: watch::Sender::new(0) });
        let router = serve::router(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            // It ends with an error only where it never began.
            let _ = axum::serve(listener, router).await;
        });
        Self { shared, address, task }
    }

    /// Ends it; its port is free then, for one that comes back. Connections that are open stay so until their
    /// callers notice.
    pub async fn stop(mut self) {
        self.task.abort();
        // It was aborted: that is the error.
        let _ = (&mut self.task).await;
    }

    /// The value for `JUDGE0_BASE_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Has calls go wrong from now on: the next `times` of them, or all with `None`.
    pub fn fault(&self, route: Route, times: impl Into<Option<u64>>, fault: Fault) {
        self.shared.lock().faults.add(route, times.into(), fault);
    }

    /// Has tests go wrong that are sent from now on: the next `times` of them, or all with `None`.
    pub fn mishap(&self, times: impl Into<Option<u64>>, mishap: Mishap) {
        self.shared.lock().faults.add_mishap(times.into(), mishap);
    }

    /// Ends all that was told to go wrong.
    pub fn heal(&self) {
        self.shared.lock().faults = fault::Faults::default();
    }

    /// Changes which keys it takes.
    pub fn set_keys(&self, keys: &[&str]) {
        self.shared.lock().settings.keys = keys.iter().map(|&key| key.to_owned()).collect();
    }

    /// All calls, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.shared.lock().calls.clone()
    }

    /// How many calls of a kind came, or with `None` of all.
    #[must_use]
    pub fn call_count(&self, route: impl Into<Option<Route>>) -> usize {
        let route = route.into();
        self.shared.lock().calls.iter().filter(|call| route.is_none_or(|route| route == call.route)).count()
    }

    /// The programs that were taken, in order.
    #[must_use]
    pub fn programs(&self) -> Vec<Program> {
        self.shared.lock().queue.programs()
    }

    /// The most tests that were in the queue or ran at once.
    #[must_use]
    pub fn most_in_flight(&self) -> usize {
        self.shared.lock().queue.most_in_flight()
    }

    /// Waits until `count` calls of a kind have come.
    ///
    /// # Panics
    /// Where they do not come within `timeout`.
    pub async fn wait_calls(&self, route: Route, count: usize, timeout: Duration) {
        let mut changes = self.shared.changes.subscribe();
        let came = changes.wait_for(|_| self.call_count(route) >= count);
        let came = tokio::time::timeout(timeout, came).await.is_ok();
        assert!(came, "waited {timeout:?} for {count} calls of {route:?}; {} came", self.call_count(route));
    }
}

impl Drop for Judge0Double {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn now() -> Instant {
    Instant::now()
}
