//! Faults that a test injects into requests and into the judging of tests.

use std::time::Duration;

/// A route of Judge0's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// `GET /config_info`.
    Config,
    /// `GET /languages`.
    Languages,
    /// `POST /submissions/batch`.
    PostBatch,
    /// `GET /submissions/batch`.
    GetBatch,
    /// `POST /submissions`.
    Post,
    /// `GET /submissions/{token}`.
    Get,
    /// `DELETE /submissions/{token}`.
    Delete,
    /// `GET /workers`.
    Workers,
    /// Anything else.
    Other,
}

/// How a request fails. The request has no effect unless the variant says otherwise.
#[derive(Clone, Debug)]
pub enum Judge0Fault {
    /// Answered with this status and JSON body instead.
    Status {
        /// The HTTP status code.
        code: u16,
        /// `Retry-After`, in seconds.
        retry_after: Option<u64>,
        /// The body.
        body: &'static str,
    },
    /// Answered with an HTML page of this status instead.
    Page(u16),
    /// The request has its effect, but the connection ends after half of the body.
    Half,
    /// The request has its effect, but the answer is delayed by this time.
    Slow(Duration),
    /// Answered with valid JSON of the wrong shape.
    OtherJson,
}

/// How the judging of a test fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestFault {
    /// Status 13, internal error.
    Internal,
    /// Status 14, exec format error.
    ExecFormat,
    /// Finished without a status.
    NoStatus,
    /// Its token is unknown.
    Vanished,
    /// It runs for ever.
    Stuck,
    /// It stays queued, as if all workers were dead.
    Waiting,
}

#[derive(Default)]
pub(crate) struct Faults {
    requests: Vec<(Route, Option<u64>, Judge0Fault)>,
    tests: Vec<(Option<u64>, TestFault)>,
}

impl Faults {
    pub(crate) fn add(&mut self, route: Route, times: Option<u64>, fault: Judge0Fault) {
        self.requests.push((route, times, fault));
    }

    pub(crate) fn add_test_fault(&mut self, times: Option<u64>, test_fault: TestFault) {
        self.tests.push((times, test_fault));
    }

    pub(crate) fn next_fault(&mut self, route: Route) -> Option<Judge0Fault> {
        let mut matching = self.requests.iter_mut().filter(|(on, ..)| *on == route);
        matching.find_map(|(_, times, fault)| once(times).then(|| fault.clone()))
    }

    pub(crate) fn next_test_fault(&mut self) -> Option<TestFault> {
        self.tests.iter_mut().find_map(|(times, test_fault)| once(times).then_some(*test_fault))
    }
}

/// Takes one from a count and returns whether there was one left. `None` never runs out.
fn once(times: &mut Option<u64>) -> bool {
    match times {
        None => true,
        Some(0) => false,
        Some(left) => {
            *left -= 1;
            true
        }
    }
}
