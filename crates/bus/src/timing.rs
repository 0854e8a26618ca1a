//! Timeouts that several parts of this crate share.

use std::time::Duration;

/// How long the server may take to answer one request.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// How long pull requests live, and how a lost one is noticed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PullTiming {
    /// How long one request waits at the server.
    pub(crate) expires: Duration,
    /// How often the server sends a heartbeat for a waiting request.
    pub(crate) heartbeat: Duration,
    /// A pause of this length means that the server has lost the request.
    pub(crate) silence: Duration,
}

impl Default for PullTiming {
    fn default() -> Self {
        let (expires, heartbeat) = (Duration::from_secs(30), Duration::from_secs(2));
        Self { expires, heartbeat, silence: Duration::from_secs(5) }
    }
}
