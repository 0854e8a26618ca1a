//! The state that calls read and change, behind one lock that is held briefly.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Instant, SystemTime},
};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    endpoint::{Endpoint, Purpose, SubmissionKind},
    fault::{FaultTable, HttpFault, Random},
    guard::Rank,
    hold::{HoldPoint, HoldState, Holds},
    questions::Question,
    record::{CallLog, ReceivedCall},
    submissions::Submissions,
    validate::{self, Rejection},
};

/// How many wrong paths are remembered.
const MAX_WRONG_PATHS: usize = 1_000;

/// How much is recorded. The oldest entries are dropped first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Recorded calls. With 0 they are only counted, for throughput runs.
    pub calls: usize,
    /// Bytes of the bodies and headers of recorded calls.
    pub call_bytes: usize,
    /// Known submissions. One that is dropped is unknown again.
    pub submissions: usize,
    /// Bytes of the submissions' documents and distinct results.
    pub submission_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { calls: 100_000, call_bytes: 256 << 20, submissions: 100_000, submission_bytes: 256 << 20 }
    }
}

/// State shared by the server and the handles.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Notified after every change.
    pub(crate) changes: watch::Sender<()>,
    /// Stops the server and all calls that hang in it.
    pub(crate) closing: CancellationToken,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) questions: HashMap<(SubmissionKind, String), Question>,
    pub(crate) accept_unknown: bool,
    pub(crate) is_order_guarded: bool,
    pub(crate) limits: Limits,
    pub(crate) submissions: Submissions,
    pub(crate) log: CallLog,
    pub(crate) counts: [u64; 6],
    pub(crate) wrong_paths: Vec<String>,
    pub(crate) faults: FaultTable,
    pub(crate) holds: Holds,
    pub(crate) random: Random,
}

/// A received call, with the hold and the fault that apply to it.
#[derive(Debug)]
pub(crate) struct IncomingCall {
    pub(crate) call: Arc<ReceivedCall>,
    pub(crate) hold: Option<Arc<HoldState>>,
    pub(crate) fault: Option<HttpFault>,
}

impl IncomingCall {
    /// Whether it has neither a hold nor a fault.
    pub(crate) fn is_plain(&self) -> bool {
        self.hold.is_none() && self.fault.is_none()
    }

    pub(crate) fn hold_at(&self, point: HoldPoint) -> Option<&HoldState> {
        self.hold.as_deref().filter(|hold| hold.point == point)
    }
}

impl Shared {
    pub(crate) fn new(questions: Vec<Question>) -> Self {
        let keyed = questions.into_iter().map(|question| ((question.kind, question.id.clone()), question));
        let state = State {
            questions: keyed.collect(),
            accept_unknown: true,
            is_order_guarded: false,
            limits: Limits::default(),
            submissions: Submissions::default(),
            log: CallLog::default(),
            counts: [0; 6],
            wrong_paths: Vec::new(),
            faults: FaultTable::default(),
            holds: Holds::default(),
            random: Random::seeded(0),
        };
        Self { state: Mutex::new(state), changes: watch::Sender::new(()), closing: CancellationToken::new() }
    }

    /// The state. It is consistent even after a panic, because nothing between two related writes can panic.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn changed(&self) {
        self.changes.send_replace(());
    }

    /// Records a call and finds its hold and its fault.
    pub(crate) fn arrive(
        &self,
        endpoint: Endpoint,
        headers: Vec<(String, String)>,
        body: &Bytes,
    ) -> IncomingCall {
        let parsed = serde_json::from_slice::<Value>(body);
        let is_json = parsed.is_ok();
        let value = parsed.unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).into_owned()));
        let id = if is_json { validate::id_of(endpoint, &value).map(ToOwned::to_owned) } else { None };
        let value = Arc::new(value);
        let bytes = body.len() + headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        let incoming = {
            let mut state = self.lock();
            state.counts[endpoint.index()] += 1;
            let call = Arc::new(ReceivedCall {
                number: state.counts.iter().sum(),
                endpoint,
                id,
                received_at: Instant::now(),
                received_wall: SystemTime::now(),
                headers,
                body: value,
                is_json,
                bytes,
                applied: OnceLock::new(),
                answer: OnceLock::new(),
            });
            state.record(call)
        };
        self.changed();
        incoming
    }

    /// Applies a call and returns the body of the answer, or why it is rejected.
    pub(crate) fn apply(&self, call: &ReceivedCall) -> Result<Bytes, Rejection> {
        let body = call.is_json.then_some(&*call.body);
        let id = validate::checked_id(call.endpoint, body)?;
        let kind = call.endpoint.kind;
        let result = match call.endpoint.purpose {
            Purpose::TestCases => return self.question(kind, id),
            Purpose::Running => {
                validate::running(&call.body)?;
                None
            }
            Purpose::Result => Some(validate::result(&call.body)?),
        };
        let state = &mut *self.lock();
        let (create, submissions) = (state.accept_unknown, &mut state.submissions);
        let rank = if state.is_order_guarded { Some(Rank::of(call)?) } else { None };
        if rank.is_none_or(|rank| submissions.is_outranked_by(id, rank)) {
            match result {
                None => submissions.apply_running(id, kind, create, call)?,
                Some(status) => submissions.apply_result(id, kind, create, status, &call.body)?,
            }
            submissions.set_rank(id, rank);
            // Cannot fail: no call is applied twice.
            let _ = call.applied.set(Instant::now());
        }
        Ok(Bytes::from_static(br#"{"ok":true}"#))
    }

    pub(crate) fn record_wrong_path(&self, path: String) {
        let mut state = self.lock();
        if state.wrong_paths.len() < MAX_WRONG_PATHS {
            state.wrong_paths.push(path);
        }
    }

    fn question(&self, kind: SubmissionKind, id: &str) -> Result<Bytes, Rejection> {
        let question =
            self.lock().questions.get(&(kind, id.to_owned())).map(|question| question.answer.clone());
        question.ok_or_else(|| Rejection { status: 404, reason: format!("question {id} does not exist") })
    }
}

impl State {
    fn record(&mut self, call: Arc<ReceivedCall>) -> IncomingCall {
        let id = call.id.as_deref();
        match (call.endpoint.purpose, id) {
            (Purpose::Running, Some(id)) => self.submissions.running_arrived(id, &call),
            (Purpose::Result, Some(id)) => self.submissions.result_arrived(id, &call),
            _ => {}
        }
        self.submissions.trim(self.limits.submissions, self.limits.submission_bytes);
        let hold = self.holds.pick(call.endpoint, id, &mut self.random);
        let fault = self.faults.pick(call.endpoint, id, &mut self.random);
        if self.limits.calls > 0 {
            self.log.push(Arc::clone(&call), self.limits.calls, self.limits.call_bytes);
        }
        IncomingCall { call, hold, fault }
    }
}
