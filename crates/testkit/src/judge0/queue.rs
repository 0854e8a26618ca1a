//! The queue and the workers. When each submission starts and ends is computed as soon as it arrives.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::fault::TestFault;
use super::program::Program;

struct Submission {
    program: Program,
    begins: Instant,
    ends: Instant,
    report: Value,
    test_fault: Option<TestFault>,
    /// The last answer to a single `GET`, and when it was made.
    cached: Option<(Instant, Value)>,
}

pub(crate) struct Queue {
    /// When each worker is free.
    workers: Vec<Instant>,
    order: Vec<String>,
    submissions: HashMap<String, Submission>,
    most_in_flight: usize,
}

impl Queue {
    pub(crate) fn new(workers: usize) -> Self {
        let workers = vec![super::now(); workers.max(1)];
        Self { workers, order: Vec::new(), submissions: HashMap::new(), most_in_flight: 0 }
    }

    /// How many submissions wait for a worker.
    pub(crate) fn waiting(&self) -> usize {
        let now = super::now();
        self.submissions.values().filter(|it| it.begins > now).count()
    }

    pub(crate) fn push(
        &mut self,
        program: Program,
        report: Value,
        test_fault: Option<TestFault>,
        takes: Duration,
    ) -> String {
        let now = super::now();
        let worker = self.workers.iter_mut().min().expect("there is at least one worker");
        let begins = (*worker).max(now);
        let ends = begins + takes;
        *worker = ends;
        let n = self.order.len();
        let token = format!("{n:08x}-0000-4000-8000-{:012x}", rand::random::<u32>());
        self.order.push(token.clone());
        self.submissions
            .insert(token.clone(), Submission { program, begins, ends, report, test_fault, cached: None });
        let in_flight = self.submissions.values().filter(|it| it.ends > now).count();
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
            _ if now < it.begins => state(1, "In Queue"),
            _ if now < it.ends => state(2, "Processing"),
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

    pub(crate) fn programs(&self) -> Vec<Program> {
        self.order.iter().map(|token| self.submissions[token].program.clone()).collect()
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
