//! Tests of the fetcher's binary with a real nats-server and a mock Convex that injects faults.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod crash;
mod deliver;
mod help;
mod retry;
mod rig;
mod sharing;
mod start;
mod unusable_questions;
