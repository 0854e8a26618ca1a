//! The submissions: what each was told, written as the app's mutations write it, last one wins.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use serde_json::{Map, Value};

use crate::{
    endpoint::SubmissionKind,
    record::Call,
    state::{Backwards, Late, Status, SubmissionState},
    validate::{Refusal, stored_fields},
};

/// A document's limit at Convex, in bytes.
const MAX_DOCUMENT_BYTES: usize = 1 << 20;
/// Distinct results remembered for one submission; two are wrong already.
const MAX_DISTINCT: usize = 16;
/// Late running calls remembered.
const MAX_BACKWARDS: usize = 10_000;

/// All that is known of one id.
#[derive(Debug, Default)]
struct Entry {
    /// The document, once it is made; an id that was only mentioned has none.
    document: Option<Document>,
    running_calls: u64,
    result_calls: u64,
    first_result: Option<Instant>,
    distinct: Vec<Arc<Value>>,
    /// Of the distinct results, as they came.
    distinct_bytes: usize,
}

#[derive(Debug)]
struct Document {
    kind: SubmissionKind,
    status: Status,
    fields: Map<String, Value>,
    bytes: usize,
}

/// The submissions, newest kept within a number and a total of bytes.
#[derive(Debug, Default)]
pub(crate) struct Book {
    entries: HashMap<String, Entry>,
    order: VecDeque<String>,
    bytes: usize,
    finals: u64,
    backwards: VecDeque<Backwards>,
}

impl Book {
    /// Makes a submission, queued; one that is there stays as it is.
    pub(crate) fn add(&mut self, id: &str, kind: SubmissionKind) {
        let document = || Document { kind, status: Status::Queued, fields: Map::new(), bytes: 0 };
        self.entry(id).document.get_or_insert_with(document);
    }

    /// Notes a running call's arrival, which is late if a result arrived before.
    pub(crate) fn running_arrived(&mut self, id: &str, call: &Call) {
        let entry = self.entry(id);
        entry.running_calls += 1;
        if let Some(first) = entry.first_result {
            self.note_backwards(id, call, Late::Started, first);
        }
    }

    /// Notes a result call's arrival; it counts from here on, whether it will be applied or not, because its
    /// caller cannot know.
    pub(crate) fn result_arrived(&mut self, id: &str, call: &Call) {
        let entry = self.entry(id);
        entry.result_calls += 1;
        entry.first_result.get_or_insert(call.received_at);
        if entry.distinct.len() < MAX_DISTINCT && !entry.distinct.contains(&call.body) {
            entry.distinct.push(Arc::clone(&call.body));
            entry.distinct_bytes += call.bytes;
            self.bytes += call.bytes;
        }
    }

    /// Sets a submission to running, whatever it was: nothing on that side guards the order.
    pub(crate) fn apply_running(
        &mut self,
        id: &str,
        kind: SubmissionKind,
        make: bool,
        call: &Call,
    ) -> Result<(), Refusal> {
        let document = self.document(id, kind, make)?;
        let was_final = std::mem::replace(&mut document.status, Status::Running).is_final();
        self.finals -= u64::from(was_final);
        let first_result = self.entries.get(id).and_then(|entry| entry.first_result);
        if let Some(first) = first_result.filter(|first| call.received_at < *first) {
            self.note_backwards(id, call, Late::Applied, first);
        }
        Ok(())
    }

    /// Writes a result over what is there; fields that it leaves out stay.
    pub(crate) fn apply_result(
        &mut self,
        id: &str,
        kind: SubmissionKind,
        make: bool,
        status: Status,
        body: &Value,
    ) -> Result<(), Refusal> {
        let document = self.document(id, kind, make)?;
        let mut fields = document.fields.clone();
        for (name, value) in body.as_object().into_iter().flatten() {
            if name != "submissionId" && name != "status" {
                fields.insert(name.clone(), value.clone());
            }
        }
        let bytes = stored_fields(&fields);
        if bytes > MAX_DOCUMENT_BYTES {
            return Err(Refusal::thrown(format!("the document would have {bytes} bytes")));
        }
        let was_final = std::mem::replace(&mut document.status, status).is_final();
        let before = std::mem::replace(&mut document.bytes, bytes);
        document.fields = fields;
        self.finals += u64::from(!was_final);
        self.bytes = self.bytes - before + bytes;
        Ok(())
    }

    /// Forgets the oldest submissions that no longer fit, but never the newest one.
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

    pub(crate) fn finals(&self) -> u64 {
        self.finals
    }

    pub(crate) fn backwards(&self) -> Vec<Backwards> {
        self.backwards.iter().cloned().collect()
    }

    pub(crate) fn distinct(&self, id: &str) -> Vec<Arc<Value>> {
        self.entries.get(id).map_or_else(Vec::new, |entry| entry.distinct.clone())
    }

    /// Ids whose results differed.
    pub(crate) fn contradicted(&self) -> Vec<String> {
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

    fn document(&mut self, id: &str, kind: SubmissionKind, make: bool) -> Result<&mut Document, Refusal> {
        if make {
            self.add(id, kind);
        }
        let entry = self.entries.get_mut(id);
        match entry.and_then(|entry| entry.document.as_mut()) {
            None => Err(Refusal::thrown(format!("there is no submission {id}"))),
            Some(document) if document.kind != kind => {
                Err(Refusal::thrown(format!("{id} is an id of the {} table", document.kind.as_str())))
            }
            Some(document) => Ok(document),
        }
    }

    fn note_backwards(&mut self, id: &str, call: &Call, late: Late, first_result: Instant) {
        if self.backwards.len() == MAX_BACKWARDS {
            self.backwards.pop_front();
        }
        let by = first_result.elapsed();
        self.backwards.push_back(Backwards { submission_id: id.to_owned(), call: call.number, late, by });
    }
}
