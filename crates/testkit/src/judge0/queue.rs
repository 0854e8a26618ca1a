//! The queue and the workers. When each submission starts and ends is computed as soon as it is known: when it arrives,
//! or when workers return.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::fault::TestFault;
use super::program::Program;

struct Submission {
    program: Program,
    takes: Duration,
    /// When it starts. `None` while it waits and no worker is there.
    begins: Option<Instant>,
    /// When it ends. `None` if its worker was killed before, or it has not started.
    ends: Option<Instant>,
    /// Whether the queue was lost while it waited: nothing will ever run it.
    is_forgotten: bool,
    report: Value,
    test_fault: Option<TestFault>,
    /// The last answer to a single `GET`, and when it was made.
    cached: Option<(Instant, Value)>,
}

pub(crate) struct Queue {
    /// When each worker is free. Empty while there are none.
    workers: Vec<Instant>,
    /// How many workers say that they are there. Killed workers still do.
    registered: usize,
    order: Vec<String>,
    submissions: HashMap<String, Submission>,
    deleted: usize,
    most_in_flight: usize,
}

impl Queue {
    pub(crate) fn new(workers: usize) -> Self {
        let workers = vec![super::now(); workers.max(1)];
        Self {
            registered: workers.len(),
            workers,
            order: Vec::new(),
            submissions: HashMap::new(),
            deleted: 0,
            most_in_flight: 0,
        }
    }

    /// How many submissions wait for a worker.
    pub(crate) fn waiting(&self) -> usize {
        let now = super::now();
        let is_waiting = |it: &&Submission| !it.is_forgotten && it.begins.is_none_or(|begins| begins > now);
        self.submissions.values().filter(is_waiting).count()
    }

    /// How many workers say that they are running a submission. Killed workers say what they said before.
    fn working(&self) -> usize {
        let now = super::now();
        let is_running = |it: &&Submission| {
            it.begins.is_some_and(|begins| begins <= now) && it.ends.is_none_or(|ends| ends > now)
        };
        self.submissions.values().filter(is_running).count().min(self.registered)
    }

    /// The answer of `/workers`.
    pub(crate) fn workers(&self) -> Value {
        let (available, working) = (self.registered, self.working());
        json!([{ "queue": "1.13.1", "size": self.waiting(), "available": available, "idle": available - working,
            "working": working, "paused": 0, "failed": 0 }])
    }

    /// Ends all workers at once. What they run stays "Processing", what waits stays "In Queue".
    pub(crate) fn kill_workers(&mut self, stay_registered: bool) {
        let now = super::now();
        for it in self.submissions.values_mut() {
            match (it.begins, it.ends) {
                (Some(begins), _) if begins > now => (it.begins, it.ends) = (None, None),
                (Some(_), Some(ends)) if ends > now => it.ends = None,
                _ => {}
            }
        }
        self.workers.clear();
        if !stay_registered {
            self.registered = 0;
        }
    }

    /// Starts workers, which run what waits, in order.
    pub(crate) fn start_workers(&mut self, count: usize) {
        self.workers = vec![super::now(); count];
        self.registered = count;
        for token in self.order.clone() {
            self.schedule(&token);
        }
    }

    /// Forgets what waits, as if Redis had been flushed. The workers go on, and are no longer registered.
    pub(crate) fn flush(&mut self) {
        let now = super::now();
        for it in self.submissions.values_mut().filter(|it| it.begins.is_none_or(|begins| begins > now)) {
            (it.begins, it.ends, it.is_forgotten) = (None, None, true);
        }
        self.workers.iter_mut().for_each(|free_at| *free_at = (*free_at).min(now));
        self.registered = 0;
    }

    fn schedule(&mut self, token: &str) {
        let Some(it) = self.submissions.get_mut(token) else { return };
        let Some(worker) = self.workers.iter_mut().min() else { return };
        if it.begins.is_some() || it.is_forgotten {
            return;
        }
        let begins = (*worker).max(super::now());
        let ends = begins + it.takes;
        *worker = ends;
        (it.begins, it.ends) = (Some(begins), Some(ends));
    }

