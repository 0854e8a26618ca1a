//! What Judge0 reports about its queue and its workers.

use serde_json::Value;

use crate::report::whole;

/// The answer of `GET /workers`, over all of Judge0's queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workers {
    /// Submissions that wait for a worker.
    pub queued: u64,
    /// Workers that are registered. A worker that was killed stays registered.
    pub registered: u64,
    /// Workers that say that they are running a submission.
    pub working: u64,
}

impl Workers {
    /// Parses the answer of `/workers`. Returns `None` if it is something else.
    pub(crate) fn read(answer: &Value) -> Option<Self> {
        let sum = |field: &str| -> Option<u64> {
            answer.as_array()?.iter().map(|queue| whole(queue.get(field)?)).sum()
        };
        Some(Self { queued: sum("size")?, registered: sum("available")?, working: sum("working")? })
    }

    /// Why nothing is taken from the queue, in one clause. `None` if the queue is empty or a worker is working.
    pub(crate) fn problem(&self) -> Option<String> {
        if self.queued == 0 || self.working > 0 {
            return None;
        }
        Some(match self.registered {
            0 => "it has no workers".to_owned(),
            registered => format!("none of its {registered} workers takes submissions from the queue"),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn queue_without_a_working_worker_is_a_problem() {
        let problem = |size, available, working| {
            let queue =
                json!({ "queue": "1.13.1", "size": size, "available": available, "working": working });
            Workers::read(&json!([queue])).unwrap().problem()
        };
        assert_eq!(problem(3, 0, 0).as_deref(), Some("it has no workers"));
        assert_eq!(
            problem(3, 2, 0).as_deref(),
            Some("none of its 2 workers takes submissions from the queue")
        );
        assert_eq!((problem(3, 2, 1), problem(0, 2, 0), problem(0, 0, 0)), (None, None, None));
    }

    #[test]
    fn queues_are_added_up_and_other_answers_are_unknown() {
        let queue = json!({ "size": 1, "available": 2, "working": 2 });
        let all = Workers { queued: 2, registered: 4, working: 4 };
        assert_eq!(Workers::read(&json!([queue, queue])), Some(all));
        // As after Redis has been flushed.
        assert_eq!(Workers::read(&json!([])), Some(Workers { queued: 0, registered: 0, working: 0 }));
        for other in [json!({}), json!([{ "size": 1 }]), json!([1])] {
            assert_eq!(Workers::read(&other), None, "{other}");
        }
    }
}
