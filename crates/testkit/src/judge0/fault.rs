//! What can go wrong with a call, and with a test.

use std::time::Duration;

/// What a call is for.
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
    /// Anything else.
    Other,
}

/// How a call goes wrong. It has no effect then, unless it says so.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status and JSON in the answer's place.
    Status {
        /// The HTTP status code.
        code: u16,
        /// `Retry-After`, in seconds.
        retry_after: Option<u64>,
        /// The body.
        body: &'static str,
    },
    /// A page in the answer's place.
    Page(u16),
    /// The call has its effect, and half of the answer comes before the connection ends.
    Half,
    /// The call has its effect, and the answer comes this much later.
    Slow(Duration),
    /// Valid JSON that is not what was asked for.
    OtherJson,
}

/// How a test goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// Status 13.
    Internal,
    /// Status 14.
    ExecFormat,
    /// An end without a status.
    NoStatus,
    /// Its token is not known any more.
    Vanished,
    /// It is begun and never ended.
    Stuck,
    /// It stays in the queue, as where the workers are dead.
    Waiting,
}

#[derive(Default)]
pub(crate) struct Faults {
    calls: Vec<(Route, Option<u64>, Fault)>,
    tests: Vec<(Option<u64>, Mishap)>,
}

impl Faults {
    pub(crate) fn add(&mut self, route: Route, times: Option<u64>, fault: Fault) {
        self.calls.push((route, times, fault));
    }

    pub(crate) fn add_mishap(&mut self, times: Option<u64>, mishap: Mishap) {
        self.tests.push((times, mishap));
    }

    pub(crate) fn strike(&mut self, route: Route) -> Option<Fault> {
        let mut standing = self.calls.iter_mut().filter(|(on, ..)| *on == route);
        standing.find_map(|(_, times, fault)| once(times).then(|| fault.clone()))
    }

    pub(crate) fn strike_test(&mut self) -> Option<Mishap> {
        self.tests.iter_mut().find_map(|(times, mishap)| once(times).then_some(*mishap))
    }
}

/// Takes one from a count, if there is one left; there is no end to none.
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
