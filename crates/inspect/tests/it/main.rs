//! The inspector against a real nats-server.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod live;
mod rejudge_run;
mod topology;
