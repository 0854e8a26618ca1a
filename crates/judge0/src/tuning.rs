//! How often and for how long the engine polls, retries and probes.

use std::time::Duration;

use gavel_domain::Backoff;

/// Intervals, timeouts and retry limits. Tests shorten them.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// The time from sending a test to its first poll. Later polls come at intervals that grow with the test's age.
    pub min_poll_interval: Duration,
    /// The longest interval between two polls of a test.
    pub max_poll_interval: Duration,
    /// The delays between attempts of a call that failed.
    pub retry: Backoff,
    /// For how long a call is retried before the submission is handed back.
    pub retry_budget: Duration,
    /// How long a test may take beyond its wall time before its token counts as lost. Covers the time in Judge0's
    /// queue.
    pub lost_after: Duration,
    /// How long a test that has started may take beyond the wall times of compiler and program before it counts as lost.
    pub start_grace: Duration,
    /// How long tests may wait in Judge0's queue without any progress before its workers are checked.
    pub stall_after: Duration,
    /// How many times Judge0 may fail on one test, although it runs other programs, before the job fails.
    pub max_failures: u32,
    /// How often Judge0's limits are read again.
    pub refresh_interval: Duration,
    /// The delays between probes while Judge0 is unreachable.
    pub probe: Backoff,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            min_poll_interval: Duration::from_millis(100),
            max_poll_interval: Duration::from_secs(1),
            retry: Backoff { base: Duration::from_millis(200), cap: Duration::from_secs(5) },
            retry_budget: Duration::from_secs(30),
            lost_after: Duration::from_mins(3),
            start_grace: Duration::from_secs(10),
            stall_after: Duration::from_secs(15),
            max_failures: 5,
            refresh_interval: Duration::from_mins(5),
            probe: Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(30) },
        }
    }
}
