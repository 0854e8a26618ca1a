//! The test kit at work on real processes and a real server.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod nats;
mod process;

/// Long enough for a loaded machine; nothing waits for it unless it fails.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);
