//! The handle that owns a stand-in: starting and ending it, asking it, telling it to misbehave.

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
    fault::{Fault, FaultId, Matcher, Random},
    gate::{Hold, Place},
    questions::Question,
    record::Call,
    server,
    state::{Backwards, Status, SubmissionState},
    store::{Limits, Shared},
};

/// How long a shutdown waits for open connections before it leaves them to themselves.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(2);

/// A running stand-in for the Convex app. Clones are handles on the same one; with the last of them it ends.
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
    /// Serves these questions on `bind` (port 0: any free one) until [`MockConvex::shutdown`], on the runtime that
    /// this is called on.
    ///
    /// # Errors
    /// Whatever binding says, such as an address in use.
    pub async fn start(bind: SocketAddr, questions: Vec<Question>) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(questions));
        let (address, task) = server::start(Arc::clone(&shared), bind).await?;
        Ok(Self(Arc::new(Owner { shared, address, task: Mutex::new(Some(task)) })))
    }

    /// [`MockConvex::start`] on any free port of 127.0.0.1.
    ///
    /// # Errors
    /// Whatever binding says.
    pub async fn start_local(questions: Vec<Question>) -> io::Result<Self> {
        Self::start(SocketAddr::from(([127, 0, 0, 1], 0)), questions).await
    }

    /// Stops listening, cuts what is held or hangs, and returns when all connections are closed, or after 2 s.
    /// What was recorded can still be asked for.
    pub async fn shutdown(&self) {
        self.shared().closing.cancel();
        let task = self.0.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // Time-out: a client that keeps a request half sent. It cannot hold up whoever shuts down.
            let _ = tokio::time::timeout(SHUTDOWN_PATIENCE, task).await;
        }
    }

    /// The base for `CONVEX_SITE_URL`, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.0.address)
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Adds a question, or puts it in the place of the one with its kind and id.
    pub fn put_question(&self, question: Question) {
        self.shared().lock().questions.insert((question.kind, question.id.clone()), question);
    }

    /// Makes a submission, queued. One that is there stays as it is.
    pub fn add_submission(&self, id: &str, kind: SubmissionKind) {
        self.shared().lock().book.add(id, kind);
        self.shared().changed();
    }

    /// Whether a call about an unknown submission makes it (the default), or is answered 500 as in the app.
    pub fn accept_unknown(&self, accept: bool) {
        self.shared().lock().accept_unknown = accept;
    }

    /// How much is kept from now on.
    pub fn set_limits(&self, limits: Limits) {
        self.shared().lock().limits = limits;
    }

    /// Records no calls from now on, only counts them; submissions are kept as before. For throughput runs.
    pub fn count_only(&self) {
        self.shared().lock().limits.calls = 0;
    }

    /// Has calls go wrong, from the next one on. Earlier rules are asked first.
    pub fn fault(&self, matcher: impl Into<Matcher>, fault: Fault) -> FaultId {
        self.shared().lock().faults.add(matcher.into(), fault)
    }

    /// Ends one rule.
    pub fn lift(&self, fault: FaultId) {
        self.shared().lock().faults.lift(fault);
    }

    /// Ends all rules.
    pub fn clear_faults(&self) {
        self.shared().lock().faults.clear();
    }

    /// How often a rule struck; 0 once it is lifted.
    #[must_use]
    pub fn fault_hits(&self, fault: FaultId) -> u64 {
        self.shared().lock().faults.hits(fault)
    }

    /// Seeds the generator behind [`Nth::Chance`](crate::Nth::Chance).
    pub fn seed(&self, seed: u64) {
        self.shared().lock().random = Random::seeded(seed);
    }

    /// Holds answers back until the guard lets them go: the calls have had their effect.
    pub fn hold(&self, matcher: impl Into<Matcher>) -> Hold {
        Hold::new(self.shared().lock().gates.add(matcher.into(), Place::BeforeAnswering))
    }

    /// Holds calls back before they have any effect, until the guard lets them go. The effect then comes also if
    /// the caller has gone in the meantime.
    pub fn hold_before(&self, matcher: impl Into<Matcher>) -> Hold {
        Hold::new(self.shared().lock().gates.add(matcher.into(), Place::BeforeApplying))
    }

    /// The recorded calls in the order of their arrival.
    #[must_use]
    pub fn calls(&self) -> Vec<Arc<Call>> {
        self.shared().lock().log.iter().cloned().collect()
    }

    /// The recorded calls about one submission or question.
    #[must_use]
    pub fn calls_of(&self, id: &str) -> Vec<Arc<Call>> {
        self.shared().lock().log.iter().filter(|call| call.id.as_deref() == Some(id)).cloned().collect()
    }

    /// Calls received so far, recorded or not, of one endpoint or (with `None`) of all.
    #[must_use]
    pub fn call_count(&self, endpoint: impl Into<Option<Endpoint>>) -> u64 {
        let counts = self.shared().lock().counts;
        endpoint.into().map_or_else(|| counts.iter().sum(), |endpoint: Endpoint| counts[endpoint.index()])
    }

    /// Paths called that the app does not have, the first thousand of them.
    #[must_use]
    pub fn wrong_paths(&self) -> Vec<String> {
        self.shared().lock().wrong_paths.clone()
    }

    /// A submission's state, if it was made.
    #[must_use]
    pub fn submission(&self, id: &str) -> Option<SubmissionState> {
        self.shared().lock().book.state(id)
    }

    /// How many submissions are passed, failed or error at this moment.
    #[must_use]
    pub fn finals(&self) -> u64 {
        self.shared().lock().book.finals()
    }

    /// Running calls that came after a result of the same submission; empty is what a run wants to see. Those
    /// that are [`Late::Applied`](crate::Late::Applied) come from holds and from [`Fault::ApplyLate`].
    #[must_use]
    pub fn running_after_result(&self) -> Vec<Backwards> {
        self.shared().lock().book.backwards()
    }

    /// The different result bodies received for a submission (the first 16), refused and unanswered ones
    /// included; more than one is a contradiction.
    #[must_use]
    pub fn distinct_results(&self, id: &str) -> Vec<Arc<Value>> {
        self.shared().lock().book.distinct(id)
    }

    /// Submissions that were told different results.
    #[must_use]
    pub fn contradicted(&self) -> Vec<String> {
        self.shared().lock().book.contradicted()
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0.shared
    }

    /// Takes ids off the end of the list as long as those are final.
    pub(crate) fn drop_final(&self, ids: &mut Vec<&String>) {
        let state = self.shared().lock();
        // Only the last is looked at: with thousands of ids a look at all after each change would be the bulk of
        // a run's work.
        while ids.last().is_some_and(|id| state.book.status(id).is_some_and(Status::is_final)) {
            ids.pop();
        }
    }

    /// In a line, what there is, for the text of a time-out.
    pub(crate) fn summary(&self) -> String {
        let state = self.shared().lock();
        let counted = Endpoint::ALL.into_iter().zip(state.counts).filter(|(_, count)| *count > 0);
        let calls: Vec<String> = counted.map(|(endpoint, count)| format!("{count} × {endpoint}")).collect();
        format!(
            "calls: [{}]; {} of {} submissions final",
            calls.join(", "),
            state.book.finals(),
            state.book.len()
        )
    }
}
