//! The submissions and what calls wrote to them. As in the app's mutations, the last write wins.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use serde_json::{Map, Value};

use crate::{
    endpoint::SubmissionKind,
    guard::Rank,
    record::ReceivedCall,
    state::{LateRunning, Lateness, Status, SubmissionState},
    validate::{Rejection, stored_fields},
};

/// Convex's limit on the size of a document, in bytes.
const MAX_DOCUMENT_BYTES: usize = 1 << 20;
/// How many distinct results of a submission are remembered; more than one is an error already.
const MAX_DISTINCT: usize = 16;
/// How many late running calls are remembered.
const MAX_LATE_RUNNING: usize = 10_000;

/// Everything known about one id.
#[derive(Debug, Default)]
struct Entry {
    /// The document, or `None` if calls named the id but no document was created.
    document: Option<Document>,
    /// The rank of the last applied call, if the order is guarded.
    rank: Option<Rank>,
    running_calls: u64,
    result_calls: u64,
    first_result: Option<Instant>,
    distinct: Vec<Arc<Value>>,
    /// The size of the distinct results as received.
    distinct_bytes: usize,
}

#[derive(Debug)]
struct Document {
    kind: SubmissionKind,
    status: Status,
    fields: Map<String, Value>,
    bytes: usize,
}

/// The newest submissions, up to a number of submissions and of bytes.
#[derive(Debug, Default)]
pub(crate) struct Submissions {
    entries: HashMap<String, Entry>,
    order: VecDeque<String>,
    bytes: usize,
    finals: u64,
    late_running: VecDeque<LateRunning>,
}

impl Submissions {
    /// Creates a queued submission. An existing one is not changed.
    pub(crate) fn add(&mut self, id: &str, kind: SubmissionKind) {
        let document = || Document { kind, status: Status::Queued, fields: Map::new(), bytes: 0 };
        self.entry(id).document.get_or_insert_with(document);
    }

    /// Records the arrival of a running call. It is late if a result arrived before.
    pub(crate) fn running_arrived(&mut self, id: &str, call: &ReceivedCall) {
        let entry = self.entry(id);
        entry.running_calls += 1;
        if let Some(first) = entry.first_result {
            self.record_late_running(id, call, Lateness::Started, first);
        }
    }

    /// Records the arrival of a result call. From now on running calls are late, whether the result is applied or not,
    /// because its caller cannot know.
    pub(crate) fn result_arrived(&mut self, id: &str, call: &ReceivedCall) {
        let entry = self.entry(id);
        entry.result_calls += 1;
        entry.first_result.get_or_insert(call.received_at);
        if entry.distinct.len() < MAX_DISTINCT && !entry.distinct.contains(&call.body) {
            entry.distinct.push(Arc::clone(&call.body));
            entry.distinct_bytes += call.bytes;
            self.bytes += call.bytes;
        }
    }

    /// Whether a call of this rank may change the submission.
    pub(crate) fn is_outranked_by(&self, id: &str, rank: Rank) -> bool {
        self.entries.get(id).is_none_or(|entry| entry.rank < Some(rank))
    }

    /// Records the rank of the call that was applied last.
    pub(crate) fn set_rank(&mut self, id: &str, rank: Option<Rank>) {
        self.entry(id).rank = rank;
    }

    /// Sets a submission to running, whatever its status: the caller has checked the order, if the app does.
    pub(crate) fn apply_running(
        &mut self,
        id: &str,
        kind: SubmissionKind,
        create: bool,
        call: &ReceivedCall,
    ) -> Result<(), Rejection> {
        let document = self.document(id, kind, create)?;
        let was_final = std::mem::replace(&mut document.status, Status::Running).is_final();
        self.finals -= u64::from(was_final);
        let first_result = self.entries.get(id).and_then(|entry| entry.first_result);
        if let Some(first) = first_result.filter(|first| call.received_at < *first) {
            self.record_late_running(id, call, Lateness::Applied, first);
        }
        Ok(())
    }