    pub(crate) fn push(
        &mut self,
        program: Program,
        report: Value,
        test_fault: Option<TestFault>,
        takes: Duration,
    ) -> String {
        let n = self.order.len();
        let token = format!("{n:08x}-0000-4000-8000-{:012x}", rand::random::<u32>());
        self.order.push(token.clone());
        let submission = Submission {
            program,
            takes,
            begins: None,
            ends: None,
            is_forgotten: false,
            report,
            test_fault,
            cached: None,
        };
        self.submissions.insert(token.clone(), submission);
        self.schedule(&token);
        let now = super::now();
        let in_flight = self.submissions.values().filter(|it| it.ends.is_none_or(|ends| ends > now)).count();
        self.most_in_flight = self.most_in_flight.max(in_flight);
        token
    }

    /// The report in a batch; null for an unknown token.
    pub(crate) fn report(&self, token: &str, fields: &[&str]) -> Value {
        let Some(it) = self.submissions.get(token) else { return Value::Null };
        let now = super::now();
        let mut report = match it.test_fault {
            Some(TestFault::Vanished) => return Value::Null,
            Some(TestFault::Waiting) => state(1, "In Queue"),
            Some(TestFault::Stuck) => state(2, "Processing"),
            _ if it.begins.is_none_or(|begins| now < begins) => state(1, "In Queue"),
            _ if it.ends.is_none_or(|ends| now < ends) => state(2, "Processing"),
            Some(TestFault::Internal) => state(13, "Internal Error"),
            Some(TestFault::ExecFormat) => state(14, "Exec Format Error"),
            Some(TestFault::NoStatus) => json!({ "status": null, "status_id": null }),
            None => it.report.clone(),
        };
        report["token"] = token.into();
        report["created_at"] = "2026-11-23T15:36:47.909Z".into();
        if let Some(report) = report.as_object_mut().filter(|_| !fields.contains(&"*")) {
            report.retain(|field, _| fields.contains(&field.as_str()));
        }
        report
    }

    /// The report of a single `GET`: the previous one while it is cached.
    pub(crate) fn cached(&mut self, token: &str, cache: Duration) -> Value {
        let now = super::now();
        let cached = self.submissions.get(token).and_then(|it| it.cached.clone());
        if let Some((_, report)) = cached.filter(|(made, _)| *made + cache > now) {
            return report;
        }
        let report = self.report(token, &["*"]);
        if let Some(it) = self.submissions.get_mut(token) {
            it.cached = Some((now, report.clone()));
        }
        report
    }

    /// Deletes a finished submission, and answers as recorded.
    pub(crate) fn delete(&mut self, token: &str, fields: &[&str]) -> (u16, Value) {
        let report = self.report(token, &["*"]);
        match report["status"]["id"].as_u64() {
            None if report.is_null() => (404, json!({ "status": 404, "error": "Not Found" })),
            Some(status @ (1 | 2)) => {
                let name = report["status"]["description"].as_str().unwrap_or_default();
                let error = format!("submission cannot be deleted because its status is {status} ({name})");
                (400, json!({ "error": error }))
            }
            _ => {
                let answer = self.report(token, fields);
                self.submissions.remove(token);
                self.deleted += 1;
                (200, answer)
            }
        }
    }

    /// How many submissions were deleted.
    pub(crate) fn deleted(&self) -> usize {
        self.deleted
    }

    /// The submissions that are still in the database, in the order of their arrival.
    pub(crate) fn programs(&self) -> Vec<Program> {
        self.order
            .iter()
            .filter_map(|token| self.submissions.get(token))
            .map(|submission| submission.program.clone())
            .collect()
    }

    pub(crate) fn most_in_flight(&self) -> usize {
        self.most_in_flight
    }
}

fn state(id: u64, description: &str) -> Value {
    json!({ "status_id": id, "status": { "id": id, "description": description }, "time": null, "memory": null,
        "stdout": null, "stderr": null, "compile_output": null, "message": null, "exit_code": null, "exit_signal": null,
        "wall_time": null })
}
