//! Everything that a call reads or changes, behind one short lock.

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
    book::Book,
    endpoint::{Endpoint, Purpose, SubmissionKind},
    fault::{Fault, FaultTable, Random},
    gate::{Gate, Gates, Place},
    questions::Question,
    record::{Call, CallLog},
    validate::{self, Refusal},
};

/// Wrong paths remembered.
const MAX_WRONG_PATHS: usize = 1_000;

/// How much is kept; the oldest goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Calls recorded. With 0 they are only counted, which is what a throughput run wants.
    pub calls: usize,
    /// Bytes of the recorded calls' bodies and headers.
    pub call_bytes: usize,
    /// Submissions known. One that falls out is unknown again.
    pub submissions: usize,
    /// Bytes of what the submissions were told, their different results included.
    pub submission_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { calls: 100_000, call_bytes: 256 << 20, submissions: 100_000, submission_bytes: 256 << 20 }
    }
}

/// What the server and the handles share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Told after every change.
    pub(crate) changes: watch::Sender<()>,
    /// Ends the server and all that hangs in it.
    pub(crate) closing: CancellationToken,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) questions: HashMap<(SubmissionKind, String), Question>,
    pub(crate) accept_unknown: bool,
    pub(crate) limits: Limits,
    pub(crate) book: Book,
    pub(crate) log: CallLog,
    pub(crate) counts: [u64; 6],
    pub(crate) wrong_paths: Vec<String>,
    pub(crate) faults: FaultTable,
    pub(crate) gates: Gates,
    pub(crate) random: Random,
}

/// A call that came in, and what shall be done to it besides serving it.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) call: Arc<Call>,
    pub(crate) gate: Option<Arc<Gate>>,
    pub(crate) fault: Option<Fault>,
}

impl Arrival {
    /// Whether it is served like any other.
    pub(crate) fn is_plain(&self) -> bool {
        self.gate.is_none() && self.fault.is_none()
    }

    pub(crate) fn held_at(&self, place: Place) -> Option<&Gate> {
        self.gate.as_deref().filter(|gate| gate.place == place)
    }
}

impl Shared {
    pub(crate) fn new(questions: Vec<Question>) -> Self {
        let keyed = questions.into_iter().map(|question| ((question.kind, question.id.clone()), question));
        let state = State {
            questions: keyed.collect(),
            accept_unknown: true,
            limits: Limits::default(),
            book: Book::default(),
            log: CallLog::default(),
            counts: [0; 6],
            wrong_paths: Vec::new(),
            faults: FaultTable::default(),
            gates: Gates::default(),
            random: Random::seeded(0),
        };
        Self { state: Mutex::new(state), changes: watch::Sender::new(()), closing: CancellationToken::new() }
    }

    /// The state; it is consistent even after a panic, because nothing that can panic runs between two writes
    /// that belong together.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn changed(&self) {
        self.changes.send_replace(());
    }

    /// Records a call and says what shall happen to it.
    pub(crate) fn arrive(&self, endpoint: Endpoint, headers: Vec<(String, String)>, body: &Bytes) -> Arrival {
        let parsed = serde_json::from_slice::<Value>(body);
        let is_json = parsed.is_ok();
        let value = parsed.unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).into_owned()));
        let id = if is_json { validate::id_of(endpoint, &value).map(ToOwned::to_owned) } else { None };
        let value = Arc::new(value);
        let bytes = body.len() + headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        let arrival = {
            let mut state = self.lock();
            state.counts[endpoint.index()] += 1;
            let call = Arc::new(Call {
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
            state.note(call)
        };
        self.changed();
        arrival
    }

    /// Does what the call asks for; the answer's body, or why not.
    pub(crate) fn apply(&self, call: &Call) -> Result<Bytes, Refusal> {
        let body = call.is_json.then_some(&*call.body);
        let id = validate::checked_id(call.endpoint, body)?;
        let kind = call.endpoint.kind;
        let applied = match call.endpoint.purpose {
            Purpose::TestCases => return self.question(kind, id),
            Purpose::Running => {
                validate::running(&call.body)?;
                let mut state = self.lock();
                let make = state.accept_unknown;
                state.book.apply_running(id, kind, make, call)
            }
            Purpose::Result => {
                let status = validate::result(&call.body)?;
                let mut state = self.lock();
                let make = state.accept_unknown;
                state.book.apply_result(id, kind, make, status, &call.body)
            }
        };
        applied.map(|()| {
            // Fails where it is applied a second time, which no path does.
            let _ = call.applied.set(Instant::now());
            Bytes::from_static(br#"{"ok":true}"#)
        })
    }

    pub(crate) fn note_wrong_path(&self, path: String) {
        let mut state = self.lock();
        if state.wrong_paths.len() < MAX_WRONG_PATHS {
            state.wrong_paths.push(path);
        }
    }

    fn question(&self, kind: SubmissionKind, id: &str) -> Result<Bytes, Refusal> {
        let question =
            self.lock().questions.get(&(kind, id.to_owned())).map(|question| question.answer.clone());
        question.ok_or_else(|| Refusal { status: 404, reason: format!("there is no question {id}") })
    }
}

impl State {
    fn note(&mut self, call: Arc<Call>) -> Arrival {
        let id = call.id.as_deref();
        match (call.endpoint.purpose, id) {
            (Purpose::Running, Some(id)) => self.book.running_arrived(id, &call),
            (Purpose::Result, Some(id)) => self.book.result_arrived(id, &call),
            _ => {}
        }
        self.book.trim(self.limits.submissions, self.limits.submission_bytes);
        let gate = self.gates.pick(call.endpoint, id, &mut self.random);
        let fault = self.faults.pick(call.endpoint, id, &mut self.random);
        if self.limits.calls > 0 {
            self.log.push(Arc::clone(&call), self.limits.calls, self.limits.call_bytes);
        }
        Arrival { call, gate, fault }
    }
}