    /// Writes a result over the document. Fields that it omits keep their values.
    pub(crate) fn apply_result(
        &mut self,
        id: &str,
        kind: SubmissionKind,
        create: bool,
        status: Status,
        body: &Value,
    ) -> Result<(), Rejection> {
        let document = self.document(id, kind, create)?;
        let mut fields = document.fields.clone();
        for (name, value) in body.as_object().into_iter().flatten() {
            if name != "submissionId" && name != "status" {
                fields.insert(name.clone(), value.clone());
            }
        }
        let bytes = stored_fields(&fields);
        if bytes > MAX_DOCUMENT_BYTES {
            return Err(Rejection::thrown(format!("the document would have {bytes} bytes")));
        }
        let was_final = std::mem::replace(&mut document.status, status).is_final();
        let before = std::mem::replace(&mut document.bytes, bytes);
        document.fields = fields;
        self.finals += u64::from(!was_final);
        self.bytes = self.bytes - before + bytes;
        Ok(())
    }

    /// Drops the oldest submissions that exceed a limit, but never the newest one.
    pub(crate) fn trim(&mut self, max_submissions: usize, max_bytes: usize) {
        while self.order.len() > 1 && (self.order.len() > max_submissions || self.bytes > max_bytes) {
            let Some(oldest) = self.order.pop_front().and_then(|id| self.entries.remove(&id)) else {
                continue;
            };
            self.bytes -= oldest.distinct_bytes;
            if let Some(document) = oldest.document {
                self.bytes -= document.bytes;
                self.finals -= u64::from(document.status.is_final());
            }
        }
    }

    pub(crate) fn state(&self, id: &str) -> Option<SubmissionState> {
        let entry = self.entries.get(id)?;
        let document = entry.document.as_ref()?;
        Some(SubmissionState {
            submission_id: id.to_owned(),
            kind: document.kind,
            status: document.status,
            fields: document.fields.clone(),
            running_calls: entry.running_calls,
            result_calls: entry.result_calls,
        })
    }

    pub(crate) fn status(&self, id: &str) -> Option<Status> {
        Some(self.entries.get(id)?.document.as_ref()?.status)
    }

    /// The newest submissions with their statuses, newest first.
    pub(crate) fn latest(&self, count: usize) -> Vec<(String, Status)> {
        let newest = self.order.iter().rev();
        newest.filter_map(|id| Some((id.clone(), self.status(id)?))).take(count).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    pub(crate) fn final_count(&self) -> u64 {
        self.finals
    }

    pub(crate) fn late_running(&self) -> Vec<LateRunning> {
        self.late_running.iter().cloned().collect()
    }

    pub(crate) fn distinct(&self, id: &str) -> Vec<Arc<Value>> {
        self.entries.get(id).map_or_else(Vec::new, |entry| entry.distinct.clone())
    }

    /// The ids that received different results.
    pub(crate) fn with_conflicting_results(&self) -> Vec<String> {
        let differing =
            self.order.iter().filter(|id| self.entries.get(*id).is_some_and(|e| e.distinct.len() > 1));
        differing.cloned().collect()
    }

    fn entry(&mut self, id: &str) -> &mut Entry {
        if !self.entries.contains_key(id) {
            self.order.push_back(id.to_owned());
        }
        self.entries.entry(id.to_owned()).or_default()
    }

    fn document(&mut self, id: &str, kind: SubmissionKind, create: bool) -> Result<&mut Document, Rejection> {
        if create {
            self.add(id, kind);
        }
        let entry = self.entries.get_mut(id);
        match entry.and_then(|entry| entry.document.as_mut()) {
            None => Err(Rejection::thrown(format!("submission {id} does not exist"))),
            Some(document) if document.kind != kind => {
                Err(Rejection::thrown(format!("{id} is an id of the {} table", document.kind.as_str())))
            }
            Some(document) => Ok(document),
        }
    }

    fn record_late_running(
        &mut self,
        id: &str,
        call: &ReceivedCall,
        lateness: Lateness,
        first_result: Instant,
    ) {
        if self.late_running.len() == MAX_LATE_RUNNING {
            self.late_running.pop_front();
        }
        let by = first_result.elapsed();
        self.late_running.push_back(LateRunning {
            submission_id: id.to_owned(),
            call: call.number,
            lateness,
            by,
        });
    }
}
