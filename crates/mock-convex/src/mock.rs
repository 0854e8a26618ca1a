//! The handle of mock Convex: starts and stops it, injects faults, and reads what it recorded.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::task::JoinHandle;

use crate::{
    endpoint::{Endpoint, SubmissionKind},
    fault::{FaultId, HttpFault, Matcher, Random},
    hold::{Hold, HoldPoint},
    questions::Question,
    record::ReceivedCall,
    server,
    state::{LateRunning, Status, SubmissionState},
    store::{Limits, Shared},
};

/// How long a shutdown waits for open connections.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// A running mock of the Convex app. Clones are handles of the same mock; dropping the last one stops it.
#[derive(Debug, Clone)]
pub struct MockConvex(Arc<Owner>);

#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.closing.cancel();
    }
}

impl MockConvex {
    /// Serves these questions on `bind` (port 0 means any free port) until [`MockConvex::shutdown`], on the current
    /// runtime.
    ///
    /// # Errors
    /// Returns an error if it cannot listen on `bind`, for instance because the address is in use.
    pub async fn start(bind: SocketAddr, questions: Vec<Question>) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(questions));
        let (address, task) = server::start(Arc::clone(&shared), bind).await?;
        Ok(Self(Arc::new(Owner { shared, address, task: Mutex::new(Some(task)) })))
    }

    /// Serves these questions on any free port of 127.0.0.1; see [`MockConvex::start`].
    ///
    /// # Errors
    /// Returns an error if it cannot listen.
    pub async fn start_local(questions: Vec<Question>) -> io::Result<Self> {
        Self::start(SocketAddr::from(([127, 0, 0, 1], 0)), questions).await
    }

    /// Stops listening, resets held and hanging calls, and returns once all connections are closed, or after 2 s.
    /// The records stay available.
    pub async fn shutdown(&self) {
        self.shared().closing.cancel();
        let task = self.0.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // The timeout is for a client that never finishes its request: it must not delay the shutdown.
            let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, task).await;
        }
    }

    /// The value for `CONVEX_SITE_URL`, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.0.address)
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Adds a question, or replaces the one with the same kind and id.
    pub fn put_question(&self, question: Question) {
        self.shared().lock().questions.insert((question.kind, question.id.clone()), question);
    }

    /// Creates a queued submission. An existing one is not changed.
    pub fn add_submission(&self, id: &str, kind: SubmissionKind) {
        self.shared().lock().submissions.add(id, kind);
        self.shared().changed();
    }

    /// Sets whether a call about an unknown submission creates it (the default) or is answered 500, as in the app.
    pub fn accept_unknown(&self, accept: bool) {
        self.shared().lock().accept_unknown = accept;
    }

    /// From now on the app keeps the order itself: it ranks the calls about a submission by the generation in their
    /// `webhook-id`, then running before result, and answers 200 to a call that does not outrank the last applied one,
    /// without applying it. Without this, the last write wins.
    pub fn guard_order(&self) {
        self.shared().lock().is_order_guarded = true;
    }

    /// Sets how much is recorded from now on.
    pub fn set_limits(&self, limits: Limits) {
        self.shared().lock().limits = limits;
    }

    /// Counts calls from now on without recording them. Submissions are recorded as before. For throughput runs.
    pub fn count_only(&self) {
        self.shared().lock().limits.calls = 0;
    }

    /// Injects a fault into matching calls, from the next one on. Earlier rules take precedence.
    pub fn fault(&self, matcher: impl Into<Matcher>, fault: HttpFault) -> FaultId {
        self.shared().lock().faults.add(matcher.into(), fault)
    }

    /// Removes a rule.
    pub fn remove_fault(&self, fault: FaultId) {
        self.shared().lock().faults.remove(fault);
    }

    /// Removes all rules.
    pub fn clear_faults(&self) {
        self.shared().lock().faults.clear();
    }

    /// How many calls a rule has made fail; 0 once it is removed.
    #[must_use]
    pub fn fault_hits(&self, fault: FaultId) -> u64 {
        self.shared().lock().faults.hits(fault)
    }

    /// Seeds the generator behind [`Nth::Chance`](crate::Nth::Chance).
    pub fn seed(&self, seed: u64) {
        self.shared().lock().random = Random::seeded(seed);
    }

    /// Holds matching calls after they are applied and before they are answered, until the guard releases them.
    pub fn hold(&self, matcher: impl Into<Matcher>) -> Hold {
        Hold::new(self.shared().lock().holds.add(matcher.into(), HoldPoint::BeforeAnswering))
    }

    /// Holds matching calls before they are applied, until the guard releases them. They are then applied even if the
    /// caller has gone.
    pub fn hold_before(&self, matcher: impl Into<Matcher>) -> Hold {
        Hold::new(self.shared().lock().holds.add(matcher.into(), HoldPoint::BeforeApplying))
    }

    /// The recorded calls, in the order of their arrival.
    #[must_use]
    pub fn calls(&self) -> Vec<Arc<ReceivedCall>> {
        self.shared().lock().log.iter().cloned().collect()
    }

    /// The recorded calls about one submission or question.
    #[must_use]
    pub fn calls_of(&self, id: &str) -> Vec<Arc<ReceivedCall>> {
        self.shared().lock().log.iter().filter(|call| call.id.as_deref() == Some(id)).cloned().collect()
    }

    /// How many calls were received, recorded or not, at one endpoint or (with `None`) at all.
    #[must_use]
    pub fn call_count(&self, endpoint: impl Into<Option<Endpoint>>) -> u64 {
        let counts = self.shared().lock().counts;
        endpoint.into().map_or_else(|| counts.iter().sum(), |endpoint: Endpoint| counts[endpoint.index()])
    }

    /// The paths called that the app does not have; the first thousand.
    #[must_use]
    pub fn wrong_paths(&self) -> Vec<String> {
        self.shared().lock().wrong_paths.clone()
    }

    /// The state of a submission, or `None` if it does not exist.
    #[must_use]
    pub fn submission(&self, id: &str) -> Option<SubmissionState> {
        self.shared().lock().submissions.state(id)
    }

    /// How many submissions are passed, failed or error now.
    #[must_use]
    pub fn final_count(&self) -> u64 {
        self.shared().lock().submissions.final_count()
    }

    /// The running calls that came after a result of the same submission; empty in a correct run. Those with
    /// [`Lateness::Applied`](crate::Lateness::Applied) are caused by holds and by [`HttpFault::ApplyLate`].
    #[must_use]
    pub fn running_after_result(&self) -> Vec<LateRunning> {
        self.shared().lock().submissions.late_running()
    }

    /// The distinct result bodies received for a submission (the first 16), including rejected and unanswered ones.
    /// More than one is a conflict.
    #[must_use]
    pub fn distinct_results(&self, id: &str) -> Vec<Arc<Value>> {
        self.shared().lock().submissions.distinct(id)
    }

    /// The submissions that received different results.
    #[must_use]
    pub fn with_conflicting_results(&self) -> Vec<String> {
        self.shared().lock().submissions.with_conflicting_results()
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0.shared
    }

    /// Removes ids from the end of the list as long as they are final.
    pub(crate) fn drop_final(&self, ids: &mut Vec<&String>) {
        let state = self.shared().lock();
        // Checks only the last id: checking thousands of ids after each change would dominate a run's work.
        while ids.last().is_some_and(|id| state.submissions.status(id).is_some_and(Status::is_final)) {
            ids.pop();
        }
    }

    /// A summary on one line, for the text of a timeout.
    pub(crate) fn summary(&self) -> String {
        let state = self.shared().lock();
        let counted = Endpoint::ALL.into_iter().zip(state.counts).filter(|(_, count)| *count > 0);
        let calls: Vec<String> = counted.map(|(endpoint, count)| format!("{count} × {endpoint}")).collect();
        format!(
            "calls: [{}]; {} of {} submissions final",
            calls.join(", "),
            state.submissions.final_count(),
            state.submissions.len()
        )
    }
}
