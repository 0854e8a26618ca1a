//! Mock Judge0, built on recorded answers of a real one: its queue and workers, its one-second cache for a single
//! `GET`, its limits, and fault injection for every way in which it or the network fails.
//!
//! It shares no code with the client, on purpose: a misreading of the API must not cancel itself out.

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

pub use fault::{Judge0Fault, Route, TestFault};
pub use program::{Program, Script, accepted, by_recording, ended};
pub use recorded::{RECORDED, recording};

/// How mock Judge0 behaves.
#[derive(Clone)]
pub struct Settings {
    /// How long a worker is busy with one test.
    pub test_time: Duration,
    /// How many tests run at once.
    pub workers: usize,
    /// How many submissions may be queued (`MAX_QUEUE_SIZE`). `/config_info` reports it, too.
    pub max_queue: usize,
    /// How long the answer to a single `GET` is cached (`SUBMISSION_CACHE_DURATION`).
    pub cache: Duration,
    /// The tokens accepted as `X-Auth-Token`; without any, every caller is.
    pub keys: Vec<String>,
    /// Whether `/config_info` needs no token, as behind some gateways.
    pub is_config_public: bool,
    /// The token accepted as `X-Auth-User`, which authorizes deletions (`AUTHZ_TOKEN`); without one, no caller is.
    pub deletion_key: Option<String>,
    /// Fields of `/config_info` that differ from the recorded ones.
    pub config: Value,
    /// What submitted programs do.
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
            is_config_public: false,
            deletion_key: None,
            config: Value::Null,
            script: by_recording(),
        }
    }
}

/// A request that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedRequest {
    /// The route called.
    pub route: Route,
    /// How many submissions it contained or asked for.
    pub submissions: usize,
    /// The headers that begin with `x-`: lower-case name and value.
    pub headers: Vec<(String, String)>,
}

/// Mock Judge0, listening on 127.0.0.1. Dropping it stops it.
pub struct MockJudge0 {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

/// State shared by the handle and the routes.
pub(crate) struct Shared {
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

pub(crate) struct State {
    settings: Settings,
    queue: queue::Queue,
    faults: fault::Faults,
    requests: Vec<RecordedRequest>,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

impl MockJudge0 {
    /// Starts it on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// Panics if it cannot listen.
    pub async fn start(settings: Settings) -> Self {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), settings).await
    }

    /// Starts it at an address, such as that of one that was stopped.
    ///
    /// # Panics
    /// Panics if it cannot listen there.
    pub async fn start_at(address: SocketAddr, settings: Settings) -> Self {
        let listener = TcpListener::bind(address).await.expect("an address to listen on");
        let address = listener.local_addr().expect("a bound socket has an address");
        let queue = queue::Queue::new(settings.workers);
        let state = State { settings, queue, faults: fault::Faults::default(), requests: Vec::new() };
        let shared = Arc::new(Shared { state: Mutex::new(state), changes: watch::Sender::new(0) });
        let router = serve::router(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            // Serving fails only if it cannot begin.
            let _ = axum::serve(listener, router).await;
        });
        Self { shared, address, task }
    }

    /// Stops it and frees its port. Open connections stay open until their clients notice.
    pub async fn stop(mut self) {
        self.task.abort();
        // The error is that it was aborted.
        let _ = (&mut self.task).await;
    }

    /// The value for `JUDGE0_BASE_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Injects a fault into the next `times` requests of a route, or into all of them with `None`.
    pub fn fault(&self, route: Route, times: impl Into<Option<u64>>, fault: Judge0Fault) {
        self.shared.lock().faults.add(route, times.into(), fault);
    }

    /// Injects a fault into the next `times` submitted tests, or into all of them with `None`.
    pub fn test_fault(&self, times: impl Into<Option<u64>>, test_fault: TestFault) {
        self.shared.lock().faults.add_test_fault(times.into(), test_fault);
    }

    /// Removes all injected faults.
    pub fn clear_faults(&self) {
        self.shared.lock().faults = fault::Faults::default();
    }

    /// Ends all workers at once, as `kill -9` does: they stay registered, and what they run stays "Processing".
    pub fn kill_workers(&self) {
        self.shared.lock().queue.kill_workers(true);
    }

    /// Ends all workers, which unregister.
    pub fn stop_workers(&self) {
        self.shared.lock().queue.kill_workers(false);
    }

    /// Starts workers, which run what waits.
    pub fn start_workers(&self) {
        let mut state = self.shared.lock();
        let count = state.settings.workers;
        state.queue.start_workers(count);
    }

    /// Loses the queue and the registration of the workers, which go on, as if Redis had been flushed.
    pub fn flush_queue(&self) {
        self.shared.lock().queue.flush();
    }

    /// Replaces the accepted keys.
    pub fn set_keys(&self, keys: &[&str]) {
        self.shared.lock().settings.keys = keys.iter().map(|&key| key.to_owned()).collect();
    }

    /// All requests in the order of their arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.lock().requests.clone()
    }

    /// How many requests of a route were received, or of all routes with `None`.
    #[must_use]
    pub fn request_count(&self, route: impl Into<Option<Route>>) -> usize {
        let route = route.into();
        self.shared
            .lock()
            .requests
            .iter()
            .filter(|call| route.is_none_or(|route| route == call.route))
            .count()
    }

    /// How many submissions were deleted.
    #[must_use]
    pub fn deleted_count(&self) -> usize {
        self.shared.lock().queue.deleted()
    }

    /// The programs that were submitted and not deleted, in order.
    #[must_use]
    pub fn programs(&self) -> Vec<Program> {
        self.shared.lock().queue.programs()
    }

    /// The largest number of tests that were queued or running at the same time.
    #[must_use]
    pub fn most_in_flight(&self) -> usize {
        self.shared.lock().queue.most_in_flight()
    }

    /// Waits until `count` requests of a route have been received.
    ///
    /// # Panics
    /// Panics after `timeout`.
    pub async fn wait_requests(&self, route: Route, count: usize, timeout: Duration) {
        let mut changes = self.shared.changes.subscribe();
        let received = changes.wait_for(|_| self.request_count(route) >= count);
        let received = tokio::time::timeout(timeout, received).await.is_ok();
        assert!(
            received,
            "waited {timeout:?} for {count} requests of {route:?}, received {}",
            self.request_count(route)
        );
    }
}

impl Drop for MockJudge0 {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn now() -> Instant {
    Instant::now()
}
